//! Looking at one field of many events in a row.

use super::{Batch, Event, EventId};
use crate::event::{Entry, List};

/// A batch's arenas side by side, so that a loop has them at hand.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    bytes: &'a [u8],
    entries: &'a [Entry],
    events: &'a [Event],
}

/// The top-level fields of an event.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    /// The set of their names ([`Batch::names`]).
    pub(crate) names: u64,
    root: List,
    entries: &'a [Entry],
}

impl Batch {
    /// The batch, to look through.
    #[inline]
    pub(crate) fn look(&self) -> Look<'_> {
        Look { bytes: &self.bytes, entries: &self.entries, events: &self.events }
    }
}

impl<'a> Look<'a> {
    /// The fields of an event.
    #[inline(always)]
    pub(crate) fn event(self, event: EventId) -> Fields<'a> {
        let &Event { root, names, .. } = &self.events[event as usize];
        Fields { names, root, entries: self.entries }
    }

    /// Sixteen bytes from some place on; `None` where the arena ends before.
    #[inline(always)]
    pub(crate) fn sixteen(self, start: usize) -> Option<[u64; 2]> {
        let bytes: &[u8; 16] = self.bytes.get(start..start.checked_add(16)?)?.first_chunk()?;
        Some([0, 8].map(|half| u64::from_le_bytes(std::array::from_fn(|at| bytes[half + at]))))
    }
}

impl<'a> Fields<'a> {
    /// The field at a place; by reference, since a copy of a value goes through memory.
    #[inline(always)]
    pub(crate) fn get(self, at: usize) -> Option<&'a Entry> {
        if at < self.root.len() { self.entries.get(self.root.start as usize + at) } else { None }
    }
}
