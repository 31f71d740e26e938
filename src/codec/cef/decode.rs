//! CEF to an event.

use super::names::{Names, TIMES};
use super::time::Times;
use crate::codec::Decoder;
use crate::codec::charset::Charset;
use crate::codec::json::failed;
use crate::event::{Batch, EventId, FieldRef, Frame, Timestamp, Value};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::sync::Arc;

/// What does not change from event to event.
pub(super) struct Rules {
    header: [FieldRef; 7],
    syslog: FieldRef,
    raw: Option<FieldRef>,
    /// From an extension's key to its field.
    extensions: FxHashMap<String, FieldRef>,
    /// ECS mode: the fields that are times, …
    times: Vec<FieldRef>,
    /// … how to read them, …
    reader: Times,
    /// … and where the event says its time zone.
    zone: FieldRef,
}

impl Rules {
    pub(super) fn new(names: Names, ecs: bool, reader: Times, raw: Option<FieldRef>) -> Rules {
        let field = |legacy: &str, path: &[&str]| if ecs { FieldRef::path(path) } else { FieldRef::of(legacy) };
        let parse = |name: &str| FieldRef::parse(name).expect("BUG: a bad field in the table of names");
        Rules {
            header: [
                field("cefVersion", &["cef", "version"]),
                field("deviceVendor", &["observer", "vendor"]),
                field("deviceProduct", &["observer", "product"]),
                field("deviceVersion", &["observer", "version"]),
                field("deviceEventClassId", &["event", "code"]),
                field("name", &["cef", "name"]),
                field("severity", &["event", "severity"]),
            ],
            syslog: field("syslog", &["log", "syslog", "header"]),
            raw,
            times: if ecs { TIMES.iter().map(|name| parse(&names.decode[*name])).collect() } else { Vec::new() },
            extensions: names.decode.iter().map(|(key, field)| (key.clone(), parse(field))).collect(),
            reader,
            zone: FieldRef::path(&["event", "timezone"]),
        }
    }
}

/// Makes events of CEF.
pub(super) struct Cef {
    rules: Arc<Rules>,
    /// The extensions of the event at hand.
    found: Vec<(FieldRef, String)>,
}

/// Why a text is no CEF; the event only has the tag.
struct NoCef;

impl Cef {
    pub(super) fn new(rules: Arc<Rules>) -> Cef {
        Cef { rules, found: Vec::new() }
    }

    fn event(&mut self, batch: &mut Batch, text: &str, whole: &str) -> Result<EventId, NoCef> {
        let rules = self.rules.clone();
        let mut rest = chomp(text);
        if rest.contains('\n') {
            return Err(NoCef);
        }
        let mut header: [Cow<str>; 7] = Default::default();
        for value in &mut header {
            let (field, behind) = next_header(rest).ok_or(NoCef)?;
            (*value, rest) = (unescape(field, |c| matches!(c, '\\' | '|').then_some(c)), behind);
        }
        self.extensions(batch, rest)?;
        let now = batch.read_at.unwrap_or(Timestamp::new(0, 0));
        let times = self.times(now)?;

        let event = batch.new_event();
        if let Some(field) = &rules.raw {
            let raw = batch.str(whole);
            batch.set(event, field, raw);
        }
        let mut version = &header[0][..];
        if let Some((syslog, behind)) = version.rsplit_once(' ') {
            let syslog = batch.str(syslog);
            batch.set(event, &rules.syslog, syslog);
            version = behind;
        }
        let version = batch.str(version.strip_prefix("CEF:").unwrap_or(version));
        batch.set(event, &rules.header[0], version);
        for (field, value) in rules.header.iter().zip(&header).skip(1) {
            let value = batch.str(value);
            batch.set(event, field, value);
        }
        for (field, at) in times {
            batch.set(event, field_of(&rules, field), at.map_or(Value::Null, Value::Time));
        }
        for (field, value) in self.found.drain(..) {
            let value = batch.str(&value);
            batch.set(event, &field, value);
        }
        Ok(event)
    }

    /// Reads all keys and values; a key that comes again has its last value.
    fn extensions(&mut self, batch: &mut Batch, text: &str) -> Result<(), NoCef> {
        self.found.clear();
        let mut rest = text.trim_start_matches(is_space).trim_end_matches(|c| is_space(c) || c == '\0');
        while !rest.is_empty() {
            let key = key(rest).ok_or(NoCef)?;
            let behind = &rest[key.len() + 1..];
            let (value, next) = value(behind);
            rest = next;
            let field = match self.rules.extensions.get(key) {
                Some(field) => field.clone(),
                None => {
                    let reference = match key.strip_suffix(']').and_then(|k| k.split_once('[')) {
                        Some((name, index)) => format!("[{name}][{index}]"),
                        None => key.to_owned(),
                    };
                    batch.reference(&reference).map_err(|_| NoCef)?
                }
            };
            let value = unescape(value, |c| match c {
                '\\' | '=' => Some(c),
                'n' => Some('\n'),
                'r' => Some('\r'),
                _ => None,
            });
            match self.found.iter_mut().find(|(f, _)| *f == field) {
                Some((_, old)) => *old = value.into_owned(),
                None => self.found.push((field, value.into_owned())),
            }
        }
        Ok(())
    }

    /// Takes the times out of the extensions and reads them: the number in the list, and the
    /// time where it is not blank.
    fn times(&mut self, now: Timestamp) -> Result<Vec<(usize, Option<Timestamp>)>, NoCef> {
        let rules = self.rules.clone();
        let zone = self.found.iter().find(|(field, _)| *field == rules.zone).map(|(_, zone)| zone.clone());
        let mut times = Vec::new();
        for (number, field) in rules.times.iter().enumerate() {
            let Some(at) = self.found.iter().position(|(f, _)| f == field) else { continue };
            let (_, text) = self.found.remove(at);
            if text.trim().is_empty() {
                // Nobody wants an event without a time.
                if field_of(&rules, number).steps().len() > 1 {
                    times.push((number, None));
                }
                continue;
            }
            times.push((number, Some(rules.reader.read(&text, zone.as_deref(), now).ok_or(NoCef)?)));
        }
        Ok(times)
    }
}

fn field_of(rules: &Rules, number: usize) -> &FieldRef {
    &rules.times[number]
}

impl Decoder for Cef {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        let text = match std::str::from_utf8(batch.bytes(frame.bytes)) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                let text = Charset::Utf8.text(batch, frame.bytes);
                return out.push(failed(batch, text, "_cefparsefailure"));
            }
        };
        // Some connectors put quotes around the whole.
        let inner = match text.strip_prefix('"') {
            Some(inner) => &inner[..inner.char_indices().next_back().map_or(0, |(at, _)| at)],
            None => &text,
        };
        let event = match self.event(batch, inner, &text) {
            Ok(event) => event,
            Err(NoCef) => {
                let text = batch.push_text(inner);
                failed(batch, text, "_cefparsefailure")
            }
        };
        out.push(event);
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(Cef::new(self.rules.clone()))
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Without one line end.
fn chomp(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The text up to the next pipe that is not escaped, and what is behind it. Where there is none,
/// the last escaped one counts.
fn next_header(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let (mut at, mut escaped) = (0, None);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'|', _) => return Some((&text[..at], &text[at + 1..])),
            (b'\\', Some(b'|')) => {
                escaped = Some(at + 1);
                at += 2;
            }
            (b'\\', Some(b'\\')) => at += 2,
            _ => at += 1,
        }
    }
    escaped.map(|at| (&text[..at], &text[at + 1..]))
}

/// The key at the start of `text`, which an equals sign follows: a word, perhaps with further
/// ones behind points, perhaps with an index in brackets.
fn key(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let while_from = |from: usize, is: fn(u8) -> bool| {
        bytes[from..].iter().position(|&b| !is(b)).map_or(bytes.len(), |at| from + at)
    };
    let mut end = while_from(0, |b| b.is_ascii_alphanumeric() || b == b'_');
    if end == 0 {
        return None;
    }
    let part = |b: u8| !matches!(b, b'.' | b'=' | b'|' | b'\\' | b'[' | b']') && !is_space(b as char);
    while bytes.get(end) == Some(&b'.') {
        let next = while_from(end + 1, part);
        if next == end + 1 {
            return None;
        }
        end = next;
    }
    if bytes.get(end) == Some(&b'[') {
        let digits = while_from(end + 1, |b| b.is_ascii_digit());
        if digits == end + 1 || bytes.get(digits) != Some(&b']') {
            return None;
        }
        end = digits + 1;
    }
    (bytes.get(end) == Some(&b'=')).then(|| &text[..end])
}

/// The value at the start of `text`, which ends at white space before a key, and what is behind.
fn value(text: &str) -> (&str, &str) {
    let mut from = 0;
    while let Some(space) = text[from..].find(is_space).map(|at| from + at) {
        let next = text[space..].find(|c| !is_space(c)).map_or(text.len(), |at| space + at);
        if key(&text[next..]).is_some() {
            return (&text[..space], &text[next..]);
        }
        from = next;
    }
    (text, "")
}

/// Replaces a backslash and the character behind it by what `meaning` gives for that.
fn unescape(text: &str, meaning: fn(char) -> Option<char>) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek().copied().filter(|_| c == '\\').and_then(meaning) {
            Some(meant) => {
                out.push(meant);
                chars.next();
            }
            None => out.push(c),
        }
    }
    Cow::Owned(out)
}
