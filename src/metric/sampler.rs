//! Takes all metrics at regular times and writes them to the series' window; who sends them on
//! (remote write and its like) gets the same samples.
//!
//! One thread. Between two samples it sleeps; the interval is the shortest of the setting and of
//! the rules' ([`Sampler::want_interval`]). It must not fall behind: a sample that is late is
//! taken late, never twice.

use super::Registry;
use super::derive::Exemplar;
use super::exposition::{Family, Format, Kind, Names, Sample, Value};
use super::pipeline::Counter;
use crate::series::window::{Store, Written};
use crate::series::{Builder, Labels, METRIC_NAME};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// The source that the sampler is for the window.
const SOURCE: &str = "metrics";
/// Exemplars kept of one series.
const EXEMPLARS_OF_SERIES: usize = 16;
/// Series whose exemplars are kept.
const EXEMPLAR_SERIES_MAX: usize = 10_000;
/// Samples are never closer than this.
const INTERVAL_MS_MIN: i64 = 1_000;
/// A counter is newly born if it began at most so long before the last sample: a batch shows what it
/// counted when it is done, and may take so long.
const BIRTH_LATE_MS: i64 = 60_000;
/// How often series that nobody adds to are looked for.
const EXPIRE_MS: i64 = 10_000;

/// What a metric is, for those who ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// One sentence.
    pub help: String,
}

/// One series at one sample.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Labels, value, and whether it is a counter that was born of late.
    pub written: Written,
    /// The family's name as metadata knows it.
    pub family: Arc<str>,
    /// When it began, where known.
    pub created_ms: Option<i64>,
    /// Exemplars that are new.
    pub exemplars: Vec<Exemplar>,
}

/// Everything at one time.
#[derive(Clone, Debug)]
pub struct Tick {
    /// The time.
    pub at_ms: i64,
    /// About when the next one comes.
    pub interval_ms: i64,
    /// All series.
    pub series: Vec<Taken>,
    /// What the families are.
    pub metadata: Arc<BTreeMap<String, Metadata>>,
}

/// Who else gets the samples. Called on the sampler's thread: it must not wait.
pub type Listener = Box<dyn Fn(&Tick) + Send + Sync>;

/// Exemplars of the last hours.
#[derive(Default)]
pub struct Exemplars {
    series: BTreeMap<Labels, VecDeque<Exemplar>>,
}

/// Samples the registry.
pub struct Sampler {
    registry: Arc<Registry>,
    /// Where samples are kept.
    pub store: Arc<Store>,
    interval_ms: AtomicI64,
    last_ms: AtomicI64,
    /// The newest sample that this process found: what began before it was shown, or is restored.
    found_ms: i64,
    /// Samples left out since the clock was behind the last one.
    skipped: Counter,
    listeners: RwLock<Vec<Listener>>,
    exemplars: RwLock<Exemplars>,
    metadata: RwLock<Arc<BTreeMap<String, Metadata>>>,
    /// One sample at a time.
    taking: Mutex<()>,
    stop: Mutex<bool>,
    stopped: Condvar,
    started: AtomicBool,
}

impl Sampler {
    /// A sampler that does not run yet.
    pub fn new(registry: Arc<Registry>, store: Arc<Store>, interval: Duration) -> Arc<Sampler> {
        let last = store.short().stats().newest_ms.unwrap_or(0);
        Arc::new(Sampler {
            registry,
            store,
            interval_ms: AtomicI64::new((interval.as_millis() as i64).max(INTERVAL_MS_MIN)),
            last_ms: AtomicI64::new(last),
            found_ms: last,
            skipped: Counter::default(),
            listeners: RwLock::default(),
            exemplars: RwLock::default(),
            metadata: RwLock::default(),
            taking: Mutex::new(()),
            stop: Mutex::new(false),
            stopped: Condvar::new(),
            started: AtomicBool::new(false),
        })
    }

    /// Starts the thread.
    pub fn start(self: &Arc<Self>) -> std::io::Result<()> {
        if self.started.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let sampler = self.clone();
        std::thread::Builder::new().name("sampler".into()).spawn(move || sampler.run())?;
        Ok(())
    }

    /// Takes a last sample and ends.
    pub fn end(&self) {
        *self.stop.lock() = true;
        self.stopped.notify_all();
        self.take(now_ms());
        self.registry.derived().save_books();
        self.store.sync();
    }

    /// Also gives samples to `listener` from now on.
    pub fn listen(&self, listener: Listener) {
        self.listeners.write().push(listener);
    }

    /// Rules are evaluated at this interval: samples come at least as often.
    pub fn want_interval(&self, interval: Duration) {
        let wanted = (interval.as_millis() as i64).max(INTERVAL_MS_MIN);
        self.interval_ms.fetch_min(wanted, Ordering::AcqRel);
    }

    /// The time between two samples.
    pub fn interval_ms(&self) -> i64 {
        self.interval_ms.load(Ordering::Acquire)
    }

    /// What the metrics are, by name.
    pub fn metadata(&self) -> Arc<BTreeMap<String, Metadata>> {
        self.metadata.read().clone()
    }

    /// Exemplars of series that `wanted` chooses, from `start_ms` to `end_ms`.
    pub fn exemplars(
        &self,
        start_ms: i64,
        end_ms: i64,
        wanted: impl Fn(&Labels) -> bool,
    ) -> Vec<(Labels, Vec<Exemplar>)> {
        let exemplars = self.exemplars.read();
        let of = |(labels, list): (&Labels, &VecDeque<Exemplar>)| {
            let within: Vec<Exemplar> =
                list.iter().filter(|e| (start_ms..=end_ms).contains(&e.at_ms)).cloned().collect();
            (!within.is_empty()).then(|| (labels.clone(), within))
        };
        exemplars.series.iter().filter(|(labels, _)| wanted(labels)).filter_map(of).collect()
    }

    fn run(&self) {
        let mut expire_ms = now_ms() + EXPIRE_MS;
        loop {
            let now = now_ms();
            if now >= expire_ms {
                self.registry.derived().expire(now);
                self.registry.derived().save_books();
                expire_ms = now + EXPIRE_MS;
            }
            self.take(now);
            let interval = self.interval_ms();
            // At round times, so that samples of several processes fall together.
            let next = (now_ms().div_euclid(interval) + 1) * interval;
            let mut stop = self.stop.lock();
            while !*stop {
                let left = next - now_ms();
                if left <= 0 || left > 2 * interval {
                    break;
                }
                self.stopped.wait_for(&mut stop, Duration::from_millis((left as u64).min(1_000)));
                // Rules that came meanwhile may want it sooner.
                if self.interval_ms() < interval {
                    break;
                }
            }
            if *stop {
                return;
            }
        }
    }

    /// How many samples were left out since the clock was behind the last one.
    pub fn skipped(&self) -> u64 {
        self.skipped.get()
    }

    /// Takes a sample now; none where the clock was set back, until it has caught up.
    pub fn take(&self, now_ms: i64) {
        let _one = self.taking.lock();
        let last_ms = self.last_ms.load(Ordering::Acquire);
        if now_ms <= last_ms {
            // Two at one time are no step back.
            if now_ms < last_ms {
                if self.skipped.get() == 0 {
                    tracing::warn!(
                        seconds = (last_ms - now_ms) / 1000,
                        "the clock is behind the last sample: no metric is sampled until it has caught up"
                    );
                }
                self.skipped.add(1);
            }
            return;
        }
        let families = self.registry.gather();
        let known_ms = self.found_ms.max(last_ms - BIRTH_LATE_MS);
        let born = |labels: &Labels, created_ms: i64| {
            created_ms > last_ms || (created_ms > known_ms && !self.store.short().lives(labels))
        };
        let mut tick =
            Tick { at_ms: now_ms, interval_ms: self.interval_ms(), series: Vec::new(), metadata: Arc::default() };
        let mut metadata = BTreeMap::new();
        for family in &families {
            let name: Arc<str> = format!("{}{}", family.name, family.suffix()).into();
            let about = Metadata { kind: family.kind.name(), help: family.help.clone().into_owned() };
            metadata.insert(name.to_string(), about);
            for sample in &family.samples {
                series_of(family, &name, sample, &born, &mut tick.series);
            }
        }
        let metadata = Arc::new(metadata);
        *self.metadata.write() = metadata.clone();
        tick.metadata = metadata;
        self.exemplars.write().add(&mut tick.series);
        let written: Vec<Written> = tick.series.iter().map(|taken| taken.written.clone()).collect();
        self.store.write(SOURCE, now_ms, tick.interval_ms, &written);
        self.last_ms.store(now_ms, Ordering::Release);
        self.listeners.read().iter().for_each(|listener| listener(&tick));
    }
}

/// The series of one sample: one, or those of a histogram. `born` says of counters by their labels
/// and when they began whether that is news.
fn series_of(
    family: &Family,
    name: &Arc<str>,
    sample: &Sample,
    born: &dyn Fn(&Labels, i64) -> bool,
    out: &mut Vec<Taken>,
) {
    let labels = |name: &str, le: Option<f64>| {
        let le = le.map(|le| Format::OpenMetrics.bound(le));
        Labels::new(sample.labels.iter().chain([(METRIC_NAME, name)]).chain(le.as_deref().map(|le| ("le", le))))
    };
    let whole = || match &sample.labels {
        Names::Known(identity) => identity.labels.clone(),
        Names::Pairs(_) => labels(name, None),
    };
    // Of a histogram, which is the `at`th of its parts.
    let part = |at: usize, end: &str, le: Option<f64>| match &sample.labels {
        Names::Known(identity) => identity.parts[at].clone(),
        Names::Pairs(_) => labels(&format!("{name}_{end}"), le),
    };
    let created_ms = sample.created_ms.filter(|_| family.kind != Kind::Gauge);
    let mut push = |labels: Labels, value: crate::series::Value, exemplars: Vec<Exemplar>| {
        let value = if sample.held { None } else { Some(value) };
        let born = created_ms.is_some_and(|created_ms| born(&labels, created_ms));
        let written = Written { labels, value, born };
        out.push(Taken { written, family: name.clone(), created_ms: sample.created_ms, exemplars });
    };
    match &sample.value {
        Value::Whole(_) | Value::Number(_) => {
            let value = sample.value.number().unwrap_or(f64::NAN);
            push(whole(), value.into(), sample.exemplars.clone());
        }
        Value::Buckets(_) | Value::Histogram(_) => {
            let Some(classic) = sample.value.classic() else { return };
            if let Some(native) = sample.value.native() {
                let own = if classic.buckets.is_empty() { sample.exemplars.clone() } else { Vec::new() };
                push(whole(), native.clone().into(), own);
                if classic.buckets.is_empty() {
                    return;
                }
            }
            let (mut below, count) = (f64::NEG_INFINITY, classic.buckets.len());
            let buckets = classic.buckets.iter().copied().chain([(f64::INFINITY, classic.count)]);
            for (at, (bound, count)) in buckets.enumerate() {
                let within = sample.exemplars.iter().filter(|e| e.value <= bound && e.value > below);
                push(part(at, "bucket", Some(bound)), (count as f64).into(), within.cloned().collect());
                below = bound;
            }
            push(part(count + 1, "sum", None), classic.sum.into(), Vec::new());
            push(part(count + 2, "count", None), (classic.count as f64).into(), Vec::new());
        }
    }
}

impl Exemplars {
    /// Keeps what is new, and leaves only that in `series`.
    fn add(&mut self, series: &mut [Taken]) {
        for taken in series.iter_mut().filter(|taken| !taken.exemplars.is_empty()) {
            let labels = &taken.written.labels;
            if !self.series.contains_key(labels) {
                if self.series.len() >= EXEMPLAR_SERIES_MAX {
                    self.drop_oldest();
                }
                self.series.insert(labels.clone(), VecDeque::new());
            }
            let Some(list) = self.series.get_mut(labels) else { continue };
            taken.exemplars.retain(|exemplar| !list.contains(exemplar));
            taken.exemplars.sort_by_key(|exemplar| exemplar.at_ms);
            for exemplar in &taken.exemplars {
                if list.len() >= EXEMPLARS_OF_SERIES {
                    list.pop_front();
                }
                list.push_back(exemplar.clone());
            }
        }
    }

    fn drop_oldest(&mut self) {
        let newest = |list: &VecDeque<Exemplar>| list.back().map_or(i64::MIN, |e| e.at_ms);
        let oldest = self.series.iter().min_by_key(|(_, list)| newest(list)).map(|(labels, _)| labels.clone());
        if let Some(labels) = oldest {
            self.series.remove(&labels);
        }
    }
}

/// Labels with more beside them, where they have none of the name.
pub fn with_external(labels: &Labels, external: &[(String, String)]) -> Labels {
    if external.is_empty() {
        return labels.clone();
    }
    let mut builder = Builder::of(labels);
    for (name, value) in external {
        if !labels.has(name) {
            builder.set(name, value);
        }
    }
    builder.build()
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::window::StoreSettings;
    use crate::series::{Matcher, Queryable};

    fn values(sampler: &Sampler, name: &str) -> Vec<(String, Vec<f64>)> {
        let matchers = [Matcher::equal(METRIC_NAME, name)];
        let all = sampler.store.select(&matchers, 0, i64::MAX).unwrap();
        let mut all: Vec<_> = all
            .into_iter()
            .map(|s| (s.labels.to_string(), s.samples.iter().filter_map(|s| s.value.float()).collect()))
            .collect();
        all.sort_by(|a: &(String, _), b| a.0.cmp(&b.0));
        all
    }

    #[test]
    fn what_is_counted_becomes_series() {
        let registry = Registry::new();
        let store = Arc::new(Store::open(None, &StoreSettings::default()).unwrap());
        let sampler = Sampler::new(registry.clone(), store, Duration::from_secs(15));
        let heard = Arc::new(Mutex::new(0));
        let (count, ears) = (registry.counter("things", "Things.", &[("a", "b")]), heard.clone());
        sampler.listen(Box::new(move |tick| *ears.lock() += tick.series.len()));
        count.add(2);
        sampler.take(15_000);
        count.add(3);
        registry.histogram("took_seconds", "Took.", &[]).lock().record_ms(20.0);
        sampler.take(30_000);
        sampler.take(30_000);
        assert_eq!(values(&sampler, "things_total"), [("things_total{a=\"b\"}".to_owned(), vec![2.0, 5.0])]);
        let buckets = values(&sampler, "took_seconds_bucket");
        assert_eq!(buckets.len(), 16);
        assert!(buckets.contains(&("took_seconds_bucket{le=\"1.0\"}".to_owned(), vec![1.0])), "{buckets:?}");
        assert_eq!(values(&sampler, "took_seconds_count")[0].1, [1.0]);
        assert_eq!(sampler.metadata()["things_total"], Metadata { kind: "counter", help: "Things.".to_owned() });
        assert!(*heard.lock() > 30);
        sampler.want_interval(Duration::from_millis(10));
        assert_eq!(sampler.interval_ms(), 1_000);
    }

    #[test]
    fn a_clock_that_is_set_back_is_waited_for() {
        let registry = Registry::new();
        let store = Arc::new(Store::open(None, &StoreSettings::default()).unwrap());
        let sampler = Sampler::new(registry.clone(), store, Duration::from_secs(10));
        let count = registry.counter("things", "Things.", &[]);
        for (at, n) in [(100_000, 1), (40_000, 1), (50_000, 1), (100_000, 0), (110_000, 1)] {
            count.add(n);
            sampler.take(at);
        }
        assert_eq!(values(&sampler, "things_total"), [("things_total".to_owned(), vec![1.0, 4.0])]);
        assert_eq!(sampler.skipped(), 2);
    }
}
