//! Copies of events in other batches, for those that go on to another pipeline.

use super::{Batch, Entry, EventId, FieldId, List, Value};

impl Batch {
    /// Adds a copy of an event of another batch.
    pub fn copy_event(&mut self, other: &Batch, event: EventId) -> EventId {
        let copy = self.new_event();
        for entry in other.fields(event) {
            let key = self.copy_key(other, entry.key);
            let value = self.copy_value(other, entry.value);
            self.push_root(copy, Entry::new(key, value));
        }
        copy
    }

    fn copy_key(&mut self, other: &Batch, key: FieldId) -> FieldId {
        if key.name().is_some() { key } else { self.key(other.name(key)) }
    }

    fn copy_value(&mut self, other: &Batch, value: Value) -> Value {
        match value {
            Value::Str(span) => Value::Str(self.push_bytes(other.bytes(span))),
            Value::Array(list) => Value::Array(self.copy_entries(other, list)),
            Value::Object(list) => Value::Object(self.copy_entries(other, list)),
            plain => plain,
        }
    }

    fn copy_entries(&mut self, other: &Batch, list: List) -> List {
        let mut entries = Vec::with_capacity(list.len());
        for entry in other.entries(list) {
            let key = self.copy_key(other, entry.key);
            entries.push(Entry::new(key, self.copy_value(other, entry.value)));
        }
        self.list(&entries)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FieldRef, field};
    use super::*;

    #[test]
    fn a_copy_in_another_batch_holds_the_same() {
        let mut batch = Batch::new();
        let event = batch.new_event();
        let text = batch.str("ログ");
        batch.set(event, &FieldRef::parse("[a][b]").unwrap(), text);
        batch.append(event, &FieldRef::parse("l").unwrap(), text);
        let long = batch.key(&"x".repeat(field::NAME_BYTES_MAX + 1));
        batch.set_key(event, long, Value::Int(1));
        let mut other = Batch::new();
        other.new_event();
        let copy = other.copy_event(&batch, event);
        let shown = |batch: &Batch, event| {
            let mut out = Vec::new();
            crate::event::json::write_event(batch, event, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(&other, copy), shown(&batch, event));
    }
}
