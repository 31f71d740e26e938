//! The formats on one set of families.

use super::protobuf::MetricFamily;
use super::*;

fn families() -> Vec<Family> {
    let mut counter = Family::new(Kind::Counter, "hits", "Say \"hi\".\\");
    counter.whole(&[("path", "a\"b\\c\nd"), ("none", "")], 3);
    let mut gauge = Family::new(Kind::Gauge, "ratio", "A ratio.");
    gauge.number(&[], 0.25);
    gauge.number(&[("of", "nothing")], f64::NAN);
    let mut histogram = Family::new(Kind::Histogram, "wait_seconds", "Waits.");
    let classic = Classic { buckets: vec![(0.5, 1), (1.0, 2)], sum: 7.5, count: 3 };
    histogram.push(&[("s", "ログ")], Value::Buckets(classic));
    vec![counter, gauge, Family::new(Kind::Gauge, "empty", "Nothing."), histogram]
}

fn derived() -> Family {
    let mut family = Family::of(Kind::Histogram, "took_seconds".to_owned(), "Took.".to_owned());
    let native = NativeHistogram {
        schema: 3,
        count: 3.0,
        sum: 7.5,
        zero_count: 1.0,
        positive: vec![(-2, 1.0), (5, 1.0)],
        ..NativeHistogram::default()
    };
    let classic = Classic { buckets: vec![(0.5, 1), (1.0, 2)], sum: 7.5, count: 3 };
    family.push(&[], Value::Histogram(Box::new(Distribution { classic, native: Some(native) })));
    let exemplar = |trace: &str, value| Exemplar { trace: trace.to_owned(), value, at_ms: 1_500 };
    family.samples[0].exemplars = vec![exemplar("a", 0.2), exemplar("b", 6.0)];
    family
}

#[test]
fn text() {
    let want = r#"# HELP hits_total Say "hi".\\
# TYPE hits_total counter
hits_total{path="a\"b\\c\nd"} 3
# HELP ratio A ratio.
# TYPE ratio gauge
ratio 0.25
ratio{of="nothing"} NaN
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
wait_seconds_bucket{s="ログ",le="0.5"} 1
wait_seconds_bucket{s="ログ",le="1"} 2
wait_seconds_bucket{s="ログ",le="+Inf"} 3
wait_seconds_sum{s="ログ"} 7.5
wait_seconds_count{s="ログ"} 3
"#;
    assert_eq!(Format::Text.text(&families()), want);
}

#[test]
fn open_metrics() {
    let got = Format::OpenMetrics.text(&families());
    let starts = "# HELP hits Say \\\"hi\\\".\\\\\n# TYPE hits counter\nhits_total{";
    assert!(got.starts_with(starts), "{got}");
    assert!(got.contains("wait_seconds_bucket{s=\"ログ\",le=\"1.0\"} 2\n"), "{got}");
    assert!(got.ends_with("wait_seconds_count{s=\"ログ\"} 3\n# EOF\n"), "{got}");
}

#[test]
fn exemplars_stand_at_their_buckets() {
    let got = Format::OpenMetrics.text(&[derived()]);
    for line in [
        "took_seconds_bucket{le=\"0.5\"} 1 # {trace_id=\"a\"} 0.2 1.5\n",
        "took_seconds_bucket{le=\"1.0\"} 2\n",
        "took_seconds_bucket{le=\"+Inf\"} 3 # {trace_id=\"b\"} 6 1.5\n",
        "took_seconds_count 3\n",
    ] {
        assert!(got.contains(line), "{line} is missing in\n{got}");
    }
    assert!(!Format::Text.text(&[derived()]).contains("trace_id"));
}

#[test]
fn counters_of_other_names_stay_as_they_are() {
    let mut family = Family::of(Kind::Counter, "hits".to_owned(), "Hits.".to_owned());
    family.number(&[], 2.0);
    assert!(Format::Text.text(&[family.clone()]).ends_with("# TYPE hits counter\nhits 2\n"));
    assert!(Format::OpenMetrics.text(&[family]).ends_with("# TYPE hits unknown\nhits 2\n# EOF\n"));
    let family = Family::of(Kind::Counter, "hits_total".to_owned(), "Hits.".to_owned());
    assert_eq!((&*family.name, family.suffix()), ("hits", "_total"));
}

#[test]
fn protocol_buffers() {
    let mut all = families();
    all.push(derived());
    let read = MetricFamily::read_all(&Format::Protobuf.render(&all));
    let names: Vec<&str> = read.iter().map(MetricFamily::name).collect();
    assert_eq!(names, ["hits_total", "ratio", "wait_seconds", "took_seconds"]);
    assert_eq!(read[2].first_histogram().shown(), (3, 3, None, vec![], 0));
    assert_eq!(read[3].first_histogram().shown(), (3, 3, Some(3), vec![1, 0], 2));
}

#[test]
fn negotiation() {
    let check = |accept: &str, want| assert_eq!(Format::negotiate(Some(accept)), want, "{accept}");
    assert_eq!(Format::negotiate(None), Format::Text);
    check("", Format::Text);
    check("*/*", Format::Text);
    check("application/openmetrics-text", Format::OpenMetrics);
    check(
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        Format::OpenMetrics,
    );
    check("application/openmetrics-text;q=0.1, text/plain", Format::Text);
    check("application/openmetrics-text;q=0", Format::Text);
    // Prometheus with native histograms.
    let asked = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";
    check(asked, Format::Protobuf);
    check("application/vnd.google.protobuf;proto=other;encoding=delimited, text/plain;q=0.1", Format::Text);
    check("application/vnd.google.protobuf;encoding=text", Format::Text);
}
