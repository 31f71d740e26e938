//! The DSL, as a column of bodies.

use super::*;
use crate::search::ast::{Bool, Test};
use serde_json::json;

fn reason(body: Value) -> String {
    parse(&body).expect_err(&body.to_string()).to_string()
}

#[test]
fn registry_is_sorted() {
    assert!(QUERIES.is_sorted_by(|a, b| a.name < b.name));
}

#[test]
fn clauses_are_objects_or_arrays() {
    let term = || Query::on("a", Test::Term { value: Scalar::Int(1), fold: false });
    let one = parse(&json!({"bool": {"must": {"term": {"a": 1}}, "must_not": [], "filter": [{"term": {"a": 1}}]}}));
    assert_eq!(one, Ok(Query::Bool(Bool { must: vec![term()], filter: vec![term()], ..Bool::default() })));
    assert_eq!(parse(&json!({"bool": {}})), Ok(Query::All));
    assert_eq!(parse(&json!({"bool": {"filter": []}})), Ok(Query::All));
}

#[test]
fn shorthands_equal_long_forms() {
    for (short, long) in [
        (json!({"term": {"a": "x"}}), json!({"term": {"a": {"value": "x"}}})),
        (json!({"match": {"a": "x y"}}), json!({"match": {"a": {"query": "x y", "operator": "OR"}}})),
        (json!({"match_phrase": {"a": "x y"}}), json!({"match_phrase": {"a": {"query": "x y", "slop": 0}}})),
        (json!({"prefix": {"a": "x"}}), json!({"prefix": {"a": {"value": "x"}}})),
        (json!({"wildcard": {"a": "x*"}}), json!({"wildcard": {"a": {"wildcard": "x*"}}})),
        (
            json!({"range": {"a": {"gte": 1, "lt": 2}}}),
            json!({"range": {"a": {"from": 1, "to": 2, "include_upper": false}}}),
        ),
        (json!({"ids": {"values": "1"}}), json!({"ids": {"values": ["1"]}})),
        (
            json!({"query_string": {"query": "a:1"}}),
            json!({"query_string": {"query": "a:1", "default_operator": "or"}}),
        ),
    ] {
        assert_eq!(parse(&short), parse(&long), "{short}");
    }
}

#[test]
fn mistakes() {
    let check = |body: Value, expected: &str| assert_eq!(reason(body), expected);
    check(json!({"foo": {}}), "unknown query [foo]");
    check(json!({"mtach": {}}), "unknown query [mtach]");
    check(json!({"matchx": {}}), "unknown query [matchx] did you mean [match]?");
    check(json!({}), "query malformed, empty clause found");
    check(json!({"match_all": 1}), "[match_all] query malformed, no start_object after query name");
    check(json!({"match": {"a": 1, "b": 2}}), "[match] query doesn't support multiple fields, found [a] and [b]");
    check(
        json!({"match_all": {}, "term": {}}),
        "[match_all] malformed query, expected [END_OBJECT] but found [FIELD_NAME]",
    );
    check(json!({"bool": {"musst": []}}), "[bool] query does not support [musst]");
    check(json!({"term": {"a": ["x"]}}), "[term] query does not support array of values");
    check(json!({"term": {"a": null}}), "value cannot be null");
    check(json!({"query_string": {"query": "("}}), "Failed to parse query [(]");
    check(json!({"exists": {}}), "[exists] must be provided with a [field]");
    check(json!({"terms": {"a": "x"}}), "[terms] query does not support [a]");
}
