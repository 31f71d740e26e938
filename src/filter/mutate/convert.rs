//! The conversions of `mutate`, strict as Ruby's `Integer`, `Float` and `BigDecimal` are and as
//! Logstash is since 8.14.

use super::text::stripped;
use super::{Done, Scratch};
use crate::event::{Batch, Entry, EventId, FieldRef, Value, ruby};
use crate::filter::common::{includes, set};

/// What to convert to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum To {
    String,
    Integer,
    Float,
    Boolean,
    /// With a point between thousands and a comma before decimals.
    IntegerEu,
    FloatEu,
}

impl To {
    pub(super) const NAMES: [&str; 6] = ["string", "integer", "float", "boolean", "integer_eu", "float_eu"];

    pub(super) fn parse(name: &str) -> Option<To> {
        let at = To::NAMES.iter().position(|known| *known == name)?;
        Some([To::String, To::Integer, To::Float, To::Boolean, To::IntegerEu, To::FloatEu][at])
    }
}

/// Converts a field, or each element of an array; null and hashes are left.
pub(super) fn convert(batch: &mut Batch, event: EventId, field: &FieldRef, to: To, scratch: &mut Scratch) -> Done {
    let old = match batch.get(event, field) {
        None | Some(Value::Null | Value::Object(_)) => return Some(()),
        Some(_) if !includes(batch, event, field) => return Some(()),
        Some(value) => value,
    };
    let new = match old {
        Value::Array(list) => {
            scratch.entries.clear();
            for at in 0..list.len() {
                let old = batch.entries(list)[at].value;
                let new = if old == Value::Null { old } else { one(batch, old, to, scratch)? };
                scratch.entries.push(Entry::element(new));
            }
            Value::Array(batch.list(&scratch.entries))
        }
        value => one(batch, value, to, scratch)?,
    };
    // What is what it was stays untouched.
    if same(old, new) {
        return Some(());
    }
    set(batch, event, field, new).then_some(())
}

fn same(old: Value, new: Value) -> bool {
    std::mem::discriminant(&old) == std::mem::discriminant(&new) && old == new
}

fn one(batch: &mut Batch, value: Value, to: To, scratch: &mut Scratch) -> Option<Value> {
    match (to, value) {
        (To::String, Value::Str(_)) => Some(value),
        (To::String, _) => {
            scratch.bytes.clear();
            ruby::write_to_s(batch, value, &mut scratch.bytes);
            Some(Value::Str(batch.push_bytes(&scratch.bytes)))
        }
        (To::Boolean, _) => Some(boolean(batch, value)),
        (To::Integer | To::IntegerEu, Value::Bool(yes)) => Some(Value::Int(yes.into())),
        (To::Integer | To::IntegerEu, Value::Int(_) | Value::Uint(_) | Value::Big(_)) => Some(value),
        (To::Integer | To::IntegerEu, Value::Float(n)) => truncated(n),
        (To::Integer | To::IntegerEu, Value::Time(at)) => Some(Value::Int(at.seconds())),
        (To::Integer | To::IntegerEu, Value::Str(span)) => {
            integer(number_text(batch.text(span), to == To::IntegerEu, &mut scratch.text))
        }
        (To::Float | To::FloatEu, Value::Bool(yes)) => Some(Value::Float(f64::from(u8::from(yes)))),
        (To::Float | To::FloatEu, Value::Float(_)) => Some(value),
        (To::Float | To::FloatEu, Value::Int(n)) => Some(Value::Float(n as f64)),
        (To::Float | To::FloatEu, Value::Uint(n)) => Some(Value::Float(n as f64)),
        (To::Float | To::FloatEu, Value::Big(_)) => batch.number(value).map(Value::Float),
        (To::Float | To::FloatEu, Value::Time(at)) => {
            Some(Value::Float(at.seconds() as f64 + f64::from(at.subsec_nanos()) / 1e9))
        }
        (To::Float | To::FloatEu, Value::Str(span)) => {
            float(number_text(batch.text(span), to == To::FloatEu, &mut scratch.text)).map(Value::Float)
        }
        (_, Value::Null | Value::Array(_) | Value::Object(_)) => None,
    }
}

/// Yes and no in the words that Logstash knows; anything else stays as it is.
fn boolean(batch: &Batch, value: Value) -> Value {
    let text = match value {
        Value::Str(span) if span.is_empty() => return Value::Bool(false),
        Value::Str(span) => batch.bytes(span),
        Value::Int(1) => return Value::Bool(true),
        Value::Int(0) => return Value::Bool(false),
        Value::Float(1.0) => return Value::Bool(true),
        // Negative zero reads `-0.0`, which is neither.
        Value::Float(n) if n == 0.0 && n.is_sign_positive() => return Value::Bool(false),
        _ => return value,
    };
    // Ruby's `^` and `$` stand at lines: one line that says yes is enough.
    let any = |words: [&str; 5], digit: u8| {
        text.split(|c| *c == b'\n')
            .any(|line| words.iter().any(|word| line.eq_ignore_ascii_case(word.as_bytes())) || is_decimal(line, digit))
    };
    if any(["true", "t", "yes", "y", "1"], b'1') {
        Value::Bool(true)
    } else if any(["false", "f", "no", "n", "0"], b'0') {
        Value::Bool(false)
    } else {
        value
    }
}

/// `1.0` or `0.0`; the point stands for any character in Logstash's pattern.
fn is_decimal(line: &[u8], digit: u8) -> bool {
    line.len() >= 3
        && line[0] == digit
        && line[line.len() - 1] == b'0'
        && std::str::from_utf8(&line[1..line.len() - 1]).is_ok_and(|point| point.chars().count() == 1)
}

/// The text of a number as Logstash prepares it: stripped, in small letters, without the marks
/// between thousands.
fn number_text<'a>(text: &str, eu: bool, out: &'a mut String) -> &'a str {
    let (start, end) = stripped(text.as_bytes());
    out.clear();
    for c in text[start..end].chars() {
        match c {
            ',' if eu => out.push('.'),
            '.' if eu => {}
            ',' => {}
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

fn truncated(n: f64) -> Option<Value> {
    const TWO_TO_63: f64 = (1u64 << 63) as f64;
    let n = n.trunc();
    if !n.is_finite() {
        return None;
    }
    Some(if (-TWO_TO_63..TWO_TO_63).contains(&n) {
        Value::Int(n as i64)
    } else if (0.0..2.0 * TWO_TO_63).contains(&n) {
        Value::Uint(n as u64)
    } else {
        // Ruby has integers of any size; a double holds the same whole number.
        Value::Float(n)
    })
}

fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = sign(text);
    let Some(hex) = digits.strip_prefix("0x") else { return decimal_integer(text) };
    if text.contains('.') {
        let n = hex_float(hex)?;
        return truncated(if negative { -n } else { n });
    }
    let hex = without_underscores(hex, |c| c.is_ascii_hexdigit())?;
    whole(negative, u128::from_str_radix(&hex, 16).ok()?)
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn whole(negative: bool, n: u128) -> Option<Value> {
    Some(match (negative, u64::try_from(n)) {
        (false, Ok(n)) => i64::try_from(n).map_or(Value::Uint(n), Value::Int),
        (true, Ok(n)) if n <= i64::MIN.unsigned_abs() => Value::Int((n as i64).wrapping_neg()),
        (negative, _) => Value::Float(if negative { -(n as f64) } else { n as f64 }),
    })
}

/// Digits without the single underscores that Ruby allows between them; `None` where something
/// else stands there.
fn without_underscores(text: &str, is_digit: impl Fn(char) -> bool) -> Option<std::borrow::Cow<'_, str>> {
    if !text.is_empty() && text.chars().all(&is_digit) {
        return Some(text.into());
    }
    let fits = text.split('_').all(|part| !part.is_empty() && part.chars().all(&is_digit));
    fits.then(|| text.replace('_', "").into())
}

/// `12`, `-12.75`, `.5`, `1.5e3`: the parts of a decimal number. `point` tells whether digits
/// must stand at each side of the point where there is one.
fn decimal(text: &str, exponents: &[char], bare_point: bool) -> Option<(bool, String, String, i64)> {
    let (negative, rest) = sign(text);
    let (mantissa, exponent) = match rest.split_once(exponents) {
        Some((mantissa, exponent)) => {
            let (down, digits) = sign(exponent);
            let n: i64 = without_underscores(digits, |c| c.is_ascii_digit())?.parse().unwrap_or(i64::MAX);
            (mantissa, if down { -n } else { n })
        }
        None => (rest, 0),
    };
    let digits = |text: &str| Some(without_underscores(text, |c| c.is_ascii_digit())?.into_owned());
    let (whole, fraction) = match mantissa.split_once('.') {
        None => (digits(mantissa)?, String::new()),
        Some(("", fraction)) => (String::new(), digits(fraction)?),
        Some((whole, "")) if bare_point => (digits(whole)?, String::new()),
        Some((whole, fraction)) => (digits(whole)?, digits(fraction)?),
    };
    Some((negative, whole, fraction, exponent))
}

/// `BigDecimal(text).to_i`.
fn decimal_integer(text: &str) -> Option<Value> {
    // The usual case.
    if let Ok(n) = text.parse::<i64>() {
        return Some(Value::Int(n));
    }
    let (negative, mut digits, fraction, exponent) = decimal(text, &['e', 'd'], true)?;
    let point = (digits.len() as i64).saturating_add(exponent);
    digits.push_str(&fraction);
    let significant = digits.trim_start_matches('0').len() as i64;
    let leading = digits.len() as i64 - significant;
    if significant == 0 || point <= leading {
        return Some(Value::Int(0));
    }
    // How many digits the whole number has; more than a double can tell is refused.
    let width = point - leading;
    if width > 309 {
        return None;
    }
    let number: String =
        digits[leading as usize..].chars().chain(std::iter::repeat('0')).take(width as usize).collect();
    match number.parse::<u128>() {
        Ok(n) => whole(negative, n),
        Err(_) => {
            let n: f64 = number.parse().ok().filter(|n: &f64| n.is_finite())?;
            Some(Value::Float(if negative { -n } else { n }))
        }
    }
}

/// `Float(text)`.
fn float(text: &str) -> Option<f64> {
    let (negative, digits) = sign(text);
    if let Some(hex) = digits.strip_prefix("0x") {
        let n = hex_float(hex)?;
        return Some(if negative { -n } else { n });
    }
    // Rust takes words such as `inf` too, and a point without digits; Ruby does not.
    let usual = |c: u8| c.is_ascii_digit() || c == b'.';
    let ends = digits.as_bytes().first().zip(digits.as_bytes().last());
    if digits.bytes().all(usual) && ends.is_some_and(|(_, last)| last.is_ascii_digit()) {
        return text.parse().ok();
    }
    let (negative, whole, fraction, exponent) = decimal(text, &['e'], false)?;
    let sign = if negative { "-" } else { "" };
    format!("{sign}{whole}.{fraction}e{exponent}").parse().ok()
}

/// What follows `0x`: `7b`, `1.edcdp6`.
fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once('p') {
        Some((mantissa, exponent)) => {
            let (down, digits) = sign(exponent);
            let n: i32 = without_underscores(digits, |c| c.is_ascii_digit())?.parse().unwrap_or(1 << 20);
            (mantissa, if down { -n } else { n })
        }
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = without_underscores(whole, |c| c.is_ascii_hexdigit())?;
    if mantissa.contains('.') && (fraction.is_empty() || !fraction.bytes().all(|c| c.is_ascii_hexdigit())) {
        return None;
    }
    let digit = |c: char| f64::from(c.to_digit(16).unwrap_or(0));
    let mut n = whole.chars().fold(0.0, |n, c| n * 16.0 + digit(c));
    let mut unit = 1.0;
    for c in fraction.chars() {
        unit /= 16.0;
        n += digit(c) * unit;
    }
    Some(n * 2f64.powi(exponent))
}
