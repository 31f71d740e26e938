//! The `dissect` filter: cuts text at fixed delimiters, as Logstash's logstash-filter-dissect.
//!
//! ```text
//! filter { dissect { mapping => { "message" => "%{ts} %{+ts} %{level->} [%{thread}] %{msg}" } } }
//! ```
//!
//! A mapping is compiled to a list of delimiters to search for; a field becomes a span of the
//! text that it was found in: no byte is copied unless values are joined.

mod convert;
mod mapping;

use super::common::{Name, includes, set};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldRef, Span, Value, ruby, write_java};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use convert::Conversion;
use mapping::{Kind, Mapping};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "dissect",
    summary: "Cuts text into fields at fixed delimiters.",
    options: &[
        Opt::new(
            "convert_datatype",
            Type::Hash,
            Some("{}"),
            "Fields to convert to `int` or `float`, after all mappings.",
        ),
        Opt::new(
            "mapping",
            Type::Hash,
            Some("{}"),
            "Fields and how to cut them: `%{a}` a field, `%{}` or `%{?a}` skipped, `%{+a}` added to another (`%{+a/2}` as its second part), `%{&a}` named by the value of another, `%{a->}` followed by any number of its delimiter.",
        ),
        Opt::new(
            "tag_on_failure",
            Type::Array,
            Some("[\"_dissectfailure\"]"),
            "Tags for events that a mapping does not fit.",
        ),
    ],
    examples: &[
        Example {
            title: "A line of a system log",
            config: r#"dissect { mapping => { "message" => "%{ts} %{+ts} %{+ts} %{src} %{prog}[%{pid}]: %{msg}" } convert_datatype => { "pid" => "int" } }"#,
            given: r#"{"message":"Apr 26 12:20:02 localhost systemd[1]: Starting system"}"#,
            then: r#"{"ts":"Apr 26 12:20:02","src":"localhost","prog":"systemd","pid":1,"msg":"Starting system"}"#,
        },
        Example {
            title: "A delimiter that is not there",
            config: r#"dissect { mapping => { "message" => "%{a},%{b}" } }"#,
            given: r#"{"message":"no comma"}"#,
            then: r#"{"message":"no comma","tags":["_dissectfailure"]}"#,
        },
    ],
    build: Build::Filter(build),
};

struct Plan {
    mappings: Vec<(FieldRef, Mapping)>,
    conversions: Vec<Conversion>,
    failure: Vec<String>,
}

struct Dissect {
    plan: Arc<Plan>,
    /// Where each part of a mapping lies in the text.
    parts: Vec<(usize, usize)>,
    bytes: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let (mut errors, mut mappings, mut conversions) = (Vec::new(), Vec::new(), Vec::new());
    for (name, text) in options.hash("mapping") {
        let (field, text) = (name.as_str().unwrap_or_default(), text.as_str().map(|t| (t, text.place)));
        let field = match FieldRef::parse(field) {
            Ok(field) => field,
            Err(error) => {
                errors.push(Diagnostic::error(code::FIELD, name.place, error.to_string()));
                continue;
            }
        };
        match text {
            // An empty mapping does nothing, not even fail.
            Some(("", _)) => {}
            Some((text, place)) => match Mapping::parse(text) {
                Ok(mapping) => mappings.push((field, mapping)),
                Err(message) => errors.push(Diagnostic::error(code::VALUE, place, message)),
            },
            None => errors.push(Diagnostic::error(code::TYPE, name.place, "a mapping must be a text")),
        }
    }
    for (name, datatype) in options.hash("convert_datatype") {
        let (field, datatype_text) = (name.as_str().unwrap_or_default(), datatype.as_str().unwrap_or_default());
        match Conversion::new(field, datatype_text) {
            Ok(conversion) => conversions.push(conversion),
            Err(mistake) => errors.push(mistake.at(name.place, datatype.place)),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let failure = match options.has("tag_on_failure") {
        true => options.strings("tag_on_failure"),
        false => vec!["_dissectfailure".to_owned()],
    };
    let plan = Arc::new(Plan { mappings, conversions, failure });
    Ok(Box::new(Dissect { plan, parts: Vec::new(), bytes: Vec::new() }))
}

/// A field could not be set; Logstash raises there.
struct Raised;

impl Filter for Dissect {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            if self.event(&plan, batch, event, run.matched).is_err() {
                plan.failure.iter().for_each(|tag| batch.tag(event, tag));
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Dissect { plan: self.plan.clone(), parts: Vec::new(), bytes: Vec::new() })
    }
}

impl Dissect {
    /// An event counts as matched once for each mapping that fits, as in Logstash: `add_tag` adds
    /// as many tags.
    fn event(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        event: EventId,
        matched: &mut Vec<EventId>,
    ) -> Result<(), Raised> {
        for (source, mapping) in &plan.mappings {
            if !includes(batch, event, source) {
                continue;
            }
            let text = self.text(batch, batch.get(event, source).unwrap_or(Value::Null));
            if mapping.cut(batch.bytes(text), &mut self.parts) {
                self.save(mapping, batch, event, text)?;
                matched.push(event);
            } else {
                plan.failure.iter().for_each(|tag| batch.tag(event, tag));
            }
        }
        plan.conversions.iter().for_each(|conversion| conversion.apply(batch, event, &mut self.bytes));
        Ok(())
    }

    /// The text of a value.
    fn text(&mut self, batch: &mut Batch, value: Value) -> Span {
        if let Value::Str(span) = value {
            return span;
        }
        self.bytes.clear();
        ruby::write_to_s(batch, value, &mut self.bytes);
        batch.push_bytes(&self.bytes)
    }

    /// Sets the fields of a text that was cut.
    fn save(&mut self, mapping: &Mapping, batch: &mut Batch, event: EventId, text: Span) -> Result<(), Raised> {
        batch.reserve(event, mapping.saved.len());
        for &at in &mapping.saved {
            let part = &mapping.parts[at];
            let value = text.slice(self.parts[at].0, self.parts[at].1);
            match part.kind {
                Kind::Skip => {}
                Kind::Normal => put(batch, event, &part.field, Value::Str(value))?,
                Kind::Append => self.append(part, batch, event, value)?,
                Kind::Indirect => self.indirect(mapping, at, batch, event, text)?,
            }
        }
        Ok(())
    }

    /// Adds a value to what the field holds, from before perhaps, with a delimiter between.
    fn append(&mut self, part: &mapping::Part, batch: &mut Batch, event: EventId, value: Span) -> Result<(), Raised> {
        let Name::Fixed(field) = &part.field else { return Err(Raised) };
        if !includes(batch, event, field) {
            return put(batch, event, &part.field, Value::Str(value));
        }
        let old = batch.get(event, field).filter(|old| *old != Value::Null).ok_or(Raised)?;
        self.bytes.clear();
        write_java(batch, old, &mut self.bytes);
        self.bytes.extend_from_slice(part.joint.as_bytes());
        self.bytes.extend_from_slice(batch.bytes(value));
        let joined = batch.push_bytes(&self.bytes);
        put(batch, event, &part.field, Value::Str(joined))
    }

    /// Sets the field that another field, or another part, names.
    fn indirect(
        &mut self,
        mapping: &Mapping,
        at: usize,
        batch: &mut Batch,
        event: EventId,
        text: Span,
    ) -> Result<(), Raised> {
        let part = &mapping.parts[at];
        let Name::Fixed(key) = &part.field else { return Err(Raised) };
        self.bytes.clear();
        if includes(batch, event, key) {
            let name = batch.get(event, key).unwrap_or(Value::Null);
            write_java(batch, name, &mut self.bytes);
        } else if let Some(other) = part.other {
            let name = text.slice(self.parts[other].0, self.parts[other].1);
            self.bytes.extend_from_slice(batch.bytes(name));
        }
        if self.bytes.is_empty() {
            return Ok(());
        }
        let name = std::str::from_utf8(&self.bytes).map_err(|_| Raised)?;
        let field = batch.reference(name).map_err(|_| Raised)?;
        let value = text.slice(self.parts[at].0, self.parts[at].1);
        if set(batch, event, &field, Value::Str(value)) { Ok(()) } else { Err(Raised) }
    }
}

#[inline]
fn put(batch: &mut Batch, event: EventId, name: &Name, value: Value) -> Result<(), Raised> {
    let Name::Fixed(field) = name else { return Err(Raised) };
    if set(batch, event, field, value) { Ok(()) } else { Err(Raised) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, event, options, run, shown};

    fn check(settings: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        run(build, settings, &mut batch, event);
        assert_eq!(shown(&batch, event), after, "{settings} on {before}");
    }

    /// A mapping of the field `m`, and what it makes of a text.
    fn cut(mapping: &str, text: &str, after: &str) {
        let settings = serde_json::json!({ "mapping": { "m": mapping } });
        let before = serde_json::json!({ "m": text });
        let after = if after.is_empty() { String::new() } else { format!(",{after}") };
        check(&settings.to_string(), &before.to_string(), &format!(r#"{{"m":{}{after}}}"#, before["m"]));
    }

    const FAILED: &str = r#""tags":["_dissectfailure"]"#;

    #[test]
    fn fields() {
        cut("%{a} %{b}", "1 2 3", r#""a":"1","b":"2 3""#);
        cut("%{a},%{b}", "1;2", FAILED);
        cut("x%{a}y", "x1y2", r#""a":"1""#);
        cut("x%{a}", "yx1", FAILED);
        cut("%{a}%{b}", "12", FAILED);
        cut("%{a}, %{}%{?c}; %{d}", "1, 2; 3", FAILED);
        cut("%{a}, %{?b}; %{d}", "1, 2; 3", r#""a":"1","d":"3""#);
        cut("%{[x][y]} %{[x][z]}", "1 2", r#""x":{"y":"1","z":"2"}"#);
        cut("%{a} }x", "1 }x2", r#""a":"1 }""#);
        cut("größe%{a}－%{b}", "größeä－ö", r#""a":"ä","b":"ö""#);
        cut("%{a[} %{b}", "1 2", FAILED);
        // A delimiter at the very start is not passed, as in Logstash.
        cut("%{a},%{b}", ",2", r#""a":"","b":",2""#);
        cut("[%{a},%{b}", "[,2", r#""a":"","b":"2""#);
    }

    #[test]
    fn padding() {
        cut("%{a->} %{b}", "1    2", r#""a":"1","b":"2""#);
        cut("%{->} %{b}", "1    2", r#""":"1","b":"2""#);
        cut("%{a->}, %{b}", "1, , 2", r#""a":"1","b":"2""#);
        cut("%{a->} %{b}", "1    ", r#""a":"1","b":"""#);
    }

    #[test]
    fn joined_and_named() {
        cut("%{+a/2} %{+a/1}", "1 2", r#""a":"2 1""#);
        cut("%{a}-%{+a}/%{+a}", "1-2/3", r#""a":"1-2/3""#);
        check(r#"{"mapping":{"m":"%{+m}"}}"#, r#"{"m":"x"}"#, r#"{"m":"x x"}"#);
        check(r#"{"mapping":{"m":"-%{+l}"}}"#, r#"{"m":"-x","l":["a",1]}"#, r#"{"m":"-x","l":"[a, 1]-x"}"#);
    }

    #[test]
    fn names_from_values() {
        cut("%{?k}=%{&k}", "a=1", r#""a":"1""#);
        cut("%{k}=%{&k}", "a=1", r#""k":"a","a":"1""#);
        cut("%{&k}=%{v}", "a=1", r#""v":"1""#);
        cut("%{?k}=%{&k}", "[a=1", FAILED);
        // An array prints as `[x]`, which names a field.
        check(r#"{"mapping":{"m":"%{&k}"}}"#, r#"{"m":"1","k":["x"]}"#, r#"{"m":"1","k":["x"],"x":"1"}"#);
        check(r#"{"mapping":{"m":"%{&k}"}}"#, r#"{"m":"1","k":{}}"#, r#"{"m":"1","k":{},"{}":"1"}"#);
    }

    #[test]
    fn sources() {
        let mapping = r#"{"mapping":{"m":"%{a}.%{b}"}}"#;
        check(mapping, r#"{"m":1.5}"#, r#"{"m":1.5,"a":"1","b":"5"}"#);
        check(mapping, r#"{"m":null}"#, r#"{"m":null,"tags":["_dissectfailure"]}"#);
        check(mapping, r#"{"x":1}"#, r#"{"x":1}"#);
        check(r#"{"mapping":{"m":""}}"#, r#"{"m":"x"}"#, r#"{"m":"x"}"#);
        check(
            r#"{"mapping":{"m":"%{[k][b]}"}}"#,
            r#"{"m":"x","k":1}"#,
            r#"{"m":"x","k":1,"tags":["_dissectfailure"]}"#,
        );
    }

    #[test]
    fn bad_mappings_are_refused() {
        for bad in ["%{+&a}", "%{&+a}", "%{+}", "%{&}", "%{+/1}", "%{&->}", "abc", "%{a"] {
            let settings = serde_json::json!({ "mapping": { "m": bad } }).to_string();
            assert!(build(&options(&settings), &context()).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_mapping_that_fits_counts() {
        let settings = r#"{"mapping":{"m":"%{a} %{b}","b":"%{c}-%{d}","a":"%{e},%{f}"}}"#;
        let mut filter = build(&options(settings), &context()).unwrap();
        let mut batch = Batch::new();
        let event = event(&mut batch, r#"{"m":"1 2-3"}"#);
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = crate::event::Timestamp::new(0, 0);
        filter.run(&mut batch, &mut Run { events: &[event], matched: &mut matched, created: &mut created, now });
        assert_eq!(matched, [event, event]);
        assert_eq!(
            shown(&batch, event),
            r#"{"m":"1 2-3","a":"1","b":"2-3","c":"2","d":"3","tags":["_dissectfailure"]}"#
        );
    }
}
