//! The `prune` filter: keeps or removes fields by their names or values.
//!
//! `prune { whitelist_names => ["^host$", "^message$", "^@timestamp$"] }`, as Logstash's: it looks
//! at top-level fields, `@timestamp` too, and its patterns match anywhere in a name or value.

use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, Entry, EventId, FieldId, Template, Value, ruby};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Setting, Spec, Type};
use crate::regexp::Regexp;

pub(super) static SPEC: Spec = Spec {
    name: "prune",
    summary: "Keeps or removes top-level fields by their names or values.",
    options: &[
        Opt::new(
            "blacklist_names",
            Type::Array,
            Some(r#"["%\{[^}]+\}"]"#),
            "Patterns for the names of fields to remove; without it, names with references that found nothing.",
        ),
        Opt::new(
            "blacklist_values",
            Type::Hash,
            Some("{}"),
            "Fields and patterns for values to remove. Of an array, the elements that match go.",
        ),
        Opt::new(
            "interpolate",
            Type::Boolean,
            Some("false"),
            "Whether `%{field}` in names and patterns stands for the field's value.",
        ),
        Opt::new("whitelist_names", Type::Array, Some("[]"), "Patterns for the names of the only fields to keep."),
        Opt::new(
            "whitelist_values",
            Type::Hash,
            Some("{}"),
            "Fields and patterns for the values to keep. Of an array, the elements that match stay.",
        ),
    ],
    examples: &[
        Example {
            title: "Keep some fields",
            config: r#"prune { whitelist_names => ["^user$", "^@timestamp$"] }"#,
            given: r#"{"user":"kim","debug":1,"users":2}"#,
            then: r#"{"user":"kim"}"#,
        },
        Example {
            title: "Remove values",
            config: r#"prune { blacklist_values => { "status" => "^2" } }"#,
            given: r#"{"status":["200","404"]}"#,
            then: r#"{"status":["404"]}"#,
        },
    ],
    build: Build::Filter(build),
};

/// A pattern, perhaps one for each event.
#[derive(Clone)]
struct Pattern {
    template: Template,
    fixed: Option<Regexp>,
    /// What the last event gave, and what it compiled to.
    last: Option<(String, Option<Regexp>)>,
}

/// A field's name, and the pattern for its values.
#[derive(Clone)]
struct Values {
    name: Template,
    pattern: Pattern,
    /// Whether values that match are kept, or else removed.
    keep: bool,
}

#[derive(Clone)]
struct Prune {
    interpolate: bool,
    keep: Vec<Pattern>,
    remove: Vec<Pattern>,
    values: Vec<Values>,
    scratch: Scratch,
}

#[derive(Clone, Default)]
struct Scratch {
    bytes: Vec<u8>,
    removed: Vec<FieldId>,
    changed: Vec<(FieldId, Value)>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let interpolate = options.bool("interpolate", false);
    let mut wrong = Vec::new();
    let mut pattern = |setting: &Setting| {
        Pattern::new(setting.as_str().unwrap_or_default(), interpolate)
            .map_err(|message| wrong.push(Diagnostic::error(code::PATTERN, setting.place, message)))
            .ok()
    };
    let keep = options.list("whitelist_names").iter().filter_map(&mut pattern).collect();
    let mut remove: Vec<Pattern> = options.list("blacklist_names").iter().filter_map(&mut pattern).collect();
    if !options.has("blacklist_names") {
        remove.extend(Pattern::new(r"%\{[^}]+\}", false));
    }
    let mut values = Vec::new();
    for (name, keep) in [("whitelist_values", true), ("blacklist_values", false)] {
        for (name, value) in options.hash(name) {
            let name = Template::parse(name.as_str().unwrap_or_default());
            values.extend(pattern(value).map(|pattern| Values { name, pattern, keep }));
        }
    }
    match wrong.is_empty() {
        true => Ok(Box::new(Prune { interpolate, keep, remove, values, scratch: Scratch::default() })),
        false => Err(wrong),
    }
}

impl Pattern {
    fn new(text: &str, interpolate: bool) -> Result<Pattern, String> {
        let template = Template::parse(text);
        let fixed = match interpolate && template.constant().is_none() {
            true => None,
            false => Some(Regexp::new(text).map_err(|error| format!("bad regular expression `{text}`: {error}"))?),
        };
        Ok(Pattern { template, fixed, last: None })
    }

    /// The pattern for an event; `None` where what it gives is no pattern.
    fn get(&mut self, batch: &Batch, event: EventId, scratch: &mut Vec<u8>) -> Option<&Regexp> {
        if self.fixed.is_some() {
            return self.fixed.as_ref();
        }
        scratch.clear();
        self.template.render(batch, event, scratch);
        let text = std::str::from_utf8(scratch).ok()?;
        if self.last.as_ref().is_none_or(|(last, _)| last != text) {
            self.last = Some((text.to_owned(), Regexp::new(text).ok()));
        }
        self.last.as_ref()?.1.as_ref()
    }
}

impl Filter for Prune {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            // Logstash stops at a pattern that is none; the event is left as it is.
            if self.collect(batch, event).is_none() {
                continue;
            }
            for (key, value) in self.scratch.changed.drain(..) {
                batch.set_key(event, key, value);
            }
            for key in self.scratch.removed.drain(..) {
                batch.remove_key(event, key);
            }
            run.matched.push(event);
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Prune {
    /// Finds what goes before anything does, since names and patterns may refer to it.
    fn collect(&mut self, batch: &mut Batch, event: EventId) -> Option<()> {
        let Scratch { bytes, removed, changed } = &mut self.scratch;
        removed.clear();
        changed.clear();
        for (patterns, wanted) in [(&mut self.keep, false), (&mut self.remove, true)] {
            if patterns.is_empty() {
                continue;
            }
            for at in 0..batch.fields(event).len() {
                let key = batch.fields(event)[at].key;
                if key == FieldId::METADATA {
                    continue;
                }
                let mut found = false;
                for pattern in patterns.iter_mut() {
                    found |= pattern.get(batch, event, bytes)?.is_match(batch.name(key)).unwrap_or(false);
                }
                if found == wanted {
                    removed.push(key);
                }
            }
        }
        for values in &mut self.values {
            let name = match self.interpolate {
                true => {
                    bytes.clear();
                    values.name.render(batch, event, bytes);
                    String::from_utf8_lossy(bytes).into_owned()
                }
                false => values.name.as_written().to_owned(),
            };
            let entry = batch.fields(event).iter().find(|e| e.key != FieldId::METADATA && batch.name(e.key) == name);
            let Some(&Entry { key, value, .. }) = entry else { continue };
            let keep = values.keep;
            let pattern = values.pattern.get(batch, event, bytes)?.clone();
            let mut stays = |value| matches(batch, &pattern, value, bytes) == keep;
            match value {
                Value::Null | Value::Bool(false) => {}
                Value::Array(list) => {
                    let kept: Vec<Entry> = batch.entries(list).iter().filter(|e| stays(e.value)).copied().collect();
                    match kept.len() {
                        0 if !list.is_empty() => removed.push(key),
                        count if count < list.len() => changed.push((key, Value::Array(batch.list(&kept)))),
                        _ => {}
                    }
                }
                value if !stays(value) => removed.push(key),
                _ => {}
            }
        }
        Some(())
    }
}

/// Whether a value's text matches; Logstash stops at values that are no text.
fn matches(batch: &Batch, pattern: &Regexp, value: Value, scratch: &mut Vec<u8>) -> bool {
    if let Value::Str(span) = value {
        return pattern.is_match(batch.text(span)).unwrap_or(false);
    }
    scratch.clear();
    ruby::write_to_s(batch, value, scratch);
    std::str::from_utf8(scratch).is_ok_and(|text| pattern.is_match(text).unwrap_or(false))
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
    fn names() {
        check("{}", r#"{"a":1,"%{b}":2,"%{}":3}"#, r#"{"a":1,"%{}":3}"#);
        check(r#"{"whitelist_names":["^a$","b"]}"#, r#"{"a":1,"ab":2,"ac":3}"#, r#"{"a":1,"ab":2}"#);
        check(r#"{"blacklist_names":["^a"]}"#, r#"{"a":1,"ab":2,"%{x}":3}"#, r#"{"%{x}":3}"#);
        check(r#"{"blacklist_names":[]}"#, r#"{"%{x}":3}"#, r#"{"%{x}":3}"#);
        check(r#"{"whitelist_names":["^a"],"blacklist_names":["b"]}"#, r#"{"a":1,"ab":2}"#, r#"{"a":1}"#);
    }

    #[test]
    fn values() {
        check(r#"{"whitelist_values":{"a":"^x"}}"#, r#"{"a":"yx","b":1}"#, r#"{"b":1}"#);
        check(r#"{"whitelist_values":{"a":"^x"}}"#, r#"{"a":["x","y","xy"]}"#, r#"{"a":["x","xy"]}"#);
        check(r#"{"whitelist_values":{"a":"^2"}}"#, r#"{"a":[200,404]}"#, r#"{"a":[200]}"#);
        check(r#"{"blacklist_values":{"a":"^x"}}"#, r#"{"a":["x","xy"],"b":null}"#, r#"{"b":null}"#);
        check(r#"{"blacklist_values":{"a":"^x","b":"."}}"#, r#"{"a":"y","b":null}"#, r#"{"a":"y","b":null}"#);
        check(r#"{"blacklist_values":{"a":"x"}}"#, r#"{"a":[]}"#, r#"{"a":[]}"#);
    }

    #[test]
    fn references() {
        let settings = r#"{"interpolate":true,"whitelist_names":["^k$","%{k}"],"whitelist_values":{"%{k}_v":"^%{k}"}}"#;
        check(settings, r#"{"k":"a","a_v":"ab","b":1}"#, r#"{"k":"a","a_v":"ab"}"#);
        check(settings, r#"{"k":"a","a_v":"b"}"#, r#"{"k":"a"}"#);
        let mut batch = Batch::new();
        let event = event(&mut batch, r#"{"k":"("}"#);
        assert!(!run(build, settings, &mut batch, event), "no pattern");
        assert_eq!(shown(&batch, event), r#"{"k":"("}"#);
    }

    #[test]
    fn bad_patterns_are_errors() {
        let wrong = build(&options(r#"{"whitelist_names":["("],"blacklist_values":{"a":"["}}"#), &context()).err();
        assert_eq!(wrong.map(|wrong| wrong.len()), Some(2));
    }
}
