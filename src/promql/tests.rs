//! Expressions against a small store: what the unit test files of Prometheus don't say.

use super::{Answer, Options, describe, instant, parse, range};
use crate::series::{Labels, Matcher, Queryable, Sample, SelectError, Series, notation};

/// Series that hold still.
struct Still(Vec<Series>);

impl Queryable for Still {
    fn select(&self, matchers: &[Matcher], start: i64, end: i64) -> Result<Vec<Series>, SelectError> {
        let matching = self.0.iter().filter(|series| Matcher::all_match(matchers, &series.labels));
        let within = |series: &Series| {
            let samples = series.samples.iter().filter(|sample| (start..=end).contains(&sample.t)).cloned().collect();
            Series { labels: series.labels.clone(), samples }
        };
        Ok(matching.map(within).collect())
    }
}

fn still() -> Still {
    let series = |labels: &[(&str, &str)], step: i64, values: &[f64]| Series {
        labels: Labels::new(labels.iter().copied()),
        samples: values.iter().enumerate().map(|(at, value)| Sample::new(at as i64 * step, *value)).collect(),
    };
    Still(vec![
        series(&[("__name__", "up"), ("job", "a")], 15_000, &[1.0, 1.0, 0.0, 1.0, 1.0]),
        series(&[("__name__", "up"), ("job", "b")], 15_000, &[1.0, 1.0, 1.0, 1.0, 1.0]),
        series(&[("__name__", "total"), ("job", "a")], 15_000, &[0.0, 15.0, 30.0, 5.0, 20.0]),
    ])
}

#[test]
fn expressions_have_worths() {
    let check = |text: &str, time: i64, want: &str| {
        let expr = parse(text).unwrap_or_else(|mistakes| panic!("{}", describe(&mistakes, text)));
        let answer = match instant(&expr, &still(), time, &Options::default()).unwrap() {
            Answer::Scalar(value) => notation::number(value),
            Answer::Text(text) => text,
            Answer::Vector(elements) => {
                let one = |e: &super::Element| format!("{} {}", e.labels, e.value.float().unwrap());
                elements.iter().map(one).collect::<Vec<_>>().join("; ")
            }
            Answer::Matrix(series) => series.iter().map(|s| format!("{} {}", s.labels, s.samples.len())).collect(),
        };
        assert_eq!(answer, want, "{text}");
    };
    check("-1^2", 0, "-1");
    check("2^3^2", 0, "512");
    check("1 + 2 * 3 - -4", 0, "11");
    check("1_000 + 0x10", 0, "1016");
    check("5m", 0, "300");
    check("up", 30_000, "up{job=\"a\"} 0; up{job=\"b\"} 1");
    check("up == 0", 30_000, "up{job=\"a\"} 0");
    check("sum(up)", 30_000, "{} 1");
    check("increase(total[1m])", 60_000, "{job=\"a\"} 46.666666666666664");
    check("total[31s]", 60_000, "total{job=\"a\"} 3");
    check("total{job=\"a\"} offset 30s", 60_000, "total{job=\"a\"} 30");
    check("total @ 15", 60_000, "total{job=\"a\"} 15");
    check("max_over_time(total[1m:15s])", 60_000, "{job=\"a\"} 30");
    check("absent(nothing{a=\"b\"})", 0, "{a=\"b\"} 1");
    check("'a\\x62\\u0063'", 0, "abc");
}

#[test]
fn a_range_is_its_instants() {
    for text in ["up", "sum by (job) (up)", "rate(total[30s])", "up and on(job) total > 10", "topk(1, up)"] {
        let expr = parse(text).unwrap();
        let series = range(&expr, &still(), (0, 60_000, 5000), &Options::default()).unwrap();
        for step in 0..=12 {
            let time = step * 5000;
            let Answer::Vector(elements) = instant(&expr, &still(), time, &Options::default()).unwrap() else {
                panic!()
            };
            let mut want: Vec<String> = elements.iter().map(|e| format!("{} {:?}", e.labels, e.value)).collect();
            let at = |s: &Series| s.samples.iter().find(|p| p.t == time).map(|p| format!("{} {:?}", s.labels, p.value));
            let mut got: Vec<String> = series.iter().filter_map(at).collect();
            want.sort();
            got.sort();
            assert_eq!(got, want, "{text} {time}");
        }
    }
}

#[test]
fn mistakes_are_told_with_their_places() {
    let check = |text: &str, want: &str| assert_eq!(describe(&parse(text).unwrap_err(), text), want, "{text}");
    check("", "1:1: no expression");
    check("sum(rate(x[5m])", "1:16: expected `,` or `)` behind an argument, not the end");
    check("raet(x[5m])", "1:1: unknown function `raet` (did you mean `rate`?)");
    check(
        "rate(x)",
        "1:6: `rate` needs a range vector here, not an instant vector (a range such as `[5m]` is missing)",
    );
    check(
        "x[5m] + 1",
        "1:1: `+` takes scalars and instant vectors, not a range vector (a function such as `rate()` is missing around it)",
    );
    check("foo bar", "1:5: unexpected `bar`");
    check("1 == 2", "1:3: a comparison of two scalars needs `bool`: `== bool`");
    check(
        "holt_winters(x[5m], 0.1, 0.1)",
        "1:1: unknown function `holt_winters` (it was renamed in Prometheus 3: write `double_exponential_smoothing`)",
    );
    check("x{a=b}", "1:5: expected a string behind `a`, not `b` (values stand in quotes)");
    check(
        "abs(x, y) +\n  sum(1)",
        "1:1: `abs` takes 1 argument, not 2; 2:7: `sum` needs an instant vector here, not a scalar",
    );
    check("x offset 5x", "1:10: bad number or duration `5x` (a duration is written as `1h30m`, units falling)");
    check("{}", "1:1: a selector needs a condition that an empty value does not meet (this would select every series)");
}

#[test]
fn trees_have_a_limited_height() {
    let long = |count: usize| parse(&vec!["1"; count].join(" + "));
    assert!(long(200).is_ok());
    assert!(describe(&long(100_000).unwrap_err(), "").contains("nested deeper than 250"));
    let nested = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(describe(&parse(&nested).unwrap_err(), &nested).contains("nested deeper than 200"));
    assert!(parse(&format!("{}1", "-".repeat(100_000))).is_err());
}
