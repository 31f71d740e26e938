//! The `clone` filter: copies events.
//!
//! `clone { clones => ["audit"] }`, as Logstash's: each name makes one copy, which says so in its
//! `type` or, where fields are named as in ECS, in a tag. The common options apply to the copies.

use super::{Filter, Run};
use crate::event::{Batch, FieldId, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "clone",
    summary: "Copies events.",
    options: &[Opt::required(
        "clones",
        Type::Array,
        "The names of the copies, one each: their tag, or with `ecs_compatibility => disabled` their `type`.",
    )],
    examples: &[Example {
        title: "The common options apply to the copy alone",
        config: r#"clone { clones => ["audit"] ecs_compatibility => v8 remove_field => ["debug"] }"#,
        given: r#"{"user":"kim","debug":1}"#,
        then: "{\"user\":\"kim\",\"debug\":1}\n{\"user\":\"kim\",\"tags\":[\"audit\"]}",
    }],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct Cloner {
    names: Arc<[String]>,
    ecs: bool,
    /// The names as values of the batch.
    values: Vec<Value>,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let names: Arc<[String]> = options.strings("clones").into();
    if names.is_empty() {
        tracing::warn!(plugin.id = context.id, "`clones` is empty: the filter clone does nothing");
    }
    Ok(Box::new(Cloner { names, ecs: context.ecs, values: Vec::new() }))
}

impl Filter for Cloner {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        self.values.clear();
        self.values.extend(self.names.iter().map(|name| batch.str(name)));
        for &event in run.events {
            for &name in &self.values {
                let clone = batch.clone_event(event);
                match self.ecs {
                    true => batch.append_tag(clone, name),
                    false => batch.set_key(clone, FieldId::TYPE, name),
                }
                run.created.push(clone);
                run.matched.push(clone);
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
    use crate::event::Timestamp;
    use crate::filter::common::tests::{context, event, options, shown};

    fn check(ecs: bool, before: &str, after: &[&str]) {
        let context = Context { ecs, ..context() };
        let mut filter = build(&options(r#"{"clones":["a","b"]}"#), &context).unwrap_or_else(|_| panic!("it builds"));
        let mut batch = Batch::new();
        let original = event(&mut batch, before);
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::from_millis(0);
        let mut run = Run { events: &[original], matched: &mut matched, created: &mut created, now };
        filter.run(&mut batch, &mut run);
        assert_eq!(matched, created);
        let shown: Vec<String> = created.iter().map(|&event| shown(&batch, event)).collect();
        assert_eq!(shown, after);
        assert_eq!(super::super::common::tests::shown(&batch, original), before);
    }

    #[test]
    fn copies_say_which_they_are() {
        check(false, r#"{"type":"o","n":5}"#, &[r#"{"type":"a","n":5}"#, r#"{"type":"b","n":5}"#]);
        check(true, r#"{"tags":"t"}"#, &[r#"{"tags":["t","a"]}"#, r#"{"tags":["t","b"]}"#]);
    }
}
