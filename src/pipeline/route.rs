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
            (Value::Str(span), Constant::Text(text)) => batch.text(span).contains(&**text),
            _ => false,
        },
        Cond::FieldInText(field, text) => batch.as_text(get(field)).is_some_and(|needle| text.contains(needle)),
        Cond::FieldInList(field, texts) => match get(field) {
            Value::Null => false,
            Value::Str(span) => {
                let value = batch.text(span);
                texts.iter().any(|text| **text == *value)
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
        Value::Str(span) => !matches!(batch.text(span), "" | "false"),
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
        (Value::Str(a), Value::Str(b)) => batch.bytes(a) == batch.bytes(b),
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
            _ => number(left).zip(number(right)).and_then(|(a, b)| a.partial_cmp(&b)),
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

fn number(value: Value) -> Option<f64> {
    match value {
        Value::Int(n) => Some(n as f64),
        Value::Uint(n) => Some(n as f64),
        Value::Float(n) => Some(n),
        _ => None,
    }
}

fn field_in_field(batch: &Batch, left: Value, right: Value) -> bool {
    match (left, right) {
        (Value::Null | Value::Array(_) | Value::Object(_), _) => false,
        (Value::Str(a), Value::Str(b)) => batch.text(b).contains(batch.text(a)),
        (_, Value::Array(list)) => batch.entries(list).iter().any(|e| same(batch, e.value, left)),
        _ => same(batch, left, right),
    }
}

fn kind(value: Value) -> &'static str {
    match value {
        Value::Null => "a missing field",
        Value::Bool(_) => "a truth value",
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => "a number",
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
        _ if nanos % 1_000_000 == 0 => write!(out, ".{:03}Z", nanos / 1_000_000),
        _ if nanos % 1_000 == 0 => write!(out, ".{:06}Z", nanos / 1_000),
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
