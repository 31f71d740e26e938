//! A row of CSV as Ruby's CSV library reads and writes it, and its conversions of cells: what the
//! `csv` filter and the `csv` codec share.

use super::joda::{Format, Zone};
use super::ruby::{float, integer};
use super::{Batch, Timestamp, Value};
use std::sync::LazyLock;

/// Separator and quote of a table.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// Between cells; one character or several.
    pub separator: String,
    /// Around cells; `None` where a quote has no meaning.
    pub quote: Option<char>,
}

impl Dialect {
    /// As the options of the plugins say it; `quote` is one character, or `\x00` for none.
    pub fn new(separator: &str, quote: &str) -> Option<Dialect> {
        let mut chars = quote.chars();
        let quote = match (quote, chars.next(), chars.next()) {
            ("\\x00" | "\0", ..) => None,
            (_, Some(quote), None) => Some(quote),
            _ => return None,
        };
        (!separator.is_empty()).then(|| Dialect { separator: separator.to_owned(), quote })
    }

    /// The cells of the first row in `text`, into `row`: `None` for an empty cell without quotes.
    /// `Ok(false)` where there is no row at all.
    pub fn read(&self, text: &str, row: &mut Vec<Option<String>>) -> Result<bool, Malformed> {
        row.clear();
        if text.is_empty() {
            return Ok(false);
        }
        let line_end = line_end(text);
        let mut rest = text;
        if rest.starts_with(line_end) && !line_end.is_empty() {
            return Ok(true);
        }
        loop {
            let cell = match self.quote.filter(|quote| rest.starts_with(*quote)) {
                Some(quote) => {
                    let (cell, behind) = quoted(&rest[quote.len_utf8()..], quote)?;
                    rest = behind;
                    Some(cell)
                }
                None => {
                    let end = [rest.find(&self.separator), rest.find(line_end).filter(|_| !line_end.is_empty())];
                    let end = end.into_iter().flatten().min().unwrap_or(rest.len());
                    let cell = &rest[..end];
                    if self.quote.is_some_and(|quote| cell.contains(quote)) || cell.contains(['\r', '\n']) {
                        return Err(Malformed);
                    }
                    rest = &rest[end..];
                    (!cell.is_empty()).then(|| cell.to_owned())
                }
            };
            row.push(cell);
            if let Some(behind) = rest.strip_prefix(&self.separator[..]) {
                rest = behind;
            } else if rest.is_empty() || (!line_end.is_empty() && rest.starts_with(line_end)) {
                return Ok(true);
            } else {
                return Err(Malformed);
            }
        }
    }

    /// Writes one cell, in quotes where it needs them.
    pub fn write(&self, cell: Option<&str>, out: &mut Vec<u8>) {
        let Some(cell) = cell else { return };
        let Some(quote) = self.quote else { return out.extend_from_slice(cell.as_bytes()) };
        let odd = |c: char| c == quote || matches!(c, '\r' | '\n');
        let spaced = cell.starts_with([' ', '\t']) || cell.ends_with([' ', '\t']);
        if cell.is_empty() || spaced || cell.contains(odd) || cell.contains(&self.separator) {
            let mut buffer = [0; 4];
            let quote_text = quote.encode_utf8(&mut buffer);
            out.extend_from_slice(quote_text.as_bytes());
            out.extend_from_slice(cell.replace(quote, &format!("{quote_text}{quote_text}")).as_bytes());
            out.extend_from_slice(quote_text.as_bytes());
        } else {
            out.extend_from_slice(cell.as_bytes());
        }
    }
}

/// A text that is no row of CSV.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed CSV")]
pub struct Malformed;

/// What ends a row: the first line end of any kind, as Ruby guesses it; empty where there is none.
fn line_end(text: &str) -> &'static str {
    match text.find(['\r', '\n']) {
        None => "",
        Some(at) if text[at..].starts_with("\r\n") => "\r\n",
        Some(at) if text[at..].starts_with('\r') => "\r",
        Some(_) => "\n",
    }
}

/// The cell up to the closing quote, and what is behind it.
fn quoted(text: &str, quote: char) -> Result<(String, &str), Malformed> {
    let (mut cell, mut rest) = (String::new(), text);
    loop {
        let end = rest.find(quote).ok_or(Malformed)?;
        cell.push_str(&rest[..end]);
        rest = &rest[end + quote.len_utf8()..];
        match rest.strip_prefix(quote) {
            Some(behind) => {
                cell.push(quote);
                rest = behind;
            }
            None => return Ok((cell, rest)),
        }
    }
}

/// What a cell is converted to; a cell that doesn't fit stays text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Convert {
    /// Ruby's `Integer(text)`.
    Integer,
    /// Ruby's `Float(text)`.
    Float,
    /// A day, as a time at its beginning in the system's zone.
    Date,
    /// A day and a time of day, in UTC where it names no zone.
    DateTime,
    /// `true` or `false`.
    Boolean,
}

impl Convert {
    /// The names of all.
    pub const NAMES: [&str; 5] = ["integer", "float", "date", "date_time", "boolean"];

    /// By its name.
    pub fn parse(name: &str) -> Option<Convert> {
        let at = Convert::NAMES.iter().position(|known| *known == name)?;
        Some([Convert::Integer, Convert::Float, Convert::Date, Convert::DateTime, Convert::Boolean][at])
    }

    /// The value of a cell.
    pub fn value(self, batch: &mut Batch, cell: &str) -> Value {
        let converted = match self {
            Convert::Integer => integer(cell),
            Convert::Float => float(cell).map(Value::Float),
            Convert::Date => day(cell).map(Value::Time),
            Convert::DateTime => day_and_time(cell).map(Value::Time),
            Convert::Boolean => match cell.trim().to_lowercase() {
                word if word == "true" => Some(Value::Bool(true)),
                word if word == "false" => Some(Value::Bool(false)),
                word => Some(batch.str(&word)),
            },
        };
        converted.unwrap_or_else(|| batch.str(cell))
    }
}

fn formats(patterns: &[&str]) -> Vec<Format> {
    patterns.iter().map(|p| Format::joda(p, "en").expect("BUG: a pattern of our own is wrong")).collect()
}

static DAYS: LazyLock<Vec<Format>> = LazyLock::new(|| {
    formats(&["yyyy-MM-dd", "MMM d yyyy", "MMM d, yyyy", "EEE MMM d yyyy", "EEE, MMM d yyyy", "EEE, MMM d, yyyy"])
});

static TIMES: LazyLock<Vec<Format>> = LazyLock::new(|| {
    formats(&["yyyy-MM-dd HH:mm:ss", "MMM d HH:mm:ss yyyy", "MMM d HH:mm:ss, yyyy", "EEE MMM d HH:mm:ss yyyy"])
});

fn day(cell: &str) -> Option<Timestamp> {
    let (cell, epoch) = (cell.trim(), Timestamp::new(0, 0));
    DAYS.iter().find_map(|format| format.parse(cell, Zone::system(), epoch))
}

fn day_and_time(cell: &str) -> Option<Timestamp> {
    let (cell, epoch) = (cell.trim(), Timestamp::new(0, 0));
    let read = |format: &Format| format.parse(cell, &Zone::UTC, epoch);
    TIMES.iter().find_map(read).or_else(|| {
        let dated = cell.len() >= 10 && cell.as_bytes()[..4].iter().all(u8::is_ascii_digit);
        let iso = cell.replace(" UTC", "Z").replace(" Z", "Z").replacen(' ', "T", 1);
        dated.then(|| super::joda::parse_casual(&iso, &Zone::UTC, epoch))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(dialect: &Dialect, text: &str) -> Option<String> {
        let mut row = Vec::new();
        let found = dialect.read(text, &mut row).ok()?;
        found.then(|| row.iter().map(|c| c.as_deref().unwrap_or("~")).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn rows() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(row(&Dialect::new(",", "\"").unwrap(), text).as_deref(), want, "{text:?}");
        };
        check("a,b,c", Some("a|b|c"));
        check("a,,\"\"", Some("a|~|"));
        check("a,", Some("a|~"));
        check("\"a,\"\"b\"\"\",c", Some("a,\"b\"|c"));
        check("a,b\nc,d", Some("a|b"));
        check("a,b\r\n", Some("a|b"));
        check("\"a\nb\",c\n", Some("a\nb|c"));
        check("\n", Some(""));
        check("", None);
        check("a,\"b", None);
        check("a,b\"c", None);
        check("\"a\"b,c", None);
        check(" \"a\",b", None);
        check("a\rb\n", Some("a"));
        check("a\nb\r", Some("a"));
    }

    #[test]
    fn other_separators_and_quotes() {
        let check = |separator: &str, quote: &str, text: &str, want: &str| {
            assert_eq!(row(&Dialect::new(separator, quote).unwrap(), text).as_deref(), Some(want), "{text:?}");
        };
        check(";", "'", "a;'b;c'", "a|b;c");
        check("||", "\"", "a||\"b||c\"||d", "a|b||c|d");
        check(",", "\\x00", "a,\"b\" c", "a|\"b\" c");
        assert!(Dialect::new(",", "ab").is_none() && Dialect::new("", "\"").is_none());
    }

    #[test]
    fn cells_are_quoted_where_they_need_it() {
        let check = |cell: Option<&str>, want: &str| {
            let mut out = Vec::new();
            Dialect::new(",", "\"").unwrap().write(cell, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        };
        check(None, "");
        check(Some(""), "\"\"");
        check(Some("a b"), "a b");
        check(Some("a,b"), "\"a,b\"");
        check(Some("a\"b"), "\"a\"\"b\"");
        check(Some(" a"), "\" a\"");
        check(Some("a\n"), "\"a\n\"");
    }

    #[test]
    fn conversions() {
        let check = |convert: &str, cell: &str, want: &str| {
            let mut batch = Batch::new();
            let value = Convert::parse(convert).unwrap().value(&mut batch, cell);
            let mut out = Vec::new();
            crate::event::json::write_value(&batch, value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want, "{convert} {cell}");
        };
        check("integer", "12", "12");
        check("integer", " 0x1f ", "31");
        check("integer", "1_000", "1000");
        check("integer", "1.5", "\"1.5\"");
        check("float", "1.5", "1.5");
        check("float", "1", "1.0");
        check("float", "1.", "\"1.\"");
        check("boolean", " TRUE", "true");
        check("boolean", "No", "\"no\"");
        check("date_time", "2001-02-03 04:05:06", "\"2001-02-03T04:05:06.000Z\"");
        check("date_time", "2001-02-03T04:05:06.5+01:00", "\"2001-02-03T03:05:06.500Z\"");
        check("date_time", "invalid_date_time", "\"invalid_date_time\"");
        check("date", "invalid_date", "\"invalid_date\"");
    }
}
