//! One derived series: what was counted so far, exemplars, and when it was last touched.
//!
//! Workers add what they counted in one batch ([`Delta`]) under the series' own lock, once per
//! batch; readers copy under the same lock. Counts never fall: see [`Series::raise`].

use super::Family;
use super::exponential::{Counts, Tally};
use crate::metric::exposition::Kind;
use crate::metric::exposition::{Format, Identity};
use crate::metric::histogram::Classic;
use crate::series::{Builder, Labels, METRIC_NAME};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};

/// The slots of a mean over the last seconds.
const WINDOW_SLOTS: u64 = 30;
/// Sums of fractions may differ so much by the order of their terms.
const SUM_TOLERANCE: f64 = 1e-9;
/// Longer trace ids are no exemplars: OpenMetrics allows 128 characters with the label's name.
pub const TRACE_BYTES_MAX: usize = 100;

/// One series of a [`Family`].
pub struct Series {
    /// Its labels, the family's name among them.
    pub labels: Labels,
    /// When it was first seen, in milliseconds since 1970.
    pub created_ms: i64,
    /// Its family.
    pub family: Arc<Family>,
    state: Mutex<State>,
    /// Its label sets in the window, once it was sampled.
    identity: OnceLock<Arc<Identity>>,
}

/// What a series is worth.
#[derive(Clone)]
pub struct State {
    /// The value.
    pub value: Cumulative,
    /// When something was last added.
    pub updated_ms: i64,
    /// The newest exemplars: of a histogram, one for each classic bound and one beyond.
    pub exemplars: Vec<Exemplar>,
    /// Events that were added.
    pub events: u64,
    /// What was shown before the process began and is not reached yet, and until when that is waited
    /// for.
    pub hold: Option<(Cumulative, i64)>,
}

/// A value that stands for its event.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Exemplar {
    /// The event's trace; empty where there is no exemplar.
    pub trace: String,
    /// The event's value.
    pub value: f64,
    /// The event's time in milliseconds since 1970.
    pub at_ms: i64,
}

/// What was counted so far.
#[derive(Clone, PartialEq, Debug)]
pub enum Cumulative {
    /// A sum that only grows.
    Counter(f64),
    /// The last value, and the time of its event.
    Gauge(f64, i64),
    /// The mean over the last seconds.
    Mean(Window),
    /// A distribution.
    Histogram(Box<Histogram>),
}

/// A distribution.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Histogram {
    /// How many values fell between a bound and the one before; one more beyond the last.
    /// Empty where there are no classic buckets.
    pub classic: Vec<u64>,
    /// Native buckets.
    pub native: Option<Counts>,
    /// Sum of all values.
    pub sum: f64,
    /// How many values.
    pub count: u64,
}

/// Sums of the last slots of time.
#[derive(Clone, PartialEq, Debug)]
pub struct Window {
    slot_ms: i64,
    slots: Vec<(i64, f64, f64)>,
}

/// What one worker counted in one batch for one series.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    /// Events.
    pub events: u64,
    /// Sum of the values; the last value of a gauge.
    pub sum: f64,
    /// The time of a gauge's last value.
    pub at_ms: i64,
    /// Values by classic bucket.
    pub classic: Vec<u32>,
    /// Values by native bucket.
    pub native: Tally,
}

/// A [`Delta`] as books keep it until its positions are durable: as small as its kind allows.
#[derive(Clone, Debug)]
pub enum Change {
    /// What a counter grew by.
    Counter(f64),
    /// The last value of a gauge and its time.
    Gauge(f64, i64),
    /// What came into a histogram.
    Histogram(Box<Delta>),
}

impl Change {
    /// What a batch did to a series of a family.
    pub fn of(delta: &Delta, kind: Kind) -> Change {
        match kind {
            Kind::Counter => Change::Counter(delta.sum),
            Kind::Gauge => Change::Gauge(delta.sum, delta.at_ms),
            Kind::Histogram => Change::Histogram(Box::new(delta.clone())),
        }
    }

    /// Does it to a value.
    pub fn enter(&self, value: &mut Cumulative) {
        match (self, value) {
            (Change::Counter(more), Cumulative::Counter(sum)) => *sum += more,
            (Change::Gauge(last, last_ms), Cumulative::Gauge(value, at_ms)) if last_ms >= at_ms => {
                (*value, *at_ms) = (*last, *last_ms);
            }
            (Change::Histogram(delta), value) => value.add(delta, delta.at_ms),
            _ => {}
        }
    }
}

impl Delta {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.classic.fill(0);
        self.native.clear();
        (self.events, self.sum, self.at_ms) = (0, 0.0, i64::MIN);
    }
}

impl Window {
    /// Over about this time.
    pub fn new(over_ms: i64) -> Window {
        let slot_ms = (over_ms / WINDOW_SLOTS as i64).max(1);
        Window { slot_ms, slots: vec![(0, 0.0, 0.0); WINDOW_SLOTS as usize] }
    }

    fn add(&mut self, now_ms: i64, sum: f64, count: f64) {
        let number = now_ms.div_euclid(self.slot_ms);
        let slot = &mut self.slots[number.rem_euclid(WINDOW_SLOTS as i64) as usize];
        if slot.0 != number {
            *slot = (number, 0.0, 0.0);
        }
        slot.1 += sum;
        slot.2 += count;
    }

    /// The mean of the slots that are not too old; `None` without values.
    pub fn mean(&self, now_ms: i64) -> Option<f64> {
        let last = now_ms.div_euclid(self.slot_ms);
        let recent = self.slots.iter().filter(|slot| slot.0 > last - WINDOW_SLOTS as i64 && slot.0 <= last);
        let (sum, count) = recent.fold((0.0, 0.0), |(sum, count), slot| (sum + slot.1, count + slot.2));
        (count > 0.0).then(|| sum / count)
    }
}

impl Cumulative {
    /// The beginning of a family's series.
    pub fn new(family: &Family) -> Cumulative {
        match (family.kind, family.over_ms) {
            (Kind::Counter, _) => Cumulative::Counter(0.0),
            (Kind::Histogram, _) => Cumulative::Histogram(Box::new(Histogram {
                classic: if family.bounds.is_empty() { Vec::new() } else { vec![0; family.bounds.len() + 1] },
                native: family.native.then(Counts::default),
                ..Histogram::default()
            })),
            (_, Some(over_ms)) => Cumulative::Mean(Window::new(over_ms)),
            _ => Cumulative::Gauge(0.0, i64::MIN),
        }
    }

    /// Adds what a batch brought.
    pub fn add(&mut self, delta: &Delta, now_ms: i64) {
        match self {
            Cumulative::Counter(sum) => *sum += delta.sum,
            Cumulative::Gauge(value, at_ms) if delta.at_ms >= *at_ms => (*value, *at_ms) = (delta.sum, delta.at_ms),
            Cumulative::Gauge(..) => {}
            Cumulative::Mean(window) => window.add(now_ms, delta.sum, delta.events as f64),
            Cumulative::Histogram(histogram) => {
                histogram.classic.iter_mut().zip(&delta.classic).for_each(|(into, &more)| *into += u64::from(more));
                if let Some(native) = &mut histogram.native {
                    native.add(&delta.native);
                }
                histogram.sum += delta.sum;
                histogram.count += delta.events;
            }
        }
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Cumulative) {
        match (self, other) {
            (Cumulative::Counter(sum), Cumulative::Counter(more)) => *sum += more,
            (Cumulative::Gauge(value, at_ms), Cumulative::Gauge(last, last_ms)) if last_ms > at_ms => {
                (*value, *at_ms) = (*last, *last_ms);
            }
            (Cumulative::Histogram(histogram), Cumulative::Histogram(more)) => {
                histogram.classic.iter_mut().zip(&more.classic).for_each(|(into, n)| *into += n);
                if let (Some(native), Some(more)) = (&mut histogram.native, &more.native) {
                    native.merge(more);
                }
                histogram.sum += more.sum;
                histogram.count += more.count;
            }
            _ => {}
        }
    }

    /// Whether every count is at least that of another one.
    pub fn covers(&self, shown: &Cumulative) -> bool {
        match (self, shown) {
            (Cumulative::Counter(sum), Cumulative::Counter(least)) => *sum >= least - least.abs() * SUM_TOLERANCE,
            (Cumulative::Histogram(histogram), Cumulative::Histogram(least)) => {
                let mut raised = histogram.clone();
                let classic = histogram.classic.iter().zip(&least.classic).all(|(own, least)| own >= least);
                let native = match (&mut raised.native, &least.native) {
                    (Some(native), Some(least)) => {
                        native.raise(least);
                        native.total() == histogram.count
                    }
                    _ => true,
                };
                classic && native && histogram.count >= least.count
            }
            _ => true,
        }
    }

    /// The greater of both, so that a count that was shown is never taken back.
    pub fn raise(&mut self, shown: &Cumulative) {
        match (self, shown) {
            (Cumulative::Counter(sum), Cumulative::Counter(least)) => *sum = sum.max(*least),
            (Cumulative::Gauge(value, at_ms), Cumulative::Gauge(last, last_ms)) if last_ms > at_ms => {
                (*value, *at_ms) = (*last, *last_ms);
            }
            (Cumulative::Histogram(histogram), Cumulative::Histogram(least))
                if histogram.classic.len() == least.classic.len() =>
            {
                histogram.classic.iter_mut().zip(&least.classic).for_each(|(into, &n)| *into = (*into).max(n));
                if let (Some(native), Some(least)) = (&mut histogram.native, &least.native) {
                    native.raise(least);
                }
                histogram.count = match &histogram.native {
                    Some(native) => native.total(),
                    None => histogram.classic.iter().sum(),
                };
                histogram.sum = histogram.sum.max(least.sum);
            }
            _ => {}
        }
    }
}

impl Histogram {
    /// With cumulative buckets.
    pub fn classic(&self, bounds: &[f64]) -> Classic {
        let mut below = 0;
        let buckets = bounds.iter().zip(&self.classic).map(|(&bound, &count)| {
            below += count;
            (bound, below)
        });
        Classic { buckets: buckets.collect(), sum: self.sum, count: self.count }
    }
}

impl Series {
    /// A series that nothing was added to yet.
    pub fn new(family: Arc<Family>, labels: Labels, now_ms: i64) -> Series {
        let value = Cumulative::new(&family);
        let state = State { value, updated_ms: now_ms, exemplars: Vec::new(), events: 0, hold: None };
        Series { labels, created_ms: now_ms, family, state: Mutex::new(state), identity: OnceLock::new() }
    }

    /// The same as it was when the process ended.
    pub fn restored(family: Arc<Family>, labels: Labels, created_ms: i64, value: Cumulative, now_ms: i64) -> Series {
        let state = State { value, updated_ms: now_ms, exemplars: Vec::new(), events: 0, hold: None };
        Series { labels, created_ms, family, state: Mutex::new(state), identity: OnceLock::new() }
    }

    /// Its label sets in the window.
    pub fn identity(&self) -> &Arc<Identity> {
        self.identity.get_or_init(|| {
            let mut parts = Vec::new();
            if !self.family.bounds.is_empty() {
                let part = |end: &str, le: Option<f64>| {
                    let mut builder = Builder::of(&self.labels);
                    builder.set(METRIC_NAME, &format!("{}_{end}", self.family.name));
                    if let Some(le) = le {
                        builder.set("le", &Format::OpenMetrics.bound(le));
                    }
                    builder.build()
                };
                let bounds = self.family.bounds.iter().copied().chain([f64::INFINITY]);
                parts.extend(bounds.map(|bound| part("bucket", Some(bound))));
                parts.extend([part("sum", None), part("count", None)]);
            }
            Arc::new(Identity { labels: self.labels.clone(), parts })
        })
    }

    /// Adds what a batch brought; how coarse its native buckets are then, which only grows.
    pub fn add(&self, delta: &Delta, exemplar: Option<Exemplar>, now_ms: i64) -> u32 {
        let mut state = self.state.lock();
        state.value.add(delta, now_ms);
        state.updated_ms = state.updated_ms.max(now_ms);
        state.events += delta.events;
        if let Some(exemplar) = exemplar {
            let at = self.family.bounds.partition_point(|&bound| bound < exemplar.value);
            let places = if self.family.kind == Kind::Histogram { self.family.bounds.len() + 1 } else { 1 };
            if state.exemplars.is_empty() {
                state.exemplars.resize_with(places, Exemplar::default);
            }
            state.exemplars[if places == 1 { 0 } else { at }] = exemplar;
        }
        match &state.value {
            Cumulative::Histogram(histogram) => histogram.native.as_ref().map_or(0, Counts::coarseness),
            _ => 0,
        }
    }

    /// Holds the series until it reaches what was shown of it, or until this time.
    pub fn hold(&self, shown: Cumulative, until_ms: i64) {
        self.state.lock().hold = Some((shown, until_ms));
    }

    /// Ends the hold if it is over; whether it is not.
    pub fn settle_hold(&self, now_ms: i64) -> bool {
        let state = &mut *self.state.lock();
        let Some((shown, until_ms)) = &state.hold else { return false };
        if state.value.covers(shown) || now_ms >= *until_ms {
            // Sums may differ in their last digits, by the order of their terms.
            state.value.raise(shown);
            state.hold = None;
        }
        state.hold.is_some()
    }

    /// Reads the state.
    pub fn read<T>(&self, with: impl FnOnce(&State) -> T) -> T {
        with(&self.state.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_forgets() {
        let mut window = Window::new(300_000);
        window.add(5_000, 1.0, 2.0);
        window.add(200_000, 0.0, 1.0);
        assert_eq!(window.mean(299_000), Some(1.0 / 3.0));
        assert_eq!(window.mean(300_000), Some(0.0));
        assert_eq!(window.mean(600_000), None);
    }

    #[test]
    fn what_was_shown_is_not_taken_back() {
        let mut counter = Cumulative::Counter(3.0);
        counter.raise(&Cumulative::Counter(5.0));
        assert_eq!(counter, Cumulative::Counter(5.0));
        let histogram = |classic: &[u64], sum| {
            let count = classic.iter().sum();
            Cumulative::Histogram(Box::new(Histogram { classic: classic.to_vec(), native: None, sum, count }))
        };
        let mut one = histogram(&[1, 0, 2], 7.0);
        one.raise(&histogram(&[0, 3, 2], 6.0));
        assert_eq!(one, histogram(&[1, 3, 2], 7.0));
    }
}
