//! The filter section as one worker has it: which filters events go through, and running them.

use super::ack::Ack;
use super::route::split;
use super::worker::{Ledger, Spare};
use crate::event::{Batch, EventId, Timestamp};
use crate::filter::common::Common;
use crate::filter::{Filter, Run};
use crate::language::plan::Cond;
use crate::metric::pipeline::PluginStats;
use crate::metric::tap::Taps;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    pub(super) fn settle(&mut self, ack: &Ack) {
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
pub(super) enum Flush {
    None,
    Periodic,
    /// Of the filters that the next configuration does not have.
    Retired,
    Last,
}

/// What filters go by at present.
#[derive(Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) now: Timestamp,
    pub(super) flush: Flush,
    /// Somebody looks at events.
    pub(super) taps: Option<&'a Taps>,
}

/// Runs steps over a selection; afterwards it holds the events that go on, in order. In a flush,
/// steps are also asked for what they hold back.
pub(super) fn filter(
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
