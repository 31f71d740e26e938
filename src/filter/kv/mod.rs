//! The `kv` filter: fields out of pairs such as `user=kim status=200`, as Logstash's
//! logstash-filter-kv.
//!
//! A value is a span of the text that it was found in: no byte is copied unless an option
//! changes it.

mod change;
mod scan;

use super::common::{self, set};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, Entry, EventId, FieldCache, FieldId, FieldRef, Span, Template, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Setting, Spec, Type};
use crate::regexp::{MATCH_LIMIT, MatchError, Slots};
use change::Change;
use rustc_hash::FxHashMap;
use scan::{Pair, Scan, Separators, State};
use std::sync::Arc;

const CASES: Type = Type::Enum(&["lowercase", "uppercase", "capitalize"]);

pub(super) static SPEC: Spec = Spec {
    name: "kv",
    summary: "Makes fields of pairs such as `user=kim status=200`.",
    options: &[
        Opt::new(
            "allow_duplicate_values",
            Type::Boolean,
            Some("true"),
            "Whether a key that comes again with a value it had already keeps it twice.",
        ),
        Opt::new("allow_empty_values", Type::Boolean, Some("false"), "Whether keys with an empty value are set."),
        Opt::new("default_keys", Type::Hash, Some("{}"), "Keys and their values where the text does not give them."),
        Opt::new("exclude_keys", Type::Array, Some("[]"), "Keys to leave out; may refer to fields."),
        Opt::new("field_split", Type::String, Some("\" \""), "The characters of which each separates pairs."),
        Opt::new(
            "field_split_pattern",
            Type::String,
            None,
            "A pattern that separates pairs, in place of `field_split`.",
        ),
        Opt::new(
            "include_brackets",
            Type::Boolean,
            Some("true"),
            "Whether round, square and angle brackets enclose a value as quotes do.",
        ),
        Opt::new("include_keys", Type::Array, Some("[]"), "The only keys to take; all if empty. May refer to fields."),
        Opt::new("prefix", Type::String, Some("\"\""), "What to put before each key; may refer to fields."),
        Opt::new("recursive", Type::Boolean, Some("false"), "Whether values that hold pairs themselves become hashes."),
        Opt::new("remove_char_key", Type::String, None, "Characters to remove from keys."),
        Opt::new("remove_char_value", Type::String, None, "Characters to remove from values."),
        Opt::new("source", Type::Field, Some("message"), "The field that holds the pairs."),
        Opt::new(
            "tag_on_failure",
            Type::Array,
            Some("[\"_kv_filter_error\"]"),
            "Tags for events on which it failed, such as by a key that is no field's name.",
        ),
        Opt::new(
            "tag_on_timeout",
            Type::String,
            Some("_kv_filter_timeout"),
            "The tag for events on which a pattern took too long.",
        ),
        Opt::new(
            "target",
            Type::Field,
            None,
            "The field under which the pairs are put; without it, they become fields.",
        ),
        Opt::new(
            "timeout_millis",
            Type::Number,
            Some("30000"),
            "About how long a text may take. Only patterns can be slow; they are counted in steps, of which there is a limit in any case.",
        ),
        Opt::new("transform_key", CASES, None, "How letters of keys are changed."),
        Opt::new("transform_value", CASES, None, "How letters of values are changed."),
        Opt::new("trim_key", Type::String, None, "Characters to remove from both ends of keys."),
        Opt::new("trim_value", Type::String, None, "Characters to remove from both ends of values."),
        Opt::new("value_split", Type::String, Some("="), "The characters of which each separates key and value."),
        Opt::new(
            "value_split_pattern",
            Type::String,
            None,
            "A pattern that separates key and value, in place of `value_split`.",
        ),
        Opt::new(
            "whitespace",
            Type::Enum(&["strict", "lenient"]),
            Some("lenient"),
            "Whether spaces around the separator of key and value belong to it.",
        ),
    ],
    examples: &[
        Example {
            title: "Pairs become fields",
            config: r#"kv { }"#,
            given: r#"{"message":"user=kim status=200 agent=\"Mozilla 5\""}"#,
            then: r#"{"user":"kim","status":"200","agent":"Mozilla 5"}"#,
        },
        Example {
            title: "The query of a URL",
            config: r#"kv { source => "query" field_split => "?&" target => "args" }"#,
            given: r#"{"query":"?a=1&b=2&a=3"}"#,
            then: r#"{"query":"?a=1&b=2&a=3","args":{"a":["1","3"],"b":"2"}}"#,
        },
    ],
    build: Build::Filter(build),
};

/// How deep `recursive` goes; what lies deeper stays text. Logstash's stack would overflow.
const DEPTH_MAX: usize = 100;

/// From how many keys on a table finds a key that comes again.
const MANY: usize = 32;

struct Plan {
    scan: Scan,
    source: FieldRef,
    target: Option<FieldRef>,
    keys: Change,
    values: Change,
    prefix: Option<Template>,
    include: Vec<Template>,
    exclude: Vec<Template>,
    defaults: Vec<(FieldId, Setting)>,
    empty_values: bool,
    duplicates: bool,
    recursive: bool,
    failure: Vec<String>,
    timeout: String,
}

struct Kv {
    plan: Arc<Plan>,
    found: Found,
    scratch: Scratch,
}

/// The pairs of an event, those of inner texts on top.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    /// Further values of an entry, by its index.
    more: Vec<(usize, Value)>,
}

#[derive(Default)]
struct Scratch {
    slots: Slots,
    names: FieldCache,
    bytes: Vec<u8>,
    text: String,
    /// `include_keys` and `exclude_keys` as the event gives them.
    include: Vec<Vec<u8>>,
    exclude: Vec<Vec<u8>>,
    prefix: Vec<u8>,
}

/// Why a text gave no pairs.
enum Failure {
    Timeout,
    Error,
}

impl From<MatchError> for Failure {
    fn from(error: MatchError) -> Failure {
        match error {
            MatchError::Limit => Failure::Timeout,
            MatchError::Engine(_) => Failure::Error,
        }
    }
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let mut errors = Vec::new();
    for name in ["value_split", "value_split_pattern", "field_split_pattern"] {
        if options.str(name).is_some_and(str::is_empty) {
            let message = format!("`{name}` must not be empty");
            errors.push(Diagnostic::error(code::VALUE, options.place_of(name), message));
        }
    }
    let (keys, values) = (Change::new(options, "key", &mut errors), Change::new(options, "value", &mut errors));
    let scan = if errors.is_empty() { scan(options, &mut errors) } else { None };
    let Some(scan) = scan else { return Err(errors) };
    if !errors.is_empty() {
        return Err(errors);
    }
    let templates = |name| options.list(name).iter().map(common::template).collect();
    let default =
        |(key, value): &(Setting, Setting)| (FieldId::intern(key.as_str().unwrap_or_default()), value.clone());
    let failure = match options.has("tag_on_failure") {
        true => options.strings("tag_on_failure"),
        false => vec!["_kv_filter_error".to_owned()],
    };
    let plan = Plan {
        scan,
        source: options.field("source").unwrap_or_else(|| FieldRef::of("message")),
        target: options.field("target"),
        keys,
        values,
        prefix: options.template("prefix").filter(|prefix| prefix.constant() != Some("")),
        include: templates("include_keys"),
        exclude: templates("exclude_keys"),
        defaults: options.hash("default_keys").iter().map(default).collect(),
        empty_values: options.bool("allow_empty_values", false),
        duplicates: options.bool("allow_duplicate_values", true),
        recursive: options.bool("recursive", false),
        failure,
        timeout: options.str("tag_on_timeout").unwrap_or("_kv_filter_timeout").to_owned(),
    };
    Ok(Box::new(Kv::new(Arc::new(plan))))
}

/// The separators, compiled.
fn scan(options: &Options, errors: &mut Vec<Diagnostic>) -> Option<Scan> {
    /// Steps of a match that stand for a millisecond of `timeout_millis`.
    const STEPS_PER_MILLI: f64 = 20_000.0;
    let limit = match options.number("timeout_millis") {
        Some(millis) if millis > 0.0 => (millis * STEPS_PER_MILLI).min(f64::from(MATCH_LIMIT)) as u32,
        _ => MATCH_LIMIT,
    };
    let separators = Separators {
        field: options.str("field_split").unwrap_or(" "),
        field_pattern: options.str("field_split_pattern"),
        value: options.str("value_split").unwrap_or("="),
        value_pattern: options.str("value_split_pattern"),
        lenient: options.str("whitespace") != Some("strict"),
        brackets: options.bool("include_brackets", true),
    };
    let name = ["field_split_pattern", "value_split_pattern", "field_split", "value_split"];
    let name = name.into_iter().find(|name| options.has(name)).unwrap_or("field_split");
    let scan = Scan::new(&separators, limit);
    scan.map_err(|error| {
        let message = format!("cannot split pairs by these separators: {error}");
        errors.push(Diagnostic::error(code::PATTERN, options.place_of(name), message));
    })
    .ok()
}

impl Filter for Kv {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            match self.event(&plan, batch, event) {
                Ok(true) => run.matched.push(event),
                Ok(false) => {}
                Err(Failure::Timeout) => batch.tag(event, &plan.timeout),
                Err(Failure::Error) => plan.failure.iter().for_each(|tag| batch.tag(event, tag)),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Kv::new(self.plan.clone()))
    }
}

impl Kv {
    fn new(plan: Arc<Plan>) -> Kv {
        Kv { plan, found: Found::default(), scratch: Scratch::default() }
    }

    /// Whether pairs were found and set.
    fn event(&mut self, plan: &Plan, batch: &mut Batch, event: EventId) -> Result<bool, Failure> {
        self.found.entries.clear();
        self.found.more.clear();
        match batch.get(event, &plan.source) {
            Some(Value::Str(span)) => {
                self.prepare(plan, batch, event);
                self.text(plan, batch, span, (0, 0), 0)?;
            }
            Some(Value::Array(list)) => {
                self.prepare(plan, batch, event);
                for at in 0..list.len() {
                    if let Value::Str(span) = batch.entries(list)[at].value {
                        self.text(plan, batch, span, (0, 0), 0)?;
                    }
                }
            }
            _ => {}
        }
        self.found.close(batch, 0, 0);
        if !plan.defaults.is_empty() {
            self.add_defaults(plan, batch);
        }
        if self.found.entries.is_empty() {
            return Ok(false);
        }
        match &plan.target {
            Some(target) => {
                let list = batch.list(&self.found.entries);
                if set(batch, event, target, Value::Object(list)) { Ok(true) } else { Err(Failure::Error) }
            }
            None => self.spread(batch, event),
        }
    }

    /// Renders what is the same for all pairs of an event.
    fn prepare(&mut self, plan: &Plan, batch: &Batch, event: EventId) {
        let render = |templates: &[Template], out: &mut Vec<Vec<u8>>| {
            out.resize_with(templates.len(), Vec::new);
            for (template, out) in templates.iter().zip(out) {
                out.clear();
                template.render(batch, event, out);
            }
        };
        render(&plan.include, &mut self.scratch.include);
        render(&plan.exclude, &mut self.scratch.exclude);
        if let Some(prefix) = &plan.prefix {
            self.scratch.prefix.clear();
            prefix.render(batch, event, &mut self.scratch.prefix);
        }
    }

    /// Adds the pairs of a text to those from `base` on (`more` is the like for further values).
    fn text(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        text: Span,
        (base, more): (usize, usize),
        depth: usize,
    ) -> Result<(), Failure> {
        let mut state = State::default();
        let mut many = FxHashMap::default();
        while let Some(pair) = plan.scan.next(batch.text(text), &mut state, &mut self.scratch.slots)? {
            let Some((key, value)) = self.pair(plan, batch, text, pair)? else { continue };
            let known = self.found.find(base, key, &mut many);
            if !plan.duplicates && known.is_some_and(|at| self.found.holds(batch, at, more, value)) {
                continue;
            }
            let value = match plan.recursive && depth < DEPTH_MAX {
                true => self.inner(plan, batch, value, depth)?,
                false => Value::Str(value),
            };
            match known {
                Some(at) => self.found.more.push((at, value)),
                None => self.found.entries.push(Entry::new(key, value)),
            }
        }
        Ok(())
    }

    /// The pairs in a value as a hash, or the value itself where it has none.
    fn inner(&mut self, plan: &Plan, batch: &mut Batch, value: Span, depth: usize) -> Result<Value, Failure> {
        let base = (self.found.entries.len(), self.found.more.len());
        self.text(plan, batch, value, base, depth + 1)?;
        self.found.close(batch, base.0, base.1);
        if self.found.entries.len() == base.0 {
            return Ok(Value::Str(value));
        }
        let list = batch.list(&self.found.entries[base.0..]);
        self.found.entries.truncate(base.0);
        Ok(Value::Object(list))
    }

    /// Key and value as the options change them; `None` where they leave the pair out.
    fn pair(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        text: Span,
        pair: Pair,
    ) -> Result<Option<(FieldId, Span)>, Failure> {
        if pair.value.0 == pair.value.1 && !plan.empty_values {
            return Ok(None);
        }
        let scratch = &mut self.scratch;
        let mut key = plan.keys.apply(batch, text.slice(pair.key.0, pair.key.1), &mut scratch.text)?;
        if !plan.include.is_empty() || !plan.exclude.is_empty() {
            let is_key = |name: &Vec<u8>| name.as_slice() == batch.bytes(key);
            if (!plan.include.is_empty() && !scratch.include.iter().any(is_key)) || scratch.exclude.iter().any(is_key) {
                return Ok(None);
            }
        }
        if plan.prefix.is_some() {
            scratch.bytes.clear();
            scratch.bytes.extend_from_slice(&scratch.prefix);
            scratch.bytes.extend_from_slice(batch.bytes(key));
            key = batch.push_bytes(&scratch.bytes);
        }
        let value = plan.values.apply(batch, text.slice(pair.value.0, pair.value.1), &mut scratch.text)?;
        Ok(Some((scratch.names.key(batch, key), value)))
    }

    /// Puts the defaults first, with the values that were found where there are any.
    fn add_defaults(&mut self, plan: &Plan, batch: &mut Batch) {
        let found = std::mem::take(&mut self.found.entries);
        for (key, value) in &plan.defaults {
            let entry = match found.iter().find(|entry| entry.key == *key) {
                Some(entry) => *entry,
                None => Entry::new(*key, common::literal(batch, value)),
            };
            self.found.entries.push(entry);
        }
        let is_default = |entry: &&Entry| plan.defaults.iter().any(|(key, _)| *key == entry.key);
        self.found.entries.extend(found.iter().filter(|entry| !is_default(entry)));
    }

    /// Sets each pair as a field; those before one that can't be set stay.
    fn spread(&mut self, batch: &mut Batch, event: EventId) -> Result<bool, Failure> {
        batch.reserve(event, self.found.entries.len());
        for entry in &self.found.entries {
            let Entry { key, value, .. } = *entry;
            let name = batch.name(key);
            if memchr::memchr2(b'[', b']', name.as_bytes()).is_some() {
                let name = name.to_owned();
                let field = batch.reference(&name).map_err(|_| Failure::Error)?;
                if !set(batch, event, &field, value) {
                    return Err(Failure::Error);
                }
                continue;
            }
            let text = matches!(value, Value::Str(_));
            match key {
                FieldId::TIMESTAMP | FieldId::METADATA => return Err(Failure::Error),
                FieldId::TAGS if !text && !set(batch, event, &FieldRef::of("tags"), value) => {
                    return Err(Failure::Error);
                }
                _ => batch.set_key(event, key, value),
            }
        }
        Ok(true)
    }
}

impl Found {
    /// The index of a key among the entries from `base` on.
    #[inline]
    fn find(&self, base: usize, key: FieldId, many: &mut FxHashMap<FieldId, usize>) -> Option<usize> {
        let entries = &self.entries[base..];
        if entries.len() < MANY {
            return entries.iter().position(|entry| entry.key == key).map(|at| base + at);
        }
        // The table follows the entries, each of which has another key.
        let known = many.len();
        many.extend(entries[known..].iter().zip(base + known..).map(|(entry, at)| (entry.key, at)));
        many.get(&key).copied()
    }

    /// Whether the values of an entry so far hold a text, as Ruby's `include?`: a single text
    /// holds each of its parts, a hash its keys.
    fn holds(&self, batch: &Batch, at: usize, more: usize, text: Span) -> bool {
        let text = batch.bytes(text);
        let equals = |value: Value| matches!(value, Value::Str(span) if batch.bytes(span) == text);
        let first = self.entries[at].value;
        let mut others = self.more[more..].iter().filter(|(index, _)| *index == at).peekable();
        if others.peek().is_some() {
            return equals(first) || others.any(|(_, value)| equals(*value));
        }
        match first {
            Value::Str(span) => memchr::memmem::find(batch.bytes(span), text).is_some(),
            Value::Object(list) => batch.entries(list).iter().any(|entry| batch.name(entry.key).as_bytes() == text),
            _ => false,
        }
    }

    /// Makes arrays of the values of keys that came more than once, from `base` on.
    fn close(&mut self, batch: &mut Batch, base: usize, more: usize) {
        if self.more.len() == more {
            return;
        }
        debug_assert!(self.more[more..].iter().all(|(at, _)| *at >= base));
        self.more[more..].sort_by_key(|(at, _)| *at);
        let mut values = Vec::new();
        for group in self.more[more..].chunk_by(|a, b| a.0 == b.0) {
            let entry = &mut self.entries[group[0].0];
            values.clear();
            values.push(Entry::element(entry.value));
            values.extend(group.iter().map(|(_, value)| Entry::element(*value)));
            entry.value = Value::Array(batch.list(&values));
        }
        self.more.truncate(more);
    }
}

#[cfg(test)]
mod tests;
