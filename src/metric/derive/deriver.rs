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

use super::exponential::Sorter;
use super::groups::Groups;
use super::numbers::{self, Number, Numbers};
use super::series::{Change, Delta, Series, TRACE_BYTES_MAX};
use super::source::{LEVEL, Source, Text, UNKNOWN};
use super::{Derived, Metric};
use crate::event::{Batch, EventId, FieldRef, Timestamp, Value};
use crate::index::Tier;
use crate::metric::exposition::Kind;
use crate::pipeline::Ack;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A worker takes one exemplar of a bucket in so many milliseconds.
const EXEMPLAR_MS: i64 = 1000;

/// So many events are looked at together: few enough that what all columns read of them stays in the
/// processor's nearest memory.
const ROWS: usize = 128;

/// The value of every label of the series beyond the cap.
pub const OTHER: &str = "other";

/// Derives for one worker.
pub struct Deriver {
    home: Arc<Derived>,
    sources: Vec<Source>,
    numbers: Vec<Numbers>,
    counting: Vec<Counting>,
    /// Numbers of the present batch's label values, a column for each source.
    ids: Vec<Vec<u32>>,
    groups: Groups,
    /// The home's generation that the tables are of.
    generation: u64,
    /// What series got since the last [`Deriver::settle`], where books are kept.
    journal: Vec<(Arc<Series>, Change)>,
    sorter: Sorter,
}

/// One metric as its worker counts it.
struct Counting {
    metric: Arc<Metric>,
    /// Label name and source.
    labels: Vec<(String, usize)>,
    number: Worth,
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

/// Where a metric's values are.
#[derive(Clone, Copy)]
enum Worth {
    One,
    /// By the numbers of this source, which is of levels.
    Level(usize),
    /// Among these numbers.
    Field(usize),
}

struct Slot {
    series: Arc<Series>,
    delta: Delta,
    /// The values of a histogram, with their events, until the batch is through.
    values: Vec<(f64, EventId)>,
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
    numbers: &'a [Numbers],
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
        let mut numbers: Vec<Numbers> = Vec::new();
        let mut number = |field: &FieldRef| {
            let known = numbers.iter().position(|numbers| numbers.field == *field);
            known.unwrap_or_else(|| {
                numbers.push(Numbers::new(field.clone()));
                numbers.len() - 1
            })
        };
        let counting = metrics.iter().map(|metric| {
            let labels = metric.labels.iter().map(|(name, text, written)| (name.clone(), source(text, written)));
            let labels = labels.collect();
            let worth = match &metric.number {
                Number::One => Worth::One,
                Number::Error => Worth::Level(source(&Text::Level, LEVEL)),
                Number::Field(field) => Worth::Field(number(field)),
            };
            Counting::new(metric.clone(), labels, worth)
        });
        let counting = counting.collect();
        Deriver::of(home, sources, numbers, counting)
    }

    /// Derives in its one pass what another would in its own. Neither has seen an event.
    pub fn join(&mut self, other: &mut Deriver) {
        let counting = self.counting.iter().chain(&other.counting);
        let metrics: Vec<Arc<Metric>> = counting.map(|counting| counting.metric.clone()).collect();
        *self = Deriver::new(self.home.clone(), &metrics);
        *other = Deriver::new(other.home.clone(), &[]);
    }

    /// The same for another worker.
    pub fn fork(&self) -> Deriver {
        let sources = self.sources.iter().map(Source::fork).collect();
        let numbers = self.numbers.iter().map(|numbers| Numbers::new(numbers.field.clone())).collect();
        let counting = self.counting.iter().map(|c| Counting::new(c.metric.clone(), c.labels.clone(), c.number));
        Deriver::of(self.home.clone(), sources, numbers, counting.collect())
    }

    fn of(home: Arc<Derived>, sources: Vec<Source>, numbers: Vec<Numbers>, counting: Vec<Counting>) -> Deriver {
        let (ids, groups) = (vec![Vec::new(); sources.len()], Groups::new(sources.len()));
        let generation = home.generation();
        let (journal, sorter) = (Vec::new(), Sorter::default());
        Deriver { home, sources, numbers, counting, ids, groups, generation, journal, sorter }
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
        let now_ms = now.millis();
        self.groups.begin();
        for events in events.chunks(ROWS) {
            // Column by column: the same few branches in a row, which the processor learns.
            for (ids, source) in self.ids.iter_mut().zip(&mut self.sources) {
                source.fill(batch, events, ids);
            }
            for numbers in &mut self.numbers {
                numbers.fill(batch, events);
            }
            self.groups.fill(events, &self.ids);
            let seen = Seen { batch, groups: &self.groups, numbers: &self.numbers, now_ms };
            for counting in self.counting.iter_mut().filter(|counting| !counting.metric.counts_groups()) {
                counting.events(events, &seen, &mut self.sources, &self.home);
            }
        }
        let seen = Seen { batch, groups: &self.groups, numbers: &self.numbers, now_ms };
        for counting in self.counting.iter_mut().filter(|counting| counting.metric.counts_groups()) {
            counting.groups(&seen, &mut self.sources, &self.home);
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
                slot.count_values(metric, &mut self.sorter);
                if counting.other == Some(at) {
                    counting.overflow += slot.delta.events;
                }
                let (value, event) = slot.best;
                let place = metric.classic.bucket(value);
                // Whoever reads samples sees one exemplar of each; most batches need not look for theirs.
                let turn = (place, now_ms.div_euclid(EXEMPLAR_MS));
                let trace = if slot.exemplar == turn { None } else { metric.trace(batch, event) };
                let exemplar = trace.filter(|trace| trace.len() <= TRACE_BYTES_MAX).map(|trace| {
                    slot.exemplar = turn;
                    (trace, value, batch.timestamp(event).map_or(now_ms, Timestamp::millis))
                });
                let coarser = slot.series.add(&slot.delta, exemplar, now_ms);
                if journal && metric.family.over_ms.is_none() {
                    self.journal.push((slot.series.clone(), Change::of(&slot.delta, metric.family.kind)));
                }
                slot.delta.clear();
                slot.delta.native.coarser = coarser;
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
    fn new(metric: Arc<Metric>, labels: Vec<(String, usize)>, number: Worth) -> Counting {
        Counting {
            metric,
            labels,
            number,
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

    /// Counts the groups of the batch.
    fn groups(&mut self, seen: &Seen, sources: &mut [Source], home: &Derived) {
        for (group, members) in seen.groups.present() {
            let value = self.number_of_group(group, seen) * self.metric.scale;
            if self.counts(value, members.count) {
                let at = self.slot(group, seen, sources, home);
                let delta = &mut self.touch(at, value, members.first).delta;
                delta.events += u64::from(members.count);
                delta.sum += value * f64::from(members.count);
            }
        }
    }

    /// Counts events that were grouped last.
    fn events(&mut self, events: &[EventId], seen: &Seen, sources: &mut [Source], home: &Derived) {
        let metric = self.metric.clone();
        let groups = seen.groups.rows();
        if let (Worth::Field(at), Kind::Histogram, None) = (self.number, metric.family.kind, metric.max_age_ms) {
            // What most are, in a loop of few steps.
            for ((&group, &event), &value) in groups.iter().zip(events).zip(seen.numbers[at].values()) {
                let scaled = value * metric.scale;
                if scaled.is_finite() {
                    let at = self.slot(group, seen, sources, home);
                    self.keep_value(at, scaled, event);
                } else if !numbers::is_absent(value) {
                    self.ignored += 1;
                }
            }
            return;
        }
        for (row, (&group, &event)) in groups.iter().zip(events).enumerate() {
            let Some(value) = self.value(&metric, group, row, event, seen) else { continue };
            let at = self.slot(group, seen, sources, home);
            match metric.family.kind {
                Kind::Histogram => self.keep_value(at, value, event),
                _ => self.add_value(&metric, at, value, event, seen),
            }
        }
    }

    /// Keeps a value of a histogram until the batch is through.
    #[inline]
    fn keep_value(&mut self, at: u32, value: f64, event: EventId) {
        let values = &mut self.slots[at as usize].values;
        if values.is_empty() {
            self.dirty.push(at);
        }
        values.push((value, event));
    }

    #[inline]
    fn add_value(&mut self, metric: &Metric, at: u32, value: f64, event: EventId, seen: &Seen) {
        let slot = self.touch(at, value, event);
        let delta = &mut slot.delta;
        delta.events += 1;
        if metric.family.kind == Kind::Gauge && metric.family.over_ms.is_none() {
            let at_ms = seen.batch.timestamp(event).map_or(seen.now_ms, Timestamp::millis);
            if at_ms >= delta.at_ms {
                (delta.sum, delta.at_ms) = (value, at_ms);
                slot.best = (value, event);
            }
        } else {
            delta.sum += value;
        }
    }

    /// The slot of a value that is added to it.
    #[inline]
    fn touch(&mut self, at: u32, value: f64, event: EventId) -> &mut Slot {
        let slot = &mut self.slots[at as usize];
        if !slot.dirty {
            slot.dirty = true;
            slot.best = (value, event);
            self.dirty.push(at);
        } else if value > slot.best.0 {
            slot.best = (value, event);
        }
        slot
    }

    /// What an event is worth; `None` where it does not count.
    #[inline]
    fn value(&mut self, metric: &Metric, group: u32, row: usize, event: EventId, seen: &Seen) -> Option<f64> {
        let value = match self.number {
            Worth::Field(at) => {
                let value = seen.numbers[at].values()[row];
                if numbers::is_absent(value) {
                    return None;
                }
                value
            }
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
        match self.number {
            Worth::Level(source) => f64::from(seen.groups.key(group)[source] == Tier::Error as u32),
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

    /// The slot of a group's label values.
    #[inline]
    fn slot(&mut self, group: u32, seen: &Seen, sources: &mut [Source], home: &Derived) -> u32 {
        match self.slot_of.get(group as usize) {
            Some(&at) if at != UNKNOWN => at,
            _ => self.far_slot(group, seen, sources, home),
        }
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
        self.slots.push(Slot {
            series,
            delta,
            values: Vec::new(),
            dirty: false,
            best: (0.0, 0),
            exemplar: (0, i64::MIN),
        });
        self.slots.len() as u32 - 1
    }
}

impl Slot {
    /// Counts the values of a histogram: those of a series in a row, loop by loop.
    fn count_values(&mut self, metric: &Metric, sorter: &mut Sorter) {
        let Some(&first) = self.values.first() else { return };
        let delta = &mut self.delta;
        delta.events += self.values.len() as u64;
        delta.sum += self.values.iter().map(|(value, _)| value).sum::<f64>();
        self.best = self.values.iter().fold(first, |best, &one| if one.0 > best.0 { one } else { best });
        if !delta.classic.is_empty() {
            self.values.iter().for_each(|&(value, _)| delta.classic[metric.classic.bucket(value)] += 1);
        }
        if metric.family.native {
            sorter.tally(self.values.iter().map(|&(value, _)| value), &mut delta.native);
        }
        // A batch that had nothing else does not pin its size.
        self.values.shrink_to(8 * self.values.len());
        self.values.clear();
    }
}

impl Metric {
    /// Whether all events of a group are worth the same and none need be looked at.
    fn counts_groups(&self) -> bool {
        let sums = self.family.kind == Kind::Counter || self.family.over_ms.is_some();
        sums && self.max_age_ms.is_none() && !matches!(self.number, Number::Field(_))
    }

    /// The trace of an event.
    fn trace<'a>(&self, batch: &'a Batch, event: EventId) -> Option<&'a str> {
        self.traces.iter().find_map(|field| match batch.get(event, field) {
            Some(Value::Str(span)) if !span.is_empty() => Some(batch.text(span)),
            _ => None,
        })
    }
}
