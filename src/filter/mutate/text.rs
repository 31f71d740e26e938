//! Operations on texts: gsub, uppercase, capitalize, lowercase, strip, split, join. Those that
//! take arrays too change the texts in them.

use super::{Done, Needle, Scratch};
use crate::event::{Batch, Case, Entry, EventId, FieldRef, List, Span, Template, Value, ruby};
use crate::filter::common::set;
use crate::regexp::Regexp;

/// Puts `change(text)` in place of a text or of each text in an array; `None` leaves it as it is.
/// Where `strict`, an array with anything but texts is an error.
fn each_text(
    batch: &mut Batch,
    event: EventId,
    field: &FieldRef,
    entries: &mut Vec<Entry>,
    strict: bool,
    mut change: impl FnMut(&mut Batch, Span) -> Result<Option<Span>, ()>,
) -> Done {
    match batch.get(event, field) {
        Some(Value::Str(span)) => match change(batch, span).ok()? {
            Some(new) => set(batch, event, field, Value::Str(new)).then_some(()),
            None => Some(()),
        },
        Some(Value::Array(list)) => {
            entries.clear();
            let mut changed = false;
            for at in 0..list.len() {
                let mut value = batch.entries(list)[at].value;
                match value {
                    Value::Str(span) => {
                        if let Some(new) = change(batch, span).ok()? {
                            (value, changed) = (Value::Str(new), true);
                        }
                    }
                    _ if strict => return None,
                    _ => {}
                }
                entries.push(Entry::element(value));
            }
            if !changed {
                return Some(());
            }
            let list = batch.list(entries);
            set(batch, event, field, Value::Array(list)).then_some(())
        }
        _ => Some(()),
    }
}

/// Replaces what a pattern matches, as Ruby's `gsub`.
pub(super) fn gsub(
    batch: &mut Batch,
    event: EventId,
    field: &FieldRef,
    (at, needle, replacement): (usize, &Needle, &Template),
    scratch: &mut Scratch,
) -> Done {
    if !matches!(batch.get(event, field), Some(Value::Str(_) | Value::Array(_))) {
        return Some(());
    }
    let Scratch { bytes, text, entries, needles, .. } = scratch;
    let regexp = match needle {
        Needle::Fixed(regexp) => regexp,
        Needle::Rendered(template) => rendered(batch, event, template, bytes, &mut needles[at])?,
    };
    let replacement = match replacement.constant() {
        Some(constant) => constant,
        None => {
            bytes.clear();
            replacement.render(batch, event, bytes);
            std::str::from_utf8(bytes).ok()?
        }
    };
    each_text(batch, event, field, entries, false, |batch, span| {
        text.clear();
        let count = regexp.replace_all(batch.text(span), replacement, text).map_err(|_| ())?;
        Ok((count > 0).then(|| batch.push_text(text)))
    })
}

/// The pattern that an event gives; the last one is remembered.
fn rendered<'a>(
    batch: &Batch,
    event: EventId,
    template: &Template,
    bytes: &mut Vec<u8>,
    last: &'a mut Option<(String, Option<Regexp>)>,
) -> Option<&'a Regexp> {
    bytes.clear();
    template.render(batch, event, bytes);
    let pattern = std::str::from_utf8(bytes).ok()?;
    if last.as_ref().is_none_or(|(known, _)| known != pattern) {
        *last = Some((pattern.to_owned(), Regexp::new(pattern).ok()));
    }
    last.as_ref()?.1.as_ref()
}

/// Changes the case of letters, all of Unicode's.
pub(super) fn case(batch: &mut Batch, event: EventId, field: &FieldRef, case: Case, scratch: &mut Scratch) -> Done {
    let Scratch { text, entries, .. } = scratch;
    each_text(batch, event, field, entries, false, |batch, span| Ok(case.apply(batch, span, text)))
}

/// What Ruby's `strip` takes for white space.
pub(super) fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | 0)
}

/// The bounds of a text without white space at its ends.
pub(super) fn stripped(bytes: &[u8]) -> (usize, usize) {
    match bytes.iter().position(|c| !is_space(*c)) {
        None => (0, 0),
        Some(start) => (start, bytes.iter().rposition(|c| !is_space(*c)).map_or(start, |last| last + 1)),
    }
}

/// Takes white space off both ends. Nothing is copied.
pub(super) fn strip(batch: &mut Batch, event: EventId, field: &FieldRef, scratch: &mut Scratch) -> Done {
    each_text(batch, event, field, &mut scratch.entries, true, |batch, span| {
        let (start, end) = stripped(batch.bytes(span));
        Ok((end - start < span.len as usize).then(|| span.slice(start, end)))
    })
}

/// Cuts a text into an array, as Ruby's `split`: parts are not copied, empty ones at the end are
/// left out; a space stands for any white space, an empty text cuts between all letters.
pub(super) fn split(
    batch: &mut Batch,
    event: EventId,
    field: &FieldRef,
    separator: &str,
    scratch: &mut Scratch,
) -> Done {
    let Some(Value::Str(span)) = batch.get(event, field) else { return Some(()) };
    let text = batch.text(span);
    let parts = &mut scratch.entries;
    parts.clear();
    let mut part = |start: usize, end: usize| parts.push(Entry::element(Value::Str(span.slice(start, end))));
    match separator {
        "" => text.char_indices().for_each(|(at, c)| part(at, at + c.len_utf8())),
        " " => {
            let mut start = None;
            for (at, c) in text.bytes().enumerate() {
                match (is_space(c), start) {
                    (true, Some(from)) => {
                        part(from, at);
                        start = None;
                    }
                    (false, None) => start = Some(at),
                    _ => {}
                }
            }
            if let Some(from) = start {
                part(from, text.len());
            }
        }
        _ => {
            let mut from = 0;
            for at in memchr::memmem::find_iter(text.as_bytes(), separator) {
                part(from, at);
                from = at + separator.len();
            }
            part(from, text.len());
        }
    }
    while parts.last().is_some_and(|last| matches!(last.value, Value::Str(span) if span.is_empty())) {
        parts.pop();
    }
    let list = batch.list(parts);
    set(batch, event, field, Value::Array(list)).then_some(())
}

/// Makes one text of an array's elements.
pub(super) fn join(
    batch: &mut Batch,
    event: EventId,
    field: &FieldRef,
    separator: &str,
    scratch: &mut Scratch,
) -> Done {
    let Some(Value::Array(list)) = batch.get(event, field) else { return Some(()) };
    scratch.bytes.clear();
    push_joined(batch, list, separator, &mut scratch.bytes);
    let text = Value::Str(batch.push_bytes(&scratch.bytes));
    set(batch, event, field, text).then_some(())
}

fn push_joined(batch: &Batch, list: List, separator: &str, out: &mut Vec<u8>) {
    for (at, entry) in batch.entries(list).iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(separator.as_bytes());
        }
        match entry.value {
            Value::Array(list) => push_joined(batch, list, separator, out),
            value => ruby::write_to_s(batch, value, out),
        }
    }
}
