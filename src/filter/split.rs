//! The `split` filter: makes several events of one, by the elements of an array or the parts of
//! a text.
//!
//! `split { field => "[records]" }`, as Logstash's. Parts that are empty or null make no event;
//! the event that was split is gone, so that one with nothing in the field vanishes.

use super::common::{field, set};
use super::{Filter, Run};
use crate::event::{Batch, EventId, FieldRef, Span, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};

/// The tag of events whose field is neither text nor array.
const FAILURE: &str = "_split_type_failure";

pub(super) static SPEC: Spec = Spec {
    name: "split",
    summary: "Makes several events of one, by the elements of an array or the parts of a text.",
    options: &[
        Opt::new("field", Type::Field, Some("message"), "The field to split."),
        Opt::new("target", Type::Field, None, "Where each part goes; without it, into the field that was split."),
        Opt::new("terminator", Type::String, Some(r#""\n""#), "What stands between the parts of a text."),
    ],
    examples: &[
        Example {
            title: "An event for each element",
            config: r#"split { field => "records" target => "record" remove_field => ["records"] }"#,
            given: r#"{"host":"a","records":[{"id":1},{"id":2}]}"#,
            then: "{\"host\":\"a\",\"record\":{\"id\":1}}\n{\"host\":\"a\",\"record\":{\"id\":2}}",
        },
        Example {
            title: "An event for each part of a text",
            config: r#"split { terminator => ";" }"#,
            given: r#"{"message":"a;b;"}"#,
            then: "{\"message\":\"a\"}\n{\"message\":\"b\"}",
        },
    ],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct Split {
    field: FieldRef,
    target: Option<FieldRef>,
    terminator: String,
    parts: Vec<Value>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    Ok(Box::new(Split {
        field: field(options, "field", "message"),
        target: options.field("target"),
        terminator: options.str("terminator").unwrap_or("\n").to_owned(),
        parts: Vec::new(),
    }))
}

impl Filter for Split {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            self.one(batch, event, run);
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Split {
    fn one(&mut self, batch: &mut Batch, event: EventId, run: &mut Run) {
        self.parts.clear();
        match batch.get(event, &self.field) {
            Some(Value::Array(list)) => {
                self.parts.extend(batch.entries(list).iter().map(|entry| entry.value));
                if self.target.is_none() {
                    batch.remove(event, &self.field);
                }
            }
            Some(Value::Str(span)) => {
                cut(batch.text(span), span, &self.terminator, &mut self.parts);
                if self.parts.len() == 1 {
                    return;
                }
            }
            _ => return batch.tag(event, FAILURE),
        }
        let target = self.target.as_ref().unwrap_or(&self.field);
        for &part in &self.parts {
            if part == Value::Null || matches!(part, Value::Str(span) if span.is_empty()) {
                continue;
            }
            let made = batch.clone_event(event);
            run.created.push(made);
            match set(batch, made, target, part) {
                true => run.matched.push(made),
                false => batch.tag(made, FAILURE),
            }
        }
        batch.cancel(event);
    }
}

/// The parts of a text, empty ones too, as Ruby's `split(terminator, -1)`: of no text none, and
/// one space stands for any run of white space.
fn cut(text: &str, span: Span, terminator: &str, parts: &mut Vec<Value>) {
    if text.is_empty() {
        return;
    }
    let white = |c: char| c.is_ascii_whitespace() || c == '\x0b';
    let start = text.as_ptr() as usize;
    let mut part = |part: &str| {
        let at = part.as_ptr() as usize - start;
        parts.push(Value::Str(span.slice(at, at + part.len())));
    };
    if terminator != " " {
        return text.split(terminator).for_each(part);
    }
    let mut rest = text.trim_start_matches(white);
    while let Some(end) = rest.find(white) {
        part(&rest[..end]);
        rest = rest[end..].trim_start_matches(white);
    }
    part(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::filter::common::tests::{context, event, options, shown};

    /// What comes out, the event itself first where it is left.
    fn check(settings: &str, before: &str, after: &[&str]) {
        let mut filter = build(&options(settings), &context()).unwrap_or_else(|_| panic!("{settings}"));
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::from_millis(0);
        filter.run(&mut batch, &mut Run { events: &[event], matched: &mut matched, created: &mut created, now });
        let left = [event].into_iter().filter(|&event| !batch.cancelled(event));
        let found: Vec<String> = left.chain(created.iter().copied()).map(|event| shown(&batch, event)).collect();
        assert_eq!(found, after, "{settings} on {before}");
    }

    #[test]
    fn texts() {
        let m = |text: &str| format!(r#"{{"message":"{text}"}}"#);
        check("{}", &m("a\\n\\nb\\n"), &[&m("a"), &m("b")]);
        check("{}", &m("a"), &[&m("a")]);
        check("{}", &m(""), &[]);
        check("{}", &m("\\n"), &[]);
        check(r#"{"terminator":"--"}"#, &m("a--b-c"), &[&m("a"), &m("b-c")]);
        check(r#"{"terminator":" "}"#, &m("  a \\t b "), &[&m("a"), &m("b")]);
        check(r#"{"terminator":" "}"#, &m(" a"), &[&m(" a")]);
        check(r#"{"terminator":""}"#, &m("aé"), &[&m("a"), &m("é")]);
    }

    #[test]
    fn arrays() {
        check(
            r#"{"field":"l"}"#,
            r#"{"l":[1,null,"",{"a":2}],"x":0}"#,
            &[r#"{"x":0,"l":1}"#, r#"{"x":0,"l":{"a":2}}"#],
        );
        check(r#"{"field":"l"}"#, r#"{"l":["one"]}"#, &[r#"{"l":"one"}"#]);
        check(r#"{"field":"l"}"#, r#"{"l":[]}"#, &[]);
        check(r#"{"field":"[a][l]","target":"e"}"#, r#"{"a":{"l":[1]}}"#, &[r#"{"a":{"l":[1]},"e":1}"#]);
    }

    #[test]
    fn failures() {
        check("{}", r#"{"message":5}"#, &[r#"{"message":5,"tags":["_split_type_failure"]}"#]);
        check("{}", r#"{"message":null}"#, &[r#"{"message":null,"tags":["_split_type_failure"]}"#]);
        let target = r#"{"target":"[x][y]"}"#;
        check(
            target,
            r#"{"message":"a\nb","x":1}"#,
            &[
                r#"{"message":"a\nb","x":1,"tags":["_split_type_failure"]}"#,
                r#"{"message":"a\nb","x":1,"tags":["_split_type_failure"]}"#,
            ],
        );
    }
}
