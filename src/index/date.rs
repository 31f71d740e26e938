//! Dates in strings, as Elasticsearch's dynamic `date_detection` and its default format
//! `strict_date_optional_time||epoch_millis` see them.

use crate::event::Timestamp;

/// Whether a string that came first in its field makes it a date field: the formats
/// `strict_date_optional_time` and `yyyy/MM/dd HH:mm:ss Z||yyyy/MM/dd Z`, but never a plain number.
pub fn detect(text: &str) -> Option<Timestamp> {
    if !text.contains(['-', '/']) {
        return None;
    }
    optional_time(text).or_else(|| slashed(text))
}

/// A string in a date field: as [`detect`], or milliseconds since 1970.
pub fn parse(text: &str) -> Option<Timestamp> {
    match optional_time(text) {
        Some(at) => Some(at),
        None if text.len() <= 18 && text.len() != 4 => text.parse().ok().map(Timestamp::from_millis),
        None => None,
    }
    .or_else(|| slashed(text))
}

/// `yyyy[-MM[-dd]]['T'HH[:mm[:ss[.fraction]]][zone]]`, every number in full width.
pub fn optional_time(text: &str) -> Option<Timestamp> {
    let mut at = Cursor { bytes: text.as_bytes() };
    let year = at.digits(4)? as i64;
    let (mut month, mut day) = (1, 1);
    if at.eat(b'-') {
        month = at.digits(2)?;
        if at.eat(b'-') {
            day = at.digits(2)?;
        }
    }
    let (mut seconds, mut nanos, mut zone) = (0, 0, 0);
    if at.eat(b'T') && !at.bytes.is_empty() {
        (seconds, nanos) = at.time()?;
        zone = at.zone()?;
    }
    at.bytes.is_empty().then_some(())?;
    stamp(year, month, day, seconds - zone, nanos)
}

/// `yyyy/MM/dd[ HH:mm:ss] Z`.
fn slashed(text: &str) -> Option<Timestamp> {
    let mut at = Cursor { bytes: text.as_bytes() };
    let year = at.digits(4)? as i64;
    at.expect(b'/')?;
    let month = at.digits(2)?;
    at.expect(b'/')?;
    let day = at.digits(2)?;
    at.expect(b' ')?;
    let (mut seconds, mut nanos) = (0, 0);
    if at.bytes.get(2) == Some(&b':') {
        (seconds, nanos) = at.time()?;
        at.expect(b' ')?;
    }
    let zone = at.zone()?;
    at.bytes.is_empty().then_some(())?;
    stamp(year, month, day, seconds - zone, nanos)
}

struct Cursor<'a> {
    bytes: &'a [u8],
}

impl Cursor<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let here = self.bytes.first() == Some(&byte);
        if here {
            self.bytes = &self.bytes[1..];
        }
        here
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eat(byte).then_some(())
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.bytes.get(..count)?;
        let mut number = 0;
        for digit in digits {
            number = number * 10 + digit.is_ascii_digit().then(|| (digit - b'0') as u32)?;
        }
        self.bytes = &self.bytes[count..];
        Some(number)
    }

    fn time(&mut self) -> Option<(i64, u32)> {
        let (hour, mut minute, mut second, mut nanos) = (self.digits(2)?, 0, 0, 0);
        if self.eat(b':') {
            minute = self.digits(2)?;
            if self.eat(b':') {
                second = self.digits(2)?;
                if self.eat(b'.') || self.eat(b',') {
                    nanos = self.fraction()?;
                }
            }
        }
        (hour < 24 && minute < 60 && second < 60).then_some(())?;
        Some(((hour * 3600 + minute * 60 + second) as i64, nanos))
    }

    fn fraction(&mut self) -> Option<u32> {
        let len = self.bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        (1..=9).contains(&len).then_some(())?;
        let number = self.digits(len)?;
        Some(number * 10u32.pow(9 - len as u32))
    }

    /// Seconds east of UTC; none is UTC.
    fn zone(&mut self) -> Option<i64> {
        if self.bytes.is_empty() || self.eat(b'Z') {
            return Some(0);
        }
        let sign = match (self.eat(b'+'), self.eat(b'-')) {
            (true, false) => 1,
            (false, true) => -1,
            _ => return None,
        };
        let hour = self.digits(2)?;
        let minute = if self.eat(b':') || !self.bytes.is_empty() { self.digits(2)? } else { 0 };
        (hour <= 18 && minute < 60).then_some(sign * (hour * 3600 + minute * 60) as i64)
    }
}

fn stamp(year: i64, month: u32, day: u32, seconds: i64, nanos: u32) -> Option<Timestamp> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, 28 + leap as u32, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let last = *days.get((month as usize).checked_sub(1)?)?;
    (1..=last).contains(&day).then_some(())?;
    // Days since 1970, counting years from March so that the leap day comes last.
    let y = year - (month <= 2) as i64;
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month as i64 + 9) % 12) + 2) / 5 + day as i64 - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(Timestamp::new(days * 86_400 + seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_those_of_elasticsearch() {
        let check = |text: &str, want: Option<i64>| assert_eq!(detect(text).map(Timestamp::millis), want, "{text}");
        check("2015-01-02", Some(1_420_156_800_000));
        check("2015-01", Some(1_420_070_400_000));
        check("2015-01-02T03:04:05.678Z", Some(1_420_167_845_678));
        check("2015-01-02T03:04:05,678+09:00", Some(1_420_135_445_678));
        check("2015-01-02T03:04:05.678901234-0130", Some(1_420_173_245_678));
        check("2015-01-02T03", Some(1_420_167_600_000));
        check("2015-01-02T03:04Z", Some(1_420_167_840_000));
        check("2015-01-02T", Some(1_420_156_800_000));
        check("2015/01/02 03:04:05 +0000", Some(1_420_167_845_000));
        check("2015/01/02 Z", Some(1_420_156_800_000));
        for no in ["2015", "20150102", "2015-1-2", "2015-13-01", "2015-02-29", "2015-01-02 03:04:05", "12-34", ""] {
            check(no, None);
        }
        check("2015-01-02T25:00", None);
        check("2015-01-02x", None);
    }

    #[test]
    fn date_fields_take_milliseconds_too() {
        let check = |text: &str, want: Option<i64>| assert_eq!(parse(text).map(Timestamp::millis), want, "{text}");
        check("1420167845678", Some(1_420_167_845_678));
        check("2015", Some(1_420_070_400_000));
        check("-5", Some(-5));
        check("soon", None);
    }

    proptest! {
        #[test]
        fn every_second_is_found_again(seconds in -2_208_988_800i64..4_102_444_800) {
            let at = Timestamp::new(seconds, 0);
            let text = format!("{}Z", at.utc().unwrap().datetime());
            prop_assert_eq!(optional_time(&text), Some(at), "{}", text);
        }

        #[test]
        fn any_text_is_read_without_panic(text in "[0-9T:.,/+Z -]{0,30}") {
            let _ = (detect(&text), parse(&text));
        }
    }
}
