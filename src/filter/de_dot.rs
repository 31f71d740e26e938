//! The `de_dot` filter: renames fields whose names have dots.
//!
//! `de_dot { }`, as Logstash's: `a.b` becomes `a_b`, or `[a][b]` with `nested`. Where a name can't
//! be set, the event keeps what was done so far and is tagged.

use super::common::{fields, includes, set};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldId, FieldRef, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "de_dot",
    summary: "Renames fields whose names have dots.",
    options: &[
        Opt::new(
            "fields",
            Type::Array,
            None,
            "The fields to look at, `[a][b.c]` for nested ones; without it, all top-level fields.",
        ),
        Opt::new("nested", Type::Boolean, Some("false"), "Whether `a.b` becomes `[a][b]`."),
        Opt::new("recursive", Type::Boolean, Some("false"), "Whether it goes on in hashes."),
        Opt::new("separator", Type::String, Some("_"), "What replaces a dot."),
        Opt::new("tag_on_failure", Type::String, Some("_de_dot_error"), "The tag of events on which it failed."),
    ],
    examples: &[Example {
        title: "Dots become structure",
        config: "de_dot { nested => true }",
        given: r#"{"http.status":200,"http.method":"GET"}"#,
        then: r#"{"http":{"status":200,"method":"GET"}}"#,
    }],
    build: Build::Filter(build),
};

struct Plan {
    fields: Option<Vec<(String, FieldRef)>>,
    separator: String,
    recursive: bool,
    failure: String,
}

#[derive(Clone)]
struct DeDot {
    plan: Arc<Plan>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let separator = options.str("separator").unwrap_or("_");
    if separator.contains('.') {
        let message = "a separator must not have a dot";
        return Err(vec![Diagnostic::error(code::VALUE, options.place_of("separator"), message)]);
    }
    let fields = options.strings("fields").into_iter().zip(fields(options, "fields")?);
    let plan = Plan {
        fields: options.has("fields").then(|| fields.collect()),
        separator: if options.bool("nested", false) { "][" } else { separator }.to_owned(),
        recursive: options.bool("recursive", false),
        failure: options.str("tag_on_failure").unwrap_or("_de_dot_error").to_owned(),
    };
    Ok(Box::new(DeDot { plan: Arc::new(plan) }))
}

impl Filter for DeDot {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            match self.plan.one(batch, event) {
                Some(()) => run.matched.push(event),
                None => batch.tag(event, &self.plan.failure),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Plan {
    fn one(&self, batch: &mut Batch, event: EventId) -> Option<()> {
        if let Some(fields) = &self.fields {
            for (name, field) in fields {
                if includes(batch, event, field) {
                    self.rename(batch, event, name.clone())?;
                }
            }
            return Some(());
        }
        let wanted = |key: FieldId| key != FieldId::METADATA && (self.recursive || batch.name(key).contains('.'));
        let keys = batch.fields(event).iter().map(|entry| entry.key).filter(|&key| wanted(key));
        // Mostly there are none, and nothing is allocated.
        let names: Vec<String> = keys.map(|key| batch.name(key).to_owned()).collect();
        names.into_iter().try_for_each(|name| self.rename(batch, event, name))
    }

    /// Gives what `name` refers to a name without dots; `None` where that can't be.
    fn rename(&self, batch: &mut Batch, event: EventId, mut name: String) -> Option<()> {
        if self.separator == "][" || self.recursive {
            if !name.starts_with('[') {
                name.insert(0, '[');
            }
            if !name.ends_with(']') {
                name.push(']');
            }
        }
        if name.contains('.') {
            let new = name.replace('.', &self.separator);
            let (old_field, new_field) = (batch.reference(&name).ok()?, batch.reference(&new).ok()?);
            let value = batch.get(event, &old_field).unwrap_or(Value::Null);
            if !set(batch, event, &new_field, value) {
                return None;
            }
            let gone = batch.reference(&upper_most(&name)).ok()?;
            batch.remove(event, &gone);
            name = new;
        }
        if self.recursive {
            let field = batch.reference(&name).ok()?;
            let Some(Value::Object(members)) = batch.get(event, &field) else { return Some(()) };
            for at in 0..members.len() {
                let member = batch.name(batch.entries(members)[at].key);
                let member = format!("{name}[{member}]");
                self.rename(batch, event, member)?;
            }
        }
        Some(())
    }
}

/// The reference up to the first name with a dot: what is removed once its value has moved.
fn upper_most(name: &str) -> String {
    let mut upper = String::new();
    for step in name.trim_end_matches(']').split(']') {
        let step = step.replace('[', "");
        upper += &format!("[{step}]");
        if step.contains('.') {
            break;
        }
    }
    upper
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, event, options, run, shown};

    fn check(settings: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        let matched = run(build, settings, &mut batch, event);
        assert_eq!(shown(&batch, event), after, "{settings} on {before}");
        assert_eq!(matched, !after.contains("_de_dot_error"), "{settings} on {before}");
    }

    #[test]
    fn names_lose_their_dots() {
        check("{}", r#"{"a.b":1,"c":{"d.e":2}}"#, r#"{"c":{"d.e":2},"a_b":1}"#);
        check(r#"{"separator":"-"}"#, r#"{"a.b.c":1}"#, r#"{"a-b-c":1}"#);
        check(r#"{"nested":true}"#, r#"{"a.b":1,"a.c":2}"#, r#"{"a":{"b":1,"c":2}}"#);
        check(
            r#"{"recursive":true}"#,
            r#"{"a.b":{"c.d":{"e.f":1}},"g":{"h.i":[]}}"#,
            r#"{"g":{"h_i":[]},"a_b":{"c_d":{"e_f":1}}}"#,
        );
        check(r#"{"recursive":true,"nested":true}"#, r#"{"a.b":{"c.d":1}}"#, r#"{"a":{"b":{"c":{"d":1}}}}"#);
        check(
            r#"{"fields":["[a][b.c]","x.y","no.such"]}"#,
            r#"{"a":{"b.c":1},"x.y":2,"z.z":3}"#,
            r#"{"a":{"b_c":1},"z.z":3,"x_y":2}"#,
        );
    }

    #[test]
    fn failures() {
        check(r#"{"nested":true}"#, r#"{"a":1,"a.b":2}"#, r#"{"a":1,"a.b":2,"tags":["_de_dot_error"]}"#);
        check(r#"{"nested":true}"#, r#"{"a..b":2}"#, r#"{"a..b":2,"tags":["_de_dot_error"]}"#);
        assert!(build(&options(r#"{"separator":"a."}"#), &context()).is_err());
    }
}
