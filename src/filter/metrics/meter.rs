//! What the filter `metrics` measures by: meters with decaying rates, and timers with a sample.
//!
//! As the library behind Logstash's filter (and Dropwizard's before it) does: rates are averages
//! that decay over 1, 5 and 15 minutes, in ticks of five seconds; percentiles come from a sample of
//! 1,028 values in which newer ones are likelier to be. No clock here: the time is an argument.

use crate::event::Timestamp;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Seconds between the ticks of a rate.
const TICK: f64 = 5.0;
/// Values in a sample.
const SAMPLE: usize = 1028;
/// How fast older values go from a sample, per second.
const DECAY: f64 = 0.015;

fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

/// Counts, and how many a second there are.
pub(super) struct Meter {
    /// How many in all.
    pub(super) count: u64,
    uncounted: u64,
    last: f64,
    rates: Option<[f64; 3]>,
}

impl Meter {
    pub(super) fn new(now: Timestamp) -> Meter {
        Meter { count: 0, uncounted: 0, last: seconds(now), rates: None }
    }

    /// Counts one.
    pub(super) fn mark(&mut self, now: Timestamp) {
        self.tick(now);
        self.count += 1;
        self.uncounted += 1;
    }

    /// Events per second over 1, 5 and 15 minutes.
    pub(super) fn rates(&mut self, now: Timestamp) -> [f64; 3] {
        self.tick(now);
        self.rates.unwrap_or_default()
    }

    fn tick(&mut self, now: Timestamp) {
        let ticks = ((seconds(now) - self.last) / TICK).floor();
        // A clock that was set back makes no tick.
        if ticks < 1.0 {
            return;
        }
        self.last += ticks * TICK;
        let rate = std::mem::take(&mut self.uncounted) as f64 / TICK;
        let Some(rates) = &mut self.rates else {
            self.rates = Some([rate; 3]);
            return self.decay(ticks - 1.0);
        };
        for (old, minutes) in rates.iter_mut().zip([1.0, 5.0, 15.0]) {
            *old += (1.0 - (-TICK / 60.0 / minutes).exp()) * (rate - *old);
        }
        self.decay(ticks - 1.0);
    }

    /// Ticks in which nothing was counted.
    fn decay(&mut self, ticks: f64) {
        for (rate, minutes) in self.rates.iter_mut().flatten().zip([1.0, 5.0, 15.0]) {
            *rate *= (-TICK / 60.0 / minutes * ticks).exp();
        }
    }
}

/// A value of a sample with the logarithm of its weight.
struct Sampled {
    weight: f64,
    value: f64,
}

impl PartialEq for Sampled {
    fn eq(&self, other: &Sampled) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sampled {}

impl PartialOrd for Sampled {
    fn partial_cmp(&self, other: &Sampled) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sampled {
    /// The lightest is the greatest: a heap gives it first.
    fn cmp(&self, other: &Sampled) -> Ordering {
        other.weight.total_cmp(&self.weight)
    }
}

/// A meter with a distribution.
pub(super) struct Timer {
    pub(super) meter: Meter,
    min: f64,
    max: f64,
    /// The mean so far, the sum of squares of distances to it, and the sum.
    middle: f64,
    squares: f64,
    sum: f64,
    sample: BinaryHeap<Sampled>,
}

impl Timer {
    pub(super) fn new(now: Timestamp) -> Timer {
        let meter = Meter::new(now);
        let sample = BinaryHeap::new();
        Timer { meter, min: f64::INFINITY, max: f64::NEG_INFINITY, middle: 0.0, squares: 0.0, sum: 0.0, sample }
    }

    /// Adds a value; one below zero is no duration, and left out.
    pub(super) fn update(&mut self, value: f64, now: Timestamp) {
        if value < 0.0 || value.is_nan() {
            return;
        }
        self.meter.mark(now);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
        let from = value - self.middle;
        self.middle += from / self.meter.count as f64;
        self.squares += from * (value - self.middle);
        // Forward decay: of all values, those with the greatest weights are a fair sample.
        let weight = DECAY * seconds(now) - (1.0 - rand::random::<f64>()).ln().abs().ln();
        self.sample.push(Sampled { weight, value });
        if self.sample.len() > SAMPLE {
            self.sample.pop();
        }
    }

    /// The least value; 0 without any.
    pub(super) fn min(&self) -> f64 {
        if self.meter.count == 0 { 0.0 } else { self.min }
    }

    /// The greatest value; 0 without any.
    pub(super) fn max(&self) -> f64 {
        if self.meter.count == 0 { 0.0 } else { self.max }
    }

    /// The mean of all values.
    pub(super) fn mean(&self) -> f64 {
        self.sum / self.meter.count.max(1) as f64
    }

    /// What Logstash calls the standard deviation: the square root of it. Its filter takes what its
    /// library gives for a variance.
    pub(super) fn deviation(&self) -> f64 {
        if self.meter.count < 2 { 0.0 } else { (self.squares / (self.meter.count - 1) as f64).sqrt().sqrt() }
    }

    /// The sample in order.
    pub(super) fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.sample.iter().map(|sampled| sampled.value).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }
}

/// The value below which a share of the sorted values lies, between neighbours if need be.
pub(super) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else { return 0.0 };
    let at = share * (sorted.len() + 1) as f64;
    if at < 1.0 {
        return first;
    }
    if at >= sorted.len() as f64 {
        return last;
    }
    let (lower, upper) = (sorted[at as usize - 1], sorted[at as usize]);
    lower + at.fract() * (upper - lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(seconds, 0)
    }

    #[test]
    fn rates_decay() {
        let mut meter = Meter::new(at(0));
        (0..50).for_each(|_| meter.mark(at(1)));
        assert_eq!(meter.rates(at(4)), [0.0; 3], "no tick yet");
        assert_eq!(meter.rates(at(5)), [10.0; 3]);
        let one = meter.rates(at(65))[0];
        assert!((one - 10.0 * (-1.0_f64).exp()).abs() < 1e-9, "a minute without: {one}");
        assert_eq!(meter.rates(at(0))[0], one, "a clock that was set back");
    }

    #[test]
    fn percentiles_lie_between() {
        let check = |values: &[f64], share, want| assert_eq!(percentile(values, share), want, "{values:?} {share}");
        check(&[], 0.5, 0.0);
        check(&[1.0], 0.99, 1.0);
        check(&[1.0, 2.0, 3.0], 0.5, 2.0);
        check(&[1.0, 2.0], 0.5, 1.5);
        check(&[1.0, 2.0, 3.0], 1.0, 3.0);
        check(&[1.0, 2.0, 3.0], 0.0, 1.0);
    }

    #[test]
    fn samples_prefer_what_is_new_and_stay_small() {
        let mut timer = Timer::new(at(0));
        (0..5000).for_each(|_| timer.update(1.0, at(0)));
        (0..5000).for_each(|_| timer.update(2.0, at(600)));
        let sorted = timer.sorted();
        assert_eq!(sorted.len(), SAMPLE);
        // A value from ten minutes ago weighs e^-9 of a new one.
        assert!(sorted.iter().filter(|value| **value == 1.0).count() < 30, "{sorted:?}");
        assert_eq!((timer.min(), timer.max(), timer.mean()), (1.0, 2.0, 1.5));
        assert!((timer.deviation() - 0.5_f64.sqrt()).abs() < 1e-3);
        timer.update(-1.0, at(600));
        assert_eq!((timer.meter.count, timer.min()), (10_000, 1.0));
    }

    #[test]
    fn a_timer_without_values_has_none() {
        let mut timer = Timer::new(at(0));
        assert_eq!((timer.min(), timer.max(), timer.mean(), timer.deviation()), (0.0, 0.0, 0.0, 0.0));
        timer.update(3.0, at(0));
        assert_eq!((timer.min(), timer.max(), timer.mean(), timer.deviation()), (3.0, 3.0, 3.0, 0.0));
    }
}
