//! The two windows as one: hours of everything, weeks of what rules recorded and SLOs count.

use super::{Settings, Stats, Window, Written};
use crate::series::{Labels, Matcher, Queryable, Sample, SelectError, Series};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashSet;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

/// How the store is to be.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// How long the samples of all series stay.
    pub retention_ms: i64,
    /// How long those of recording rules and of the counters that SLOs need stay.
    pub long_retention_ms: i64,
    /// Series at the most, in each of both.
    pub series_max: usize,
}

impl Default for StoreSettings {
    /// Two hours, 35 days, 500,000 series.
    fn default() -> StoreSettings {
        StoreSettings { retention_ms: 7_200_000, long_retention_ms: 35 * 86_400_000, series_max: 500_000 }
    }
}

/// All series that this process keeps.
pub struct Store {
    short: Window,
    long: Window,
    /// Metrics whose samples stay long, by how often one of them is kept.
    kept: Mutex<BTreeMap<i64, Kept>>,
    /// Who else gets what rules record.
    listeners: RwLock<Vec<Listener>>,
}

/// Gets what rules record, on the thread that does. It must not wait.
pub type Listener = Box<dyn Fn(&[(Labels, Sample)]) + Send + Sync>;

/// Metrics of which a sample is kept long at every so many milliseconds.
#[derive(Default)]
struct Kept {
    metrics: FxHashSet<String>,
    /// Which interval since 1970 had the last sample.
    last: Option<i64>,
    /// Counters that began since then.
    born: FxHashSet<Labels>,
}

impl Kept {
    /// What is to be kept of a write within an interval; `None` where that interval has its sample.
    fn take(&mut self, interval: i64, samples: &[Written]) -> Option<Vec<Written>> {
        let own = samples.iter().filter(|sample| self.metrics.contains(sample.labels.metric_name()));
        if self.last == Some(interval) {
            self.born.extend(own.filter(|sample| sample.born).map(|sample| sample.labels.clone()));
            return None;
        }
        self.last = Some(interval);
        let mut taken: Vec<Written> = own.cloned().collect();
        if !self.born.is_empty() {
            taken.iter_mut().for_each(|sample| sample.born |= self.born.contains(&sample.labels));
            self.born.clear();
        }
        Some(taken)
    }
}

impl Store {
    /// Opens both windows below a folder; without one they are kept in memory alone.
    pub fn open(folder: Option<&Path>, settings: &StoreSettings) -> std::io::Result<Store> {
        let open = |name: &str, retention_ms| {
            let path = folder.map(|folder| folder.join(name));
            Window::open(Settings { path, retention_ms, series_max: settings.series_max })
        };
        Ok(Store {
            short: open("window", settings.retention_ms)?,
            long: open("recorded", settings.long_retention_ms)?,
            kept: Mutex::default(),
            listeners: RwLock::default(),
        })
    }

    /// Says which metrics stay as long as the results of recording rules (what SLOs count), each with
    /// the time between two of its samples there, in milliseconds.
    pub fn keep_long(&self, metrics: impl IntoIterator<Item = (String, i64)>) {
        let mut kept = self.kept.lock();
        let mut before = std::mem::take(&mut *kept);
        for (metric, interval_ms) in metrics {
            let interval_ms = interval_ms.max(1);
            let new = || Kept { metrics: FxHashSet::default(), ..before.remove(&interval_ms).unwrap_or_default() };
            kept.entry(interval_ms).or_insert_with(new).metrics.insert(metric);
        }
    }

    /// Writes all series of a source, see [`Window::write`].
    pub fn write(&self, source: &str, at_ms: i64, interval_ms: i64, samples: &[Written]) {
        self.short.write(source, at_ms, interval_ms, samples);
        for (&every_ms, kept) in self.kept.lock().iter_mut() {
            if let Some(long) = kept.take(at_ms.div_euclid(every_ms), samples) {
                // Each of them is a source of its own: all of its series come at once.
                self.long.write(&format!("{source}/{every_ms}"), at_ms, interval_ms.max(every_ms), &long);
            }
        }
    }

    /// Appends what rules recorded, at most one sample of a series; it stays long. The rules say by
    /// staleness markers of their own which series have ended.
    pub fn append(&self, samples: &[(Labels, Sample)]) {
        self.long.append(samples);
        self.listeners.read().iter().for_each(|listener| listener(samples));
    }

    /// Also gives what rules record to `listener` from now on.
    pub fn on_append(&self, listener: Listener) {
        self.listeners.write().push(listener);
    }

    /// Hours of everything.
    pub fn short(&self) -> &Window {
        &self.short
    }

    /// Weeks of what was recorded.
    pub fn long(&self) -> &Window {
        &self.long
    }

    /// How far back the series of a metric reach at the most, in milliseconds.
    pub fn retention_ms(&self, recorded: bool) -> i64 {
        if recorded { self.long.retention_ms() } else { self.short.retention_ms() }
    }

    /// Makes what was written safe against a power cut.
    pub fn sync(&self) {
        self.short.sync();
        self.long.sync();
    }

    /// The label sets of the series that all matchers match and that have samples in this time.
    pub fn labels(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Vec<Labels> {
        let mut all = self.short.labels(matchers, start_ms, end_ms);
        let more = self.long.labels(matchers, start_ms, end_ms);
        if !more.is_empty() {
            let known: HashSet<Labels> = all.iter().cloned().collect();
            all.extend(more.into_iter().filter(|labels| !known.contains(labels)));
        }
        all
    }

    /// All names of labels.
    pub fn label_names(&self) -> BTreeSet<String> {
        let mut names = self.short.label_names();
        names.append(&mut self.long.label_names());
        names
    }

    /// All values of a label.
    pub fn label_values(&self, name: &str) -> BTreeSet<String> {
        let mut values = self.short.label_values(name);
        values.append(&mut self.long.label_values(name));
        values
    }

    /// What both hold.
    pub fn stats(&self) -> [Stats; 2] {
        [self.short.stats(), self.long.stats()]
    }
}

impl Queryable for Store {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Series>, SelectError> {
        let mut all = self.short.select(matchers, start_ms, end_ms)?;
        let more = self.long.select(matchers, start_ms, end_ms)?;
        if more.is_empty() {
            return Ok(all);
        }
        let places: HashMap<Labels, usize> = all.iter().enumerate().map(|(at, s)| (s.labels.clone(), at)).collect();
        for long in more {
            match places.get(&long.labels) {
                // Both have what is new; only one what is old.
                Some(&at) => {
                    let short = &mut all[at].samples;
                    let from = short.first().map_or(i64::MAX, |sample| sample.t);
                    let mut samples: Vec<_> = long.samples.into_iter().take_while(|sample| sample.t < from).collect();
                    samples.append(short);
                    *short = samples;
                }
                None => all.push(long),
            }
        }
        Ok(all)
    }
}
