//! Derives metrics from the events that one worker sees.
//!
//! Everything here belongs to the worker alone: tables of label values and of series, and for each
//! series what the present batch brought. Nothing is locked, and nothing is allocated for a series
//! that was seen before, until the batch is through: then each series that was touched takes its
//! [`Delta`] under its own lock.
//!
//! Label sets are numbers here ([`Source`]), and events that share all of them are a group
//! ([`Groups`]). A metric whose family is full counts what it does not know in one series whose label
//! values are all `other`.

use super::groups::Groups;
use super::series::{Change, Delta, Series, TRACE_BYTES_MAX};
use super::source::{self, LEVEL, Number, Source, Text, UNKNOWN};
use super::{Derived, Metric, exponential};
use crate::event::{Batch, EventId, Timestamp, Value};
use crate::index::Tier;
use crate::metric::exposition::Kind;
use crate::pipeline::Ack;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A worker takes one exemplar of a bucket in so many milliseconds.
const EXEMPLAR_MS: i64 = 1000;

/// The value of every label of the series beyond the cap.
pub const OTHER: &str = "other";

/// Derives for one worker.
pub struct Deriver {
    home: Arc<Derived>,
    sources: Vec<Source>,
    counting: Vec<Counting>,
    /// Numbers of the present batch's label values, a column for each source.
    ids: Vec<Vec<u32>>,
    groups: Groups,
    /// The home's generation that the tables are of.
    generation: u64,
    /// What series got since the last [`Deriver::settle`], where books are kept.
    journal: Vec<(Arc<Series>, Change)>,
}

/// One metric as its worker counts it.
struct Counting {
    metric: Arc<Metric>,
    /// Label name and source.
    labels: Vec<(String, usize)>,
    /// The source of levels, where the metric's number is of them.
    level: usize,
    /// Where the metric's field stood in the last event.
    number: usize,
    slots: Vec<Slot>,
    /// The slot of each group's label values, as far as they were met.
    slot_of: Vec<u32>,
    at: FxHashMap<Box<[u32]>, u32>,
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
    /// The bucket of the last exemplar and its second.
    exemplar: (usize, i64),
}

/// The batch that is counted.
struct Seen<'a> {
    batch: &'a Batch,
    groups: &'a Groups,
    now_ms: i64,
}

impl Deriver {
    /// For metrics of `home`, which are derived in one pass.
    pub fn new(home: Arc<Derived>, metrics: &[Arc<Metric>]) -> Deriver {
        let mut sources: Vec<Source> = Vec::new();
        let mut source = |text: &Text, written: &str| {
            let known = sources.iter().position(|source| source.written == written);
            known.unwrap_or_else(|| {
                sources.push(Source::new(text.clone(), written));
                sources.len() - 1
            })
        };
        let counting = metrics.iter().map(|metric| {
            let labels = metric.labels.iter().map(|(name, text, written)| (name.clone(), source(text, written)));
            let labels = labels.collect();
            let level = if matches!(metric.number, Number::Error) { source(&Text::Level, LEVEL) } else { 0 };
            Counting::new(metric.clone(), labels, level)
        });
        let counting = counting.collect();
        let (ids, groups) = (vec![Vec::new(); sources.len()], Groups::new(sources.len()));
        let generation = home.generation();
        Deriver { home, sources, counting, ids, groups, generation, journal: Vec::new() }
    }

    /// The same for another worker.
    pub fn fork(&self) -> Deriver {
        let counting = self.counting.iter().map(|c| Counting::new(c.metric.clone(), c.labels.clone(), c.level));
        Deriver {
            home: self.home.clone(),
            sources: self.sources.iter().map(Source::fork).collect(),
            counting: counting.collect(),
            ids: vec![Vec::new(); self.sources.len()],
            groups: Groups::new(self.sources.len()),
            generation: self.generation,
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
            self.groups.clear();
            self.counting.iter_mut().for_each(Counting::clear);
            self.generation = generation;
        }
        if self.groups.are_many() {
            self.groups.clear();
            self.counting.iter_mut().for_each(|counting| counting.slot_of.clear());
        }
        // Column by column: the same few branches in a row, which the processor learns.
        for (ids, source) in self.ids.iter_mut().zip(&mut self.sources) {
            source.fill(batch, events, ids);
        }
        self.groups.fill(events, &self.ids);
        let seen = Seen { batch, groups: &self.groups, now_ms: now.millis() };
        for counting in &mut self.counting {
            counting.batch(events, &seen, &mut self.sources, &self.home);
        }
        self.end(batch, now.millis());
    }

    /// Gives each series that was touched what the batch brought.
    fn end(&mut self, batch: &Batch, now_ms: i64) {
        let journal = self.home.keeps_journal();
        for counting in &mut self.counting {
            let metric = &counting.metric;
            for at in counting.dirty.drain(..) {
                let slot = &mut counting.slots[at as usize];
                let (value, event) = slot.best;
                let place = metric.bucket(value);
                // Whoever reads samples sees one exemplar of each; most batches need not look for theirs.
                let turn = (place, now_ms.div_euclid(EXEMPLAR_MS));
                let trace = if slot.exemplar == turn { None } else { metric.trace(batch, event) };
                let exemplar = trace.filter(|trace| trace.len() <= TRACE_BYTES_MAX).map(|trace| {
                    slot.exemplar = turn;
                    (trace, value, batch.timestamp(event).map_or(now_ms, Timestamp::millis))
                });
                slot.series.add(&slot.delta, exemplar, now_ms);
                if journal && metric.family.over_ms.is_none() {
                    self.journal.push((slot.series.clone(), Change::of(&slot.delta, metric.family.kind)));
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
    fn new(metric: Arc<Metric>, labels: Vec<(String, usize)>, level: usize) -> Counting {
        Counting {
            metric,
            labels,
            level,
            number: 0,
            slots: Vec::new(),
            slot_of: Vec::new(),
            at: FxHashMap::default(),
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
        self.slot_of.clear();
        self.at.clear();
        (self.other, self.full) = (None, false);
    }

    fn batch(&mut self, events: &[EventId], seen: &Seen, sources: &mut [Source], home: &Derived) {
        let metric = self.metric.clone();
        if metric.counts_groups() {
            for (group, members) in seen.groups.present() {
                let value = self.number_of_group(group, seen) * metric.scale;
                if self.counts(value, members.count) {
                    let at = self.slot(group, members.count, seen, sources, home);
                    let delta = self.touch(at, value, members.first);
                    delta.events += u64::from(members.count);
                    delta.sum += value * f64::from(members.count);
                }
            }
            return;
        }
        for (row, &event) in events.iter().enumerate() {
            let group = seen.groups.of(row);
            if let Some(value) = self.value(&metric, group, event, seen) {
                let at = self.slot(group, 1, seen, sources, home);
                self.event(&metric, at, value, event, seen);
            }
        }
    }

    #[inline]
    fn event(&mut self, metric: &Metric, at: u32, value: f64, event: EventId, seen: &Seen) {
        let delta = self.touch(at, value, event);
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
                    self.slots[at as usize].best = (value, event);
                }
            }
            _ => delta.sum += value,
        }
    }

    /// What a slot has got of the present batch, to which a value is added.
    #[inline]
    fn touch(&mut self, at: u32, value: f64, event: EventId) -> &mut Delta {
        let slot = &mut self.slots[at as usize];
        if !slot.dirty {
            slot.dirty = true;
            slot.best = (value, event);
            self.dirty.push(at);
        } else if value > slot.best.0 {
            slot.best = (value, event);
        }
        &mut slot.delta
    }

    /// What an event is worth; `None` where it does not count.
    #[inline]
    fn value(&mut self, metric: &Metric, group: u32, event: EventId, seen: &Seen) -> Option<f64> {
        let value = match &metric.number {
            Number::Field(field) => source::read(seen.batch, event, field, &mut self.number)?,
            _ => self.number_of_group(group, seen),
        };
        let value = value * metric.scale;
        if !self.counts(value, 1) {
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

    /// What each event of a group is worth, where the metric has no field.
    #[inline]
    fn number_of_group(&self, group: u32, seen: &Seen) -> f64 {
        match self.metric.number {
            Number::Error => f64::from(seen.groups.key(group)[self.level] == Tier::Error as u32),
            _ => 1.0,
        }
    }

    /// Whether a value counts; what does not is counted as such.
    #[inline]
    fn counts(&mut self, value: f64, events: u32) -> bool {
        let counts = value.is_finite() && (value >= 0.0 || self.metric.family.kind != Kind::Counter);
        if !counts {
            self.ignored += u64::from(events);
        }
        counts
    }

    /// The slot of a group's label values, for so many events.
    #[inline]
    fn slot(&mut self, group: u32, events: u32, seen: &Seen, sources: &mut [Source], home: &Derived) -> u32 {
        let at = match self.slot_of.get(group as usize) {
            Some(&at) if at != UNKNOWN => at,
            _ => self.far_slot(group, seen, sources, home),
        };
        if self.other == Some(at) {
            self.overflow += u64::from(events);
        }
        at
    }

    /// The slot of a group that was not met before.
    #[inline(never)]
    fn far_slot(&mut self, group: u32, seen: &Seen, sources: &mut [Source], home: &Derived) -> u32 {
        let ids = seen.groups.key(group);
        self.key.clear();
        self.key.extend(self.labels.iter().map(|(_, source)| ids[*source]));
        let at = match self.at.get(&*self.key) {
            Some(&at) => at,
            None => self.new_slot(sources, home, seen.now_ms),
        };
        if self.slot_of.len() <= group as usize {
            self.slot_of.resize(group as usize + 1, UNKNOWN);
        }
        self.slot_of[group as usize] = at;
        at
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
        for series in home.live(&self.metric.family).iter().cloned() {
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
        let at = self.push(series);
        self.other = Some(at);
        at
    }

    fn add(&mut self, key: &[u32], series: Arc<Series>) -> u32 {
        let at = self.push(series);
        self.at.insert(key.into(), at);
        at
    }

    fn push(&mut self, series: Arc<Series>) -> u32 {
        let mut delta = Delta { at_ms: i64::MIN, ..Delta::default() };
        if !self.metric.family.bounds.is_empty() {
            delta.classic = vec![0; self.metric.family.bounds.len() + 1];
        }
        self.slots.push(Slot { series, delta, dirty: false, best: (0.0, 0), exemplar: (0, i64::MIN) });
        self.slots.len() as u32 - 1
    }
}

impl Metric {
    /// Whether all events of a group are worth the same and none need be looked at.
    fn counts_groups(&self) -> bool {
        let sums = self.family.kind == Kind::Counter || self.family.over_ms.is_some();
        sums && self.max_age_ms.is_none() && !matches!(self.number, Number::Field(_))
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
