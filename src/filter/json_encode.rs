//! The `json_encode` filter: writes a field as JSON.
//!
//! `json_encode { source => "[data]" target => "message" }`, as Logstash's.

use super::common::{field, set};
use super::{Filter, Run};
use crate::event::{Batch, FieldRef, Value, json};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};

pub(super) static SPEC: Spec = Spec {
    name: "json_encode",
    summary: "Writes a field as JSON.",
    options: &[
        Opt::required("source", Type::Field, "The field to write."),
        Opt::new("target", Type::Field, None, "Where the text goes; without it, into the source."),
    ],
    examples: &[Example {
        title: "A hash as text",
        config: r#"json_encode { source => "user" target => "text" }"#,
        given: r#"{"user":{"name":"kim","ids":[1,2]}}"#,
        then: r#"{"text":"{\"name\":\"kim\",\"ids\":[1,2]}"}"#,
    }],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct JsonEncode {
    source: FieldRef,
    target: FieldRef,
    scratch: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let source = field(options, "source", "message");
    let target = options.field("target").unwrap_or_else(|| source.clone());
    Ok(Box::new(JsonEncode { source, target, scratch: Vec::new() }))
}

impl Filter for JsonEncode {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            self.scratch.clear();
            let value = batch.get(event, &self.source).unwrap_or(Value::Null);
            json::write_value(batch, value, &mut self.scratch);
            let text = Value::Str(batch.push_bytes(&self.scratch));
            match set(batch, event, &self.target, text) {
                true => run.matched.push(event),
                false => batch.tag(event, "_jsongeneratefailure"),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
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
        assert_eq!(matched, !after.contains("_jsongeneratefailure"));
    }

    #[test]
    fn values_become_text() {
        check(r#"{"source":"a"}"#, r#"{"a":{"b":[1,null,"x\""]}}"#, r#"{"a":"{\"b\":[1,null,\"x\\\"\"]}"}"#);
        check(r#"{"source":"a","target":"[t][u]"}"#, r#"{"a":"x"}"#, r#"{"a":"x","t":{"u":"\"x\""}}"#);
        check(r#"{"source":"a","target":"t"}"#, "{}", r#"{"t":"null"}"#);
        check(r#"{"source":"a","target":"[a][b]"}"#, r#"{"a":1}"#, r#"{"a":1,"tags":["_jsongeneratefailure"]}"#);
    }
}
