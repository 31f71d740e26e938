//! `convert`: types of cells, as Ruby's `csv` library and Logstash read them. What can't be
//! converted stays text.

use super::super::{Batch, Timestamp, Value, joda::Zone, ruby};

/// What a column's cells become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Convert {
    /// Ruby's `Integer(text)`.
    Integer,
    /// Ruby's `Float(text)`.
    Float,
    /// A day: the time at its beginning in the system's zone.
    Date,
    /// A day and a time of day, in UTC where it names no zone.
    DateTime,
    /// `true` or `false`; any other text in small letters.
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
        let cell = batch.str(cell);
        self.apply(batch, cell).unwrap_or(cell)
    }

    /// The value converted; `None` where Logstash raises, which it does for booleans out of
    /// nothing.
    pub fn apply(self, batch: &mut Batch, value: Value) -> Option<Value> {
        let Value::Str(span) = value else { return (self != Convert::Boolean).then_some(value) };
        let text = batch.text(span);
        let converted = match self {
            Convert::Integer => ruby::integer(text).map(|(negative, digits)| batch.whole(negative, &digits)),
            Convert::Float => ruby::float(text).filter(|n| n.is_finite()).map(Value::Float),
            Convert::Date => date(text).and_then(local).map(Value::Time),
            Convert::DateTime => date_time(text).map(Value::Time),
            Convert::Boolean => {
                let lower =
                    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0' || c == '\x0b').to_lowercase();
                return Some(match lower.as_str() {
                    "true" => Value::Bool(true),
                    "false" => Value::Bool(false),
                    _ if lower == text => value,
                    _ => batch.str(&lower),
                });
            }
        };
        Some(converted.unwrap_or(value))
    }
}

/// The time at which clocks of the system's zone show what a clock in UTC shows at `at`.
fn local(at: Timestamp) -> Option<Timestamp> {
    Some(Timestamp::new(Zone::system().lenient(at.seconds())?, 0))
}

/// `2017-06-01`, `June 1, 2017`, `Thu, Jun 1 17`.
fn date(text: &str) -> Option<Timestamp> {
    if is_iso_date(text) {
        return iso(text, "");
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (month, day, year) = match words[..] {
        [month, day, year] | [_, month, day, year] => (month, day, year),
        _ => return None,
    };
    instant(month, day.strip_suffix(',').unwrap_or(day), "0:0:0", year)
}

/// `2001-02-03 04:05:06`, `Sat Feb  3 04:05:06 2001`.
fn date_time(text: &str) -> Option<Timestamp> {
    if text.get(..10).is_some_and(is_iso_date) {
        return iso(&text[..10], &text[10..]);
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (month, day, time, year) = match words[..] {
        [month, day, time, year] | [_, month, day, time, year] => (month, day, time, year),
        _ => return None,
    };
    instant(month, day, time.strip_suffix(',').unwrap_or(time), year)
}

/// A date of ten characters, and nothing or a time such as `T04:05`, ` 04:05:06.5+01:00`; UTC
/// without a zone.
fn iso(date: &str, time: &str) -> Option<Timestamp> {
    let number = |text: Option<&str>| digits(text?, 2..=2);
    let (year, month, day) = (date[..4].parse().ok()?, date[5..7].parse().ok()?, date[8..].parse().ok()?);
    if time.is_empty() {
        return stamp((year, month, day), (0, 0, 0, 0), 0);
    }
    let rest = time.strip_prefix(['T', ' ', '\t'])?;
    let (hour, minute) = (number(rest.get(..2))?, number(rest.get(3..5))?);
    let rest = rest.get(2..3).filter(|colon| *colon == ":").and(rest.get(5..))?;
    let Some(rest) = rest.strip_prefix(':') else {
        return rest.is_empty().then(|| stamp((year, month, day), (hour, minute, 0, 0), 0))?;
    };
    let second = number(rest.get(..2))?;
    let (mut rest, mut nanos) = (&rest[2..], 0);
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        nanos = format!("{:0<9}", &fraction[..length])[..9].parse().ok().filter(|_| length > 0)?;
        rest = &fraction[length..];
    }
    let offset = match rest.chars().next() {
        None => 0,
        Some('Z') if rest.len() == 1 => 0,
        Some(sign @ ('+' | '-')) if rest.len() == 6 && rest.get(3..4) == Some(":") => {
            let seconds = (number(rest.get(1..3))? * 60 + number(rest.get(4..6))?) as i64 * 60;
            if sign == '+' { seconds } else { -seconds }
        }
        Some(_) => return None,
    };
    stamp((year, month, day), (hour, minute, second, nanos), offset)
}

/// A date in words; two digits of a year mean 1969 to 2068.
fn instant(month: &str, day: &str, time: &str, year: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = month.get(..3).filter(|_| month.bytes().all(|b| b.is_ascii_alphabetic()))?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|name| *name == month)? as i8 + 1;
    let day = digits(day, 1..=2)? as i8;
    let year = match (digits(year, 2..=4)? as i16, year.len()) {
        (year @ 0..=68, 2) => year + 2000,
        (year, 2) => year + 1900,
        (year, _) => year,
    };
    let mut parts = time.split(':').map(|part| digits(part, 1..=2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then(|| stamp((year, month, day), (hour, minute, second, 0), 0))?
}

fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let is = count.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is.then(|| text.parse().ok())?
}

/// The instant of a date and a time that is `offset` seconds ahead of UTC; `None` for one that
/// no calendar has.
fn stamp(date: (i16, i8, i8), time: (u32, u32, u32, u32), offset: i64) -> Option<Timestamp> {
    let (hour, minute, second, nanos) = time;
    let [hour, minute, second] = [hour, minute, second].map(|part| part as i8);
    let civil = jiff::civil::DateTime::new(date.0, date.1, date.2, hour, minute, second, nanos as i32).ok()?;
    let at = jiff::tz::Offset::UTC.to_timestamp(civil).ok()?;
    Some(Timestamp::new(at.as_second() - offset, at.subsec_nanosecond().try_into().ok()?))
}

fn is_iso_date(text: &str) -> bool {
    let digit = |at: usize| text.as_bytes()[at].is_ascii_digit();
    text.len() == 10 && (0..10).all(|at| if at == 4 || at == 7 { text.as_bytes()[at] == b'-' } else { digit(at) })
}
