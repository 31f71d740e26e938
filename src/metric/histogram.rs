//! Histograms of durations: hdrhistogram inside, Prometheus' classic buckets outside.
//!
//! One has one writer at a time and no lock of its own; several are merged when somebody asks.
//!
//! The classic buckets are exact, although an hdrhistogram rounds. It keeps three digits: from
//! 2,048 on, values fall in classes of 2, 4, 8 … We record the duration in whole milliseconds,
//! rounded up and less one, so `value <= bound` holds just where the recorded number is below
//! `bound`; and every bound of [`BOUNDS_MS`] is the first number of its class (a test checks
//! it), so no class straddles a bound.

use hdrhistogram::Histogram as Hdr;

/// The bounds of the classic buckets in milliseconds: those of Prometheus' clients, and three
/// beyond for jobs that take longer than a request.
pub const BOUNDS_MS: [u64; 15] = [5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];
/// Longer durations count as this one, an hour: it limits the memory to 110 kB.
const DURATION_MS_MAX: f64 = 3_600_000.0;

/// A histogram of durations.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Milliseconds, rounded up, less one.
    counts: Hdr<u64>,
    sum_ms: f64,
}

/// A histogram as Prometheus' text formats show it.
#[derive(Clone, PartialEq, Debug)]
pub struct Classic {
    /// Bound in seconds and the number of values at or below it.
    pub buckets: Vec<(f64, u64)>,
    /// All values together, in seconds.
    pub sum: f64,
    /// How many values.
    pub count: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        let counts = Hdr::new(3).expect("BUG: three digits are within hdrhistogram's range");
        Histogram { counts, sum_ms: 0.0 }
    }
}

impl Histogram {
    /// Counts one duration. One that is negative or not a number is left out.
    #[inline]
    pub fn record_ms(&mut self, ms: f64) {
        if ms.is_nan() || ms < 0.0 {
            return;
        }
        let bounded = ms.min(DURATION_MS_MAX);
        self.counts.record((bounded.ceil() as u64).saturating_sub(1)).expect("BUG: the histogram does not grow");
        self.sum_ms += bounded;
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.add(&other.counts).expect("BUG: a histogram that grows takes in any other");
        self.sum_ms += other.sum_ms;
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.counts.len()
    }

    /// The duration in milliseconds at or below which this part (0 to 1) of all lie.
    pub fn quantile_ms(&self, part: f64) -> u64 {
        if self.counts.is_empty() { 0 } else { self.counts.value_at_quantile(part) + 1 }
    }

    /// As classic buckets.
    pub fn classic(&self) -> Classic {
        let mut below = [0; BOUNDS_MS.len()];
        for step in self.counts.iter_recorded() {
            let first = self.counts.lowest_equivalent(step.value_iterated_to());
            if let Some(at) = BOUNDS_MS.iter().position(|&bound| first < bound) {
                below[at] += step.count_at_value();
            }
        }
        let mut total = 0;
        let buckets = BOUNDS_MS.iter().zip(below).map(|(&bound, count)| {
            total += count;
            (bound as f64 / 1000.0, total)
        });
        Classic { buckets: buckets.collect(), sum: self.sum_ms / 1000.0, count: self.counts.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn no_class_straddles_a_bound() {
        let mut hdr = Hdr::<u64>::new(3).unwrap();
        hdr.record(DURATION_MS_MAX as u64).unwrap();
        for bound in BOUNDS_MS {
            assert_eq!(hdr.lowest_equivalent(bound), bound);
        }
    }

    #[test]
    fn odd_values() {
        let mut histogram = Histogram::default();
        for ms in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            histogram.record_ms(ms);
        }
        assert_eq!(histogram.count(), 0);
        assert_eq!(histogram.quantile_ms(0.5), 0);
        for ms in [0.0, 0.2, 1.0, f64::INFINITY] {
            histogram.record_ms(ms);
        }
        assert_eq!(histogram.count(), 4);
        assert_eq!(histogram.classic().buckets[0], (0.005, 3));
    }

    proptest! {
        #[test]
        fn classic_buckets_are_exact_also_after_a_merge(
            values in prop::collection::vec(prop_oneof![0..12_000_u32, 29_900..30_100_u32, 59_900..60_100_u32], 0..400),
            fraction in 0.0..1.0_f64,
            cut in 0..400_usize,
        ) {
            let values: Vec<f64> = values.iter().map(|&v| if v % 3 == 0 { v as f64 + fraction } else { v as f64 }).collect();
            let (one, two) = values.split_at(cut.min(values.len()));
            let mut histogram = Histogram::default();
            one.iter().for_each(|&v| histogram.record_ms(v));
            let mut other = Histogram::default();
            two.iter().for_each(|&v| other.record_ms(v));
            histogram.merge(&other);
            let classic = histogram.classic();
            for (bound, count) in classic.buckets {
                let want = values.iter().filter(|&&v| v <= (bound * 1000.0).round()).count();
                prop_assert_eq!(count, want as u64, "at or below {} s", bound);
            }
            prop_assert_eq!(classic.count, values.len() as u64);
            let sum: f64 = values.iter().sum::<f64>() / 1000.0;
            prop_assert!((classic.sum - sum).abs() < 1e-6);
        }
    }
}
