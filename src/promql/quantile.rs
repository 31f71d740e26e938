//! Quantiles and shares: of numbers, of classic buckets and of native histograms.

use crate::series::{Bucket, NativeHistogram};

/// A bucket of a classic histogram: how many observations are at most `upper`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classic {
    pub upper: f64,
    pub count: f64,
}

/// Differences of counts below this share are taken for rounding errors.
const TOLERANCE: f64 = 1e-12;

/// The quantile of numbers, interpolated between neighbours.
pub(super) fn of_numbers(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    // NaN counts as the lowest.
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let last = (values.len() - 1) as f64;
    let rank = q * last;
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(last);
    let weight = rank - rank.floor();
    if weight == 0.0 {
        // The next one does not count, even where it is infinite.
        return values[lower as usize];
    }
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

/// The quantile of a classic histogram, interpolated within the bucket.
pub(super) fn of_classic(q: f64, buckets: Vec<Classic>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let Some(mut buckets) = joined(buckets) else { return f64::NAN };
    monotonic(&mut buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let at = reached(&buckets[..last], rank);
    if at == last {
        return buckets[last - 1].upper;
    }
    if at == 0 && buckets[0].upper <= 0.0 {
        return buckets[0].upper;
    }
    let Classic { upper, mut count } = buckets[at];
    let mut lower = 0.0;
    if at > 0 {
        lower = buckets[at - 1].upper;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    lower + (upper - lower) * (rank / count)
}

/// The first bucket that holds `rank`. Where counts are NaN the halves that are searched decide: these
/// are the reference's.
fn reached(buckets: &[Classic], rank: f64) -> usize {
    let (mut from, mut to) = (0, buckets.len());
    while from < to {
        let middle = (from + to) / 2;
        if buckets[middle].count >= rank {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    from
}

/// Sorted by bound, one for each bound; nothing without a bucket up to infinity.
fn joined(mut buckets: Vec<Classic>) -> Option<Vec<Classic>> {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last()?.upper != f64::INFINITY {
        return None;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    Some(buckets)
}

/// Counts never fall, and rounding errors between neighbours are levelled.
fn monotonic(buckets: &mut [Classic]) {
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        if bucket.count == previous {
            continue;
        }
        if almost_equal(previous, bucket.count) || bucket.count < previous {
            bucket.count = previous;
            continue;
        }
        previous = bucket.count;
    }
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

/// The quantile of a native histogram: linear within custom buckets and the zero bucket, else
/// exponential.
pub(crate) fn of_native(q: f64, histogram: &NativeHistogram) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if histogram.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    // From the nearer end; observations of NaN are in no bucket and make the far end unsafe.
    let forward = histogram.sum.is_nan() || q < 0.5;
    let mut rank = if forward { q } else { 1.0 - q } * histogram.count;
    let all = histogram.buckets();
    let (mut count, mut found) = (0.0, None);
    let mut visit = |bucket: &Bucket| {
        if bucket.count == 0.0 {
            return false;
        }
        found = Some(*bucket);
        count += bucket.count;
        count >= rank
    };
    let _reached = if forward { all.iter().any(&mut visit) } else { all.iter().rev().any(&mut visit) };
    let Some(mut bucket) = found else { return f64::NAN };
    if histogram.is_custom() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return bucket.upper;
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return bucket.lower;
        }
    } else {
        one_sided(histogram, &mut bucket);
    }
    count = count.min(histogram.count);
    if count < rank {
        return if histogram.sum.is_nan() { f64::NAN } else { bucket.upper };
    }
    rank = if forward { rank - (count - bucket.count) } else { count - rank };
    let fraction = rank / bucket.count;
    if histogram.is_custom() || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * fraction;
    }
    let (lower, upper) = (log2(bucket.lower.abs()), log2(bucket.upper.abs()));
    if bucket.lower > 0.0 {
        return (lower + (upper - lower) * fraction).exp2();
    }
    -(upper + (lower - upper) * (1.0 - fraction)).exp2()
}

/// In a histogram that is on one side of zero only, so is its zero bucket.
fn one_sided(histogram: &NativeHistogram, bucket: &mut Bucket) {
    if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        if histogram.negative.is_empty() && !histogram.positive.is_empty() {
            bucket.lower = 0.0;
        } else if histogram.positive.is_empty() && !histogram.negative.is_empty() {
            bucket.upper = 0.0;
        }
    }
}

/// The binary logarithm by way of the natural one of the fraction: exact for powers of two, and
/// otherwise with the last digits that Prometheus gives.
pub(super) fn log2(value: f64) -> f64 {
    if !value.is_normal() || value < 0.0 {
        return value.log2();
    }
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    let fraction = f64::from_bits((bits & !(0x7ff << 52)) | (1022 << 52));
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    fraction.ln() * (1.0 / std::f64::consts::LN_2) + f64::from(exponent)
}

/// The share of a bucket that lies below `value`, which is within its bounds.
pub(super) fn below(bucket: &Bucket, value: f64, linear: bool) -> f64 {
    if linear {
        return (value - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let (lower, upper, at) = (log2(bucket.lower.abs()), log2(bucket.upper.abs()), log2(value.abs()));
    if value > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
}

/// Where a bound lies among the observations.
struct Rank {
    bound: f64,
    rank: Option<f64>,
}

impl Rank {
    /// `before`: observations before the bucket; `within`: observations up to the bound.
    fn visit(&mut self, lower: f64, upper: f64, before: f64, within: impl Fn(f64) -> f64) {
        if self.rank.is_none() && lower >= self.bound {
            self.rank = Some(before);
        }
        if self.rank.is_none() && upper > self.bound {
            self.rank = Some(within(self.bound));
        }
    }

    fn get(&self, count: f64) -> f64 {
        match self.rank {
            Some(rank) if rank > count => count,
            Some(rank) => rank,
            None => count,
        }
    }
}

/// The share of observations between two bounds in a native histogram.
pub(super) fn share_of_native(lower: f64, upper: f64, histogram: &NativeHistogram) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut low, mut high) = (Rank { bound: lower, rank: None }, Rank { bound: upper, rank: None });
    let (mut rank, mut count) = (0.0, 0.0);
    for mut bucket in histogram.buckets() {
        count += bucket.count;
        let zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        one_sided(histogram, &mut bucket);
        let within = |value: f64| {
            let linear = histogram.is_custom() || zero;
            // Nothing is known of where observations are in a bucket without end.
            if linear && bucket.lower == f64::NEG_INFINITY {
                return bucket.count;
            }
            rank + bucket.count * below(&bucket, value, linear)
        };
        low.visit(bucket.lower, bucket.upper, rank, within);
        high.visit(bucket.lower, bucket.upper, rank, within);
        rank += bucket.count;
    }
    if !histogram.sum.is_nan() {
        count = histogram.count;
    }
    (high.get(count) - low.get(count)) / histogram.count
}

/// The share of observations between two bounds in a classic histogram.
pub(super) fn share_of_classic(lower: f64, upper: f64, buckets: Vec<Classic>) -> f64 {
    let Some(buckets) = joined(buckets) else { return f64::NAN };
    let count = buckets.last().map_or(0.0, |bucket| bucket.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut low, mut high) = (Rank { bound: lower, rank: None }, Rank { bound: upper, rank: None });
    let mut start = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    for bucket in &buckets {
        let within = |value: f64| {
            if start == f64::NEG_INFINITY {
                return bucket.count;
            }
            rank + (bucket.count - rank) * (value - start) / (bucket.upper - start)
        };
        low.visit(start, bucket.upper, rank, within);
        high.visit(start, bucket.upper, rank, within);
        (rank, start) = (bucket.count, bucket.upper);
    }
    (high.get(count) - low.get(count)) / count
}
