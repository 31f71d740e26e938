//! A worker: takes a batch → decode → filter → route → hand to outputs, on one thread, to the end.
//!
//! Nothing here allocates per event: selections and scratch lists are kept between batches.

use super::ack::{Ack, Delivery, Pool, Shared};
use super::defaults::Defaults;
use super::feed::Work;
use super::route::{CondError, split};
use crate::codec::Decoder;
use crate::event::{Batch, EventId, Timestamp};
use crate::filter::common::Common;
use crate::filter::{FLUSH_INTERVAL, Filter, Run};
use crate::language::plan::Cond;
use crate::metric::Recorder;
use crate::metric::pipeline::{PipelineStats, PluginStats};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// One step of the filter section, as one worker has it.
pub(super) enum Step {
    Filter { filter: Box<dyn Filter>, common: Common, stats: Arc<PluginStats> },
    If { branches: Vec<(Cond, Vec<Step>)>, otherwise: Vec<Step> },
}

impl Step {
    pub(super) fn fork(&self) -> Step {
        let fork = |steps: &Vec<Step>| steps.iter().map(Step::fork).collect();
        match self {
            Step::Filter { filter, common, stats } => {
                Step::Filter { filter: filter.fork(), common: common.clone(), stats: stats.clone() }
            }
            Step::If { branches, otherwise } => Step::If {
                branches: branches.iter().map(|(cond, steps)| (cond.clone(), fork(steps))).collect(),
                otherwise: fork(otherwise),
            },
        }
    }
}

/// Whose turn it is to flush the filters: all workers of a pipeline share it.
pub(super) struct Flushes {
    /// When the next one is due; `None` where no filter has anything to flush.
    next: Option<Mutex<Instant>>,
    /// The workers that have not ended.
    workers: AtomicUsize,
}

/// Which flush is under way.
#[derive(Clone, Copy)]
enum Flush {
    None,
    Periodic,
    Last,
}

/// What filters go by at present.
#[derive(Clone, Copy)]
struct Moment {
    now: Timestamp,
    flush: Flush,
}

impl Flushes {
    pub(super) fn new(steps: &[Step], workers: usize) -> Flushes {
        let next = flushes(steps).then(|| Mutex::new(Instant::now() + FLUSH_INTERVAL));
        Flushes { next, workers: AtomicUsize::new(workers) }
    }

    /// Whether it is time, and this worker is the one.
    fn due(&self) -> bool {
        let Some(mut next) = self.next.as_ref().and_then(Mutex::try_lock) else { return false };
        let now = Instant::now();
        let due = *next <= now;
        if due {
            *next = now + FLUSH_INTERVAL;
        }
        due
    }

    /// Counts a worker that has ended; whether it was the last.
    fn leave(&self) -> bool {
        self.workers.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

fn flushes(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Filter { filter, .. } => filter.flushes(),
        Step::If { branches, otherwise } => branches.iter().any(|(_, steps)| flushes(steps)) || flushes(otherwise),
    })
}

/// One step of the output section.
#[derive(Clone)]
pub(super) enum Route {
    Output(usize),
    If { branches: Vec<(Cond, Vec<Route>)>, otherwise: Vec<Route> },
}

/// One input as a worker sees it.
pub(super) struct Source {
    pub(super) decoder: Box<dyn Decoder>,
    pub(super) defaults: Defaults,
    pub(super) stats: Arc<PluginStats>,
}

/// Everything that one worker has.
pub(super) struct Worker {
    pub(super) queue: Receiver<Work>,
    pub(super) sources: Vec<Source>,
    pub(super) filters: Vec<Step>,
    pub(super) routes: Vec<Route>,
    pub(super) outputs: Vec<(Sender<Delivery>, Arc<PluginStats>)>,
    pub(super) pool: Pool,
    pub(super) stats: Arc<PipelineStats>,
    pub(super) recorder: Recorder,
    /// Whether events leave in the order in which they came (`pipeline.ordered`).
    pub(super) ordered: bool,
    pub(super) flushes: Arc<Flushes>,
    pub(super) spare: Spare,
}

/// Selections that are not in use.
#[derive(Default)]
pub(super) struct Spare {
    lists: Vec<Vec<EventId>>,
    parts: Vec<Vec<Vec<EventId>>>,
}

impl Spare {
    fn take(&mut self) -> Vec<EventId> {
        self.lists.pop().unwrap_or_default()
    }

    fn give(&mut self, mut list: Vec<EventId>) {
        list.clear();
        self.lists.push(list);
    }

    fn take_parts(&mut self, count: usize) -> Vec<Vec<EventId>> {
        let mut parts = self.parts.pop().unwrap_or_default();
        parts.resize_with(count, Vec::new);
        parts
    }
}

/// What became of one batch's events.
#[derive(Default)]
struct Ledger {
    read: u64,
    created: u64,
    /// Events lost to conditions, …
    dead: u64,
    /// … and how many of them had come out of the filters.
    unrouted: u64,
    /// Events to cancel.
    failed: Vec<EventId>,
}

impl Ledger {
    /// A condition that can't be evaluated loses its event, as in Logstash.
    fn condition_failed(&mut self, event: EventId, error: &CondError) {
        self.failed.push(event);
        self.dead += 1;
        if self.dead == 1 {
            tracing::warn!(%error, "cannot evaluate a condition: its event is dropped");
        }
    }

    /// Enters the batch into the pipeline's ledger, so that it balances whenever it is read.
    fn enter(&self, stats: &PipelineStats, filtered: u64) {
        stats.events_in.add(self.read);
        stats.created.add(self.created);
        stats.events_filtered.add(filtered);
        stats.events_out.add(filtered - self.unrouted);
        stats.dead.add(self.dead);
        stats.dropped.add((self.read + self.created).saturating_sub(filtered + self.dead - self.unrouted));
        stats.in_flight.add(-(self.read as i64));
    }
}

impl Worker {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            match self.next() {
                Ok(work) => self.batch(work),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.flushes.due() {
                self.flush(Flush::Periodic);
            }
        }
        if self.flushes.leave() && self.flushes.next.is_some() {
            self.flush(Flush::Last);
        }
    }

    fn next(&self) -> Result<Work, RecvTimeoutError> {
        match &self.flushes.next {
            None => self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(next) => {
                let next = *next.lock();
                self.queue.recv_deadline(next)
            }
        }
    }

    /// Lets go of what filters hold back: a batch without input, which acknowledges nothing.
    fn flush(&mut self, flush: Flush) {
        let began = Instant::now();
        let now = Timestamp::now();
        let mut batch = self.pool.pop().unwrap_or_default();
        batch.read_at = Some(now);
        let events = self.spare.take();
        self.filter(batch, events, &Ack::none(), now, flush);
        self.stats.duration_ns.add_time(began.elapsed());
    }

    fn batch(&mut self, Work { mut batch, input, ack }: Work) {
        let began = Instant::now();
        let now = batch.read_at.unwrap_or_else(Timestamp::now);
        let mut events = self.spare.take();
        self.decode(&mut batch, input, now, &mut events);
        self.filter(batch, events, &ack, now, Flush::None);
        ack.done();
        self.stats.duration_ns.add_time(began.elapsed());
    }

    /// From decoded events to the outputs.
    fn filter(&mut self, mut batch: Batch, mut events: Vec<EventId>, ack: &Arc<Ack>, now: Timestamp, flush: Flush) {
        let mut ledger = Ledger { read: events.len() as u64, ..Ledger::default() };
        self.stats.in_flight.add(ledger.read as i64);
        let moment = Moment { now, flush };
        filter(&mut self.filters, &mut batch, &mut events, moment, &mut self.spare, &mut ledger);
        if self.ordered {
            batch.order(&mut events);
        }
        self.recorder.observe(&batch, &events);
        let filtered = events.len() as u64;
        let dead = ledger.dead;
        self.deliver(batch, &events, ack, &mut ledger);
        ledger.unrouted = ledger.dead - dead;
        self.spare.give(events);
        ledger.enter(&self.stats, filtered);
    }

    fn decode(&mut self, batch: &mut Batch, input: usize, now: Timestamp, events: &mut Vec<EventId>) {
        let source = &mut self.sources[input];
        source.defaults.begin(batch);
        let (frames, tags) = (std::mem::take(&mut batch.frames), std::mem::take(&mut batch.frame_tags));
        for &frame in &frames {
            let first = events.len();
            source.decoder.decode(batch, frame, events);
            source.defaults.apply(batch, &events[first..], frame.origin, now);
            if frame.tags != 0 {
                tag(batch, &tags[frame.tags as usize - 1], &events[first..]);
            }
        }
        (batch.frames, batch.frame_tags) = (frames, tags);
        source.stats.events_in.add(events.len() as u64);
        source.stats.events_out.add(events.len() as u64);
    }

    fn deliver(&mut self, batch: Batch, events: &[EventId], ack: &Arc<Ack>, ledger: &mut Ledger) {
        let mut lists: Vec<Vec<EventId>> = self.outputs.iter().map(|_| Vec::new()).collect();
        route(&self.routes, &batch, events, &mut lists, &mut self.spare, ledger);
        let shared = Shared::new(batch, Some(self.pool.clone()));
        for ((sender, stats), list) in self.outputs.iter().zip(lists) {
            if list.is_empty() {
                continue;
            }
            stats.events_in.add(list.len() as u64);
            // An output's thread ends only after the workers; if it is gone, the events stay
            // unacknowledged and are read again.
            let _gone = sender.send(Delivery::new(shared.clone(), list, ack.clone()));
        }
    }
}

fn tag(batch: &mut Batch, tags: &[&str], events: &[EventId]) {
    for &event in events {
        for tag in tags {
            batch.tag(event, tag);
        }
    }
}

/// Runs steps over a selection; afterwards it holds the events that go on, in order. In a flush,
/// steps are also asked for what they hold back.
fn filter(
    steps: &mut [Step],
    batch: &mut Batch,
    events: &mut Vec<EventId>,
    moment: Moment,
    spare: &mut Spare,
    ledger: &mut Ledger,
) {
    for step in steps {
        if events.is_empty() && matches!(moment.flush, Flush::None) {
            return;
        }
        match step {
            Step::Filter { filter, common, stats } => {
                ledger.created += run(filter, common, stats, batch, events, moment, spare)
            }
            Step::If { branches, otherwise } => {
                let mut parts = spare.take_parts(branches.len() + 1);
                split(branches, batch, events, &mut parts, &mut |event, error| ledger.condition_failed(event, &error));
                ledger.failed.drain(..).for_each(|event| batch.cancel(event));
                events.clear();
                let bodies = branches.iter_mut().map(|(_, steps)| steps).chain(std::iter::once(otherwise));
                for (part, steps) in parts.iter_mut().zip(bodies) {
                    filter(steps, batch, part, moment, spare, ledger);
                    events.extend_from_slice(part);
                }
                spare.parts.push(parts);
            }
        }
    }
}

/// Runs one filter over the events and returns how many it made.
fn run(
    filter: &mut Box<dyn Filter>,
    common: &Common,
    stats: &PluginStats,
    batch: &mut Batch,
    events: &mut Vec<EventId>,
    moment: Moment,
    spare: &mut Spare,
) -> u64 {
    let began = Instant::now();
    let (mut matched, mut created) = (spare.take(), spare.take());
    let mut run = Run { events, matched: &mut matched, created: &mut created, now: moment.now };
    if !run.events.is_empty() {
        filter.run(batch, &mut run);
    }
    if !matches!(moment.flush, Flush::None) && filter.flushes() {
        run.events = &[];
        filter.flush(batch, &mut run, matches!(moment.flush, Flush::Last));
    }
    common.apply(batch, &matched);
    stats.events_in.add(events.len() as u64);
    events.retain(|&event| !batch.cancelled(event));
    events.extend_from_slice(&created);
    stats.events_out.add(events.len() as u64);
    stats.duration_ns.add_time(began.elapsed());
    let made = created.len() as u64;
    spare.give(matched);
    spare.give(created);
    made
}

/// Sorts events into the lists of the outputs that they reach.
fn route(
    routes: &[Route],
    batch: &Batch,
    events: &[EventId],
    lists: &mut [Vec<EventId>],
    spare: &mut Spare,
    ledger: &mut Ledger,
) {
    for step in routes {
        match step {
            Route::Output(output) => lists[*output].extend_from_slice(events),
            Route::If { branches, otherwise } => {
                let mut parts = spare.take_parts(branches.len() + 1);
                split(branches, batch, events, &mut parts, &mut |event, error| ledger.condition_failed(event, &error));
                ledger.failed.clear();
                let bodies = branches.iter().map(|(_, routes)| routes).chain(std::iter::once(otherwise));
                for (part, routes) in parts.iter().zip(bodies) {
                    route(routes, batch, part, lists, spare, ledger);
                }
                spare.parts.push(parts);
            }
        }
    }
}
