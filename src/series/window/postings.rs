//! Which series have a label: from name and value to the series' numbers.

use crate::series::{Labels, Matcher, Op};
use rustc_hash::{FxHashMap, FxHashSet};

/// Numbers of series by label.
#[derive(Default)]
pub(super) struct Postings {
    names: FxHashMap<Box<str>, FxHashMap<Box<str>, Vec<u32>>>,
}

impl Postings {
    /// Enters a series; numbers only grow.
    pub(super) fn add(&mut self, id: u32, labels: &Labels) {
        for (name, value) in labels.iter() {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), FxHashMap::default());
            }
            let Some(values) = self.names.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(ids) => ids.push(id),
                None => {
                    values.insert(value.into(), vec![id]);
                }
            }
        }
    }

    /// Forgets series, which have these labels.
    pub(super) fn remove(&mut self, gone: &FxHashSet<u32>, labels: &[Labels]) {
        for (name, value) in labels.iter().flat_map(|labels| labels.iter()) {
            let Some(values) = self.names.get_mut(name) else { continue };
            if let Some(ids) = values.get_mut(value) {
                // Series that share a label are done with the first of them.
                if ids.iter().any(|id| gone.contains(id)) {
                    ids.retain(|id| !gone.contains(id));
                }
                if ids.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// The series that may match, as few as one matcher alone can tell; `None`: any.
    pub(super) fn candidates(&self, matchers: &[Matcher]) -> Option<Vec<u32>> {
        // A series without the label matches as if its value were empty: no list has those.
        let telling = || matchers.iter().filter(|matcher| !matcher.matches(""));
        let mut best: Option<&[u32]> = None;
        for matcher in telling().filter(|matcher| matcher.op == Op::Equal) {
            let ids = self.names.get(matcher.name.as_str()).and_then(|values| values.get(matcher.value.as_str()));
            let ids = ids.map_or(&[][..], Vec::as_slice);
            if best.is_none_or(|best| ids.len() < best.len()) {
                best = Some(ids);
            }
        }
        let mut least: Option<Vec<u32>> = None;
        for matcher in telling().filter(|matcher| matcher.op != Op::Equal) {
            let count = least.as_ref().map(Vec::len).or(best.map(<[u32]>::len));
            let Some(values) = self.names.get(matcher.name.as_str()) else { return Some(Vec::new()) };
            // To look at each value costs more than to look at each series that is left.
            if count.is_some_and(|count| values.len() >= count) {
                continue;
            }
            let lists: Vec<&Vec<u32>> =
                values.iter().filter(|(value, _)| matcher.matches(value)).map(|(_, ids)| ids).collect();
            if count.is_none_or(|count| lists.iter().map(|ids| ids.len()).sum::<usize>() < count) {
                least = Some(lists.into_iter().flatten().copied().collect());
            }
        }
        least.or_else(|| best.map(<[u32]>::to_vec))
    }

    /// Names of labels.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// Values of a label, each with the number of series that have it.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = (&str, usize)> {
        self.names.get(name).into_iter().flatten().map(|(value, ids)| (&**value, ids.len()))
    }

    /// Names of labels, each with the number of its values.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().map(|(name, values)| (&**name, values.len()))
    }

    /// Bytes of memory, about.
    pub(super) fn memory(&self) -> usize {
        let values = self.names.values().flatten().map(|(value, ids)| value.len() + 48 + ids.capacity() * 4);
        self.names.keys().map(|name| name.len() + 64).sum::<usize>() + values.sum::<usize>()
    }
}
