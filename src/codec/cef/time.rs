//! The times of CEF: milliseconds since 1970, or `Jun 17 2027 17:57:06.456 -07:00` with year,
//! fraction and zone left out at will.

use crate::event::Timestamp;
use crate::event::joda::{Format, Zone};

const DAY: i64 = 86_400;

/// How times are read.
pub(super) struct Times {
    /// The zone of times without one.
    pub(super) zone: Zone,
    /// The language of month names.
    pub(super) locale: String,
}

impl Times {
    /// The time that `text` says, in the device's zone where it names none. A year that is
    /// missing is the one that makes the time recent, as seen from `now`.
    pub(super) fn read(&self, text: &str, zone: Option<&str>, now: Timestamp) -> Option<Timestamp> {
        if let Some(at) = millis(text) {
            return Some(at);
        }
        let zone = match zone {
            Some(id) => named(id)?,
            None => self.zone.clone(),
        };
        // Month, day, perhaps year, time, perhaps zone.
        let mut words = text.split(' ');
        let (month, day) = (words.next()?, words.next().filter(|d| d.len() == 2)?);
        let mut time = words.next()?;
        let mut year = None;
        if time.len() == 4 && time.bytes().all(|b| b.is_ascii_digit()) {
            year = Some(time.parse::<i64>().ok()?);
            time = words.next()?;
        }
        let zone = match words.next() {
            Some(id) => named(id)?,
            None => zone,
        };
        let (time, fraction) = time.split_once('.').map_or((time, None), |(time, fraction)| (time, Some(fraction)));
        let nanos = match fraction {
            None => 0,
            Some(digits) if matches!(digits.len(), 3 | 6 | 9) && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<u32>().ok()? * 10u32.pow(9 - digits.len() as u32)
            }
            Some(_) => return None,
        };
        if words.next().is_some() || time.len() != 8 {
            return None;
        }
        let format = Format::joda("yyyy MMM dd HH:mm:ss", &self.locale).ok()?;
        let in_year = |year: i64| {
            let at = format.parse(&format!("{year} {month} {day} {time}"), &zone, now)?;
            Some(Timestamp::new(at.seconds(), nanos))
        };
        match year {
            Some(year) => in_year(year),
            None => recent(in_year, now),
        }
    }
}

/// In the year that makes it recent: this one, the one before where it were more than two days
/// ahead, or in December the next where it is less ahead.
fn recent(in_year: impl Fn(i64) -> Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let today = now.utc()?;
    let year = i64::from(today.year());
    let soon = now.seconds() + 2 * DAY;
    // The 29th of February is there in leap years only.
    let this = in_year(year);
    if this.is_none_or(|at| at.seconds() > soon) {
        return in_year(year - 1).or(this);
    }
    match in_year(year + 1) {
        Some(next) if today.month() == 12 && next.seconds() <= soon => Some(next),
        _ => this,
    }
}

/// Milliseconds since 1970, perhaps with a fraction.
fn millis(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.starts_with('0') || !digits(whole) || !digits(fraction) || text.ends_with('.') {
        return None;
    }
    let at = Timestamp::from_millis(whole.parse().ok()?);
    let fraction: u32 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Some(Timestamp::new(at.seconds(), at.subsec_nanos() + fraction))
}

/// A zone by its id, its offset or one of the usual short names.
fn named(id: &str) -> Option<Zone> {
    let offset = match id {
        "Z" | "UTC" | "GMT" => "+00:00",
        "EDT" => "-04:00",
        "EST" | "CDT" => "-05:00",
        "CST" | "MDT" => "-06:00",
        "MST" | "PDT" => "-07:00",
        "PST" => "-08:00",
        "CET" => "+01:00",
        "CEST" => "+02:00",
        "JST" => "+09:00",
        id => id.trim_start_matches("UTC").trim_start_matches("GMT"),
    };
    Zone::parse(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::joda::{parse_iso8601, write_iso8601};

    fn check(now: &str, text: &str, zone: Option<&str>, want: Option<&str>) {
        let times = Times { zone: Zone::UTC, locale: "en".to_owned() };
        let read = times.read(text, zone, parse_iso8601(now).unwrap()).map(|at| {
            let mut out = Vec::new();
            write_iso8601(at, &mut out);
            String::from_utf8(out).unwrap()
        });
        assert_eq!(read.as_deref(), want, "{text}");
    }

    #[test]
    fn times_of_all_forms() {
        let check = |text: &str, zone, want| check("2027-06-17T00:00:00Z", text, zone, want);
        check("1616623591694", None, Some("2021-03-24T22:06:31.694Z"));
        check("1616623591694.176789", None, Some("2021-03-24T22:06:31.694176789Z"));
        check("Jun 17 2027 17:57:06.456", None, Some("2027-06-17T17:57:06.456Z"));
        check("Jun 17 2027 17:57:06.456", Some("America/New_York"), Some("2027-06-17T21:57:06.456Z"));
        check("Jun 17 2027 17:57:06.456 -07:00", Some("America/New_York"), Some("2027-06-18T00:57:06.456Z"));
        check("Mar 17 2021 12:34:56.987654321", None, Some("2021-03-17T12:34:56.987654321Z"));
        check("Mar 17 2021 12:34:56 PDT", None, Some("2021-03-17T19:34:56.000Z"));
        check("Mar 17 2021 12:34:56.98", None, None);
        check("Last Thursday", None, None);
    }

    #[test]
    fn a_year_that_is_missing_is_a_recent_one() {
        let check = |now: &str, text: &str, want: &str| check(now, text, None, Some(want));
        check("2021-05-12T00:00:00Z", "May 11 10:00:00", "2021-05-11T10:00:00.000Z");
        check("2021-05-12T00:00:00Z", "May 13 10:00:00", "2021-05-13T10:00:00.000Z");
        check("2021-05-12T00:00:00Z", "May 15 10:00:00", "2020-05-15T10:00:00.000Z");
        check("2020-12-31T23:53:08Z", "Jan 01 00:00:08", "2021-01-01T00:00:08.000Z");
        check("2020-12-31T23:53:08Z", "Jan 17 00:00:08", "2020-01-17T00:00:08.000Z");
    }
}
