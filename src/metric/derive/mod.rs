//! Metrics derived from events: what `filter { derive { } }` and the built-in set count.
//!
//! ```text
//!  worker: Deriver (tables and deltas of its own, no lock, no allocation per event)
//!     │  at the end of each batch, once for each series that it touched
//!     ▼
//!  Series: a value under a lock of its own ──► collect: /metrics, the window, remote write
//! ```
//!
//! **What counts when.** An event counts once, when it passes, whatever its `@timestamp` says:
//! late and replayed events are counted now, so that sums over all time agree with the events. Who
//! does not want old events (the first reading of old files) sets `max_age`: what is older is left
//! out and counted in `logboom_derive_late_total`. A value that is no number counts nothing; one
//! that is NaN or infinite, or negative for a counter, is left out and counted in
//! `logboom_derive_ignored_total`.
//!
//! **Limits.** A family has at most `max_series` series; events beyond it share one series whose
//! label values are all `other` and are counted in `logboom_derive_overflow_total`. A series that
//! nothing was added to for `expire` seconds is gone, with a staleness marker in the window; if it
//! comes back it begins at 0. A worker that ends leaves its counts behind.

mod books;
mod classic;
mod counting;
mod deriver;
pub mod exponential;
mod groups;
mod ledger;
mod numbers;
mod origin;
mod places;
mod print;
mod series;
mod shown;
mod source;

pub use books::Book;
pub use deriver::Deriver;
pub use numbers::Number;
pub use origin::{Origin, Part};
pub use series::{Change, Cumulative, Delta, Exemplar, Histogram, Series, State};
pub use source::{ERROR, LEVEL, SERVICE, Text};

use super::exposition::{self, Kind, Names, Value};
use super::pipeline::Counter;
use crate::diagnostic::{Place, Sources};
use crate::event::FieldRef;
use crate::pipeline::Tracker;
use crate::series::{Labels, METRIC_NAME, Sample};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

/// The bounds of classic buckets where none are given, in seconds: those of Prometheus' clients,
/// and three beyond for jobs that take longer than a request.
pub const BOUNDS: [f64; 15] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Classic buckets that a metric may have.
pub const BOUNDS_MAX: usize = 200;
/// `max_series` where it is not given.
pub const SERIES_MAX: usize = 1_000;
/// `expire` where it is not given: a day.
pub const EXPIRE_SECONDS: f64 = 86_400.0;

/// The value of every label of the series beyond the cap.
pub const OTHER: &str = "other";

/// Series of one name, whatever pipelines they come from.
pub struct Family {
    /// The name as configured.
    pub name: String,
    /// One sentence.
    pub help: String,
    /// What its values mean.
    pub kind: Kind,
    /// Bounds of classic buckets; none where there are only native ones.
    pub bounds: Vec<f64>,
    /// Whether it has native buckets.
    pub native: bool,
    /// A gauge that is the mean over this time.
    pub over_ms: Option<i64>,
    /// Who defined it first.
    place: String,
    /// Which fields it is made of.
    origin: RwLock<Origin>,
    max_series: AtomicUsize,
    expire_ms: AtomicI64,
    /// Events that share the series `other`.
    pub overflow: Counter,
    /// Values left out.
    pub ignored: Counter,
    /// Events left out because of their age.
    pub late: Counter,
}

/// What a metric is to be.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Where it stands, for those who contradict it: "pipeline `main`, a.conf:7".
    pub place: String,
    /// One sentence.
    pub help: String,
    /// What its values mean.
    pub kind: Kind,
    /// Names of labels, sources of their values, and these as written.
    pub labels: Vec<(String, Text, String)>,
    /// Where its values come from.
    pub number: Number,
    /// What values are multiplied by.
    pub scale: f64,
    /// Bounds of classic buckets.
    pub bounds: Vec<f64>,
    /// Whether it has native buckets.
    pub native: bool,
    /// A gauge that is the mean over this time.
    pub over_ms: Option<i64>,
    /// Series that it may have.
    pub max_series: usize,
    /// How long a series stays that nothing is added to; `None` for ever.
    pub expire_ms: Option<i64>,
    /// Older events are left out.
    pub max_age_ms: Option<i64>,
    /// Fields that may hold the trace id, in order of preference.
    pub traces: Vec<FieldRef>,
}

/// A definition with its family.
pub struct Metric {
    pub(super) family: Arc<Family>,
    labels: Vec<(String, Text, String)>,
    number: Number,
    scale: f64,
    max_age_ms: Option<i64>,
    traces: Vec<FieldRef>,
    /// Of the family's bounds.
    classic: classic::Search,
}

/// Everything that is derived in this process.
#[derive(Default)]
pub struct Derived {
    families: RwLock<BTreeMap<String, Arc<Family>>>,
    /// Series by family; the labels hold the family's name.
    live: Mutex<BTreeMap<String, Live>>,
    /// Grows whenever series are gone, so that workers look again.
    generation: AtomicU64,
    /// The generation that books know.
    retained: AtomicU64,
    /// The files that definitions are read from at present.
    sources: RwLock<Option<Sources>>,
    /// The built-in set.
    defaults: RwLock<Vec<Arc<Metric>>>,
    /// Bounds that objectives ask for, by histogram.
    asked: RwLock<BTreeMap<String, Vec<f64>>>,
    /// The books, once they are open, by name.
    books: RwLock<BTreeMap<String, Arc<Book>>>,
    /// Whether anybody keeps books.
    journal: AtomicBool,
    /// Which book an input's batches are entered in.
    keepers: RwLock<Vec<(Weak<Tracker>, Arc<Book>)>>,
}

/// The series that a family has.
#[derive(Default)]
struct Live {
    series: FxHashMap<Labels, Arc<Series>>,
    /// The same, sorted, as long as none has come or gone.
    sorted: Option<Arc<[Arc<Series>]>>,
}

impl Live {
    /// The series of these labels, a new one if need be.
    fn get_or(&mut self, labels: &Labels, new: impl FnOnce() -> Series) -> Arc<Series> {
        if let Some(known) = self.series.get(labels) {
            return known.clone();
        }
        let new = Arc::new(new());
        self.insert(new.clone());
        new
    }

    fn insert(&mut self, series: Arc<Series>) {
        self.series.insert(series.labels.clone(), series);
        self.sorted = None;
    }
}

/// The book of what no input can replay.
const DIRECT: &str = "direct";

impl Derived {
    /// Says which files the definitions that come now stand in.
    pub fn read_from(&self, sources: Option<Sources>) {
        *self.sources.write() = sources;
    }

    /// A place in those files as people write it: `a.conf:7`.
    pub fn written_at(&self, place: Place) -> Option<String> {
        let sources = self.sources.read();
        let (name, text) = sources.as_ref()?.files.get(place.file as usize)?;
        let before = text.as_bytes().get(..place.start as usize)?;
        Some(format!("{name}:{}", before.iter().filter(|&&byte| byte == b'\n').count() + 1))
    }

    /// Gives a histogram that has classic buckets one that ends at `bound` too, if it is registered
    /// from now on: an objective counts the values up to there.
    /// False where it is registered already and has no such bound: it keeps those that it has.
    pub fn ask_bound(&self, histogram: &str, bound: f64) -> bool {
        match self.families.read().get(histogram) {
            Some(family) => family.bounds.is_empty() || family.bounds.contains(&bound),
            None => {
                self.asked.write().entry(histogram.to_owned()).or_default().push(bound);
                true
            }
        }
    }

    /// What a metric is made of; `None` where it is not derived from events.
    pub fn origin(&self, metric: &str) -> Option<Origin> {
        self.families.read().get(metric).map(|family| family.origin.read().clone())
    }

    /// The bounds of a definition with those that are asked for.
    fn with_asked(&self, definition: &mut Definition) {
        let asked = self.asked.read();
        let Some(asked) = asked.get(&definition.name).filter(|_| !definition.bounds.is_empty()) else { return };
        for bound in asked {
            let at = definition.bounds.partition_point(|known| known < bound);
            if definition.bounds.get(at) != Some(bound) && definition.bounds.len() < BOUNDS_MAX {
                definition.bounds.insert(at, *bound);
            }
        }
    }

    /// Enters a metric; says why it can't be.
    pub fn register(&self, mut definition: Definition) -> Result<Arc<Metric>, String> {
        self.with_asked(&mut definition);
        let mut families = self.families.write();
        let family = match families.get(&definition.name) {
            Some(family) => {
                family.agrees(&definition)?;
                family.origin.write().add(&definition);
                family.max_series.fetch_max(definition.max_series, Ordering::Relaxed);
                family.expire_ms.fetch_max(definition.expire_ms.unwrap_or(i64::MAX), Ordering::Relaxed);
                family.clone()
            }
            None => {
                if let Some(other) = families.values().find(|family| family.clashes(&definition)) {
                    return Err(format!(
                        "its series and those of {} `{}` ({}) would have one name",
                        other.kind.name(),
                        other.name,
                        other.place
                    ));
                }
                let family = Arc::new(Family::new(&definition));
                families.insert(definition.name.clone(), family.clone());
                family
            }
        };
        let Definition { labels, number, scale, max_age_ms, traces, .. } = definition;
        let classic = classic::Search::new(&family.bounds);
        Ok(Arc::new(Metric { family, labels, number, scale, max_age_ms, traces, classic }))
    }

    /// Sets what is derived from the events of every pipeline, behind its filters.
    pub fn set_defaults(&self, metrics: Vec<Arc<Metric>>) {
        *self.defaults.write() = metrics;
    }

    /// Derives the built-in set for one more worker.
    pub fn deriver(self: &Arc<Self>) -> Deriver {
        Deriver::new(self.clone(), &self.defaults.read())
    }

    /// Opens the books in a folder and takes the series that they hold. `keepers` are those who make
    /// positions durable, with the positions that are. Families must be registered before, events
    /// come after.
    pub fn open_books(
        &self,
        folder: &Path,
        keepers: &[(String, BTreeMap<String, String>)],
        now_ms: i64,
    ) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut sums: FxHashMap<Labels, (Arc<Family>, i64, Cumulative)> = FxHashMap::default();
        let named = keepers.iter().map(|(name, positions)| (name.as_str(), Some(positions)));
        for (name, positions) in named.chain([(DIRECT, None)]) {
            let (book, kept) = Book::open(folder, name, positions)?;
            for kept in kept {
                let Some(family) = self.families.read().get(kept.labels.metric_name()).cloned() else { continue };
                let Some(value) = ledger::fits(kept.value, &Cumulative::new(&family)) else { continue };
                book.enter(kept.labels.clone(), kept.created_ms, value.clone());
                match sums.get_mut(&kept.labels) {
                    Some((_, created_ms, sum)) => {
                        *created_ms = kept.created_ms.min(*created_ms);
                        sum.merge(&value);
                    }
                    None => {
                        sums.insert(kept.labels, (family, kept.created_ms, value));
                    }
                }
            }
            self.books.write().insert(name.to_owned(), Arc::new(book));
        }
        let mut live = self.live.lock();
        for (labels, (family, created_ms, value)) in sums {
            let series = Series::restored(family.clone(), labels, created_ms, value, now_ms);
            live.entry(family.name.clone()).or_default().insert(Arc::new(series));
        }
        self.journal.store(true, Ordering::Release);
        Ok(())
    }

    /// Holds the series that are behind what was shown of them last: `last` gives the last samples of
    /// a metric, by its name.
    pub fn hold(&self, last: impl Fn(&str) -> Vec<(Labels, Sample)>, now_ms: i64) {
        let wait = self.books.read().values().any(|book| book.replays());
        let families: Vec<Arc<Family>> = self.families.read().values().cloned().collect();
        for family in families.iter().filter(|family| family.kind != Kind::Gauge) {
            for (labels, shown) in shown::of_family(family, &last) {
                let series = {
                    let mut live = self.live.lock();
                    let live = live.entry(family.name.clone()).or_default();
                    let value = Cumulative::new(family);
                    live.get_or(&labels, || Series::restored(family.clone(), labels.clone(), 0, value, now_ms))
                };
                series.hold(shown, if wait { now_ms + books::HOLD_MS } else { now_ms });
            }
        }
    }

    /// Says who makes the positions of an input durable.
    pub fn keep(&self, tracker: &Arc<Tracker>, keeper: &str) {
        if let Some(book) = self.book(keeper) {
            let mut keepers = self.keepers.write();
            keepers
                .retain(|(known, _)| known.strong_count() > 0 && !std::ptr::eq(known.as_ptr(), Arc::as_ptr(tracker)));
            keepers.push((Arc::downgrade(tracker), book));
        }
    }

    /// The book of a keeper; a new one if need be; `None` where nobody keeps books, or one that is
    /// there can't be read: then nothing of it is overwritten, and counts belong to no position.
    pub fn book(&self, keeper: &str) -> Option<Arc<Book>> {
        let mut books = self.books.write();
        if let Some(known) = books.get(keeper) {
            return Some(known.clone());
        }
        // Reads what an earlier process left: once for each keeper.
        let new = match books.get(DIRECT)?.beside(keeper) {
            Ok(new) => Arc::new(new),
            Err(error) => {
                tracing::error!(%error, "cannot read a book of derived metrics: a crash may count some events twice");
                return None;
            }
        };
        books.insert(keeper.to_owned(), new.clone());
        Some(new)
    }

    fn keeps_journal(&self) -> bool {
        self.journal.load(Ordering::Acquire)
    }

    /// Enters what a batch added.
    fn settle(&self, added: Vec<(Arc<Series>, Change)>, of: Option<&(Arc<Tracker>, u64)>) {
        let keepers = self.keepers.read();
        let book = of.and_then(|(tracker, _)| {
            keepers.iter().find(|(known, _)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(tracker))).map(|(_, book)| book)
        });
        match (book, of) {
            (Some(book), Some(of)) => book.add(added, Some(of.clone())),
            _ => {
                if let Some(direct) = self.books.read().get(DIRECT) {
                    direct.add(added, None);
                }
            }
        }
    }

    /// Writes what no input can replay, and forgets what has expired.
    pub fn save_books(&self) {
        let books: Vec<(String, Arc<Book>)> = self.books.read().iter().map(|(n, b)| (n.clone(), b.clone())).collect();
        let generation = self.generation();
        let expired = self.retained.swap(generation, Ordering::AcqRel) != generation;
        for (name, book) in books {
            if expired {
                let live = self.live.lock();
                book.retain(|labels| {
                    live.get(labels.metric_name()).is_some_and(|live| live.series.contains_key(labels))
                });
            }
            if name == DIRECT
                && let Err(error) = book.close(&[], &[])
            {
                tracing::error!(%error, "cannot write a book of derived metrics");
            }
        }
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The series of a family with these labels; `None` where the family is full.
    fn series(&self, family: &Arc<Family>, labels: &[(&str, &str)], now_ms: i64) -> Option<Arc<Series>> {
        let labels = family.labels(labels);
        let mut live = self.live.lock();
        let live = live.entry(family.name.clone()).or_default();
        // The series `other` comes on top.
        let full = live.series.len() >= family.max_series.load(Ordering::Relaxed) && labels.len() > 1;
        if full && !live.series.contains_key(&labels) {
            return None;
        }
        Some(live.get_or(&labels, || Series::new(family.clone(), labels.clone(), now_ms)))
    }

    /// The series for what is beyond the cap.
    fn other(&self, family: &Arc<Family>, labels: &[(&str, &str)], now_ms: i64) -> Arc<Series> {
        let labels = family.labels(labels);
        let mut live = self.live.lock();
        let live = live.entry(family.name.clone()).or_default();
        live.get_or(&labels, || Series::new(family.clone(), labels.clone(), now_ms))
    }

    /// The series that a family has now, sorted by their labels.
    fn live(&self, family: &Family) -> Arc<[Arc<Series>]> {
        let mut all: Vec<Arc<Series>> = match self.live.lock().get(&family.name) {
            Some(Live { sorted: Some(sorted), .. }) => return sorted.clone(),
            Some(live) => live.series.values().cloned().collect(),
            None => Vec::new(),
        };
        // Not under the lock: a worker may wait for it with a new series.
        all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let all: Arc<[Arc<Series>]> = all.into();
        if let Some(live) = self.live.lock().get_mut(&family.name)
            && live.series.len() == all.len()
            && all.iter().all(|one| live.series.get(&one.labels).is_some_and(|known| Arc::ptr_eq(known, one)))
        {
            live.sorted = Some(all.clone());
        }
        all
    }

    /// Drops the series that nothing was added to for their family's `expire`.
    pub fn expire(&self, now_ms: i64) {
        let mut gone = 0;
        for live in self.live.lock().values_mut() {
            let before = live.series.len();
            live.series.retain(|_, series| {
                let expire_ms = series.family.expire_ms.load(Ordering::Relaxed);
                series.read(|state| state.updated_ms) > now_ms.saturating_sub(expire_ms)
            });
            if live.series.len() < before {
                live.sorted = None;
                gone += before - live.series.len();
            }
        }
        if gone > 0 {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Appends all families with their series.
    pub fn collect(&self, now_ms: i64, out: &mut Vec<exposition::Family>) {
        let families: Vec<Arc<Family>> = self.families.read().values().cloned().collect();
        for family in &families {
            let mut shown = exposition::Family::of(family.kind, family.name.clone(), family.help.clone());
            shown.samples.extend(self.live(family).iter().filter_map(|series| series.sample(now_ms)));
            out.push(shown);
        }
        collect_limits(&families, out);
    }
}

/// What limits cost, by metric.
fn collect_limits(families: &[Arc<Family>], out: &mut Vec<exposition::Family>) {
    let mut counter = |name, help, get: fn(&Family) -> &Counter| {
        let mut shown = exposition::Family::new(Kind::Counter, name, help);
        for family in families.iter().filter(|family| get(family).get() > 0) {
            shown.whole(&[("metric", &family.name)], get(family).get());
        }
        out.push(shown);
    };
    counter("logboom_derive_overflow", "Events counted as `other`, since their metric has its most series.", |f| {
        &f.overflow
    });
    counter("logboom_derive_ignored", "Values of derived metrics left out: NaN, infinite, or negative.", |f| {
        &f.ignored
    });
    counter("logboom_derive_late", "Events left out of derived metrics since they are older than `max_age`.", |f| {
        &f.late
    });
}

impl Family {
    fn new(definition: &Definition) -> Family {
        let mut origin = Origin::default();
        origin.add(definition);
        Family {
            name: definition.name.clone(),
            place: definition.place.clone(),
            origin: RwLock::new(origin),
            help: definition.help.clone(),
            kind: definition.kind,
            bounds: definition.bounds.clone(),
            native: definition.native,
            over_ms: definition.over_ms,
            max_series: AtomicUsize::new(definition.max_series),
            expire_ms: AtomicI64::new(definition.expire_ms.unwrap_or(i64::MAX)),
            overflow: Counter::default(),
            ignored: Counter::default(),
            late: Counter::default(),
        }
    }

    /// Whether a definition of the same name is of the same kind. What a metric is, it stays while the
    /// process runs: its series go on through reloads.
    fn agrees(&self, definition: &Definition) -> Result<(), String> {
        let (name, place) = (&self.name, &self.place);
        let first = format!("in {place}, which was the first to define it (it stays so until a restart)");
        if self.kind != definition.kind {
            let (kind, here) = (self.kind.name(), definition.kind.name());
            return Err(format!("`{name}` is a {kind} {first}; here it is a {here}"));
        }
        if self.over_ms != definition.over_ms {
            return Err(format!("`{name}` has another `over` {first}"));
        }
        if self.bounds != definition.bounds || self.native != definition.native {
            return Err(format!("`{name}` has other buckets {first}"));
        }
        Ok(())
    }

    /// Whether a metric of another name would give series of the same name.
    fn clashes(&self, definition: &Definition) -> bool {
        let names = |name: &str, kind| match kind {
            Kind::Histogram => ["", "_bucket", "_count", "_sum"].iter().map(|end| format!("{name}{end}")).collect(),
            _ => vec![name.to_owned()],
        };
        let (ours, theirs) = (names(&self.name, self.kind), names(&definition.name, definition.kind));
        ours.iter().any(|name| theirs.contains(name))
    }

    fn labels(&self, labels: &[(&str, &str)]) -> Labels {
        Labels::new(labels.iter().copied().chain(std::iter::once((METRIC_NAME, self.name.as_str()))))
    }
}

impl Series {
    /// As it is shown now; `None` for a mean without values.
    fn sample(&self, now_ms: i64) -> Option<exposition::Sample> {
        let held = self.settle_hold(now_ms);
        let (value, exemplars) = self.read(|state| {
            let raised = state.hold.as_ref().map(|(shown, _)| {
                let mut value = state.value.clone();
                value.raise(shown);
                value
            });
            let value = match raised.as_ref().unwrap_or(&state.value) {
                Cumulative::Counter(sum) => Value::Number(*sum),
                Cumulative::Gauge(value, _) => Value::Number(*value),
                Cumulative::Mean(window) => Value::Number(window.mean(now_ms)?),
                Cumulative::Histogram(histogram) => Value::Histogram(Box::new(exposition::Distribution {
                    classic: histogram.classic(&self.family.bounds),
                    native: histogram.native.as_ref().map(|native| native.native(histogram.sum)),
                })),
            };
            let exemplars = state.exemplars.iter().filter(|e| !e.trace.is_empty()).cloned().collect();
            Some((value, exemplars))
        })?;
        let labels = Names::Known(self.identity().clone());
        Some(exposition::Sample { labels, value, created_ms: Some(self.created_ms), exemplars, held })
    }
}

#[cfg(test)]
mod tests;
