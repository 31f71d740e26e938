//! Values as Ruby's `to_s` and `inspect` write them, for filters that were Ruby in Logstash.

use super::joda::write_iso8601;
use super::{Batch, Value};

/// Writes a value as `to_s`: text as it is, floats as `1.0e+20`, arrays and hashes as `inspect`.
pub fn write_to_s(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Str(span) => out.extend_from_slice(batch.bytes(span)),
        _ => write_inspect(batch, value, out),
    }
}

/// Writes a value as `inspect`.
pub fn write_inspect(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"nil"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Value::Uint(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Value::Big(digits) => out.extend_from_slice(batch.bytes(digits)),
        Value::Float(n) => write_float(n, out),
        Value::Time(at) => write_iso8601(at, out),
        Value::Str(span) => write_quoted(batch.text(span), out),
        Value::Array(list) => {
            out.push(b'[');
            for (at, entry) in batch.entries(list).iter().enumerate() {
                out.extend_from_slice(if at > 0 { b", " } else { b"" });
                write_inspect(batch, entry.value, out);
            }
            out.push(b']');
        }
        Value::Object(list) => {
            out.push(b'{');
            for (at, entry) in batch.entries(list).iter().enumerate() {
                out.extend_from_slice(if at > 0 { b", " } else { b"" });
                write_quoted(batch.name(entry.key), out);
                out.extend_from_slice(b"=>");
                write_inspect(batch, entry.value, out);
            }
            out.push(b'}');
        }
    }
}

/// Writes a text in double quotes with Ruby's escapes.
pub fn write_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped: &[u8] = match c {
            '"' => b"\\\"",
            '\\' => b"\\\\",
            '\n' => b"\\n",
            '\r' => b"\\r",
            '\t' => b"\\t",
            '\x0c' => b"\\f",
            '\x0b' => b"\\v",
            '\x08' => b"\\b",
            '\x07' => b"\\a",
            '\x1b' => b"\\e",
            '#' if matches!(chars.peek(), Some('{' | '$' | '@')) => b"\\#",
            c if c.is_control() => {
                out.extend_from_slice(format!("\\u{:04X}", c as u32).as_bytes());
                continue;
            }
            c => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        out.extend_from_slice(escaped);
    }
    out.push(b'"');
}

/// Writes a float: `1.5`, `100000.0`, `1.0e+16`, `1.0e-05`.
pub fn write_float(n: f64, out: &mut Vec<u8>) {
    if !n.is_finite() {
        let text: &[u8] = if n.is_nan() {
            b"NaN"
        } else if n > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        };
        return out.extend_from_slice(text);
    }
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(n);
    let size = n.abs();
    if n == 0.0 || ((1e-4..1e16).contains(&size) && !text.contains('e')) {
        return out.extend_from_slice(text.as_bytes());
    }
    // The shortest digits, and how many of them stand before the point.
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    let point = whole.len() as i32 + exponent.parse::<i32>().unwrap_or(0) - zeros as i32;
    digits = digits.trim_matches('0').to_owned();
    if n < 0.0 {
        out.push(b'-');
    }
    if (-3..=16).contains(&point) {
        if point <= 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', -point as usize));
            out.extend_from_slice(digits.as_bytes());
            return;
        }
        let point = point as usize;
        let whole = digits.len().min(point);
        out.extend_from_slice(&digits.as_bytes()[..whole]);
        out.extend(std::iter::repeat_n(b'0', point - whole));
        out.push(b'.');
        out.extend_from_slice(if whole < digits.len() { &digits.as_bytes()[whole..] } else { b"0" });
        return;
    }
    let rest = if digits.len() > 1 { &digits[1..] } else { "0" };
    let (sign, exponent) = if point > 0 { ('+', point - 1) } else { ('-', 1 - point) };
    out.extend_from_slice(format!("{}.{rest}e{sign}{exponent:02}", &digits[..1]).as_bytes());
}

/// A text as `Integer(text)` reads it: its sign and its decimal digits. White space around it is
/// left out; `0x`, `0b`, `0o` and `0` give other bases; single underscores separate digits.
pub fn integer(text: &str) -> Option<(bool, String)> {
    let text = text.trim_matches(is_space);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let lower = unsigned.get(..2).map(str::to_ascii_lowercase);
    let (base, digits) = match lower.as_deref() {
        Some("0x") => (16, &unsigned[2..]),
        Some("0b") => (2, &unsigned[2..]),
        Some("0o") => (8, &unsigned[2..]),
        Some("0d") => (10, &unsigned[2..]),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (8, unsigned[1..].trim_start_matches('_')),
        _ => (10, unsigned),
    };
    let digits = without_underscores(digits, |c| c.is_digit(base))?;
    let digits = if base == 10 { digits } else { u128::from_str_radix(&digits, base).ok()?.to_string() };
    Some((text.starts_with('-'), digits))
}

/// A text as `Float(text)` reads it.
pub fn float(text: &str) -> Option<f64> {
    let text = text.trim_matches(is_space);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.starts_with("0x") || unsigned.starts_with("0X") {
        let (negative, digits) = integer(text)?;
        let n: f64 = digits.parse().ok()?;
        return Some(if negative { -n } else { n });
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| without_underscores(text, |c| c.is_ascii_digit());
    let number = match mantissa.split_once('.') {
        None => digits(mantissa)?,
        Some(("", fraction)) => format!("0.{}", digits(fraction)?),
        Some((whole, fraction)) => format!("{}.{}", digits(whole)?, digits(fraction)?),
    };
    let exponent = match exponent {
        None => "0".to_owned(),
        Some(exponent) => {
            let sign = if exponent.starts_with('-') { "-" } else { "" };
            format!("{sign}{}", digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))?)
        }
    };
    let n: f64 = format!("{number}e{exponent}").parse().ok()?;
    Some(if text.starts_with('-') { -n } else { n })
}

/// White space to Ruby.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// Digits without the single underscores that Ruby allows between them.
fn without_underscores(text: &str, is_digit: impl Fn(char) -> bool) -> Option<String> {
    let fits = text.split('_').all(|part| !part.is_empty() && part.chars().all(&is_digit));
    fits.then(|| text.replace('_', ""))
}

/// A value as `to_i` reads it: numbers lose their fraction, of a text counts the number that it
/// begins with. What has no `to_i` in Ruby is 0. Saturates where Ruby's integers grow.
pub fn to_i(batch: &Batch, value: Value) -> i64 {
    match value {
        Value::Int(n) => n,
        Value::Uint(n) => i64::try_from(n).unwrap_or(i64::MAX),
        Value::Float(n) => n as i64,
        Value::Str(span) | Value::Big(span) => text_to_i(batch.text(span)),
        Value::Time(at) => at.seconds(),
        _ => 0,
    }
}

/// The whole number that a text begins with, as `to_i`: `" 12_000 apples"` is 12000, `"x"` is 0.
pub fn text_to_i(text: &str) -> i64 {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let mut number = 0_i64;
    let mut underscore = true;
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' => {
                number = number.saturating_mul(10).saturating_add(i64::from(byte - b'0'));
                underscore = false;
            }
            // One between digits is allowed.
            b'_' if !underscore => underscore = true,
            _ => break,
        }
    }
    if negative { -number } else { number }
}

/// The number that a text begins with, as `to_f`: `"1.5s"` is 1.5, `"x"` is 0.
pub fn text_to_f(text: &str) -> f64 {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(|b| b.is_ascii_digit() || (*b == b'_' && at > 0 && bytes[at - 1] != b'_')) {
            at += 1;
        }
        at
    };
    let start = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let mut end = digits(start);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    if end > start && matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        if bytes.get(sign).is_some_and(u8::is_ascii_digit) {
            end = digits(sign);
        }
    }
    match &text[..end] {
        number if number.contains('_') => number.replace('_', "").parse().unwrap_or(0.0),
        number => number.parse().unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check = |text: &str, whole: Option<&str>, fraction: Option<f64>| {
            let found = integer(text).map(|(negative, digits)| format!("{}{digits}", if negative { "-" } else { "" }));
            assert_eq!(found.as_deref(), whole, "{text}");
            assert_eq!(float(text), fraction, "{text}");
        };
        check("12", Some("12"), Some(12.0));
        check(" -1_000 ", Some("-1000"), Some(-1000.0));
        check("0x1f", Some("31"), Some(31.0));
        check("0b11", Some("3"), None);
        check("017", Some("15"), Some(17.0));
        check("0", Some("0"), Some(0.0));
        check("09", None, Some(9.0));
        check("1.5", None, Some(1.5));
        check(".5", None, Some(0.5));
        check("1.", None, None);
        check("1e3", None, Some(1000.0));
        check("1_0.2_5E-1", None, Some(1.025));
        check("99999999999999999999999", Some("99999999999999999999999"), Some(1e23));
        for none in ["", "x", "1__0", "_1", "1_", "+", "inf", "1 2", "1e", "é"] {
            check(none, None, None);
        }
    }

    #[test]
    fn floats() {
        let check = |n, want: &str| {
            let mut out = Vec::new();
            write_float(n, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        };
        check(0.0, "0.0");
        check(-0.0, "-0.0");
        check(1.5, "1.5");
        check(123.0, "123.0");
        check(2_147_483_648.0, "2147483648.0");
        check(1e15, "1000000000000000.0");
        check(9_999_999_999_999_998.0, "9999999999999998.0");
        check(1e16, "1.0e+16");
        check(-1.25e20, "-1.25e+20");
        check(1e100, "1.0e+100");
        check(0.001, "0.001");
        check(0.0001, "0.0001");
        check(0.00012, "0.00012");
        check(0.00001, "1.0e-05");
        check(-1.5e-7, "-1.5e-07");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn numbers_that_texts_begin_with() {
        let check = |text: &str, whole: i64, number: f64| {
            assert_eq!((text_to_i(text), text_to_f(text)), (whole, number), "{text:?}");
        };
        check("12", 12, 12.0);
        check(" -1_000.5e1x", -1000, -10_005.0);
        check("+7s", 7, 7.0);
        check(".5", 0, 0.5);
        check("3.", 3, 3.0);
        check("1e", 1, 1.0);
        check("1__0", 1, 1.0);
        check("-", 0, 0.0);
        check("_1", 0, 0.0);
        check("99999999999999999999", i64::MAX, 1e20);
        check("é", 0, 0.0);
    }

    #[test]
    fn nested_values() {
        let mut batch = Batch::new();
        let span = batch.push_text(r#"{"a":[1,null,"x\"\n#{é"],"b":{"c":1.0}}"#);
        let value = crate::event::json::Parser::default().parse(&mut batch, span).unwrap();
        let mut out = Vec::new();
        write_to_s(&batch, value, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"a"=>[1, nil, "x\"\n\#{é"], "b"=>{"c"=>1.0}}"#);
    }
}
