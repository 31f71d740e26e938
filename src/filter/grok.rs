//! The `grok` filter: fields out of text by named patterns, as Logstash's grok filter.
//!
//! ```text
//! filter { grok { match => { "message" => "%{COMBINEDAPACHELOG}" } } }
//! ```
//!
//! A capture becomes a span of the text that it was found in: no byte is copied.

mod explain;

pub use explain::{Explained, explain};

use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, Place, code};
use crate::event::json::write_value;
use crate::event::ruby::text_to_f;
use crate::event::{Batch, Entry, EventId, FieldId, FieldRef, Span, Value, joda};
use crate::grok::{self, Candidates, GrokError, Kind, Library, Scratch, Set, UNSET};
use crate::plugin::{Build, Built, Context, Example, Literal, Opt, Options, Setting, Spec, Type};
use crate::regexp::{MATCH_LIMIT, MatchError};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "grok",
    summary: "Cuts text into fields by named patterns.",
    options: &[
        Opt::new("break_on_match", Type::Boolean, Some("true"), "Whether the first pattern that matches is the last."),
        Opt::new(
            "ecs_compatibility",
            Type::Enum(&["disabled", "v1", "v8"]),
            None,
            "Which pattern set is used: the legacy one (`disabled`) or that with ECS field names; as the pipeline's by default.",
        ),
        Opt::new(
            "keep_empty_captures",
            Type::Boolean,
            Some("false"),
            "Whether captures that took no part in the match, or are empty, are set too.",
        ),
        Opt::new(
            "match",
            Type::Hash,
            Some("{}"),
            "Fields and the pattern (or array of patterns) to match each against.",
        ),
        Opt::new(
            "named_captures_only",
            Type::Boolean,
            Some("true"),
            "Whether only references that name a field are captured; else the others go to fields named as their patterns.",
        ),
        Opt::new("overwrite", Type::Array, Some("[]"), "Fields that a capture replaces instead of adding to them."),
        Opt::new("pattern_definitions", Type::Hash, Some("{}"), "Patterns by name, for this filter."),
        Opt::new("patterns_dir", Type::Array, Some("[]"), "Folders, files or globs of pattern files."),
        Opt::new("patterns_files_glob", Type::String, Some("*"), "Which files of those folders are read."),
        Opt::new(
            "tag_on_failure",
            Type::Array,
            Some("[\"_grokparsefailure\"]"),
            "Tags for events that no pattern matched.",
        ),
        Opt::new(
            "tag_on_timeout",
            Type::Array,
            Some("_groktimeout"),
            "Tags for events on which a pattern took too long.",
        ),
        Opt::new("target", Type::Field, None, "The field under which the captures are put."),
        Opt::new(
            "timeout_millis",
            Type::Number,
            Some("30000"),
            "About how long a match may take. It is counted in steps, of which there is a limit in any case.",
        ),
        Opt::new(
            "timeout_scope",
            Type::Enum(&["pattern", "event"]),
            Some("pattern"),
            "Whether `timeout_millis` is for each pattern or for all patterns of an event together.",
        ),
    ],
    examples: &[
        Example {
            title: "An access log",
            config: r#"grok { match => { "message" => "%{IPORHOST:client} %{WORD:verb} %{NOTSPACE:path} %{INT:status:int}" } }"#,
            given: r#"{"message":"10.0.0.1 GET /index.html 200"}"#,
            then: r#"{"message":"10.0.0.1 GET /index.html 200","client":"10.0.0.1","verb":"GET","path":"/index.html","status":200}"#,
        },
        Example {
            title: "No match",
            config: r#"grok { match => { "message" => "%{INT:n}" } }"#,
            given: r#"{"message":"none"}"#,
            then: r#"{"message":"none","tags":["_grokparsefailure"]}"#,
        },
    ],
    build: Build::Filter(build),
};

/// Steps of a match that stand for a millisecond of `timeout_millis`.
const STEPS_PER_MILLI: f64 = 20_000.0;

/// From how many patterns for a field on it is worth asking first which of them can match.
const MANY: usize = 4;

struct Grok {
    plan: Arc<Plan>,
    scratch: Scratch,
    /// Which patterns may match, as bits.
    bits: Vec<u64>,
    rendered: Vec<u8>,
}

struct Plan {
    sources: Vec<Source>,
    break_on_match: bool,
    keep_empty: bool,
    tag_on_failure: Vec<String>,
    tag_on_timeout: Vec<String>,
}

/// A field, and the patterns to try on it.
struct Source {
    field: FieldRef,
    patterns: Vec<Pattern>,
    /// Where there are many.
    candidates: Option<Candidates>,
}

struct Pattern {
    grok: grok::Grok,
    targets: Vec<Target>,
    /// How many top-level fields the targets lie in.
    tops: usize,
    /// Behind the targets comes a capture that can't be set: Logstash raises there, and gives up on
    /// the field.
    broken: bool,
}

/// Where a capture goes.
struct Target {
    field: FieldRef,
    /// The top-level field in it.
    key: FieldId,
    /// Text for a top-level field, the common case.
    plain: bool,
    kind: Kind,
    slot: usize,
    overwrite: bool,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let mut errors = Vec::new();
    let library = library(options, context, &mut errors);
    let incomplete = context.check_only && options.strings("patterns_dir").iter().any(|path| !Library::is_there(path));
    let target = options.str("target");
    let overwrite = options.strings("overwrite");
    let compile = grok::Options {
        named_captures_only: options.bool("named_captures_only", true),
        match_limit: match_limit(options),
    };
    let mut sources: Vec<Source> = Vec::new();
    for (name, patterns) in pairs(options.get("match"), &mut errors) {
        let field = match FieldRef::parse(name.as_str().unwrap_or_default()) {
            Ok(field) => field,
            Err(error) => {
                errors.push(Diagnostic::error(code::FIELD, name.place, error.to_string()));
                continue;
            }
        };
        let mut source = Source { field, patterns: Vec::new(), candidates: None };
        for setting in patterns {
            let Some(text) = setting.as_str() else {
                let mistake = Diagnostic::error(code::TYPE, setting.place, "a pattern must be a text");
                errors.push(mistake.label("expected a text"));
                continue;
            };
            let grok = match grok::Grok::compile(text, &library, compile) {
                Ok(grok) => grok,
                // While only checking: it may be defined in files that are not there yet.
                Err(error @ GrokError::Unknown { .. }) if incomplete => {
                    tracing::warn!(%error, "not all of `patterns_dir` is there; it is needed at start");
                    continue;
                }
                Err(error) => {
                    errors.push(complain(setting.place, error));
                    continue;
                }
            };
            let (targets, bad) = targets(&grok, target, &overwrite);
            if let Some(field) = &bad {
                let what = "a pattern captures into what is no field reference: where it matches, the event counts as not matched";
                tracing::warn!(pipeline = context.pipeline, plugin = context.id, field, "{what}");
            }
            let tops: BTreeSet<FieldId> = targets.iter().map(|target| target.field.first()).collect();
            source.patterns.push(Pattern { grok, targets, tops: tops.len(), broken: bad.is_some() });
        }
        if source.patterns.len() >= MANY {
            source.candidates = Some(Candidates::new(source.patterns.iter().map(|pattern| &pattern.grok)));
        }
        sources.push(source);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let tags = |name: &str, default: &str| {
        if options.has(name) { options.strings(name) } else { vec![default.to_owned()] }
    };
    let plan = Plan {
        sources,
        break_on_match: options.bool("break_on_match", true),
        keep_empty: options.bool("keep_empty_captures", false),
        tag_on_failure: tags("tag_on_failure", "_grokparsefailure"),
        tag_on_timeout: tags("tag_on_timeout", "_groktimeout"),
    };
    Ok(Box::new(Grok::new(Arc::new(plan))))
}

fn library(options: &Options, context: &Context, errors: &mut Vec<Diagnostic>) -> Library {
    let ecs = options.str("ecs_compatibility").map_or(context.ecs, |mode| mode != "disabled");
    let set = if ecs { Set::Ecs } else { Set::Legacy };
    let glob = options.str("patterns_files_glob").unwrap_or("*");
    let library = Library::with(set, &options.strings("patterns_dir"), glob);
    let mut library = library.unwrap_or_else(|error| {
        errors.push(Diagnostic::error(code::FILE, options.place_of("patterns_dir"), error.to_string()));
        Library::new(set)
    });
    for (name, definition) in options.hash("pattern_definitions") {
        if let (Some(name), Some(definition)) = (name.as_str(), definition.as_str()) {
            library.add(name, definition);
        }
    }
    library
}

fn match_limit(options: &Options) -> u32 {
    match options.number("timeout_millis") {
        // Zero turns Logstash's time-out off; ours is never off.
        Some(millis) if millis > 0.0 => (millis * STEPS_PER_MILLI).min(f64::from(MATCH_LIMIT)) as u32,
        _ => MATCH_LIMIT,
    }
}

/// Field and patterns of `match`: a hash, or an array of fields and patterns in turn, in which a
/// field may come again.
fn pairs<'a>(setting: Option<&'a Setting>, errors: &mut Vec<Diagnostic>) -> Vec<(&'a Setting, Vec<&'a Setting>)> {
    let mut pairs: Vec<(&Setting, Vec<&Setting>)> = Vec::new();
    let mut add = |name: &'a Setting, patterns: &'a Setting| {
        let patterns = patterns.elements().iter();
        match pairs.iter_mut().find(|(n, _)| n.as_str() == name.as_str()) {
            Some((_, all)) => all.extend(patterns),
            None => pairs.push((name, patterns.collect())),
        }
    };
    match setting.map(|s| (&s.value, s.place)) {
        None => {}
        Some((Literal::Hash(hash), _)) => hash.iter().for_each(|(name, patterns)| add(name, patterns)),
        Some((Literal::Array(array), place)) => {
            if array.len() % 2 != 0 {
                let message = "`match` as an array needs an even number of elements: field, pattern, …";
                errors.push(Diagnostic::error(code::TYPE, place, message));
            }
            array.chunks_exact(2).for_each(|pair| add(&pair[0], &pair[1]));
        }
        Some((_, place)) => errors.push(Diagnostic::error(code::TYPE, place, "`match` must be a hash")),
    }
    pairs
}

fn complain(place: Place, error: GrokError) -> Diagnostic {
    let diagnostic = Diagnostic::error(code::PATTERN, place, error.to_string());
    match error {
        GrokError::Unknown { near: Some(near), .. } => diagnostic.label(format!("did you mean `%{{{near}}}`?")),
        GrokError::Unknown { near: None, .. } => {
            diagnostic.label("define it in `pattern_definitions` or a file of `patterns_dir`")
        }
        _ => diagnostic,
    }
}

/// Where the captures of a pattern go: up to the first whose name is no field reference, which is
/// given, too.
fn targets(grok: &grok::Grok, target: Option<&str>, overwrite: &[String]) -> (Vec<Target>, Option<String>) {
    let bracketed = |name: &str| if name.starts_with('[') { name.to_owned() } else { format!("[{name}]") };
    let target = target.map(bracketed);
    let mut targets = Vec::new();
    for capture in grok.fields() {
        let path = match &target {
            Some(target) => format!("{target}{}", bracketed(&capture.field)),
            None => capture.field.clone(),
        };
        let Ok(field) = FieldRef::parse(&path) else { return (targets, Some(path)) };
        let plain = field.steps().len() == 1 && capture.kind == Kind::Text;
        let overwrite = overwrite.contains(&capture.field);
        targets.push(Target { key: field.first(), field, plain, kind: capture.kind, slot: capture.slot, overwrite });
    }
    (targets, None)
}

impl Filter for Grok {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            match self.event(&plan, batch, event) {
                Ok(true) => run.matched.push(event),
                Ok(false) => self.plan.tag_on_failure.iter().for_each(|tag| batch.tag(event, tag)),
                Err(_) => self.plan.tag_on_timeout.iter().for_each(|tag| batch.tag(event, tag)),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Grok::new(self.plan.clone()))
    }
}

/// Why a field is given up.
enum Stop {
    /// A pattern took too long.
    Timeout,
    /// A capture can't be set.
    Broken,
}

impl Grok {
    fn new(plan: Arc<Plan>) -> Grok {
        Grok { plan, scratch: Scratch::default(), bits: Vec::new(), rendered: Vec::new() }
    }

    fn event(&mut self, plan: &Plan, batch: &mut Batch, event: EventId) -> Result<bool, Stop> {
        let mut matched = false;
        for source in &plan.sources {
            let found = match self.source(plan, source, batch, event) {
                Err(Stop::Broken) => false,
                found => found?,
            };
            if found {
                matched = true;
                if plan.break_on_match {
                    break;
                }
            }
        }
        Ok(matched)
    }

    /// Matches a field. Of an array, each element is matched.
    fn source(&mut self, plan: &Plan, source: &Source, batch: &mut Batch, event: EventId) -> Result<bool, Stop> {
        let value = batch.get(event, &source.field).unwrap_or(Value::Null);
        let Value::Array(list) = value else {
            return self.value(plan, source, value, batch, event);
        };
        let mut matched = false;
        for at in 0..list.len() {
            let element = batch.entries(list)[at].value;
            matched |= self.value(plan, source, element, batch, event)?;
        }
        Ok(matched)
    }

    fn value(
        &mut self,
        plan: &Plan,
        source: &Source,
        value: Value,
        batch: &mut Batch,
        event: EventId,
    ) -> Result<bool, Stop> {
        let span = match value {
            Value::Str(span) => span,
            other => self.render(batch, other),
        };
        let Some(candidates) = &source.candidates else {
            let mut matched = false;
            for pattern in &source.patterns {
                matched = self.pattern(plan, pattern, span, batch, event)?;
                if matched && plan.break_on_match {
                    break;
                }
            }
            return Ok(matched);
        };
        candidates.find(batch.bytes(span), &mut self.bits);
        // Where patterns go on after a match, the last one's result counts.
        let (mut matched, mut tried) = (false, 0);
        for word in 0..self.bits.len() {
            let mut bits = self.bits[word];
            while bits != 0 {
                let at = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(pattern) = source.patterns.get(at) else { break };
                (matched, tried) = (self.pattern(plan, pattern, span, batch, event)?, at + 1);
                if matched && plan.break_on_match {
                    return Ok(true);
                }
            }
        }
        Ok(matched && tried == source.patterns.len())
    }

    /// Matches one pattern and sets its fields.
    #[inline]
    fn pattern(
        &mut self,
        plan: &Plan,
        pattern: &Pattern,
        span: Span,
        batch: &mut Batch,
        event: EventId,
    ) -> Result<bool, Stop> {
        let found = match pattern.grok.scan(batch.bytes(span), batch.known_ascii(span), &mut self.scratch) {
            Some(found) => Ok(found),
            None => pattern.grok.captures_by_regexp(batch.text(span), &mut self.scratch),
        };
        match found {
            Ok(true) => {
                self.set(plan, pattern, span, batch, event);
                if pattern.broken { Err(Stop::Broken) } else { Ok(true) }
            }
            Ok(false) => Ok(false),
            Err(MatchError::Limit) => Err(Stop::Timeout),
            Err(MatchError::Engine(_)) => Ok(false),
        }
    }

    /// The text of a value that is none, as Ruby's `to_s`.
    fn render(&mut self, batch: &mut Batch, value: Value) -> Span {
        self.rendered.clear();
        match value {
            Value::Null => {}
            Value::Time(at) => joda::write_iso8601(at, &mut self.rendered),
            other => write_value(batch, other, &mut self.rendered),
        }
        batch.push_bytes(&self.rendered)
    }

    fn set(&self, plan: &Plan, pattern: &Pattern, text: Span, batch: &mut Batch, event: EventId) {
        // Most captures are text for fields that the event has not: those are written in a row,
        // without looking for each.
        let mut taken = batch.names(event);
        batch.reserve(event, pattern.tops);
        let mut targets = pattern.targets.iter();
        loop {
            let mut added = 0;
            let mut other = None;
            let spare = batch.spare(event);
            for target in targets.by_ref() {
                let (start, end) = self.scratch.spans[target.slot];
                if !plan.keep_empty && ((start, end) == UNSET || start == end) {
                    continue;
                }
                let plain = target.plain && taken & target.key.bit() == 0 && (start, end) != UNSET;
                taken |= target.key.bit();
                match spare.get_mut(added).filter(|_| plain) {
                    Some(room) => {
                        *room = Entry::new(target.key, Value::Str(text.slice(start as usize, end as usize)));
                        added += 1;
                    }
                    None => {
                        other = Some((target, (start, end)));
                        break;
                    }
                }
            }
            batch.add_spare(event, added, taken);
            let Some((target, span)) = other else { return };
            target.set(batch, event, text, span);
        }
    }
}

impl Target {
    /// Sets the field, or adds to it.
    fn set(&self, batch: &mut Batch, event: EventId, text: Span, span: (u32, u32)) {
        let value = self.kind.value(batch, text, span);
        let old = if self.overwrite { None } else { batch.get(event, &self.field) };
        match old {
            None | Some(Value::Null) => drop(batch.set(event, &self.field, value)),
            Some(Value::Array(_) | Value::Str(_)) => drop(batch.append(event, &self.field, value)),
            Some(_) => {}
        }
    }
}

impl Kind {
    /// What a capture becomes that lies at `span` of a text.
    fn value(self, batch: &Batch, text: Span, span: (u32, u32)) -> Value {
        if span == UNSET {
            return Value::Null;
        }
        let span = text.slice(span.0 as usize, span.1 as usize);
        match self {
            Kind::Text => Value::Str(span),
            Kind::Int => to_i(batch.bytes(span)),
            Kind::Float => Value::Float(text_to_f(batch.text(span))),
        }
    }
}

/// Ruby's `to_i`: the digits at the start, however much follows them; 0 without any.
fn to_i(text: &[u8]) -> Value {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mut value, mut large, mut overflow) = (0u64, 0f64, false);
    let mut before = b'_';
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                let digit = byte - b'0';
                large = large * 10.0 + f64::from(digit);
                match value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit))) {
                    Some(next) => value = next,
                    None => overflow = true,
                }
            }
            b'_' if before != b'_' => {}
            _ => break,
        }
        before = byte;
    }
    match (overflow, negative) {
        (false, false) => i64::try_from(value).map_or(Value::Uint(value), Value::Int),
        (false, true) if value <= 1 << 63 => Value::Int((value as i64).wrapping_neg()),
        (_, negative) => Value::Float(if negative { -large } else { large }),
    }
}

#[cfg(test)]
mod tests;
