//! Durations as Prometheus writes them: `1h30m`, units falling, whole numbers.

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a duration into milliseconds. The message says what is wrong.
pub fn parse(text: &str) -> Result<i64, String> {
    let bad = || format!("`{text}` is no duration such as `1h30m`");
    if text == "0" {
        return Ok(0);
    }
    let (mut rest, mut units, mut total) = (text, UNITS.iter(), 0_i64);
    if text.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: i64 = rest[..digits].parse().map_err(|_| bad())?;
        let after = &rest[digits..];
        let len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        // Each unit once, the larger first.
        let (_, unit) = units.find(|(name, _)| *name == &after[..len]).ok_or_else(bad)?;
        let more = number.checked_mul(*unit).and_then(|more| total.checked_add(more));
        total = more.ok_or_else(|| format!("the duration `{text}` is too long"))?;
        rest = &after[len..];
    }
    Ok(total)
}

/// Writes milliseconds as a duration. Years and weeks only where nothing is left over.
pub fn format(milliseconds: i64) -> String {
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let mut out = if milliseconds < 0 { "-".to_owned() } else { String::new() };
    let mut rest = milliseconds.unsigned_abs();
    for (name, unit) in UNITS {
        let unit = unit as u64;
        let exact = matches!(name, "y" | "w");
        if (exact && !rest.is_multiple_of(unit)) || rest / unit == 0 {
            continue;
        }
        out.push_str(&format!("{}{name}", rest / unit));
        rest %= unit;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        let check = |text: &str, want: i64| {
            assert_eq!(parse(text), Ok(want), "{text}");
            assert_eq!(parse(&format(want)), Ok(want), "{text}");
        };
        check("5m", 300_000);
        check("1h30m", 5_400_000);
        check("1d12h5s20ms", 129_605_020);
        check("2y", 63_072_000_000);
        check("0s", 0);
        for bad in ["", "5", "m", "5x", "5m1h", "5m5m", "-5m", "1.5h", "99999999999y"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            (format(90_000), format(604_800_000), format(691_200_000)),
            ("1m30s".into(), "1w".into(), "8d".into())
        );
    }
}
