//! Taps: somebody outside looks at events before and after a plugin while a pipeline runs.
//!
//! While nobody looks, a batch costs one relaxed load of a flag. While somebody does, events are picked
//! by a bound on their rate, written as JSON, and handed to the one who looks, who must not wait: what
//! he can't take at once is left out.

use super::pipeline::PluginStats;
use crate::event::json::write_event;
use crate::event::{Batch, EventId};
use crate::plugin::Kind;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Who may look at one pipeline at the same time, at the most.
pub const WATCHERS_MAX: usize = 16;
/// Events a second that one may see, at the most.
pub const RATE_MAX: u32 = 1_000;
/// A larger event is not shown.
const EVENT_BYTES_MAX: usize = 256 << 10;
/// Events shown that were made of one, at the most.
const CREATED_MAX: usize = 10;

/// Takes a line of JSON; false when nobody wants any more.
type Tell = Box<dyn Fn(String) -> bool + Send + Sync>;

/// The taps of one pipeline.
#[derive(Default)]
pub struct Taps {
    active: AtomicBool,
    watchers: Mutex<Vec<Arc<Watcher>>>,
}

/// One who looks.
struct Watcher {
    /// At which plugin; without, at all filters as one.
    plugin: Option<String>,
    rate: u32,
    /// When events were last counted, and how many may be shown.
    budget: Mutex<(Instant, f64)>,
    tell: Tell,
}

/// An event that is shown, as it was before.
pub struct Looked {
    watcher: Arc<Watcher>,
    event: EventId,
    before: Option<Box<RawValue>>,
}

impl std::fmt::Debug for Taps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} taps", self.watchers.lock().len())
    }
}

impl Taps {
    /// Whether anybody looks.
    #[inline]
    pub fn active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Lets somebody look until `tell` returns false, at most at `rate` events a second. False where
    /// too many look already.
    pub fn watch(
        &self,
        plugin: Option<String>,
        rate: u32,
        tell: impl Fn(String) -> bool + Send + Sync + 'static,
    ) -> bool {
        let rate = rate.clamp(1, RATE_MAX);
        let mut watchers = self.watchers.lock();
        if watchers.len() >= WATCHERS_MAX {
            return false;
        }
        let budget = Mutex::new((Instant::now(), f64::from(rate)));
        watchers.push(Arc::new(Watcher { plugin, rate, budget, tell: Box::new(tell) }));
        self.active.store(true, Ordering::Relaxed);
        true
    }

    /// Forgets who does not want to look any more. An empty line asks.
    pub fn sweep(&self) {
        let mut watchers = self.watchers.lock();
        watchers.retain(|watcher| (watcher.tell)(String::new()));
        self.active.store(!watchers.is_empty(), Ordering::Relaxed);
    }

    /// Picks events to show and keeps what they are before a plugin, or before all filters.
    pub fn before(&self, plugin: Option<&str>, batch: &Batch, events: &[EventId]) -> Vec<Looked> {
        let mut looked = Vec::new();
        for watcher in self.watchers.lock().iter().filter(|watcher| watcher.plugin.as_deref() == plugin) {
            let count = watcher.take(events.len());
            // Spread over the batch, at random: lines often come in turns.
            looked.extend((0..count).map(|at| {
                let (from, to) = (at * events.len() / count, (at + 1) * events.len() / count);
                let event = events[rand::random_range(from..to)];
                Looked { watcher: watcher.clone(), event, before: shown(batch, event) }
            }));
        }
        looked
    }

    /// Shows what became of events; `others` are those that may have been made of them.
    pub fn after(&self, looked: Vec<Looked>, stats: Option<&PluginStats>, batch: &Batch, others: &[EventId]) {
        for Looked { watcher, event, before } in looked {
            let after = (!batch.cancelled(event)).then(|| shown(batch, event)).flatten();
            let of_it = |other: &&EventId| **other != event && batch.ancestor(**other) == batch.ancestor(event);
            let made = others.iter().filter(of_it).take(CREATED_MAX).filter_map(|&other| shown(batch, other));
            let made: Vec<Box<RawValue>> = made.collect();
            let mut line = head(stats);
            line += &format!(",\"before\":{},\"after\":{}", text(before.as_deref()), text(after.as_deref()));
            if !made.is_empty() {
                let made: Vec<&str> = made.iter().map(|event| event.get()).collect();
                line += &format!(",\"created\":[{}]", made.join(","));
            }
            line.push('}');
            self.tell(&watcher, line);
        }
    }

    /// Shows events as an input gave them or an output gets them.
    pub fn pass(&self, stats: &PluginStats, batch: &Batch, events: &[EventId]) {
        let side = if stats.kind == Kind::Output { "before" } else { "after" };
        for Looked { watcher, before, .. } in self.before(Some(&stats.id), batch, events) {
            let line = format!("{},\"{side}\":{}}}", head(Some(stats)), text(before.as_deref()));
            self.tell(&watcher, line);
        }
    }

    fn tell(&self, watcher: &Arc<Watcher>, line: String) {
        if !(watcher.tell)(line) {
            let mut watchers = self.watchers.lock();
            watchers.retain(|known| !Arc::ptr_eq(known, watcher));
            self.active.store(!watchers.is_empty(), Ordering::Relaxed);
        }
    }
}

impl Watcher {
    /// How many of so many events may be shown now.
    fn take(&self, events: usize) -> usize {
        let mut budget = self.budget.lock();
        let now = Instant::now();
        let rate = f64::from(self.rate);
        // What was not used is kept for a second.
        let allowed = (budget.1 + (now - budget.0).as_secs_f64() * rate).min(rate);
        let taken = events.min(allowed as usize);
        *budget = (now, allowed - taken as f64);
        taken
    }
}

fn head(stats: Option<&PluginStats>) -> String {
    let plugin = match stats {
        Some(stats) => {
            json!({ "id": &*stats.id, "name": stats.name, "kind": format!("{:?}", stats.kind).to_lowercase() })
        }
        None => Value::Null,
    };
    format!("{{\"plugin\":{plugin}")
}

fn shown(batch: &Batch, event: EventId) -> Option<Box<RawValue>> {
    let mut out = Vec::new();
    write_event(batch, event, &mut out);
    if out.len() > EVENT_BYTES_MAX {
        out = json!({ "too_large": out.len() }).to_string().into_bytes();
    }
    RawValue::from_string(String::from_utf8(out).ok()?).ok()
}

fn text(value: Option<&RawValue>) -> &str {
    value.map_or("null", RawValue::get)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldId;

    fn batch(count: usize) -> (Batch, Vec<EventId>) {
        let mut batch = Batch::new();
        let events = (0..count)
            .map(|n| {
                let event = batch.new_event();
                batch.set_key(event, FieldId::intern("n"), crate::event::Value::Int(n as i64));
                event
            })
            .collect();
        (batch, events)
    }

    #[test]
    fn events_are_shown_before_and_after_at_a_bounded_rate() {
        let (taps, lines) = (Taps::default(), Arc::new(Mutex::new(Vec::new())));
        assert!(!taps.active());
        let kept = lines.clone();
        assert!(taps.watch(Some("g".to_owned()), 3, move |line| {
            kept.lock().push(line);
            kept.lock().len() < 4
        }));
        let (mut batch, events) = batch(100);
        assert!(
            taps.before(None, &batch, &events).is_empty() && taps.before(Some("other"), &batch, &events).is_empty()
        );
        let looked = taps.before(Some("g"), &batch, &events);
        let shown: Vec<EventId> = looked.iter().map(|l| l.event).collect();
        let [first, second, third] = shown[..] else { panic!("{shown:?}") };
        assert!(first < 33 && (33..66).contains(&second) && third >= 66, "{shown:?}");
        assert!(taps.before(Some("g"), &batch, &events).is_empty(), "the second is used up");
        batch.cancel(first);
        let made = batch.clone_event(second);
        let stats = PluginStats::new("g", "split", Kind::Filter);
        taps.after(looked, Some(&stats), &batch, &[made]);
        let plugin = "{\"plugin\":{\"id\":\"g\",\"name\":\"split\",\"kind\":\"filter\"}";
        let want = [
            format!("{plugin},\"before\":{{\"n\":{first}}},\"after\":null}}"),
            format!(
                "{plugin},\"before\":{{\"n\":{second}}},\"after\":{{\"n\":{second}}},\"created\":[{{\"n\":{second}}}]}}"
            ),
            format!("{plugin},\"before\":{{\"n\":{third}}},\"after\":{{\"n\":{third}}}}}"),
        ];
        assert_eq!(*lines.lock(), want);
        assert!(taps.active());
        taps.sweep();
        assert!(!taps.active(), "it was told that nobody looks any more");
    }
}
