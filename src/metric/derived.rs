//! The default metrics derived from events: how many by service and level, the share of errors,
//! and a histogram of `duration`. A level is that of the event's tier, so the counts are those of
//! the index's partitions.
//!
//! Each worker has a [`Recorder`] with a shard of its own, locked once per batch and by nobody
//! else but a scrape. Nothing is allocated per event once a service has been seen. Services are
//! user data, so they are capped at [`SERVICES_MAX`]: what comes later counts as `other`. A
//! worker that ends leaves its counts behind, so a counter never falls.

use super::exposition::{Family, Kind, Value as Exposed};
use super::histogram::Histogram;
use crate::event::{Batch, EventId, FieldId, FieldRef, Value};
use crate::index::Tier;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Instant;

/// Services that get series of their own. Each costs up to 110 kB per worker (its histogram).
pub const SERVICES_MAX: usize = 200;
/// Longer names count as `other`.
const SERVICE_BYTES_MAX: usize = 128;
/// The error ratio looks back over this many slots …
const WINDOW_SLOTS: usize = 30;
/// … of this many seconds: five minutes.
const SLOT_SECONDS: u64 = 10;

/// The label values of [`Tier::ALL`].
const LEVELS: [&str; Tier::ALL.len()] = ["ERROR", "WARN", "INFO", "DEBUG"];
const OTHER: &str = "other";

/// All that was derived since the start.
pub struct Derived {
    begin: Instant,
    /// Who may have a series, in order of appearance.
    admitted: Mutex<Vec<Box<str>>>,
    shards: Mutex<Vec<Arc<Mutex<Shard>>>>,
    /// What ended workers counted.
    retired: Mutex<Shard>,
}

/// What one worker counted.
#[derive(Default)]
struct Shard {
    rows: Vec<Row>,
    at: FxHashMap<Box<str>, usize>,
    /// No further service is admitted, and `at` knows all that are.
    full: bool,
    /// The row of the last event: most have the service of the one before.
    last: usize,
}

struct Row {
    service: Box<str>,
    levels: [u64; LEVELS.len()],
    window: Window,
    durations: Option<Box<Histogram>>,
}

/// Counts of the last slots of time.
#[derive(Clone, Copy, Default)]
struct Window {
    slots: [Slot; WINDOW_SLOTS],
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Number of the slot since the beginning.
    number: u64,
    events: u64,
    errors: u64,
}

/// Derives for one worker.
pub struct Recorder {
    home: Arc<Derived>,
    shard: Arc<Mutex<Shard>>,
    service: FieldId,
    service_name: FieldRef,
    duration: FieldId,
}

impl Default for Derived {
    fn default() -> Derived {
        Derived {
            begin: Instant::now(),
            admitted: Mutex::default(),
            shards: Mutex::default(),
            retired: Mutex::default(),
        }
    }
}

impl Derived {
    /// For one more worker.
    pub fn recorder(self: &Arc<Self>) -> Recorder {
        let shard = Arc::new(Mutex::new(Shard::default()));
        self.shards.lock().push(shard.clone());
        Recorder {
            home: self.clone(),
            shard,
            service: FieldId::intern("service"),
            service_name: FieldRef::path(&["service", "name"]),
            duration: FieldId::intern("duration"),
        }
    }

    /// Appends the metrics.
    pub fn collect(&self, out: &mut Vec<Family>) {
        self.collect_at(self.begin.elapsed().as_secs(), out);
    }

    fn collect_at(&self, seconds: u64, out: &mut Vec<Family>) {
        let mut all = Shard::default();
        {
            // Both locks at once, so that a worker that ends meanwhile is counted just once.
            let (shards, retired) = (self.shards.lock(), self.retired.lock());
            all.merge(&retired);
            shards.iter().for_each(|shard| all.merge(&shard.lock()));
        }
        all.rows.sort_by(|a, b| a.service.cmp(&b.service));
        let mut events = Family::new(Kind::Counter, "log_events", "Events by service and level.");
        let mut ratio = Family::new(
            Kind::Gauge,
            "log_error_ratio",
            "Share of events of level ERROR among all of the last five minutes.",
        );
        let mut durations =
            Family::new(Kind::Histogram, "log_duration_seconds", "The field `duration` (milliseconds) of events.");
        for row in &all.rows {
            for (level, &count) in LEVELS.iter().zip(&row.levels) {
                if count > 0 {
                    events.whole(&[("service", &row.service), ("level", level)], count);
                }
            }
            let (total, errors) = row.window.sums(seconds);
            if total > 0 {
                ratio.number(&[("service", &row.service)], errors as f64 / total as f64);
            }
            if let Some(histogram) = &row.durations {
                durations.push(&[("service", &row.service)], Exposed::Buckets(histogram.classic()));
            }
        }
        out.extend([events, ratio, durations]);
    }

    /// Whether a service may have series; false for ever for all that were not admitted before
    /// the first false.
    fn admit(&self, service: &str) -> bool {
        let mut admitted = self.admitted.lock();
        let known = admitted.iter().any(|s| **s == *service);
        if !known && admitted.len() < SERVICES_MAX {
            admitted.push(service.into());
            return true;
        }
        known
    }
}

impl Recorder {
    /// Counts events that came out of the filters.
    pub fn observe(&mut self, batch: &Batch, events: &[EventId]) {
        self.observe_at(batch, events, self.home.begin.elapsed().as_secs());
    }

    fn observe_at(&mut self, batch: &Batch, events: &[EventId], seconds: u64) {
        let shard = &mut *self.shard.lock();
        for &event in events {
            let at = shard.row(self.service(batch, event), &self.home);
            let row = &mut shard.rows[at];
            let tier = Tier::of_event(batch, event);
            row.levels[tier as usize] += 1;
            row.window.add(seconds, tier == Tier::Error);
            if let Some(ms) = batch.get_key(event, self.duration).and_then(Value::as_number) {
                row.durations.get_or_insert_default().record_ms(ms);
            }
        }
    }

    /// `service`, or where that is a hash, as in ECS, `[service][name]`; `""` where there is none.
    fn service<'a>(&self, batch: &'a Batch, event: EventId) -> &'a str {
        let value = match batch.get_key(event, self.service) {
            Some(Value::Object(_)) => batch.get(event, &self.service_name),
            value => value,
        };
        value.and_then(|value| batch.as_text(value)).unwrap_or("")
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let mut shards = self.home.shards.lock();
        shards.retain(|shard| !Arc::ptr_eq(shard, &self.shard));
        self.home.retired.lock().merge(&self.shard.lock());
    }
}

impl Shard {
    /// The row of a service.
    #[inline]
    fn row(&mut self, service: &str, home: &Derived) -> usize {
        if self.rows.get(self.last).is_none_or(|row| *row.service != *service) {
            self.last = match self.at.get(service) {
                Some(&at) => at,
                None => self.new_row(service, home),
            };
        }
        self.last
    }

    #[cold]
    fn new_row(&mut self, service: &str, home: &Derived) -> usize {
        if self.full || service.len() > SERVICE_BYTES_MAX {
            return self.add(OTHER);
        }
        if home.admit(service) {
            return self.add(service);
        }
        // From now on nobody needs to ask: who is admitted is known for good.
        self.full = true;
        let admitted = home.admitted.lock().clone();
        admitted.iter().for_each(|service| {
            self.add(service);
        });
        self.add(OTHER)
    }

    /// The row of a service that may have one.
    fn add(&mut self, service: &str) -> usize {
        if let Some(&at) = self.at.get(service) {
            return at;
        }
        let row =
            Row { service: service.into(), levels: [0; LEVELS.len()], window: Window::default(), durations: None };
        self.rows.push(row);
        self.at.insert(service.into(), self.rows.len() - 1);
        self.rows.len() - 1
    }

    fn merge(&mut self, other: &Shard) {
        for row in &other.rows {
            let at = self.add(&row.service);
            let into = &mut self.rows[at];
            into.levels.iter_mut().zip(row.levels).for_each(|(into, count)| *into += count);
            into.window.merge(&row.window);
            if let Some(histogram) = &row.durations {
                into.durations.get_or_insert_default().merge(histogram);
            }
        }
    }
}

impl Window {
    #[inline]
    fn add(&mut self, seconds: u64, error: bool) {
        let number = seconds / SLOT_SECONDS;
        let slot = &mut self.slots[number as usize % WINDOW_SLOTS];
        if slot.number != number {
            *slot = Slot { number, ..Slot::default() };
        }
        slot.events += 1;
        slot.errors += error as u64;
    }

    fn merge(&mut self, other: &Window) {
        for (into, from) in self.slots.iter_mut().zip(&other.slots) {
            if into.number < from.number {
                *into = *from;
            } else if into.number == from.number {
                into.events += from.events;
                into.errors += from.errors;
            }
        }
    }

    /// Events and errors of the slots that are not too old.
    fn sums(&self, seconds: u64) -> (u64, u64) {
        let first = (seconds / SLOT_SECONDS + 1).saturating_sub(WINDOW_SLOTS as u64);
        let recent = self.slots.iter().filter(|slot| slot.number >= first);
        recent.fold((0, 0), |(events, errors), slot| (events + slot.events, errors + slot.errors))
    }
}

#[cfg(test)]
mod tests {
    use super::super::exposition::Format;
    use super::*;

    fn batch(events: &[(&str, &str, Option<i64>)]) -> (Batch, Vec<EventId>) {
        let mut batch = Batch::new();
        let ids = events.iter().map(|(service, level, duration)| {
            let event = batch.new_event();
            for (key, text) in [("service", service), ("level", level)] {
                if !text.is_empty() {
                    let value = batch.str(text);
                    batch.set_key(event, FieldId::intern(key), value);
                }
            }
            if let Some(ms) = duration {
                batch.set_key(event, FieldId::intern("duration"), Value::Int(*ms));
            }
            event
        });
        let ids = ids.collect();
        (batch, ids)
    }

    fn text(derived: &Derived, seconds: u64) -> String {
        let mut families = Vec::new();
        derived.collect_at(seconds, &mut families);
        Format::Text.render(&families)
    }

    #[test]
    fn workers_are_put_together_and_counters_never_fall() {
        let derived = Arc::new(Derived::default());
        let (mut one, mut two) = (derived.recorder(), derived.recorder());
        let (b, ids) = batch(&[("api", "ERROR", Some(100)), ("api", "info", Some(101)), ("web", "WARN", None)]);
        one.observe_at(&b, &ids, 0);
        two.observe_at(&b, &ids[..2], 0);
        let got = text(&derived, 0);
        for line in [
            "log_events_total{service=\"api\",level=\"ERROR\"} 2\n",
            "log_events_total{service=\"api\",level=\"INFO\"} 2\n",
            "log_events_total{service=\"web\",level=\"WARN\"} 1\n",
            "log_error_ratio{service=\"api\"} 0.5\n",
            "log_error_ratio{service=\"web\"} 0\n",
            "log_duration_seconds_bucket{service=\"api\",le=\"0.1\"} 2\n",
            "log_duration_seconds_bucket{service=\"api\",le=\"0.25\"} 4\n",
            "log_duration_seconds_sum{service=\"api\"} 0.402\n",
        ] {
            assert!(got.contains(line), "{line} is missing in\n{got}");
        }
        drop(one);
        assert_eq!(text(&derived, 0), got);
        drop(two);
        assert_eq!(text(&derived, 0), got);
    }

    #[test]
    fn the_error_ratio_forgets() {
        let derived = Arc::new(Derived::default());
        let mut recorder = derived.recorder();
        let (b, ids) = batch(&[("api", "ERROR", None), ("api", "INFO", None)]);
        recorder.observe_at(&b, &ids, 5);
        recorder.observe_at(&b, &ids[1..], 200);
        let ratio = |seconds| {
            let text = text(&derived, seconds);
            text.lines().find_map(|l| l.strip_prefix("log_error_ratio{service=\"api\"} ").map(str::to_owned))
        };
        assert_eq!(ratio(299).as_deref(), Some("0.3333333333333333"));
        assert_eq!(ratio(300).as_deref(), Some("0"));
        assert_eq!(ratio(600), None);
    }

    #[test]
    fn services_are_capped() {
        let derived = Arc::new(Derived::default());
        let (mut one, mut two) = (derived.recorder(), derived.recorder());
        let names: Vec<String> = (0..SERVICES_MAX + 50).map(|n| format!("s{n}")).collect();
        let events: Vec<_> = names.iter().map(|n| (n.as_str(), "INFO", None)).collect();
        let (b, ids) = batch(&events);
        one.observe_at(&b, &ids[..100], 0);
        two.observe_at(&b, &ids, 0);
        one.observe_at(&b, &ids[100..], 0);
        let got = text(&derived, 0);
        assert!(got.contains("log_events_total{service=\"other\",level=\"INFO\"} 100\n"), "{got}");
        assert_eq!(got.matches("log_events_total{").count(), SERVICES_MAX + 1);
        assert_eq!(got.matches("log_events_total{").count(), got.matches("level=\"INFO\"} 2\n").count() + 1);
    }
}
