//! The `elapsed` filter: the time between a start event and an end event.
//!
//! `elapsed { start_tag => "start" end_tag => "end" unique_id_field => "task" }`, as Logstash's: events are told
//! apart by their tags and belong together by a field. Start events wait in memory, for all workers
//! together: a restart forgets them.

use super::common::{field, new_event, set};
use super::{Filter, Run};
use crate::event::json::{self, Parser};
use crate::event::{Batch, EventId, FieldRef, Timestamp, Value};
use crate::metric::identity::hostname;
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Instant;

/// Start events that wait at the most; further ones are not waited for.
const STARTS_MAX: usize = 1_000_000;

pub(super) static SPEC: Spec = Spec {
    name: "elapsed",
    summary: "Measures the time between a start event and an end event.",
    options: &[
        Opt::required("end_tag", Type::String, "The tag of end events."),
        Opt::new(
            "keep_start_event",
            Type::Enum(&["first", "last"]),
            Some("first"),
            "Which of several start events counts.",
        ),
        Opt::new(
            "new_event_on_match",
            Type::Boolean,
            Some("false"),
            "Whether the time goes into an event of its own, instead of the end event.",
        ),
        Opt::required("start_tag", Type::String, "The tag of start events."),
        Opt::new("timeout", Type::Number, Some("1800"), "After how many seconds an event says that no end came."),
        Opt::required("unique_id_field", Type::Field, "The field in which a start and its end agree."),
    ],
    examples: &[Example {
        title: "Seconds from start to end",
        config: r#"elapsed { start_tag => "start" end_tag => "end" unique_id_field => "task" }"#,
        given: "{\"tags\":[\"start\"],\"task\":7,\"@timestamp\":\"2024-01-01T00:00:00Z\"}\n{\"tags\":[\"end\"],\"task\":7,\"@timestamp\":\"2024-01-01T00:00:02.5Z\"}",
        then: "{\"task\":7}\n{\"task\":7,\"tags\":[\"end\",\"elapsed\",\"elapsed_match\"],\"elapsed_time\":2.5}",
    }],
    build: Build::Filter(build),
};

struct Plan {
    start: String,
    end: String,
    id: FieldRef,
    timeout: u64,
    own_event: bool,
    keep_first: bool,
    host: String,
}

/// A start event that waits.
#[derive(Clone, Copy)]
struct Start {
    at: Timestamp,
    seen: Instant,
}

/// By the id, written as JSON.
type Starts = FxHashMap<Box<[u8]>, Start>;

struct Elapsed {
    plan: Arc<Plan>,
    starts: Arc<Mutex<Starts>>,
    scratch: Vec<u8>,
    parser: Parser,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let text = |name| options.str(name).unwrap_or_default().to_owned();
    let plan = Plan {
        start: text("start_tag"),
        end: text("end_tag"),
        id: field(options, "unique_id_field", "id"),
        timeout: options.number("timeout").unwrap_or(1800.0) as u64,
        own_event: options.bool("new_event_on_match", false),
        keep_first: options.str("keep_start_event") != Some("last"),
        host: hostname(),
    };
    Ok(Box::new(Elapsed::new(Arc::new(plan), Arc::default())))
}

impl Filter for Elapsed {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let (plan, starts) = (self.plan.clone(), self.starts.clone());
        for &event in run.events {
            let id = match batch.get(event, &plan.id) {
                None | Some(Value::Null) => continue,
                Some(id) => id,
            };
            let at = batch.timestamp(event).unwrap_or(run.now);
            self.scratch.clear();
            json::write_value(batch, id, &mut self.scratch);
            if batch.has_tag(event, &plan.start) {
                run.matched.push(event);
                keep(&mut starts.lock(), &self.scratch, Start { at, seen: Instant::now() }, plan.keep_first);
            } else if batch.has_tag(event, &plan.end) {
                run.matched.push(event);
                let Some(start) = starts.lock().remove(&self.scratch[..]) else {
                    batch.tag(event, "elapsed_end_without_start");
                    continue;
                };
                let target = if plan.own_event { self.own(batch, event, run) } else { event };
                let nanos = at.nanos().saturating_sub(start.at.nanos());
                ["elapsed", "elapsed_match"].iter().for_each(|tag| batch.tag(target, tag));
                fill(batch, target, &plan.id, Value::Float(nanos as f64 / 1e9), id, start.at);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Elapsed::new(self.plan.clone(), self.starts.clone()))
    }

    fn flushes(&self) -> bool {
        true
    }

    fn flush(&mut self, batch: &mut Batch, run: &mut Run, _: bool) {
        let now = Instant::now();
        let mut expired = Vec::new();
        self.starts.lock().retain(|id, start| {
            let age = now.duration_since(start.seen).as_secs();
            if age >= self.plan.timeout {
                expired.push((id.clone(), start.at, age));
            }
            age < self.plan.timeout
        });
        for (id, at, age) in expired {
            let event = new_event(batch, run.now);
            ["elapsed", "elapsed_expired_error"].iter().for_each(|tag| batch.tag(event, tag));
            let host = batch.str(&self.plan.host);
            set(batch, event, &FieldRef::of("host"), host);
            let id = batch.push_bytes(&id);
            let id = self.parser.parse(batch, id).unwrap_or(Value::Null);
            fill(batch, event, &self.plan.id, Value::Int(age as i64), id, at);
            run.created.push(event);
            run.matched.push(event);
        }
    }
}

impl Elapsed {
    fn new(plan: Arc<Plan>, starts: Arc<Mutex<Starts>>) -> Elapsed {
        Elapsed { plan, starts, scratch: Vec::new(), parser: Parser::default() }
    }

    /// An event of its own for what was measured.
    fn own(&self, batch: &mut Batch, end: EventId, run: &mut Run) -> EventId {
        let event = batch.new_event_from(end);
        super::common::stamp(batch, event, run.now);
        let host = batch.str(&self.plan.host);
        set(batch, event, &FieldRef::of("host"), host);
        run.created.push(event);
        run.matched.push(event);
        event
    }
}

/// Waits for the end of a start.
fn keep(starts: &mut Starts, id: &[u8], start: Start, first: bool) {
    if let Some(known) = starts.get_mut(id) {
        if !first {
            *known = start;
        }
    } else if starts.len() < STARTS_MAX {
        starts.insert(id.into(), start);
    } else {
        tracing::warn!(starts = STARTS_MAX, "elapsed: too many start events wait, a further one is not waited for");
    }
}

fn fill(batch: &mut Batch, event: EventId, id_field: &FieldRef, time: Value, id: Value, start: Timestamp) {
    set(batch, event, &FieldRef::of("elapsed_time"), time);
    set(batch, event, id_field, id);
    set(batch, event, &FieldRef::of("elapsed_timestamp_start"), Value::Time(start));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldId;
    use crate::filter::common::tests::{context, event, options, shown};

    /// Runs events, then a flush; gives what comes out, without what each event has.
    fn through(settings: &str, given: &[&str]) -> Vec<String> {
        let settings = format!(r#"{{"start_tag":"s","end_tag":"e","unique_id_field":"id"{settings}}}"#);
        let mut filter = build(&options(&settings), &context()).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let mut batch = Batch::new();
        let mut out = Vec::new();
        for (at, json) in given.iter().enumerate() {
            let event = event(&mut batch, json);
            batch.set_key(event, FieldId::TIMESTAMP, Value::Time(Timestamp::new(at as i64, 0)));
            out.push(event);
        }
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::from_millis(0);
        let mut run = Run { events: &out.clone(), matched: &mut matched, created: &mut created, now };
        filter.run(&mut batch, &mut run);
        run.events = &[];
        filter.flush(&mut batch, &mut run, true);
        out.extend(created);
        for &event in &out {
            [FieldId::TIMESTAMP, FieldId::VERSION, FieldId::HOST].into_iter().for_each(|key| {
                batch.remove_key(event, key);
            });
        }
        out.iter().map(|&event| shown(&batch, event)).collect()
    }

    const START: &str = r#"{"tags":["s"],"id":"a"}"#;
    const END: &str = r#"{"tags":["e"],"id":"a"}"#;

    #[test]
    fn times_between() {
        let found = through("", &[START, START, END, END]);
        assert!(
            found[2].contains(r#""tags":["e","elapsed","elapsed_match"],"id":"a","elapsed_time":2.0"#),
            "{found:?}"
        );
        assert!(found[2].contains(r#""elapsed_timestamp_start":"1970-01-01T00:00:00.000Z""#), "{found:?}");
        assert_eq!(found[3], r#"{"tags":["e","elapsed_end_without_start"],"id":"a"}"#);
        let found = through(r#","keep_start_event":"last""#, &[START, START, END]);
        assert!(found[2].contains(r#""elapsed_time":1.0"#), "{found:?}");
        let found = through("", &[START, r#"{"tags":["e"],"id":"b"}"#, r#"{"tags":["e"]}"#]);
        assert!(found[1].contains("elapsed_end_without_start") && found[2] == r#"{"tags":["e"]}"#, "{found:?}");
    }

    #[test]
    fn events_of_their_own() {
        let found = through(r#","new_event_on_match":true"#, &[START, END]);
        assert_eq!(found.len(), 3);
        assert_eq!(found[1], END);
        assert!(
            found[2].starts_with(r#"{"tags":["elapsed","elapsed_match"],"elapsed_time":1.0,"id":"a""#),
            "{found:?}"
        );
    }

    #[test]
    fn starts_without_an_end_expire() {
        let found = through(r#","timeout":0"#, &[r#"{"tags":["s"],"id":{"x":[1,"y"]}}"#]);
        assert!(
            found[1].starts_with(r#"{"tags":["elapsed","elapsed_expired_error"],"elapsed_time":0,"id":{"x":[1,"y"]}"#),
            "{found:?}"
        );
        assert_eq!(through(r#","timeout":60"#, &[START]).len(), 1);
    }
}
