//! `logboom test --update`: what came out becomes what is expected, in the file of tests itself.
//!
//! Only what is written behind `expect:` of a test that fails is written anew; everything else, comments
//! too, stays byte for byte. Of an event, only what the test looked at is taken over.

use super::diff;
use anyhow::{Context as _, anyhow};
use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};
use std::ops::Range;

/// Columns of a line at the most, where it can be helped.
const WIDTH: usize = 100;

/// The file's text with these events as what the test with a number (from 0 on) expects.
pub(super) fn updated(yaml: &str, test: usize, expect: &[Value]) -> anyhow::Result<String> {
    let range = place(yaml, test)?.with_context(|| format!("test {} has no `expect`", test + 1))?;
    let old = &yaml[range.clone()];
    let block = old.starts_with("- ") || old.starts_with("-\n");
    let new = if block && !expect.is_empty() {
        let indent = yaml[..range.start].rsplit('\n').next().map_or(0, |line| line.chars().count());
        let gap = " ".repeat(indent);
        let comments = old.lines().map(str::trim).filter(|line| line.starts_with('#')).map(str::to_owned);
        let lines: Vec<String> = comments.chain(expect.iter().flat_map(|event| item(event, indent))).collect();
        lines.join(&format!("\n{gap}"))
    } else {
        flow(&Value::Array(expect.to_vec()))
    };
    Ok(format!("{}{new}{}", &yaml[..range.start], &yaml[range.end..]))
}

/// An element of a list in lines.
fn item(event: &Value, indent: usize) -> Vec<String> {
    let line = format!("- {}", flow(event));
    match event {
        Value::Object(members) if indent + line.chars().count() > WIDTH && !members.is_empty() => {
            let pair = |(at, (name, value)): (usize, (&String, &Value))| {
                format!("{} {}: {}", if at == 0 { "-" } else { " " }, key(name), flow(value))
            };
            members.iter().enumerate().map(pair).collect()
        }
        _ => vec![line],
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let pairs = members.iter().map(|(name, value)| format!("{}: {}", key(name), flow(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// A name as the key of a hash, in quotes where it might be read as something else.
fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$' | '-'))
        && !["yes", "no", "on", "off", "true", "false", "null"].contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { Value::from(name).to_string() }
}

/// Where we are in the file.
enum At {
    /// In a hash: at a key, or behind the one that is named.
    Hash(Option<String>),
    /// In a list, at an element.
    List(usize),
}

/// Where the value of `expect` stands of a test with a number.
fn place(yaml: &str, test: usize) -> anyhow::Result<Option<Range<usize>>> {
    let mut bytes: Vec<usize> = yaml.char_indices().map(|(at, _)| at).collect();
    bytes.push(yaml.len());
    let byte = |index: usize| bytes[index.min(bytes.len() - 1)];
    let mut path: Vec<At> = Vec::new();
    let mut found: Option<(usize, usize)> = None;
    let mut parser = Parser::new_from_str(yaml);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| anyhow!("{error}"))?;
        let wanted = found.is_none() && is_wanted(&path, test);
        match event {
            Event::Scalar(text, ..) => match path.last_mut() {
                Some(At::Hash(key @ None)) => *key = Some(text.to_string()),
                _ if wanted => return Ok(Some(byte(span.start.index())..byte(span.end.index()))),
                _ => passed(&mut path),
            },
            Event::Alias(_) => passed(&mut path),
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if wanted {
                    found = Some((byte(span.start.index()), path.len()));
                }
                let list = matches!(event, Event::SequenceStart(..));
                path.push(if list { At::List(0) } else { At::Hash(None) });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                path.pop();
                if let Some((start, depth)) = found
                    && path.len() == depth
                {
                    return Ok(Some(begin(yaml, start)..end(yaml, start, byte(span.end.index()))));
                }
                passed(&mut path);
            }
            _ => {}
        }
    }
    Ok(None)
}

fn is_wanted(path: &[At], test: usize) -> bool {
    let named = |at: &At, name: &str| matches!(at, At::Hash(Some(key)) if key == name);
    match path {
        [tests, At::List(at), expect] => *at == test && named(tests, "tests") && named(expect, "expect"),
        // One test alone need not stand in a list.
        [tests, expect] => test == 0 && named(tests, "tests") && named(expect, "expect"),
        _ => false,
    }
}

/// A value is over.
fn passed(path: &mut [At]) {
    match path.last_mut() {
        Some(At::Hash(key)) => *key = None,
        Some(At::List(at)) => *at += 1,
        None => {}
    }
}

/// The beginning of a value: of a list that is not indented the parser names its first element.
fn begin(yaml: &str, start: usize) -> usize {
    let line = yaml[..start].rfind('\n').map_or(0, |at| at + 1);
    let before = &yaml[line..start];
    if before.trim() == "-" { line + before.find('-').unwrap_or(0) } else { start }
}

/// The end of a value without the white space and comments behind it, which belong to what comes next.
fn end(yaml: &str, start: usize, end: usize) -> usize {
    let mut text = yaml[start..end].trim_end();
    while let Some((before, last)) = text.rsplit_once('\n') {
        if !last.trim_start().starts_with('#') {
            break;
        }
        text = before.trim_end();
    }
    start + text.len()
}

/// What a test shall expect from now on, given what it expected.
pub(super) fn expectation(want: &[Value], got: &[Value], exact: bool) -> Vec<Value> {
    got.iter().enumerate().map(|(at, got)| event(want.get(at), got, exact)).collect()
}

fn event(want: Option<&Value>, got: &Value, exact: bool) -> Value {
    let own = |name: &str| !matches!(name, "@timestamp" | "@version");
    let members = match want {
        Some(Value::Object(members)) => members,
        // A text stands for its `message`.
        Some(_) if got.get("message").is_some_and(Value::is_string) && !exact => return got["message"].clone(),
        _ => {
            let all = got.as_object().into_iter().flatten().filter(|(name, _)| own(name));
            return Value::Object(all.map(|(name, value)| (name.clone(), value.clone())).collect());
        }
    };
    let exact = exact || members.get("$exact") == Some(&Value::Bool(true));
    let mut new = Map::new();
    for (name, want) in members {
        let kept = match name.as_str() {
            "$exact" => Some(want.clone()),
            "$absent" => listed(want, |name| diff::find(got, name).is_none()),
            "$tags" => {
                let tags = diff::find(got, "tags").map(diff::list_of).unwrap_or_default();
                listed(want, |tag| tags.iter().any(|known| known == tag))
            }
            "$match" => patterns(want, got, &mut new),
            name => diff::find(got, name).map(|got| shaped(want, got, exact)),
        };
        new.extend(kept.map(|kept| (name.clone(), kept)));
    }
    if let (true, Value::Object(all)) = (exact, got) {
        for (name, value) in all.iter().filter(|(name, _)| own(name)) {
            if !new.keys().any(|known| known.trim_matches(['[', ']']) == name) {
                new.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(new)
}

/// The elements of a list that hold; `None` where there are none.
fn listed(want: &Value, holds: impl Fn(&str) -> bool) -> Option<Value> {
    let kept: Vec<Value> = diff::list_of(want).into_iter().filter(|name| holds(name)).map(Value::from).collect();
    (!kept.is_empty()).then_some(Value::Array(kept))
}

/// The patterns that still match; of the others, the values are expected.
fn patterns(want: &Value, got: &Value, new: &mut Map<String, Value>) -> Option<Value> {
    let mut kept = Map::new();
    for (name, pattern) in want.as_object()? {
        match diff::find(got, name) {
            Some(_) if diff::matches(name, pattern, got).is_none() => drop(kept.insert(name.clone(), pattern.clone())),
            Some(value) => drop(new.insert(name.clone(), value.clone())),
            None => {}
        }
    }
    (!kept.is_empty()).then_some(Value::Object(kept))
}

/// A value, of which only those members count that were looked at.
fn shaped(want: &Value, got: &Value, exact: bool) -> Value {
    match (want, got) {
        (Value::Object(want), Value::Object(all)) if !exact => {
            let member = |(name, want): (&String, &Value)| Some((name.clone(), shaped(want, all.get(name)?, exact)));
            Value::Object(want.iter().filter_map(member).collect())
        }
        (want, got) if diff::same(want, got) => want.clone(),
        _ => got.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(yaml: &str, test: usize, expect: Value, want: &str) {
        let new = updated(yaml, test, expect.as_array().unwrap()).unwrap();
        assert_eq!(new, want, "{yaml}");
    }

    #[test]
    fn only_the_expectation_is_written_anew() {
        check(
            "tests:\n  # one\n  - name: é\n    expect:\n      # why\n      - { a: 1 } # here\n      - b\n\n  # two\n  - name: z\n    expect: []\n",
            0,
            json!([{ "a": 2 }, "c"]),
            "tests:\n  # one\n  - name: é\n    expect:\n      # why\n      - { a: 2 }\n      - \"c\"\n\n  # two\n  - name: z\n    expect: []\n",
        );
        check(
            "tests:\n  - { name: x, expect: [{ a: 1 }], given: [y] } # c\n  - { name: z, given: [expect], expect: [] }\n",
            0,
            json!([{ "[a][b]": "q\"", "$absent": ["t"], "yes": null }]),
            "tests:\n  - { name: x, expect: [{ \"[a][b]\": \"q\\\"\", $absent: [\"t\"], \"yes\": null }], given: [y] } # c\n  - { name: z, given: [expect], expect: [] }\n",
        );
        check("tests: { expect: x }", 0, json!([]), "tests: { expect: [] }");
        let long = "x".repeat(90);
        check(
            "tests:\n- expect:\n  - a: 1\n  # the end",
            0,
            json!([{ "a": long, "b": [1] }]),
            &format!("tests:\n- expect:\n  - a: \"{long}\"\n    b: [1]\n  # the end"),
        );
        assert!(updated("tests:\n- name: x\n", 0, &[]).is_err());
    }

    #[test]
    fn what_was_looked_at_is_taken_over() {
        let check = |want: Value, got: Value, exact: bool, new: Value| {
            assert_eq!(expectation(want.as_array().unwrap(), &[got], exact), [new], "{want}");
        };
        let got = json!({ "@timestamp": "2020-01-01T00:00:00.000Z", "message": "m", "n": 1, "a": { "b": 1, "c": 2 }, "tags": ["t"] });
        check(json!(["x"]), got.clone(), false, json!("m"));
        check(
            json!([{ "n": 1.0, "a": { "b": 3, "d": 4 }, "gone": 1 }]),
            got.clone(),
            false,
            json!({ "n": 1.0, "a": { "b": 1 } }),
        );
        check(
            json!([{ "$absent": ["n", "z"], "$tags": ["t", "u"], "$match": { "message": "^m", "n": "x", "z": "y" } }]),
            got.clone(),
            false,
            json!({ "$absent": ["z"], "$tags": ["t"], "n": 1, "$match": { "message": "^m" } }),
        );
        check(
            json!([{ "n": 2, "@timestamp": "2020-01-01T01:00:00+01:00" }]),
            got.clone(),
            true,
            json!({ "n": 1, "@timestamp": "2020-01-01T01:00:00+01:00", "message": "m", "a": { "b": 1, "c": 2 }, "tags": ["t"] }),
        );
        check(json!([]), got, false, json!({ "message": "m", "n": 1, "a": { "b": 1, "c": 2 }, "tags": ["t"] }));
    }
}
