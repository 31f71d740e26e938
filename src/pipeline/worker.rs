//! A worker: takes a batch → decode → filter → route → hand to outputs, on one thread, to the end.
//!
//! Nothing here allocates per event: selections and scratch lists are kept between batches.

use super::ack::{Ack, Delivery, Pool, Shared};
use super::defaults::Defaults;
use super::feed::Work;
use super::flush::Flushes;
use super::outlet::Outlet;
use super::repeated::{Repeated, Said};
use super::route::{CondError, split};
use crate::codec::Decoder;
use crate::event::{Batch, EventId, Timestamp};
use crate::filter::common::Common;
use crate::filter::{Filter, Run};
use crate::language::plan::Cond;
use crate::metric::Deriver;
use crate::metric::pipeline::{PipelineStats, PluginStats, now_ns};
use crate::metric::tap::Taps;
use crossbeam::channel::{Receiver, RecvError, select};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// One step of the filter section, as one worker has it.
pub(super) enum Step {
    Filter {
        filter: Box<dyn Filter>,
        common: Common,
        stats: Arc<PluginStats>,
        /// What it was built from.
        print: u64,
        /// The configuration no longer has it; shared by all workers'.
        retired: Arc<AtomicBool>,
    },
    If {
        branches: Vec<(Cond, Vec<Step>)>,
        otherwise: Vec<Step>,
    },
}

impl Step {
    fn settle(&mut self, ack: &Ack) {
        match self {
            Step::Filter { filter, .. } => filter.settle(ack),
            Step::If { branches, otherwise } => {
                let bodies = branches.iter_mut().map(|(_, steps)| steps).chain(std::iter::once(otherwise));
                bodies.flatten().for_each(|step| step.settle(ack));
            }
        }
    }

    pub(super) fn fork(&self) -> Step {
        let fork = |steps: &Vec<Step>| steps.iter().map(Step::fork).collect();
        match self {
            Step::Filter { filter, common, stats, print, retired } => Step::Filter {
                filter: filter.fork(),
                common: common.clone(),
                stats: stats.clone(),
                print: *print,
                retired: retired.clone(),
            },
            Step::If { branches, otherwise } => Step::If {
                branches: branches.iter().map(|(cond, steps)| (cond.clone(), fork(steps))).collect(),
                otherwise: fork(otherwise),
            },
        }
    }

    /// Lets filters that follow each other share work. Not those that later configurations may keep
    /// without the other, but those that one worker gets of them.
    pub(super) fn join(steps: &mut [Step]) {
        let mut first = 0;
        for next in 1..steps.len() {
            let (before, behind) = steps.split_at_mut(next);
            // What a filter's common options change the next one must see.
            let unchanged = matches!(&before[next - 1], Step::Filter { common, .. } if common.is_empty());
            let joined = match (&mut before[first], &mut behind[0]) {
                (Step::Filter { filter, .. }, Step::Filter { filter: next, .. }) => {
                    unchanged && filter.join(next.as_mut())
                }
                _ => false,
            };
            if !joined {
                first = next;
            }
        }
        for step in steps {
            if let Step::If { branches, otherwise } = step {
                branches.iter_mut().for_each(|(_, steps)| Step::join(steps));
                Step::join(otherwise);
            }
        }
    }

    /// The mark of a filter that the configuration no longer has.
    pub(super) fn retired(&self) -> Option<&Arc<AtomicBool>> {
        match self {
            Step::Filter { retired, .. } => Some(retired),
            Step::If { .. } => None,
        }
    }

    /// Calls `visit` with every filter in it.
    pub(super) fn each_filter<'a>(&'a self, visit: &mut dyn FnMut(&'a Step)) {
        match self {
            Step::Filter { .. } => visit(self),
            Step::If { branches, otherwise } => {
                branches.iter().flat_map(|(_, steps)| steps).chain(otherwise).for_each(|step| step.each_filter(visit));
            }
        }
    }
}

/// Which flush is under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    None,
    Periodic,
    /// Of the filters that the next configuration does not have.
    Retired,
    Last,
}

/// What filters go by at present.
#[derive(Clone, Copy)]
struct Moment<'a> {
    now: Timestamp,
    flush: Flush,
    /// Somebody looks at events.
    taps: Option<&'a Taps>,
}

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

/// What a worker shall do next.
pub(super) enum Order {
    /// Go on by another configuration.
    Use(Kit),
    /// End.
    End,
}

/// How a worker is told to change. A newer order takes the place of one that it has not seen yet,
/// so that a worker that is held up by an output keeps no line of configurations waiting.
pub(super) struct Command {
    order: Mutex<Option<Order>>,
    given: AtomicBool,
    wake: crossbeam::channel::Sender<()>,
}

impl Command {
    /// A command, and what wakes its worker.
    pub(super) fn new() -> (Arc<Command>, Receiver<()>) {
        let (wake, woken) = crossbeam::channel::bounded(1);
        (Arc::new(Command { order: Mutex::new(None), given: AtomicBool::new(false), wake }), woken)
    }

    /// Gives an order.
    pub(super) fn give(&self, order: Order) {
        let old = self.order.lock().replace(order);
        self.given.store(true, Ordering::Release);
        let _awake = self.wake.try_send(());
        drop(old);
    }

    fn take(&self) -> Option<Order> {
        if !self.given.load(Ordering::Acquire) {
            return None;
        }
        let mut order = self.order.lock();
        self.given.store(false, Ordering::Release);
        order.take()
    }
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
    /// Why the last of them was lost.
    error: Option<CondError>,
}

impl Ledger {
    /// A condition that can't be evaluated loses its event, as in Logstash.
    fn condition_failed(&mut self, event: EventId, error: CondError) {
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
        let events = self.spare.take();
        self.filter(batch, events, &Ack::none(), now, flush);
        self.stats.duration_ns.add_time(began.elapsed());
    }

    fn batch(&mut self, Work { mut batch, input, ack }: Work) {
        let began = now_ns();
        self.clock.store(began, Ordering::Relaxed);
        let now = batch.read_at.unwrap_or_else(Timestamp::now);
        let mut events = self.spare.take();
        self.decode(&mut batch, input, now, &mut events);
        self.filter(batch, events, &ack, now, Flush::None);
        ack.done();
        self.clock.store(0, Ordering::Relaxed);
        self.stats.duration_ns.add(now_ns() - began);
    }

    /// From decoded events to the outputs.
    fn filter(&mut self, mut batch: Batch, mut events: Vec<EventId>, ack: &Arc<Ack>, now: Timestamp, flush: Flush) {
        let mut ledger = Ledger { read: events.len() as u64, ..Ledger::default() };
        self.stats.in_flight.add(ledger.read as i64);
        let taps = self.stats.taps.active().then_some(&self.stats.taps);
        let looked = taps.map(|taps| taps.before(None, &batch, &events));
        let moment = Moment { now, flush, taps };
        filter(&mut self.kit.filters, &mut batch, &mut events, moment, &mut self.spare, &mut ledger);
        if let (Some(taps), Some(looked)) = (taps, looked) {
            taps.after(looked, None, &batch, &events);
        }
        if self.kit.ordered {
            batch.order(&mut events);
        }
        if self.kit.observe {
            self.deriver.observe(&batch, &events, now);
            self.deriver.settle(ack);
        }
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

    fn decode(&mut self, batch: &mut Batch, input: u64, now: Timestamp, events: &mut Vec<EventId>) {
        let source = self.kit.sources.iter_mut().find(|source| source.input == input);
        let source = source.expect("BUG: a batch of an input that no configuration has");
        source.queued.fetch_sub(1, Ordering::Release);
        self.stats.queue.add(-1);
        self.stats.queue_events.add(-(batch.waiting() as i64));
        // What another pipeline sent is decoded already.
        events.extend(0..batch.len() as EventId);
        source.defaults.begin(batch, now);
        source.defaults.apply(batch, events, u32::MAX);
        let (frames, tags) = (std::mem::take(&mut batch.frames), std::mem::take(&mut batch.frame_tags));
        let (began, already) = (Instant::now(), events.len());
        for &frame in &frames {
            let first = events.len();
            source.decoder.decode(batch, frame, events);
            source.defaults.apply(batch, &events[first..], frame.origin);
            if frame.tags != 0 {
                tag(batch, &tags[frame.tags as usize - 1], &events[first..]);
            }
        }
        if !frames.is_empty() {
            source.codec.events_in.add(frames.len() as u64);
            source.codec.events_out.add((events.len() - already) as u64);
            source.codec.duration_ns.add_time(began.elapsed());
        }
        (batch.frames, batch.frame_tags) = (frames, tags);
        source.stats.events_in.add(events.len() as u64);
        source.stats.events_out.add(events.len() as u64);
        if self.stats.taps.active() {
            self.stats.taps.pass(&source.stats, batch, events);
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

/// Runs steps over a selection; afterwards it holds the events that go on, in order. In a flush,
/// steps are also asked for what they hold back.
fn filter(
    steps: &mut [Step],
    batch: &mut Batch,
    events: &mut Vec<EventId>,
    moment: Moment<'_>,
    spare: &mut Spare,
    ledger: &mut Ledger,
) {
    for step in steps {
        if events.is_empty() && moment.flush == Flush::None {
            return;
        }
        match step {
            Step::Filter { filter, common, stats, retired, .. } => {
                // What the next configuration has too goes on holding what it holds.
                let stays = moment.flush == Flush::Retired && !retired.load(Ordering::Acquire);
                let moment = if stays { Moment { flush: Flush::None, ..moment } } else { moment };
                ledger.created += run(filter, common, stats, batch, events, moment, spare)
            }
            Step::If { branches, otherwise } => {
                let mut parts = spare.take_parts(branches.len() + 1);
                split(branches, batch, events, &mut parts, &mut |event, error| ledger.condition_failed(event, error));
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
    moment: Moment<'_>,
    spare: &mut Spare,
) -> u64 {
    let looked = moment.taps.map(|taps| taps.before(Some(&stats.id), batch, events));
    let began = Instant::now();
    let cancelled = batch.cancellations();
    let (mut matched, mut created) = (spare.take(), spare.take());
    let mut run = Run { events, matched: &mut matched, created: &mut created, now: moment.now };
    if !run.events.is_empty() {
        filter.run(batch, &mut run);
    }
    if moment.flush != Flush::None && filter.flushes() {
        run.events = &[];
        filter.flush(batch, &mut run, moment.flush != Flush::Periodic);
    }
    common.apply(batch, &matched);
    stats.events_in.add(events.len() as u64);
    if batch.cancellations() != cancelled {
        events.retain(|&event| !batch.cancelled(event));
    }
    events.extend_from_slice(&created);
    stats.events_out.add(events.len() as u64);
    stats.duration_ns.add_time(began.elapsed());
    if let (Some(taps), Some(looked)) = (moment.taps, looked) {
        taps.after(looked, Some(stats), batch, &created);
    }
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
