//! Operations on whole fields: coerce, rename, update, replace, merge, copy.

use super::{Done, Scratch};
use crate::event::{Batch, Entry, EventId, FieldRef, Template, Value};
use crate::filter::common::{Name, includes, set};

/// Gives a field that is there but null a value.
pub(super) fn coerce(
    batch: &mut Batch,
    event: EventId,
    field: &FieldRef,
    value: (usize, &Template),
    scratch: &mut Scratch,
) -> Done {
    if batch.get(event, field) == Some(Value::Null) && includes(batch, event, field) {
        let value = scratch.value(value, batch, event);
        return set(batch, event, field, value).then_some(());
    }
    Some(())
}

/// Gives a field another name. The old one is gone even where the new one can't be set.
pub(super) fn rename(batch: &mut Batch, event: EventId, old: &Name, new: &Name, scratch: &mut Scratch) -> Done {
    let old = old.resolve(batch, event, &mut scratch.bytes)?;
    // Logstash reads the new name before it looks whether there is something to rename.
    let new = new.resolve(batch, event, &mut scratch.bytes);
    if !includes(batch, event, &old) {
        return Some(());
    }
    let value = batch.remove(event, &old)?;
    set(batch, event, new.as_deref()?, value).then_some(())
}

/// Sets a field that is there.
pub(super) fn update(
    batch: &mut Batch,
    event: EventId,
    field: &FieldRef,
    value: (usize, &Template),
    scratch: &mut Scratch,
) -> Done {
    if !includes(batch, event, field) {
        return Some(());
    }
    replace(batch, event, field, value, scratch)
}

/// Sets a field.
pub(super) fn replace(
    batch: &mut Batch,
    event: EventId,
    field: &FieldRef,
    value: (usize, &Template),
    scratch: &mut Scratch,
) -> Done {
    let value = scratch.value(value, batch, event);
    set(batch, event, field, value).then_some(())
}

/// Sets a field to another's value; null is not copied.
pub(super) fn copy(batch: &mut Batch, event: EventId, from: &FieldRef, to: &Name) -> Done {
    match batch.get(event, from) {
        None | Some(Value::Null) => Some(()),
        // Values are never changed in place, so that a shared one is as good as a copy.
        Some(value) => set(batch, event, to.fixed()?, value).then_some(()),
    }
}

/// Appends the elements of fields to a field, or adds the members of hashes to a hash. A hash
/// and something else are not merged.
pub(super) fn merge(batch: &mut Batch, event: EventId, to: &FieldRef, from: &[Name], scratch: &mut Scratch) -> Done {
    let mut old = batch.get(event, to).unwrap_or(Value::Null);
    for name in from {
        let added = batch.get(event, name.fixed()?).unwrap_or(Value::Null);
        let merged = match (old, added) {
            (Value::Object(members), Value::Object(added)) => {
                scratch.entries.clear();
                scratch.entries.extend_from_slice(batch.entries(members));
                for entry in batch.entries(added) {
                    match scratch.entries.iter_mut().find(|e| e.key == entry.key) {
                        Some(old) => *old = *entry,
                        None => scratch.entries.push(*entry),
                    }
                }
                Value::Object(batch.list(&scratch.entries))
            }
            (Value::Object(_), _) | (_, Value::Object(_)) => continue,
            (old, added) => {
                scratch.entries.clear();
                for value in [old, added] {
                    match value {
                        Value::Null => {}
                        Value::Array(list) => scratch.entries.extend_from_slice(batch.entries(list)),
                        value => scratch.entries.push(Entry::element(value)),
                    }
                }
                Value::Array(batch.list(&scratch.entries))
            }
        };
        if !set(batch, event, to, merged) {
            return None;
        }
        // Ruby goes on with the array or hash that it has just extended, but from a single value
        // it makes a new array each time, so that of several added fields the last one stays.
        if matches!(old, Value::Array(_) | Value::Object(_)) {
            old = merged;
        }
    }
    Some(())
}
