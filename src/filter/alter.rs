//! The `alter` filter: replaces values that are what was expected, and fills fields with the first
//! of several values that is there.
//!
//! `alter { condrewrite => ["status", "%{old}", "new"] coalesce => ["ip", "%{client_ip}", "0.0.0.0"] }`, as
//! Logstash's. Whatever the order in the configuration, it does condrewrite, condrewriteother and
//! coalesce, in this order.

use super::common::{render, set};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldRef, Template, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Setting, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "alter",
    summary: "Replaces values that are what was expected, and fills fields with the first value that is there.",
    options: &[
        Opt::new(
            "coalesce",
            Type::Array,
            None,
            "A field, and texts with references: the first text without an unresolved one becomes its value.",
        ),
        Opt::new("condrewrite", Type::Array, None, "Threes of a field, the value that it must have, and the new one."),
        Opt::new(
            "condrewriteother",
            Type::Array,
            None,
            "Fours of a field, the value that it must have, another field, and that one's new value.",
        ),
    ],
    examples: &[Example {
        title: "The first that is there",
        config: r#"alter { coalesce => ["ip", "%{client}", "%{proxy}"] }"#,
        given: r#"{"proxy":"10.0.0.1"}"#,
        then: r#"{"proxy":"10.0.0.1","ip":"10.0.0.1"}"#,
    }],
    build: Build::Filter(build),
};

struct Rewrite {
    field: FieldRef,
    expected: Template,
    /// Another field than `field`.
    other: Option<FieldRef>,
    replacement: Template,
}

struct Plan {
    rewrites: Vec<Rewrite>,
    coalesce: Option<(FieldRef, Vec<Template>)>,
}

#[derive(Clone)]
struct Alter {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
    expected: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let mut wrong = Vec::new();
    let mut field = |setting: &Setting| {
        FieldRef::parse(setting.as_str().unwrap_or_default())
            .map_err(|error| wrong.push(Diagnostic::error(code::FIELD, setting.place, error.to_string())))
            .ok()
    };
    let template = |setting: &Setting| Template::parse(setting.as_str().unwrap_or_default());
    let (mut rewrites, mut coalesce) = (Vec::new(), None);
    let mut counts = Vec::new();
    for three in options.list("condrewrite").chunks(3) {
        let [of, expected, replacement] = three else {
            counts.push(("condrewrite", "takes threes of a field, a value and a new value"));
            continue;
        };
        let (expected, replacement) = (template(expected), template(replacement));
        rewrites.extend(field(of).map(|field| Rewrite { field, expected, other: None, replacement }));
    }
    for four in options.list("condrewriteother").chunks(4) {
        let [of, expected, other, replacement] = four else {
            counts.push(("condrewriteother", "takes fours of a field, a value, another field and its new value"));
            continue;
        };
        let (of, other) = (field(of), field(other));
        let (expected, replacement) = (template(expected), template(replacement));
        rewrites.extend(of.map(|field| Rewrite { field, expected, other, replacement }));
    }
    match options.list("coalesce") {
        [] if !options.has("coalesce") => {}
        [to, values @ ..] if !values.is_empty() => {
            coalesce = field(to).map(|field| (field, values.iter().map(template).collect()));
        }
        _ => counts.push(("coalesce", "takes a field and at least one value")),
    }
    wrong.extend(
        counts
            .into_iter()
            .map(|(name, what)| Diagnostic::error(code::VALUE, options.place_of(name), format!("`{name}` {what}"))),
    );
    let plan = Arc::new(Plan { rewrites, coalesce });
    match wrong.is_empty() {
        true => Ok(Box::new(Alter { plan, scratch: Vec::new(), expected: Vec::new() })),
        false => Err(wrong),
    }
}

impl Filter for Alter {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            for rewrite in &plan.rewrites {
                self.rewrite(rewrite, batch, event);
            }
            if let Some((field, values)) = &plan.coalesce {
                self.coalesce(field, values, batch, event);
            }
            run.matched.push(event);
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Alter {
    fn rewrite(&mut self, rewrite: &Rewrite, batch: &mut Batch, event: EventId) {
        self.expected.clear();
        rewrite.expected.render(batch, event, &mut self.expected);
        let expected = |batch: &Batch, value| matches!(value, Value::Str(span) if batch.bytes(span) == self.expected);
        let value = match batch.get(event, &rewrite.field) {
            Some(Value::Array(list)) => {
                let found = |at: &usize| expected(batch, batch.entries(list)[*at].value);
                let found: Vec<usize> = (0..list.len()).filter(found).collect();
                if found.is_empty() {
                    return;
                }
                let new = render(&rewrite.replacement, batch, event, &mut self.scratch);
                if rewrite.other.is_some() {
                    new
                } else {
                    let mut elements = batch.entries(list).to_vec();
                    found.into_iter().for_each(|at| elements[at].value = new);
                    Value::Array(batch.list(&elements))
                }
            }
            Some(value) if expected(batch, value) => render(&rewrite.replacement, batch, event, &mut self.scratch),
            _ => return,
        };
        set(batch, event, rewrite.other.as_ref().unwrap_or(&rewrite.field), value);
    }

    fn coalesce(&mut self, field: &FieldRef, values: &[Template], batch: &mut Batch, event: EventId) {
        for value in values {
            self.scratch.clear();
            value.render(batch, event, &mut self.scratch);
            // Logstash takes any `%` for a reference that found nothing.
            if self.scratch != b"nil" && !self.scratch.contains(&b'%') {
                let value = Value::Str(batch.push_bytes(&self.scratch));
                set(batch, event, field, value);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, event, options, run, shown};

    fn check(settings: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        assert!(run(build, settings, &mut batch, event));
        assert_eq!(shown(&batch, event), after, "{settings} on {before}");
    }

    #[test]
    fn rewrites() {
        let one = r#"{"condrewrite":["a","%{x}","new-%{x}","b","1","2"]}"#;
        check(one, r#"{"x":"old","a":"old","b":1}"#, r#"{"x":"old","a":"new-old","b":1}"#);
        check(one, r#"{"x":"old","a":["old","y","old"]}"#, r#"{"x":"old","a":["new-old","y","new-old"]}"#);
        let other = r#"{"condrewriteother":["a","x","[t][u]","is %{a}"]}"#;
        check(other, r#"{"a":"x"}"#, r#"{"a":"x","t":{"u":"is x"}}"#);
        check(other, r#"{"a":["y","x"]}"#, r#"{"a":["y","x"],"t":{"u":"is y,x"}}"#);
        check(other, r#"{"a":"y"}"#, r#"{"a":"y"}"#);
    }

    #[test]
    fn the_first_that_is_there() {
        let settings = r#"{"coalesce":["t","%{a}","%{b}","nil","5%","none"]}"#;
        check(settings, r#"{"b":"B"}"#, r#"{"b":"B","t":"B"}"#);
        check(settings, "{}", r#"{"t":"none"}"#);
        check(settings, r#"{"a":"","t":1}"#, r#"{"a":"","t":""}"#);
    }

    #[test]
    fn mistakes() {
        let bad = r#"{"condrewrite":["a","b"],"condrewriteother":["a","b","c"],"coalesce":["a"]}"#;
        assert_eq!(build(&options(bad), &context()).err().map(|wrong| wrong.len()), Some(3));
        assert!(build(&options(r#"{"coalesce":["[a","x"]}"#), &context()).is_err());
    }
}
