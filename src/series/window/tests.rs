//! The window against a plain list of samples, over restarts and torn files.

use super::*;
use crate::series::{METRIC_NAME, Op, is_stale};
use std::collections::BTreeMap;

fn labels(name: &str, job: &str) -> Labels {
    Labels::new([(METRIC_NAME, name), ("job", job)])
}

fn settings(path: Option<PathBuf>) -> Settings {
    Settings { path, retention_ms: 7_200_000, series_max: 1_000 }
}

fn shown(window: &Window, name: &str) -> BTreeMap<String, Vec<(i64, String)>> {
    let all = window.select(&[Matcher::equal(METRIC_NAME, name)], 0, i64::MAX).unwrap();
    let value = |value: &Value| match value {
        value if value.is_stale() => "stale".to_owned(),
        Value::Float(value) => value.to_string(),
        Value::Histogram(h) => format!("{}/{}", h.count, h.positive.len()),
    };
    all.into_iter()
        .map(|s| (s.labels.to_string(), s.samples.iter().map(|s| (s.t, value(&s.value))).collect()))
        .collect()
}

fn born(labels: Labels, value: impl Into<Value>) -> Written {
    Written { born: true, ..Written::new(labels, value) }
}

fn histogram(count: f64) -> NativeHistogram {
    NativeHistogram { schema: 3, count, sum: count, positive: vec![(1, count)], ..NativeHistogram::default() }
}

fn fill(window: &Window) {
    window.write("a", 1_000, 1_000, &[born(labels("c", "x"), 2.0), Written::new(labels("g", "x"), 0.5)]);
    window.write("a", 2_000, 1_000, &[Written::new(labels("c", "x"), 2.0), Written::new(labels("g", "x"), 0.5)]);
    window.write("b", 2_000, 1_000, &[born(labels("h", "y"), histogram(3.0))]);
    let silent = Written { value: None, ..Written::new(labels("c", "x"), 0.0) };
    window.write("a", 3_000, 1_000, &[silent]);
    window.write("a", 4_000, 1_000, &[Written::new(labels("c", "x"), 7.0), Written::new(labels("g", "x"), 1.0)]);
    window.write("b", 4_000, 1_000, &[]);
}

fn check(window: &Window) {
    let point = |t: i64, text: &str| (t, text.to_owned());
    let want = vec![point(0, "0"), point(1_000, "2"), point(2_000, "2"), point(4_000, "7")];
    assert_eq!(shown(window, "c")["c{job=\"x\"}"], want);
    let want = vec![point(1_000, "0.5"), point(2_000, "0.5"), point(3_000, "stale"), point(4_000, "1")];
    assert_eq!(shown(window, "g")["g{job=\"x\"}"], want);
    let want = vec![point(1_000, "0/0"), point(2_000, "3/1"), point(4_000, "stale")];
    assert_eq!(shown(window, "h")["h{job=\"y\"}"], want);
}

#[test]
fn births_silences_and_ends_are_seen() {
    let window = Window::open(settings(None)).unwrap();
    fill(&window);
    check(&window);
    assert_eq!(window.last(&labels("c", "x")).map(|s| s.t), Some(4_000));
    assert!(window.last(&labels("h", "y")).is_none());
}

#[test]
fn a_restart_finds_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    fill(&Window::open(settings(Some(folder.path().to_owned()))).unwrap());
    let window = Window::open(settings(Some(folder.path().to_owned()))).unwrap();
    check(&window);
    // What the process before wrote and this one does not has ended.
    window.write("a", 5_000, 1_000, &[Written::new(labels("c", "x"), 8.0)]);
    assert_eq!(shown(&window, "g")["g{job=\"x\"}"].last().unwrap().1, "stale");
    drop(window);
    let window = Window::open(settings(Some(folder.path().to_owned()))).unwrap();
    assert_eq!(shown(&window, "c")["c{job=\"x\"}"].last().unwrap(), &(5_000, "8".to_owned()));
}

#[test]
fn a_torn_tail_costs_the_last_write_alone() {
    let folder = tempfile::tempdir().unwrap();
    let write = |folder: &std::path::Path| {
        let window = Window::open(settings(Some(folder.to_owned()))).unwrap();
        for n in 1..=5 {
            window.write("a", n * 1_000, 1_000, &[Written::new(labels("c", "x"), n as f64)]);
        }
    };
    write(folder.path());
    let path = folder.path().join("00000000.log");
    let whole = std::fs::read(&path).unwrap();
    let mut seen = Vec::new();
    for cut in 0..=whole.len() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("00000000.log"), &whole[..cut]).unwrap();
        let window = Window::open(settings(Some(folder.path().to_owned()))).unwrap();
        let count = shown(&window, "c").values().map(Vec::len).sum::<usize>();
        assert!(seen.last().is_none_or(|&before| count == before || count == before + 1), "{cut}");
        seen.push(count);
        window.write("a", 9_000, 1_000, &[Written::new(labels("c", "x"), 9.0)]);
        drop(window);
        let window = Window::open(settings(Some(folder.path().to_owned()))).unwrap();
        assert_eq!(shown(&window, "c").values().map(Vec::len).sum::<usize>(), count + 1, "{cut}");
    }
    assert_eq!(seen.last(), Some(&5));
    let mut bad = whole.clone();
    bad[60] ^= 1;
    std::fs::write(&path, bad).unwrap();
    assert!(Window::open(settings(Some(folder.path().to_owned()))).is_ok());
}

#[test]
fn what_is_too_old_goes_also_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { retention_ms: 600_000, ..settings(Some(folder.path().to_owned())) };
    let window = Window::open(settings.clone()).unwrap();
    for n in 0..1_000 {
        let job = if n < 300 { "old" } else { "new" };
        window.write("a", n * 10_000, 10_000, &[Written::new(labels("c", job), n as f64)]);
    }
    let stats = window.stats();
    assert_eq!(stats.series, 1, "{stats:?}");
    assert!(stats.oldest_ms.unwrap() > 6_000_000, "{stats:?}");
    assert_eq!(window.label_values("job").into_iter().collect::<Vec<_>>(), ["new"]);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert!((8..=11).contains(&files), "{files} files");
    drop(window);
    let again = Window::open(settings).unwrap().stats();
    assert_eq!(again.newest_ms, stats.newest_ms);
}

#[test]
fn too_many_series_are_refused_and_counted() {
    let window = Window::open(Settings { series_max: 10, ..settings(None) }).unwrap();
    let samples: Vec<Written> = (0..15).map(|n| Written::new(labels("c", &n.to_string()), 1.0)).collect();
    window.write("a", 1_000, 1_000, &samples);
    let stats = window.stats();
    assert_eq!((stats.series, stats.refused), (10, 5));
}

#[test]
fn a_clock_that_is_set_back_writes_nothing() {
    let window = Window::open(settings(None)).unwrap();
    for t in [1_000, 2_000, 1_500, 2_000, 2_500] {
        window.write("a", t, 1_000, &[Written::new(labels("c", "x"), t as f64)]);
    }
    let times: Vec<i64> = shown(&window, "c")["c{job=\"x\"}"].iter().map(|(t, _)| *t).collect();
    assert_eq!((times, window.stats().late), (vec![1_000, 2_000, 2_500], 2));
}

#[test]
fn matchers_choose() {
    let window = Window::open(settings(None)).unwrap();
    let mut samples = vec![Written::new(Labels::new([(METRIC_NAME, "c")]), 1.0)];
    samples.extend(["a", "ab", "b"].map(|job| Written::new(labels("c", job), 1.0)));
    samples.push(Written::new(labels("d", "a"), 1.0));
    window.write("a", 1_000, 1_000, &samples);
    let check = |matchers: &[(Op, &str, &str)], want: &[&str]| {
        let matchers: Vec<Matcher> = matchers.iter().map(|(op, n, v)| Matcher::new(*op, *n, *v).unwrap()).collect();
        let mut got: Vec<String> = window.labels(&matchers, 0, 2_000).iter().map(Labels::to_string).collect();
        got.sort();
        assert_eq!(got, want, "{matchers:?}");
    };
    check(&[(Op::Equal, "job", "a")], &["c{job=\"a\"}", "d{job=\"a\"}"]);
    check(&[(Op::Equal, METRIC_NAME, "c"), (Op::Regex, "job", "a.?")], &["c{job=\"a\"}", "c{job=\"ab\"}"]);
    check(&[(Op::Equal, METRIC_NAME, "c"), (Op::NotRegex, "job", "a.?")], &["c", "c{job=\"b\"}"]);
    check(&[(Op::Equal, "job", "")], &["c"]);
    check(&[(Op::NotEqual, "job", "")], &["c{job=\"a\"}", "c{job=\"ab\"}", "c{job=\"b\"}", "d{job=\"a\"}"]);
    check(&[(Op::Equal, "none", "x")], &[]);
}

#[test]
fn what_is_kept_long_is_one_series_with_what_is_not() {
    let store = Store::open(None, &StoreSettings { retention_ms: 60_000, ..StoreSettings::default() }).unwrap();
    store.keep_long([("c".to_owned(), 1_000)]);
    for n in 0..600 {
        store.write(
            "s",
            n * 1_000,
            1_000,
            &[Written::new(labels("c", "x"), n as f64), Written::new(labels("g", "x"), 1.0)],
        );
        store.append(&[(labels("r", "x"), Sample::new(n * 1_000, n as f64))]);
    }
    let count = |name| store.select(&[Matcher::equal(METRIC_NAME, name)], 0, i64::MAX).unwrap()[0].samples.len();
    assert_eq!((count("c"), count("r")), (600, 600));
    assert!(count("g") < 320, "{}", count("g"));
    assert_eq!(store.labels(&[], 0, i64::MAX).len(), 3);
}

#[test]
fn what_is_kept_long_is_thinned_to_its_interval() {
    let store = Store::open(None, &StoreSettings { retention_ms: 2_000, ..StoreSettings::default() }).unwrap();
    store.keep_long([("c".to_owned(), 10_000), ("d".to_owned(), 1_000)]);
    for n in 1..100_i64 {
        let mut all = vec![Written::new(labels("d", "x"), n as f64)];
        // Born between two samples that are kept.
        if n >= 33 {
            all.push(Written { born: n == 33, ..Written::new(labels("c", "x"), n as f64) });
        }
        store.write("s", n * 1_000, 1_000, &all);
        if n == 50 {
            // A reload goes on where it was.
            store.keep_long([("c".to_owned(), 10_000), ("d".to_owned(), 1_000)]);
        }
    }
    let kept = shown(store.long(), "c").remove("c{job=\"x\"}").unwrap();
    let kept: Vec<_> = kept.iter().map(|(at, value)| (*at, value.as_str())).collect();
    let want = [30, 40, 50, 60, 70, 80, 90].map(|n| (n * 1_000, if n == 30 { "0".to_owned() } else { n.to_string() }));
    assert_eq!(kept, want.iter().map(|(at, value)| (*at, value.as_str())).collect::<Vec<_>>());
    assert_eq!(shown(store.long(), "d")["d{job=\"x\"}"].len(), 99);
}

/// The figure that the head of the module states.
#[test]
fn memory_of_a_series_is_bounded() {
    let window = Window::open(Settings { series_max: 10_000, ..settings(None) }).unwrap();
    for n in 0..480_i64 {
        let series: Vec<Written> = (0..1_000)
            .map(|job| {
                Written::new(labels("requests_total", &format!("service-{job}")), ((n * (job % 7)) as f64).floor())
            })
            .collect();
        window.write("a", n * 15_000, 15_000, &series);
    }
    let stats = window.stats();
    let each = stats.bytes / stats.series;
    assert!(each < 700 + 480 * 3, "{each} bytes a series");
}

#[test]
fn markers_are_prometheus_own() {
    assert!(is_stale(stale_nan()) && !is_stale(f64::NAN));
}
