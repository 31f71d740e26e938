//! The operators `</` and `>/`: what a histogram holds below or above a value.

use super::quantile::below;
use crate::series::{Bucket, NativeHistogram};

/// Cuts off what lies above `at`, or below it if not `upper`. A bucket that is cut keeps its share;
/// count and sum are estimated anew if anything was cut off.
pub(super) fn trim(histogram: &NativeHistogram, at: f64, upper: bool) -> NativeHistogram {
    let mut trimmed = histogram.clone();
    let mut totals = Totals::default();
    let (mut has_positive, mut has_negative) = (false, false);
    for side in [true, false] {
        let buckets = if side { &mut trimmed.positive } else { &mut trimmed.negative };
        for (index, count) in buckets.iter_mut().filter(|(_, count)| *count != 0.0) {
            *(if side { &mut has_positive } else { &mut has_negative }) = true;
            let bucket = match side {
                true => histogram.positive_bucket(*index, *count),
                false => histogram.negative_bucket(*index, *count),
            };
            let (kept, middle) = keep(&bucket, at, upper, side, histogram.is_custom());
            totals.add(kept, middle);
            totals.cut |= kept != *count;
            *count = kept;
        }
    }
    if histogram.zero_count > 0.0 {
        let (kept, middle) = keep_of_zero(&histogram.zero_bucket(), at, upper, has_negative, has_positive);
        totals.add(kept, middle);
        totals.cut |= kept != histogram.zero_count;
        trimmed.zero_count = kept;
    }
    if totals.cut {
        (trimmed.count, trimmed.sum) = (totals.count, totals.sum);
        trimmed.compact();
    }
    trimmed
}

#[derive(Default)]
struct Totals {
    count: f64,
    sum: f64,
    cut: bool,
}

impl Totals {
    fn add(&mut self, count: f64, middle: f64) {
        self.count += count;
        self.sum += count * middle;
    }
}

/// How many observations of a bucket stay, and where their middle is taken to be.
fn keep(bucket: &Bucket, at: f64, upper: bool, positive: bool, linear: bool) -> (f64, f64) {
    let whole = if upper { bucket.upper <= at } else { bucket.lower >= at };
    if whole {
        return (bucket.count, middle(bucket.lower, bucket.upper, positive, linear));
    }
    let cut = if upper { bucket.lower < at } else { bucket.upper > at };
    if !cut {
        return (0.0, 0.0);
    }
    if bucket.lower == f64::NEG_INFINITY || bucket.upper == f64::INFINITY {
        return keep_of_endless(bucket, at, upper);
    }
    let under = match () {
        () if at <= bucket.lower => 0.0,
        () if at >= bucket.upper => bucket.count,
        () => bucket.count * below(bucket, at, linear),
    };
    match upper {
        true => (under, middle(bucket.lower, at, positive, linear)),
        false => (bucket.count - under, middle(at, bucket.upper, positive, linear)),
    }
}

/// Of a bucket without end nobody knows where its observations are, but that they are likely on the
/// side of zero on which its other bound is.
fn keep_of_endless(bucket: &Bucket, at: f64, upper: bool) -> (f64, f64) {
    let finite = |bound: f64| if bound.is_infinite() { 0.0 } else { bound };
    if bucket.lower == f64::NEG_INFINITY {
        let positive = bucket.upper > 0.0 && bucket.upper.is_finite();
        return match upper {
            true if at >= bucket.upper => (bucket.count, 0.0),
            true if at > 0.0 && positive => (bucket.count * at / bucket.upper, at / 2.0),
            true if bucket.upper <= 0.0 => (bucket.count, at),
            false if at == f64::NEG_INFINITY => (bucket.count, 0.0),
            false if at >= 0.0 && bucket.upper > at && positive => {
                (bucket.count * (1.0 - at / bucket.upper), (at + bucket.upper) / 2.0)
            }
            _ => (0.0, finite(bucket.upper)),
        };
    }
    match upper {
        false if at >= bucket.lower => (bucket.count, at),
        _ => (0.0, finite(bucket.lower)),
    }
}

fn keep_of_zero(bucket: &Bucket, at: f64, upper: bool, has_negative: bool, has_positive: bool) -> (f64, f64) {
    let (mut low, mut high) = (bucket.lower, bucket.upper);
    if has_negative && !has_positive {
        high = 0.0;
    }
    if has_positive && !has_negative {
        low = 0.0;
    }
    let all = (bucket.count, (low + high) / 2.0);
    match upper {
        true if at <= low => (0.0, 0.0),
        true if at >= high => all,
        true => (bucket.count * ((at - low) / (high - low)), (low + at) / 2.0),
        false if at <= low => all,
        false if at >= high => (0.0, 0.0),
        false => (bucket.count * ((high - at) / (high - low)), (at + high) / 2.0),
    }
}

/// The middle of what is left of a bucket: the geometric one of exponential buckets.
fn middle(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if linear => (lower + upper) / 2.0,
        (false, false) => (lower * upper).abs().sqrt() * if positive { 1.0 } else { -1.0 },
    }
}
