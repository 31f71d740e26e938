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

use super::counting::{Counting, Seen, World, Worth};
use super::exponential::Sorter;
use super::groups::Groups;
use super::numbers::{Number, Numbers};
use super::source::{LEVEL, Source, Text};
use super::{Derived, Metric};
use crate::event::{Batch, EventId, FieldRef, Timestamp};
use crate::pipeline::Ack;
use std::sync::Arc;

/// Derives for one worker.
pub struct Deriver {
    home: Arc<Derived>,
    sources: Vec<Source>,
    numbers: Vec<Numbers>,
    counting: Vec<Counting>,
    /// Numbers of label values of the events at hand, a column for each source.
    ids: Vec<Vec<u32>>,
    groups: Groups,
    /// The home's generation that the tables are of.
    generation: u64,
    /// Whether it has seen events of the present batch, …
    began: bool,
    /// … and that batch's time.
    now_ms: i64,
    sorter: Sorter,
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
        let counting = self.counting.iter().map(|c| Counting::new(c.metric.clone(), c.labels.clone(), c.worth));
        Deriver::of(self.home.clone(), sources, numbers, counting.collect())
    }

    fn of(home: Arc<Derived>, sources: Vec<Source>, numbers: Vec<Numbers>, counting: Vec<Counting>) -> Deriver {
        let (ids, groups) = (vec![Vec::new(); sources.len()], Groups::new(sources.len()));
        let generation = home.generation();
        let (began, now_ms, sorter) = (false, 0, Sorter::default());
        Deriver { home, sources, numbers, counting, ids, groups, generation, began, now_ms, sorter }
    }

    /// Counts some events of a batch. `now` is the time of the batch.
    pub fn observe(&mut self, batch: &Batch, events: &[EventId], now: Timestamp) {
        if self.counting.is_empty() || events.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.began, true) {
            self.begin();
        }
        self.now_ms = now.millis();
        // Column by column: the same few steps in a row, whose loads the processor makes side by side.
        for (ids, source) in self.ids.iter_mut().zip(&mut self.sources) {
            source.fill(batch, events, ids);
        }
        for numbers in &mut self.numbers {
            numbers.fill(batch, events);
        }
        self.groups.fill(events.len(), &self.ids);
        let Deriver { home, sources, numbers, groups, now_ms, .. } = self;
        let seen = Seen { batch, events, groups, numbers, now_ms: *now_ms };
        let mut world = World { sources, home };
        self.counting.iter_mut().for_each(|counting| counting.count(&seen, &mut world));
    }

    /// Begins a batch.
    fn begin(&mut self) {
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
            self.counting.iter_mut().for_each(Counting::forget_groups);
        }
    }

    /// Gives each series that was touched what the batch brought, and says of which batch the events
    /// were. Must come before the batch is acknowledged.
    pub fn settle(&mut self, ack: &Ack) {
        if !std::mem::take(&mut self.began) {
            return;
        }
        let mut journal = self.home.keeps_journal().then(Vec::new);
        for counting in &mut self.counting {
            counting.end(self.now_ms, &mut self.sorter, journal.as_mut());
        }
        if let Some(journal) = journal.filter(|journal| !journal.is_empty()) {
            self.home.settle(journal, ack.tracker());
        }
    }
}
