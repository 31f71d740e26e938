//! Times and sizes as settings write them: `10s`, `50ms`, `90d`, `64mb`.

use super::table::Type;
use std::time::Duration;

/// A time with its unit; `bare` is what one of a number without unit is worth.
pub fn time(text: &str, bare: Duration) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (amount, unit) = text.split_at(at);
    let amount: u64 = amount.parse().ok()?;
    let one = match unit.trim_start() {
        "" => bare,
        "d" => Duration::from_secs(86_400),
        "h" => Duration::from_secs(3600),
        "m" => Duration::from_secs(60),
        "s" => Duration::from_secs(1),
        "ms" => Duration::from_millis(1),
        "micros" => Duration::from_micros(1),
        "nanos" => Duration::from_nanos(1),
        _ => return None,
    };
    let nanos = u128::from(amount).checked_mul(one.as_nanos())?;
    Some(Duration::from_nanos(u64::try_from(nanos).ok()?))
}

/// A size with its unit, of 1024 each as in Logstash's settings (plugins count otherwise).
pub fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (amount, unit) = text.split_at(at);
    let power = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 1,
        "m" | "mb" => 2,
        "g" | "gb" => 3,
        "t" | "tb" => 4,
        "p" | "pb" => 5,
        _ => return None,
    };
    let one = 1u64 << (10 * power);
    match amount.parse::<u64>() {
        Ok(whole) => whole.checked_mul(one),
        Err(_) => {
            let bytes = amount.parse::<f64>().ok()? * one as f64;
            (0.0..u64::MAX as f64).contains(&bytes).then_some(bytes as u64)
        }
    }
}

impl Type {
    /// What is expected, for messages.
    pub fn wanted(self) -> String {
        match self {
            Type::Boolean => "`true` or `false`".to_owned(),
            Type::Number(low, u64::MAX) => format!("a whole number from {low} on"),
            Type::Number(low, high) => format!("a whole number from {low} to {high}"),
            Type::Bytes => "a size such as `64mb`".to_owned(),
            Type::Time(_) => "a time such as `10s` or `50ms`".to_owned(),
            Type::Age => "a time such as `90d`, or `never`".to_owned(),
            Type::Text => "a text".to_owned(),
            Type::Path => "a path".to_owned(),
            Type::Paths => "a path or a list of paths".to_owned(),
            Type::Words(words) => format!("one of {}", words.join(", ")),
            Type::List => "a list".to_owned(),
            Type::Endpoints => "URLs, or objects with `url` and more".to_owned(),
            Type::Ports => "a port, or a range such as `9600-9700`".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let check = |text: &str, want: Option<u64>| {
            assert_eq!(time(text, Duration::from_millis(1)).map(|t| t.as_millis() as u64), want, "{text}");
        };
        check("50", Some(50));
        check("50ms", Some(50));
        check("10s", Some(10_000));
        check("3 m", Some(180_000));
        check("90d", Some(90 * 86_400_000));
        check("2000000nanos", Some(2));
        check("", None);
        check("s", None);
        check("1.5s", None);
        check("10x", None);
        check("99999999999999999999d", None);
        check("9999999999d", None);
    }

    #[test]
    fn sizes() {
        let check = |text: &str, want: Option<u64>| assert_eq!(bytes(text), want, "{text}");
        check("1024", Some(1024));
        check("64mb", Some(64 << 20));
        check("1 GB", Some(1 << 30));
        check("1.5kb", Some(1536));
        check("5 KiB", None);
        check("mb", None);
        check("-1", None);
        check("99999999999999999999gb", None);
    }
}
