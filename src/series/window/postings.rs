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
        let mut best: Option<Vec<u32>> = None;
        // A series without the label matches as if its value were empty: no list has those.
        for matcher in matchers.iter().filter(|matcher| !matcher.matches("")) {
            let ids = self.matching(matcher);
            if best.as_ref().is_none_or(|best| ids.len() < best.len()) {
                best = Some(ids);
            }
            if best.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
        }
        best
    }

    fn matching(&self, matcher: &Matcher) -> Vec<u32> {
        let Some(values) = self.names.get(matcher.name.as_str()) else { return Vec::new() };
        if matcher.op == Op::Equal {
            return values.get(matcher.value.as_str()).cloned().unwrap_or_default();
        }
        let lists = values.iter().filter(|(value, _)| matcher.matches(value));
        lists.flat_map(|(_, ids)| ids.iter().copied()).collect()
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
