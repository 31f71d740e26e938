//! What do 100,000 derived series and 500 rules cost at an interval of 15 s, in percent of one core,
//! and how much memory does a series take? Each piece by itself: counting, books, sampling into the
//! window, remote write, rules.
//!
//! Measured is processor time of the one thread that does the piece; the rules may take 10 %. The
//! window is full before that: two hours of samples. Run: `cargo bench --bench rules`.

mod clock;

use logboom::event::{Batch, EventId, FieldId, Timestamp};
use logboom::metric::derive::{Definition, Deriver, Number, Text};
use logboom::metric::exposition::{Kind, Names};
use logboom::metric::remote::{RemoteWrite, Target};
use logboom::metric::{Registry, Sampler};
use logboom::pipeline::{Ack, Position, Tracker};
use logboom::promql::Options;
use logboom::rule::group::Recorder;
use logboom::rule::{Evaluator, Group, RuleState, file};
use logboom::series::window::{Store, StoreSettings, Written};
use logboom::series::{Labels, Sample};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Metrics; each has [`EACH`] series.
const METRICS: usize = 100;
const SERVICES: usize = 20;
const ACTIONS: usize = 50;
const EACH: usize = SERVICES * ACTIONS;
const SERIES: usize = METRICS * EACH;
/// Rules of each metric.
const RULES: [&str; 5] = [
    "{record: \"r0:M\", expr: 'sum by (service) (rate(M[5m]))'}",
    "{record: \"r1:M\", expr: 'sum(rate(M{service=\"s7\"}[5m])) / sum(rate(M[5m]))'}",
    "{record: \"r2:M\", expr: 'sum by (action) (rate(M{service=~\"s1.*\"}[5m]))'}",
    "{alert: A0, expr: 'sum by (service) (increase(M[1m])) > 1e9', for: 1m}",
    "{alert: A1, expr: 'M{action=\"a3\"} > 1e12'}",
];
const INTERVAL_MS: i64 = 15_000;
const WINDOW_MS: i64 = 7_200_000;
const ROUNDS: usize = 5;
/// The source under which the sampler writes.
const SOURCE: &str = "metrics";

fn main() {
    // `cargo test --benches` runs it too: there it has nothing to say.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the series");
    let (registry, mut world) = counted(folder.path());
    let store = window(folder.path());
    let now = jiff::Timestamp::now().as_millisecond().div_euclid(INTERVAL_MS) * INTERVAL_MS;
    println!("{SERIES} series, {} rules, percent of one core at 15 s\n", METRICS * RULES.len());
    fill(&registry, &store, now - WINDOW_MS, now);
    let sampler = Sampler::new(registry.clone(), store.clone(), Duration::from_millis(INTERVAL_MS as u64));
    let mut table = Table { now, rows: Vec::new() };
    table.measure("counting: every series once, 1,000 events", 1.0, |_| world.count());
    // The first cut has everything, those behind it what has changed.
    table.once("book: a cut with everything (rarely)", || world.cut());
    table.measure("book: a cut, every series changed", 1.5, |_| {
        world.observe(EACH);
        world.cut()
    });
    table.measure("book: a cut, 1 % changed, each 0.5 s", 30.0, |_| world.cut_few());
    table.measure("sampling into the window", 1.0, |now| used(|| sampler.take(now)));
    table.rules(&store, |now| {
        world.observe(EACH);
        sampler.take(now);
    });
    let queues = folder.path().join("remote");
    // Nobody listens there: what is measured is what the sampler waits for.
    let target = Target::parse("http://127.0.0.1:9/write").expect("an URL");
    let remote = RemoteWrite::start(vec![target], Vec::new(), &queues, &sampler, &registry).expect("queues");
    table.measure("sampling and remote write into its queue", 1.0, |now| {
        world.observe(EACH);
        used(|| sampler.take(now))
    });
    remote.end(Duration::ZERO);
    table.show();
    let stats = store.stats()[0];
    println!("\nwindow: {} series, {} bytes each for 2 h at 15 s", stats.series, stats.bytes / stats.series.max(1));
    println!("process: {} bytes a series, everything", resident() / SERIES);
}

struct Table {
    now: i64,
    rows: Vec<(String, Duration, f64)>,
}

impl Table {
    /// The best of some rounds; `times`: how often it is done within an interval.
    fn measure(&mut self, name: &str, times: f64, mut run: impl FnMut(i64) -> Duration) {
        let best = (0..ROUNDS).map(|_| {
            self.now += INTERVAL_MS;
            run(self.now)
        });
        let best = best.min().unwrap_or_default();
        self.rows.push((name.to_owned(), best, times));
    }

    fn once(&mut self, name: &str, run: impl FnOnce() -> Duration) {
        self.rows.push((name.to_owned(), run(), 0.0));
    }

    /// Evaluates rules, each time upon a new sample of everything.
    fn rules(&mut self, store: &Arc<Store>, mut sample: impl FnMut(i64)) {
        let text: String = (0..METRICS).map(group).collect();
        let groups = file::read(&format!("groups:\n{text}"), "rules.yml", 0).expect("the rules are right");
        let recorder = Into(store.clone());
        for kind in 0..=RULES.len() {
            let name = match RULES.get(kind) {
                Some(rule) => format!("  100 times {}", rule.split('\'').nth(1).unwrap_or_default()),
                None => "rules: all 500 of them".to_owned(),
            };
            let groups: Vec<Group> = groups.iter().map(|group| only(group, kind)).collect();
            let new = |group: &Group| vec![RuleState::default(); group.rules.len()];
            let mut states: Vec<Vec<RuleState>> = groups.iter().map(new).collect();
            self.measure(&name, 1.0, |now| {
                sample(now);
                used(|| evaluate(&groups, &mut states, store, &recorder, now))
            });
        }
    }

    fn show(&self) {
        for (name, time, times) in &self.rows {
            let percent = time.as_secs_f64() * times / (INTERVAL_MS as f64 / 1000.0) * 100.0;
            println!("{name:<70} {:>9.1} ms {percent:>7.2} %", time.as_secs_f64() * 1000.0);
        }
    }
}

fn group(metric: usize) -> String {
    let rules: String = RULES.iter().map(|rule| format!("  - {}\n", rule.replace('M', &name(metric)))).collect();
    format!("- name: g{metric}\n  rules:\n{rules}")
}

/// One rule of a group, or all.
fn only(group: &Group, kind: usize) -> Group {
    let mut group = group.clone();
    if kind < RULES.len() {
        group.rules = vec![group.rules[kind].clone()];
    }
    group
}

fn evaluate(groups: &[Group], states: &mut [Vec<RuleState>], store: &Store, recorder: &Into, now: i64) {
    let (options, none) = (Options::default(), Labels::empty());
    let evaluator = Evaluator {
        source: store,
        recorder,
        options: &options,
        external_labels: &none,
        external_url: "",
        query_offset: 0,
        settling: false,
        clock: &|| 0.0,
    };
    for (group, states) in groups.iter().zip(states) {
        let outcome = evaluator.evaluate(group, states, now);
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    }
}

struct Into(Arc<Store>);

impl Recorder for Into {
    fn record(&self, samples: Vec<(Labels, Sample)>) {
        self.0.append(&samples);
    }
}

/// What counts, as a worker does.
struct World {
    registry: Arc<Registry>,
    deriver: Deriver,
    batch: Batch,
    events: Vec<EventId>,
    tracker: Arc<Tracker>,
    cuts: u64,
}

fn name(metric: usize) -> String {
    format!("metric{metric:03}_total")
}

/// All series, each counted once.
fn counted(folder: &Path) -> (Arc<Registry>, World) {
    let registry = Registry::new();
    let derived = registry.derived().clone();
    let metrics: Vec<_> = (0..METRICS)
        .map(|metric| {
            let label = |name: &str, text: &str| (name.to_owned(), Text::parse(text), text.to_owned());
            let definition = Definition {
                name: name(metric),
                place: "bench".to_owned(),
                help: "Counted.".to_owned(),
                kind: Kind::Counter,
                labels: vec![label("service", "%{service}"), label("action", "%{action}")],
                number: Number::One,
                scale: 1.0,
                bounds: Vec::new(),
                native: false,
                over_ms: None,
                max_series: EACH,
                expire_ms: None,
                max_age_ms: None,
                traces: Vec::new(),
            };
            derived.register(definition).expect("a metric")
        })
        .collect();
    let keepers = [("bench".to_owned(), BTreeMap::new())];
    derived.open_books(&folder.join("derived"), &keepers, 0).expect("books");
    let tracker = Arc::new(Tracker::default());
    derived.keep(&tracker, "bench");
    let mut batch = Batch::new();
    let events = (0..EACH).map(|at| {
        let event = batch.new_event();
        for (key, value) in [("service", format!("s{}", at / ACTIONS)), ("action", format!("a{}", at % ACTIONS))] {
            let value = batch.str(&value);
            batch.set_key(event, FieldId::intern(key), value);
        }
        event
    });
    let events = events.collect();
    let deriver = Deriver::new(derived, &metrics);
    let mut world = World { registry: registry.clone(), deriver, batch, events, tracker, cuts: 0 };
    world.observe(EACH);
    (registry, world)
}

impl World {
    /// Adds one to the series of so many of the label sets.
    fn observe(&mut self, events: usize) {
        let position = Position { source: "a".into(), value: self.cuts.to_string().into() };
        let ack = Ack::new(self.tracker.clone(), self.tracker.issue(vec![position]));
        let now = Timestamp::new(jiff::Timestamp::now().as_second(), 0);
        self.deriver.observe(&self.batch, &self.events[..events], now);
        self.deriver.settle(&ack);
        ack.done();
    }

    fn count(&mut self) -> Duration {
        used(|| self.observe(EACH))
    }

    /// Writes the book as it is once all batches are durable.
    fn cut(&mut self) -> Duration {
        self.cuts += 1;
        let position = Position { source: "a".into(), value: self.cuts.to_string().into() };
        let book = self.registry.derived().book("bench").expect("the book is open");
        let ends = [(self.tracker.clone(), self.tracker.issued())];
        used(|| book.close(&ends, &[position]).expect("the book can be written"))
    }

    fn cut_few(&mut self) -> Duration {
        self.observe(EACH / 100);
        self.cut()
    }
}

fn window(folder: &Path) -> Arc<Store> {
    Arc::new(Store::open(Some(&folder.join("series")), &StoreSettings::default()).expect("a window"))
}

/// Two hours of samples.
fn fill(registry: &Registry, store: &Store, from: i64, to: i64) {
    let mut families = Vec::new();
    registry.derived().collect(from, &mut families);
    let samples = families.iter().flat_map(|family| &family.samples);
    let mut all: Vec<Written> = samples
        .filter_map(|sample| match &sample.labels {
            Names::Known(identity) => Some(Written::new(identity.labels.clone(), 0.0)),
            Names::Pairs(_) => None,
        })
        .collect();
    assert_eq!(all.len(), SERIES);
    for (step, at) in (from..to).step_by(INTERVAL_MS as usize).enumerate() {
        for (n, one) in all.iter_mut().enumerate() {
            // Some busy, some idle.
            one.value = Some(((step * (n % 7)) as f64).into());
        }
        store.write(SOURCE, at, INTERVAL_MS, &all);
    }
}

/// Processor time of this thread for something.
fn used(run: impl FnOnce()) -> Duration {
    let before = clock::thread();
    run();
    clock::thread() - before
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}
