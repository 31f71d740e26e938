//! Series to ask expressions of: counters with resets and gaps, gauges with NaN and infinities,
//! classic and native histograms, series that end and come back. The same on each day and machine
//! but for the date.

use logboom::metric::remote::{Outgoing, Protocol, encode};
use logboom::series::window::{Store, StoreSettings};
use logboom::series::{CUSTOM_SCHEMA, Labels, METRIC_NAME, NativeHistogram, ResetHint, Sample, Value, stale_nan};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::path::Path;

/// Milliseconds between samples of most series.
pub const STEP_MS: i64 = 15_000;
/// Samples of a series that lacks none.
const STEPS: usize = 220;

/// All of them.
pub struct Invented {
    /// The time of the first samples, in milliseconds.
    pub start_ms: i64,
    series: Vec<(Labels, Vec<(i64, Value)>)>,
    rng: SmallRng,
}

impl Invented {
    /// Series that begin at this time, in milliseconds.
    pub fn new(start_ms: i64) -> Invented {
        let mut all = Invented { start_ms, series: Vec::new(), rng: SmallRng::seed_from_u64(7) };
        all.counters();
        all.gauges();
        all.classic();
        all.native();
        all.custom();
        all.mixed();
        all
    }

    /// Leaves only series of these metrics.
    pub fn only(&mut self, wanted: impl Fn(&str) -> bool) {
        self.series.retain(|(labels, _)| wanted(labels.metric_name()));
    }

    /// The names of the metrics.
    pub fn metrics(&self) -> BTreeSet<String> {
        self.series.iter().map(|(labels, _)| labels.metric_name().to_owned()).collect()
    }

    /// The time of the last samples, in milliseconds.
    pub fn end_ms(&self) -> i64 {
        self.start_ms + (STEPS as i64 - 1) * STEP_MS
    }

    fn add(&mut self, labels: &[(&str, &str)], samples: Vec<(i64, Value)>) {
        self.series.push((Labels::new(labels.iter().copied()), samples));
    }

    /// Times of samples: some are missing at random, and those of odd series are not round.
    fn times(&mut self, round: bool) -> Vec<i64> {
        let mut times = Vec::new();
        for step in 0..STEPS as i64 {
            if self.rng.random_ratio(29, 30) {
                let late = if round { 0 } else { self.rng.random_range(0..2_000) };
                times.push(self.start_ms + step * STEP_MS + late);
            }
        }
        times
    }

    fn floats(&mut self, round: bool, mut next: impl FnMut(&mut SmallRng, usize) -> f64) -> Vec<(i64, Value)> {
        let times = self.times(round);
        let value = |(at, t): (usize, i64)| (t, Value::Float(next(&mut self.rng, at)));
        times.into_iter().enumerate().map(value).collect()
    }

    /// A counter that begins anew now and then.
    fn counter(&mut self, round: bool, most: u32) -> Vec<(i64, Value)> {
        let mut value = 0.0;
        self.floats(round, |rng, _| {
            let more = if rng.random_ratio(1, 4) { 0.0 } else { f64::from(rng.random_range(0..most)) };
            value = if rng.random_ratio(1, 40) { more } else { value + more };
            value
        })
    }

    fn counters(&mut self) {
        for job in ["a", "b", "c"] {
            for instance in ["i1", "i2"] {
                for status in ["200", "404", "500"] {
                    let most = if status == "200" { 50 } else { 5 };
                    let mut samples = self.counter(instance == "i1", most);
                    // Longer than selectors look back, with and without a marker of its end.
                    if (job, status) == ("b", "500") {
                        let (from, to) = (self.start_ms + 1_200_000, self.start_ms + 1_700_000);
                        samples.retain(|(t, _)| *t < from || *t >= to);
                        if instance == "i1" {
                            let at = samples.partition_point(|(t, _)| *t < from);
                            samples.insert(at, (from, stale_nan().into()));
                        }
                    }
                    let labels =
                        [(METRIC_NAME, "hits_total"), ("job", job), ("instance", instance), ("status", status)];
                    self.add(&labels, samples);
                }
                let (zone, version) = (if job == "c" { "east" } else { "west" }, format!("1.{}", job.len()));
                let labels = [(METRIC_NAME, "build_info"), ("job", job), ("instance", instance)];
                let samples = self.floats(true, |_, _| 1.0);
                let more = [("zone", zone), ("version", version.as_str())];
                self.add(&[&labels[..], &more[..]].concat(), samples);
            }
        }
    }

    fn gauges(&mut self) {
        for job in ["a", "b", "c"] {
            for instance in ["i1", "i2"] {
                let mut value = self.rng.random_range(0.0..10.0);
                let mut samples = self.floats(instance == "i1", |rng, _| {
                    value += rng.random_range(-1.5..1.5);
                    value
                });
                if (job, instance) == ("c", "i2") {
                    let end = samples.len() / 2;
                    samples.truncate(end);
                    samples.push((samples[end - 1].0 + 1, stale_nan().into()));
                }
                self.add(&[(METRIC_NAME, "load"), ("job", job), ("instance", instance)], samples);
            }
        }
        for nr in ["1", "2"] {
            let samples = self.floats(true, |rng, at| 20.0 + (at as f64 / 9.0).sin() + rng.random_range(-0.1..0.1));
            self.add(&[(METRIC_NAME, "room.temp"), ("room.nr", nr), ("job", "a")], samples);
        }
        for kind in ["nan", "inf", "constant", "zero", "huge", "tiny", "whole", "jumps", "negative"] {
            let samples = self.floats(kind != "jumps", |rng, at| match kind {
                "nan" if at % 3 == 0 => f64::NAN,
                "inf" if at % 5 == 0 => f64::INFINITY,
                "inf" if at % 7 == 0 => f64::NEG_INFINITY,
                "constant" => 5.0,
                "zero" => 0.0,
                "huge" => rng.random_range(1e300..1.7e308),
                "tiny" => rng.random_range(1e-300..1e-290),
                "whole" => f64::from(rng.random_range(0..4)),
                "jumps" => [1e15, -3.0, 0.1, 7e9][at % 4],
                "negative" => rng.random_range(-9.0..-1.0),
                _ => rng.random_range(0.0..3.0),
            });
            self.add(&[(METRIC_NAME, "odd"), ("kind", kind)], samples);
        }
        // Once in four minutes.
        let start_ms = self.start_ms;
        let slow = (0..14).map(|at| (start_ms + at * 240_000, Value::Float(at as f64 * 1.5))).collect();
        self.add(&[(METRIC_NAME, "slow"), ("job", "a")], slow);
    }

    fn classic(&mut self) {
        for job in ["a", "b", "c"] {
            let (times, mut counts, mut sum) = (self.times(job != "b"), [0.0_f64; 5], 0.0);
            let mut all: Vec<Vec<(i64, Value)>> = vec![Vec::new(); 7];
            for t in times {
                if self.rng.random_ratio(1, 60) {
                    (counts, sum) = ([0.0; 5], 0.0);
                }
                for _ in 0..self.rng.random_range(0..12) {
                    let value = self.rng.random_range(0.0_f64..1.8).powi(3);
                    let bucket = [0.1, 0.5, 1.0, 2.5, f64::INFINITY].iter().position(|bound| value <= *bound);
                    counts[bucket.unwrap_or(4)] += 1.0;
                    sum += value;
                }
                let mut below = 0.0;
                for (bucket, count) in counts.iter().enumerate() {
                    below += count;
                    all[bucket].push((t, below.into()));
                }
                all[5].push((t, below.into()));
                all[6].push((t, sum.into()));
            }
            for (name, le) in [
                ("bucket", "0.1"),
                ("bucket", "0.5"),
                ("bucket", "1.0"),
                ("bucket", "2.5"),
                ("bucket", "+Inf"),
                ("count", ""),
                ("sum", ""),
            ] {
                let name = format!("took_seconds_{name}");
                let mut labels = vec![(METRIC_NAME, name.as_str()), ("job", job)];
                labels.extend((!le.is_empty()).then_some(("le", le)));
                let samples = all.remove(0);
                self.add(&labels, samples);
            }
        }
        // What no client should say: no last bucket, falling counts, no number, nothing counted.
        let quirks: [(&str, &[(&str, f64)]); 6] = [
            ("endless", &[("1", 3.0), ("2", 5.0)]),
            ("falling", &[("1", 3.0), ("2", 2.0), ("+Inf", 5.0)]),
            ("worded", &[("one", 3.0), ("2", 5.0), ("+Inf", 5.0)]),
            ("empty", &[("1", 0.0), ("+Inf", 0.0)]),
            ("below", &[("-2", 1.0), ("-1", 4.0), ("+Inf", 5.0)]),
            ("nan", &[("1", f64::NAN), ("2", 4.0), ("+Inf", 5.0)]),
        ];
        for (kind, buckets) in quirks {
            for (le, count) in buckets {
                let samples = self.floats(true, |_, _| *count);
                self.add(&[(METRIC_NAME, "quirks_bucket"), ("kind", kind), ("le", le)], samples);
            }
        }
    }

    /// Histograms that count; `change` alters one before it counts on.
    fn histograms(&mut self, change: impl Fn(&mut NativeHistogram, usize, &mut SmallRng)) -> Vec<(i64, Value)> {
        let mut histogram = NativeHistogram { zero_threshold: 0.001, ..NativeHistogram::default() };
        let times = self.times(true);
        let mut one = |(at, t)| {
            change(&mut histogram, at, &mut self.rng);
            (t, Value::from(histogram.clone()))
        };
        times.into_iter().enumerate().map(&mut one).collect()
    }

    fn native(&mut self) {
        let count_up = |h: &mut NativeHistogram, rng: &mut SmallRng, negative: bool| {
            for _ in 0..rng.random_range(0..8) {
                let index = rng.random_range(-5..9);
                let side = if negative && rng.random_ratio(1, 3) { &mut h.negative } else { &mut h.positive };
                match side.binary_search_by_key(&index, |(known, _)| *known) {
                    Ok(at) => side[at].1 += 1.0,
                    Err(at) => side.insert(at, (index, 1.0)),
                }
                h.count += 1.0;
                h.sum += rng.random_range(0.1..3.0);
            }
            if rng.random_ratio(1, 3) {
                (h.zero_count, h.count) = (h.zero_count + 1.0, h.count + 1.0);
            }
        };
        let anew = |h: &mut NativeHistogram, schema: i32| {
            *h = NativeHistogram { schema, zero_threshold: h.zero_threshold, ..NativeHistogram::default() };
        };
        for job in ["a", "b", "c"] {
            let mut samples = self.histograms(|h, at, rng| {
                match (job, at) {
                    ("a", 0) => h.schema = 3,
                    ("a", 50 | 51 | 120) | ("b", 90) => anew(h, h.schema),
                    // Another resolution and another zero bucket, as clients do when buckets run out.
                    ("c", 0) => h.schema = 4,
                    ("c", 60) => anew(h, 2),
                    ("c", 130) => {
                        anew(h, 3);
                        h.zero_threshold = 0.01;
                    }
                    _ => {}
                }
                count_up(h, rng, job == "b");
            });
            if job == "b" {
                let (from, to) = (self.start_ms + 2_000_000, self.start_ms + 2_450_000);
                samples.retain(|(t, _)| *t < from || *t >= to);
                let at = samples.partition_point(|(t, _)| *t < from);
                samples.insert(at, (from, NativeHistogram { sum: stale_nan(), ..NativeHistogram::default() }.into()));
            }
            self.add(&[(METRIC_NAME, "spans_seconds"), ("job", job)], samples);
        }
        // No counters: up and down, with fractions.
        for job in ["a", "b"] {
            let samples = self.histograms(|h, _, rng| {
                let zero_count = if job == "a" { 0.5 } else { 0.0 };
                *h = NativeHistogram {
                    reset_hint: ResetHint::Gauge,
                    schema: 1,
                    zero_threshold: 0.001,
                    zero_count,
                    ..NativeHistogram::default()
                };
                for index in [-2, 0, 1, 4] {
                    h.positive.push((index, f64::from(rng.random_range(1..9_u8)) / 2.0));
                }
                h.count = h.zero_count + h.positive.iter().map(|(_, count)| count).sum::<f64>();
                h.sum = h.count * rng.random_range(0.5..2.0);
            });
            self.add(&[(METRIC_NAME, "levels"), ("job", job)], samples);
        }
    }

    /// Native histograms with bounds of their own.
    fn custom(&mut self) {
        for job in ["a", "b"] {
            let samples = self.histograms(|h, at, rng| {
                let bounds: &[f64] = if job == "b" && at >= 100 { &[1.0, 10.0, 20.0] } else { &[1.0, 5.0, 10.0, 50.0] };
                if at == 0 || at == 40 || *h.custom_values != *bounds {
                    let custom_values = bounds.into();
                    *h = NativeHistogram { schema: CUSTOM_SCHEMA, custom_values, ..NativeHistogram::default() };
                    h.positive = (0..=bounds.len() as i32).map(|index| (index, 0.0)).collect();
                }
                for _ in 0..rng.random_range(0..6) {
                    let bucket = rng.random_range(0..h.positive.len());
                    h.positive[bucket].1 += 1.0;
                    (h.count, h.sum) = (h.count + 1.0, h.sum + rng.random_range(0.5..60.0));
                }
            });
            self.add(&[(METRIC_NAME, "sizes_bytes"), ("job", job)], samples);
        }
    }

    /// Numbers and histograms by turns.
    fn mixed(&mut self) {
        for job in ["a", "b"] {
            let numbers = self.floats(true, |rng, at| at as f64 + rng.random_range(0.0..1.0));
            let histogram = |at: f64| NativeHistogram {
                count: at,
                sum: at * 2.0,
                positive: vec![(1, at)],
                ..NativeHistogram::default()
            };
            let turn = |(at, (t, value)): (usize, (i64, Value))| match at / 20 % 2 {
                0 => (t, value),
                _ => (t, histogram(at as f64).into()),
            };
            let samples = numbers.into_iter().enumerate().map(turn).collect();
            self.add(&[(METRIC_NAME, "mixed"), ("job", job)], samples);
        }
    }

    /// Keeps them in a window on disk, as the program finds it below `path.data`.
    pub fn keep(&self, data: &Path, retention_ms: i64) {
        let settings = StoreSettings { retention_ms, ..StoreSettings::default() };
        let store = Store::open(Some(&data.join("series")), &settings).expect("a window can be opened");
        let one = |(labels, samples): &(Labels, Vec<(i64, Value)>)| -> Vec<(Labels, Sample)> {
            samples.iter().map(|(t, value)| (labels.clone(), Sample { t: *t, value: value.clone() })).collect()
        };
        let mut all: Vec<(Labels, Sample)> = self.series.iter().flat_map(one).collect();
        all.sort_by_key(|(_, sample)| sample.t);
        store.short().append(&all);
        store.sync();
    }

    /// Bodies of requests of remote write that hold them, in order.
    pub fn requests(&self, protocol: Protocol) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        let mut from = self.start_ms;
        while from <= self.end_ms() {
            let to = from + 300_000;
            let mut part = Vec::new();
            for (labels, samples) in &self.series {
                let within: Vec<_> = samples.iter().filter(|(t, _)| (from..to).contains(t)).cloned().collect();
                // A request holds numbers of a series before its histograms.
                for run in within.chunk_by(|a, b| a.1.histogram().is_some() == b.1.histogram().is_some()) {
                    let (labels, samples, fractions) = (labels.clone(), run.to_vec(), labels.metric_name() == "levels");
                    part.push(Outgoing {
                        labels,
                        samples,
                        exemplars: Vec::new(),
                        about: None,
                        created_ms: None,
                        fractions,
                    });
                }
            }
            bodies.push(encode(protocol, &part).0);
            from = to;
        }
        bodies
    }
}
