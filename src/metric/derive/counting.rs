//! One metric as its worker counts it.

use super::exponential::Sorter;
use super::groups::Groups;
use super::numbers::{self, Numbers};
use super::series::{Change, Delta, Exemplar, Series, TRACE_BYTES_MAX};
use super::source::{Source, UNKNOWN};
use super::{Derived, Metric, OTHER};
use crate::event::{Batch, EventId, Timestamp, Value};
use crate::index::Tier;
use crate::metric::exposition::Kind;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A worker takes one exemplar of a series in so many milliseconds: whoever reads samples sees no more
/// of them.
const EXEMPLAR_MS: i64 = 1000;

pub(super) struct Counting {
    pub(super) metric: Arc<Metric>,
    /// Label name and source.
    pub(super) labels: Vec<(String, usize)>,
    pub(super) worth: Worth,
    slots: Vec<Slot>,
    /// The slot of each group's label values, as far as they were met.
    slot_of: Vec<u32>,
    at: FxHashMap<Box<[u32]>, u32>,
    /// The key that is looked for.
    key: Vec<u32>,
    other: Option<u32>,
    /// The family admits no further series, and `at` knows all that it has.
    full: bool,
    /// Slots that the batch touched.
    dirty: Vec<u32>,
    /// Those of them that are to have an exemplar.
    due: Vec<u32>,
    ignored: u64,
    late: u64,
}

/// Where a metric's values are.
#[derive(Clone, Copy)]
pub(super) enum Worth {
    /// Each event is worth 1.
    One,
    /// 1 for an event of level ERROR, by the numbers of this source.
    Level(usize),
    /// Among these numbers.
    Field(usize),
}

/// A series as its worker has it.
struct Slot {
    series: Arc<Series>,
    delta: Delta,
    /// The values of a histogram, until the batch is through.
    values: Vec<f64>,
    dirty: bool,
    due: bool,
    /// The event with the greatest value of those with a trace, while the slot is due.
    best: Option<(f64, EventId)>,
    /// The time of the last exemplar, in [`EXEMPLAR_MS`].
    turn: i64,
    /// For the series, with what the batch brought.
    exemplar: Option<Box<Exemplar>>,
}

/// The events that are counted.
pub(super) struct Seen<'a> {
    pub(super) batch: &'a Batch,
    pub(super) events: &'a [EventId],
    pub(super) groups: &'a Groups,
    pub(super) numbers: &'a [Numbers],
    pub(super) now_ms: i64,
}

/// What knows and makes series.
pub(super) struct World<'a> {
    pub(super) sources: &'a mut [Source],
    pub(super) home: &'a Derived,
}

/// Why an event does not count.
enum Skip {
    /// It has no value.
    Absent,
    /// Its value is none for such a metric.
    Ignored,
    /// It is too old.
    Late,
}

impl Counting {
    pub(super) fn new(metric: Arc<Metric>, labels: Vec<(String, usize)>, worth: Worth) -> Counting {
        Counting {
            metric,
            labels,
            worth,
            slots: Vec::new(),
            slot_of: Vec::new(),
            at: FxHashMap::default(),
            key: Vec::new(),
            other: None,
            full: false,
            dirty: Vec::new(),
            due: Vec::new(),
            ignored: 0,
            late: 0,
        }
    }

    /// Forgets all series.
    pub(super) fn clear(&mut self) {
        debug_assert!(self.dirty.is_empty(), "BUG: cleared within a batch");
        self.slots.clear();
        self.slot_of.clear();
        self.at.clear();
        (self.other, self.full) = (None, false);
    }

    /// Forgets which series groups belong to.
    pub(super) fn forget_groups(&mut self) {
        self.slot_of.clear();
    }

    /// Counts events.
    pub(super) fn count(&mut self, seen: &Seen, world: &mut World) {
        if self.metric.counts_groups() {
            self.count_groups(seen, world);
        } else {
            self.count_events(seen, world);
        }
        if !self.due.is_empty() {
            self.take_exemplars(seen);
        }
    }

    fn count_groups(&mut self, seen: &Seen, world: &mut World) {
        for (group, events) in seen.groups.present() {
            let value = self.number_of_group(group, seen) * self.metric.scale;
            if self.is_counted(value) {
                let at = self.slot(group, seen, world);
                let delta = &mut self.touch(at, seen).delta;
                delta.events += u64::from(events);
                delta.sum += value * f64::from(events);
            } else {
                self.ignored += u64::from(events);
            }
        }
    }

    fn count_events(&mut self, seen: &Seen, world: &mut World) {
        let metric = self.metric.clone();
        let rows = seen.groups.rows().iter().zip(seen.events);
        if let (Worth::Field(at), Kind::Histogram, None) = (self.worth, metric.family.kind, metric.max_age_ms) {
            // What most are, in a loop of few steps.
            for ((&group, _), &number) in rows.zip(seen.numbers[at].values()) {
                let value = number * metric.scale;
                if value.is_finite() {
                    let at = self.slot(group, seen, world);
                    self.keep_value(at, value, seen);
                } else if !numbers::is_absent(number) {
                    self.ignored += 1;
                }
            }
            return;
        }
        for (row, (&group, &event)) in rows.enumerate() {
            let value = match self.value(row, group, event, seen) {
                Ok(value) => value,
                Err(Skip::Absent) => continue,
                Err(Skip::Ignored) => {
                    self.ignored += 1;
                    continue;
                }
                Err(Skip::Late) => {
                    self.late += 1;
                    continue;
                }
            };
            let at = self.slot(group, seen, world);
            match metric.family.kind {
                Kind::Histogram => self.keep_value(at, value, seen),
                Kind::Gauge if metric.family.over_ms.is_none() => {
                    let at_ms = seen.batch.timestamp(event).map_or(seen.now_ms, Timestamp::millis);
                    let delta = &mut self.touch(at, seen).delta;
                    delta.events += 1;
                    if at_ms >= delta.at_ms {
                        (delta.sum, delta.at_ms) = (value, at_ms);
                    }
                }
                _ => {
                    let delta = &mut self.touch(at, seen).delta;
                    delta.events += 1;
                    delta.sum += value;
                }
            }
        }
    }

    /// Keeps a value of a histogram until the batch is through.
    #[inline]
    fn keep_value(&mut self, at: u32, value: f64, seen: &Seen) {
        let values = &mut self.slots[at as usize].values;
        let first = values.is_empty();
        values.push(value);
        if first {
            self.touch(at, seen);
        }
    }

    /// A slot to which something is added.
    #[inline]
    fn touch(&mut self, at: u32, seen: &Seen) -> &mut Slot {
        let slot = &mut self.slots[at as usize];
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(at);
            let turn = seen.now_ms.div_euclid(EXEMPLAR_MS);
            if slot.turn != turn {
                (slot.due, slot.turn) = (true, turn);
                self.due.push(at);
            }
        }
        slot
    }

    /// What an event is worth.
    #[inline]
    fn value(&self, row: usize, group: u32, event: EventId, seen: &Seen) -> Result<f64, Skip> {
        let number = match self.worth {
            Worth::Field(at) => seen.numbers[at].values()[row],
            _ => self.number_of_group(group, seen),
        };
        if numbers::is_absent(number) {
            return Err(Skip::Absent);
        }
        let value = number * self.metric.scale;
        if !self.is_counted(value) {
            return Err(Skip::Ignored);
        }
        match self.metric.max_age_ms {
            Some(age) if seen.batch.timestamp(event).is_some_and(|at| at.millis() < seen.now_ms - age) => {
                Err(Skip::Late)
            }
            _ => Ok(value),
        }
    }

    /// What each event of a group is worth, where the metric has no field.
    #[inline]
    fn number_of_group(&self, group: u32, seen: &Seen) -> f64 {
        match self.worth {
            Worth::Level(source) => f64::from(seen.groups.key(group)[source] == Tier::Error as u32),
            _ => 1.0,
        }
    }

    #[inline]
    fn is_counted(&self, value: f64) -> bool {
        value.is_finite() && (value >= 0.0 || self.metric.family.kind != Kind::Counter)
    }

    /// Looks for the exemplars of the slots that are due: of each the greatest value that has a trace.
    fn take_exemplars(&mut self, seen: &Seen) {
        let metric = self.metric.clone();
        for (row, (&group, &event)) in seen.groups.rows().iter().zip(seen.events).enumerate() {
            let Some(at) = self.slot_of.get(group as usize).copied().filter(|&at| at != UNKNOWN) else { continue };
            let Slot { due: true, best, .. } = self.slots[at as usize] else { continue };
            if let Ok(value) = self.value(row, group, event, seen)
                && best.is_none_or(|(best, _)| value > best)
                && metric.trace(seen.batch, event).is_some()
            {
                self.slots[at as usize].best = Some((value, event));
            }
        }
        for at in self.due.drain(..) {
            let slot = &mut self.slots[at as usize];
            slot.due = false;
            slot.exemplar = slot.best.take().and_then(|(value, event)| {
                let trace = metric.trace(seen.batch, event)?.to_owned();
                let at_ms = seen.batch.timestamp(event).map_or(seen.now_ms, Timestamp::millis);
                Some(Box::new(Exemplar { trace, value, at_ms }))
            });
        }
    }

    /// Gives each series that was touched what the batch brought, and enters it in the journal.
    pub(super) fn end(
        &mut self,
        now_ms: i64,
        sorter: &mut Sorter,
        mut journal: Option<&mut Vec<(Arc<Series>, Change)>>,
    ) {
        let (metric, family) = (&self.metric, &self.metric.family);
        let mut overflow = 0;
        for at in self.dirty.drain(..) {
            let slot = &mut self.slots[at as usize];
            slot.count_values(metric, sorter);
            if self.other == Some(at) {
                overflow += slot.delta.events;
            }
            let coarser = slot.series.add(&slot.delta, slot.exemplar.take().map(|exemplar| *exemplar), now_ms);
            if family.over_ms.is_none()
                && let Some(journal) = &mut journal
            {
                journal.push((slot.series.clone(), Change::of(&slot.delta, family.kind)));
            }
            slot.delta.clear();
            slot.delta.native.coarser = coarser;
            slot.dirty = false;
        }
        let (ignored, late) = (std::mem::take(&mut self.ignored), std::mem::take(&mut self.late));
        for (counter, count) in [(&family.overflow, overflow), (&family.ignored, ignored), (&family.late, late)] {
            if count > 0 {
                counter.add(count);
            }
        }
    }

    /// The slot of a group's label values.
    #[inline]
    fn slot(&mut self, group: u32, seen: &Seen, world: &mut World) -> u32 {
        match self.slot_of.get(group as usize) {
            Some(&at) if at != UNKNOWN => at,
            _ => self.far_slot(group, seen, world),
        }
    }

    /// The slot of a group that was not met before.
    #[inline(never)]
    fn far_slot(&mut self, group: u32, seen: &Seen, world: &mut World) -> u32 {
        let ids = seen.groups.key(group);
        self.key.clear();
        self.key.extend(self.labels.iter().map(|(_, source)| ids[*source]));
        let at = match self.at.get(&*self.key) {
            Some(&at) => at,
            None => self.new_slot(world, seen.now_ms),
        };
        if self.slot_of.len() <= group as usize {
            self.slot_of.resize(group as usize + 1, UNKNOWN);
        }
        self.slot_of[group as usize] = at;
        at
    }

    #[cold]
    fn new_slot(&mut self, world: &mut World, now_ms: i64) -> u32 {
        if self.full || self.key.contains(&UNKNOWN) {
            return self.other_slot(world.home, now_ms);
        }
        let labels = self.labels.iter().zip(&self.key);
        let pairs: Vec<(&str, &str)> =
            labels.map(|((name, at), &id)| (name.as_str(), world.sources[*at].value(id))).collect();
        if let Some(series) = world.home.series(&self.metric.family, &pairs, now_ms) {
            let key = self.key.clone();
            return self.add(&key, series);
        }
        // From now on nobody needs to ask: who has a series is known until one of them expires.
        self.full = true;
        for series in world.home.live(&self.metric.family).iter().cloned() {
            let key: Vec<u32> =
                self.labels.iter().map(|(name, at)| world.sources[*at].intern(series.labels.get(name))).collect();
            // Another pipeline may give the family's series other labels.
            let own = self.labels.iter().filter(|(name, _)| series.labels.has(name)).count() + 1;
            if own == series.labels.len() && !self.at.contains_key(&*key) {
                self.add(&key, series);
            }
        }
        self.other_slot(world.home, now_ms)
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
            due: false,
            best: None,
            turn: i64::MIN,
            exemplar: None,
        });
        self.slots.len() as u32 - 1
    }
}

impl Slot {
    /// Counts the values of a histogram: those of a series in a row, loop by loop.
    fn count_values(&mut self, metric: &Metric, sorter: &mut Sorter) {
        let Slot { delta, values, .. } = self;
        if values.is_empty() {
            return;
        }
        delta.events += values.len() as u64;
        delta.sum += values.iter().sum::<f64>();
        if !delta.classic.is_empty() {
            values.iter().for_each(|&value| delta.classic[metric.classic.bucket(value)] += 1);
        }
        if metric.family.native {
            sorter.tally(values, &mut delta.native);
        }
        // A batch that had nothing else does not pin its size.
        values.shrink_to(8 * values.len());
        values.clear();
    }
}

impl Metric {
    /// Whether all events of a group are worth the same and none need be looked at.
    fn counts_groups(&self) -> bool {
        let sums = self.family.kind == Kind::Counter || self.family.over_ms.is_some();
        sums && self.max_age_ms.is_none() && !matches!(self.number, numbers::Number::Field(_))
    }

    /// The trace of an event.
    fn trace<'a>(&self, batch: &'a Batch, event: EventId) -> Option<&'a str> {
        let trace = self.traces.iter().find_map(|field| match batch.get(event, field) {
            Some(Value::Str(span)) if !span.is_empty() => Some(batch.text(span)),
            _ => None,
        });
        trace.filter(|trace| trace.len() <= TRACE_BYTES_MAX)
    }
}
