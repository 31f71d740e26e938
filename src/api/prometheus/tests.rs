//! The endpoints over a store with a few series.

use super::*;
use crate::metric::Registry;
use crate::series::window::{Store, StoreSettings, Written};
use crate::series::{Labels, METRIC_NAME, NativeHistogram};

fn api() -> Prometheus {
    let store = Arc::new(Store::open(None, &StoreSettings::default()).unwrap());
    let series = |name: &str, job: &str| Labels::new([(METRIC_NAME, name), ("job", job)]);
    for n in 0..10_i64 {
        let histogram = NativeHistogram { count: 2.0, sum: 3.0, positive: vec![(1, 2.0)], ..Default::default() };
        store.write(
            "test",
            n * 10_000,
            10_000,
            &[
                Written::new(series("hits_total", "a"), (n * 5) as f64),
                Written::new(series("hits_total", "b"), f64::INFINITY),
                Written::new(series("took", "a"), histogram),
            ],
        );
    }
    let sampler = Sampler::new(Registry::new(), store, Duration::from_secs(15));
    let address = SocketAddr::from(([127, 0, 0, 1], 9600));
    Arc::into_inner(Prometheus::new(sampler, Arc::default(), address, vec![("a".into(), "b".into())])).unwrap()
}

fn ask(endpoint: Endpoint, part: &str, query: &str) -> Value {
    let call = Call { form: Form::parse(Some(query), b""), part: part.to_owned() };
    match endpoint(&api(), &call) {
        Ok(reply) => reply.data,
        Err(error) => Value::String(format!("{error:?}")),
    }
}

#[test]
fn queries() {
    let got = ask(query::instant, "", "query=rate(hits_total%7Bjob=%22a%22%7D[1m])&time=90");
    let want = json!({ "resultType": "vector", "result": [{ "metric": { "job": "a" }, "value": [90, "0.5"] }] });
    assert_eq!(got, want);
    assert_eq!(
        ask(query::instant, "", "query=1%2B1&time=5.5"),
        json!({ "resultType": "scalar", "result": [5.5, "2"] })
    );
    let got = ask(query::instant, "", "query=took&time=90");
    let histogram = json!({ "count": "2", "sum": "3", "buckets": [[0, "1", "2", "2"]] });
    assert_eq!(got["result"][0]["histogram"], json!([90, histogram]));
    let got = ask(query::range, "", "query=hits_total&start=0&end=20&step=10");
    let want = json!([
        { "metric": { "__name__": "hits_total", "job": "a" }, "values": [[0, "0"], [10, "5"], [20, "10"]] },
        { "metric": { "__name__": "hits_total", "job": "b" }, "values": [[0, "+Inf"], [10, "+Inf"], [20, "+Inf"]] },
    ]);
    assert_eq!(got["result"], want);
}

#[test]
fn what_is_wrong_is_told() {
    let check = |endpoint: Endpoint, query: &str, kind: &str, part: &str| {
        let got = ask(endpoint, "", query);
        let text = got.as_str().unwrap_or_else(|| panic!("{query}: {got}"));
        assert!(text.contains(kind) && text.contains(part), "{query}: {text}");
    };
    check(query::instant, "", "bad_data", "it is missing");
    check(query::instant, "query=sum(", "bad_data", "invalid parameter");
    check(query::instant, "query=1&time=x", "bad_data", "cannot parse");
    check(query::range, "query=1&start=10&end=5&step=1", "bad_data", "must not be before");
    check(query::range, "query=1&start=0&end=5&step=0", "bad_data", "zero or negative");
    check(query::range, "query=1&start=0&end=50000&step=1", "bad_data", "11,000 points");
    check(query::range, "query=hits_total[1m]&start=0&end=5&step=1", "bad_data", "not a range vector");
    check(series::series, "", "bad_data", "no match[]");
    check(rules::rules, "type=x", "bad_data", "not supported");
    check(query::instant, "query=hits_total%2Bon()hits_total&time=90", "execution", "422");
}

#[test]
fn series_and_labels() {
    assert_eq!(ask(series::labels, "", ""), json!(["__name__", "job"]));
    assert_eq!(ask(series::values, "job", ""), json!(["a", "b"]));
    assert_eq!(ask(series::values, "job", "match[]=took"), json!(["a"]));
    let got = ask(series::series, "", "match[]=hits_total%7Bjob=%22b%22%7D&start=0&end=100");
    assert_eq!(got, json!([{ "__name__": "hits_total", "job": "b" }]));
    assert_eq!(ask(series::series, "", "match[]=hits_total&start=1000&end=1001"), json!([]));
    assert_eq!(ask(status::flags, "", ""), json!({ "a": "b" }));
    assert_eq!(ask(status::tsdb, "", "")["headStats"]["numSeries"], 3);
    assert_eq!(ask(status::targets, "", "")["activeTargets"][0]["health"], "up");
    assert_eq!(ask(rules::rules, "", ""), json!({ "groups": [] }));
}
