//! The values of an input series: `0+1x4 _x3 stale {{schema:0 sum:1 count:1 buckets:[1]}}`.

use crate::series::{NativeHistogram, Value, notation, stale_nan};

/// Values that one series may have.
const VALUES_MAX: usize = 10_000_000;

/// Reads the values; `None` where there is none. The message says what is wrong.
pub fn parse(text: &str) -> Result<Vec<Option<Value>>, String> {
    let mut values = Vec::new();
    for word in words(text)? {
        one(word, &mut values)?;
        if values.len() > VALUES_MAX {
            return Err(format!("the series has more than {VALUES_MAX} values"));
        }
    }
    Ok(values)
}

/// Cuts at blanks, but not within braces.
fn words(text: &str) -> Result<Vec<&str>, String> {
    let (mut words, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let (mut at, mut depth) = (0, false);
        loop {
            let after = &rest[at..];
            let Some(c) = after.chars().next() else { break };
            match () {
                () if after.starts_with("{{") => (at, depth) = (at + 2, true),
                () if after.starts_with("}}") => (at, depth) = (at + 2, false),
                () if c.is_whitespace() && !depth => break,
                () => at += c.len_utf8(),
            }
        }
        if depth {
            return Err(format!("`{{{{` is not closed in `{rest}`"));
        }
        words.push(&rest[..at]);
        rest = rest[at..].trim_start();
    }
    Ok(words)
}

fn one(word: &str, values: &mut Vec<Option<Value>>) -> Result<(), String> {
    let bad = || format!("`{word}` is no value: expected `1`, `0+1x4`, `_x3`, `stale` or `{{{{…}}}}`");
    let times = |text: &str| -> Result<usize, String> {
        let count: usize = text.parse().map_err(|_| bad())?;
        if count > VALUES_MAX { Err(format!("`{word}` repeats more than {VALUES_MAX} times")) } else { Ok(count) }
    };
    if let Some(rest) = word.strip_prefix('_') {
        let count = match rest.strip_prefix('x') {
            Some(count) => times(count)?,
            None if rest.is_empty() => 1,
            None => return Err(bad()),
        };
        values.extend(std::iter::repeat_n(None, count));
        return Ok(());
    }
    if word == "stale" {
        values.push(Some(Value::Float(stale_nan())));
        return Ok(());
    }
    if word.starts_with("{{") {
        return histograms(word, values, &bad, &times);
    }
    let (body, count) = split_count(word);
    let count = count.map(times).transpose()?;
    // The sign of the step is the first one behind the first number; `1e-3` has one of its own.
    let sign = body.char_indices().skip(1).find(|(at, c)| matches!(c, '+' | '-') && !is_exponent(body, *at));
    let (first, step) = match sign {
        Some((at, _)) => (&body[..at], notation::parse_number(&body[at..]).ok_or_else(bad)?),
        None => (body, 0.0),
    };
    let first = notation::parse_number(first).ok_or_else(bad)?;
    if sign.is_some() && count.is_none() {
        return Err(bad());
    }
    let mut value = first;
    for _ in 0..=count.unwrap_or(0) {
        values.push(Some(Value::Float(value)));
        value += step;
    }
    Ok(())
}

/// Whether the sign at `at` belongs to an exponent.
fn is_exponent(text: &str, at: usize) -> bool {
    let before = text[..at].strip_suffix(['e', 'E']);
    before.is_some_and(|before| !before.is_empty() && !before.ends_with(|c: char| c.is_ascii_alphabetic()))
}

/// What stands before the last `x`, and the count behind it. An `x` never makes a hexadecimal
/// number here.
fn split_count(word: &str) -> (&str, Option<&str>) {
    word.rsplit_once('x').map_or((word, None), |(body, count)| (body, Some(count)))
}

/// `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`
fn histograms(
    word: &str,
    values: &mut Vec<Option<Value>>,
    bad: &dyn Fn() -> String,
    times: &dyn Fn(&str) -> Result<usize, String>,
) -> Result<(), String> {
    let end = word.find("}}").map(|at| at + 2).ok_or_else(bad)?;
    let (first, rest) = word.split_at(end);
    let mut histogram = notation::parse_histogram(first)?;
    let (sign, step, rest) = match rest.chars().next() {
        Some(sign @ ('+' | '-')) => {
            let end = rest.find("}}").map(|at| at + 2).ok_or_else(bad)?;
            (sign, Some(notation::parse_histogram(&rest[1..end])?), &rest[end..])
        }
        _ => ('+', None, rest),
    };
    let count = match rest.strip_prefix('x') {
        Some(count) => times(count)?,
        None if rest.is_empty() && step.is_none() => 0,
        None => return Err(bad()),
    };
    for at in 0..=count {
        if at > 0
            && let Some(step) = &step
        {
            histogram = grow(&histogram, step, sign)?;
        }
        values.push(Some(Value::from(histogram.clone())));
    }
    Ok(())
}

fn grow(histogram: &NativeHistogram, step: &NativeHistogram, sign: char) -> Result<NativeHistogram, String> {
    let mut next = histogram.clone();
    let result = if sign == '+' { next.add(step) } else { next.sub(step) };
    result.map_err(|error| error.to_string())?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unfolded() {
        let check = |text: &str, want: &str| {
            let one = |value: &Option<Value>| match value {
                None => "_".to_owned(),
                Some(Value::Float(value)) if crate::series::is_stale(*value) => "stale".to_owned(),
                Some(Value::Float(value)) => notation::number(*value),
                Some(Value::Histogram(histogram)) => format!("h{}", histogram.count),
            };
            let values = parse(text).map(|values| values.iter().map(one).collect::<Vec<_>>().join(" "));
            assert_eq!(values.unwrap_or_else(|error| error), want, "{text}");
        };
        check("1 2.5 -3", "1 2.5 -3");
        check("0+1x3", "0 1 2 3");
        check("10-5x2 1x2", "10 5 0 1 1 1");
        check("-2+4x3", "-2 2 6 10");
        check("_ _x2 stale", "_ _ _ stale");
        check("1e3+1e-1x1 NaN Inf -Inf 0x4", "1000 1000.1 NaN +Inf -Inf 0 0 0 0 0");
        check("{{count:1}} {{count:1}}x1 {{count:1 sum:2}}+{{count:2}}x2", "h1 h1 h1 h1 h3 h5");
        check("1+1", "`1+1` is no value: expected `1`, `0+1x4`, `_x3`, `stale` or `{{…}}`");
        check("abc", "`abc` is no value: expected `1`, `0+1x4`, `_x3`, `stale` or `{{…}}`");
    }
}
