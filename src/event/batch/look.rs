//! Looking at one field of many events in a row.

use super::{Batch, Event, EventId};
use crate::event::Entry;

/// A batch's arenas side by side, so that a loop has them at hand.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    bytes: &'a [u8],
    entries: &'a [Entry],
    events: &'a [Event],
}

impl Batch {
    /// The batch, to look through.
    #[inline]
    pub(crate) fn look(&self) -> Look<'_> {
        Look { bytes: &self.bytes, entries: &self.entries, events: &self.events }
    }
}

impl<'a> Look<'a> {
    /// The set of an event's names ([`Batch::names`]) and its top-level fields, by reference: a copy of
    /// a value goes through memory.
    #[inline(always)]
    pub(crate) fn event(self, event: EventId) -> (u64, &'a [Entry]) {
        let Event { root, names, .. } = &self.events[event as usize];
        (*names, &self.entries[root.range()])
    }

    /// Sixteen bytes from some place on; `None` where the arena ends before.
    #[inline(always)]
    pub(crate) fn sixteen(self, start: usize) -> Option<[u64; 2]> {
        let bytes: &[u8; 16] = self.bytes.get(start..)?.first_chunk()?;
        Some([0, 8].map(|half| u64::from_le_bytes(std::array::from_fn(|at| bytes[half + at]))))
    }
}
