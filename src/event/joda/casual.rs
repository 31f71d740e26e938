//! What the date filter calls `ISO8601`: Joda's `ISODateTimeFormat.dateTimeParser` (a date, a
//! week date or a day of the year, each shortened at will, with a time in any detail), and four
//! patterns with a space in place of the `T`.

use super::iso::usual;
use super::pattern::{Field, Format};
use super::read::Reader;
use super::resolve::Fields;
use super::zone::{Zone, offset};
use crate::event::Timestamp;
use std::sync::LazyLock;

static SPACED: LazyLock<[Format; 4]> = LazyLock::new(|| {
    ["ss.SSSZ", "ss.SSS", "ss,SSSZ", "ss,SSS"]
        .map(|end| Format::joda(&format!("yyyy-MM-dd HH:mm:{end}"), "en").expect("BUG: a pattern of our own is wrong"))
});

/// Reads all of `text`. Without a zone of its own it is a local time in `zone`.
pub fn parse_casual(text: &str, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
    if let Some((local, nanos, rest)) = usual(text.as_bytes(), b".,") {
        match rest {
            b"Z" => return Some(Timestamp::new(local, nanos)),
            b"" => return Some(Timestamp::new(zone.strict(local)?, nanos)),
            [b'+' | b'-', ..] => {
                if let Some(offset) = offset(rest) {
                    return Some(Timestamp::new(local - i64::from(offset), nanos));
                }
            }
            _ => {}
        }
    }
    if let Some(b' ') = text.as_bytes().get(10) {
        // Nothing with a space there is anything else.
        let formats = if text.contains(',') { &SPACED[2..] } else { &SPACED[..2] };
        return formats.iter().find_map(|format| format.parse(text, zone, now));
    }
    iso(text, zone, now).or_else(|| SPACED.iter().find_map(|format| format.parse(text, zone, now)))
}

fn iso(text: &str, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
    let mut fields = Fields::default();
    let mut reader = Reader { text: text.as_bytes(), at: 0 };
    let dated = !matches!(reader.rest().first()?, b'T' | b't');
    if dated {
        date(&mut reader, &mut fields)?;
    }
    if eat(&mut reader, b"Tt") {
        let time = time(&mut reader, &mut fields);
        if !dated {
            time?;
        }
        if !reader.rest().is_empty() {
            fields.offset = Some(reader.offset()?);
        }
    }
    reader.rest().is_empty().then(|| fields.instant(zone, now))?
}

fn eat(reader: &mut Reader, any: &[u8]) -> bool {
    let found = reader.rest().first().is_some_and(|c| any.contains(c));
    reader.at += usize::from(found);
    found
}

/// A number behind a mark, or nothing of both.
fn part(reader: &mut Reader, mark: &[u8], digits: usize) -> Option<i64> {
    let start = reader.at;
    let value = if eat(reader, mark) { reader.number(digits, false) } else { None };
    if value.is_none() {
        reader.at = start;
    }
    value
}

fn date(reader: &mut Reader, fields: &mut Fields) -> Option<()> {
    let year = reader.number(9, true)?;
    let rest = reader.rest();
    if rest.len() > 2 && rest[0] == b'-' && rest[1] | 0x20 == b'w' {
        reader.at += 2;
        fields.set(Field::Weekyear, year);
        fields.set(Field::Week, reader.number(2, false)?);
        if let Some(day) = part(reader, b"-", 1) {
            fields.set(Field::DayOfWeek, day);
        }
        return Some(());
    }
    fields.set(Field::Year, year);
    if rest.len() > 3 && rest[0] == b'-' && rest[1..4].iter().all(u8::is_ascii_digit) {
        fields.set(Field::DayOfYear, part(reader, b"-", 3)?);
    } else if let Some(month) = part(reader, b"-", 2) {
        fields.set(Field::Month, month);
        if let Some(day) = part(reader, b"-", 2) {
            fields.set(Field::DayOfMonth, day);
        }
    }
    Some(())
}

fn time(reader: &mut Reader, fields: &mut Fields) -> Option<()> {
    let hour = reader.number(2, false)?;
    fields.set(Field::HourOfDay, hour);
    let Some(minute) = part(reader, b":", 2) else {
        part_of(reader, Field::HourFraction, 3_600_000, fields);
        return Some(());
    };
    fields.set(Field::Minute, minute);
    let Some(second) = part(reader, b":", 2) else {
        part_of(reader, Field::MinuteFraction, 60_000, fields);
        return Some(());
    };
    fields.set(Field::Second, second);
    let start = reader.at;
    if eat(reader, b".,") {
        match reader.fraction(9) {
            Some(nanos) => fields.set(Field::SecondFraction, nanos),
            None => reader.at = start,
        }
    }
    Some(())
}

/// A decimal fraction of an hour or minute of `millis`, to the millisecond as Joda rounds it.
fn part_of(reader: &mut Reader, field: Field, millis: i64, fields: &mut Fields) {
    let start = reader.at;
    if !eat(reader, b".,") {
        return;
    }
    let (mut tenths, mut unit, mut len) = (0, millis * 10, 0);
    while let Some(digit) = reader.rest().first().filter(|c| c.is_ascii_digit() && len < 9) {
        unit /= 10;
        tenths += i64::from(digit - b'0') * unit;
        reader.at += 1;
        len += 1;
    }
    if len == 0 {
        reader.at = start;
    } else {
        fields.set(field, tenths / 10 * 1_000_000);
    }
}
