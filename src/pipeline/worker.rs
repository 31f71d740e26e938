//! A worker: takes a batch → decode → filter → route → hand to outputs, on one thread, to the end.
//!
//! Nothing here allocates per event: selections and scratch lists are kept between batches.

use super::ack::{Ack, Delivery, Pool, Shared};
use super::command::{Command, Order};
use super::defaults::Defaults;
use super::feed::Work;
use super::flush::Flushes;
use super::outlet::Outlet;
use super::repeated::{Repeated, Said};
use super::route::{CondError, split};
use super::step::{self, Flush, Moment, Step};
use crate::codec::Decoder;
use crate::event::{Batch, EventId, Frame, Timestamp};
use crate::language::plan::Cond;
use crate::metric::Deriver;
use crate::metric::pipeline::{PipelineStats, PluginStats, now_ns};
use crossbeam::channel::{Receiver, RecvError, select};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// So many events go through decoding and all filters at a time, while the processor's nearer memory
/// has them: a batch may be larger than that. It is Logstash's size of a batch, rounded.
const PART: usize = 128;

/// One step of the output section.
#[derive(Clone)]
pub(super) enum Route {
    Output(usize),
    If { branches: Vec<(Cond, Vec<Route>)>, otherwise: Vec<Route> },
}

/// One input as a worker sees it.
pub(super) struct Source {
    /// The number that its batches carry.
    pub(super) input: u64,
    pub(super) decoder: Box<dyn Decoder>,
    pub(super) defaults: Defaults,
    pub(super) stats: Arc<PluginStats>,
    /// Its codec's.
    pub(super) codec: Arc<PluginStats>,
    /// Its batches that wait for a worker.
    pub(super) queued: Arc<AtomicUsize>,
}

/// What a configuration makes of a worker. Changed between batches.
pub(super) struct Kit {
    pub(super) sources: Vec<Source>,
    pub(super) filters: Vec<Step>,
    pub(super) routes: Vec<Route>,
    pub(super) outputs: Vec<(Outlet, Arc<PluginStats>)>,
    /// Whether events leave in the order in which they came (`pipeline.ordered`).
    pub(super) ordered: bool,
    /// Whether metrics are derived from the events here, and not in the pipelines that get them.
    pub(super) observe: bool,
    pub(super) flushes: Arc<Flushes>,
}

/// Everything that one worker has.
pub(super) struct Worker {
    pub(super) queue: Receiver<Work>,
    pub(super) late: Receiver<Work>,
    pub(super) command: Arc<Command>,
    pub(super) woken: Receiver<()>,
    /// Conditions of the pipeline that lost their events.
    pub(super) lost: Arc<Repeated>,
    pub(super) kit: Kit,
    pub(super) pool: Pool,
    pub(super) stats: Arc<PipelineStats>,
    /// Derives the built-in metrics.
    pub(super) deriver: Deriver,
    pub(super) spare: Spare,
    /// When the batch at hand began, for those who ask meanwhile.
    pub(super) clock: Arc<AtomicU64>,
}

/// Selections that are not in use.
#[derive(Default)]
pub(super) struct Spare {
    lists: Vec<Vec<EventId>>,
    pub(super) parts: Vec<Vec<Vec<EventId>>>,
}

impl Spare {
    pub(super) fn take(&mut self) -> Vec<EventId> {
        self.lists.pop().unwrap_or_default()
    }

    pub(super) fn give(&mut self, mut list: Vec<EventId>) {
        list.clear();
        self.lists.push(list);
    }

    pub(super) fn take_parts(&mut self, count: usize) -> Vec<Vec<EventId>> {
        let mut parts = self.parts.pop().unwrap_or_default();
        parts.resize_with(count, Vec::new);
        parts
    }
}

/// What became of one batch's events.
#[derive(Default)]
pub(super) struct Ledger {
    read: u64,
    pub(super) created: u64,
    /// Events lost to conditions, …
    dead: u64,
    /// … and how many of them had come out of the filters.
    unrouted: u64,
    /// Events to cancel.
    pub(super) failed: Vec<EventId>,
    /// Why the last of them was lost.
    error: Option<CondError>,
}

impl Ledger {
    /// A condition that can't be evaluated loses its event, as in Logstash.
    pub(super) fn condition_failed(&mut self, event: EventId, error: CondError) {
        self.failed.push(event);
        self.dead += 1;
        self.error = Some(error);
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
    /// Works until the queue is closed and empty, or until it is told to end.
    pub(super) fn run(mut self) {
        loop {
            let Ok(work) = self.next() else { break };
            // An order that was given before the batch came holds for it.
            let goes_on = self.obey();
            match work {
                Some(work) => self.batch(work),
                None => warn_of_lost(self.lost.due(Instant::now())),
            }
            if !goes_on {
                return self.leave(Flush::Retired);
            }
            if self.kit.flushes.due() {
                self.flush(Flush::Periodic);
            }
        }
        while let Ok(work) = self.late.recv() {
            self.obey();
            self.batch(work);
        }
        self.obey();
        self.leave(Flush::Last);
    }

    /// The next batch; none where there is something else to do; an error when the queue is closed.
    fn next(&self) -> Result<Option<Work>, RecvError> {
        // Late batches come first: their input waits to be replaced by another.
        if let Ok(work) = self.late.try_recv() {
            return Ok(Some(work));
        }
        if let Ok(work) = self.queue.try_recv() {
            return Ok(Some(work));
        }
        let flush = self.kit.flushes.patience();
        let patience = self.lost.patience(Instant::now()).map_or(flush, |lost| lost.min(flush));
        select! {
            recv(self.queue) -> work => work.map(Some),
            recv(self.late) -> work => Ok(work.ok()),
            recv(self.woken) -> _ => Ok(None),
            default(patience) => Ok(None),
        }
    }

    /// Goes on by the configuration that it is given, if it is; whether it goes on at all.
    fn obey(&mut self) -> bool {
        match self.command.take() {
            Some(Order::Use(kit)) => {
                kit.flushes.join();
                self.leave(Flush::Retired);
                self.kit = kit;
                true
            }
            Some(Order::End) => false,
            None => true,
        }
    }

    /// Leaves its configuration. The last one to do so lets go of what its filters hold back.
    fn leave(&mut self, flush: Flush) {
        if self.kit.flushes.leave() {
            self.flush(flush);
        }
    }

    /// Lets go of what filters hold back: a batch without input, which acknowledges nothing.
    fn flush(&mut self, flush: Flush) {
        let began = Instant::now();
        let now = Timestamp::now();
        let mut batch = self.pool.pop().unwrap_or_default();
        batch.read_at = Some(now);
        let (mut events, mut ledger) = (self.spare.take(), Ledger::default());
        self.filter(&mut batch, &mut events, now, flush, &mut ledger);
        self.finish(batch, events, &Ack::none(), ledger);
        self.stats.duration_ns.add_time(began.elapsed());
    }

    fn batch(&mut self, Work { mut batch, input, ack }: Work) {
        let began = now_ns();
        self.clock.store(began, Ordering::Relaxed);
        let now = batch.read_at.unwrap_or_else(Timestamp::now);
        let (mut through, mut part, mut ledger) = (self.spare.take(), self.spare.take(), Ledger::default());
        // What another pipeline sent is decoded already.
        part.extend(0..batch.len() as EventId);
        let source = self.begin(&mut batch, input, now);
        self.kit.sources[source].defaults.apply(&mut batch, &part, u32::MAX);
        let (frames, tags) = (std::mem::take(&mut batch.frames), std::mem::take(&mut batch.frame_tags));
        let mut parts = frames.chunks(PART);
        loop {
            if let Some(frames) = parts.next() {
                self.decode(source, &mut batch, frames, &tags, &mut part);
            } else if part.is_empty() {
                break;
            }
            self.read(source, &batch, &part);
            self.filter(&mut batch, &mut part, now, Flush::None, &mut ledger);
            through.append(&mut part);
        }
        (batch.frames, batch.frame_tags) = (frames, tags);
        self.spare.give(part);
        self.finish(batch, through, &ack, ledger);
        ack.done();
        self.clock.store(0, Ordering::Relaxed);
        self.stats.duration_ns.add(now_ns() - began);
    }

    /// Some events of a batch, from their codec through all filters.
    fn filter(
        &mut self,
        batch: &mut Batch,
        events: &mut Vec<EventId>,
        now: Timestamp,
        flush: Flush,
        ledger: &mut Ledger,
    ) {
        ledger.read += events.len() as u64;
        self.stats.in_flight.add(events.len() as i64);
        let taps = self.stats.taps.active().then_some(&self.stats.taps);
        let looked = taps.map(|taps| taps.before(None, batch, events));
        let moment = Moment { now, flush, taps };
        step::filter(&mut self.kit.filters, batch, events, moment, &mut self.spare, ledger);
        if let (Some(taps), Some(looked)) = (taps, looked) {
            taps.after(looked, None, batch, events);
        }
        if self.kit.observe {
            self.deriver.observe(batch, events, now);
        }
    }

    /// The events of a whole batch, from the filters to the outputs.
    fn finish(&mut self, batch: Batch, mut events: Vec<EventId>, ack: &Arc<Ack>, mut ledger: Ledger) {
        if self.kit.ordered {
            batch.order(&mut events);
        }
        self.deriver.settle(ack);
        self.kit.filters.iter_mut().for_each(|step| step.settle(ack));
        let filtered = events.len() as u64;
        let dead = ledger.dead;
        self.deliver(batch, &events, ack, &mut ledger);
        ledger.unrouted = ledger.dead - dead;
        self.spare.give(events);
        ledger.enter(&self.stats, filtered);
        if let Some(error) = &ledger.error {
            warn_of_lost(self.lost.happened(ledger.dead, error, Instant::now()));
        }
    }

    /// Takes a batch off the queue; its input's place among the sources.
    fn begin(&mut self, batch: &mut Batch, input: u64, now: Timestamp) -> usize {
        let at = self.kit.sources.iter().position(|source| source.input == input);
        let at = at.expect("BUG: a batch of an input that no configuration has");
        let source = &mut self.kit.sources[at];
        source.queued.fetch_sub(1, Ordering::Release);
        self.stats.queue.add(-1);
        self.stats.queue_events.add(-(batch.waiting() as i64));
        source.defaults.begin(batch, now);
        at
    }

    fn decode(
        &mut self,
        source: usize,
        batch: &mut Batch,
        frames: &[Frame],
        tags: &[Box<[&'static str]>],
        events: &mut Vec<EventId>,
    ) {
        let source = &mut self.kit.sources[source];
        let (began, already) = (Instant::now(), events.len());
        for &frame in frames {
            let first = events.len();
            source.decoder.decode(batch, frame, events);
            source.defaults.apply(batch, &events[first..], frame.origin);
            if frame.tags != 0 {
                tag(batch, &tags[frame.tags as usize - 1], &events[first..]);
            }
        }
        source.codec.events_in.add(frames.len() as u64);
        source.codec.events_out.add((events.len() - already) as u64);
        source.codec.duration_ns.add_time(began.elapsed());
    }

    /// Counts events that an input brought.
    fn read(&mut self, source: usize, batch: &Batch, events: &[EventId]) {
        let stats = &self.kit.sources[source].stats;
        stats.events_in.add(events.len() as u64);
        stats.events_out.add(events.len() as u64);
        if self.stats.taps.active() {
            self.stats.taps.pass(stats, batch, events);
        }
    }

    fn deliver(&mut self, batch: Batch, events: &[EventId], ack: &Arc<Ack>, ledger: &mut Ledger) {
        let mut lists: Vec<Vec<EventId>> = self.kit.outputs.iter().map(|_| Vec::new()).collect();
        route(&self.kit.routes, &batch, events, &mut lists, &mut self.spare, ledger);
        let shared = Shared::new(batch, Some(self.pool.clone()));
        for ((outlet, stats), list) in self.kit.outputs.iter().zip(lists) {
            if list.is_empty() {
                continue;
            }
            stats.events_in.add(list.len() as u64);
            if self.stats.taps.active() {
                self.stats.taps.pass(stats, &shared, &list);
            }
            outlet.send(Delivery::new(shared.clone(), list, ack.clone()));
        }
    }
}

/// Says that conditions lost events, if there is something to say.
pub(super) fn warn_of_lost(said: Option<Said>) {
    match said {
        None => {}
        Some(Said { times, seconds: None, cause }) => {
            tracing::warn!(error = cause, events = times, "cannot evaluate a condition: its event is dropped");
        }
        Some(Said { times, seconds: Some(seconds), cause }) => {
            tracing::warn!(
                error = cause,
                events = times,
                seconds,
                "still cannot evaluate conditions: their events are dropped"
            );
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
                split(branches, batch, events, &mut parts, &mut |event, error| ledger.condition_failed(event, error));
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
