//! The series' last hours, in memory and on disk: what rules, the HTTP API and remote write read.
//!
//! ```text
//!  write(source, time, samples) ──► log (append only) ──► series: chunks, postings ──► select
//! ```
//!
//! A **source** writes all of its series at once, at rising times: the sampler, or a group of rules.
//! A series that the source wrote the last time and does not write now has ended: it gets a
//! staleness marker. A counter that was just born gets a zero one interval before its first value,
//! so that `rate` sees its birth.
//!
//! **Room.** A series takes about 0.7 kB for its labels, their index and the open chunk, and each
//! sample of a counter 1 to 3 bytes, of any other number up to 10, of a native histogram one bit for
//! each bucket and 2 to 10 bytes for each that changed. Chunks go as they leave the retention, and a
//! series with its last chunk. There are at most `series_max` series; what comes beyond is refused
//! and counted. Time must rise: samples that are not newer than their series are left out and
//! counted (a clock that was set back: nothing is written until it has caught up).

mod chunk;
mod log;
mod order;
mod postings;
mod store;

pub use store::{Store, StoreSettings};

use super::{Labels, Matcher, NativeHistogram, Queryable, Sample, SelectError, Series, Value, stale_nan};
use chunk::{Chunk, stale_histogram};
use log::Log;
use order::Follow;
use parking_lot::{Mutex, RwLock};
use postings::Postings;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The source of samples whose series nobody watches over.
const UNWATCHED: &str = "";
/// Samples that one selection may give.
const SELECT_SAMPLES_MAX: usize = 50_000_000;

/// How a window is to be.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of its log; none: it is kept in memory alone.
    pub path: Option<PathBuf>,
    /// How long samples stay.
    pub retention_ms: i64,
    /// Series at the most.
    pub series_max: usize,
}

/// What a source writes of one series.
#[derive(Clone, Debug)]
pub struct Written {
    /// Which series.
    pub labels: Labels,
    /// Its value; `None`: the series lives but says nothing this time.
    pub value: Option<Value>,
    /// A counter that began since the source's last write.
    pub born: bool,
}

impl Written {
    /// A value of a series.
    pub fn new(labels: Labels, value: impl Into<Value>) -> Written {
        Written { labels, value: Some(value.into()), born: false }
    }
}

/// What a window holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Series.
    pub series: usize,
    /// Chunks.
    pub chunks: usize,
    /// Bytes of memory, about.
    pub bytes: usize,
    /// The time of the oldest sample.
    pub oldest_ms: Option<i64>,
    /// The time of the newest sample.
    pub newest_ms: Option<i64>,
    /// Samples refused since there were too many series.
    pub refused: u64,
    /// Samples left out since their time had not risen.
    pub late: u64,
    /// Writes that the log did not take.
    pub log_failures: u64,
}

/// Names, and how many of something each has.
pub type Sizes = Vec<(String, usize)>;

/// Series and their samples of the last hours.
pub struct Window {
    settings: Settings,
    /// Taken before `inner`, so that the log has the order of the writes.
    log: Mutex<Option<Log>>,
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    series: FxHashMap<u32, Stored>,
    ids: FxHashMap<Labels, u32>,
    postings: Postings,
    next: u32,
    /// The series of each source's last write.
    sources: FxHashMap<String, Vec<u32>>,
    trimmed_ms: i64,
    refused: u64,
    late: u64,
    log_failures: u64,
}

struct Stored {
    labels: Labels,
    closed: Vec<Chunk>,
    open: Chunk,
    /// Whether the last sample is a staleness marker.
    stale: bool,
    histogram: bool,
}

impl Window {
    /// A window with what its log remembers.
    pub fn open(settings: Settings) -> std::io::Result<Window> {
        let mut inner = Inner::default();
        let log = match &settings.path {
            None => None,
            Some(path) => Some(Log::open(path, settings.retention_ms, |entry| {
                inner.write(&settings, &entry.source, entry.at_ms, entry.interval_ms, &entry.samples);
            })?),
        };
        Ok(Window { settings, log: Mutex::new(log), inner: RwLock::new(inner) })
    }

    /// Writes all series of a source at a time. `interval_ms` is the time to its next write, about.
    pub fn write(&self, source: &str, at_ms: i64, interval_ms: i64, samples: &[Written]) {
        let mut log = self.log.lock();
        let failure = log.as_mut().and_then(|log| match log.append(source, at_ms, interval_ms, samples) {
            Ok(()) => None,
            // What stands behind a torn record would not be read.
            Err(error) => {
                let _again = log.turn(at_ms);
                Some(error)
            }
        });
        let mut inner = self.inner.write();
        if let Some(error) = failure {
            if inner.log_failures == 0 {
                tracing::error!(%error, "cannot write the series' window to disk: a restart will miss what comes now");
            }
            inner.log_failures += 1;
        }
        inner.write(&self.settings, source, at_ms, interval_ms, samples);
        let least = at_ms.saturating_sub(self.settings.retention_ms);
        if least - inner.trimmed_ms >= self.settings.retention_ms / 64 {
            inner.trim(least);
            if let Some(log) = log.as_mut() {
                log.trim(least);
            }
        }
    }

    /// Appends samples, at most one of a series. Nobody watches over their ends: who appends says
    /// so by staleness markers of its own.
    pub fn append(&self, samples: &[(Labels, Sample)]) {
        let mut rest = samples;
        while let Some((_, first)) = rest.first() {
            let count = rest.iter().take_while(|(_, sample)| sample.t == first.t).count();
            let written: Vec<Written> =
                rest[..count].iter().map(|(labels, s)| Written::new(labels.clone(), s.value.clone())).collect();
            self.write(UNWATCHED, first.t, 0, &written);
            rest = &rest[count..];
        }
    }

    /// Makes what was written safe against a power cut.
    pub fn sync(&self) {
        if let Some(Err(error)) = self.log.lock().as_mut().map(Log::sync) {
            tracing::error!(%error, "cannot sync the series' window");
        }
    }

    /// How long samples stay.
    pub fn retention_ms(&self) -> i64 {
        self.settings.retention_ms
    }

    /// The label sets of the series that all matchers match and that have samples in this time.
    pub fn labels(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Vec<Labels> {
        let inner = self.inner.read();
        let mut all = Vec::new();
        inner.each(matchers, start_ms, end_ms, |stored| {
            all.push(stored.labels.clone());
            true
        });
        all
    }

    /// All names of labels.
    pub fn label_names(&self) -> BTreeSet<String> {
        self.inner.read().postings.names().map(str::to_owned).collect()
    }

    /// All values of a label.
    pub fn label_values(&self, name: &str) -> BTreeSet<String> {
        self.inner.read().postings.values(name).map(|(value, _)| value.to_owned()).collect()
    }

    /// Values of a label with the number of their series, and names of labels with that of their
    /// values.
    pub fn cardinality(&self, name: &str) -> (Sizes, Sizes) {
        let inner = self.inner.read();
        let owned = |(text, count): (&str, usize)| (text.to_owned(), count);
        (inner.postings.values(name).map(owned).collect(), inner.postings.counts().map(owned).collect())
    }

    /// Whether a series is there and has not ended.
    pub fn lives(&self, labels: &Labels) -> bool {
        let inner = self.inner.read();
        inner.ids.get(labels).and_then(|id| inner.series.get(id)).is_some_and(|stored| !stored.stale)
    }

    /// The last sample of a series, if it has not ended.
    pub fn last(&self, labels: &Labels) -> Option<Sample> {
        let inner = self.inner.read();
        let stored = inner.series.get(inner.ids.get(labels)?)?;
        if stored.stale {
            return None;
        }
        let mut last = None;
        stored.open.read(|sample| last = Some(sample));
        last
    }

    /// The last samples of all series of a metric that have not ended.
    pub fn last_of(&self, metric: &str) -> Vec<(Labels, Sample)> {
        let inner = self.inner.read();
        let mut all = Vec::new();
        inner.each(&[Matcher::equal(super::METRIC_NAME, metric)], i64::MIN, i64::MAX, |stored| {
            if !stored.stale {
                let mut last = None;
                stored.open.read(|sample| last = Some(sample));
                all.extend(last.map(|sample| (stored.labels.clone(), sample)));
            }
            true
        });
        all
    }

    /// What it holds.
    pub fn stats(&self) -> Stats {
        let inner = self.inner.read();
        let mut stats = Stats {
            series: inner.series.len(),
            refused: inner.refused,
            late: inner.late,
            log_failures: inner.log_failures,
            bytes: inner.postings.memory(),
            ..Stats::default()
        };
        for stored in inner.series.values() {
            stats.chunks += stored.closed.len() + 1;
            // The set of labels, its places in two tables, and the series itself.
            stats.bytes += stored.labels.bytes() + std::mem::size_of::<Stored>() + 48;
            stats.bytes += stored.closed.iter().chain([&stored.open]).map(Chunk::memory).sum::<usize>();
            let first = stored.closed.first().unwrap_or(&stored.open).first_ms;
            stats.oldest_ms = Some(stats.oldest_ms.map_or(first, |oldest| oldest.min(first)));
            let last = stored.open.last_ms();
            stats.newest_ms = Some(stats.newest_ms.map_or(last, |newest| newest.max(last)));
        }
        stats
    }
}

impl Queryable for Window {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Series>, SelectError> {
        let inner = self.inner.read();
        let (mut all, mut count) = (Vec::new(), 0);
        let whole = inner.each(matchers, start_ms, end_ms, |stored| {
            let samples = stored.samples(start_ms, end_ms);
            count += samples.len();
            if !samples.is_empty() {
                all.push(Series { labels: stored.labels.clone(), samples });
            }
            count <= SELECT_SAMPLES_MAX
        });
        match whole {
            true => Ok(all),
            false => Err(SelectError::Limit(format!("more than {SELECT_SAMPLES_MAX} samples"))),
        }
    }
}

impl Inner {
    fn write(&mut self, settings: &Settings, source: &str, at_ms: i64, interval_ms: i64, samples: &[Written]) {
        let mut present = Vec::with_capacity(samples.len());
        let before = self.sources.get_mut(source).map(std::mem::take);
        let mut follow = Follow::new(before.as_deref().unwrap_or_default());
        for sample in samples {
            let is = |id| self.series.get(&id).is_some_and(|stored| stored.labels == sample.labels);
            let known = follow.next(is).or_else(|| self.ids.get(&sample.labels).copied());
            let Some(value) = &sample.value else {
                present.extend(known);
                continue;
            };
            match known {
                Some(id) => {
                    present.push(id);
                    let Some(stored) = self.series.get_mut(&id) else { continue };
                    if sample.born && stored.stale {
                        stored.append(at_ms - interval_ms.max(1), &zero(value));
                    }
                    self.late += u64::from(!stored.append(at_ms, value));
                }
                None if self.series.len() >= settings.series_max => self.refused += 1,
                None => {
                    let open = match sample.born {
                        true => Chunk::new(at_ms - interval_ms.max(1), &zero(value)),
                        false => Chunk::new(at_ms, value),
                    };
                    let (labels, histogram) = (sample.labels.clone(), value.histogram().is_some());
                    let mut stored = Stored { labels, closed: Vec::new(), open, stale: value.is_stale(), histogram };
                    if sample.born {
                        stored.append(at_ms, value);
                    }
                    present.push(self.add(stored));
                }
            }
        }
        if source != UNWATCHED {
            self.end_missing(at_ms, before.unwrap_or_default(), &present);
            self.sources.insert(source.to_owned(), present);
        }
    }

    fn add(&mut self, stored: Stored) -> u32 {
        let id = self.next;
        self.next += 1;
        self.postings.add(id, &stored.labels);
        self.ids.insert(stored.labels.clone(), id);
        self.series.insert(id, stored);
        id
    }

    /// Ends the series that the source's last write had and this one has not.
    fn end_missing(&mut self, at_ms: i64, before: Vec<u32>, present: &[u32]) {
        if before == present {
            return;
        }
        let present: FxHashSet<u32> = present.iter().copied().collect();
        for id in before.into_iter().filter(|id| !present.contains(id)) {
            if let Some(stored) = self.series.get_mut(&id)
                && !stored.stale
            {
                let marker = if stored.histogram { stale_histogram().into() } else { Value::Float(stale_nan()) };
                stored.append(at_ms, &marker);
            }
        }
    }

    /// Drops chunks that end before `least_ms`, and series without any other.
    fn trim(&mut self, least_ms: i64) {
        self.trimmed_ms = least_ms;
        let (mut gone, mut labels) = (FxHashSet::default(), Vec::new());
        for (id, stored) in &mut self.series {
            stored.closed.retain(|chunk| chunk.last_ms() >= least_ms);
            if stored.closed.is_empty() && stored.open.last_ms() < least_ms {
                gone.insert(*id);
                labels.push(stored.labels.clone());
            }
        }
        if gone.is_empty() {
            return;
        }
        self.series.retain(|id, _| !gone.contains(id));
        labels.iter().for_each(|labels| {
            self.ids.remove(labels);
        });
        self.postings.remove(&gone, &labels);
        self.sources.values_mut().for_each(|list| list.retain(|id| !gone.contains(id)));
    }

    /// Gives the series that match and reach into this time, until `each` says false; whether
    /// these were all.
    fn each(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64, mut each: impl FnMut(&Stored) -> bool) -> bool {
        let mut visit = |stored: &Stored| {
            let first = stored.closed.first().unwrap_or(&stored.open).first_ms;
            let meets = first <= end_ms && stored.open.last_ms() >= start_ms;
            !meets || !Matcher::all_match(matchers, &stored.labels) || each(stored)
        };
        match self.postings.candidates(matchers) {
            Some(ids) => ids.iter().filter_map(|id| self.series.get(id)).all(&mut visit),
            None => self.series.values().all(&mut visit),
        }
    }
}

impl Stored {
    /// Appends a sample; false where its time has not risen.
    fn append(&mut self, at_ms: i64, value: &Value) -> bool {
        if at_ms <= self.open.last_ms() {
            return false;
        }
        if !self.open.append(at_ms, value) {
            let mut full = std::mem::replace(&mut self.open, Chunk::new(at_ms, value));
            full.close();
            self.closed.push(full);
        }
        self.stale = value.is_stale();
        self.histogram = value.histogram().is_some();
        true
    }

    fn samples(&self, start_ms: i64, end_ms: i64) -> Vec<Sample> {
        let within = |chunk: &&Chunk| chunk.first_ms <= end_ms && chunk.last_ms() >= start_ms;
        let chunks = || self.closed.iter().chain([&self.open]).filter(within);
        let mut samples = Vec::with_capacity(chunks().map(|chunk| chunk.within(start_ms, end_ms)).sum());
        for chunk in chunks() {
            chunk.read(|sample| {
                if (start_ms..=end_ms).contains(&sample.t) {
                    samples.push(sample);
                }
            });
        }
        samples
    }
}

/// What a counter was before it began.
pub fn zero(value: &Value) -> Value {
    match value {
        Value::Float(_) => Value::Float(0.0),
        Value::Histogram(histogram) => NativeHistogram {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            custom_values: histogram.custom_values.clone(),
            ..NativeHistogram::default()
        }
        .into(),
    }
}

#[cfg(test)]
mod tests;
