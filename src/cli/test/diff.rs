//! What differs between the events that came and those that were expected.

use serde_json::{Map, Value};
use std::fmt::Write;

/// Says in lines what differs; nothing where all is as expected.
pub(super) fn compare(expect: &[Value], got: &[Value], exact: bool) -> String {
    let mut out = String::new();
    if expect.len() != got.len() {
        let _ = writeln!(out, "  expected {}, got {}", events(expect.len()), events(got.len()));
    }
    for at in 0..expect.len().max(got.len()) {
        let mut lines = Vec::new();
        match (expect.get(at), got.get(at)) {
            (Some(expect), Some(got)) => event(expect, got, exact, &mut lines),
            (Some(_), None) => lines.push("it did not come out".to_owned()),
            _ => lines.push("it was not expected".to_owned()),
        }
        if lines.is_empty() {
            continue;
        }
        let _ = writeln!(out, "  event {}:", at + 1);
        lines.iter().for_each(|line| out.push_str(&format!("    {line}\n")));
        if let Some(got) = got.get(at) {
            let pretty = serde_json::to_string_pretty(got).unwrap_or_default();
            let _ = writeln!(out, "    the event is {}", pretty.replace('\n', "\n    "));
        }
    }
    out
}

fn events(number: usize) -> String {
    if number == 1 { "1 event".to_owned() } else { format!("{number} events") }
}

fn event(expect: &Value, got: &Value, exact: bool, lines: &mut Vec<String>) {
    let message;
    let expect = match expect {
        Value::Object(members) => members,
        // A text stands for its `message`.
        text => {
            message = Map::from_iter([("message".to_owned(), text.clone())]);
            &message
        }
    };
    let exact = exact || expect.get("$exact") == Some(&Value::Bool(true));
    for (name, want) in expect {
        match (name.as_str(), want) {
            ("$exact", _) => {}
            ("$absent", list) => {
                for name in list_of(list) {
                    if let Some(value) = find(got, &name) {
                        lines.push(format!("{name}: expected nothing, got {value}"));
                    }
                }
            }
            ("$tags", list) => {
                let tags = find(got, "tags").map(list_of).unwrap_or_default();
                for tag in list_of(list).into_iter().filter(|tag| !tags.contains(tag)) {
                    lines.push(format!("tags: expected {tag} among {tags:?}"));
                }
            }
            ("$match", Value::Object(patterns)) => {
                lines.extend(patterns.iter().filter_map(|(name, pattern)| matches(name, pattern, got)));
            }
            _ => value(name, want, find(got, name), exact, lines),
        }
    }
    if let (true, Value::Object(members)) = (exact, got) {
        let known = |name: &str| {
            matches!(name, "@timestamp" | "@version") || expect.keys().any(|e| e.trim_matches(['[', ']']) == name)
        };
        for (name, value) in members.iter().filter(|(name, _)| !known(name)) {
            lines.push(format!("{name}: expected nothing, got {value}"));
        }
    }
}

/// Says why the value of a field does not match a pattern; nothing where it does.
pub(super) fn matches(name: &str, pattern: &Value, got: &Value) -> Option<String> {
    let pattern = text(pattern);
    match (regex::Regex::new(&pattern), find(got, name).map(text)) {
        (Err(error), _) => Some(format!("{name}: cannot compile /{pattern}/: {error}")),
        (Ok(_), None) => Some(format!("{name}: expected what matches /{pattern}/, got nothing")),
        (Ok(regex), Some(shown)) if !regex.is_match(&shown) => {
            Some(format!("{name}: expected what matches /{pattern}/, got {shown:?}"))
        }
        _ => None,
    }
}

fn value(name: &str, want: &Value, got: Option<&Value>, exact: bool, lines: &mut Vec<String>) {
    match (want, got) {
        (want, None) => lines.push(format!("{name}: expected {want}, got nothing")),
        (Value::Object(want), Some(Value::Object(got))) => {
            for (key, want) in want {
                value(&format!("{}[{key}]", bracketed(name)), want, got.get(key), exact, lines);
            }
            for (key, got) in got.iter().filter(|(key, _)| exact && !want.contains_key(*key)) {
                lines.push(format!("{}[{key}]: expected nothing, got {got}", bracketed(name)));
            }
        }
        (want, Some(got)) if same(want, got) => {}
        (want, Some(got)) => lines.push(format!("{name}: expected {want}, got {got}")),
    }
}

/// Numbers are the same by value, `1` and `1.0` alike; times by instant.
pub(super) fn same(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::Number(want), Value::Number(got)) => want == got || want.as_f64() == got.as_f64(),
        (Value::String(want), Value::String(got)) => {
            let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
            want == got || time(want).is_some_and(|want| Some(want) == time(got))
        }
        (Value::Array(want), Value::Array(got)) => {
            want.len() == got.len() && want.iter().zip(got).all(|(want, got)| same(want, got))
        }
        (Value::Object(want), Value::Object(got)) => {
            want.len() == got.len() && want.iter().all(|(key, want)| got.get(key).is_some_and(|got| same(want, got)))
        }
        _ => want == got,
    }
}

fn bracketed(name: &str) -> String {
    if name.starts_with('[') { name.to_owned() } else { format!("[{name}]") }
}

/// The value of `name` or `[a][b][0]`.
pub(super) fn find<'v>(event: &'v Value, name: &str) -> Option<&'v Value> {
    let Some(inner) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) else { return event.get(name) };
    inner.split("][").try_fold(event, |value, step| match value {
        Value::Array(list) => list.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

/// A list of texts; one value is a list of one.
pub(super) fn list_of(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().map(text).collect(),
        value => vec![text(value)],
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differences(expect: Value, got: Value, exact: bool) -> Vec<String> {
        let mut lines = Vec::new();
        event(&expect, &got, exact, &mut lines);
        lines
    }

    #[test]
    fn what_differs_is_told_by_field() {
        let got = json!({"message": "m", "a": {"b": [1, 2.0], "c": "x"}, "tags": ["t"], "@timestamp": "2020-01-01T00:00:00.000Z"});
        let check = |expect: Value, want: &[&str]| assert_eq!(differences(expect, got.clone(), false), want);
        check(json!("m"), &[]);
        check(json!({"a": {"b": [1, 2]}}), &[]);
        check(json!({"[a][b][1]": 2, "@timestamp": "2020-01-01T01:00:00+01:00"}), &[]);
        check(
            json!({"a": {"c": "y", "d": null}}),
            &["[a][c]: expected \"y\", got \"x\"", "[a][d]: expected null, got nothing"],
        );
        check(json!({"$absent": ["tags", "none"]}), &["tags: expected nothing, got [\"t\"]"]);
        check(json!({"$tags": ["t", "u"]}), &["tags: expected u among [\"t\"]"]);
        check(json!({"$match": {"message": "^m$", "[a][c]": "y"}}), &["[a][c]: expected what matches /y/, got \"x\""]);
        check(
            json!({"message": "m", "$exact": true}),
            &["a: expected nothing, got {\"b\":[1,2.0],\"c\":\"x\"}", "tags: expected nothing, got [\"t\"]"],
        );
    }

    #[test]
    fn nested_fields_count_where_it_is_exact() {
        let got = json!({"a": {"b": 1, "c": 2}});
        assert_eq!(differences(json!({"a": {"b": 1}}), got, true), ["[a][c]: expected nothing, got 2"]);
    }

    #[test]
    fn numbers_of_events() {
        let text = compare(&[json!({})], &[], false);
        assert_eq!(text, "  expected 1 event, got 0 events\n  event 1:\n    it did not come out\n");
        assert_eq!(compare(&[], &[], false), "");
    }
}
