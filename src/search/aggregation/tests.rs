//! Parsing, merging and rendering, without an index.

use super::*;
use rustc_hash::FxHashMap;
use serde_json::json;

fn buckets(list: &[(Key, u64)]) -> Partial {
    let entry = |(key, count): &(Key, u64)| (key.clone(), Bucket { count: *count, subs: Vec::new() });
    Partial::Buckets(list.iter().map(entry).collect::<FxHashMap<_, _>>())
}

fn check(body: Value, parts: Vec<Partial>, expected: Value) {
    let parsed = parse(&json!({"a": body})).unwrap();
    let mut merged = Vec::new();
    for part in parts {
        partial::merge(&mut merged, vec![part]).unwrap();
    }
    let answer = render(&parsed, merged, false, 0).unwrap();
    assert_eq!(answer["a"], expected, "{body}");
}

#[test]
fn registry_is_sorted() {
    assert!(AGGREGATIONS.is_sorted_by(|a, b| a.name < b.name));
}

#[test]
fn terms_are_merged_before_the_top_is_taken() {
    let key = |s: &str| Key::Str(s.into());
    let parts =
        || vec![buckets(&[(key("a"), 3), (key("b"), 2)]), buckets(&[(key("b"), 2), (key("c"), 3), (key("d"), 1)])];
    let bucket = |key: &str, count: u64| json!({"key": key, "doc_count": count});
    check(
        json!({"terms": {"field": "f", "size": 2}}),
        parts(),
        json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 4, "buckets": [bucket("b", 4), bucket("a", 3)]}),
    );
    check(
        json!({"terms": {"field": "f", "order": {"_key": "desc"}, "include": "[a-c]", "exclude": ["b"]}}),
        parts(),
        json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": [bucket("c", 3), bucket("a", 3)]}),
    );
}

#[test]
fn date_histogram_fills_gaps() {
    let day = 86_400_000;
    let bucket = |text: &str, key: i64, count: u64| json!({"key_as_string": text, "key": key, "doc_count": count});
    check(
        json!({"date_histogram": {"field": "t", "calendar_interval": "day", "format": "yyyy-MM-dd"}}),
        vec![buckets(&[(Key::Date(0), 1), (Key::Date(2 * day), 1)])],
        json!({"buckets": [bucket("1970-01-01", 0, 1), bucket("1970-01-02", day, 0), bucket("1970-01-03", 2 * day, 1)]}),
    );
    check(
        json!({"date_histogram": {"field": "t", "fixed_interval": "1d", "extended_bounds": {"min": 0, "max": day}}}),
        vec![],
        json!({"buckets": [
            bucket("1970-01-01T00:00:00.000Z", 0, 0), bucket("1970-01-02T00:00:00.000Z", day, 0)]}),
    );
}

#[test]
fn nothing_gathered() {
    check(json!({"avg": {"field": "n"}}), vec![], json!({"value": null}));
    check(json!({"sum": {"field": "n"}}), vec![], json!({"value": 0.0}));
    check(json!({"value_count": {"field": "n"}}), vec![], json!({"value": 0}));
    check(json!({"cardinality": {"field": "n"}}), vec![], json!({"value": 0}));
    check(json!({"percentiles": {"field": "n", "percents": [50]}}), vec![], json!({"values": {"50.0": null}}));
    check(
        json!({"stats": {"field": "n"}}),
        vec![],
        json!({"count": 0, "min": null, "max": null, "avg": null, "sum": 0.0}),
    );
    check(
        json!({"filters": {"filters": {"x": {"match_all": {}}}}}),
        vec![],
        json!({"buckets": {"x": {"doc_count": 0}}}),
    );
}

#[test]
fn mistakes() {
    let check = |body: Value, expected: &str| assert_eq!(parse(&json!({"a": body})).unwrap_err().to_string(), expected);
    check(json!({}), "Missing definition for aggregation [a]");
    check(json!({"termz": {}}), "Unknown aggregation type [termz] did you mean [terms]?");
    check(json!({"terms": {"field": "f", "size": 0}}), "[size] must be greater than 0. Found [0] in [a]");
    check(
        json!({"avg": {"field": "f"}, "sum": {"field": "f"}}),
        "Found two aggregation type definitions in [a]: [avg] and [sum]",
    );
    check(
        json!({"date_histogram": {"field": "t", "fixed_interval": "1d", "calendar_interval": "1d"}}),
        "Cannot use [fixed_interval] with [calendar_interval] configuration option.",
    );
    check(
        json!({"date_histogram": {"field": "t", "fixed_interval": "1M"}}),
        "failed to parse setting [date_histogram.fixedInterval] with value [1M] as a time value: unit is missing or unrecognized",
    );
}
