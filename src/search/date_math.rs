//! Dates as queries write them: `now-1h/d`, `2024-01-01||+1M/d`, formats, zones.
//!
//! Follows Elasticsearch 7.10 (`JavaDateMathParser`): missing parts are filled down, or up for
//! `lte` and `gt`; rounding likewise; a zone applies to text without an offset and to rounding,
//! not to epochs nor to `now`. The time is an argument: nothing here asks a clock.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, ToSpan, Unit, ZonedDateTime, ZonedDateTimeRound};

/// How a date is read.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// Formats, `||` between alternatives; none: the default of a date field.
    pub format: Option<&'a str>,
    /// The zone of texts without an offset.
    pub zone: &'a TimeZone,
    /// What is missing becomes the greatest instead of the smallest, rounding goes up.
    pub up: bool,
    /// Milliseconds since 1970 now.
    pub now_ms: i64,
}

/// The format of a date field.
pub const DEFAULT: &str = "strict_date_optional_time||epoch_millis";

/// Nanoseconds since 1970 of `text`, or why not.
pub fn parse(text: &str, reading: &Reading) -> Result<i64, String> {
    if let Some(math) = text.strip_prefix("now") {
        let now = Timestamp::from_millisecond(reading.now_ms).map_err(|e| e.to_string())?;
        return apply(now.to_zoned_datetime(reading.zone.clone()), math, text, reading.up);
    }
    let (date, math) = text.split_once("||").unwrap_or((text, ""));
    // With math behind it, the date itself is filled down: the math rounds.
    let up = reading.up && math.is_empty();
    let formats = reading.format.unwrap_or(DEFAULT);
    let at = formats
        .split("||")
        .find_map(|format| parse_as(date, format.trim(), reading.zone, up))
        .ok_or_else(|| format!("failed to parse date field [{date}] with format [{formats}]"))?;
    if math.is_empty() {
        return Ok(clamp(at));
    }
    let at = Timestamp::from_nanosecond(at).map_err(|e| e.to_string())?;
    apply(at.to_zoned_datetime(reading.zone.clone()), math, text, reading.up)
}

/// A zone: `Europe/Berlin`, `+01:00`, `-0330`, `UTC`, `Z`.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    if matches!(name, "Z" | "UTC" | "GMT") {
        return Ok(TimeZone::UTC);
    }
    if let Some((offset, "")) = offset(name) {
        return Ok(TimeZone::fixed(offset));
    }
    TimeZone::get(name).map_err(|_| format!("Unknown time-zone ID: {name}"))
}

fn clamp(at: i128) -> i64 {
    at.clamp(i64::MIN as i128, i64::MAX as i128) as i64
}

/// Applies `+1d-2h/d`.
fn apply(mut at: ZonedDateTime, math: &str, whole: &str, up: bool) -> Result<i64, String> {
    let fail = |what: &str| format!("{what} in date math [{whole}]");
    let mut rest = math;
    let mut ceiling = false;
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        if !matches!(sign, '+' | '-' | '/') {
            return Err(fail("operator not supported"));
        }
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = match &rest[..digits] {
            "" => 1,
            digits => digits.parse().map_err(|_| fail("number too large"))?,
        };
        let Some(unit) = rest[digits..].chars().next() else { return Err(fail("truncated unit")) };
        rest = &rest[digits + unit.len_utf8()..];
        if sign == '/' {
            if digits != 0 && count != 1 {
                return Err(fail("rounding `/` can only be used on single unit types"));
            }
            at = floor(&at, unit).ok_or_else(|| fail("unit not supported"))?;
            if up {
                at = step(&at, unit, 1).ok_or_else(|| fail("date out of range"))?;
                ceiling = true;
            }
        } else {
            let count = if sign == '-' { -count } else { count };
            // The last instant of the rounded unit moves as that instant does.
            at = step(&at, unit, count).ok_or_else(|| fail("unit not supported or date out of range"))?;
        }
    }
    let nanos = at.timestamp().as_nanosecond() - if ceiling { 1 } else { 0 };
    Ok(clamp(nanos))
}

fn span(unit: char, count: i64) -> Option<Span> {
    let span = Span::new();
    match unit {
        'y' => span.try_years(count),
        'M' => span.try_months(count),
        'w' => span.try_weeks(count),
        'd' => span.try_days(count),
        'h' | 'H' => span.try_hours(count),
        'm' => span.try_minutes(count),
        's' => span.try_seconds(count),
        _ => return None,
    }
    .ok()
}

fn step(at: &ZonedDateTime, unit: char, count: i64) -> Option<ZonedDateTime> {
    at.checked_add(span(unit, count)?).ok()
}

/// The start of the unit that `at` lies in, in its zone.
fn floor(at: &ZonedDateTime, unit: char) -> Option<ZonedDateTime> {
    let zone = at.time_zone().clone();
    let day = at.date();
    let start = |date: Date| date.to_zoned_datetime(zone.clone()).ok();
    match unit {
        'y' => start(day.first_of_year()),
        'M' => start(day.first_of_month()),
        'w' => start(day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).ok()?),
        'd' => start(day),
        'h' | 'H' => truncate(at, Unit::Hour),
        'm' => truncate(at, Unit::Minute),
        's' => truncate(at, Unit::Second),
        _ => None,
    }
}

fn truncate(at: &ZonedDateTime, unit: Unit) -> Option<ZonedDateTime> {
    at.round(ZonedDateTimeRound::new().smallest(unit).mode(jiff::RoundMode::Floor)).ok()
}

/// Nanoseconds since 1970 of a text in one format.
fn parse_as(text: &str, format: &str, zone: &TimeZone, up: bool) -> Option<i128> {
    match format {
        "epoch_millis" => epoch(text, 1_000_000, up),
        "epoch_second" => epoch(text, 1_000_000_000, up),
        "strict_date_optional_time"
        | "strict_date_optional_time_nanos"
        | "date_optional_time"
        | "iso8601"
        | "strict_date_time"
        | "date_time"
        | "strict_date_time_no_millis"
        | "date_time_no_millis"
        | "strict_date"
        | "date"
        | "strict_date_hour_minute_second"
        | "date_hour_minute_second"
        | "strict_year_month"
        | "strict_year_month_day"
        | "strict_year" => iso(text, zone, up),
        "basic_date" => pattern(text, "yyyyMMdd", zone, up),
        "basic_date_time_no_millis" => pattern(text, "yyyyMMdd'T'HHmmssX", zone, up),
        "basic_date_time" => pattern(text, "yyyyMMdd'T'HHmmss.SSSX", zone, up),
        _ => pattern(text, format, zone, up),
    }
}

fn epoch(text: &str, unit: i128, up: bool) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().ok()?;
    let base = i128::from(number) * unit;
    if !fraction.is_empty() {
        let part: f64 = format!("0.{fraction}").parse().ok()?;
        let part = (part * unit as f64) as i128;
        return Some(if text.starts_with('-') { base - part } else { base + part });
    }
    // A bound in epochs is exact to its own unit: `lte` reaches to its end.
    Some(if up { base + unit - 1 } else { base })
}

/// The parts of a date that were given.
#[derive(Default)]
struct Parts {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    hour: Option<i8>,
    minute: Option<i8>,
    second: Option<i8>,
    nanos: Option<(i32, u32)>,
    offset: Option<Offset>,
}

impl Parts {
    fn instant(&self, zone: &TimeZone, up: bool) -> Option<i128> {
        let pick = |part: Option<i8>, low: i8, high: i8| part.unwrap_or(if up { high } else { low });
        let month = pick(self.month, 1, 12);
        let last = Date::new(self.year, month, 1).ok()?.last_of_month().day();
        let date = Date::new(self.year, month, pick(self.day, 1, last)).ok()?;
        let nanos = match self.nanos {
            // Beyond the digits given, up means nines.
            Some((nanos, digits)) if up => nanos + 10i32.pow(9 - digits) - 1,
            Some((nanos, _)) => nanos,
            None if up => 999_999_999,
            None => 0,
        };
        let hour = pick(self.hour, 0, 23);
        let time = Time::new(hour, pick(self.minute, 0, 59), pick(self.second, 0, 59), nanos).ok()?;
        let at = DateTime::from_parts(date, time);
        match self.offset {
            Some(offset) => Some(offset.to_timestamp(at).ok()?.as_nanosecond()),
            None => Some(zone.to_timestamp(at).ok()?.as_nanosecond()),
        }
    }
}

/// `2024`, `2024-01`, `2024-01-02`, `2024-01-02T03`, … `2024-01-02T03:04:05.678901234+01:00`.
fn iso(text: &str, zone: &TimeZone, up: bool) -> Option<i128> {
    let mut cursor = Cursor(text);
    let mut parts = Parts { year: cursor.digits(4, 4)? as i16, ..Parts::default() };
    'parts: {
        if !cursor.skip('-') {
            break 'parts;
        }
        parts.month = Some(cursor.digits(1, 2)? as i8);
        if !cursor.skip('-') {
            break 'parts;
        }
        parts.day = Some(cursor.digits(1, 2)? as i8);
    }
    if cursor.skip('T') || (parts.day.is_some() && cursor.skip(' ')) {
        'time: {
            if cursor.0.is_empty() {
                break 'time;
            }
            parts.hour = Some(cursor.digits(1, 2)? as i8);
            if !cursor.skip(':') {
                break 'time;
            }
            parts.minute = Some(cursor.digits(1, 2)? as i8);
            if !cursor.skip(':') {
                break 'time;
            }
            parts.second = Some(cursor.digits(1, 2)? as i8);
            if cursor.skip('.') || cursor.skip(',') {
                parts.nanos = Some(cursor.fraction()?);
            }
        }
        if let Some((offset, rest)) = offset(cursor.0) {
            parts.offset = Some(offset);
            cursor.0 = rest;
        }
    }
    cursor.0.is_empty().then(|| parts.instant(zone, up))?
}

struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn skip(&mut self, expected: char) -> bool {
        match self.0.strip_prefix(expected) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if count < least {
            return None;
        }
        let value = self.0[..count].parse().ok()?;
        self.0 = &self.0[count..];
        Some(value)
    }

    /// Nanoseconds and how many digits they were written with.
    fn fraction(&mut self) -> Option<(i32, u32)> {
        let before = self.0.len();
        let value = self.digits(1, 9)?;
        let digits = (before - self.0.len()) as u32;
        Some((value as i32 * 10i32.pow(9 - digits), digits))
    }
}

/// `Z`, `+01:00`, `+0100`, `+01`, and what follows.
fn offset(text: &str) -> Option<(Offset, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((Offset::UTC, rest));
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut cursor = Cursor(&text[1..]);
    let hours = cursor.digits(2, 2)?;
    let colon = cursor.skip(':');
    let minutes = match cursor.digits(2, 2) {
        Some(minutes) => minutes,
        None if colon => return None,
        None => 0,
    };
    let offset = Offset::from_seconds((sign * (hours * 3600 + minutes * 60)) as i32).ok()?;
    Some((offset, cursor.0))
}

/// A pattern of `java.time`: runs of letters, quoted text, other characters as they are.
fn pattern(text: &str, format: &str, zone: &TimeZone, up: bool) -> Option<i128> {
    let mut cursor = Cursor(text);
    let mut parts = Parts { year: 1970, ..Parts::default() };
    let mut half = None;
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            for quoted in letters.by_ref().take_while(|&c| c != '\'') {
                cursor.skip(quoted).then_some(())?;
            }
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            cursor.skip(letter).then_some(())?;
            continue;
        }
        let mut run = 1;
        while letters.next_if_eq(&letter).is_some() {
            run += 1;
        }
        let (least, most) = if run == 1 { (1, 2) } else { (run, run) };
        match letter {
            'y' | 'u' if run == 2 => parts.year = 2000 + cursor.digits(2, 2)? as i16,
            'y' | 'u' => parts.year = cursor.digits(4, 4)? as i16,
            'M' | 'L' if run >= 3 => parts.month = Some(month(&mut cursor)?),
            'M' | 'L' => parts.month = Some(cursor.digits(least, most)? as i8),
            'd' => parts.day = Some(cursor.digits(least, most)? as i8),
            'H' | 'k' => parts.hour = Some(cursor.digits(least, most)? as i8 % 24),
            'h' | 'K' => parts.hour = Some(cursor.digits(least, most)? as i8 % 12),
            'm' => parts.minute = Some(cursor.digits(least, most)? as i8),
            's' => parts.second = Some(cursor.digits(least, most)? as i8),
            'S' | 'n' => parts.nanos = Some(cursor.fraction()?),
            'a' => {
                half = Some(if cursor.skip('A') { 0 } else { cursor.skip('P').then_some(12)? })
                    .filter(|_| cursor.skip('M'))
            }
            'X' | 'x' | 'Z' | 'z' | 'V' => {
                let (offset, rest) = offset(cursor.0)?;
                parts.offset = Some(offset);
                cursor.0 = rest;
            }
            _ => return None,
        }
    }
    if let Some(half) = half {
        parts.hour = parts.hour.map(|hour| hour % 12 + half);
    }
    cursor.0.is_empty().then(|| parts.instant(zone, up))?
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn month(cursor: &mut Cursor) -> Option<i8> {
    let name = cursor.0.get(..3)?;
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    cursor.0 = &cursor.0[3..];
    Some(at as i8 + 1)
}

/// Writes an instant in a format; dates without one look like `2024-01-02T03:04:05.678Z`.
pub fn format(nanos: i64, format: Option<&str>, zone: &TimeZone) -> String {
    let at = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH);
    let first = format.and_then(|f| f.split("||").next()).unwrap_or("strict_date_optional_time");
    let zoned = at.to_zoned_datetime(zone.clone());
    match first {
        "epoch_millis" => at.as_millisecond().to_string(),
        "epoch_second" => at.as_second().to_string(),
        "strict_date_optional_time" | "date_optional_time" | "strict_date_time" | "date_time" | "iso8601" => {
            written(&zoned, "yyyy-MM-dd'T'HH:mm:ss.SSSXXX")
        }
        "strict_date_optional_time_nanos" if nanos.rem_euclid(1_000_000) == 0 => {
            written(&zoned, "yyyy-MM-dd'T'HH:mm:ss.SSSXXX")
        }
        "strict_date_optional_time_nanos" => written(&zoned, "yyyy-MM-dd'T'HH:mm:ss.SSSSSSSSSXXX"),
        "strict_date_time_no_millis" | "date_time_no_millis" => written(&zoned, "yyyy-MM-dd'T'HH:mm:ssXXX"),
        "strict_date" | "date" | "strict_year_month_day" => written(&zoned, "yyyy-MM-dd"),
        "strict_year_month" => written(&zoned, "yyyy-MM"),
        "strict_year" => written(&zoned, "yyyy"),
        "basic_date" => written(&zoned, "yyyyMMdd"),
        other => written(&zoned, other),
    }
}

fn written(at: &ZonedDateTime, format: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            out.extend(letters.by_ref().take_while(|&c| c != '\''));
            continue;
        }
        if !letter.is_ascii_alphabetic() {
            out.push(letter);
            continue;
        }
        let mut run = 1;
        while letters.next_if_eq(&letter).is_some() {
            run += 1;
        }
        let number = match letter {
            'y' | 'u' if run == 2 => i32::from(at.year()).rem_euclid(100),
            'y' | 'u' => i32::from(at.year()),
            'M' | 'L' if run >= 3 => {
                out.push_str(MONTHS[at.month() as usize - 1]);
                continue;
            }
            'M' | 'L' => i32::from(at.month()),
            'd' => i32::from(at.day()),
            'H' => i32::from(at.hour()),
            'h' => (i32::from(at.hour()) + 11) % 12 + 1,
            'm' => i32::from(at.minute()),
            's' => i32::from(at.second()),
            'a' => {
                out.push_str(if at.hour() < 12 { "AM" } else { "PM" });
                continue;
            }
            'E' => {
                let name = format!("{:?}", at.weekday());
                out.push_str(&name[..3]);
                continue;
            }
            'S' => {
                let nanos = format!("{:09}", at.subsec_nanosecond());
                out.push_str(&nanos[..run.min(9)]);
                continue;
            }
            'X' | 'Z' | 'x' => {
                write_offset(at.offset(), letter, run, &mut out);
                continue;
            }
            _ => continue,
        };
        let _never = write!(out, "{number:0run$}");
    }
    out
}

fn write_offset(offset: Offset, letter: char, run: usize, out: &mut String) {
    use std::fmt::Write;
    let seconds = offset.seconds();
    if seconds == 0 && letter == 'X' {
        out.push('Z');
        return;
    }
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    let colon = if run >= 3 && letter != 'Z' { ":" } else { "" };
    let _never = write!(out, "{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2024-03-15T13:14:15.167Z";

    fn read(text: &str, format: Option<&str>, zone_name: &str, up: bool) -> Result<String, String> {
        let now_ms = NOW.parse::<Timestamp>().unwrap().as_millisecond();
        let zone = zone(zone_name).unwrap();
        let nanos = parse(text, &Reading { format, zone: &zone, up, now_ms })?;
        Ok(Timestamp::from_nanosecond(i128::from(nanos)).unwrap().to_string())
    }

    #[test]
    fn down_and_up() {
        let check = |text: &str, down: &str, up: &str| {
            assert_eq!(read(text, None, "UTC", false).as_deref(), Ok(down), "{text} down");
            assert_eq!(read(text, None, "UTC", true).as_deref(), Ok(up), "{text} up");
        };
        check("now", "2024-03-15T13:14:15.167Z", "2024-03-15T13:14:15.167Z");
        check("now-1h", "2024-03-15T12:14:15.167Z", "2024-03-15T12:14:15.167Z");
        check("now/d", "2024-03-15T00:00:00Z", "2024-03-15T23:59:59.999999999Z");
        check("now/w", "2024-03-11T00:00:00Z", "2024-03-17T23:59:59.999999999Z");
        check("now-1M/M", "2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999999999Z");
        check("now/h", "2024-03-15T13:00:00Z", "2024-03-15T13:59:59.999999999Z");
        check("2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T23:59:59.999999999Z");
        check("2024", "2024-01-01T00:00:00Z", "2024-12-31T23:59:59.999999999Z");
        check("2024-02", "2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999999999Z");
        check("2024-01-01T10:00", "2024-01-01T10:00:00Z", "2024-01-01T10:00:59.999999999Z");
        check("2024-01-01T10:00:00.5+01:00", "2024-01-01T09:00:00.5Z", "2024-01-01T09:00:00.599999999Z");
        check("2024-01-01||+1M/d", "2024-02-01T00:00:00Z", "2024-02-01T23:59:59.999999999Z");
        check("2024-01-31||+1M", "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z");
        check("1704067200000", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000999999Z");
    }

    #[test]
    fn formats() {
        let check = |text: &str, format: &str, expected: &str| {
            assert_eq!(read(text, Some(format), "UTC", false).as_deref(), Ok(expected), "{text} {format}");
        };
        check("31/12/2023", "dd/MM/yyyy||yyyy", "2023-12-31T00:00:00Z");
        check("2023", "dd/MM/yyyy||yyyy", "2023-01-01T00:00:00Z");
        check("1704067200", "epoch_second", "2024-01-01T00:00:00Z");
        check("20240102", "basic_date", "2024-01-02T00:00:00Z");
        check("02/Jan/2024:03:04:05 +0100", "dd/MMM/yyyy:HH:mm:ss Z", "2024-01-02T02:04:05Z");
        check("2024-01-02 03:04:05", "yyyy-MM-dd HH:mm:ss", "2024-01-02T03:04:05Z");
    }

    #[test]
    fn zones() {
        assert_eq!(read("2024-01-01", None, "Europe/Berlin", false).unwrap(), "2023-12-31T23:00:00Z");
        assert_eq!(read("2024-01-01T00:00:00Z", None, "Europe/Berlin", false).unwrap(), "2024-01-01T00:00:00Z");
        assert_eq!(read("now/d", None, "+09:00", false).unwrap(), "2024-03-14T15:00:00Z");
        assert_eq!(read("1704067200000", None, "+09:00", false).unwrap(), "2024-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_date() {
        for text in
            ["", "nowx", "now+", "now+1x", "abc", "2024-13-01", "2024-01-01T", "2024-01-01||x", "now/2d", "12:00"]
        {
            let read = read(text, None, "UTC", false);
            assert!(read.is_err() || text == "2024-01-01T", "{text} gave {read:?}");
        }
    }

    #[test]
    fn written_dates() {
        let at = "2024-01-02T03:04:05.678Z".parse::<Timestamp>().unwrap().as_nanosecond() as i64;
        let check = |form: Option<&str>, zone_name: &str, expected: &str| {
            assert_eq!(format(at, form, &zone(zone_name).unwrap()), expected);
        };
        check(None, "UTC", "2024-01-02T03:04:05.678Z");
        check(None, "Europe/Berlin", "2024-01-02T04:04:05.678+01:00");
        check(Some("epoch_millis"), "UTC", "1704164645678");
        check(Some("yyyy-MM-dd HH:mm"), "UTC", "2024-01-02 03:04");
    }
}
