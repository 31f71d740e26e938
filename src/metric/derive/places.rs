//! Where fields stand among those of an event.

use super::print::SPREAD;
use crate::event::{Batch, Entry, EventId, FieldId, Fields, Value};

/// Where one field stands. Lines of one kind have the same fields in the same order, and a source has
/// a few kinds of lines; so the set of an event's names tells it.
pub(super) struct Places([u8; 1 << BITS]);

const BITS: u32 = 6;

impl Places {
    pub(super) fn new() -> Places {
        Places([0; 1 << BITS])
    }

    /// Where to look first in an event of these names.
    #[inline(always)]
    pub(super) fn first(&self, names: u64) -> usize {
        self.0[Places::of(names)].into()
    }

    pub(super) fn learn(&mut self, names: u64, at: usize) {
        self.0[Places::of(names)] = at.try_into().unwrap_or(u8::MAX);
    }

    #[inline(always)]
    fn of(names: u64) -> usize {
        (names.wrapping_mul(SPREAD) >> (64 - BITS)) as usize
    }

    /// The field of an event that stands where one would look first.
    #[inline(always)]
    pub(super) fn look<'a>(&self, fields: Fields<'a>) -> Option<&'a Entry> {
        fields.get(self.first(fields.names))
    }

    /// Looks for a top-level field, and remembers where it stands.
    pub(super) fn find<'a>(&mut self, batch: &'a Batch, event: EventId, key: FieldId) -> Option<&'a Value> {
        let fields = batch.look().event(event);
        if fields.names & key.bit() == 0 {
            return None;
        }
        if let Some(entry) = self.look(fields).filter(|entry| entry.key == key) {
            return Some(&entry.value);
        }
        let all = batch.fields(event);
        let at = all.iter().position(|entry| entry.key == key)?;
        self.learn(fields.names, at);
        Some(&all[at].value)
    }
}
