//! The `json` filter: parses a field that holds JSON.
//!
//! `json { source => "message" }`, as Logstash's. Without a target the members become fields,
//! as if each was set by its name (`[a][b]` is a reference there too).

use super::common::{Name, set};
use super::{Filter, Run};
use crate::event::joda::parse_iso8601;
use crate::event::json::Parser;
use crate::event::{Batch, EventId, FieldId, FieldRef, List, Timestamp, Value, ruby};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "json",
    summary: "Parses a field that holds JSON.",
    options: &[
        Opt::idle("ecs_compatibility", Type::Enum(&["disabled", "v1", "v8"]), None, "it changes nothing here."),
        Opt::new(
            "skip_on_invalid_json",
            Type::Boolean,
            Some("false"),
            "Leaves events whose source is no JSON as they are, without tags.",
        ),
        Opt::required("source", Type::String, "The field that holds the JSON."),
        Opt::new(
            "tag_on_failure",
            Type::Array,
            Some(r#"["_jsonparsefailure"]"#),
            "Tags for events that can't be parsed.",
        ),
        Opt::new("target", Type::Field, None, "Where to put the value; without it, its members become fields."),
    ],
    examples: &[
        Example {
            title: "Members become fields",
            config: r#"json { source => "message" remove_field => ["message"] }"#,
            given: r#"{"message":"{\"status\":200,\"user\":{\"name\":\"kim\"}}"}"#,
            then: r#"{"status":200,"user":{"name":"kim"}}"#,
        },
        Example {
            title: "What is no JSON is tagged",
            config: r#"json { source => "message" target => "data" }"#,
            given: r#"{"message":"plain"}"#,
            then: r#"{"message":"plain","tags":["_jsonparsefailure"]}"#,
        },
    ],
    build: Build::Filter(build),
};

struct Plan {
    source: Name,
    target: Option<FieldRef>,
    skip: bool,
    failure: Vec<String>,
}

struct Json {
    plan: Arc<Plan>,
    parser: Parser,
    scratch: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let failure = match options.has("tag_on_failure") {
        true => options.strings("tag_on_failure"),
        false => vec!["_jsonparsefailure".to_owned()],
    };
    let plan = Plan {
        source: Name::plain(options.str("source").unwrap_or_default()),
        target: options.field("target"),
        skip: options.bool("skip_on_invalid_json", false),
        failure,
    };
    Ok(Box::new(Json { plan: Arc::new(plan), parser: Parser::default(), scratch: Vec::new() }))
}

impl Filter for Json {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            match self.one(&plan, batch, event, run.now) {
                Outcome::Matched => run.matched.push(event),
                Outcome::Skipped => {}
                Outcome::Failed => plan.failure.iter().for_each(|tag| batch.tag(event, tag)),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Json { plan: self.plan.clone(), parser: Parser::default(), scratch: Vec::new() })
    }
}

enum Outcome {
    Matched,
    Skipped,
    Failed,
}

impl Json {
    fn one(&mut self, plan: &Plan, batch: &mut Batch, event: EventId, now: Timestamp) -> Outcome {
        let Name::Fixed(source) = &plan.source else { return Outcome::Failed };
        let span = match batch.get(event, source) {
            None | Some(Value::Null | Value::Bool(false)) => return Outcome::Skipped,
            Some(Value::Str(span)) => span,
            Some(_) if plan.skip => return Outcome::Skipped,
            Some(_) => return Outcome::Failed,
        };
        let blank = batch.bytes(span).iter().all(u8::is_ascii_whitespace);
        let parsed = if blank { Ok(Value::Null) } else { self.parser.parse(batch, span) };
        match (parsed, &plan.target) {
            (Err(_), _) if plan.skip => Outcome::Skipped,
            (Ok(value), Some(target)) if set(batch, event, target, value) => Outcome::Matched,
            (Ok(Value::Object(members)), None) if self.spread(batch, event, members, now) => Outcome::Matched,
            _ => Outcome::Failed,
        }
    }

    /// Sets each member as a field, `@timestamp` last; false where Logstash raises half-way.
    fn spread(&mut self, batch: &mut Batch, event: EventId, members: List, now: Timestamp) -> bool {
        let mut timestamp = Value::Null;
        for at in 0..members.len() {
            let entry = batch.entries(members)[at];
            match entry.key {
                FieldId::TIMESTAMP => timestamp = entry.value,
                FieldId::METADATA if !matches!(entry.value, Value::Object(_)) => return false,
                FieldId::TAGS => {
                    if !set(batch, event, &FieldRef::of("tags"), entry.value) {
                        return false;
                    }
                }
                key if batch.name(key).contains(['[', ']']) => {
                    let name = batch.name(key).to_owned();
                    let Ok(field) = batch.reference(&name) else { return false };
                    if !set(batch, event, &field, entry.value) {
                        return false;
                    }
                }
                key => batch.set_key(event, key, entry.value),
            }
        }
        self.stamp(batch, event, timestamp, now);
        true
    }

    fn stamp(&mut self, batch: &mut Batch, event: EventId, timestamp: Value, now: Timestamp) {
        let at = match timestamp {
            Value::Null | Value::Bool(false) => return,
            Value::Str(span) => parse_iso8601(batch.text(span)),
            _ => None,
        };
        batch.set_key(event, FieldId::TIMESTAMP, Value::Time(at.unwrap_or(now)));
        if at.is_none() {
            batch.tag(event, "_timestampparsefailure");
            self.scratch.clear();
            ruby::write_to_s(batch, timestamp, &mut self.scratch);
            let text = Value::Str(batch.push_bytes(&self.scratch));
            batch.set_key(event, FieldId::BAD_TIMESTAMP, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{event, run, shown};

    fn check(settings: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        let matched = run(build, settings, &mut batch, event);
        assert_eq!(shown(&batch, event), after, "{settings} on {before}");
        if batch.has_tag(event, "_jsonparsefailure") {
            assert!(!matched);
        }
    }

    #[test]
    fn members_become_fields() {
        let plain = r#"{"source":"m"}"#;
        check(plain, r#"{"m":"{\"a\":{\"c\":2}}","a":{"b":1}}"#, r#"{"m":"{\"a\":{\"c\":2}}","a":{"c":2}}"#);
        check(plain, r#"{"m":" {\"m\":\"in\",\"n\":1.5} "}"#, r#"{"m":"in","n":1.5}"#);
        check(plain, r#"{"m":"{\"[x][y]\":1}"}"#, r#"{"m":"{\"[x][y]\":1}","x":{"y":1}}"#);
        check(
            plain,
            r#"{"m":"{\"tags\":[\"new\"]}","tags":["old"]}"#,
            r#"{"m":"{\"tags\":[\"new\"]}","tags":["new"]}"#,
        );
        check(plain, r#"{"x":1}"#, r#"{"x":1}"#);
        check(plain, r#"{"m":null}"#, r#"{"m":null}"#);
    }

    #[test]
    fn failures() {
        let plain = r#"{"source":"m"}"#;
        for bad in ["random", "[1]", "1", "\\\"x\\\"", "", "{\\\"a\\\":1} x", "{\\\"tags\\\":1}", "{\\\"a[\\\":1}"] {
            check(plain, &format!(r#"{{"m":"{bad}"}}"#), &format!(r#"{{"m":"{bad}","tags":["_jsonparsefailure"]}}"#));
        }
        check(plain, r#"{"m":5}"#, r#"{"m":5,"tags":["_jsonparsefailure"]}"#);
        check(r#"{"source":"m","skip_on_invalid_json":true}"#, r#"{"m":"x"}"#, r#"{"m":"x"}"#);
        check(
            r#"{"source":"m","skip_on_invalid_json":true}"#,
            r#"{"m":"[1]"}"#,
            r#"{"m":"[1]","tags":["_jsonparsefailure"]}"#,
        );
        check(r#"{"source":"m","tag_on_failure":["a","b"]}"#, r#"{"m":"x"}"#, r#"{"m":"x","tags":["a","b"]}"#);
    }

    #[test]
    fn targets() {
        let check = |target: &str, before: &str, after: &str| {
            check(&format!(r#"{{"source":"m","target":"{target}"}}"#), before, after);
        };
        check("m", r#"{"m":"{\"a\":1}"}"#, r#"{"m":{"a":1}}"#);
        check("[d][e]", r#"{"m":"[1,null]"}"#, r#"{"m":"[1,null]","d":{"e":[1,null]}}"#);
        check("m", r#"{"m":"\"t\""}"#, r#"{"m":"t"}"#);
        check("tags", r#"{"m":"{}"}"#, r#"{"m":"{}","tags":["_jsonparsefailure"]}"#);
    }

    #[test]
    fn timestamps() {
        let mut batch = Batch::new();
        for (value, want) in [("\"2013-10-19T00:14:32.996Z\"", Some(1_382_141_672_996)), ("17", None), ("\"x\"", None)]
        {
            let event = batch.new_event();
            let text = batch.str(&format!("{{\"@timestamp\":{value}}}"));
            batch.set_key(event, FieldId::MESSAGE, text);
            assert!(run(build, r#"{"source":"message"}"#, &mut batch, event));
            // The time that the tests go by.
            let want = want.unwrap_or(1_466_000_000_000);
            assert_eq!(batch.timestamp(event), Some(Timestamp::from_millis(want)));
            assert_eq!(batch.has_tag(event, "_timestampparsefailure"), want == 1_466_000_000_000);
        }
    }
}
