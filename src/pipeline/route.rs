//! Deciding conditions for events, and sending each event down the branch that is its own.
//!
//! The semantics are those of Logstash's `EventCondition.java`. Nothing here allocates per event.

use crate::event::{Batch, EventId, FieldRef, List, Timestamp, Value};
use crate::language::Cond;
use crate::language::plan::Constant;
use std::cmp::Ordering;
use std::fmt::{self, Write};

/// A condition that can't be decided: the event is dropped, as in Logstash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CondError {
    /// Two values that have no order.
    #[error("cannot compare {left} with {right}")]
    Compare {
        /// What the left value is.
        left: &'static str,
        /// What the right value is.
        right: &'static str,
    },
    /// A regular expression gave no answer within its limit.
    #[error("cannot match: the regular expression took too many steps on this text")]
    Match,
}

/// Splits a selection of events over branches: `parts[i]` gets, in order, those for which the
/// condition of branch `i` is the first that holds, and the last part those for which none does;
/// there is one part more than branches. Behind the branches, the events of the parts go on in
/// the order of the parts. `failed` gets the events whose condition can't be decided.
pub fn split<T>(
    branches: &[(Cond, T)],
    batch: &Batch,
    events: &[EventId],
    parts: &mut [Vec<EventId>],
    failed: &mut dyn FnMut(EventId, CondError),
) {
    debug_assert_eq!(parts.len(), branches.len() + 1, "BUG: one part for each branch and one for the rest");
    parts.iter_mut().for_each(Vec::clear);
    'events: for &event in events {
        for (at, (cond, _)) in branches.iter().enumerate() {
            match eval(cond, batch, event) {
                Ok(true) => {
                    parts[at].push(event);
                    continue 'events;
                }
                Ok(false) => {}
                Err(error) => {
                    failed(event, error);
                    continue 'events;
                }
            }
        }
        parts[branches.len()].push(event);
    }
}

/// Whether a condition holds for an event.
pub fn eval(cond: &Cond, batch: &Batch, event: EventId) -> Result<bool, CondError> {
    let get = |field: &FieldRef| get(batch, event, field);
    Ok(match cond {
        Cond::Constant(truth) => *truth,
        Cond::Truthy(field) => truthy(batch, get(field)),
        Cond::Equal(field, constant) => equals(batch, get(field), constant),
        Cond::EqualFields(left, right) => same(batch, get(left), get(right)),
        Cond::Order(field, order, constant) => order.holds(compare_constant(batch, get(field), constant)?),
        Cond::OrderFields(left, order, right) => order.holds(compare(batch, get(left), get(right))?),
        Cond::Match(field, pattern) => match batch.as_text(get(field)) {
            Some(text) => pattern.is_match(text).map_err(|_| CondError::Match)?,
            None => false,
        },
        Cond::ConstantInField(constant, field) => match (get(field), constant) {
            (Value::Array(list), _) => batch.entries(list).iter().any(|e| equals(batch, e.value, constant)),
            (Value::Str(span), Constant::Text(text)) => contains(batch.bytes(span), text.as_bytes()),
            _ => false,
        },
        Cond::FieldInText(field, text) => match get(field) {
            Value::Str(span) => contains(text.as_bytes(), batch.bytes(span)),
            _ => false,
        },
        Cond::FieldInList(field, texts) => match get(field) {
            Value::Null => false,
            Value::Str(span) => {
                let value = batch.bytes(span);
                texts.iter().any(|text| text.as_bytes() == value)
            }
            value => texts.iter().any(|text| prints_as(batch, value, text)),
        },
        Cond::FieldInField(left, right) => field_in_field(batch, get(left), get(right)),
        Cond::Not(inner) => !eval(inner, batch, event)?,
        Cond::All(list) => {
            for cond in list {
                if !eval(cond, batch, event)? {
                    return Ok(false);
                }
            }
            true
        }
        Cond::Any(list) => {
            for cond in list {
                if eval(cond, batch, event)? {
                    return Ok(true);
                }
            }
            false
        }
        Cond::Xor(pair) => eval(&pair.0, batch, event)? != eval(&pair.1, batch, event)?,
    })
}

/// A missing field and a null are the same to conditions.
#[inline]
fn get(batch: &Batch, event: EventId, field: &FieldRef) -> Value {
    batch.get(event, field).unwrap_or(Value::Null)
}

/// False are null, false, the empty text and the text `false`; `0` and `[]` are true.
fn truthy(batch: &Batch, value: Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Str(span) => !matches!(batch.bytes(span), b"" | b"false"),
        _ => true,
    }
}

/// Types are never mixed: `1` is neither `"1"` nor `1.0`.
fn equals(batch: &Batch, value: Value, constant: &Constant) -> bool {
    match (value, constant) {
        (Value::Str(span), Constant::Text(text)) => batch.bytes(span) == text.as_bytes(),
        (Value::Int(a), Constant::Int(b)) => i128::from(a) == *b,
        (Value::Uint(a), Constant::Int(b)) => i128::from(a) == *b,
        (Value::Float(a), Constant::Float(b)) => a == *b,
        _ => false,
    }
}

/// Whether two values are the same in type and content.
fn same(batch: &Batch, left: Value, right: Value) -> bool {
    match (left, right) {
        (Value::Str(a), Value::Str(b)) | (Value::Big(a), Value::Big(b)) => batch.bytes(a) == batch.bytes(b),
        (Value::Array(a), Value::Array(b)) => {
            let (a, b) = (batch.entries(a), batch.entries(b));
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(batch, a.value, b.value))
        }
        (Value::Object(a), Value::Object(b)) => {
            let (a, b) = (batch.entries(a), batch.entries(b));
            let in_b = |key| b.iter().find(|e| e.key == key).map(|e| e.value);
            a.len() == b.len() && a.iter().all(|e| in_b(e.key).is_some_and(|value| same(batch, e.value, value)))
        }
        (a, b) => a == b,
    }
}

fn compare_constant(batch: &Batch, value: Value, constant: &Constant) -> Result<Ordering, CondError> {
    let ordering = match (value, constant) {
        (Value::Str(span), Constant::Text(text)) => Some(batch.bytes(span).cmp(text.as_bytes())),
        (Value::Int(a), Constant::Int(b)) => Some(i128::from(a).cmp(b)),
        (Value::Uint(a), Constant::Int(b)) => Some(i128::from(a).cmp(b)),
        (Value::Float(a), Constant::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Int(a), Constant::Float(b)) => (a as f64).partial_cmp(b),
        (Value::Uint(a), Constant::Float(b)) => (a as f64).partial_cmp(b),
        (Value::Big(_), Constant::Int(b)) => batch.number(value).and_then(|a| a.partial_cmp(&(*b as f64))),
        (Value::Big(_), Constant::Float(b)) => batch.number(value).and_then(|a| a.partial_cmp(b)),
        (Value::Float(a), Constant::Float(b)) => a.partial_cmp(b),
        _ => None,
    };
    let right = if matches!(constant, Constant::Text(_)) { "a text" } else { "a number" };
    ordering.ok_or(CondError::Compare { left: kind(value), right })
}

fn compare(batch: &Batch, left: Value, right: Value) -> Result<Ordering, CondError> {
    let ordering = match (left, right) {
        (Value::Str(a), Value::Str(b)) => Some(batch.bytes(a).cmp(batch.bytes(b))),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(&b)),
        _ => match (whole(left), whole(right)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => batch.number(left).zip(batch.number(right)).and_then(|(a, b)| a.partial_cmp(&b)),
        },
    };
    ordering.ok_or(CondError::Compare { left: kind(left), right: kind(right) })
}

fn whole(value: Value) -> Option<i128> {
    match value {
        Value::Int(n) => Some(n.into()),
        Value::Uint(n) => Some(n.into()),
        _ => None,
    }
}

fn field_in_field(batch: &Batch, left: Value, right: Value) -> bool {
    match (left, right) {
        (Value::Null | Value::Array(_) | Value::Object(_), _) => false,
        (Value::Str(a), Value::Str(b)) => contains(batch.bytes(b), batch.bytes(a)),
        (_, Value::Array(list)) => batch.entries(list).iter().any(|e| same(batch, e.value, left)),
        _ => same(batch, left, right),
    }
}

/// Whether a text has another one in it. Both are UTF-8, so bytes can't match across characters.
fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn kind(value: Value) -> &'static str {
    match value {
        Value::Null => "a missing field",
        Value::Bool(_) => "a truth value",
        Value::Int(_) | Value::Uint(_) | Value::Big(_) | Value::Float(_) => "a number",
        Value::Str(_) => "a text",
        Value::Time(_) => "a time",
        Value::Array(_) => "an array",
        Value::Object(_) => "a hash",
    }
}

/// Whether a value printed as Java's `toString` prints it is this text; prints nothing.
fn prints_as(batch: &Batch, value: Value, text: &str) -> bool {
    let mut rest = Expected(text);
    print(batch, value, &mut rest).is_ok() && rest.0.is_empty()
}

/// Takes what is written off the front of a text, and fails at the first difference.
struct Expected<'a>(&'a str);

impl Write for Expected<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
        Ok(())
    }
}

fn print(batch: &Batch, value: Value, out: &mut dyn Write) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(truth) => write!(out, "{truth}"),
        Value::Int(n) => write!(out, "{n}"),
        Value::Uint(n) => write!(out, "{n}"),
        Value::Big(digits) => out.write_str(batch.text(digits)),
        Value::Float(n) => write!(out, "{}", FloatText(n)),
        Value::Str(span) => out.write_str(batch.text(span)),
        Value::Time(at) => print_time(at, out),
        Value::Array(list) => print_list(batch, list, out),
        Value::Object(list) => {
            out.write_char('{')?;
            for (at, entry) in batch.entries(list).iter().enumerate() {
                out.write_str(if at == 0 { "" } else { ", " })?;
                out.write_str(batch.name(entry.key))?;
                out.write_char('=')?;
                print(batch, entry.value, out)?;
            }
            out.write_char('}')
        }
    }
}

fn print_list(batch: &Batch, list: List, out: &mut dyn Write) -> fmt::Result {
    out.write_char('[')?;
    for (at, entry) in batch.entries(list).iter().enumerate() {
        out.write_str(if at == 0 { "" } else { ", " })?;
        print(batch, entry.value, out)?;
    }
    out.write_char(']')
}

fn print_time(at: Timestamp, out: &mut dyn Write) -> fmt::Result {
    let time = at.utc().ok_or(fmt::Error)?;
    let (year, month, day) = (time.year(), time.month(), time.day());
    write!(out, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
    let nanos = at.subsec_nanos();
    match nanos {
        _ if nanos.is_multiple_of(1_000_000) => write!(out, ".{:03}Z", nanos / 1_000_000),
        _ if nanos.is_multiple_of(1_000) => write!(out, ".{:06}Z", nanos / 1_000),
        _ => write!(out, ".{nanos:09}Z"),
    }
}

/// A number with a point as Ruby writes it: at least one digit behind the point, and an exponent
/// from 10¹⁶ on and below 10⁻⁴.
pub struct FloatText(pub f64);

impl fmt::Display for FloatText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        let size = n.abs();
        if n.is_nan() {
            f.write_str("NaN")
        } else if n.is_infinite() {
            f.write_str(if n > 0.0 { "Infinity" } else { "-Infinity" })
        } else if size != 0.0 && !(1e-4..1e16).contains(&size) {
            f.write_str(ryu::Buffer::new().format_finite(n))
        } else {
            write!(f, "{n:?}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Step;
    use crate::language::testing::compile_text;

    /// A condition as the language compiles it; warnings don't matter here.
    fn cond(text: &str) -> Cond {
        let outcome = compile_text(&format!("filter {{ if {text} {{ drop {{ }} }} }}"));
        match outcome.plan.unwrap_or_else(|| panic!("{text}: {:#?}", outcome.diagnostics)).filters.remove(0) {
            Step::If { mut branches, .. } => branches.remove(0).0,
            Step::Plugin(_) => panic!("no condition"),
        }
    }

    /// One event of a JSON object.
    fn event(batch: &mut Batch, json: &str) -> EventId {
        let event = batch.new_event();
        let span = batch.push_text(json);
        let Ok(Value::Object(list)) = crate::event::json::Parser::default().parse(batch, span) else {
            panic!("no object: {json}")
        };
        for entry in batch.entries(list).to_vec() {
            batch.set_key(event, entry.key, entry.value);
        }
        event
    }

    fn decide(text: &str, json: &str) -> Result<bool, CondError> {
        let mut batch = Batch::new();
        let event = event(&mut batch, json);
        eval(&cond(text), &batch, event)
    }

    #[track_caller]
    fn check(text: &str, json: &str, want: Option<bool>) {
        assert_eq!(decide(text, json).ok(), want, "{text} of {json}");
    }

    #[test]
    fn what_counts_as_true() {
        for (json, want) in [
            ("{}", false),
            (r#"{"t":null}"#, false),
            (r#"{"t":false}"#, false),
            (r#"{"t":""}"#, false),
            (r#"{"t":"false"}"#, false),
            (r#"{"t":true}"#, true),
            (r#"{"t":0}"#, true),
            (r#"{"t":[]}"#, true),
            (r#"{"t":{}}"#, true),
            (r#"{"t":"x"}"#, true),
        ] {
            check("[t]", json, Some(want));
            check("![t]", json, Some(!want));
            check("!([t])", json, Some(!want));
        }
        check("\"x\"", "{}", Some(true));
        check("\"false\"", "{}", Some(false));
        check("(\"\")", "{}", Some(false));
        check("5", "{}", Some(true));
    }

    #[test]
    fn equality_never_mixes_types() {
        check("[a] == 1", r#"{"a":1}"#, Some(true));
        check("[a] == 1", r#"{"a":"1"}"#, Some(false));
        check("[a] == 1", r#"{"a":1.0}"#, Some(false));
        check("[a] == 1.0", r#"{"a":1.0}"#, Some(true));
        check("[a] == 18446744073709551615", r#"{"a":18446744073709551615}"#, Some(true));
        check("[a] != 1", "{}", Some(true));
        check("\"x\" == [a]", r#"{"a":"x"}"#, Some(true));
        check("[a] == \"true\"", r#"{"a":true}"#, Some(false));
        check("[a] == [b]", "{}", Some(true));
        check("[a] == [b]", r#"{"a":null}"#, Some(true));
        check("[a] == [b]", r#"{"a":1,"b":1.0}"#, Some(false));
        check("[a] == [b]", r#"{"a":[1,{"x":2,"y":"z"}],"b":[1,{"y":"z","x":2}]}"#, Some(true));
        check("[a] == [b]", r#"{"a":[1],"b":[1,2]}"#, Some(false));
        check("1 == 1", "{}", Some(true));
        check("1 == 1.0", "{}", Some(false));
    }

    #[test]
    fn order_of_what_has_none_is_an_error() {
        check("[a] < 5", r#"{"a":4}"#, Some(true));
        check("[a] < 5", r#"{"a":4.5}"#, Some(true));
        check("[a] >= 5", r#"{"a":5.0}"#, Some(true));
        check("[a] > 5.5", r#"{"a":6}"#, Some(true));
        check("5 < [a]", r#"{"a":6}"#, Some(true));
        check("5 >= [a]", r#"{"a":6}"#, Some(false));
        check("[a] > \"b\"", r#"{"a":"c"}"#, Some(true));
        check("[a] < [b]", r#"{"a":1,"b":2.5}"#, Some(true));
        check("[a] <= [b]", r#"{"a":9007199254740993,"b":9007199254740992}"#, Some(false));
        check("[a] > [b]", r#"{"a":"b","b":"a"}"#, Some(true));
        for json in ["{}", r#"{"a":null}"#, r#"{"a":"4"}"#, r#"{"a":[4]}"#, r#"{"a":true}"#, r#"{"a":{}}"#] {
            check("[a] < 5", json, None);
            check("!([a] < 5)", json, None);
            check("[a] < [b]", json, None);
        }
        let error = decide("[a] < 5", "{}").unwrap_err();
        assert_eq!(error.to_string(), "cannot compare a missing field with a number");
        // What is decided before the error counts.
        check("[x] or [a] < 5", r#"{"x":1}"#, Some(true));
        check("[x] and [a] < 5", "{}", Some(false));
        check("[a] < 5 or [x]", r#"{"x":1}"#, None);
    }

    #[test]
    fn in_compares_by_kind_of_sides() {
        check("[a] in [1, 2]", r#"{"a":"2"}"#, Some(true));
        check("[a] in [1, 2]", r#"{"a":2}"#, Some(true));
        check("[a] in [1, 2]", r#"{"a":2.0}"#, Some(false));
        check("[a] in [1, 2.0]", r#"{"a":2.0}"#, Some(true));
        check("[a] in [\"true\", \"x\"]", r#"{"a":true}"#, Some(true));
        check("[a] in [\"[x, 1]\", \"y\"]", r#"{"a":["x",1]}"#, Some(true));
        check("[a] in [\"{x=1}\", \"y\"]", r#"{"a":{"x":1}}"#, Some(true));
        check("[a] in [\"x\", \"y\"]", "{}", Some(false));
        check("[a] not in [\"x\", \"y\"]", "{}", Some(true));
        check("[a] in \"abc\"", r#"{"a":"b"}"#, Some(true));
        check("[a] in 123", r#"{"a":"2"}"#, Some(true));
        check("[a] in 123", r#"{"a":2}"#, Some(false));
        check("\"b\" in [a]", r#"{"a":"abc"}"#, Some(true));
        check("\"b\" in [a]", r#"{"a":["a","b"]}"#, Some(true));
        check("\"b\" in [a]", r#"{"a":["abc"]}"#, Some(false));
        check("\"b\" in [a]", r#"{"a":{"b":1}}"#, Some(false));
        check("1 in [a]", r#"{"a":[1]}"#, Some(true));
        check("1 in [a]", r#"{"a":["1"]}"#, Some(false));
        check("1 in [a]", r#"{"a":1}"#, Some(false));
        check("[a] in [b]", r#"{"a":"x","b":"axb"}"#, Some(true));
        check("[a] in [b]", r#"{"a":1,"b":[1]}"#, Some(true));
        check("[a] in [b]", r#"{"a":1,"b":["1"]}"#, Some(false));
        check("[a] in [b]", r#"{"a":[1],"b":[[1]]}"#, Some(false));
        check("[a] in [b]", r#"{"a":42,"b":42}"#, Some(true));
        check("[a] in [b]", "{}", Some(false));
        check("\"a\" in \"abc\"", "{}", Some(true));
        check("\"a\" in [\"x\", \"a\"]", "{}", Some(true));
        check("\"a\" not in \"abc\"", "{}", Some(false));
        // One element makes a field reference, as in Logstash.
        check("[a] in [\"x\"]", r#"{"a":"x"}"#, Some(false));
    }

    #[test]
    fn times_print_as_logstash_prints_them() {
        let cond = cond(
            "[t] in [\"2013-01-02T03:04:05.678Z\", \"2013-01-02T03:04:05.000Z\", \"2013-01-02T03:04:05.678912Z\"]",
        );
        let mut batch = Batch::new();
        for (nanos, want) in [(678_000_000, true), (0, true), (678_912_000, true), (678_912_001, false)] {
            let event = batch.new_event();
            batch.set(event, &FieldRef::of("t"), Value::Time(Timestamp::new(1_357_095_845, nanos)));
            assert_eq!(eval(&cond, &batch, event), Ok(want), "{nanos}");
        }
    }

    #[test]
    fn patterns_match_texts_alone() {
        check("[a] =~ /^4\\d\\d$/", r#"{"a":"404"}"#, Some(true));
        check("[a] =~ /^4\\d\\d$/", r#"{"a":"x\n404\ny"}"#, Some(true));
        check("[a] =~ /a.b/", r#"{"a":"a\nb"}"#, Some(false));
        check("[a] =~ /\\/var\\/log/", r#"{"a":"/var/log/syslog"}"#, Some(true));
        check("[a] =~ \"^a.c$\"", r#"{"a":"abc"}"#, Some(true));
        for json in ["{}", r#"{"a":404}"#, r#"{"a":["404"]}"#] {
            check("[a] =~ /4/", json, Some(false));
            check("[a] !~ /4/", json, Some(true));
        }
        check("\"abc\" =~ /b/", "{}", Some(true));
    }

    #[test]
    fn operators_bind_as_in_logstash() {
        check("[a] and [b] or [c]", r#"{"c":1}"#, Some(true));
        check("[a] or [b] and [c]", r#"{"a":1}"#, Some(true));
        check("[a] or [b] and [c]", r#"{"b":1}"#, Some(false));
        check("([a] or [b]) and [c]", r#"{"a":1}"#, Some(false));
        // An `or` ends only the last of the `and`s before it.
        check("[a] and [b] and [c] or [d]", r#"{"d":1}"#, Some(false));
        check("[a] and [b] and [c] or [d]", r#"{"a":1,"d":1}"#, Some(true));
        check("[a] xor [b]", r#"{"a":1}"#, Some(true));
        check("[a] xor [b]", r#"{"a":1,"b":1}"#, Some(false));
        check("[a] nand [b]", r#"{"a":1,"b":1}"#, Some(false));
        check("[a] nand [b]", "{}", Some(true));
        check("[a][b][0] == \"x\" and [field with space]", r#"{"a":{"b":["x"]},"field with space":1}"#, Some(true));
    }

    #[test]
    fn events_go_down_the_first_branch_that_holds() {
        let branches = [(cond("[n] == 1"), ()), (cond("[n] > 1"), ())];
        let mut batch = Batch::new();
        let lines = [r#"{"n":2}"#, r#"{"n":1}"#, r#"{"n":0}"#, "{}", r#"{"n":3}"#, r#"{"n":1}"#];
        let events: Vec<EventId> = lines.iter().map(|json| event(&mut batch, json)).collect();
        let mut parts = vec![vec![99], Vec::new(), Vec::new()];
        let mut failed = Vec::new();
        split(&branches, &batch, &events, &mut parts, &mut |event, _| failed.push(event));
        assert_eq!(parts, [vec![1, 5], vec![0, 4], vec![2]]);
        assert_eq!(failed, [3]);
    }
}
