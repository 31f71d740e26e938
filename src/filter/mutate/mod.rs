//! The `mutate` filter: renames, converts, replaces and removes fields.
//!
//! `mutate { rename => { "src" => "[client][ip]" } convert => { "status" => "integer" } }`, as
//! Logstash's logstash-filter-mutate. Whatever the order in the configuration, operations run in
//! one fixed order: coerce, rename, update, replace, convert, gsub, uppercase, capitalize,
//! lowercase, strip, split, join, merge, copy. The first that fails ends it for the event, which
//! keeps what was done so far and gets the tag of `tag_on_failure`.

mod convert;
mod fields;
mod text;

use super::common::{Name, template};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, Case, Entry, EventId, Template, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Setting, Spec, Type};
use crate::regexp::Regexp;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "mutate",
    summary: "Renames, converts, replaces and removes fields.",
    options: &[
        Opt::new("capitalize", Type::Array, None, "Fields whose first letter becomes a capital, the others small."),
        Opt::new("coerce", Type::Hash, None, "Values for fields that are there but null."),
        Opt::new(
            "convert",
            Type::Hash,
            None,
            "Fields and their new types: integer, integer_eu, float, float_eu, string or boolean.",
        ),
        Opt::new("copy", Type::Hash, None, "Fields and the names of their copies."),
        Opt::new("gsub", Type::Array, None, "Threes of a field, a regular expression and what replaces its matches."),
        Opt::new("join", Type::Hash, None, "Fields that hold an array, and what to put between its elements."),
        Opt::new("lowercase", Type::Array, None, "Fields whose letters become small."),
        Opt::new("merge", Type::Hash, None, "Fields and the fields whose elements or members they take in."),
        Opt::new("rename", Type::Hash, None, "Fields and their new names."),
        Opt::new("replace", Type::Hash, None, "Fields and their new values."),
        Opt::new("split", Type::Hash, None, "Fields that hold a text, and what separates its parts."),
        Opt::new("strip", Type::Array, None, "Fields that lose white space at both ends."),
        Opt::new("tag_on_failure", Type::String, Some("_mutate_error"), "The tag of events on which it failed."),
        Opt::new("update", Type::Hash, None, "Fields and their new values, only where the field is there."),
        Opt::new("uppercase", Type::Array, None, "Fields whose letters become capitals."),
    ],
    examples: &[
        Example {
            title: "Names and types",
            config: r#"mutate { rename => { "src" => "[client][ip]" } convert => { "status" => "integer" } }"#,
            given: r#"{"src":"10.0.0.1","status":"200"}"#,
            then: r#"{"client":{"ip":"10.0.0.1"},"status":200}"#,
        },
        Example {
            title: "Numbers that are none are left and tagged",
            config: r#"mutate { convert => { "status" => "integer" } }"#,
            given: r#"{"status":"OK"}"#,
            then: r#"{"status":"OK","tags":["_mutate_error"]}"#,
        },
        Example {
            title: "Cut the query off a path",
            config: r#"mutate { gsub => ["path", "\?.*", ""] }"#,
            given: r#"{"path":"/a?b=c"}"#,
            then: r#"{"path":"/a"}"#,
        },
    ],
    build: Build::Filter(build),
};

/// One operation on one field.
enum Op {
    Coerce(Name, Template),
    Rename(Name, Name),
    Update(Name, Template),
    Replace(Name, Template),
    Convert(Name, convert::To),
    Gsub(Name, Needle, Template),
    Case(Name, Case),
    Strip(Name),
    Split(Name, String),
    Join(Name, String),
    Merge(Name, Vec<Name>),
    Copy(Name, Name),
}

/// What `gsub` looks for.
enum Needle {
    Fixed(Regexp),
    Rendered(Template),
}

struct Plan {
    ops: Vec<Op>,
    failure: String,
}

struct Mutate {
    plan: Arc<Plan>,
    scratch: Scratch,
}

/// Memory that is used again from event to event.
#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    text: String,
    entries: Vec<Entry>,
    /// By operation: its value, where that is the same for all events, once it is stored in the batch.
    constants: Vec<Option<Value>>,
    /// By operation: the pattern that the last event gave, and what it compiled to.
    needles: Vec<Option<(String, Option<Regexp>)>>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let mut wrong = Vec::new();
    let mut ops = Vec::new();
    let text = |setting: &Setting| setting.as_str().unwrap_or_default().to_owned();
    let plain = |setting: &Setting| Name::plain(setting.as_str().unwrap_or_default());
    let dynamic = |setting: &Setting| Name::new(setting.as_str().unwrap_or_default());
    ops.extend(options.hash("coerce").iter().map(|(field, value)| Op::Coerce(plain(field), template(value))));
    ops.extend(options.hash("rename").iter().map(|(old, new)| Op::Rename(dynamic(old), dynamic(new))));
    ops.extend(options.hash("update").iter().map(|(field, value)| Op::Update(plain(field), template(value))));
    ops.extend(options.hash("replace").iter().map(|(field, value)| Op::Replace(plain(field), template(value))));
    for (field, to) in options.hash("convert") {
        match convert::To::parse(to.as_str().unwrap_or_default()) {
            Some(to) => ops.push(Op::Convert(plain(field), to)),
            None => {
                let message = format!("cannot convert to `{}`", to.as_str().unwrap_or_default());
                let note = format!("`convert` takes: {}", convert::To::NAMES.join(", "));
                wrong.push(Diagnostic::error(code::VALUE, to.place, message).note(note));
            }
        }
    }
    gsubs(options, &mut ops, &mut wrong);
    let cases = [("uppercase", Case::Upper), ("capitalize", Case::Capital), ("lowercase", Case::Lower)];
    for (name, case) in cases {
        ops.extend(options.list(name).iter().map(|field| Op::Case(plain(field), case)));
    }
    ops.extend(options.list("strip").iter().map(|field| Op::Strip(plain(field))));
    ops.extend(options.hash("split").iter().map(|(field, separator)| Op::Split(plain(field), text(separator))));
    ops.extend(options.hash("join").iter().map(|(field, separator)| Op::Join(plain(field), text(separator))));
    let merge = |(to, from): &(Setting, Setting)| Op::Merge(plain(to), from.elements().iter().map(plain).collect());
    ops.extend(options.hash("merge").iter().map(merge));
    ops.extend(options.hash("copy").iter().map(|(from, to)| Op::Copy(plain(from), plain(to))));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let failure = options.str("tag_on_failure").unwrap_or("_mutate_error").to_owned();
    Ok(Box::new(Mutate { plan: Arc::new(Plan { ops, failure }), scratch: Scratch::default() }))
}

fn gsubs(options: &Options, ops: &mut Vec<Op>, wrong: &mut Vec<Diagnostic>) {
    let settings = options.list("gsub");
    for three in settings.chunks(3) {
        let [field, needle, replacement] = three else {
            let message = "`gsub` needs a field, a pattern and a replacement, three by three";
            wrong.push(Diagnostic::error(code::VALUE, options.place_of("gsub"), message));
            continue;
        };
        let pattern = needle.as_str().unwrap_or_default();
        let needle = if pattern.contains("%{") {
            Needle::Rendered(Template::parse(pattern))
        } else {
            match Regexp::new(pattern) {
                Ok(regexp) => Needle::Fixed(regexp),
                Err(error) => {
                    let message = format!("cannot read the pattern `{pattern}`: {error}");
                    wrong.push(Diagnostic::error(code::PATTERN, needle.place, message));
                    continue;
                }
            }
        };
        ops.push(Op::Gsub(Name::plain(field.as_str().unwrap_or_default()), needle, template(replacement)));
    }
}

impl Filter for Mutate {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let Mutate { plan, scratch } = self;
        scratch.constants.clear();
        scratch.constants.resize(plan.ops.len(), None);
        scratch.needles.resize_with(plan.ops.len(), || None);
        for &event in run.events {
            let done = plan.ops.iter().enumerate().all(|(at, op)| op.run(at, batch, event, scratch).is_some());
            if done {
                run.matched.push(event);
            } else {
                batch.tag(event, &plan.failure);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Mutate { plan: self.plan.clone(), scratch: Scratch::default() })
    }
}

/// `None` where Logstash raises.
type Done = Option<()>;

impl Op {
    fn run(&self, at: usize, batch: &mut Batch, event: EventId, scratch: &mut Scratch) -> Done {
        match self {
            Op::Coerce(field, value) => fields::coerce(batch, event, field.fixed()?, (at, value), scratch),
            Op::Rename(old, new) => fields::rename(batch, event, old, new, scratch),
            Op::Update(field, value) => fields::update(batch, event, field.fixed()?, (at, value), scratch),
            Op::Replace(field, value) => fields::replace(batch, event, field.fixed()?, (at, value), scratch),
            Op::Convert(field, to) => convert::convert(batch, event, field.fixed()?, *to, scratch),
            Op::Gsub(field, needle, replacement) => {
                text::gsub(batch, event, field.fixed()?, (at, needle, replacement), scratch)
            }
            Op::Case(field, case) => text::case(batch, event, field.fixed()?, *case, scratch),
            Op::Strip(field) => text::strip(batch, event, field.fixed()?, scratch),
            Op::Split(field, separator) => text::split(batch, event, field.fixed()?, separator, scratch),
            Op::Join(field, separator) => text::join(batch, event, field.fixed()?, separator, scratch),
            Op::Merge(to, from) => fields::merge(batch, event, to.fixed()?, from, scratch),
            Op::Copy(from, to) => fields::copy(batch, event, from.fixed()?, to),
        }
    }
}

impl Scratch {
    /// The text of an operation's template for an event, as a value.
    fn value(&mut self, (at, template): (usize, &Template), batch: &mut Batch, event: EventId) -> Value {
        if let Some(value) = self.constants[at] {
            return value;
        }
        let value = super::common::render(template, batch, event, &mut self.bytes);
        if template.constant().is_some() {
            self.constants[at] = Some(value);
        }
        value
    }
}

#[cfg(test)]
mod tests;
