//! Reading a text with a compiled pattern: bytes become fields, as Joda's formatters do it.

use super::names::Names;
use super::pattern::{Field, Format, Op};
use super::resolve::Fields;
use super::zone::Zone;
use crate::event::Timestamp;

impl Format {
    /// Reads all of `text`. A text without a zone is a local time in `zone`; one without a year
    /// gets the one that the date filter of Logstash guesses from `now`.
    pub fn parse(&self, text: &str, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
        self.parse_noting(text, zone, now, &mut None)
    }

    /// The same; says where the second stands, if it has two digits.
    #[inline]
    pub(super) fn parse_noting(
        &self,
        text: &str,
        zone: &Zone,
        now: Timestamp,
        second: &mut Option<usize>,
    ) -> Option<Timestamp> {
        let mut fields = Fields::default();
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        for op in &self.ops {
            let at = reader.at;
            reader.read(op, &mut fields, self.names, now)?;
            if matches!(op, Op::Number { field: Field::Second, .. })
                && reader.at == at + 2
                && text.as_bytes()[at].is_ascii_digit()
            {
                *second = Some(at);
            }
        }
        if reader.at < text.len() {
            return None;
        }
        if self.has_year { fields.instant(zone, now) } else { fields.guessed(zone, self.has_zone, now) }
    }
}

/// A text and how far it is read.
pub(super) struct Reader<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    #[inline]
    fn read(&mut self, op: &Op, fields: &mut Fields, names: &Names, now: Timestamp) -> Option<()> {
        match op {
            Op::Literal(literal) => self.literal(literal),
            &Op::Number { field, max, signed, .. } => {
                let value = self.number(max.into(), signed)?;
                fields.set(field, value);
                Some(())
            }
            &Op::TwoDigitYear { field, lenient } => self.two_digit_year(field, lenient, fields, now),
            &Op::Text { field, .. } => {
                let (value, len) = names.find(field, self.rest())?;
                fields.set(field, value.into());
                self.at += len;
                Some(())
            }
            &Op::Fraction { digits, .. } => {
                let nanos = self.fraction(digits.into())?;
                fields.set(Field::SecondFraction, nanos);
                Some(())
            }
            Op::Offset { .. } => {
                fields.offset = Some(self.offset()?);
                Some(())
            }
            Op::ZoneId => {
                fields.zone = Some(self.zone_id()?);
                Some(())
            }
            Op::ZoneName { .. } => {
                fields.zone = Some(self.zone_name()?);
                Some(())
            }
            // Only java.time's patterns have it, and they are only written with.
            Op::SignedYear { .. } => None,
        }
    }

    #[inline]
    fn literal(&mut self, literal: &str) -> Option<()> {
        // Nearly all are one character: no call to compare memory.
        let there = match literal.as_bytes() {
            [byte] => self.text.get(self.at) == Some(byte),
            bytes => self.rest().starts_with(bytes),
        };
        if !there {
            return self.literal_any_case(literal);
        }
        self.at += literal.len();
        Some(())
    }

    #[cold]
    fn literal_any_case(&mut self, literal: &str) -> Option<()> {
        // The reader stands at a boundary of characters: all steps move by whole ones.
        let rest = std::str::from_utf8(self.rest()).ok()?;
        let mut chars = rest.chars();
        for wanted in literal.chars() {
            let found = chars.next()?;
            if wanted != found && !wanted.to_lowercase().eq(found.to_lowercase()) {
                return None;
            }
        }
        self.at += rest.len() - chars.as_str().len();
        Some(())
    }

    /// Up to `max` digits; a sign does not count.
    #[inline]
    pub(super) fn number(&mut self, max: usize, signed: bool) -> Option<i64> {
        let rest = self.rest();
        let sign = usize::from(signed && rest.len() > 1 && matches!(rest[0], b'+' | b'-') && rest[1].is_ascii_digit());
        let mut value = 0i64;
        let mut len = sign;
        // Joda's values are ints: more than nine digits never fit in it.
        for &c in rest[sign..].iter().take(max.min(18)) {
            let digit = c.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value * 10 + i64::from(digit);
            len += 1;
        }
        if len == sign || value > i64::from(i32::MAX) {
            return None;
        }
        self.at += len;
        Some(if sign == 1 && rest[0] == b'-' { -value } else { value })
    }

    /// Up to `max` digits behind a decimal point, in nanoseconds.
    #[inline]
    pub(super) fn fraction(&mut self, max: usize) -> Option<i64> {
        let (mut value, mut unit, mut len) = (0, 100_000_000, 0);
        for &c in self.rest().iter().take(max) {
            let digit = c.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value += i64::from(digit) * unit;
            unit /= 10;
            len += 1;
        }
        self.at += len;
        (len > 0).then_some(value)
    }

    fn two_digit_year(&mut self, field: Field, lenient: bool, fields: &mut Fields, now: Timestamp) -> Option<()> {
        let rest = self.rest();
        if lenient {
            let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
            let digits = rest[sign..].iter().take_while(|c| c.is_ascii_digit()).count();
            if sign == 1 || digits != 2 {
                let value = self.number(18, true)?;
                fields.set(field, value);
                return Some(());
            }
        }
        let [a, b] = *rest.get(..2)? else { return None };
        if !a.is_ascii_digit() || !b.is_ascii_digit() {
            return None;
        }
        let year = i64::from(a - b'0') * 10 + i64::from(b - b'0');
        // From 80 years ago to 20 years ahead.
        let low = super::resolve::local_year_month(now).0 - 80;
        let turn = low.rem_euclid(100);
        fields.set(field, year + low - turn + if year < turn { 100 } else { 0 });
        self.at += 2;
        Some(())
    }

    /// `Z`, `+01`, `+0130`, `+01:30`, with seconds and milliseconds too; in milliseconds.
    #[inline]
    pub(super) fn offset(&mut self) -> Option<i32> {
        let rest = self.rest();
        let sign = match rest.first()? {
            b'Z' | b'z' => {
                self.at += 1;
                return Some(0);
            }
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let mut millis = two_digits(rest, 1, 23)? * 3_600_000;
        let mut len = 3;
        let colon = rest.get(3) == Some(&b':');
        for unit in [60_000, 1000] {
            // With colons a part is asked for as soon as there is one; without, by its digits.
            if colon && rest.get(len) == Some(&b':') {
                len += 1;
            } else if colon || !rest.get(len).is_some_and(u8::is_ascii_digit) {
                self.at += len;
                return Some(sign * millis);
            }
            millis += two_digits(rest, len, 59)? * unit;
            len += 2;
        }
        if colon && matches!(rest.get(len), Some(b'.' | b',')) {
            len += 1;
            rest.get(len).filter(|c| c.is_ascii_digit())?;
        } else if colon {
            self.at += len;
            return Some(sign * millis);
        }
        for unit in [100, 10, 1] {
            let Some(digit) = rest.get(len).filter(|c| c.is_ascii_digit()) else { break };
            millis += i32::from(digit - b'0') * unit;
            len += 1;
        }
        self.at += len;
        Some(sign * millis)
    }

    /// The longest name of a zone that comes next.
    fn zone_id(&mut self) -> Option<Zone> {
        let rest = self.rest();
        let name = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'/' | b'_' | b'-' | b'+');
        // No zone's name is longer than 40 bytes.
        let longest = rest.iter().take(40).take_while(|c| name(c)).count();
        for len in (1..=longest).rev() {
            let id = std::str::from_utf8(&rest[..len]).ok()?;
            // Offsets are no names of zones.
            if let Some(zone) = Zone::parse(id).filter(|_| id.as_bytes()[0].is_ascii_alphabetic() && id != "Z") {
                self.at += len;
                return Some(zone);
            }
        }
        None
    }

    /// The names that Joda knows: those of the United States, and UTC's.
    fn zone_name(&mut self) -> Option<Zone> {
        const NAMES: [(&str, &str); 11] = [
            ("UTC", "UTC"),
            ("UT", "UTC"),
            ("GMT", "UTC"),
            ("EST", "America/New_York"),
            ("EDT", "America/New_York"),
            ("CST", "America/Chicago"),
            ("CDT", "America/Chicago"),
            ("MST", "America/Denver"),
            ("MDT", "America/Denver"),
            ("PST", "America/Los_Angeles"),
            ("PDT", "America/Los_Angeles"),
        ];
        let (name, id) = NAMES.iter().find(|(name, _)| self.rest().starts_with(name.as_bytes()))?;
        self.at += name.len();
        Zone::parse(id)
    }
}

fn two_digits(text: &[u8], at: usize, most: i32) -> Option<i32> {
    let [a, b] = *text.get(at..at + 2)? else { return None };
    let value = i32::from(a.wrapping_sub(b'0')) * 10 + i32::from(b.wrapping_sub(b'0'));
    (a.is_ascii_digit() && b.is_ascii_digit() && value <= most).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::joda::{parse_casual, parse_iso8601, write_iso8601};
    use proptest::prelude::*;

    const NOW: &str = "2016-06-15T12:00:00Z";

    fn check_in(zone: &str, now: &str, locale: &str, pattern: &str, text: &str, want: Option<&str>) {
        let (zone, now) = (Zone::parse(zone).unwrap(), parse_iso8601(now).unwrap());
        let at = match pattern {
            "ISO8601" => parse_casual(text, &zone, now),
            _ => Format::joda(pattern, locale).unwrap().parse(text, &zone, now),
        };
        let at = at.map(|at| {
            let mut out = Vec::new();
            write_iso8601(at, &mut out);
            String::from_utf8(out).unwrap()
        });
        assert_eq!(at.as_deref(), want, "{text} with {pattern}");
    }

    fn check(pattern: &str, text: &str, want: Option<&str>) {
        check_in("UTC", NOW, "en", pattern, text, want);
    }

    #[test]
    fn common_patterns() {
        let http = "dd/MMM/yyyy:HH:mm:ss Z";
        check(http, "25/Mar/2013:20:33:56 +0000", Some("2013-03-25T20:33:56.000Z"));
        check(http, "25/Mar/2013:20:33:56 -0730", Some("2013-03-26T04:03:56.000Z"));
        check(http, "25/mar/2013:20:33:56 Z", Some("2013-03-25T20:33:56.000Z"));
        check(http, "25/mAr/2013:20:33:56 Z", None);
        check(http, "31/Feb/2013:20:33:56 +0000", None);
        check(http, "25/Mar/2013:24:33:56 +0000", None);
        check(http, "25/Mar/2013:20:33:56 +0000 ", None);
        check(http, "", None);
        check("yyyy-MM-dd HH:mm:ss.SSS Z", "2020-02-29 12:00:00.25 +0130", Some("2020-02-29T10:30:00.250Z"));
        check("yyyy-MM-dd HH:mm:ss.SSSSSS", "2020-02-29 12:00:00.123456", Some("2020-02-29T12:00:00.123456Z"));
        check("MM/dd/yyyy hh:mm:ss a", "12/31/2019 11:59:59 PM", Some("2019-12-31T23:59:59.000Z"));
        check("MM/dd/yyyy hh:mm:ss a", "12/31/2019 12:00:00 am", Some("2019-12-31T00:00:00.000Z"));
        check("MM/dd/yyyy KK:mm a", "12/31/2019 0:30 PM", Some("2019-12-31T12:30:00.000Z"));
        check("yyyyDDD", "2020060", Some("2020-02-29T00:00:00.000Z"));
        check("yyyyMMddHHmmssSSS", "20200229235958123", Some("2020-02-29T23:59:58.123Z"));
        check("yyMMdd", "700101", Some("1970-01-01T00:00:00.000Z"));
        check("yy-MM-dd", "16-01-01", Some("2016-01-01T00:00:00.000Z"));
        check("yy-MM-dd", "2016-01-01", Some("2016-01-01T00:00:00.000Z"));
        // Only `y` and `Y` are years to the date filter: it guesses one here too.
        check("xxxx-'W'ww-e", "2013-W01-1", Some("2016-12-31T00:00:00.000Z"));
        check("yyyy-MM-dd'T'HH:mm:ssZZ", "2013-01-02t03:04:05-08:00", Some("2013-01-02T11:04:05.000Z"));
        check("yyyy-MM-dd HH:mm ZZZ", "2013-07-02 03:04 Europe/Berlin", Some("2013-07-02T01:04:00.000Z"));
        check("yyyy-MM-dd HH:mm z", "2013-07-02 03:04 EST", Some("2013-07-02T07:04:00.000Z"));
        check("HH:mm", "23:59", Some("2016-01-01T23:59:00.000Z"));
        check("YYYY GG", "0044 BC", Some("-0044-01-01T00:00:00.000Z"));
    }

    #[test]
    fn a_weekday_moves_the_date_within_its_week() {
        check("EEE MMM dd HH:mm:ss yyyy", "Wed Jan 02 03:04:05 2013", Some("2013-01-02T03:04:05.000Z"));
        check("EEE MMM dd HH:mm:ss yyyy", "Mon Jan 02 03:04:05 2013", Some("2012-12-31T03:04:05.000Z"));
        check("EEEE, dd MMMM yyyy", "Wednesday, 02 January 2013", Some("2013-01-02T00:00:00.000Z"));
    }

    #[test]
    fn the_year_is_guessed() {
        let guess = |now: &str, text: &str, want: Option<&str>| {
            check_in("UTC", now, "en", "MMM d HH:mm:ss", text, want);
        };
        guess(NOW, "Mar 1 10:00:00", Some("2016-03-01T10:00:00.000Z"));
        guess("2016-01-01T00:00:00Z", "Dec 31 23:59:59", Some("2015-12-31T23:59:59.000Z"));
        guess("2016-12-31T23:59:59Z", "Jan 1 00:00:00", Some("2017-01-01T00:00:00.000Z"));
        guess("2015-06-01T00:00:00Z", "Feb 29 00:00:00", None);
        check("MMM  d HH:mm:ss", "Mar  1 10:00:00", Some("2016-03-01T10:00:00.000Z"));
        check_in("CET", NOW, "en", "MMM dd HH:mm:ss", "Mar 27 02:00:01", None);
        check_in("CET", NOW, "en", "MMM dd HH:mm:ss", "Mar 26 02:00:37", Some("2016-03-26T01:00:37.000Z"));
        check_in("UTC", NOW, "en", "MMM dd HH:mm:ss Z", "Mar 26 02:00:37 +0200", Some("2016-03-26T00:00:37.000Z"));
    }

    #[test]
    fn zones_and_their_gaps() {
        let pattern = "yyyy MMM dd HH:mm:ss";
        let check = |zone, text, want| check_in(zone, NOW, "en", pattern, text, want);
        check("America/Los_Angeles", "2013 Nov 24 01:29:01", Some("2013-11-24T09:29:01.000Z"));
        check("America/Los_Angeles", "2013 Jun 24 01:29:01", Some("2013-06-24T08:29:01.000Z"));
        check("CET", "2016 Mar 27 01:59:59", Some("2016-03-27T00:59:59.000Z"));
        check("CET", "2016 Mar 27 02:00:01", None);
        check("CET", "2016 Mar 27 03:00:01", Some("2016-03-27T01:00:01.000Z"));
        check("America/Los_Angeles", "2013 Mar 10 02:30:00", None);
        check("America/Los_Angeles", "2013 Nov 03 01:30:00", Some("2013-11-03T08:30:00.000Z"));
    }

    #[test]
    fn locales() {
        let check = |locale, pattern, text, want| check_in("UTC", NOW, locale, pattern, text, want);
        check("fr", "dd MMMM yyyy", "14 juillet 1789", Some("1789-07-14T00:00:00.000Z"));
        check("fr-FR", "dd MMMM yyyy", "14 JUILLET 1789", Some("1789-07-14T00:00:00.000Z"));
        check("de", "dd. MMM yyyy", "03. Okt 1990", Some("1990-10-03T00:00:00.000Z"));
        check("de", "dd. MMM yyyy", "03. Okt. 1990", Some("1990-10-03T00:00:00.000Z"));
        check("ja", "yyyy'年'MMMd'日'", "2013年12月31日", Some("2013-12-31T00:00:00.000Z"));
    }

    #[test]
    fn casual_iso8601() {
        let check = |text, want| check("ISO8601", text, want);
        check("2001-01-01T00:00:00-0800", Some("2001-01-01T08:00:00.000Z"));
        check("2004-07-04T12:27:27.123-04:00", Some("2004-07-04T16:27:27.123Z"));
        check("2001-12-07T23:54:54,123Z", Some("2001-12-07T23:54:54.123Z"));
        check("2001-11-06 20:45:45.123-0000", Some("2001-11-06T20:45:45.123Z"));
        check("2001-11-06 20:45:45,123", Some("2001-11-06T20:45:45.123Z"));
        check("2001-11-06 20:45:45", None);
        check("2001-11-06T20:45", Some("2001-11-06T20:45:00.000Z"));
        check("2001-11-06T20,5", Some("2001-11-06T20:30:00.000Z"));
        check("2001-11-06T20:45.25Z", Some("2001-11-06T20:45:15.000Z"));
        check("2001-11-06T+02:00", Some("2001-11-05T22:00:00.000Z"));
        check("2001-11-06", Some("2001-11-06T00:00:00.000Z"));
        check("2001", Some("2001-01-01T00:00:00.000Z"));
        check("2001-045", Some("2001-02-14T00:00:00.000Z"));
        check("2004-W53-6", Some("2005-01-01T00:00:00.000Z"));
        check("T10:30Z", Some("1970-01-01T10:30:00.000Z"));
        check("2001-11-06T20:45:45.", None);
        check("2001-13-06", None);
        check("yesterday", None);
    }

    /// Patterns that name one second of one day, so that reading undoes writing.
    const WHOLE: &[&str] = &[
        "dd/MMM/yyyy:HH:mm:ss Z",
        "yyyy-MM-dd'T'HH:mm:ssZZ",
        "EEE, d MMMM yyyy HH:mm:ss Z",
        "EEEE d.M.y H:m:s Z",
        "xxxx-'W'ww-e kk:mm:ss Z",
        "yyyy-DDD hh:mm:ss a Z",
        "a KK mm ss D yyyy ZZZ",
        "yyyyMMddHHmmss'Z'",
        "YYYY G MMM dd HH:mm:ss z",
    ];

    proptest! {
        #[test]
        fn what_is_written_is_read(
            pattern in prop::sample::select(WHOLE),
            locale in prop::sample::select(&["en", "de", "fr", "ja", "ru", "pt"][..]),
            seconds in -62_135_596_800i64..250_000_000_000,
        ) {
            let (format, at) = (Format::joda(pattern, locale).unwrap(), Timestamp::new(seconds, 0));
            let mut text = Vec::new();
            format.write(at, &mut text);
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(format.parse(&text, &Zone::UTC, at), Some(at), "{}", text);
        }

        #[test]
        fn no_pattern_and_no_text_makes_it_panic(pattern in "[a-zA-Z' :/.é-]{1,12}", text in "[0-9A-Za-zé :+/-]{0,24}") {
            if let Ok(format) = Format::joda(&pattern, "en") {
                let _ = format.parse(&text, Zone::system(), Timestamp::new(1_466_000_000, 0));
                format.write(Timestamp::new(-70_000_000_000, 5), &mut Vec::new());
            }
            if let Ok(format) = Format::java(&pattern) {
                format.write(Timestamp::new(-70_000_000_000, 5), &mut Vec::new());
            }
            let _ = parse_casual(&text, &Zone::UTC, Timestamp::new(0, 0));
        }
    }
}
