//! Label sets: sorted pairs of names and values, cheap to copy, to hash and to compare.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};
use xxhash_rust::xxh3::xxh3_64;

/// The label that holds the name of the metric.
pub const METRIC_NAME: &str = "__name__";

/// A label set: names are unique and sorted by their bytes, no value is empty.
///
/// A clone costs one atomic count; hash and inequality are those of a number.
#[derive(Clone)]
pub struct Labels(Arc<Set>);

struct Set {
    hash: u64,
    /// Names and values by turns, without anything between them.
    text: Box<str>,
    /// Where each of them ends in `text`.
    ends: Box<[u32]>,
}

/// A thread does not keep more than this for the next set.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

thread_local! {
    /// Where sets are put together, so that their own memory is taken once and is no larger than needed.
    static SCRATCH: Cell<(String, Vec<u32>)> = const { Cell::new((String::new(), Vec::new())) };
}

/// A hash of texts, which are short, and of where they end.
fn hash(text: &str, ends: &[u32]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let start = xxh3_64(text.as_bytes());
    ends.iter().fold(start, |hash, &end| (hash ^ u64::from(end)).wrapping_mul(ODD).rotate_left(29))
}

impl Labels {
    /// The set without a label.
    pub fn empty() -> Labels {
        static EMPTY: LazyLock<Labels> = LazyLock::new(|| Labels::of_sorted(std::iter::empty::<(&str, &str)>()));
        EMPTY.clone()
    }

    /// A set of pairs in any order. The last of several pairs with one name counts; an empty value
    /// is no label.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Labels {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().collect();
        let sorted = pairs.windows(2).all(|two| two[0].0.as_ref() < two[1].0.as_ref());
        if !sorted {
            pairs.reverse();
            pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
            pairs.dedup_by(|later, kept| later.0.as_ref() == kept.0.as_ref());
        }
        Labels::of_sorted(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
    }

    fn of_sorted<'t>(pairs: impl Iterator<Item = (&'t str, &'t str)>) -> Labels {
        // Lent, not borrowed: `pairs` may make sets of its own.
        let (mut text, mut ends) = SCRATCH.take();
        text.clear();
        ends.clear();
        for (name, value) in pairs.filter(|(_, value)| !value.is_empty()) {
            for part in [name, value] {
                text.push_str(part);
                ends.push(u32::try_from(text.len()).expect("BUG: labels of more than 4 GiB"));
            }
        }
        let set = Set { hash: hash(&text, &ends), text: text.as_str().into(), ends: ends.as_slice().into() };
        if text.capacity() <= SCRATCH_BYTES_MAX {
            SCRATCH.set((text, ends));
        }
        Labels(Arc::new(set))
    }

    /// A hash of all pairs, the same in every run.
    pub fn hash(&self) -> u64 {
        self.0.hash
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.ends.len() / 2
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.ends.is_empty()
    }

    /// The pairs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        (0..self.len()).map(|at| self.pair(at))
    }

    fn pair(&self, at: usize) -> (&str, &str) {
        let ends = &self.0.ends;
        let start = if at == 0 { 0 } else { ends[2 * at - 1] as usize };
        let (middle, end) = (ends[2 * at] as usize, ends[2 * at + 1] as usize);
        (&self.0.text[start..middle], &self.0.text[middle..end])
    }

    /// The value of a label; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Whether there is a label of this name.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(known, _)| known == name)
    }

    /// The name of the metric; empty where there is none.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// The same without the name of the metric.
    pub fn without_metric_name(&self) -> Labels {
        if self.has(METRIC_NAME) { self.without(&[METRIC_NAME]) } else { self.clone() }
    }

    /// Only the named labels.
    pub fn only(&self, names: &[impl AsRef<str>]) -> Labels {
        Labels::of_sorted(self.iter().filter(|(name, _)| names.iter().any(|n| n.as_ref() == *name)))
    }

    /// All but the named labels.
    pub fn without(&self, names: &[impl AsRef<str>]) -> Labels {
        Labels::of_sorted(self.iter().filter(|(name, _)| names.iter().all(|n| n.as_ref() != *name)))
    }

    /// The same with one label set, or removed where `value` is empty.
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut builder = Builder::of(self);
        builder.set(name, value);
        builder.build()
    }

    /// Room in memory, in bytes, that a set of its own takes.
    pub fn bytes(&self) -> usize {
        std::mem::size_of::<Set>() + 16 + self.0.text.len() + 4 * self.0.ends.len()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Labels) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.hash == other.0.hash && self.0.ends == other.0.ends && self.0.text == other.0.text)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

/// By pairs, name before value; the shorter of two equal beginnings first.
impl Ord for Labels {
    fn cmp(&self, other: &Labels) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Labels {
    fn default() -> Labels {
        Labels::empty()
    }
}

/// As PromQL writes it: `name{label="value"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let plain = is_metric_name(name);
        if plain {
            f.write_str(name)?;
        }
        let mut separator = "{";
        for (label, value) in self.iter().filter(|(label, _)| !(plain && *label == METRIC_NAME)) {
            f.write_str(separator)?;
            match is_label_name(label) {
                true => f.write_str(label)?,
                false => write!(f, "{label:?}")?,
            }
            write!(f, "={}", super::notation::quoted(value))?;
            separator = ", ";
        }
        match separator {
            "{" if plain => Ok(()),
            "{" => f.write_str("{}"),
            _ => f.write_str("}"),
        }
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Labels {
        Labels::new(pairs)
    }
}

/// Changes a label set pair by pair.
#[derive(Clone, Debug, Default)]
pub struct Builder(Vec<(String, String)>);

impl Builder {
    /// Begins with the pairs of `labels`.
    pub fn of(labels: &Labels) -> Builder {
        Builder(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Builder {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(pair) => pair.1 = value.to_owned(),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Builder {
        self.0.retain(|(known, _)| known != name);
        self
    }

    /// The value as it stands now; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The pairs as they stand now, unsorted.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The label set.
    pub fn build(&self) -> Labels {
        Labels::new(self.pairs())
    }
}

/// Whether a metric may be named so without quotes: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_metric_name(name: &str) -> bool {
    is_word(name, |byte| byte == b':')
}

/// Whether a label may be named so without quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_label_name(name: &str) -> bool {
    is_word(name, |_| false)
}

fn is_word(name: &str, more: impl Fn(u8) -> bool) -> bool {
    !name.is_empty()
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || more(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_unique_and_not_empty() {
        let check =
            |pairs: &[(&str, &str)], want: &str| assert_eq!(Labels::new(pairs.iter().copied()).to_string(), want);
        check(&[], "{}");
        check(&[("__name__", "up")], "up");
        check(&[("b", "2"), ("a", "1"), ("__name__", "up")], "up{a=\"1\", b=\"2\"}");
        check(&[("a", "1"), ("a", "2"), ("b", "")], "{a=\"2\"}");
        check(&[("a", ""), ("b", "x\"\n\\")], "{b=\"x\\\"\\n\\\\\"}");
        check(&[("__name__", "two words"), ("a.b", "1")], "{__name__=\"two words\", \"a.b\"=\"1\"}");
    }

    #[test]
    fn where_a_name_ends_counts() {
        let (one, two) = (Labels::new([("ab", "c")]), Labels::new([("a", "bc")]));
        assert_ne!(one, two);
        assert_ne!(one.hash(), two.hash());
        assert_eq!(one, Labels::new([("ab", "c")]));
        assert!(two < one && Labels::empty() < two);
    }

    #[test]
    fn labels_are_changed_in_copies() {
        let labels = Labels::new([("__name__", "up"), ("a", "1"), ("b", "2")]);
        assert_eq!(labels.without_metric_name().to_string(), "{a=\"1\", b=\"2\"}");
        assert_eq!(labels.only(&["b", "x"]).to_string(), "{b=\"2\"}");
        assert_eq!(labels.without(&["b"]).with("c", "3").with("a", "").to_string(), "up{c=\"3\"}");
        assert_eq!((labels.get("a"), labels.get("x"), labels.metric_name(), labels.len()), ("1", "", "up", 3));
    }
}
