//! Reading and changing the fields of one event.

use super::{Batch, Event, EventId, FIELDS};
use crate::event::{Entry, FieldId, FieldRef, List, Step, Timestamp, Value};

impl Batch {
    /// The value that a reference names.
    #[inline]
    pub fn get(&self, event: EventId, field: &FieldRef) -> Option<Value> {
        let mut value = self.get_key(event, field.first())?;
        for step in &field.steps()[1..] {
            value = match value {
                Value::Object(list) => self.entries(list).iter().find(|e| e.key == step.key)?.value,
                Value::Array(list) => self.entries(list)[element(list, step)?].value,
                _ => return None,
            };
        }
        Some(value)
    }

    /// The value of a top-level field.
    #[inline]
    pub fn get_key(&self, event: EventId, key: FieldId) -> Option<Value> {
        if self.names(event) & key.bit() == 0 {
            return None;
        }
        self.fields(event).iter().find(|e| e.key == key).map(|e| e.value)
    }

    /// Adds top-level fields, of which the event must have none; `names` is the union of their
    /// [`FieldId::bit`]s.
    #[inline]
    pub(crate) fn extend(&mut self, event: EventId, fields: &[Entry], names: u64) {
        self.reserve(event, fields.len());
        self.spare(event)[..fields.len()].copy_from_slice(fields);
        self.add_spare(event, fields.len(), names);
    }

    /// The union of the [`FieldId::bit`]s of the top-level fields: where a bit is missing the event
    /// has no field of those names, where it is set it may have one.
    #[inline]
    pub(crate) fn names(&self, event: EventId) -> u64 {
        self.events[event as usize].names
    }

    /// Sets the value that a reference names; makes the hashes on the way. A value on the way
    /// that is neither hash nor array is left, and false returned (Logstash raises there).
    #[inline]
    pub fn set(&mut self, event: EventId, field: &FieldRef, value: Value) -> bool {
        if let [only] = field.steps() {
            self.set_key(event, only.key, value);
            return true;
        }
        self.set_below(event, field, value)
    }

    fn set_below(&mut self, event: EventId, field: &FieldRef, value: Value) -> bool {
        let old = self.get_key(event, field.first());
        match self.with_set(old, &field.steps()[1..], value) {
            Some(new) => {
                self.set_key(event, field.first(), new);
                true
            }
            None => false,
        }
    }

    /// Makes room for `more` top-level fields at once.
    pub(crate) fn reserve(&mut self, event: EventId, more: usize) {
        let Event { root, capacity, .. } = self.events[event as usize];
        let wanted = root.len + more as u32;
        if wanted > capacity {
            self.grow_root(event, wanted.next_multiple_of(8).max(self.room));
        }
    }

    /// The room behind the top-level fields. What is written there becomes fields by
    /// [`Batch::add_spare`]. A value made on the spot is written where it stays: handed on through
    /// memory it costs a stalled load, which would be most of the cost of a field.
    #[inline(always)]
    pub(crate) fn spare(&mut self, event: EventId) -> &mut [Entry] {
        let Event { root, capacity, .. } = self.events[event as usize];
        &mut self.entries[(root.start + root.len) as usize..(root.start + capacity) as usize]
    }

    /// Makes the first `count` entries of the room top-level fields; the event had none of them.
    /// `names` has their [`FieldId::bit`]s.
    #[inline(always)]
    pub(crate) fn add_spare(&mut self, event: EventId, count: usize, names: u64) {
        let event = &mut self.events[event as usize];
        debug_assert!(event.root.len + count as u32 <= event.capacity, "BUG: more fields than there is room");
        event.root.len += count as u32;
        event.names |= names;
    }

    /// Sets a top-level field.
    #[inline]
    pub fn set_key(&mut self, event: EventId, key: FieldId, value: Value) {
        let at = &self.events[event as usize];
        if at.names & key.bit() != 0
            && let Some(entry) = self.entries[at.root.range()].iter_mut().find(|e| e.key == key)
        {
            *entry = Entry::new(key, value);
            return;
        }
        self.push_root(event, Entry::new(key, value));
    }

    #[inline(always)]
    pub(in crate::event) fn push_root(&mut self, event: EventId, entry: Entry) {
        let Event { root, capacity, .. } = self.events[event as usize];
        if root.len == capacity {
            self.grow_root(event, (capacity * 2).max(FIELDS).max(self.room));
        }
        let event = &mut self.events[event as usize];
        self.entries[(event.root.start + event.root.len) as usize] = entry;
        event.root.len += 1;
        event.names |= entry.key.bit();
    }

    #[inline(never)]
    fn grow_root(&mut self, event: EventId, capacity: u32) {
        let root = self.events[event as usize].root;
        let moved = self.copy_list(root);
        let blank = Entry::new(FieldId::EMPTY, Value::Null);
        self.entries.extend(std::iter::repeat_n(blank, (capacity - root.len) as usize));
        let event = &mut self.events[event as usize];
        (event.root, event.capacity) = (moved, capacity);
    }

    /// `old` with `value` at `steps` below it, as a new value; lists on the way are copied,
    /// since clones of the event may share them.
    pub(crate) fn with_set(&mut self, old: Option<Value>, steps: &[Step], value: Value) -> Option<Value> {
        let Some((step, rest)) = steps.split_first() else { return Some(value) };
        match old {
            None | Some(Value::Null) => {
                let inner = self.with_set(None, rest, value)?;
                Some(Value::Object(self.list(&[Entry::new(step.key, inner)])))
            }
            Some(Value::Object(list)) => {
                let at = self.entries(list).iter().position(|e| e.key == step.key);
                let inner = at.map(|at| self.entries(list)[at].value);
                let inner = self.with_set(inner, rest, value)?;
                let mut copy = self.copy_list(list);
                match at {
                    Some(at) => self.entries[copy.start as usize + at].value = inner,
                    None => {
                        self.entries.push(Entry::new(step.key, inner));
                        copy.len += 1;
                    }
                }
                Some(Value::Object(copy))
            }
            Some(Value::Array(list)) => {
                let index = step.index?;
                let at = if index < 0 { list.len() as i64 + index as i64 } else { index as i64 };
                // A far index would make a far longer list; Logstash pads with nil, we bound it.
                let at = usize::try_from(at).ok().filter(|&at| at < list.len() + 1024)?;
                let inner = self.entries(list).get(at).map(|e| e.value);
                let inner = self.with_set(inner, rest, value)?;
                let mut copy = self.copy_list(list);
                while copy.len() <= at {
                    self.entries.push(Entry::element(Value::Null));
                    copy.len += 1;
                }
                self.entries[copy.start as usize + at].value = inner;
                Some(Value::Array(copy))
            }
            Some(_) => None,
        }
    }

    /// Removes what a reference names and returns it.
    pub fn remove(&mut self, event: EventId, field: &FieldRef) -> Option<Value> {
        let steps = field.steps();
        if steps.len() == 1 {
            return self.remove_key(event, field.first());
        }
        let old = self.get_key(event, field.first())?;
        let (new, removed) = self.with_removed(old, &steps[1..])?;
        self.set_key(event, field.first(), new);
        Some(removed)
    }

    /// Removes a top-level field and returns its value. The others keep their order.
    pub fn remove_key(&mut self, event: EventId, key: FieldId) -> Option<Value> {
        let Event { root, names, .. } = &mut self.events[event as usize];
        if *names & key.bit() == 0 {
            return None;
        }
        let entries = &mut self.entries[root.range()];
        let at = entries.iter().position(|e| e.key == key)?;
        let value = entries[at].value;
        entries.copy_within(at + 1.., at);
        root.len -= 1;
        Some(value)
    }

    fn with_removed(&mut self, old: Value, steps: &[Step]) -> Option<(Value, Value)> {
        let (step, rest) = steps.split_first()?;
        let (list, at) = match old {
            Value::Object(list) => (list, self.entries(list).iter().position(|e| e.key == step.key)?),
            Value::Array(list) => (list, element(list, step)?),
            _ => return None,
        };
        let inner = self.entries(list)[at].value;
        let mut copy;
        let removed = if rest.is_empty() {
            copy = self.copy_list(list);
            self.entries[copy.range()].copy_within(at + 1.., at);
            copy.len -= 1;
            inner
        } else {
            let (new, removed) = self.with_removed(inner, rest)?;
            copy = self.copy_list(list);
            self.entries[copy.start as usize + at].value = new;
            removed
        };
        let new = if matches!(old, Value::Object(_)) { Value::Object(copy) } else { Value::Array(copy) };
        Some((new, removed))
    }

    /// Appends to the array that a reference names; a single value becomes its first element,
    /// a missing one an array of one.
    pub fn append(&mut self, event: EventId, field: &FieldRef, value: Value) -> bool {
        let list = match self.get(event, field) {
            None | Some(Value::Null) => self.list(&[Entry::element(value)]),
            Some(Value::Array(list)) => {
                let mut copy = self.copy_list(list);
                self.entries.push(Entry::element(value));
                copy.len += 1;
                copy
            }
            Some(one) => self.list(&[Entry::element(one), Entry::element(value)]),
        };
        self.set(event, field, Value::Array(list))
    }

    /// Adds a tag unless the event has it (what filters do to say that they failed).
    pub fn tag(&mut self, event: EventId, tag: &str) {
        if !self.has_tag(event, tag) {
            let value = self.str(tag);
            self.append_tag(event, value);
        }
    }

    /// Adds a tag, also one that the event has (what `add_tag` does).
    pub fn append_tag(&mut self, event: EventId, tag: Value) {
        let list = match self.get_key(event, FieldId::TAGS) {
            None | Some(Value::Null) => self.list(&[Entry::element(tag)]),
            Some(Value::Array(list)) => {
                let mut copy = self.copy_list(list);
                self.entries.push(Entry::element(tag));
                copy.len += 1;
                copy
            }
            Some(one) => self.list(&[Entry::element(one), Entry::element(tag)]),
        };
        self.set_key(event, FieldId::TAGS, Value::Array(list));
    }

    /// Whether the event has a tag.
    pub fn has_tag(&self, event: EventId, tag: &str) -> bool {
        match self.get_key(event, FieldId::TAGS) {
            Some(Value::Array(list)) => self.entries(list).iter().any(|e| self.as_text(e.value) == Some(tag)),
            Some(value) => self.as_text(value) == Some(tag),
            None => false,
        }
    }

    /// The event's time, if its `@timestamp` is one.
    pub fn timestamp(&self, event: EventId) -> Option<Timestamp> {
        match self.get_key(event, FieldId::TIMESTAMP) {
            Some(Value::Time(at)) => Some(at),
            _ => None,
        }
    }
}

fn element(list: List, step: &Step) -> Option<usize> {
    let index = step.index? as i64;
    let at = if index < 0 { list.len() as i64 + index } else { index };
    usize::try_from(at).ok().filter(|&at| at < list.len())
}
