//! The `truncate` filter: cuts texts to a number of bytes.
//!
//! `truncate { fields => ["message"] length_bytes => 1000 }`, as Logstash's. No character is cut
//! in two; the common options apply only to events in which something was cut.

use super::common::{fields, set};
use super::{Filter, Run};
use crate::event::{Batch, EventId, FieldId, FieldRef, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "truncate",
    summary: "Cuts texts to a number of bytes.",
    options: &[
        Opt::new("fields", Type::Array, None, "The fields to cut; without it, all texts of the event."),
        Opt::required("length_bytes", Type::Number, "How many bytes of a text stay at the most."),
    ],
    examples: &[Example {
        title: "Cut between characters",
        config: r#"truncate { fields => ["title"] length_bytes => 4 add_tag => ["cut"] }"#,
        given: r#"{"title":"née Kim","note":"not looked at"}"#,
        then: r#"{"title":"née","note":"not looked at","tags":["cut"]}"#,
    }],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct Truncate {
    fields: Option<Arc<[FieldRef]>>,
    length: i64,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let fields = if options.has("fields") { Some(fields(options, "fields")?.into()) } else { None };
    let length = options.number("length_bytes").unwrap_or_default() as i64;
    Ok(Box::new(Truncate { fields, length }))
}

impl Filter for Truncate {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            let cut = match &self.fields {
                Some(fields) => fields.iter().fold(false, |cut, field| self.field(batch, event, field) | cut),
                None => self.all(batch, event),
            };
            if cut {
                run.matched.push(event);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Truncate {
    fn field(&self, batch: &mut Batch, event: EventId, field: &FieldRef) -> bool {
        let Some(value) = batch.get(event, field) else { return false };
        self.cut(batch, value).is_some_and(|new| set(batch, event, field, new))
    }

    fn all(&self, batch: &mut Batch, event: EventId) -> bool {
        let mut any = false;
        for at in 0..batch.fields(event).len() {
            let entry = batch.fields(event)[at];
            if entry.key == FieldId::METADATA {
                continue;
            }
            if let Some(new) = self.cut(batch, entry.value) {
                batch.set_key(event, entry.key, new);
                any = true;
            }
        }
        any
    }

    /// The value with its texts cut; `None` where there is nothing to cut. Texts in arrays are
    /// cut, but not those deeper in them.
    fn cut(&self, batch: &mut Batch, value: Value) -> Option<Value> {
        let (list, deep) = match value {
            Value::Str(span) if i64::from(span.len) <= self.length => return None,
            // What Logstash does.
            Value::Str(_) if self.length < 0 => return Some(Value::Null),
            Value::Str(span) => {
                let text = batch.text(span);
                let mut end = self.length as usize;
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                return Some(Value::Str(span.slice(0, end)));
            }
            Value::Array(list) => (list, false),
            Value::Object(list) => (list, true),
            _ => return None,
        };
        let mut copy = None;
        for at in 0..list.len() {
            let value = batch.entries(list)[at].value;
            if !deep && !matches!(value, Value::Str(_)) {
                continue;
            }
            if let Some(new) = self.cut(batch, value) {
                copy.get_or_insert_with(|| batch.entries(list).to_vec())[at].value = new;
            }
        }
        let copy = batch.list(&copy?);
        Some(if deep { Value::Object(copy) } else { Value::Array(copy) })
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
        assert_eq!(matched, before != after, "{settings} on {before}");
    }

    #[test]
    fn fields_are_cut() {
        let three = r#"{"length_bytes":3,"fields":["a","[n][x]"]}"#;
        check(three, r#"{"a":"abcd","b":"abcd"}"#, r#"{"a":"abc","b":"abcd"}"#);
        check(three, r#"{"n":{"x":"aé€","y":"abcd"}}"#, r#"{"n":{"x":"aé","y":"abcd"}}"#);
        check(three, r#"{"a":["abcd",["abcd"],1234]}"#, r#"{"a":["abc",["abcd"],1234]}"#);
        check(three, r#"{"a":{"d":{"e":"abcd"}}}"#, r#"{"a":{"d":{"e":"abc"}}}"#);
        check(three, r#"{"a":"abc"}"#, r#"{"a":"abc"}"#);
        check(three, r#"{"a":12345}"#, r#"{"a":12345}"#);
        check(r#"{"length_bytes":2,"fields":["a"]}"#, r#"{"a":"€uro"}"#, r#"{"a":""}"#);
        check(r#"{"length_bytes":0,"fields":["a"]}"#, r#"{"a":"x"}"#, r#"{"a":""}"#);
    }

    #[test]
    fn without_fields_all_are_cut() {
        check(
            r#"{"length_bytes":1}"#,
            r#"{"a":"xy","n":{"b":["xy"],"c":7},"tags":["tag"]}"#,
            r#"{"a":"x","n":{"b":["x"],"c":7},"tags":["t"]}"#,
        );
    }
}
