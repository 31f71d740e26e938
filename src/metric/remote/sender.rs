//! The thread of one shard: takes the oldest request of its queue and sends it until it is taken or
//! refused for good.

use super::encode::{Protocol, without_histograms};
use super::queue::{Queue, Request};
use super::{Counts, PAUSE_MAX, PAUSE_MIN};
use crate::endpoint::{Answer, Endpoint};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One shard.
pub(super) struct Sender {
    state: Mutex<State>,
    changed: Condvar,
    counts: Arc<Counts>,
}

struct State {
    queue: Queue,
    /// The thread ends at this time, or before if nothing waits.
    end: Option<Instant>,
    ended: bool,
    /// What of the gauge is this shard's.
    bytes: u64,
    failing: bool,
    /// Whether it was said that the endpoint takes no native histograms.
    maimed: bool,
}

/// What became of a request.
enum Outcome {
    Taken,
    /// But for so many native histograms, which it takes none of.
    Floats(u32),
    Refused(String),
    Again(Option<Duration>, String),
}

impl Sender {
    /// Starts the thread.
    pub(super) fn start(
        queue: Queue,
        endpoint: Endpoint,
        protocol: Protocol,
        counts: Arc<Counts>,
    ) -> std::io::Result<Arc<Sender>> {
        let state = State { queue, end: None, ended: false, bytes: 0, failing: false, maimed: false };
        let sender = Arc::new(Sender { state: Mutex::new(state), changed: Condvar::new(), counts });
        let own = sender.clone();
        std::thread::Builder::new().name("remote-write".into()).spawn(move || {
            own.run(&endpoint, protocol);
            own.state.lock().ended = true;
            own.changed.notify_all();
        })?;
        Ok(sender)
    }

    /// Appends a request.
    pub(super) fn push(&self, samples: u32, body: &[u8]) {
        let mut state = self.state.lock();
        if let Err(error) = state.queue.push(samples, body) {
            if !std::mem::replace(&mut state.failing, true) {
                tracing::error!(%error, "cannot write the queue of remote write: its samples are dropped");
            }
            self.counts.dropped.add(samples.into());
        }
        self.counts.dropped.add(std::mem::take(&mut state.queue.dropped));
        self.measure(&mut state);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until the thread has ended: at once if nothing waits, else at `until`.
    pub(super) fn end(&self, until: Instant) {
        let mut state = self.state.lock();
        state.end = Some(until);
        self.changed.notify_all();
        // A request that is under way may take its time-out: nobody waits for that.
        while !state.ended && !self.changed.wait_until(&mut state, until).timed_out() {}
    }

    fn measure(&self, state: &mut State) {
        let bytes = state.queue.waiting();
        self.counts.waiting.add(bytes as i64 - state.bytes as i64);
        state.bytes = bytes;
    }

    fn run(&self, endpoint: &Endpoint, protocol: Protocol) {
        let mut pause = PAUSE_MIN;
        while let Some(request) = self.next() {
            match post(endpoint, protocol, &request) {
                Outcome::Taken => {
                    self.counts.sent.add(request.samples.into());
                    if std::mem::replace(&mut self.state.lock().failing, false) {
                        tracing::info!(url = endpoint.url, "remote write works again");
                    }
                    pause = PAUSE_MIN;
                    self.done(&request);
                }
                Outcome::Floats(histograms) => {
                    self.counts.sent.add((request.samples - histograms.min(request.samples)).into());
                    self.counts.failed.add(histograms.into());
                    if !std::mem::replace(&mut self.state.lock().maimed, true) {
                        let url = &endpoint.url;
                        tracing::warn!(url, "remote write: the endpoint takes no native histograms, they are dropped");
                    }
                    pause = PAUSE_MIN;
                    self.done(&request);
                }
                Outcome::Refused(reason) => {
                    self.counts.failed.add(request.samples.into());
                    self.complain(endpoint, "refuses samples for good, they are dropped", &reason);
                    pause = PAUSE_MIN;
                    self.done(&request);
                }
                Outcome::Again(asked, reason) => {
                    self.counts.retried.add(1);
                    self.complain(endpoint, "does not take samples, they wait and are sent again", &reason);
                    if self.wait(asked.unwrap_or(pause)) {
                        return;
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Says it once, not for each request.
    fn complain(&self, endpoint: &Endpoint, what: &str, reason: &str) {
        if !std::mem::replace(&mut self.state.lock().failing, true) {
            tracing::warn!(url = endpoint.url, reason, "remote write: the endpoint {what}");
        }
    }

    /// The next request; `None` at the end.
    fn next(&self) -> Option<Request> {
        let mut state = self.state.lock();
        loop {
            if state.end.is_some_and(|end| Instant::now() >= end) {
                return None;
            }
            if let Some(request) = state.queue.next() {
                return Some(request);
            }
            if state.end.is_some() {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    fn done(&self, request: &Request) {
        let mut state = self.state.lock();
        if let Err(error) = state.queue.done(request) {
            tracing::error!(%error, "cannot note that a request of remote write is done: it may be sent again");
        }
        self.measure(&mut state);
    }

    /// Sleeps, but not past the end; returns whether that is reached.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.state.lock();
        loop {
            let now = Instant::now();
            if state.end.is_some_and(|end| now >= end) {
                return true;
            }
            if now >= until {
                return false;
            }
            let next = state.end.map_or(until, |end| end.min(until));
            self.changed.wait_until(&mut state, next);
        }
    }
}

fn post(endpoint: &Endpoint, protocol: Protocol, request: &Request) -> Outcome {
    let mut answer = match endpoint.post(&protocol.headers(), &request.body) {
        Ok(answer) => answer,
        Err(reason) => return Outcome::Again(None, reason),
    };
    // What Prometheus 2 says for ever if they are not switched on: the rest must not wait for that.
    if answer.status == 500 && protocol == Protocol::V1 && answer.body.contains("native histograms are disabled") {
        match without_histograms(&request.body).map(|(body, count)| (endpoint.post(&protocol.headers(), &body), count))
        {
            Some((Ok(Answer { status: 200..=299, .. }), count)) => return Outcome::Floats(count),
            Some((Ok(other), _)) => answer = other,
            Some((Err(reason), _)) => return Outcome::Again(None, reason),
            None => {}
        }
    }
    let reason = format!("{} {}", answer.status, answer.body.trim());
    match answer.status {
        200..=299 => Outcome::Taken,
        429 | 500..=599 => Outcome::Again(answer.retry_after, reason),
        _ => Outcome::Refused(reason),
    }
}
