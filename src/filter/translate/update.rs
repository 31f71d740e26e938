//! What is looked up in an event, and where the value goes.

use super::dictionary::{Dictionary, Found};
use crate::event::{Batch, Entry, EventId, FieldRef, List, Span, Step, Template, Value, ruby};
use crate::filter::common::{includes, render, set};

/// Whether an array is gone through.
pub(super) enum Iterate {
    No,
    /// The elements of `source` are looked up.
    Values,
    /// Of the elements of this array, a field is looked up and another set.
    Maps(FieldRef),
}

pub(super) struct Update {
    pub source: FieldRef,
    pub target: FieldRef,
    pub iterate: Iterate,
    /// Whether a target that is there is replaced.
    pub replaces: bool,
    /// Whether the source is the target: then the event matches in any case.
    pub in_place: bool,
    pub fallback: Option<Template>,
}

/// Memory to work in.
#[derive(Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Update {
    /// Looks up and sets; whether the event counts as matched.
    pub(super) fn apply(
        &self,
        dictionary: &Dictionary,
        batch: &mut Batch,
        event: EventId,
        scratch: &mut Scratch,
    ) -> bool {
        if let Iterate::Maps(array) = &self.iterate {
            return match batch.get(event, array) {
                Some(Value::Array(list)) => self.maps(dictionary, batch, event, array, list, scratch) || self.in_place,
                Some(_) => self.in_place,
                None => false,
            };
        }
        if (!self.replaces && includes(batch, event, &self.target)) || !includes(batch, event, &self.source) {
            return false;
        }
        let source = batch.get(event, &self.source).unwrap_or(Value::Null);
        match self.iterate {
            Iterate::No => self.single(dictionary, batch, event, source, scratch),
            _ => self.values(dictionary, batch, event, source, scratch),
        }
    }

    fn single(
        &self,
        dictionary: &Dictionary,
        batch: &mut Batch,
        event: EventId,
        source: Value,
        scratch: &mut Scratch,
    ) -> bool {
        let first = match source {
            Value::Array(list) => batch.entries(list).first().map_or(Value::Null, |entry| entry.value),
            one => one,
        };
        let text = text(batch, first, scratch);
        let value = match dictionary.find(batch, text, &mut scratch.bytes) {
            Found::Value(value) => value,
            Found::Nothing => match &self.fallback {
                Some(fallback) => render(fallback, batch, event, &mut scratch.bytes),
                None => return self.in_place,
            },
        };
        set(batch, event, &self.target, value)
    }

    fn values(
        &self,
        dictionary: &Dictionary,
        batch: &mut Batch,
        event: EventId,
        source: Value,
        scratch: &mut Scratch,
    ) -> bool {
        let fallback = match &self.fallback {
            Some(fallback) => render(fallback, batch, event, &mut scratch.bytes),
            None => Value::Null,
        };
        let mut found = std::mem::take(&mut scratch.entries);
        found.clear();
        let count = match source {
            Value::Array(list) => list.len(),
            Value::Null => 0,
            _ => 1,
        };
        for at in 0..count {
            let element = if let Value::Array(list) = source { batch.entries(list)[at].value } else { source };
            let text = text(batch, element, scratch);
            let value = match dictionary.find(batch, text, &mut scratch.bytes) {
                Found::Value(value) => value,
                Found::Nothing => fallback,
            };
            found.push(Entry::element(value));
        }
        let any = found.iter().any(|entry| !matches!(entry.value, Value::Null | Value::Bool(false)));
        let list = batch.list(&found);
        scratch.entries = found;
        set(batch, event, &self.target, Value::Array(list)) && (any || self.in_place)
    }

    fn maps(
        &self,
        dictionary: &Dictionary,
        batch: &mut Batch,
        event: EventId,
        array: &FieldRef,
        list: List,
        scratch: &mut Scratch,
    ) -> bool {
        let mut elements = std::mem::take(&mut scratch.entries);
        elements.clear();
        elements.extend_from_slice(batch.entries(list));
        let mut any = false;
        for element in &mut elements {
            let Some(inner) = below(batch, element.value, self.source.steps()) else { continue };
            let text = text(batch, inner, scratch);
            let value = match (dictionary.find(batch, text, &mut scratch.bytes), &self.fallback) {
                (Found::Value(value), _) => value,
                (Found::Nothing, Some(fallback)) => render(fallback, batch, event, &mut scratch.bytes),
                (Found::Nothing, None) => continue,
            };
            if let Some(new) = batch.with_set(Some(element.value), self.target.steps(), value) {
                (element.value, any) = (new, true);
            }
        }
        if any {
            let list = batch.list(&elements);
            any = set(batch, event, array, Value::Array(list));
        }
        scratch.entries = elements;
        any
    }
}

/// The value at a reference below another; null counts as none.
fn below(batch: &Batch, value: Value, steps: &[Step]) -> Option<Value> {
    let found = steps.iter().try_fold(value, |value, step| match value {
        Value::Object(list) => batch.entries(list).iter().find(|entry| entry.key == step.key).map(|entry| entry.value),
        _ => None,
    });
    found.filter(|value| *value != Value::Null)
}

/// The text under which a value is looked up.
fn text(batch: &mut Batch, value: Value, scratch: &mut Scratch) -> Span {
    if let Value::Str(span) = value {
        return span;
    }
    scratch.bytes.clear();
    ruby::write_to_s(batch, value, &mut scratch.bytes);
    batch.push_bytes(&scratch.bytes)
}
