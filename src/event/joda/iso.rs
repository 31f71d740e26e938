//! ISO 8601 as Logstash's `Timestamp` writes and reads it. Nothing here allocates.

use super::civil::{civil_from_days, days_from_civil, days_in_month};
use super::zone::{Zone, offset};
use crate::event::Timestamp;

/// Writes `2013-01-02T03:04:05.678Z`, with three, six or nine decimals as needed.
pub fn write_iso8601(at: Timestamp, out: &mut Vec<u8>) {
    let (days, second) = (at.seconds().div_euclid(86_400), at.seconds().rem_euclid(86_400) as u32);
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    put2(&mut text, 5, month);
    put2(&mut text, 8, day);
    put2(&mut text, 11, second / 3600);
    put2(&mut text, 14, second / 60 % 60);
    put2(&mut text, 17, second % 60);
    let nanos = at.subsec_nanos();
    put3(&mut text, 20, nanos / 1_000_000);
    let mut end = 23;
    if !nanos.is_multiple_of(1_000_000) {
        put3(&mut text, 23, nanos / 1000 % 1000);
        end = 26;
        if !nanos.is_multiple_of(1000) {
            put3(&mut text, 26, nanos % 1000);
            end = 29;
        }
    }
    text[end] = b'Z';
    let mut from = 0;
    if let Ok(year @ 0..=9999) = u32::try_from(year) {
        put2(&mut text, 0, year / 100);
        put2(&mut text, 2, year % 100);
    } else {
        // Java signs years of more than four digits, and negative ones.
        out.push(if year < 0 { b'-' } else { b'+' });
        write_padded(year.unsigned_abs(), 4, out);
        from = 4;
    }
    out.extend_from_slice(&text[from..=end]);
}

fn put2(text: &mut [u8], at: usize, value: u32) {
    text[at] = b'0' + (value / 10) as u8;
    text[at + 1] = b'0' + (value % 10) as u8;
}

fn put3(text: &mut [u8], at: usize, value: u32) {
    text[at] = b'0' + (value / 100) as u8;
    put2(text, at + 1, value % 100);
}

/// Appends a number with leading zeros up to `width` digits.
pub(super) fn write_padded(value: u64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    out.extend(std::iter::repeat_n(b'0', width.saturating_sub(digits.len())));
    out.extend_from_slice(digits);
}

/// Reads what Logstash takes for an `@timestamp`: a date, perhaps `T` and a time, perhaps a zone
/// (`Z`, an offset with or without colons, or a name). Without one the system's zone counts.
pub fn parse_iso8601(text: &str) -> Option<Timestamp> {
    if let Some((local, nanos, rest)) = usual(text.as_bytes(), b".") {
        match rest {
            b"Z" => return Some(Timestamp::new(local, nanos)),
            [b'+' | b'-', ..] => return Some(Timestamp::new(local - i64::from(offset(rest)?), nanos)),
            _ => {}
        }
    }
    parse_other(text)
}

/// The usual shape, `2013-01-02T03:04:05` with or without a fraction: its second since 1970 as
/// if it were UTC, its nanoseconds, and what follows. `None` for any other shape and for days
/// that there are not.
#[inline]
pub(super) fn usual<'a>(text: &'a [u8], points: &[u8]) -> Option<(i64, u32, &'a [u8])> {
    let head: &[u8; 19] = text.first_chunk()?;
    if (head[4], head[7], head[10], head[13], head[16]) != (b'-', b'-', b'T', b':', b':') {
        return None;
    }
    let mut digits = true;
    let mut two = |at: usize| {
        let (a, b) = (head[at].wrapping_sub(b'0'), head[at + 1].wrapping_sub(b'0'));
        digits &= a < 10 && b < 10;
        u32::from(a) * 10 + u32::from(b)
    };
    let year = i64::from(two(0) * 100 + two(2));
    let (month, day, hour, minute, second) = (two(5), two(8), two(11), two(14), two(17));
    if !digits || !(1..=12).contains(&month) || day == 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day > 28 && day > days_in_month(year, month) {
        return None;
    }
    let local = days_from_civil(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    let mut rest = &text[19..];
    let mut nanos = 0;
    if let [point, more @ ..] = rest
        && points.contains(point)
    {
        let count = more.iter().take(9).take_while(|c| c.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        const UNITS: [u32; 10] = [0, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1];
        nanos = more[..count].iter().fold(0, |n, c| n * 10 + u32::from(c - b'0')) * UNITS[count];
        rest = &more[count..];
    }
    Some((local, nanos, rest))
}

fn parse_other(text: &str) -> Option<Timestamp> {
    let mut at = Cursor { text: text.as_bytes(), at: 0 };
    let (year, month, day) = at.date()?;
    let (mut days, mut second, mut nanos) = (days_from_civil(year, month, day), 0, 0);
    if at.eat(|c| c | 0x20 == b't') {
        (second, nanos) = at.time()?;
        if second == 86_400 {
            (days, second) = (days + 1, 0);
        }
    }
    let local = days * 86_400 + i64::from(second);
    let rest = at.rest();
    let seconds = if rest.is_empty() {
        Zone::system().lenient(local)?
    } else if let [b'Z' | b'z'] = rest {
        local
    } else if let Some(offset) = offset(rest) {
        local - i64::from(offset)
    } else {
        Zone::parse(std::str::from_utf8(rest).ok()?)?.lenient(local)?
    };
    Some(Timestamp::new(seconds, nanos))
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    fn eat(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.text.get(self.at).is_some_and(|&c| wanted(c));
        self.at += usize::from(found);
        found
    }

    fn two(&mut self) -> Option<u32> {
        let [a, b] = *self.text.get(self.at..self.at + 2)? else { return None };
        let (a, b) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
        self.at += 2;
        (a < 10 && b < 10).then_some(u32::from(a) * 10 + u32::from(b))
    }

    fn date(&mut self) -> Option<(i64, u32, u32)> {
        let year = match self.text.first()? {
            b'+' | b'-' => self.long_year()?,
            _ => i64::from(self.two()? * 100 + self.two()?),
        };
        if !self.eat(|c| c == b'-') {
            return None;
        }
        let month = self.two().filter(|month| (1..=12).contains(month))?;
        if !self.eat(|c| c == b'-') {
            return None;
        }
        let day = self.two().filter(|day| (1..=31).contains(day))?;
        // java.time's smart resolver takes the last day of a shorter month.
        Some((year, month, day.min(days_in_month(year, month))))
    }

    /// `+10000` or `-0005`: a sign and at least four digits, as java.time pads years.
    fn long_year(&mut self) -> Option<i64> {
        let digits = self.text[1..].iter().take_while(|c| c.is_ascii_digit()).count();
        if !(4..=9).contains(&digits) || (self.text[0] == b'+' && digits == 4) {
            return None;
        }
        self.at = 1 + digits;
        std::str::from_utf8(&self.text[..self.at]).ok()?.parse().ok()
    }

    /// The second of the day and the nanoseconds in it.
    fn time(&mut self) -> Option<(u32, u32)> {
        let hour = self.two().filter(|&hour| hour <= 24)?;
        if !self.eat(|c| c == b':') {
            return None;
        }
        let minute = self.two().filter(|&minute| minute < 60)?;
        let (mut second, mut nanos) = (0, 0);
        if self.eat(|c| c == b':') {
            second = self.two().filter(|&second| second < 60)?;
            if self.eat(|c| c == b'.') {
                let mut unit = 100_000_000;
                while let Some(digit) = self.rest().first().filter(|c| c.is_ascii_digit() && unit > 0) {
                    nanos += u32::from(digit - b'0') * unit;
                    unit /= 10;
                    self.at += 1;
                }
            }
        }
        if hour == 24 && (minute, second, nanos) != (0, 0, 0) {
            return None;
        }
        Some((hour * 3600 + minute * 60 + second, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(at: Timestamp) -> String {
        let mut out = Vec::new();
        write_iso8601(at, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_three_six_or_nine_decimals() {
        let check = |seconds, nanos, want: &str| assert_eq!(written(Timestamp::new(seconds, nanos)), want);
        check(0, 0, "1970-01-01T00:00:00.000Z");
        check(1_357_095_845, 678_000_000, "2013-01-02T03:04:05.678Z");
        check(1_357_095_845, 678_900_000, "2013-01-02T03:04:05.678900Z");
        check(1_357_095_845, 1, "2013-01-02T03:04:05.000000001Z");
        check(-1, 999_000_000, "1969-12-31T23:59:59.999Z");
        check(253_402_300_800, 0, "+10000-01-01T00:00:00.000Z");
        check(-62_167_219_201, 0, "-0001-12-31T23:59:59.000Z");
    }

    #[test]
    fn reads_what_logstash_reads() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(parse_iso8601(text).map(written).as_deref(), want, "{text}");
        };
        check("2013-01-02T03:04:05.678Z", Some("2013-01-02T03:04:05.678Z"));
        check("2013-01-02t03:04:05.678z", Some("2013-01-02T03:04:05.678Z"));
        check("2013-01-02T03:04:05.678901234Z", Some("2013-01-02T03:04:05.678901234Z"));
        check("2013-01-02T03:04Z", Some("2013-01-02T03:04:00.000Z"));
        check("2013-01-02Z", Some("2013-01-02T00:00:00.000Z"));
        check("2020-05-06T07:08:09.123+02:00", Some("2020-05-06T05:08:09.123Z"));
        check("2020-05-06T07:08:09.123-0230", Some("2020-05-06T09:38:09.123Z"));
        check("2020-05-06T07:08:09+02", Some("2020-05-06T05:08:09.000Z"));
        check("2020-02-31T00:00:00Z", Some("2020-02-29T00:00:00.000Z"));
        check("2020-05-06T24:00:00Z", Some("2020-05-07T00:00:00.000Z"));
        check("2020-05-06T07:08:09Europe/Paris", Some("2020-05-06T05:08:09.000Z"));
        check("+10000-01-01T00:00:00Z", Some("+10000-01-01T00:00:00.000Z"));
        check("-0001-12-31T23:59:59Z", Some("-0001-12-31T23:59:59.000Z"));
        for bad in ["", "yesterday", "2013", "2013-1-2", "2013-01-02T", "2013-13-01Z", "2013-01-32Z", "2013-00-01Z"] {
            check(bad, None);
        }
        for bad in
            ["2013-01-02T24:00:01Z", "2013-01-02T03:04:60Z", "2013-01-02T03:04:05+25:00", "2013-01-02T03:04:05Zz"]
        {
            check(bad, None);
        }
        check("2013-01-02 03:04:05Z", None);
        check("２013-01-02T03:04:05Z", None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(seconds in -60_000_000_000i64..250_000_000_000, nanos in 0u32..1_000_000_000) {
            let at = Timestamp::new(seconds, nanos);
            proptest::prop_assert_eq!(parse_iso8601(&written(at)), Some(at));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9TZ:+.-]{0,30}|.{0,30}") {
            let _ = parse_iso8601(&text);
        }
    }
}
