//! Groups: the events of a batch that have the same value for every label of every metric.
//!
//! Logs have few of them: tens where there are thousands of events. So the label values of an event
//! are looked up once, not once for each metric, and a metric that only counts takes a whole group at
//! a time. Groups outlive the batch, so that metrics may remember what belongs to each. Belongs to
//! one worker.

use super::source::SPREAD;
use crate::event::EventId;
use rustc_hash::FxHashMap;

/// A power of two, far more than groups that are common: two in one place cost a search each time.
const NEAR: usize = 1 << NEAR_BITS;
const NEAR_BITS: u32 = 10;
/// With more the groups begin anew: labels of so many values don't repeat soon.
const GROUPS_MAX: usize = 4096;

/// The groups that a worker knows.
pub(super) struct Groups {
    width: usize,
    /// The numbers of label values, group after group.
    keys: Vec<u32>,
    at: FxHashMap<Box<[u32]>, u32>,
    /// Groups found lately, by their key's hash.
    near: Box<[u32; NEAR]>,
    key: Vec<u32>,
    /// What each group has of the present batch.
    members: Vec<Members>,
    /// The groups of the present batch's events, in their order.
    rows: Vec<u32>,
    /// Groups that have any.
    touched: Vec<u32>,
}

/// Events of one group.
#[derive(Clone, Copy, Default)]
pub(super) struct Members {
    /// How many.
    pub count: u32,
    /// The first of them.
    pub first: EventId,
}

impl Groups {
    /// For keys of `width` numbers.
    pub(super) fn new(width: usize) -> Groups {
        Groups {
            width,
            keys: Vec::new(),
            at: FxHashMap::default(),
            near: Box::new([u32::MAX; NEAR]),
            key: Vec::new(),
            members: Vec::new(),
            rows: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Whether there are so many that they should begin anew.
    pub(super) fn are_many(&self) -> bool {
        self.members.len() > GROUPS_MAX
    }

    /// Forgets all groups.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.at.clear();
        self.near.fill(u32::MAX);
        self.members.clear();
    }

    /// Groups the events of a batch: `columns` has the numbers of each label's values.
    pub(super) fn fill(&mut self, events: &[EventId], columns: &[Vec<u32>]) {
        for group in self.touched.drain(..) {
            // A group that was forgotten since then has no members any more.
            if let Some(members) = self.members.get_mut(group as usize) {
                *members = Members::default();
            }
        }
        self.rows.clear();
        for (row, &event) in events.iter().enumerate() {
            let group = self.group(row, columns);
            let members = &mut self.members[group as usize];
            if members.count == 0 {
                members.first = event;
                self.touched.push(group);
            }
            members.count += 1;
            self.rows.push(group);
        }
    }

    #[inline]
    fn group(&mut self, row: usize, columns: &[Vec<u32>]) -> u32 {
        let mut hash = 0_u64;
        for column in columns {
            hash = (hash.rotate_left(7) ^ u64::from(column[row])).wrapping_mul(SPREAD);
        }
        let place = (hash >> (64 - NEAR_BITS)) as usize;
        let group = self.near[place];
        if (group as usize) < self.members.len()
            && columns.iter().zip(self.key(group)).all(|(column, &id)| column[row] == id)
        {
            return group;
        }
        self.key.clear();
        self.key.extend(columns.iter().map(|column| column[row]));
        let group = self.far();
        self.near[place] = group;
        group
    }

    /// The group of a key that was not seen lately, perhaps a new one.
    #[inline(never)]
    fn far(&mut self) -> u32 {
        if let Some(&group) = self.at.get(&*self.key) {
            return group;
        }
        let group = self.members.len() as u32;
        self.at.insert(self.key.as_slice().into(), group);
        self.keys.extend_from_slice(&self.key);
        self.members.push(Members::default());
        group
    }

    /// The numbers of a group's label values.
    #[inline]
    pub(super) fn key(&self, group: u32) -> &[u32] {
        &self.keys[group as usize * self.width..][..self.width]
    }

    /// The group of an event, by its place in the batch.
    #[inline]
    pub(super) fn of(&self, row: usize) -> u32 {
        self.rows[row]
    }

    /// The groups of the present batch.
    pub(super) fn present(&self) -> impl Iterator<Item = (u32, Members)> {
        self.touched.iter().map(|&group| (group, self.members[group as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn groups_hold_what_is_equal(batches in prop::collection::vec(prop::collection::vec((0..40_u32, 0..9_u32), 1..60), 1..6)) {
            let mut groups = Groups::new(2);
            for (number, batch) in batches.iter().enumerate() {
                if number == 3 {
                    groups.clear();
                }
                let columns = [batch.iter().map(|e| e.0).collect(), batch.iter().map(|e| e.1).collect()];
                let events: Vec<EventId> = (0..batch.len() as EventId).collect();
                groups.fill(&events, &columns);
                let mut want: BTreeMap<(u32, u32), (u32, EventId)> = BTreeMap::new();
                for (event, &key) in batch.iter().enumerate() {
                    want.entry(key).or_insert((0, event as EventId)).0 += 1;
                    let group = groups.key(groups.of(event));
                    prop_assert_eq!((group[0], group[1]), key);
                }
                let got = groups.present().map(|(group, members)| {
                    let key = groups.key(group);
                    ((key[0], key[1]), (members.count, members.first))
                });
                prop_assert_eq!(got.collect::<BTreeMap<_, _>>(), want);
            }
        }
    }
}
