//! Writing a time with a compiled pattern, in UTC.

use super::civil::{civil_from_days, days_from_civil, weekday, weekyear};
use super::iso::write_padded;
use super::pattern::{Field, Format, Length, Op};
use crate::event::Timestamp;

/// A time with what most fields need of it worked out.
struct Moment {
    days: i64,
    year: i64,
    month: u32,
    day: u32,
    second: i64,
    nanos: u32,
}

impl Format {
    /// Appends a time in UTC.
    pub fn write(&self, at: Timestamp, out: &mut Vec<u8>) {
        let days = at.seconds().div_euclid(86_400);
        let (year, month, day) = civil_from_days(days);
        let second = at.seconds().rem_euclid(86_400);
        let at = Moment { days, year, month, day, second, nanos: at.subsec_nanos() };
        for op in &self.ops {
            self.write_op(op, &at, out);
        }
    }

    fn write_op(&self, op: &Op, at: &Moment, out: &mut Vec<u8>) {
        match op {
            Op::Literal(text) => out.extend_from_slice(text.as_bytes()),
            &Op::Number { field, width, .. } => write_signed(at.get(field), width, out),
            &Op::TwoDigitYear { field, .. } => write_padded(at.get(field).unsigned_abs() % 100, 2, out),
            &Op::SignedYear { field, width } => {
                let year = at.get(field);
                if width >= 4 && year >= 10i64.pow(u32::from(width)) {
                    out.push(b'+');
                }
                write_signed(year, width, out);
            }
            &Op::Text { field, length } => self.write_text(field, length, at, out),
            &Op::Fraction { digits, nanos } => {
                // Joda's times end at the millisecond.
                let nanos = if nanos { at.nanos } else { at.nanos / 1_000_000 * 1_000_000 };
                let start = out.len();
                write_padded(u64::from(nanos), 9, out);
                out.resize(start + usize::from(digits), b'0');
            }
            Op::Offset { colon } => out.extend_from_slice(if *colon { b"+00:00" } else { b"+0000" }),
            Op::ZoneId | Op::ZoneName { long: false } => out.extend_from_slice(b"UTC"),
            Op::ZoneName { long: true } => out.extend_from_slice(b"Coordinated Universal Time"),
        }
    }

    fn write_text(&self, field: Field, length: Length, at: &Moment, out: &mut Vec<u8>) {
        let value = at.get(field);
        if field == Field::Quarter {
            const ORDINALS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
            match length {
                Length::Short => out.extend_from_slice(&[b'Q', b'0' + value as u8]),
                Length::Full => out.extend_from_slice(ORDINALS[value as usize - 1].as_bytes()),
                Length::Narrow => out.push(b'0' + value as u8),
            }
            return;
        }
        let name = self.names.text(field, value, length == Length::Full);
        match (length, field) {
            (Length::Full, Field::Era) => {
                out.extend_from_slice(if value == 1 { b"Anno Domini" } else { b"Before Christ" })
            }
            (Length::Narrow, _) => {
                let first = name.chars().next().map_or(0, char::len_utf8);
                out.extend_from_slice(&name.as_bytes()[..first]);
            }
            _ => out.extend_from_slice(name.as_bytes()),
        }
    }
}

fn write_signed(value: i64, width: u8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_padded(value.unsigned_abs(), width.into(), out);
}

impl Moment {
    fn get(&self, field: Field) -> i64 {
        let hour = self.second / 3600;
        match field {
            Field::Era => i64::from(self.year > 0),
            Field::Century => self.year.abs() / 100,
            Field::Year => self.year,
            Field::YearOfEra => self.year.abs(),
            Field::Weekyear => weekyear(self.days).0,
            Field::Month => self.month.into(),
            Field::Week => weekyear(self.days).1.into(),
            Field::DayOfYear => self.days - days_from_civil(self.year, 1, 1) + 1,
            Field::DayOfMonth => self.day.into(),
            Field::DayOfWeek => weekday(self.days).into(),
            Field::Halfday => hour / 12,
            Field::HourOfDay => hour,
            Field::ClockhourOfDay => (hour + 23) % 24 + 1,
            Field::HourOfHalfday => hour % 12,
            Field::ClockhourOfHalfday => (hour + 11) % 12 + 1,
            Field::Minute => self.second / 60 % 60,
            Field::Second => self.second % 60,
            Field::Quarter => i64::from(self.month - 1) / 3 + 1,
            Field::WeekOfMonth => self.week_of_month(),
            Field::AlignedWeekOfMonth => i64::from(self.day - 1) / 7 + 1,
            Field::MilliOfDay => self.second * 1000 + i64::from(self.nanos / 1_000_000),
            Field::NanoOfSecond => self.nanos.into(),
            Field::NanoOfDay => self.second * 1_000_000_000 + i64::from(self.nanos),
            Field::ModifiedJulianDay => self.days + 40_587,
            Field::HourFraction | Field::MinuteFraction | Field::SecondFraction => 0,
        }
    }

    /// Weeks begin on Monday; the first has four days of the month or more.
    fn week_of_month(&self) -> i64 {
        let first = self.days - i64::from(self.day) + 1;
        let before = i64::from(weekday(first)) - 1;
        let week = (i64::from(self.day) - 1 + before) / 7;
        week + i64::from(before <= 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &Format, at: &str, want: &str) {
        let mut out = Vec::new();
        format.write(crate::event::joda::parse_iso8601(at).unwrap(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want, "{format:?}");
    }

    #[test]
    fn joda_patterns() {
        let joda = |pattern: &str, want: &str| {
            check(&Format::joda(pattern, "en").unwrap(), "2013-01-02T03:04:05.678901Z", want);
        };
        joda("YYYY.MM.dd", "2013.01.02");
        joda("xxxx.ww", "2013.01");
        joda("EEE, d MMM yyyy", "Wed, 2 Jan 2013");
        joda("EEEE MMMM", "Wednesday January");
        joda("yy/M/d H:m:s", "13/1/2 3:4:5");
        joda("HH:mm:ss.SSS", "03:04:05.678");
        joda("S SS SSSSSS", "6 67 678000");
        joda("hh a", "03 AM");
        joda("KK kk", "03 03");
        joda("D DDD e", "2 002 3");
        joda("G C", "AD 20");
        joda("Z ZZ ZZZ z zzzz", "+0000 +00:00 UTC UTC Coordinated Universal Time");
        joda("'it''s' yyyy'T'", "it's 2013T");
        joda("日yyyy年", "日2013年");
        let midnight = |pattern: &str, want: &str| {
            check(&Format::joda(pattern, "en").unwrap(), "2012-12-31T00:00:00Z", want);
        };
        midnight("hh KK kk a", "12 00 24 AM");
        midnight("xxxx-'W'ww-e", "2013-W01-1");
        check(&Format::joda("EEEE d MMMM", "fr").unwrap(), "2013-08-14T00:00:00Z", "mercredi 14 août");
        check(&Format::joda("EEE MMM", "ja").unwrap(), "2013-08-14T00:00:00Z", "水 8月");
        for bad in ["", "yyyy-bb", "i", "yyyy-MM-ddTHH:mm"] {
            assert!(Format::joda(bad, "en").is_err(), "{bad}");
        }
    }

    #[test]
    fn java_patterns() {
        let java = |pattern: &str, want: &str| {
            check(&Format::java(pattern).unwrap(), "2021-08-11T15:04:05.678901234Z", want);
        };
        java("yyyy-MM-dd", "2021-08-11");
        java("YYYY-'W'ww", "2021-W32");
        java("uuuu-MM-dd'T'HH:mm:ss.SSSSSSSSSX", "2021-08-11T15:04:05.678901234Z");
        java("EEEE EEE EEEEE e", "Wednesday Wed W 3");
        java("MMMM MMM MMMMM L", "August Aug A 8");
        java("QQQ Q QQQQ", "Q3 3 3rd quarter");
        java("h a D n A", "3 PM 223 678901234 54245678");
        java("yy y", "21 2021");
        java("xxx Z VV O", "+00:00 +0000 Z GMT");
        java("'a''b' [HH]", "a'b 15");
        for bad in ["'open", "HHH", "T", "{", "#", "aa", "SSSSSSSSSS"] {
            assert!(Format::java(bad).is_err(), "{bad}");
        }
    }
}
