//! Groups: events that have the same value for every label of every metric.
//!
//! Logs have few of them: tens where there are thousands of events. So the label values of an event
//! are looked up once, not once for each metric, and a metric that only counts takes a whole group at
//! a time. Groups outlive the batch, so that metrics may remember what belongs to each. Belongs to
//! one worker.

use super::print::SPREAD;
use rustc_hash::FxHashMap;

/// A power of two, far more than groups that are common: two in one place cost a search each time.
const NEAR: usize = 1 << NEAR_BITS;
const NEAR_BITS: u32 = 10;
/// With more the groups begin anew: labels of so many values don't repeat soon.
const GROUPS_MAX: usize = 4096;

/// The groups that a worker knows.
pub(super) struct Groups {
    width: usize,
    /// One for each label but the first: what is the same in all labels so far is put together with the
    /// next.
    pairs: Vec<Pairs>,
    /// The numbers of label values, group after group.
    keys: Vec<u32>,
    /// How many of the events that were grouped last each group has.
    members: Vec<u32>,
    /// The groups of the events that were grouped last, in their order.
    rows: Vec<u32>,
    /// Groups that have any.
    touched: Vec<u32>,
}

impl Groups {
    /// For keys of `width` numbers.
    pub(super) fn new(width: usize) -> Groups {
        // A single label is put together with nothing.
        let pairs = if width == 1 { 1 } else { width.saturating_sub(1) };
        Groups {
            width,
            pairs: std::iter::repeat_with(Pairs::new).take(pairs).collect(),
            keys: Vec::new(),
            members: Vec::new(),
            rows: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// Whether there are so many that they should begin anew.
    pub(super) fn are_many(&self) -> bool {
        self.pairs.iter().any(|pairs| pairs.far.len() > GROUPS_MAX)
    }

    /// Forgets all groups.
    pub(super) fn clear(&mut self) {
        self.pairs.iter_mut().for_each(Pairs::clear);
        self.keys.clear();
        self.members.clear();
    }

    /// Groups events: `columns` has the numbers of each label's values.
    pub(super) fn fill(&mut self, events: usize, columns: &[Vec<u32>]) {
        for group in self.touched.drain(..) {
            // A group that was forgotten since then has no members any more.
            if let Some(members) = self.members.get_mut(group as usize) {
                *members = 0;
            }
        }
        self.rows.clear();
        let rest = match columns {
            [first, rest @ ..] if !rest.is_empty() => {
                self.rows.extend_from_slice(first);
                rest
            }
            _ => {
                self.rows.resize(events, 0);
                columns
            }
        };
        for (pairs, column) in self.pairs.iter_mut().zip(rest) {
            pairs.join(&mut self.rows, column);
        }
        for (row, &group) in self.rows.iter().enumerate() {
            if group as usize == self.members.len() {
                self.members.push(0);
                self.keys.extend(columns.iter().map(|column| column[row]));
            }
            let members = &mut self.members[group as usize];
            if *members == 0 {
                self.touched.push(group);
            }
            *members += 1;
        }
    }

    /// The numbers of a group's label values.
    #[inline]
    pub(super) fn key(&self, group: u32) -> &[u32] {
        &self.keys[group as usize * self.width..][..self.width]
    }

    /// The groups of the events that were grouped last, in their order.
    #[inline]
    pub(super) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The groups of these events, and how many each has.
    pub(super) fn present(&self) -> impl Iterator<Item = (u32, u32)> {
        self.touched.iter().map(|&group| (group, self.members[group as usize]))
    }
}

/// Small numbers for pairs of numbers, from 0 on.
struct Pairs {
    /// Pairs seen lately.
    near: Box<[(u64, u32); NEAR]>,
    far: FxHashMap<u64, u32>,
}

impl Pairs {
    /// Never a pair's: the second number is never two less than none.
    const NONE: (u64, u32) = (u64::MAX, 0);

    fn new() -> Pairs {
        Pairs { near: Box::new([Pairs::NONE; NEAR]), far: FxHashMap::default() }
    }

    fn clear(&mut self) {
        self.near.fill(Pairs::NONE);
        self.far.clear();
    }

    /// Puts the number of the pair in the place of its first one.
    fn join(&mut self, first: &mut [u32], second: &[u32]) {
        for (first, &second) in first.iter_mut().zip(second) {
            let pair = u64::from(*first) << 32 | u64::from(second.wrapping_add(1));
            let near = &mut self.near[(pair.wrapping_mul(SPREAD) >> (64 - NEAR_BITS)) as usize];
            if near.0 != pair {
                let next = self.far.len() as u32;
                *near = (pair, *self.far.entry(pair).or_insert(next));
            }
            *first = near.1;
        }
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
                groups.fill(batch.len(), &columns);
                let mut want: BTreeMap<(u32, u32), u32> = BTreeMap::new();
                for (row, &key) in batch.iter().enumerate() {
                    *want.entry(key).or_default() += 1;
                    let group = groups.key(groups.rows()[row]);
                    prop_assert_eq!((group[0], group[1]), key);
                }
                let got = groups.present().map(|(group, members)| {
                    let key = groups.key(group);
                    ((key[0], key[1]), members)
                });
                prop_assert_eq!(got.collect::<BTreeMap<_, _>>(), want);
            }
        }

        #[test]
        fn as_many_labels_as_there_are(rows in prop::collection::vec(prop::array::uniform4(0..3_u32), 1..60), width in 0..=4_usize) {
            let mut groups = Groups::new(width);
            let columns: Vec<Vec<u32>> =
                (0..width).map(|at| rows.iter().map(|row| row[at]).collect()).collect();
            groups.fill(rows.len(), &columns);
            for (row, key) in rows.iter().enumerate() {
                prop_assert_eq!(groups.key(groups.rows()[row]), &key[..width]);
            }
            let different: std::collections::BTreeSet<_> = rows.iter().map(|row| &row[..width]).collect();
            prop_assert_eq!(groups.present().count(), different.len());
        }
    }
}
