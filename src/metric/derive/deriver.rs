//! Derives metrics from the events that one worker sees.
//!
//! Everything here belongs to the worker alone: tables of label values and of series, and for each
//! series what the present batch brought. Nothing is locked, and nothing is allocated for a series
//! that was seen before, until the batch is through: then each series that was touched takes its
//! [`Delta`] under its own lock.
//!
//! Label sets are numbers here ([`Source`]). A metric whose family is full counts what it does not
//! know in one series whose label values are all `other`.

use super::series::{Delta, Series, TRACE_BYTES_MAX};
use super::source::{self, Number, Source, UNKNOWN};
use super::{Derived, Metric, exponential};
use crate::event::{Batch, EventId, Timestamp, Value};
use crate::index::Tier;
use crate::metric::exposition::Kind;
use crate::pipeline::Ack;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The value of every label of the series beyond the cap.
pub const OTHER: &str = "other";

/// Derives for one worker.
pub struct Deriver {
    home: Arc<Derived>,
    sources: Vec<Source>,
    counting: Vec<Counting>,
    /// Numbers of the present batch's label values, a column for each source.
    ids: Vec<Vec<u32>>,
    /// Tiers of the present batch's events, if anybody asks.
    tiers: Vec<Tier>,
    /// The home's generation that the tables are of.
    generation: u64,
    /// Whether any source or number needs the event's tier.
    needs_tier: bool,
    /// What series got since the last [`Deriver::settle`], where books are kept.
    journal: Vec<(Arc<Series>, Delta)>,
}

/// One metric as its worker counts it.
struct Counting {
    metric: Arc<Metric>,
    /// Label name and source.
    labels: Vec<(String, usize)>,
    number: usize,
    slots: Vec<Slot>,
    /// The label values' numbers of each slot, one slot after the other.
    keys: Vec<u32>,
    at: FxHashMap<Box<[u32]>, u32>,
    /// Slots found lately, by their key's hash.
    near: Box<[u32; NEAR]>,
    /// The key that is looked for.
    key: Vec<u32>,
    other: Option<u32>,
    /// The family admits no further series, and `at` knows all that it has.
    full: bool,
    dirty: Vec<u32>,
    overflow: u64,
    ignored: u64,
    late: u64,
}

struct Slot {
    series: Arc<Series>,
    delta: Delta,
    dirty: bool,
    /// The event with the greatest value: the exemplar.
    best: (f64, EventId),
}

/// A power of two.
const NEAR: usize = 64;

/// The batch that is counted.
struct Seen<'a> {
    batch: &'a Batch,
    events: &'a [EventId],
    tiers: &'a [Tier],
    ids: &'a [Vec<u32>],
    now_ms: i64,
}

impl Deriver {
    /// For metrics of `home`, which are derived in one pass.
    pub fn new(home: Arc<Derived>, metrics: &[Arc<Metric>]) -> Deriver {
        let mut sources: Vec<Source> = Vec::new();
        let counting = metrics.iter().map(|metric| {
            let labels = metric.labels.iter().map(|(name, text, written)| {
                let known = sources.iter().position(|source| source.written == *written);
                let at = known.unwrap_or_else(|| {
                    sources.push(Source::new(text.clone(), written));
                    sources.len() - 1
                });
                (name.clone(), at)
            });
            Counting::new(metric.clone(), labels.collect())
        });
        let counting: Vec<Counting> = counting.collect();
        let needs_tier = metrics.iter().any(|metric| metric.needs_tier());
        let generation = home.generation();
        let ids = vec![Vec::new(); sources.len()];
        Deriver { home, sources, counting, ids, tiers: Vec::new(), generation, needs_tier, journal: Vec::new() }
    }

    /// The same for another worker.
    pub fn fork(&self) -> Deriver {
        Deriver {
            home: self.home.clone(),
            sources: self.sources.iter().map(Source::fork).collect(),
            counting: self.counting.iter().map(|c| Counting::new(c.metric.clone(), c.labels.clone())).collect(),
            ids: vec![Vec::new(); self.sources.len()],
            tiers: Vec::new(),
            generation: self.generation,
            needs_tier: self.needs_tier,
            journal: Vec::new(),
        }
    }

    /// Counts events. `now` is the time of the batch.
    pub fn observe(&mut self, batch: &Batch, events: &[EventId], now: Timestamp) {
        if self.counting.is_empty() || events.is_empty() {
            return;
        }
        let generation = self.home.generation();
        if generation != self.generation {
            // Series have expired: what is still alive comes back with its next event.
            self.sources.iter_mut().for_each(Source::clear);
            self.counting.iter_mut().for_each(Counting::clear);
            self.generation = generation;
        }
        let now_ms = now.millis();
        if self.needs_tier {
            self.tiers.clear();
            self.tiers.extend(events.iter().map(|&event| Tier::of_event(batch, event)));
        }
        for (ids, source) in self.ids.iter_mut().zip(&mut self.sources) {
            source.fill(batch, events, &self.tiers, ids);
        }
        // Column by column: the same few branches in a row, which the processor learns.
        let seen = Seen { batch, events, tiers: &self.tiers, ids: &self.ids, now_ms };
        for counting in &mut self.counting {
            for row in 0..events.len() {
                counting.event(row, &seen, &mut self.sources, &self.home);
            }
        }
        self.end(batch, now_ms);
    }

    /// Gives each series that was touched what the batch brought.
    fn end(&mut self, batch: &Batch, now_ms: i64) {
        let journal = self.home.keeps_journal();
        for counting in &mut self.counting {
            let metric = &counting.metric;
            for at in counting.dirty.drain(..) {
                let slot = &mut counting.slots[at as usize];
                let trace = metric.trace(batch, slot.best.1).filter(|trace| trace.len() <= TRACE_BYTES_MAX);
                let exemplar = trace.map(|trace| {
                    let at = batch.timestamp(slot.best.1).map_or(now_ms, Timestamp::millis);
                    (trace, slot.best.0, at)
                });
                slot.series.add(&slot.delta, exemplar, now_ms);
                if journal && metric.family.over_ms.is_none() {
                    self.journal.push((slot.series.clone(), slot.delta.clone()));
                }
                slot.delta.clear();
                slot.dirty = false;
            }
            let family = &metric.family;
            for (counter, count) in [
                (&family.overflow, &mut counting.overflow),
                (&family.ignored, &mut counting.ignored),
                (&family.late, &mut counting.late),
            ] {
                if *count > 0 {
                    counter.add(std::mem::take(count));
                }
            }
        }
    }
}

impl Deriver {
    /// Says of which batch the events were that were observed since the last call. Must come before
    /// the batch is acknowledged.
    pub fn settle(&mut self, ack: &Ack) {
        if !self.journal.is_empty() {
            self.home.settle(std::mem::take(&mut self.journal), ack.tracker());
        }
    }
}

impl Counting {
    fn new(metric: Arc<Metric>, labels: Vec<(String, usize)>) -> Counting {
        Counting {
            metric,
            labels,
            number: 0,
            slots: Vec::new(),
            keys: Vec::new(),
            at: FxHashMap::default(),
            near: Box::new([UNKNOWN; NEAR]),
            key: Vec::new(),
            other: None,
            full: false,
            dirty: Vec::new(),
            overflow: 0,
            ignored: 0,
            late: 0,
        }
    }

    fn clear(&mut self) {
        debug_assert!(self.dirty.is_empty(), "BUG: cleared within a batch");
        self.slots.clear();
        self.keys.clear();
        self.at.clear();
        self.near.fill(UNKNOWN);
        (self.other, self.full) = (None, false);
    }

    #[inline]
    fn event(&mut self, row: usize, seen: &Seen, sources: &mut [Source], home: &Derived) {
        let Some(value) = self.value(row, seen) else { return };
        let at = self.slot(row, seen, sources, home);
        let event = seen.events[row];
        let slot = &mut self.slots[at as usize];
        if !slot.dirty {
            slot.dirty = true;
            slot.best = (value, event);
            self.dirty.push(at);
        } else if value > slot.best.0 {
            slot.best = (value, event);
        }
        let (metric, delta) = (&*self.metric, &mut slot.delta);
        delta.events += 1;
        match metric.family.kind {
            Kind::Histogram => {
                delta.sum += value;
                if let Some(bucket) = delta.classic.get_mut(metric.bucket(value)) {
                    *bucket += 1;
                }
                if metric.family.native {
                    if value > exponential::ZERO_THRESHOLD {
                        delta.positive.push(exponential::index(value));
                    } else if value < -exponential::ZERO_THRESHOLD {
                        delta.negative.push(exponential::index(-value));
                    } else {
                        delta.zero += 1;
                    }
                }
            }
            Kind::Gauge if metric.family.over_ms.is_none() => {
                let at_ms = seen.batch.timestamp(event).map_or(seen.now_ms, Timestamp::millis);
                if at_ms >= delta.at_ms {
                    (delta.sum, delta.at_ms) = (value, at_ms);
                    slot.best = (value, event);
                }
            }
            _ => delta.sum += value,
        }
    }

    /// What an event is worth; `None` where it does not count.
    #[inline]
    fn value(&mut self, row: usize, seen: &Seen) -> Option<f64> {
        let (metric, event) = (&*self.metric, seen.events[row]);
        let value = match &metric.number {
            Number::One => 1.0,
            Number::Error => f64::from(seen.tiers[row] == Tier::Error),
            Number::Field(field) => source::read(seen.batch, event, field, &mut self.number)?,
        };
        let value = value * metric.scale;
        if !value.is_finite() || (metric.family.kind == Kind::Counter && value < 0.0) {
            self.ignored += 1;
            return None;
        }
        if let Some(age_ms) = metric.max_age_ms
            && seen.batch.timestamp(event).is_some_and(|at| at.millis() < seen.now_ms - age_ms)
        {
            self.late += 1;
            return None;
        }
        Some(value)
    }

    /// The slot of an event's label values.
    #[inline]
    fn slot(&mut self, row: usize, seen: &Seen, sources: &mut [Source], home: &Derived) -> u32 {
        let mut hash = 0_u64;
        for (_, source) in &self.labels {
            hash = (hash.rotate_left(7) ^ u64::from(seen.ids[*source][row])).wrapping_mul(source::SPREAD);
        }
        let place = (hash >> 58) as usize;
        let at = self.near[place] as usize;
        let width = self.labels.len();
        if at < self.slots.len() {
            let key = &self.keys[at * width..(at + 1) * width];
            if self.labels.iter().zip(key).all(|((_, source), &id)| seen.ids[*source][row] == id) {
                return at as u32;
            }
        }
        self.key.clear();
        self.key.extend(self.labels.iter().map(|(_, source)| seen.ids[*source][row]));
        let at = self.far_slot(sources, home, seen.now_ms);
        if self.other == Some(at) {
            // Not remembered: each of them is to be counted as one too many.
            self.overflow += 1;
        } else {
            self.near[place] = at;
        }
        at
    }

    /// The slot of a key that was not seen lately.
    #[inline(never)]
    fn far_slot(&mut self, sources: &mut [Source], home: &Derived, now_ms: i64) -> u32 {
        match self.at.get(&*self.key) {
            Some(&at) => at,
            None => self.new_slot(sources, home, now_ms),
        }
    }

    #[cold]
    fn new_slot(&mut self, sources: &mut [Source], home: &Derived, now_ms: i64) -> u32 {
        if self.full || self.key.contains(&UNKNOWN) {
            return self.other_slot(home, now_ms);
        }
        let labels = self.labels.iter().zip(&self.key);
        let pairs: Vec<(&str, &str)> =
            labels.map(|((name, at), &id)| (name.as_str(), sources[*at].value(id))).collect();
        if let Some(series) = home.series(&self.metric.family, &pairs, now_ms) {
            let key = self.key.clone();
            return self.add(&key, series);
        }
        // From now on nobody needs to ask: who has a series is known until one of them expires.
        self.full = true;
        for series in home.live(&self.metric.family) {
            let key: Vec<u32> =
                self.labels.iter().map(|(name, at)| sources[*at].intern(series.labels.get(name))).collect();
            // Another pipeline may give the family's series other labels.
            let own = self.labels.iter().filter(|(name, _)| series.labels.has(name)).count() + 1;
            if own == series.labels.len() && !self.at.contains_key(&*key) {
                self.add(&key, series);
            }
        }
        self.other_slot(home, now_ms)
    }

    fn other_slot(&mut self, home: &Derived, now_ms: i64) -> u32 {
        if let Some(at) = self.other {
            return at;
        }
        let pairs: Vec<(&str, &str)> = self.labels.iter().map(|(name, _)| (name.as_str(), OTHER)).collect();
        let series = home.other(&self.metric.family, &pairs, now_ms);
        let at = self.push(&vec![UNKNOWN; self.labels.len()], series);
        self.other = Some(at);
        at
    }

    fn add(&mut self, key: &[u32], series: Arc<Series>) -> u32 {
        let at = self.push(key, series);
        self.at.insert(key.into(), at);
        at
    }

    fn push(&mut self, key: &[u32], series: Arc<Series>) -> u32 {
        let mut delta = Delta { at_ms: i64::MIN, ..Delta::default() };
        if !self.metric.family.bounds.is_empty() {
            delta.classic = vec![0; self.metric.family.bounds.len() + 1];
        }
        self.keys.extend_from_slice(key);
        self.slots.push(Slot { series, delta, dirty: false, best: (0.0, 0) });
        self.slots.len() as u32 - 1
    }
}

impl Metric {
    fn needs_tier(&self) -> bool {
        matches!(self.number, Number::Error)
            || self.labels.iter().any(|(_, text, _)| matches!(text, source::Text::Level))
    }

    /// Which classic bucket a value falls into.
    #[inline]
    fn bucket(&self, value: f64) -> usize {
        // All of them, without a branch: where to stop can't be foreseen.
        self.family.bounds.iter().map(|&bound| usize::from(value > bound)).sum()
    }

    /// The trace of an event.
    fn trace<'a>(&self, batch: &'a Batch, event: EventId) -> Option<&'a str> {
        self.traces.iter().find_map(|field| match batch.get(event, field) {
            Some(Value::Str(span)) if !span.is_empty() => Some(batch.text(span)),
            _ => None,
        })
    }
}
