//! Text from numbers: Go's `printf`, and numbers, durations and times for people.

use super::value::Value;
use crate::series::notation::{number, quoted, short_number};

/// A width or precision above this is not obeyed.
const WIDTH_MAX: usize = 1000;

/// Go's `Sprintf` for the verbs that make sense here.
pub(super) fn printf(format: &str, arguments: &[Value]) -> String {
    let (mut out, mut chars, mut arguments) = (String::new(), format.chars().peekable(), arguments.iter());
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(flag) = chars.next_if(|c| "+-# 0".contains(*c)) {
            flags.push(flag);
        }
        let digits = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut value = None;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                let digit = digit as usize - '0' as usize;
                value = Some((value.unwrap_or(0) * 10 + digit).min(WIDTH_MAX));
            }
            value
        };
        let width = digits(&mut chars);
        let precision = chars.next_if(|c| *c == '.').map(|_| digits(&mut chars).unwrap_or(0));
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(argument) = arguments.next() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        let text = verb_of(verb, argument, &flags, precision);
        pad(&mut out, &text, width.unwrap_or(0), &flags);
    }
    out
}

fn pad(out: &mut String, text: &str, width: usize, flags: &str) {
    let missing = width.saturating_sub(text.chars().count());
    if flags.contains('-') {
        out.push_str(text);
        out.push_str(&" ".repeat(missing));
    } else if flags.contains('0') && text.chars().last().is_some_and(|c| c.is_ascii_digit()) {
        let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
        out.push_str(&format!("{sign}{}{digits}", "0".repeat(missing)));
    } else {
        out.push_str(&" ".repeat(missing));
        out.push_str(text);
    }
}

fn verb_of(verb: char, value: &Value, flags: &str, precision: Option<usize>) -> String {
    let signed = |text: String| {
        let plus = flags.contains('+') && !text.starts_with(['-', '+']);
        if plus { format!("+{text}") } else { text }
    };
    let bad = || {
        let kind = match value {
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::Bool(_) => "bool",
            _ => "value",
        };
        format!("%!{verb}({kind}={})", value.print())
    };
    match (verb, value) {
        ('v', Value::Nil) => "<nil>".to_owned(),
        ('v', Value::Float(number)) => signed(match precision {
            Some(precision) => general(*number, precision),
            None => short_number(*number),
        }),
        ('v', Value::Int(_)) => signed(value.print()),
        ('v', _) => value.print(),
        ('s', Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Nil) => bad(),
        ('s', _) => {
            let text = value.print();
            precision.map_or(text.clone(), |precision| text.chars().take(precision).collect())
        }
        ('q', Value::Text(text)) => quoted(text),
        ('t', Value::Bool(value)) => value.to_string(),
        ('d', Value::Int(number)) => signed(number.to_string()),
        ('d', Value::Duration(number)) => signed(number.to_string()),
        ('x', Value::Int(number)) => format!("{number:x}"),
        ('X', Value::Int(number)) => format!("{number:X}"),
        ('o', Value::Int(number)) => format!("{number:o}"),
        ('b', Value::Int(number)) => format!("{number:b}"),
        ('c', Value::Int(number)) => {
            u32::try_from(*number).ok().and_then(char::from_u32).map_or("\u{fffd}".to_owned(), String::from)
        }
        ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ('f' | 'F', Value::Float(float)) if float.is_finite() => signed(format!("{float:.*}", precision.unwrap_or(6))),
        ('e' | 'E', Value::Float(float)) if float.is_finite() => {
            let text = exponent(&format!("{float:.*e}", precision.unwrap_or(6)));
            signed(if verb == 'E' { text.to_uppercase() } else { text })
        }
        ('g' | 'G', Value::Float(float)) => signed(match precision {
            Some(precision) => general(*float, precision),
            None => short_number(*float),
        }),
        ('f' | 'F' | 'e' | 'E', Value::Float(float)) => number(*float),
        _ => bad(),
    }
}

/// `1.5e7` as Go writes it: `1.5e+07`.
fn exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Go's `%.Ng`: at most N digits, with an exponent where the number is large or small.
pub(super) fn general(value: f64, digits: usize) -> String {
    if !value.is_finite() || value == 0.0 {
        return number(value);
    }
    let digits = digits.max(1);
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let shortest = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if power < -4 || power >= digits as i32 {
        return exponent(&format!("{}e{power}", shortest(mantissa)));
    }
    let decimals = usize::try_from(digits as i32 - 1 - power).unwrap_or(0);
    shortest(&format!("{value:.decimals$}"))
}

pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, 4);
    }
    let (mut value, mut prefix) = (value, "");
    if value.abs() >= 1.0 {
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if value.abs() < 1000.0 {
                break;
            }
            (value, prefix) = (value / 1000.0, next);
        }
    } else {
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if value.abs() >= 1.0 {
                break;
            }
            (value, prefix) = (value * 1000.0, next);
        }
    }
    general(value, 4) + prefix
}

pub(super) fn humanize1024(value: f64) -> String {
    let (mut value, mut prefix) = (value, "");
    if value.is_finite() && value.abs() > 1.0 {
        for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
            if value.abs() < 1024.0 {
                break;
            }
            (value, prefix) = (value / 1024.0, next);
        }
    }
    general(value, 4) + prefix
}

pub(super) fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds == 0.0 {
        return if seconds == 0.0 { "0s".to_owned() } else { general(seconds, 4) };
    }
    if seconds.abs() < 1.0 {
        // Below a second with a prefix: `100ms`.
        let (mut value, mut prefix) = (seconds, "");
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if value.abs() >= 1.0 {
                break;
            }
            (value, prefix) = (value * 1000.0, next);
        }
        return format!("{}{prefix}s", general(value, 4));
    }
    let (sign, value) = if seconds < 0.0 { ("-", -seconds) } else { ("", seconds) };
    let whole = value as i64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match () {
        () if days != 0 => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
        () if hours != 0 => format!("{sign}{hours}h {minutes}m {rest}s"),
        () if minutes != 0 => format!("{sign}{minutes}m {rest}s"),
        () => format!("{sign}{}s", general(value, 4)),
    }
}

/// Nanoseconds since 1970, cut to milliseconds.
pub(super) fn time_of(seconds: f64) -> Result<i64, String> {
    let nanoseconds = seconds * 1e9;
    if nanoseconds.is_nan() || nanoseconds.abs() >= i64::MAX as f64 {
        return Err(format!("{} is no time", number(seconds)));
    }
    Ok((nanoseconds as i64).div_euclid(1_000_000) * 1_000_000)
}

/// A time as Go prints it.
pub(super) fn go_time(nanoseconds: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)) else { return "?".to_owned() };
    let fraction = nanoseconds.rem_euclid(1_000_000_000);
    let fraction =
        if fraction == 0 { String::new() } else { format!(".{fraction:09}").trim_end_matches('0').to_owned() };
    format!("{}{fraction} +0000 UTC", time.strftime("%Y-%m-%d %H:%M:%S"))
}

/// A duration as Go prints it: `1h2m3.5s`.
pub(super) fn go_duration(nanoseconds: i64) -> String {
    let (sign, value) = if nanoseconds < 0 { ("-", nanoseconds.unsigned_abs()) } else { ("", nanoseconds as u64) };
    let plain = |value: f64| number(value);
    match value {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{value}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", plain(value as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", plain(value as f64 / 1e6)),
        _ => {
            let (minutes, rest) = (value / 60_000_000_000, value % 60_000_000_000);
            let seconds = format!("{}s", plain(rest as f64 / 1e9));
            match minutes {
                0 => format!("{sign}{seconds}"),
                1..60 => format!("{sign}{minutes}m{seconds}"),
                _ => format!("{sign}{}h{}m{seconds}", minutes / 60, minutes % 60),
            }
        }
    }
}

/// The first letter of each word upper case, the others as they are.
pub(super) fn title(text: &str) -> String {
    let mut within = false;
    let one = |c: char| {
        let begins = !within && c.is_alphanumeric();
        within = c.is_alphanumeric() || (within && c == '\'');
        if begins { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(one).collect()
}

/// As in the query of a URL: a blank is `+`.
pub(super) fn url_query(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

pub(super) fn html(text: &str) -> String {
    let one = |c: char| match c {
        '"' => "&#34;".to_owned(),
        '\'' => "&#39;".to_owned(),
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '\0' => "\u{fffd}".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(one).collect()
}

pub(super) fn js(text: &str) -> String {
    let one = |c: char| match c {
        '\\' => "\\\\".to_owned(),
        '\'' => "\\'".to_owned(),
        '"' => "\\\"".to_owned(),
        '<' | '>' | '&' | '=' => format!("\\u{:04X}", c as u32),
        c if c.is_control() => format!("\\u{:04X}", c as u32),
        other => other.to_string(),
    };
    text.chars().map(one).collect()
}
