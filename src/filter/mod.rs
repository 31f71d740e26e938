//! Change: filters work on a batch's events. One file per filter.

pub mod common;
mod date;
mod drop;
mod grok;
mod json;
mod mutate;

use crate::event::{Batch, EventId, Timestamp};
use crate::plugin::Spec;

/// Every filter, in alphabetical order. To add one: write its file, add its line here.
pub static FILTERS: &[&Spec] = &[&date::SPEC, &drop::SPEC, &grok::SPEC, &json::SPEC, &mutate::SPEC];

/// A filter as one worker has it.
pub trait Filter: Send {
    /// Runs over `run.events`, none of which is cancelled. Must push to `run.matched` each event
    /// on which it succeeded: on those the common options (`add_field` …) are applied after it,
    /// in [`crate::filter`]'s order. Events that it makes go to `run.created`; they go on
    /// behind the ones that were there. It must not block, except for filters whose job it is.
    fn run(&mut self, batch: &mut Batch, run: &mut Run);

    /// The same filter for another worker. What is dear to build (patterns, tables) and what
    /// workers share (counters) is shared behind an `Arc`.
    fn fork(&self) -> Box<dyn Filter>;
}

/// One call of a filter.
pub struct Run<'a> {
    /// The events to work on.
    pub events: &'a [EventId],
    /// The events on which it succeeded.
    pub matched: &'a mut Vec<EventId>,
    /// Events that it made.
    pub created: &'a mut Vec<EventId>,
    /// The time to go by.
    pub now: Timestamp,
}

#[cfg(test)]
mod tests;
