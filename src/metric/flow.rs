//! Flow rates: how counters moved over windows of time, as Logstash's `flow`.
//!
//! Counters are looked at every [`INTERVAL`]; what is kept grows thinner with its age, so that a day
//! costs about 250 snapshots of a few numbers per plugin. Nothing is added to the hot path.

use super::pipeline::{PipelineStats, PluginStats};
use super::process::Usage;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often somebody must call [`Flows::sample`].
pub const INTERVAL: Duration = Duration::from_secs(2);
/// The windows and their names. The current one takes the newest snapshot that is old enough.
pub const WINDOWS: [(&str, u64); 6] = [
    ("current", 10),
    ("last_1_minute", 60),
    ("last_5_minutes", 300),
    ("last_15_minutes", 900),
    ("last_1_hour", 3_600),
    ("last_24_hours", 86_400),
];
/// Up to which age (seconds) snapshots are kept how far apart; 0: all.
const THIN: [(u64, u64); 5] = [(70, 0), (330, 15), (960, 30), (3_720, 60), (88_200, 900)];

/// What a pipeline, or all of them, had counted.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct Counts {
    /// Events in, …
    pub events_in: u64,
    /// … out of the filters, …
    pub filtered: u64,
    /// … and out.
    pub out: u64,
    /// Time that inputs waited for room.
    pub push_ns: u64,
    /// Time that workers were busy, at present ones included.
    pub busy_ns: u64,
}

/// What a plugin had counted.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub struct PluginCounts {
    /// Events that it got; of an input, that it gave.
    pub events: u64,
    /// Time spent in it.
    pub busy_ns: u64,
}

/// Counters of plugins, by their ids.
type Plugins = FxHashMap<Arc<str>, PluginCounts>;

/// Counters at one time.
#[derive(Default)]
struct Snapshot {
    at: Duration,
    cpu_seconds: f64,
    pipelines: FxHashMap<Arc<str>, (Counts, Plugins)>,
}

/// What counters had come to some time ago.
#[derive(Clone, Copy)]
pub struct Since<T> {
    /// How long ago.
    pub ago: Duration,
    /// What they had come to.
    pub counts: T,
}

/// The snapshots of a process.
pub struct Flows {
    begun: Instant,
    history: Mutex<VecDeque<Snapshot>>,
}

impl Default for Flows {
    fn default() -> Flows {
        Flows { begun: Instant::now(), history: Mutex::default() }
    }
}

impl Counts {
    /// What a pipeline has counted.
    pub fn of(stats: &PipelineStats) -> Counts {
        Counts {
            events_in: stats.events_in.get(),
            filtered: stats.events_filtered.get(),
            out: stats.events_out.get(),
            push_ns: stats.queue_push_ns.get(),
            busy_ns: stats.busy_ns(),
        }
    }

    /// Those of another pipeline besides.
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            events_in: self.events_in + other.events_in,
            filtered: self.filtered + other.filtered,
            out: self.out + other.out,
            push_ns: self.push_ns + other.push_ns,
            busy_ns: self.busy_ns + other.busy_ns,
        }
    }
}

impl PluginCounts {
    /// What a plugin has counted.
    pub fn of(stats: &PluginStats) -> PluginCounts {
        PluginCounts { events: stats.events_in.get(), busy_ns: stats.duration_ns.get() }
    }
}

impl Flows {
    /// How long the process has run.
    pub fn uptime(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Takes a snapshot.
    pub fn sample(&self, pipelines: &[Arc<PipelineStats>]) {
        let cpu_seconds = Usage::now().cpu_seconds.unwrap_or_default();
        let pipelines = pipelines.iter().map(|stats| {
            let plugins = stats.shape.load().plugins.iter().map(|p| (p.id.clone(), PluginCounts::of(p))).collect();
            (stats.id.clone(), (Counts::of(stats), plugins))
        });
        self.keep(Snapshot { at: self.uptime(), cpu_seconds, pipelines: pipelines.collect() });
    }

    fn keep(&self, snapshot: Snapshot) {
        let now = snapshot.at;
        let mut history = self.history.lock();
        history.push_back(snapshot);
        // The first snapshot of each slot of time stays. Slots stand still while snapshots grow old, and
        // wider ones begin where narrower ones do.
        let mut last = None;
        history.retain(|snapshot| {
            let age = (now - snapshot.at).as_secs();
            let apart = THIN.iter().find(|(up_to, _)| age <= *up_to).map(|(_, apart)| *apart);
            let slot = apart.map(|apart| (apart, snapshot.at.as_secs() / apart.max(1)));
            // The youngest are all kept.
            let stays = slot.is_some_and(|(apart, _)| apart == 0 || last != slot);
            last = slot;
            stays
        });
    }

    /// What `of` picks from the snapshot where a window begins; `None` where there is none so old,
    /// but for the current one, which begins with what there is.
    fn since<T: Default>(&self, window: &str, seconds: u64, of: impl Fn(&Snapshot) -> Option<T>) -> Option<Since<T>> {
        let now = self.uptime();
        let history = self.history.lock();
        let old_enough = |s: &&Snapshot| (now - s.at).as_secs_f64() + 0.5 >= seconds as f64;
        let snapshot = history.iter().rev().find(old_enough);
        match (snapshot, window) {
            (Some(snapshot), _) => Some(Since { ago: now - snapshot.at, counts: of(snapshot).unwrap_or_default() }),
            (None, "current") => match history.front() {
                Some(first) if now - first.at >= Duration::from_secs(1) => {
                    Some(Since { ago: now - first.at, counts: of(first).unwrap_or_default() })
                }
                _ => Some(Since { ago: now, counts: T::default() }),
            },
            (None, _) => None,
        }
    }

    /// All windows that have begun, with what a pipeline (or, without id, all) had counted then; at
    /// last the whole life.
    pub fn of_pipeline(&self, id: Option<&str>) -> Vec<(&'static str, Since<Counts>)> {
        self.windows(|snapshot| match id {
            Some(id) => snapshot.pipelines.get(id).map(|(counts, _)| *counts),
            None => Some(snapshot.pipelines.values().fold(Counts::default(), |sum, (counts, _)| sum.plus(*counts))),
        })
    }

    /// The same for a plugin.
    pub fn of_plugin(&self, pipeline: &str, id: &str) -> Vec<(&'static str, Since<PluginCounts>)> {
        self.windows(|snapshot| snapshot.pipelines.get(pipeline)?.1.get(id).copied())
    }

    fn windows<T: Default>(&self, of: impl Fn(&Snapshot) -> Option<T> + Copy) -> Vec<(&'static str, Since<T>)> {
        let begun = WINDOWS.iter().filter_map(|(name, seconds)| Some((*name, self.since(name, *seconds, of)?)));
        let whole = ("lifetime", Since { ago: self.uptime(), counts: T::default() });
        begun.chain(std::iter::once(whole)).collect()
    }

    /// The share of one processor that the process has used lately, in percent.
    pub fn cpu_percent(&self) -> f64 {
        let Some(now) = Usage::now().cpu_seconds else { return 0.0 };
        match self.since("current", 10, |snapshot| Some(snapshot.cpu_seconds)) {
            Some(since) if !since.ago.is_zero() => 100.0 * (now - since.counts).max(0.0) / since.ago.as_secs_f64(),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_grows_thinner_with_its_age() {
        let flows = Flows::default();
        for second in (0..200_000).step_by(2) {
            flows.keep(Snapshot { at: Duration::from_secs(second), ..Snapshot::default() });
        }
        let history = flows.history.lock();
        assert!((150..350).contains(&history.len()), "{}", history.len());
        let age = |at: usize| 199_998 - history[at].at.as_secs();
        assert!((86_400..88_300).contains(&age(0)), "{}", age(0));
        for (_, seconds) in WINDOWS {
            let near = (0..history.len()).rev().map(age).find(|age| *age >= seconds).unwrap();
            assert!(near <= seconds + seconds / 4 + 2, "{seconds}: {near}");
        }
    }

    #[test]
    fn windows_open_one_after_the_other() {
        let stats = Arc::new(PipelineStats::new("main"));
        stats.events_in.add(100);
        let begun = Instant::now().checked_sub(Duration::from_secs(70)).unwrap();
        let flows = Flows { begun, history: Mutex::default() };
        let names = |flows: &Flows| flows.of_pipeline(Some("main")).iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(&flows), ["current", "lifetime"]);
        let counts = Counts { events_in: 40, ..Counts::default() };
        let pipelines = FxHashMap::from_iter([(Arc::from("main"), (counts, FxHashMap::default()))]);
        flows.keep(Snapshot { at: Duration::from_secs(5), pipelines, ..Snapshot::default() });
        assert_eq!(names(&flows), ["current", "last_1_minute", "lifetime"]);
        let (_, since) = flows.of_pipeline(None)[1];
        assert_eq!((since.counts.events_in, since.ago.as_secs()), (40, 65));
    }
}
