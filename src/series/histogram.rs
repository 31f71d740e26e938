//! Prometheus' native histograms: counts in sparse buckets, and the arithmetic of PromQL on them.

use super::bounds::{CUSTOM_SCHEMA, SCHEMA_MAX, SCHEMA_MIN, upper_bound};
use std::sync::Arc;

/// What is known of a counter reset between a histogram and the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum ResetHint {
    /// It has to be found out from the buckets.
    #[default]
    Unknown,
    /// There was one.
    Reset,
    /// There was none.
    NotReset,
    /// It is no counter.
    Gauge,
}

/// Why two histograms can't be taken together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HistogramError {
    /// One has exponential buckets, the other bounds of its own.
    #[error("cannot mix exponential and custom buckets")]
    Schemas,
}

/// A distribution: how many observations fell into which bucket.
#[derive(Clone, Debug, Default)]
pub struct NativeHistogram {
    /// What is known of a counter reset before it.
    pub reset_hint: ResetHint,
    /// -4 to 8: `2^schema` buckets for each doubling; [`CUSTOM_SCHEMA`]: bounds of its own.
    pub schema: i32,
    /// Observations of at most this magnitude are in the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations, those of NaN included.
    pub count: f64,
    /// Sum of all observations; the staleness marker where the series has ended.
    pub sum: f64,
    /// Index and count of buckets above zero, indices strictly rising; a count may be 0.
    pub positive: Vec<(i32, f64)>,
    /// The same below zero; the index is that of the magnitude.
    pub negative: Vec<(i32, f64)>,
    /// Upper bounds of the buckets 0, 1, … of [`CUSTOM_SCHEMA`]; one more bucket takes the rest.
    pub custom_values: Arc<[f64]>,
}

/// A bucket with its bounds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether the lower bound itself belongs to it.
    pub lower_inclusive: bool,
    /// Whether the upper bound itself belongs to it.
    pub upper_inclusive: bool,
    /// Observations in it.
    pub count: f64,
}

/// Whether a schema has bounds of its own.
pub fn is_custom(schema: i32) -> bool {
    schema == CUSTOM_SCHEMA
}

/// Whether a schema is one of the exponential ones.
pub fn is_exponential(schema: i32) -> bool {
    (SCHEMA_MIN..=SCHEMA_MAX).contains(&schema)
}

impl NativeHistogram {
    /// Whether its buckets have bounds of their own.
    pub fn is_custom(&self) -> bool {
        is_custom(self.schema)
    }

    /// The upper bound of a positive bucket.
    pub fn bound(&self, index: i32) -> f64 {
        if !self.is_custom() {
            return upper_bound(index, self.schema);
        }
        match usize::try_from(index) {
            Ok(index) => self.custom_values.get(index).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        }
    }

    /// A positive bucket with its bounds.
    pub fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        let (lower, upper) = (self.bound(index - 1), self.bound(index));
        let lower_inclusive = self.is_custom() && lower == f64::NEG_INFINITY;
        Bucket { lower, upper, lower_inclusive, upper_inclusive: true, count }
    }

    /// A negative bucket with its bounds.
    pub fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        let (lower, upper) = (-self.bound(index), -self.bound(index - 1));
        Bucket { lower, upper, lower_inclusive: true, upper_inclusive: false, count }
    }

    /// The zero bucket.
    pub fn zero_bucket(&self) -> Bucket {
        let (lower, upper) = (-self.zero_threshold, self.zero_threshold);
        Bucket { lower, upper, lower_inclusive: true, upper_inclusive: true, count: self.zero_count }
    }

    /// All buckets from the lowest to the highest, the zero bucket only if something is in it. A
    /// bucket that reaches into the zero bucket is cut there.
    pub fn buckets(&self) -> Vec<Bucket> {
        let zero = self.zero_threshold;
        let mut all = Vec::with_capacity(self.positive.len() + self.negative.len() + 1);
        for &(index, count) in self.negative.iter().rev() {
            let mut bucket = self.negative_bucket(index, count);
            if bucket.upper < 0.0 && bucket.upper > -zero {
                bucket.upper = -zero;
            }
            all.push(bucket);
        }
        if self.zero_count > 0.0 {
            all.push(self.zero_bucket());
        }
        for &(index, count) in &self.positive {
            let mut bucket = self.positive_bucket(index, count);
            if bucket.lower > 0.0 && bucket.lower < zero {
                bucket.lower = zero;
            }
            all.push(bucket);
        }
        all
    }

    /// Drops the buckets without an observation.
    pub fn compact(&mut self) -> &mut NativeHistogram {
        self.positive.retain(|(_, count)| *count != 0.0);
        self.negative.retain(|(_, count)| *count != 0.0);
        self
    }

    /// Multiplies every count and the sum. By a negative number, it is no counter any more.
    pub fn scale(&mut self, factor: f64) -> &mut NativeHistogram {
        self.each(|value| *value *= factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
        self
    }

    /// Divides every count and the sum. A division by zero leaves no buckets.
    pub fn divide(&mut self, divisor: f64) -> &mut NativeHistogram {
        if divisor == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        self.each(|value| *value /= divisor);
        if divisor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
        self
    }

    fn each(&mut self, change: impl Fn(&mut f64)) {
        for value in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            change(value);
        }
        self.positive.iter_mut().chain(&mut self.negative).for_each(|(_, count)| change(count));
    }

    /// Adds another histogram. Different schemas and zero buckets are brought to the coarser one,
    /// different bounds to those that both have.
    pub fn add(&mut self, other: &NativeHistogram) -> Result<(), HistogramError> {
        self.combine(other, 1.0)
    }

    /// Subtracts another histogram, likewise.
    pub fn sub(&mut self, other: &NativeHistogram) -> Result<(), HistogramError> {
        self.combine(other, -1.0)
    }

    fn combine(&mut self, other: &NativeHistogram, sign: f64) -> Result<(), HistogramError> {
        let other = self.reconcile(other)?;
        self.reset_hint = self.reset_hint.with(other.reset_hint);
        self.zero_count += sign * other.zero_count;
        self.count += sign * other.count;
        self.sum += sign * other.sum;
        merge(&mut self.positive, &other.positive, |have, more| *have += sign * more);
        merge(&mut self.negative, &other.negative, |have, more| *have += sign * more);
        Ok(())
    }

    /// Whether a counter was reset between `previous` and this: a count fell or a populated bucket
    /// is gone, the resolution rose or the zero bucket shrank.
    pub fn is_reset_after(&self, previous: &NativeHistogram) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count || (self.is_custom() && !previous.is_custom()) {
            return true;
        }
        if !self.is_custom() {
            let finer = previous.is_custom() || self.schema > previous.schema;
            if finer || self.zero_threshold < previous.zero_threshold {
                return true;
            }
            if previous.threshold_from(self.zero_threshold) != self.zero_threshold {
                return true;
            }
        }
        let mut now = self.clone();
        let Ok(previous) = now.reconcile(previous) else { return true };
        now.zero_count < previous.zero_count
            || any_fell(&now.positive, &previous.positive)
            || any_fell(&now.negative, &previous.negative)
    }

    /// Whether both say the same: buckets without observations and the hint don't count.
    pub fn equals(&self, other: &NativeHistogram) -> bool {
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a == b;
        let buckets = |a: &[(i32, f64)], b: &[(i32, f64)]| {
            let populated =
                |list: &[(i32, f64)]| list.iter().filter(|(_, count)| *count != 0.0).copied().collect::<Vec<_>>();
            let (a, b) = (populated(a), populated(b));
            a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        };
        self.schema == other.schema
            && same(self.count, other.count)
            && same(self.sum, other.sum)
            && same(self.zero_threshold, other.zero_threshold)
            && same(self.zero_count, other.zero_count)
            && (!self.is_custom() || self.custom_values == other.custom_values)
            && buckets(&self.positive, &other.positive)
            && buckets(&self.negative, &other.negative)
    }

    /// Whether a count or the sum has run over into infinity.
    pub fn is_overflown(&self) -> bool {
        [self.zero_count, self.count, self.sum].iter().any(|value| value.is_infinite())
            || self.positive.iter().chain(&self.negative).any(|(_, count)| count.is_infinite())
    }

    /// Room in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let buckets = self.positive.capacity() + self.negative.capacity();
        std::mem::size_of::<NativeHistogram>() + 16 * buckets + 8 * self.custom_values.len()
    }
}

impl ResetHint {
    /// What is known of the sum of two histograms.
    pub fn with(self, other: ResetHint) -> ResetHint {
        match (self, other) {
            (ResetHint::Gauge, _) | (_, ResetHint::Gauge) => ResetHint::Gauge,
            (one, two) if one == two => one,
            _ => ResetHint::Unknown,
        }
    }
}

/// Brings `more` into `have`; `add` takes a bucket of `have`, 0 where there was none.
pub(super) fn merge(have: &mut Vec<(i32, f64)>, more: &[(i32, f64)], mut add: impl FnMut(&mut f64, f64)) {
    // Most of the time both have the same buckets.
    if have.len() == more.len() && have.iter().zip(more).all(|(a, b)| a.0 == b.0) {
        return have.iter_mut().zip(more).for_each(|(a, b)| add(&mut a.1, b.1));
    }
    let mut old = std::mem::take(have).into_iter().peekable();
    for &(index, count) in more {
        while let Some(before) = old.next_if(|(known, _)| *known < index) {
            have.push(before);
        }
        let mut value = old.next_if(|(known, _)| *known == index).map_or(0.0, |(_, value)| value);
        add(&mut value, count);
        have.push((index, value));
    }
    have.extend(old);
}

fn any_fell(now: &[(i32, f64)], before: &[(i32, f64)]) -> bool {
    let mut now = now.iter().peekable();
    before.iter().any(|&(index, count)| {
        while now.next_if(|(known, _)| *known < index).is_some() {}
        let current = now.peek().filter(|(known, _)| *known == index);
        current.map_or(count != 0.0, |(_, current)| *current < count)
    })
}

#[cfg(test)]
mod tests {
    use super::super::notation::parse_histogram;
    use super::*;

    fn read(text: &str) -> NativeHistogram {
        parse_histogram(&format!("{{{{{text}}}}}")).unwrap()
    }

    #[test]
    fn sums_and_differences() {
        let check = |a: &str, b: &str, sum: &str| {
            let (mut total, a, b, sum) = (read(a), read(a), read(b), read(sum));
            total.add(&b).unwrap();
            assert!(total.equals(&sum), "{total:?} {sum:?}");
            if a.schema == b.schema && a.zero_threshold == b.zero_threshold && a.custom_values == b.custom_values {
                total.sub(&b).unwrap();
                assert!(total.equals(&a), "{total:?} {a:?}");
            }
        };
        check("count:3 sum:4 buckets:[1 2]", "count:2 sum:3 offset:1 buckets:[1 1]", "count:5 sum:7 buckets:[1 3 1]");
        // Buckets 1 and 2 of schema 1 are bucket 1 of schema 0.
        check(
            "schema:1 count:6 sum:1 offset:0 buckets:[1 2 3]",
            "schema:0 count:2 sum:1 buckets:[1 1]",
            "count:8 sum:2 buckets:[2 6]",
        );
        // A wider zero bucket takes what lies within it; a bucket that it cuts widens it.
        check(
            "count:3 sum:1 z_bucket:1 z_bucket_w:1.5 offset:2 buckets:[2]",
            "count:4 sum:1 z_bucket:1 z_bucket_w:0.001 offset:0 buckets:[1 1 1]",
            "count:7 sum:2 z_bucket:4 z_bucket_w:2 offset:2 buckets:[3]",
        );
        check(
            "schema:-53 count:6 sum:1 custom_values:[1 2 3] buckets:[1 2 3]",
            "schema:-53 count:4 sum:1 custom_values:[2 4] buckets:[1 1 2]",
            "schema:-53 count:10 sum:2 custom_values:[2] buckets:[4 6]",
        );
        assert_eq!(read("schema:-53 custom_values:[1]").add(&read("schema:0")), Err(HistogramError::Schemas));
    }

    #[test]
    fn resets_are_seen() {
        let check = |before: &str, now: &str, want: bool| {
            assert_eq!(read(now).is_reset_after(&read(before)), want, "{before} {now}");
        };
        check("count:3 buckets:[1 2]", "count:4 buckets:[1 3]", false);
        check("count:3 buckets:[1 2]", "count:4 buckets:[2 1 1]", true);
        check("count:3 buckets:[1 2]", "count:4 buckets:[4]", true);
        check("count:3 buckets:[3]", "count:4 schema:1 offset:0 buckets:[4]", true);
        check("count:3 schema:1 offset:0 buckets:[1 1 1]", "count:4 buckets:[1 3]", false);
        check("count:3 buckets:[1 2]", "count:4 counter_reset_hint:reset buckets:[1 3]", true);
        check("count:3 buckets:[3]", "count:4 z_bucket:3 z_bucket_w:1 offset:1 buckets:[1]", false);
        check("count:3 z_bucket_w:1 offset:1 buckets:[3]", "count:4 z_bucket_w:0.5 offset:1 buckets:[4]", true);
    }
}
