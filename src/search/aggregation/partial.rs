//! Parts of answers: what one segment has to say, merged with what the others say.

use super::digest::Digest;
use super::distinct::Distinct;
use super::{Aggregation, BUCKETS_MAX};
use crate::search::error::SearchError;
use rustc_hash::FxHashMap;
use serde_json::Value;

/// Different keys of one aggregation held in memory at the most, far above what an answer shows:
/// an exact top ten needs the counts of all. Beyond, the search is refused.
pub const KEYS_MAX: usize = 2_000_000;

/// What was gathered for one aggregation in one bucket of its parent.
#[derive(Debug, Default)]
pub enum Partial {
    /// Nothing.
    #[default]
    Empty,
    /// Buckets by key.
    Buckets(FxHashMap<Key, Bucket>),
    /// Numbers summed up.
    Stats(Stats),
    /// A distribution.
    Digest(Digest),
    /// A count of values.
    Count(u64),
    /// Different values.
    Distinct(Distinct),
}

/// The key of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A string.
    Str(Box<str>),
    /// A whole number.
    Int(i64),
    /// A double, by its bits.
    Float(u64),
    /// A truth value.
    Bool(bool),
    /// A time in ms.
    Date(i64),
    /// The number of a filter.
    Slot(u32),
}

impl Key {
    /// A double as a key; both zeros are one.
    pub fn float(value: f64) -> Key {
        Key::Float((value + 0.0).to_bits())
    }

    /// The number in a key.
    pub fn number(&self) -> f64 {
        match self {
            Key::Int(n) | Key::Date(n) => *n as f64,
            Key::Float(bits) => f64::from_bits(*bits),
            Key::Bool(b) => f64::from(u8::from(*b)),
            Key::Slot(n) => f64::from(*n),
            Key::Str(_) => f64::NAN,
        }
    }

    /// As it stands in an answer.
    pub fn json(&self) -> Value {
        match self {
            Key::Str(s) => Value::String(s.to_string()),
            Key::Int(n) | Key::Date(n) => Value::from(*n),
            Key::Float(bits) => crate::search::number::json(f64::from_bits(*bits)),
            Key::Bool(b) => Value::from(u8::from(*b)),
            Key::Slot(n) => Value::from(*n),
        }
    }

    /// The order of keys: numbers before strings.
    pub fn compare(&self, other: &Key) -> std::cmp::Ordering {
        match (self, other) {
            (Key::Str(a), Key::Str(b)) => a.cmp(b),
            (Key::Str(_), _) => std::cmp::Ordering::Greater,
            (_, Key::Str(_)) => std::cmp::Ordering::Less,
            (Key::Int(a) | Key::Date(a), Key::Int(b) | Key::Date(b)) => a.cmp(b),
            (a, b) => a.number().total_cmp(&b.number()),
        }
    }
}

/// One bucket.
#[derive(Debug, Default)]
pub struct Bucket {
    /// Documents in it.
    pub count: u64,
    /// What was gathered below, in the order of the sub-aggregations.
    pub subs: Vec<Partial>,
}

impl Bucket {
    /// What another bucket of the same key holds, too.
    pub fn merge(&mut self, other: Bucket) -> Result<(), SearchError> {
        self.count += other.count;
        merge(&mut self.subs, other.subs)
    }
}

/// Numbers summed up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// What the sum lost by rounding.
    pub lost: f64,
    /// The sum of their squares.
    pub squares: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// They are times in ms.
    pub date: bool,
}

impl Default for Stats {
    fn default() -> Stats {
        Stats { count: 0, sum: 0.0, lost: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, date: false }
    }
}

impl Stats {
    /// One more number.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.add_sum(value);
        self.squares += value * value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds with Kahan's compensation, so that the order of segments does not show.
    fn add_sum(&mut self, value: f64) {
        let value = value - self.lost;
        let sum = self.sum + value;
        self.lost = if sum.is_finite() { (sum - self.sum) - value } else { 0.0 };
        self.sum = sum;
    }

    fn merge(&mut self, other: Stats) {
        self.count += other.count;
        self.add_sum(other.sum);
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.date |= other.date;
    }
}

impl Partial {
    fn merge_with(&mut self, other: Partial) -> Result<(), SearchError> {
        match (self, other) {
            (_, Partial::Empty) => {}
            (this @ Partial::Empty, other) => *this = other,
            (Partial::Buckets(this), Partial::Buckets(mut other)) => {
                if other.len() > this.len() {
                    std::mem::swap(this, &mut other);
                }
                for (key, bucket) in other {
                    this.entry(key).or_default().merge(bucket)?;
                }
                if this.len() > KEYS_MAX {
                    return Err(SearchError::Buckets { limit: BUCKETS_MAX, was: this.len() });
                }
            }
            (Partial::Stats(this), Partial::Stats(other)) => this.merge(other),
            (Partial::Digest(this), Partial::Digest(other)) => this.merge(&other),
            (Partial::Count(this), Partial::Count(other)) => *this += other,
            (Partial::Distinct(this), Partial::Distinct(other)) => this.merge(other),
            (this, other) => panic!("BUG: cannot merge {this:?} with {other:?}"),
        }
        Ok(())
    }

    /// The buckets; none where nothing was gathered.
    pub fn buckets(self) -> FxHashMap<Key, Bucket> {
        match self {
            Partial::Buckets(buckets) => buckets,
            _ => FxHashMap::default(),
        }
    }

    /// The sums; zeros where nothing was gathered.
    pub fn stats(&self) -> Stats {
        match self {
            Partial::Stats(stats) => *stats,
            _ => Stats::default(),
        }
    }
}

/// Merges what segments gathered for the same aggregations.
pub fn merge(into: &mut Vec<Partial>, other: Vec<Partial>) -> Result<(), SearchError> {
    if into.is_empty() {
        *into = other;
        return Ok(());
    }
    into.iter_mut().zip(other).try_for_each(|(this, other)| this.merge_with(other))
}

/// The number that a path like `a`, `a.95` or `a>b.max` names in a bucket.
pub fn metric(path: &str, subs: &[Aggregation], bucket: &Bucket) -> Option<f64> {
    if path == "_count" {
        return Some(bucket.count as f64);
    }
    let (head, rest) = match path.split_once('>') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    let (name, which) = match subs.iter().position(|sub| sub.name == head) {
        Some(_) => (head, None),
        None => match head.split_once('[') {
            Some((name, which)) => (name, Some(which.trim_end_matches(']'))),
            None => head.split_once('.').map(|(name, which)| (name, Some(which)))?,
        },
    };
    let at = subs.iter().position(|sub| sub.name == name)?;
    let partial = bucket.subs.get(at)?;
    match (rest, partial) {
        (Some(rest), Partial::Buckets(buckets)) => metric(rest, &subs[at].subs, buckets.values().next()?),
        (Some(_), _) => None,
        (None, partial) => subs[at].shape.metric(partial, which),
    }
}
