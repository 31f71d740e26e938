//! The `extractnumbers` filter: finds the numbers among the words of a text.
//!
//! `extractnumbers { source => "message" }`, as Logstash's: whole numbers become `int1`, `int2` …, others
//! `float1` …. A number is what Ruby's `Integer()` and `Float()` take. As there it never says that
//! it succeeded, so that the common options don't apply.

use super::common::field;
use super::{Filter, Run};
use crate::event::{Batch, EventId, FieldRef, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};

pub(super) static SPEC: Spec = Spec {
    name: "extractnumbers",
    summary: "Finds the numbers among the words of a text.",
    options: &[Opt::new("source", Type::Field, Some("message"), "The field with the text.")],
    examples: &[Example {
        title: "Numbers among words",
        config: "extractnumbers { }",
        given: r#"{"message":"took 12 of 1.5e3 ms"}"#,
        then: r#"{"int1":12,"float1":1500.0}"#,
    }],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct ExtractNumbers {
    source: FieldRef,
}

enum Number {
    Whole(bool, String),
    Float(f64),
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    Ok(Box::new(ExtractNumbers { source: field(options, "source", "message") }))
}

impl Filter for ExtractNumbers {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            self.one(batch, event);
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl ExtractNumbers {
    fn one(&self, batch: &mut Batch, event: EventId) {
        let value = match batch.get(event, &self.source) {
            Some(Value::Array(list)) => batch.entries(list).first().map(|entry| entry.value),
            value => value,
        };
        let Some(text) = value.and_then(|value| batch.as_text(value)) else { return };
        let words = text.split(|c: char| c.is_ascii_whitespace() || c == '\x0b').filter(|word| !word.is_empty());
        let number = |word| match (integer(word), float(word)) {
            (Some((negative, digits)), _) => Some(Number::Whole(negative, digits)),
            (None, float) => float.map(Number::Float),
        };
        let numbers: Vec<Number> = words.filter_map(number).collect();
        let (mut integers, mut floats) = (0, 0);
        for number in numbers {
            let (kind, count, number) = match number {
                Number::Float(n) => ("float", &mut floats, Value::Float(n)),
                Number::Whole(negative, digits) => ("int", &mut integers, batch.whole(negative, &digits)),
            };
            *count += 1;
            let key = batch.key(&format!("{kind}{count}"));
            batch.set_key(event, key, number);
        }
    }
}

/// Ruby's `Integer(text)`: whether it is negative, and its decimal digits. There may be a prefix for
/// the base, and single underscores between digits.
fn integer(text: &str) -> Option<(bool, String)> {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'd', ..] => (10, &lower[2..]),
        [b'0', _, ..] => (8, lower[1..].strip_prefix('_').unwrap_or(&lower[1..])),
        _ => (10, &lower[..]),
    };
    let spaced = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    let plain = digits.replace('_', "");
    if spaced || plain.is_empty() || !plain.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let digits = if base == 10 { plain } else { u128::from_str_radix(&plain, base).ok()?.to_string() };
    Some((negative, digits))
}

/// Ruby's `Float(text)`: digits on both sides of a point.
fn float(text: &str) -> Option<f64> {
    let spaced = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    let plain = text.replace('_', "");
    let digits = plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    let point = plain.find('.').is_none_or(|at| plain.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit));
    if spaced || !digits || !point { None } else { plain.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{event, run, shown};

    #[test]
    fn numbers() {
        let check = |text: &str, want: &str| {
            let mut batch = Batch::new();
            let event = event(&mut batch, &format!(r#"{{"message":{text}}}"#));
            assert!(!run(build, "{}", &mut batch, event));
            assert_eq!(shown(&batch, event), format!(r#"{{"message":{text}{want}}}"#), "{text}");
        };
        check(r#""a 1 b -2.5 3""#, r#","int1":1,"float1":-2.5,"int2":3"#);
        check(r#""0x1F 010 08 1_000 1__0 _1""#, r#","int1":31,"int2":8,"float1":8.0,"int3":1000"#);
        check(r#""1e3 .5 5. NaN inf 1.5s""#, r#","float1":1000.0,"float2":0.5"#);
        check(
            r#""-36893488147419103232 0xFFFFFFFFFFFFFFFFF""#,
            r#","int1":-36893488147419103232,"int2":295147905179352825855"#,
        );
        check(r#""18446744073709551615 +7\t\n0""#, r#","int1":18446744073709551615,"int2":7,"int3":0"#);
        check(r#"["1","2"]"#, r#","int1":1"#);
        check("5", "");
        check("null", "");
    }
}
