//! Carries alerts to Alertmanagers and webhooks: each receiver has a thread and a queue of its own.
//!
//! A queue holds the latest word on each alert, so that it does not grow while a receiver is down;
//! beyond [`QUEUE_MAX`] alerts the oldest word is dropped and counted. What a receiver does not take
//! (no answer, 429, 5xx) is sent again, later and later; what it refuses (other 4xx) is dropped,
//! counted and said. At the end there is a moment for what is still to be said; a receiver that does
//! not answer is left behind.

use super::alert::Alert;
use crate::endpoint::{self, Endpoint};
use crate::metric::remote::relabel::{self, Relabel};
use crate::series::{Labels, METRIC_NAME};
use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Alerts that may wait for one receiver.
pub const QUEUE_MAX: usize = 10_000;
/// Alerts in one request.
const BATCH_MAX: usize = 64;
/// The first wait after a failure; it doubles up to the last one.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_LAST: Duration = Duration::from_secs(30);
/// What is still to be said at the end gets this long.
const DRAIN_MAX: Duration = Duration::from_secs(3);
/// A webhook hears again of an alert that goes on firing, as Alertmanager's default has it.
const REPEAT_MS: i64 = 4 * 3_600_000;

/// The word on an alert. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Labels, those of all of ours included.
    pub labels: Labels,
    /// Texts for people.
    pub annotations: Vec<(String, String)>,
    /// Since when it fires.
    pub starts_at: i64,
    /// When it ended, or until when it may be taken for firing.
    pub ends_at: i64,
    /// Whether it ended.
    pub resolved: bool,
    /// Where its expression can be seen.
    pub generator_url: String,
    /// When this was said.
    pub said_at: i64,
}

impl Notice {
    /// The word on an alert at `now`.
    pub fn new(alert: &Alert, external_labels: &Labels, generator_url: String, now: i64) -> Notice {
        let mut labels = alert.labels.clone();
        for (name, value) in external_labels.iter().filter(|(name, _)| !alert.labels.has(name)) {
            labels = labels.with(name, value);
        }
        Notice {
            labels,
            annotations: alert.annotations.clone(),
            starts_at: alert.fired_at.unwrap_or(alert.active_at),
            ends_at: alert.resolved_at.unwrap_or(alert.valid_until),
            resolved: alert.resolved_at.is_some(),
            generator_url,
            said_at: now,
        }
    }

    fn json(&self) -> Value {
        let pairs = |pairs: &mut dyn Iterator<Item = (String, String)>| {
            Value::Object(pairs.map(|(name, value)| (name, Value::String(value))).collect())
        };
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        json!({
            "labels": pairs(&mut self.labels.iter().filter(|(name, _)| *name != METRIC_NAME).map(owned)),
            "annotations": pairs(&mut self.annotations.iter().cloned()),
            "startsAt": time(self.starts_at),
            "endsAt": time(self.ends_at),
            "generatorURL": self.generator_url,
        })
    }
}

/// A time as RFC 3339 has it.
pub fn time(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |t| t.to_string())
}

/// What a receiver speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// Alertmanager's API, version 2.
    Alertmanager,
    /// The JSON that Alertmanager posts to webhooks.
    Webhook,
}

/// A receiver as settings describe it.
pub struct Receiver {
    protocol: Protocol,
    endpoint: Endpoint,
    url: String,
    relabel: Vec<Relabel>,
}

impl Receiver {
    /// Reads a receiver: an URL, or an object in JSON with `url` and what `prometheus.yml` has for
    /// Alertmanagers: `path_prefix`, `alert_relabel_configs`, authorisation, TLS, headers.
    pub fn parse(text: &str, protocol: Protocol) -> Result<Receiver, String> {
        let mut from = endpoint::members(text)?;
        let prefix = endpoint::text(&mut from, "path_prefix").unwrap_or_default();
        let relabel = relabel::steps(from.remove("alert_relabel_configs").or_else(|| from.remove("relabel_configs")))?;
        let version = endpoint::text(&mut from, "api_version").unwrap_or_else(|| "v2".to_owned());
        if version != "v2" {
            return Err(format!("Alertmanager's API is spoken in version v2 alone, not `{version}`"));
        }
        let endpoint = Endpoint::take(&mut from)?;
        endpoint::nothing_left(&from, "a receiver of alerts")?;
        let base = endpoint.url.trim_end_matches('/');
        let url = match protocol {
            Protocol::Webhook => endpoint.url.clone(),
            Protocol::Alertmanager => {
                let prefix = prefix.trim_matches('/');
                let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
                // Who gives the whole address means just that.
                let base = base.trim_end_matches("/api/v2/alerts");
                format!("{base}{prefix}/api/v2/alerts")
            }
        };
        Ok(Receiver { protocol, endpoint, url, relabel })
    }

    /// Where it posts to.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Counts of one receiver.
#[derive(Debug, Default)]
pub struct Counts {
    /// Alerts that it took.
    pub sent: AtomicU64,
    /// Requests that had to be sent again.
    pub retried: AtomicU64,
    /// Alerts that it refused for good.
    pub failed: AtomicU64,
    /// Alerts dropped since too many waited.
    pub dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    latest: FxHashMap<Labels, Notice>,
    order: VecDeque<Labels>,
    /// What a webhook was told last: whether it fired, and when.
    told: FxHashMap<Labels, (bool, i64)>,
    /// The thread has ended.
    ended: bool,
}

impl Queue {
    fn put(&mut self, notice: Notice, counts: &Counts) {
        if self.latest.insert(notice.labels.clone(), notice.clone()).is_none() {
            self.order.push_back(notice.labels);
        }
        while self.order.len() > QUEUE_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.latest.remove(&oldest);
                counts.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn take(&mut self) -> Vec<Notice> {
        let count = self.order.len().min(BATCH_MAX);
        let taken: Vec<Labels> = self.order.drain(..count).collect();
        taken.iter().filter_map(|labels| self.latest.remove(labels)).collect()
    }

    /// Puts back what was not taken, unless there is a later word on it.
    fn give_back(&mut self, notices: Vec<Notice>) {
        for notice in notices.into_iter().rev() {
            if !self.latest.contains_key(&notice.labels) {
                self.order.push_front(notice.labels.clone());
                self.latest.insert(notice.labels.clone(), notice);
            }
        }
    }
}

struct Shared {
    receiver: Receiver,
    queue: Mutex<Queue>,
    rung: Condvar,
    stopping: AtomicBool,
    counts: Counts,
}

/// A receiver with its queue and thread.
pub struct Sender {
    shared: Arc<Shared>,
}

impl Sender {
    /// Starts the thread of a receiver.
    pub fn start(receiver: Receiver) -> std::io::Result<Sender> {
        let shared = Arc::new(Shared {
            receiver,
            queue: Mutex::default(),
            rung: Condvar::new(),
            stopping: AtomicBool::new(false),
            counts: Counts::default(),
        });
        let own = shared.clone();
        std::thread::Builder::new().name("alerts".into()).spawn(move || {
            own.run();
            own.queue.lock().ended = true;
            own.rung.notify_all();
        })?;
        Ok(Sender { shared })
    }

    /// Where it posts to.
    pub fn url(&self) -> &str {
        self.shared.receiver.url()
    }

    /// What it speaks.
    pub fn protocol(&self) -> Protocol {
        self.shared.receiver.protocol
    }

    /// What became of the alerts so far.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// How many alerts wait.
    pub fn waiting(&self) -> usize {
        self.shared.queue.lock().order.len()
    }

    /// Queues notices; never waits.
    pub fn send(&self, notices: &[Notice]) {
        let mut queue = self.shared.queue.lock();
        for notice in notices {
            let Some(labels) = relabel::apply(&self.shared.receiver.relabel, &notice.labels) else { continue };
            if labels.is_empty() {
                continue;
            }
            let notice = Notice { labels, ..notice.clone() };
            if self.protocol() == Protocol::Webhook && !worth_telling(&queue.told, &notice) {
                continue;
            }
            queue.put(notice, &self.shared.counts);
        }
        drop(queue);
        self.shared.rung.notify_all();
    }

    /// Lets all of them say what is still to be said, for a short time, and end.
    pub fn end(senders: &[Sender]) {
        for Sender { shared } in senders {
            // Under the lock, so that no thread is just about to sleep.
            let _queue = shared.queue.lock();
            shared.stopping.store(true, Ordering::Release);
            shared.rung.notify_all();
        }
        let until = Instant::now() + DRAIN_MAX;
        for Sender { shared } in senders {
            let mut queue = shared.queue.lock();
            // A request that is under way may take its time-out: nobody waits for that.
            while !queue.ended && !shared.rung.wait_until(&mut queue, until).timed_out() {}
        }
    }
}

fn worth_telling(told: &FxHashMap<Labels, (bool, i64)>, notice: &Notice) -> bool {
    match told.get(&notice.labels) {
        None => !notice.resolved,
        Some((fired, at)) => *fired == notice.resolved || notice.said_at - at >= REPEAT_MS,
    }
}

impl Shared {
    fn run(&self) {
        let (mut wait, mut deadline, mut failing) = (WAIT_FIRST, None, false);
        loop {
            let notices = {
                let mut queue = self.queue.lock();
                while queue.order.is_empty() && !self.stopping.load(Ordering::Acquire) {
                    self.rung.wait(&mut queue);
                }
                queue.take()
            };
            if self.stopping.load(Ordering::Acquire) {
                let deadline = deadline.get_or_insert_with(|| Instant::now() + DRAIN_MAX);
                if notices.is_empty() || Instant::now() > *deadline {
                    return;
                }
            }
            match self.post(&notices) {
                Ok(()) => {
                    self.counts.sent.fetch_add(notices.len() as u64, Ordering::Relaxed);
                    if std::mem::take(&mut failing) {
                        tracing::info!(url = self.receiver.url, "a receiver takes alerts again");
                    }
                    self.note_told(&notices);
                    wait = WAIT_FIRST;
                }
                Err(Failure::Refused(reason)) => {
                    self.counts.failed.fetch_add(notices.len() as u64, Ordering::Relaxed);
                    tracing::error!(
                        url = self.receiver.url,
                        alerts = notices.len(),
                        reason,
                        "a receiver refuses alerts"
                    );
                }
                Err(Failure::Later(reason, asked)) => {
                    self.counts.retried.fetch_add(1, Ordering::Relaxed);
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(url = self.receiver.url, reason, "cannot send alerts: they wait");
                    }
                    self.queue.lock().give_back(notices);
                    self.pause(asked.unwrap_or(wait).min(WAIT_LAST));
                    wait = (wait * 2).min(WAIT_LAST);
                }
            }
        }
    }

    /// Waits, but not past the end.
    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut queue = self.queue.lock();
        while !self.stopping.load(Ordering::Acquire) {
            if self.rung.wait_until(&mut queue, until).timed_out() {
                return;
            }
        }
        drop(queue);
        // On the way out there are a few more tries, not as many as fit.
        std::thread::park_timeout(Duration::from_millis(100));
    }

    fn note_told(&self, notices: &[Notice]) {
        if self.receiver.protocol != Protocol::Webhook {
            return;
        }
        let mut queue = self.queue.lock();
        for notice in notices {
            if notice.resolved {
                queue.told.remove(&notice.labels);
            } else if queue.told.len() < QUEUE_MAX {
                queue.told.insert(notice.labels.clone(), (true, notice.said_at));
            }
        }
    }

    fn post(&self, notices: &[Notice]) -> Result<(), Failure> {
        let body = match self.receiver.protocol {
            Protocol::Alertmanager => Value::Array(notices.iter().map(Notice::json).collect()),
            Protocol::Webhook => webhook(notices),
        };
        let headers = [("Content-Type", "application/json")];
        let answer = self.receiver.endpoint.send("POST", &self.receiver.url, &headers, body.to_string().as_bytes());
        let answer = answer.map_err(|reason| Failure::Later(reason, None))?;
        let reason = || format!("status {}: {}", answer.status, answer.body.chars().take(300).collect::<String>());
        match answer.status {
            200..300 => Ok(()),
            408 | 429 | 500.. => Err(Failure::Later(reason(), answer.retry_after)),
            _ => Err(Failure::Refused(reason())),
        }
    }
}

enum Failure {
    /// To be tried again, after this long if the receiver said so.
    Later(String, Option<Duration>),
    /// Not to be tried again.
    Refused(String),
}

/// What Alertmanager posts to webhooks, version 4: all alerts as one group.
fn webhook(notices: &[Notice]) -> Value {
    let alert = |notice: &Notice| {
        let mut alert = notice.json();
        alert["status"] = json!(if notice.resolved { "resolved" } else { "firing" });
        if !notice.resolved {
            alert["endsAt"] = json!("0001-01-01T00:00:00Z");
        }
        alert["fingerprint"] = json!(format!("{:016x}", notice.labels.hash()));
        alert
    };
    let common = |of: &dyn Fn(&Notice) -> Vec<(String, String)>| {
        let mut pairs = notices.first().map(of).unwrap_or_default();
        pairs.retain(|pair| notices.iter().all(|notice| of(notice).contains(pair)));
        Value::Object(pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect())
    };
    let labels = |notice: &Notice| notice.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let resolved = notices.iter().all(|notice| notice.resolved);
    json!({
        "version": "4",
        "groupKey": "{}",
        "truncatedAlerts": 0,
        "status": if resolved { "resolved" } else { "firing" },
        "receiver": "webhook",
        "groupLabels": {},
        "commonLabels": common(&labels),
        "commonAnnotations": common(&|notice: &Notice| notice.annotations.clone()),
        "externalURL": "",
        "alerts": notices.iter().map(alert).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};

    fn notice(name: &str, resolved: bool, said_at: i64) -> Notice {
        Notice {
            labels: Labels::new([("alertname", name)]),
            annotations: Vec::new(),
            starts_at: 1_435_065_584_128,
            ends_at: 1_435_065_585_000,
            resolved,
            generator_url: "http://x/g".to_owned(),
            said_at,
        }
    }

    #[test]
    fn receivers_are_read() {
        let check = |text: &str, want: &str| {
            let url = Receiver::parse(text, Protocol::Alertmanager).map(|receiver| receiver.url);
            assert_eq!(url.unwrap_or_else(|error| error), want, "{text}");
        };
        check("http://a:9093", "http://a:9093/api/v2/alerts");
        check("http://a:9093/am/", "http://a:9093/am/api/v2/alerts");
        check("http://a/api/v2/alerts", "http://a/api/v2/alerts");
        check(
            r#"{"url": "https://a", "path_prefix": "/am/", "basic_auth": {"username": "u", "password": "p"}}"#,
            "https://a/am/api/v2/alerts",
        );
        check(
            r#"{"url": "https://a", "api_version": "v1"}"#,
            "Alertmanager's API is spoken in version v2 alone, not `v1`",
        );
        check(r#"{"url": "https://a", "pathprefix": "x"}"#, "unknown member `pathprefix` of a receiver of alerts");
    }

    #[test]
    fn a_queue_keeps_the_latest_word_and_no_more() {
        let (mut queue, counts) = (Queue::default(), Counts::default());
        queue.put(notice("a", false, 1), &counts);
        queue.put(notice("b", false, 1), &counts);
        queue.put(notice("a", true, 2), &counts);
        let taken = queue.take();
        assert_eq!(
            taken.iter().map(|n| (n.labels.get("alertname"), n.resolved)).collect::<Vec<_>>(),
            [("a", true), ("b", false)]
        );
        queue.put(notice("b", true, 3), &counts);
        queue.give_back(taken);
        assert_eq!(queue.take().iter().map(|n| n.said_at).collect::<Vec<_>>(), [2, 3]);
        (0..QUEUE_MAX + 5).for_each(|at| queue.put(notice(&at.to_string(), false, 1), &counts));
        assert_eq!(
            (queue.order.len(), queue.latest.len(), counts.dropped.load(Ordering::Relaxed)),
            (QUEUE_MAX, QUEUE_MAX, 5)
        );
    }

    /// Answers each request with the next of `statuses`, the last for ever; `None`: never.
    fn receiver(statuses: &'static [Option<&'static str>]) -> Sender {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for (at, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                match statuses[at.min(statuses.len() - 1)] {
                    Some(status) => {
                        let mut reader = BufReader::new(stream.try_clone().unwrap());
                        let (mut line, mut length) = (String::new(), 0);
                        while reader.read_line(&mut line).unwrap() > 2 {
                            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                                length = value.trim().parse().unwrap();
                            }
                            line.clear();
                        }
                        reader.read_exact(&mut vec![0; length]).unwrap();
                        write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
                    }
                    None => kept.push(stream),
                }
            }
        });
        Sender::start(Receiver::parse(&url, Protocol::Webhook).unwrap()).unwrap()
    }

    fn until(what: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < end, "it did not come to pass");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn what_is_not_taken_is_sent_again_and_what_is_refused_dropped() {
        let sender = receiver(&[Some("500 x"), Some("429 x\r\nRetry-After: 0"), Some("400 x"), Some("200 x")]);
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = || [&sender.counts().retried, &sender.counts().failed, &sender.counts().sent].map(get);
        sender.send(&[notice("a", false, 1)]);
        until(|| counts() == [2, 1, 0]);
        sender.send(&[notice("b", false, 1)]);
        until(|| counts() == [2, 1, 1]);
        assert_eq!(sender.waiting(), 0);
        let begun = Instant::now();
        Sender::end(&[sender]);
        assert!(begun.elapsed() < DRAIN_MAX, "there was nothing to wait for");
    }

    #[test]
    fn one_that_never_answers_holds_nobody_up() {
        let senders = [receiver(&[None]), receiver(&[None]), receiver(&[Some("200 x")])];
        senders.iter().for_each(|sender| sender.send(&[notice("a", false, 1)]));
        until(|| senders[2].counts().sent.load(Ordering::Relaxed) == 1);
        let begun = Instant::now();
        Sender::end(&senders);
        assert!(begun.elapsed() < DRAIN_MAX + Duration::from_secs(3), "{:?}", begun.elapsed());
    }

    #[test]
    fn webhooks_hear_of_changes() {
        let mut told = FxHashMap::default();
        assert!(worth_telling(&told, &notice("a", false, 1)) && !worth_telling(&told, &notice("a", true, 1)));
        told.insert(notice("a", false, 1).labels, (true, 1));
        assert!(!worth_telling(&told, &notice("a", false, 2)) && worth_telling(&told, &notice("a", true, 2)));
        assert!(worth_telling(&told, &notice("a", false, 1 + REPEAT_MS)));
        let body = webhook(&[notice("a", false, 1), notice("b", true, 1)]);
        assert_eq!((body["status"].as_str(), body["alerts"][1]["status"].as_str()), (Some("firing"), Some("resolved")));
        assert_eq!(body["alerts"][0]["startsAt"], "2015-06-23T13:19:44.128Z");
    }
}
