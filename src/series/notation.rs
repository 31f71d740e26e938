//! How series are written in text: quoted label values, numbers as Prometheus prints them, and
//! histograms in the notation of its tests, `{{schema:1 sum:4 count:3 buckets:[1 2]}}`.

use super::bounds::CUSTOM_SCHEMA;
use super::histogram::{NativeHistogram, ResetHint};
use std::ops::Range;

/// A text in double quotes with Go's escapes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A number without exponent, `+Inf`, `-Inf` or `NaN`: as in label values.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{value}")
    }
}

/// A number as in the HTTP API's JSON: with an exponent below 1e-6 and from 1e21 on, as Prometheus'
/// `jsonutil.MarshalFloat` writes it.
pub fn json_number(value: f64) -> String {
    plain_within(1e-6..1e21, value)
}

/// A number as Go's `%g` prints it: with an exponent below 1e-4 and from 1e6 on.
pub fn short_number(value: f64) -> String {
    plain_within(1e-4..1e6, value)
}

fn plain_within(range: Range<f64>, value: f64) -> String {
    if value == 0.0 || range.contains(&value.abs()) { number(value) } else { scientific_number(value) }
}

/// A number with an exponent, as Prometheus' API has those of alerts: `1e+00`.
pub fn scientific_number(value: f64) -> String {
    if !value.is_finite() {
        return number(value);
    }
    let text = format!("{value:e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = power.strip_prefix('-').map_or(('+', power), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// A number as PromQL writes it: decimal, hexadecimal, with underscores, `Inf`, `NaN`.
pub fn parse_number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let digits = digits.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let value = match lower.as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::NAN,
        _ => match lower.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok()? as f64,
            None if lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| (b'0'..=b'7').contains(&b)) => {
                i64::from_str_radix(&lower[1..], 8).ok()? as f64
            }
            None if lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') => lower.parse().ok()?,
            None => return None,
        },
    };
    Some(sign * value)
}

/// Writes a histogram in the notation of Prometheus' tests; buckets without observations are left
/// out where that leaves no gap.
pub fn histogram(histogram: &NativeHistogram) -> String {
    let mut parts = Vec::new();
    let mut put = |name: &str, value: f64| {
        if value != 0.0 {
            parts.push(format!("{name}:{}", short_number(value)));
        }
    };
    put("schema", f64::from(histogram.schema));
    put("count", histogram.count);
    put("sum", histogram.sum);
    put("z_bucket", histogram.zero_count);
    put("z_bucket_w", histogram.zero_threshold);
    if histogram.is_custom() {
        let bounds: Vec<String> = histogram.custom_values.iter().map(|bound| short_number(*bound)).collect();
        parts.push(format!("custom_values:[{}]", bounds.join(" ")));
    }
    parts.extend(match histogram.reset_hint {
        ResetHint::Unknown => None,
        ResetHint::Reset => Some("counter_reset_hint:reset".to_owned()),
        ResetHint::NotReset => Some("counter_reset_hint:not_reset".to_owned()),
        ResetHint::Gauge => Some("counter_reset_hint:gauge".to_owned()),
    });
    buckets(&mut parts, "", &histogram.positive);
    buckets(&mut parts, "n_", &histogram.negative);
    format!("{{{{{}}}}}", parts.join(" "))
}

/// A histogram for people: `{count:3, sum:4.5, (1,2]:3}`, as Prometheus writes it.
pub fn describe(histogram: &NativeHistogram) -> String {
    let mut out = format!("{{count:{}, sum:{}", short_number(histogram.count), short_number(histogram.sum));
    let sides = histogram.negative.iter().rev().map(|(index, count)| histogram.negative_bucket(*index, *count));
    let zero = std::iter::once(histogram.zero_bucket());
    let above = histogram.positive.iter().map(|(index, count)| histogram.positive_bucket(*index, *count));
    for bucket in sides.chain(zero).chain(above).filter(|bucket| bucket.count != 0.0) {
        let open = if bucket.lower_inclusive { '[' } else { '(' };
        let close = if bucket.upper_inclusive { ']' } else { ')' };
        let (lower, upper) = (short_number(bucket.lower), short_number(bucket.upper));
        out.push_str(&format!(", {open}{lower},{upper}{close}:{}", short_number(bucket.count)));
    }
    out.push('}');
    out
}

/// More buckets than this between two populated ones are not written out.
const GAP_MAX: i32 = 10_000;

fn buckets(parts: &mut Vec<String>, prefix: &str, buckets: &[(i32, f64)]) {
    let populated: Vec<(i32, f64)> = buckets.iter().filter(|(_, count)| *count != 0.0).copied().collect();
    let Some(&(first, _)) = populated.first() else { return };
    if first != 0 {
        parts.push(format!("{prefix}offset:{first}"));
    }
    let (mut counts, mut next) = (Vec::new(), first);
    for (index, count) in populated {
        if index - next > GAP_MAX {
            counts.push("…".to_owned());
        } else {
            counts.extend((next..index).map(|_| "0".to_owned()));
        }
        counts.push(short_number(count));
        next = index + 1;
    }
    parts.push(format!("{prefix}buckets:[{}]", counts.join(" ")));
}

/// Reads a histogram in the notation of Prometheus' tests, braces included. The message says what
/// is wrong with it.
pub fn parse_histogram(text: &str) -> Result<NativeHistogram, String> {
    let bad = |what: &str| format!("cannot read the histogram `{text}`: {what}");
    let inner = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    let mut rest = inner.ok_or_else(|| bad("it needs `{{` and `}}` around it"))?.trim_start();
    let mut histogram = NativeHistogram::default();
    let (mut offsets, mut counts) = ([0, 0], [Vec::new(), Vec::new()]);
    let mut seen: Vec<&str> = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once(':').ok_or_else(|| bad("`:` is missing"))?;
        if seen.contains(&key) {
            return Err(bad(&format!("`{key}` stands there twice")));
        }
        seen.push(key);
        let end = match after.starts_with('[') {
            true => after.find(']').ok_or_else(|| bad("`]` is missing"))? + 1,
            false => after.find(char::is_whitespace).unwrap_or(after.len()),
        };
        let (value, after) = after.split_at(end);
        rest = after.trim_start();
        let one = || parse_number(value).ok_or_else(|| bad(&format!("`{value}` is no number")));
        let whole = || value.parse::<i32>().map_err(|_| bad(&format!("`{value}` is no whole number")));
        let many = || -> Result<Vec<f64>, String> {
            let inner = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let inner = inner.ok_or_else(|| bad(&format!("`{key}` needs `[` and `]`")))?;
            let number = |word: &str| parse_number(word).ok_or_else(|| bad(&format!("`{word}` is no number")));
            inner.split_whitespace().map(number).collect()
        };
        match key {
            "schema" => histogram.schema = whole()?,
            "sum" => histogram.sum = one()?,
            "count" => histogram.count = one()?,
            "z_bucket" => histogram.zero_count = one()?,
            "z_bucket_w" => histogram.zero_threshold = one()?,
            "custom_values" => histogram.custom_values = many()?.into(),
            "offset" => offsets[0] = whole()?,
            "n_offset" => offsets[1] = whole()?,
            "buckets" => counts[0] = many()?,
            "n_buckets" => counts[1] = many()?,
            "counter_reset_hint" => {
                histogram.reset_hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    _ => return Err(bad(&format!("`{value}` is no counter reset hint"))),
                }
            }
            _ => return Err(bad(&format!("it has no `{key}`"))),
        }
    }
    let known = histogram.schema == CUSTOM_SCHEMA || super::is_exponential(histogram.schema);
    if !known {
        return Err(bad("the schema is none of -4 to 8 and -53"));
    }
    let [positive, negative] = counts;
    let indexed = |offset: i32, counts: Vec<f64>| (offset..).zip(counts).collect();
    histogram.positive = indexed(offsets[0], positive);
    histogram.negative = indexed(offsets[1], negative);
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_does() {
        let check = |value: f64, plain: &str, short: &str| {
            assert_eq!((number(value), short_number(value)), (plain.to_owned(), short.to_owned()));
        };
        check(1.5, "1.5", "1.5");
        check(1e21, "1000000000000000000000", "1e+21");
        check(123456789.0, "123456789", "1.23456789e+08");
        check(0.00001, "0.00001", "1e-05");
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NAN, "NaN", "NaN");
        check(-0.0, "-0", "-0");
    }

    #[test]
    fn numbers_of_alerts_have_an_exponent() {
        assert_eq!(
            (scientific_number(1.0), scientific_number(0.025), scientific_number(f64::NAN)),
            ("1e+00".into(), "2.5e-02".into(), "NaN".into())
        );
    }

    #[test]
    fn numbers_in_json_have_an_exponent_at_the_ends() {
        let check = |value: f64, want: &str| assert_eq!(json_number(value), want);
        check(0.000000602, "6.02e-07");
        check(-0.000000602, "-6.02e-07");
        check(0.000001, "0.000001");
        check(1e20, "100000000000000000000");
        check(1.5e21, "1.5e+21");
        check(f64::NEG_INFINITY, "-Inf");
        check(0.0, "0");
    }

    #[test]
    fn numbers_are_read_as_promql_does() {
        let check = |text: &str, want: Option<f64>| assert_eq!(parse_number(text), want, "{text}");
        check("1", Some(1.0));
        check("-1.5e3", Some(-1500.0));
        check("0x1F", Some(31.0));
        check("1_000", Some(1000.0));
        check("+Inf", Some(f64::INFINITY));
        check("-inf", Some(f64::NEG_INFINITY));
        check("017", Some(15.0));
        check("abc", None);
        check("", None);
        assert!(parse_number("nan").is_some_and(f64::is_nan));
    }

    #[test]
    fn histograms_are_read_as_they_are_written() {
        let check = |text: &str| assert_eq!(histogram(&parse_histogram(text).unwrap()), text);
        check("{{}}");
        check(
            "{{schema:1 count:3 sum:4.5 z_bucket:1 z_bucket_w:0.001 offset:-1 buckets:[1 0 2] n_offset:2 n_buckets:[1]}}",
        );
        check("{{schema:-53 count:3 sum:4 custom_values:[1 2] counter_reset_hint:gauge buckets:[1 2]}}");
        let fails = |text: &str, want: &str| {
            let error = parse_histogram(text).unwrap_err();
            assert!(error.ends_with(want), "{error}");
        };
        fails("{{schema:9}}", "none of -4 to 8 and -53");
        fails("{{sum:x}}", "`x` is no number");
        fails("{{size:1}}", "it has no `size`");
        fails("{{sum:1 sum:2}}", "`sum` stands there twice");
        fails("{{buckets:[1}}", "`]` is missing");
    }
}
