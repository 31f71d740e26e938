//! PromQL gives what the real Prometheus gives: the same series in both, the same expressions asked
//! of both HTTP APIs. Prometheus 3 is the reference: 2 takes both ends of a range as in it.
//!
//! `LOGBOOM_EXPRESSIONS` and `LOGBOOM_SEED` ask for other expressions than the usual ones,
//! `LOGBOOM_EXPRESSION` for one at many times, with what both answer.

use crate::expressions::Generator;
use crate::harness::Daemon;
use crate::invented::Invented;
use crate::peer::{Peer, encoded, free_address, json, left_out, of_prometheus};
use logboom::endpoint::Endpoint;
use logboom::metric::remote::Protocol;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

/// Numbers this close to each other, relative to the larger, are the same.
const TOLERANCE: f64 = 1e-9;
const DAY_MS: i64 = 86_400_000;

/// Expressions whose answers may differ.
struct Excuse {
    holds: fn(&str) -> bool,
    reason: &'static str,
}

const MAY_DIFFER: &[Excuse] = &[
    Excuse {
        holds: |expr| arguments(expr, "timestamp(").any(|inner| inner.contains('@') && inner.contains("offset")),
        reason: "Of a selector with both, Prometheus reads the series as of the offset and then looks for the sample \
         without it: it finds another one or none.",
    },
    Excuse {
        holds: |expr| {
            let parts = ["histogram_avg(", "histogram_count(", "histogram_sum("];
            let gauge =
                |inner: &str| inner.contains("levels") && ["rate(", "increase("].iter().any(|f| inner.contains(f));
            parts.iter().any(|part| arguments(expr, part).any(gauge))
        },
        reason: "For these, Prometheus does not read the buckets. Of a gauge, where a counter is wanted, it then sees \
         no reset that shows in buckets alone.",
    },
    Excuse {
        holds: |expr| expr.contains("quantile") && expr.contains("scalar(") && expr.contains('@'),
        reason: "In a range, Prometheus takes another value for a parameter of `quantile` than the same expression is \
         worth by itself, from some step on, where something stands still at a time.",
    },
    Excuse {
        holds: |expr| {
            let subquery = |at: usize| expr[..at].rfind('[').is_some_and(|open| expr[open..at].contains(':'));
            expr.match_indices("] offset").any(|(at, _)| subquery(at) && expr[..at].contains('@'))
        },
        reason: "Where a subquery with an offset begins at the query's own time, Prometheus takes the offset for one \
         of the selectors within that stand still at a time.",
    },
    Excuse {
        holds: |expr| {
            let below = |inner: &str| [" - ", "-spans", "-sizes", "-levels"].iter().any(|part| inner.contains(part));
            arguments(expr, "histogram_quantile(").any(below)
        },
        reason: "Counts below zero reach no rank: Prometheus then gives the last bucket that its chunk has room \
         for, even one without observations.",
    },
    Excuse {
        holds: |expr| expr.contains(" ^ ") && expr.contains(':'),
        reason: "Powers differ in their last bit, since neither library rounds them rightly; a function of a subquery \
         that looks for falls or changes makes a whole value of that.",
    },
];

/// What stands in the parentheses of a function, each time it is called.
fn arguments<'e>(expr: &'e str, function: &str) -> impl Iterator<Item = &'e str> {
    expr.match_indices(function).map(move |(at, _)| {
        let inner = &expr[at + function.len()..];
        let mut depth = 1;
        let end = inner.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        &inner[..end.unwrap_or(inner.len())]
    })
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Yesterday noon: the same time of day in each run.
fn yesterday_noon() -> i64 {
    let now = jiff::Timestamp::now().as_millisecond();
    now.div_euclid(DAY_MS) * DAY_MS - DAY_MS / 2
}

/// Writes the series to a Prometheus.
pub fn write(invented: &Invented, protocol: Protocol, address: SocketAddr) {
    let endpoint = Endpoint::plain(&format!("http://{address}/api/v1/write")).unwrap();
    for body in invented.requests(protocol) {
        let answer = endpoint.post(&protocol.headers(), &body).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
}

#[test]
fn expressions_are_worth_what_prometheus_says() {
    let Some(binary) = of_prometheus("prometheus", 3) else { return left_out("Prometheus 3") };
    let folder = tempfile::tempdir().unwrap();
    let invented = Invented::new(yesterday_noon());
    let flags = ["--enable-feature=promql-experimental-functions"];
    let reference = Peer::prometheus(&binary, folder.path(), free_address(), &flags).ready();
    write(&invented, Protocol::V2, reference.address);
    let ours = start(&folder.path().join("data"), &invented);
    let (count, seed) = (setting("LOGBOOM_EXPRESSIONS", 500), setting("LOGBOOM_SEED", 1));
    eprintln!("{count} expressions of the seed {seed}, series from {}", invented.start_ms / 1000);
    let times = (invented.start_ms / 1000, invented.end_ms() / 1000);
    the_same_lists(reference.address, ours.api, times);
    let mut generator = Generator::new(seed, times);
    let (mut found, mut excused, mut errors, mut empty) = (Vec::new(), BTreeMap::new(), 0, 0);
    let given = std::env::var("LOGBOOM_EXPRESSION").ok();
    for _ in 0..if given.is_some() { 40 } else { count } {
        let expr = given.clone().unwrap_or_else(|| generator.expression());
        let mut questions: Vec<String> = (0..2).map(|_| instant(&expr, generator.time_ms())).collect();
        questions.push(range(&expr, generator.range_ms()));
        for question in questions {
            let ask = |address| json(address, &question).unwrap_or_else(|| panic!("no answer to {expr}"));
            let (want, got) = (ask(reference.address), ask(ours.api));
            errors += u32::from(want["status"] == "error");
            empty += u32::from(want["data"]["result"].as_array().is_some_and(Vec::is_empty));
            if given.is_some() {
                eprintln!("{}\n  Prometheus: {want}\n  ours:       {got}", shown(&question));
            }
            let Some(difference) = difference(&expr, &want, &got) else { continue };
            match MAY_DIFFER.iter().find(|excuse| (excuse.holds)(&expr)) {
                Some(excuse) => *excused.entry(excuse.reason).or_insert(0) += 1,
                None => found.push(format!("{expr}\n  {}\n  {difference}", shown(&question))),
            }
        }
    }
    eprintln!("{} questions: {errors} are errors, {empty} have no result", 3 * count);
    for (reason, times) in excused {
        eprintln!("{times} differ and may: {reason}");
    }
    let shown: Vec<&str> = found.iter().take(40).map(String::as_str).collect();
    assert!(found.is_empty(), "{} answers differ (seed {seed}):\n{}", found.len(), shown.join("\n"));
    assert!(errors < count as u32 && empty < count as u32, "too little was compared");
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn instant(expr: &str, time_ms: i64) -> String {
    format!("/api/v1/query?time={}&query={}", seconds(time_ms), encoded(expr))
}

fn range(expr: &str, (start, end, step): (i64, i64, i64)) -> String {
    let (start, end, step) = (seconds(start), seconds(end), seconds(step));
    format!("/api/v1/query_range?start={start}&end={end}&step={step}&query={}", encoded(expr))
}

/// A question without its expression.
fn shown(question: &str) -> &str {
    question.split("&query=").next().unwrap_or(question)
}

/// What differs between two answers.
fn difference(expr: &str, want: &Value, got: &Value) -> Option<String> {
    if want["status"] != got["status"] {
        return Some(format!(
            "Prometheus: {} {}, ours: {} {}",
            want["status"], want["error"], got["status"], got["error"]
        ));
    }
    // What Prometheus finds out on the way we may say at once.
    if want["errorType"] != got["errorType"]
        && (&want["errorType"], &got["errorType"]) != (&"execution".into(), &"bad_data".into())
    {
        return Some(format!("the error {} instead of {}", got["errorType"], want["errorType"]));
    }
    let (want, got) = (&want["data"], &got["data"]);
    if want["resultType"] != got["resultType"] {
        return Some(format!("a {} instead of a {}", got["resultType"], want["resultType"]));
    }
    let vector = matches!(want["resultType"].as_str(), Some("vector" | "matrix"));
    if !vector {
        return worth(&want["result"], &got["result"]);
    }
    let ordered = expr.starts_with("sort") && want["resultType"] == "vector";
    if ordered && order(expr, want) != order(expr, got) {
        return Some(format!("the order {:?} instead of {:?}", order(expr, got), order(expr, want)));
    }
    let (want, got) = (by_labels(want)?, by_labels(got)?);
    let keys = |of: &BTreeMap<String, &Value>| of.keys().cloned().collect::<Vec<_>>();
    if keys(&want) != keys(&got) {
        let only = |a: &BTreeMap<String, &Value>, b: &BTreeMap<String, &Value>| {
            a.iter()
                .filter(|(key, _)| !b.contains_key(*key))
                .map(|(key, v)| format!("{key} {}", brief(v)))
                .collect::<Vec<_>>()
        };
        return Some(format!("only in Prometheus: {:?}, only ours: {:?}", only(&want, &got), only(&got, &want)));
    }
    want.iter().find_map(|(key, want)| {
        let parts = ["value", "histogram", "values", "histograms"];
        let different = parts.into_iter().find_map(|part| worth(&want[part], &got[key][part]))?;
        Some(format!("{key}: {different}"))
    })
}

fn brief(element: &Value) -> String {
    let text = element.to_string();
    text.chars().take(300).collect()
}

/// The elements by their labels; `None` if two have the same.
fn by_labels(data: &Value) -> Option<BTreeMap<String, &Value>> {
    let all = data["result"].as_array()?;
    let map: BTreeMap<String, &Value> = all.iter().map(|one| (one["metric"].to_string(), one)).collect();
    assert_eq!(map.len(), all.len(), "two elements have the same labels");
    Some(map)
}

/// What `sort` puts in order: values, or those labels that it was told.
fn order(expr: &str, data: &Value) -> Vec<String> {
    let all = data["result"].as_array().map(Vec::as_slice).unwrap_or_default();
    match expr.starts_with("sort_by_label") {
        true => all.iter().map(|one| one["metric"].to_string()).collect(),
        false => all.iter().map(|one| one["value"][1].to_string()).collect(),
    }
}

/// What differs between two values: numbers in texts or not, of samples or histograms.
fn worth(want: &Value, got: &Value) -> Option<String> {
    let differ = || Some(format!("{} instead of {}", brief(got), brief(want)));
    match (want, got) {
        (Value::Array(all), Value::Array(of)) if all.len() == of.len() => {
            all.iter().zip(of).find_map(|(want, got)| worth(want, got))
        }
        (Value::Object(all), Value::Object(of)) => {
            let buckets = same_buckets(want, got).then_some("buckets");
            let mut keys = all.keys().chain(of.keys()).filter(|key| Some(key.as_str()) != buckets);
            keys.find_map(|key| worth(&want[key], &got[key]).map(|text| format!("{key}: {text}")))
        }
        (Value::String(a), Value::String(b)) if a == b => None,
        (Value::String(a), Value::String(b)) => match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) if close(a, b) => None,
            _ => differ(),
        },
        (Value::Number(a), Value::Number(b)) if close(a.as_f64()?, b.as_f64()?) => None,
        (Value::Null, Value::Null) => None,
        _ => differ(),
    }
}

/// Whether two histograms have the same buckets. What is left where equal counts were taken from each
/// other is nothing beside the others, and may be a bucket or none.
fn same_buckets(want: &Value, got: &Value) -> bool {
    let read = |histogram: &Value| -> Option<BTreeMap<String, f64>> {
        let all = histogram["buckets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let one = |bucket: &Value| {
            Some((format!("{} {} {}", bucket[0], bucket[1], bucket[2]), bucket[3].as_str()?.parse().ok()?))
        };
        all.iter().map(one).collect()
    };
    let (Some(want), Some(got)) = (read(want), read(got)) else { return false };
    let most = want.values().chain(got.values()).fold(0.0_f64, |most, count| most.max(count.abs()));
    want.keys().chain(got.keys()).all(|key| {
        let (a, b) = (want.get(key).copied().unwrap_or(0.0), got.get(key).copied().unwrap_or(0.0));
        close(a, b) || (a - b).abs() <= TOLERANCE * most
    })
}

fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

/// Names and values of labels and the series that there are, as Grafana asks for them.
fn the_same_lists(reference: SocketAddr, ours: SocketAddr, (first, last): (i64, i64)) {
    let selectors =
        ["hits_total", "{job=\"a\"}", "{__name__=~\"took.*|load\",job!=\"b\"}", "{\"room.temp\"}", "nothing", "{"];
    let paths = [
        "series",
        "labels",
        "label/job/values",
        "label/__name__/values",
        "label/le/values",
        "label/U__room_2e_nr/values",
        "label/room.nr/values",
    ];
    for selector in selectors {
        let wanted = format!("start={first}&end={last}&match%5B%5D={}", encoded(selector));
        for (path, more) in paths.iter().flat_map(|path| [(path, ""), (path, "&match%5B%5D=slow")]) {
            let question = format!("/api/v1/{path}?{wanted}{more}");
            // In no order: that of series is Prometheus' own affair.
            let ask = |address| {
                let answer = json(address, &question).unwrap_or_else(|| panic!("no answer to {question}"));
                let mut all: Vec<String> =
                    answer["data"].as_array().into_iter().flatten().map(Value::to_string).collect();
                all.sort();
                (answer["status"].clone(), answer["errorType"].clone(), all)
            };
            assert_eq!(ask(ours), ask(reference), "{selector}: {question}");
        }
    }
}

/// What Debian's Prometheus keeps of the first protocol is what our window keeps. It knows neither
/// names with dots nor histograms with bounds of their own, and shows series of numbers and histograms
/// by turns otherwise than 3 does.
#[test]
fn prometheus_2_takes_the_same_samples() {
    let Some(binary) = of_prometheus("prometheus", 2) else { return left_out("Prometheus 2") };
    let folder = tempfile::tempdir().unwrap();
    let mut invented = Invented::new(yesterday_noon());
    invented.only(|metric| !matches!(metric, "room.temp" | "sizes_bytes" | "mixed"));
    let reference =
        Peer::prometheus(&binary, folder.path(), free_address(), &["--enable-feature=native-histograms"]).ready();
    write(&invented, Protocol::V1, reference.address);
    let data = folder.path().join("data");
    let ours = start(&data, &invented);
    // Not at the edges of ranges and of the look-back, where 2 and 3 differ.
    let end_ms = invented.end_ms() + 2_345;
    for metric in invented.metrics() {
        for question in [format!("{metric}[56m]"), format!("{metric}[1200s]"), metric.clone()] {
            for back in 0..12 {
                let question = instant(&question, end_ms - back * 272_000);
                let ask = |address| json(address, &question).unwrap_or_else(|| panic!("no answer to {metric}"));
                let (want, got) = (ask(reference.address), ask(ours.api));
                assert_eq!(difference("", &want, &got), None, "{metric}: {}", shown(&question));
                assert_eq!(want["status"], "success", "{want}");
            }
        }
    }
}

/// The program on a window that holds the series.
fn start(data: &Path, invented: &Invented) -> Daemon {
    invented.keep(data, 3 * DAY_MS);
    let idle = format!("input {{ file {{ path => \"{}\" }} }} output {{ null {{ }} }}", data.join("none").display());
    let ours = Daemon::start(data, &idle, &["--series.retention=3d", "--log.level=error"]);
    ours.node("/");
    ours
}
