//! The counters of one pipeline and its plugins, as `/_node/stats` and `/metrics` show them.
//!
//! The worker loop adds to them once per batch and plugin, never per event, in relaxed order: a
//! reader may see a batch half counted, and sums right as soon as the batch is through.

use super::identity;
use super::tap::Taps;
use crate::plugin::Kind;
use arc_swap::ArcSwap;
use crossbeam::utils::CachePadded;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// A number that only grows.
#[derive(Default, Debug)]
pub struct Counter(CachePadded<AtomicU64>);

impl Counter {
    /// Adds.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds a time in nanoseconds.
    #[inline]
    pub fn add_time(&self, time: Duration) {
        self.add(time.as_nanos() as u64);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Default, Debug)]
pub struct Gauge(CachePadded<AtomicI64>);

impl Gauge {
    /// Adds; a negative number takes away.
    #[inline]
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets.
    pub fn set(&self, n: i64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one pipeline.
///
/// The ledger always balances once its batches are through:
/// `events_in + created = events_out + dropped + dead + in_flight`.
#[derive(Debug)]
pub struct PipelineStats {
    /// `pipeline.id`.
    pub id: Arc<str>,
    /// What a reload may change.
    pub shape: ArcSwap<Shape>,
    /// How often its configuration was changed.
    pub reloads: Reloads,
    /// Those who look at its events.
    pub taps: Taps,
    /// Outputs that its configuration no longer has and that still hold events.
    pub retired: Mutex<Vec<String>>,
    /// Another one at each start.
    pub ephemeral_id: String,
    /// Whether it runs.
    state: AtomicU8,
    /// When each busy worker began, in nanoseconds of [`now_ns`]; 0 of an idle one.
    clocks: Mutex<Vec<Arc<AtomicU64>>>,
    /// Events that workers decoded.
    pub events_in: Counter,
    /// Events that filters made of others.
    pub created: Counter,
    /// Events that came out of the filters.
    pub events_filtered: Counter,
    /// Events handed to outputs (once, however many outputs), or for which no output's
    /// condition held.
    pub events_out: Counter,
    /// Events that filters cancelled.
    pub dropped: Counter,
    /// Events that could not be processed: dead-lettered, or lost where no such queue is on.
    pub dead: Counter,
    /// Events that workers hold now.
    pub in_flight: Gauge,
    /// Time that workers spent on batches.
    pub duration_ns: Counter,
    /// Time that inputs waited because the queue was full.
    pub queue_push_ns: Counter,
    /// Batches waiting for a worker.
    pub queue: Gauge,
    /// Events waiting for a worker (frames, where one may give several).
    pub queue_events: Gauge,
}

/// A pipeline as it is configured now.
#[derive(Clone, Debug)]
pub struct Shape {
    /// `pipeline.workers`.
    pub workers: usize,
    /// `pipeline.batch.size`.
    pub batch_size: usize,
    /// `pipeline.batch.delay`.
    pub batch_delay: Duration,
    /// Batches that the queue before the workers holds at the most.
    pub queue_capacity: usize,
    /// The plugins in the order of the configuration.
    pub plugins: Vec<Arc<PluginStats>>,
    /// A hash of the configuration.
    pub hash: u64,
    /// Which plugin stands under which condition.
    pub graph: Arc<serde_json::Value>,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            workers: 1,
            batch_size: 125,
            batch_delay: Duration::from_millis(50),
            queue_capacity: 0,
            plugins: Vec::new(),
            hash: 0,
            graph: Arc::default(),
        }
    }
}

/// Whether a pipeline runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It does.
    Running,
    /// Its inputs have ended and all is delivered.
    Finished,
    /// It has ended with events that are not durable.
    Terminated,
}

/// A steady clock, never 0.
pub fn now_ns() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed().as_nanos() as u64 + 1
}

/// How often a configuration was changed while it ran, and how often that was refused.
#[derive(Default, Debug)]
pub struct Reloads {
    /// Changes taken.
    pub successes: Counter,
    /// Changes refused.
    pub failures: Counter,
    last: Mutex<LastReload>,
}

/// The last ones.
#[derive(Clone, Default, Debug)]
pub struct LastReload {
    /// When the last change was taken.
    pub success: Option<jiff::Timestamp>,
    /// When the last change was refused, …
    pub failure: Option<jiff::Timestamp>,
    /// … and why.
    pub error: Option<String>,
}

impl Reloads {
    /// A change was taken.
    pub fn succeeded(&self) {
        self.successes.add(1);
        self.last.lock().success = Some(jiff::Timestamp::now());
    }

    /// A change was refused.
    pub fn failed(&self, error: &str) {
        self.failures.add(1);
        let mut last = self.last.lock();
        (last.failure, last.error) = (Some(jiff::Timestamp::now()), Some(error.to_owned()));
    }

    /// The last ones.
    pub fn last(&self) -> LastReload {
        self.last.lock().clone()
    }
}

/// The counters of one plugin.
#[derive(Debug)]
pub struct PluginStats {
    /// Its `id`.
    pub id: Arc<str>,
    /// The word in the configuration.
    pub name: &'static str,
    /// Which section (or a codec).
    pub kind: Kind,
    /// Events that it got. (An input: what it read.)
    pub events_in: Counter,
    /// Events that it gave on. An output: those that it made durable.
    pub events_out: Counter,
    /// Time spent in it. An input: time that it waited for room in the queue.
    pub duration_ns: Counter,
    /// Events on which it failed (a failure tag), or an output's failed attempts.
    pub failures: Counter,
    /// Its codec's, where it is an input or output with one. Of a codec, `events_in` counts frames
    /// where it decodes.
    codec: Mutex<Option<Arc<PluginStats>>>,
}

impl PluginStats {
    /// All at zero.
    pub fn new(id: &str, name: &'static str, kind: Kind) -> Arc<PluginStats> {
        Arc::new(PluginStats {
            id: id.into(),
            name,
            kind,
            events_in: Counter::default(),
            events_out: Counter::default(),
            duration_ns: Counter::default(),
            failures: Counter::default(),
            codec: Mutex::default(),
        })
    }

    /// Its codec's counters.
    pub fn codec(&self) -> Option<Arc<PluginStats>> {
        self.codec.lock().clone()
    }

    /// Counters for its codec; those that are there if it is the same. Without an `id` of its own,
    /// the codec is called after the plugin.
    pub fn with_codec(&self, name: &'static str, id: Option<&str>) -> Arc<PluginStats> {
        let id = id.map_or_else(|| format!("{name}_{}", self.id), str::to_owned);
        let mut codec = self.codec.lock();
        if let Some(known) = codec.as_ref().filter(|known| known.name == name && *known.id == *id) {
            return known.clone();
        }
        let stats = PluginStats::new(&id, name, Kind::Codec);
        *codec = Some(stats.clone());
        stats
    }
}

impl PipelineStats {
    /// All at zero.
    pub fn new(id: &str) -> PipelineStats {
        PipelineStats {
            id: id.into(),
            shape: ArcSwap::default(),
            reloads: Reloads::default(),
            taps: Taps::default(),
            retired: Mutex::default(),
            ephemeral_id: identity::new_id(),
            state: AtomicU8::default(),
            clocks: Mutex::default(),
            events_in: Counter::default(),
            created: Counter::default(),
            events_filtered: Counter::default(),
            events_out: Counter::default(),
            dropped: Counter::default(),
            dead: Counter::default(),
            in_flight: Gauge::default(),
            duration_ns: Counter::default(),
            queue_push_ns: Counter::default(),
            queue: Gauge::default(),
            queue_events: Gauge::default(),
        }
    }

    /// Whether it runs.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            0 => State::Running,
            1 => State::Finished,
            _ => State::Terminated,
        }
    }

    /// Says whether it runs.
    pub fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// A clock for one more worker; it counts as long as the worker keeps it.
    pub fn clock(&self) -> Arc<AtomicU64> {
        let clock = Arc::new(AtomicU64::new(0));
        self.clocks.lock().push(clock.clone());
        clock
    }

    /// Time that workers spent on batches, those at hand included: a worker that an output holds up
    /// is busy.
    pub fn busy_ns(&self) -> u64 {
        let mut clocks = self.clocks.lock();
        clocks.retain(|clock| Arc::strong_count(clock) > 1);
        let now = now_ns();
        let at_hand = clocks.iter().map(|clock| match clock.load(Ordering::Relaxed) {
            0 => 0,
            began => now.saturating_sub(began),
        });
        self.duration_ns.get() + at_hand.sum::<u64>()
    }

    /// The plugins of one kind.
    pub fn plugins_of(&self, kind: Kind) -> Vec<Arc<PluginStats>> {
        self.shape.load().plugins.iter().filter(|plugin| plugin.kind == kind).cloned().collect()
    }

    /// What the ledger is off by: 0 at rest; not 0 for a moment while batches move.
    pub fn imbalance(&self) -> i64 {
        let came = self.events_in.get() + self.created.get();
        let went = self.events_out.get() + self.dropped.get() + self.dead.get();
        came as i64 - went as i64 - self.in_flight.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_balances() {
        let stats = PipelineStats::new("main");
        stats.events_in.add(10);
        assert_eq!(stats.imbalance(), 10);
        stats.in_flight.add(10);
        assert_eq!(stats.imbalance(), 0);
        stats.in_flight.add(-10);
        stats.events_out.add(7);
        stats.dropped.add(2);
        stats.dead.add(1);
        assert_eq!(stats.imbalance(), 0);
    }
}
