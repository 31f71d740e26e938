//! Whole metrics from events to text.

use super::*;
use crate::event::{Batch, EventId, Timestamp};
use crate::filter::common::tests::event;
use crate::metric::exposition::Format;
use crate::pipeline::Ack;

fn metric(home: &Derived, change: impl FnOnce(&mut Definition)) -> Arc<Metric> {
    let label = |name: &str, text: &str| (name.to_owned(), Text::parse(text), text.to_owned());
    let mut definition = Definition {
        name: "events_total".to_owned(),
        place: "pipeline `p`, a.conf:7".to_owned(),
        help: "Events.".to_owned(),
        kind: Kind::Counter,
        labels: vec![label("service", "%{[@service]}"), label("level", "%{[@level]}")],
        number: Number::One,
        scale: 1.0,
        bounds: Vec::new(),
        native: false,
        over_ms: None,
        max_series: SERIES_MAX,
        expire_ms: None,
        max_age_ms: None,
        traces: vec![FieldRef::of("traceId")],
    };
    change(&mut definition);
    home.register(definition).unwrap()
}

fn histogram(home: &Derived) -> Arc<Metric> {
    metric(home, |d| {
        d.kind = Kind::Histogram;
        d.name = "duration_seconds".to_owned();
        d.labels.truncate(1);
        d.number = Number::Field(FieldRef::of("duration"));
        (d.scale, d.bounds, d.native) = (0.001, vec![0.1, 0.25], true);
    })
}

fn batch(lines: &[&str]) -> (Batch, Vec<EventId>) {
    let mut batch = Batch::new();
    let events = lines.iter().map(|line| event(&mut batch, line)).collect();
    (batch, events)
}

fn text(home: &Derived, now_ms: i64) -> String {
    let mut families = Vec::new();
    home.collect(now_ms, &mut families);
    Format::OpenMetrics.text(&families)
}

fn check(got: &str, lines: &[&str]) {
    for line in lines {
        assert!(got.contains(&format!("{line}\n")), "{line} is missing in\n{got}");
    }
}

const NOW: Timestamp = Timestamp::new(1_000, 0);

/// The family of a counter, for the books.
pub(super) fn counter_family() -> Arc<Family> {
    metric(&Derived::default(), |_| {}).family.clone()
}

#[test]
fn workers_are_put_together_and_leave_their_counts() {
    let home = Arc::new(Derived::default());
    let metrics = [metric(&home, |_| {}), histogram(&home)];
    let (mut one, b) = (
        Deriver::new(home.clone(), &metrics),
        batch(&[
            r#"{"service":"api","level":"ERROR","duration":100,"traceId":"t1"}"#,
            r#"{"service":{"name":"api"},"level":"info","duration":"101"}"#,
            r#"{"service":"web","level":"WARN"}"#,
            r#"{"level":"x","duration":"none"}"#,
        ]),
    );
    let mut two = one.fork();
    one.observe(&b.0, &b.1, NOW);
    one.settle(&Ack::none());
    two.observe(&b.0, &b.1[..2], NOW);
    two.settle(&Ack::none());
    let got = text(&home, 0);
    check(
        &got,
        &[
            "events_total{level=\"ERROR\",service=\"api\"} 2 # {trace_id=\"t1\"} 1 1000",
            "events_total{level=\"INFO\",service=\"api\"} 2",
            "events_total{level=\"WARN\",service=\"web\"} 1",
            "events_total{level=\"INFO\"} 1",
            "duration_seconds_bucket{service=\"api\",le=\"0.1\"} 2 # {trace_id=\"t1\"} 0.1 1000",
            "duration_seconds_bucket{service=\"api\",le=\"0.25\"} 4",
            "duration_seconds_sum{service=\"api\"} 0.402",
        ],
    );
    drop((one, two));
    assert_eq!(text(&home, 0), got);
}

#[test]
fn series_are_capped() {
    let home = Arc::new(Derived::default());
    let metric = metric(&home, |d| {
        d.max_series = 10;
        d.labels.truncate(1);
    });
    let (mut one, mut two) =
        (Deriver::new(home.clone(), std::slice::from_ref(&metric)), Deriver::new(home.clone(), &[metric]));
    let lines: Vec<String> = (0..15).map(|n| format!(r#"{{"service":"s{n}"}}"#)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (b, events) = batch(&lines);
    one.observe(&b, &events[..4], NOW);
    one.settle(&Ack::none());
    two.observe(&b, &events, NOW);
    two.settle(&Ack::none());
    one.observe(&b, &events[4..], NOW);
    one.settle(&Ack::none());
    let got = text(&home, 0);
    check(&got, &["events_total{service=\"other\"} 10", "logboom_derive_overflow_total{metric=\"events_total\"} 10"]);
    assert_eq!(got.matches("\nevents_total{").count(), 11, "{got}");
    assert_eq!(got.matches("} 2 ").count() + got.matches("} 2\n").count(), 10, "{got}");
}

#[test]
fn long_values_count_as_other() {
    let home = Arc::new(Derived::default());
    let mut deriver = Deriver::new(home.clone(), &[metric(&home, |d| d.labels.truncate(1))]);
    let line = format!(r#"{{"service":"{}"}}"#, "x".repeat(source::VALUE_BYTES_MAX + 1));
    let (b, events) = batch(&[&line]);
    deriver.observe(&b, &events, NOW);
    deriver.settle(&Ack::none());
    check(&text(&home, 0), &["events_total{service=\"other\"} 1"]);
}

#[test]
fn series_expire_and_begin_anew() {
    let home = Arc::new(Derived::default());
    let mut deriver = Deriver::new(
        home.clone(),
        &[metric(&home, |d| {
            d.expire_ms = Some(60_000);
            d.labels.truncate(1);
        })],
    );
    let (b, events) = batch(&[r#"{"service":"a"}"#, r#"{"service":"b"}"#]);
    deriver.observe(&b, &events, NOW);
    deriver.settle(&Ack::none());
    deriver.observe(&b, &events[..1], Timestamp::new(1_050, 0));
    deriver.settle(&Ack::none());
    home.expire(1_070_000);
    let got = text(&home, 0);
    assert!(got.contains("events_total{service=\"a\"} 2\n") && !got.contains("\"b\""), "{got}");
    deriver.observe(&b, &events, Timestamp::new(1_071, 0));
    deriver.settle(&Ack::none());
    check(&text(&home, 0), &["events_total{service=\"a\"} 3", "events_total{service=\"b\"} 1"]);
}

#[test]
fn odd_values_are_left_out_and_counted() {
    let home = Arc::new(Derived::default());
    let counter = metric(&home, |d| {
        d.number = Number::Field(FieldRef::of("n"));
        d.labels.clear();
        d.max_age_ms = Some(60_000);
    });
    let gauge = metric(&home, |d| {
        d.name = "level".to_owned();
        d.kind = Kind::Gauge;
        d.number = Number::Field(FieldRef::of("n"));
        d.labels.clear();
    });
    let mut deriver = Deriver::new(home.clone(), &[counter, gauge]);
    let (b, events) = batch(&[
        r#"{"n":-1,"@timestamp":"1970-01-01T00:15:00Z"}"#,
        r#"{"n":"NaN"}"#,
        r#"{"n":"inf"}"#,
        r#"{"n":2.5,"@timestamp":"1970-01-01T00:16:00Z"}"#,
        r#"{"n":4,"@timestamp":"1970-01-01T00:15:30Z"}"#,
        r#"{"n":true,"@timestamp":"1970-01-01T00:15:59Z"}"#,
    ]);
    deriver.observe(&b, &events, NOW);
    deriver.settle(&Ack::none());
    check(
        &text(&home, 0),
        &[
            "events_total 3.5",
            "level 2.5",
            "logboom_derive_ignored_total{metric=\"events_total\"} 3",
            "logboom_derive_ignored_total{metric=\"level\"} 2",
            "logboom_derive_late_total{metric=\"events_total\"} 1",
        ],
    );
}

#[test]
fn a_ratio_is_a_mean() {
    let home = Arc::new(Derived::default());
    let mut deriver = Deriver::new(
        home.clone(),
        &[metric(&home, |d| {
            (d.kind, d.number, d.over_ms, d.name) = (Kind::Gauge, Number::Error, Some(300_000), "ratio".to_owned());
            d.labels.clear();
        })],
    );
    let (b, events) = batch(&[r#"{"level":"ERROR"}"#, r#"{"level":"INFO"}"#, r#"{}"#, r#"{"level":"fatal"}"#]);
    deriver.observe(&b, &events, NOW);
    deriver.settle(&Ack::none());
    check(&text(&home, 1_000_000), &["ratio 0.5"]);
    assert!(!text(&home, 2_000_000).contains("\nratio "));
}

#[test]
fn one_name_is_one_family() {
    let home = Derived::default();
    let one = metric(&home, |_| {});
    assert!(Arc::ptr_eq(&one.family, &metric(&home, |d| d.labels.clear()).family));
    histogram(&home);
    let refused = |change: fn(&mut Definition), want: &str| {
        let mut definition = Definition {
            name: "events_total".to_owned(),
            place: "pipeline `p`, a.conf:7".to_owned(),
            help: String::new(),
            kind: Kind::Counter,
            labels: Vec::new(),
            number: Number::One,
            scale: 1.0,
            bounds: Vec::new(),
            native: false,
            over_ms: None,
            max_series: 1,
            expire_ms: None,
            max_age_ms: None,
            traces: Vec::new(),
        };
        change(&mut definition);
        assert_eq!(home.register(definition).err().as_deref(), Some(want));
    };
    refused(
        |d| d.kind = Kind::Gauge,
        "`events_total` is a counter in pipeline `p`, a.conf:7, which was the first to define it (it stays so until a restart); here it is a gauge",
    );
    refused(
        |d| d.name = "duration_seconds_count".to_owned(),
        "its series and those of histogram `duration_seconds` (pipeline `p`, a.conf:7) would have one name",
    );
    refused(
        |d| {
            d.name = "duration_seconds".to_owned();
            d.kind = Kind::Histogram;
        },
        "`duration_seconds` has other buckets in pipeline `p`, a.conf:7, which was the first to define it (it stays so until a restart)",
    );
}
