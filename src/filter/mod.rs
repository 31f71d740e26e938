//! Change: filters work on a batch's events. One file per filter.

mod address;
mod age;
mod aggregate;
mod alter;
mod anonymize;
mod bytes;
mod cidr;
mod cipher;
mod client;
mod clone;
pub mod common;
mod csv;
mod date;
mod de_dot;
pub mod derive;
mod digest;
mod dissect;
mod dns;
mod drop;
mod elapsed;
mod elasticsearch;
mod environment;
mod extractnumbers;
mod fingerprint;
mod geoip;
pub mod grok;
mod http;
mod json;
mod json_encode;
mod kv;
mod metrics;
mod mutate;
mod prune;
mod range;
mod refresh;
mod sleep;
mod split;
mod syslog_pri;
mod throttle;
mod tld;
mod translate;
mod truncate;
mod urldecode;
mod useragent;
mod uuid;
mod xml;

use crate::event::{Batch, EventId, Timestamp};
use crate::plugin::Spec;
use std::any::Any;
use std::time::Duration;

/// Every filter, in alphabetical order. To add one: write its file, add its line here.
pub static FILTERS: &[&Spec] = &[
    &age::SPEC,
    &aggregate::SPEC,
    &alter::SPEC,
    &anonymize::SPEC,
    &bytes::SPEC,
    &cidr::SPEC,
    &cipher::SPEC,
    &clone::SPEC,
    &csv::SPEC,
    &date::SPEC,
    &de_dot::SPEC,
    &derive::SPEC,
    &dissect::SPEC,
    &dns::SPEC,
    &drop::SPEC,
    &elapsed::SPEC,
    &elasticsearch::SPEC,
    &environment::SPEC,
    &extractnumbers::SPEC,
    &fingerprint::SPEC,
    &geoip::SPEC,
    &grok::SPEC,
    &http::SPEC,
    &json::SPEC,
    &json_encode::SPEC,
    &kv::SPEC,
    &metrics::SPEC,
    &mutate::SPEC,
    &prune::SPEC,
    &range::SPEC,
    &sleep::SPEC,
    &split::SPEC,
    &syslog_pri::SPEC,
    &throttle::SPEC,
    &tld::SPEC,
    &translate::SPEC,
    &truncate::SPEC,
    &urldecode::SPEC,
    &useragent::SPEC,
    &uuid::SPEC,
    &xml::SPEC,
];

/// How often filters that hold something back are flushed, as in Logstash.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

/// A filter as one worker has it.
pub trait Filter: Any + Send {
    /// Runs over `run.events`, none of which is cancelled. Must push to `run.matched` each event
    /// on which it succeeded: on those the common options (`add_field` …) are applied after it,
    /// in [`crate::filter`]'s order. Events that it makes go to `run.created`; they go on
    /// behind the ones that were there. It must not block, except for filters whose job it is.
    fn run(&mut self, batch: &mut Batch, run: &mut Run);

    /// The same filter for another worker. What is dear to build (patterns, tables) and what
    /// workers share (counters) is shared behind an `Arc`.
    fn fork(&self) -> Box<dyn Filter>;

    /// Called when the batch that [`Filter::run`] saw is through all filters, before it is
    /// acknowledged, for filters that keep account of what is durable.
    fn settle(&mut self, _ack: &crate::pipeline::Ack) {}

    /// Takes over the work of the filter that follows, which then does nothing, if one look at the
    /// events serves both. Both are as [`Filter::fork`] made them, and see the same events as they are.
    fn join(&mut self, _next: &mut dyn Filter) -> bool {
        false
    }

    /// Whether [`Filter::flush`] has something to do.
    fn flushes(&self) -> bool {
        false
    }

    /// Called on one worker's filter for all of them, every [`FLUSH_INTERVAL`] and, with `last`,
    /// once after the last event: time to let go of what is held back. There are no `run.events`;
    /// what goes to `run.created` passes the filters behind this one, and on those of
    /// `run.matched` the common options are applied. No input's position waits for these events.
    fn flush(&mut self, _batch: &mut Batch, _run: &mut Run, _last: bool) {}
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
