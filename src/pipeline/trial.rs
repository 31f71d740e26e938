//! A pipeline's filters on the caller's thread, without inputs and outputs: for `logboom test`.

use super::route::split;
use crate::diagnostic::Diagnostic;
use crate::event::{Batch, EventId, Timestamp};
use crate::filter::common::Common;
use crate::filter::{Filter, Run};
use crate::language::plan::{self, Cond, Plan};
use crate::plugin::{Build, Built, Context, Kind, find};

enum Step {
    Filter(Box<dyn Filter>, Common),
    If(Vec<(Cond, Vec<Step>)>, Vec<Step>),
}

/// The filters of a plan.
pub struct Trial {
    steps: Vec<Step>,
    /// Conditions that could not be evaluated: their events are gone.
    pub failed: Vec<String>,
}

impl Trial {
    /// Builds the filters, or says everything that is wrong with them.
    pub fn build(plan: &Plan, context: &Context) -> Built<Trial> {
        let mut mistakes = Vec::new();
        let steps = build(&plan.filters, context, &mut mistakes);
        if mistakes.is_empty() { Ok(Trial { steps, failed: Vec::new() }) } else { Err(mistakes) }
    }

    /// Runs them over events of the batch, and flushes them as at the end of a pipeline; gives the
    /// events that come out, in the order of those that went in.
    pub fn run(&mut self, batch: &mut Batch, events: &[EventId], now: Timestamp) -> Vec<EventId> {
        let mut left = events.to_vec();
        pass(&mut self.steps, batch, &mut left, now, false, &mut self.failed);
        let mut last = Vec::new();
        pass(&mut self.steps, batch, &mut last, now, true, &mut self.failed);
        batch.order(&mut left);
        left.extend(last);
        left
    }
}

fn build(steps: &[plan::Step], context: &Context, mistakes: &mut Vec<Diagnostic>) -> Vec<Step> {
    let mut built = Vec::new();
    for step in steps {
        match step {
            plan::Step::Plugin(call) => {
                let spec = find(Kind::Filter, &call.name);
                let Some(Build::Filter(make)) = spec.map(|spec| &spec.build) else {
                    panic!("BUG: plugin `{}` passed the check", call.name)
                };
                match make(&call.options, &context.plugin(&call.id, &call.options)) {
                    Ok(filter) => built.push(Step::Filter(filter, Common::from(&call.options))),
                    Err(more) => mistakes.extend(more),
                }
            }
            plan::Step::If { branches, otherwise } => {
                let mut arm = |steps| build(steps, context, mistakes);
                let branches = branches.iter().map(|(cond, steps)| (cond.clone(), arm(steps))).collect();
                built.push(Step::If(branches, arm(otherwise)));
            }
        }
    }
    built
}

/// Runs steps over a selection, which then holds the events that go on. With `last` they are
/// flushed too; what a flush gives passes the steps behind it.
fn pass(
    steps: &mut [Step],
    batch: &mut Batch,
    events: &mut Vec<EventId>,
    now: Timestamp,
    last: bool,
    failed: &mut Vec<String>,
) {
    for step in steps {
        match step {
            Step::Filter(filter, common) => {
                let (mut matched, mut created) = (Vec::new(), Vec::new());
                filter.run(batch, &mut Run { events, matched: &mut matched, created: &mut created, now });
                common.apply(batch, &matched);
                events.retain(|&event| !batch.cancelled(event));
                events.append(&mut created);
                if last && filter.flushes() {
                    matched.clear();
                    let mut run = Run { events: &[], matched: &mut matched, created: &mut created, now };
                    filter.flush(batch, &mut run, true);
                    common.apply(batch, &matched);
                    events.append(&mut created);
                }
            }
            Step::If(branches, otherwise) => {
                let mut parts = vec![Vec::new(); branches.len() + 1];
                split(branches, batch, events, &mut parts, &mut |_, error| failed.push(error.to_string()));
                events.clear();
                let bodies = branches.iter_mut().map(|(_, steps)| steps).chain(std::iter::once(otherwise));
                for (mut part, body) in parts.into_iter().zip(bodies) {
                    pass(body, batch, &mut part, now, last, failed);
                    events.append(&mut part);
                }
            }
        }
    }
}
