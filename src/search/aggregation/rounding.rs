//! Time cut into units: fixed lengths or calendar units, in a zone, shifted by an offset.
//!
//! Follows Elasticsearch 7.10's `Rounding`: keys are UTC milliseconds of the local start; days
//! have 23 and 25 hours where clocks change; fixed intervals count local time, so that multiples
//! of a day begin at midnight of the zone.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Unit, ZonedDateTime, ZonedDateTimeRound};

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Calendar {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
    /// A quarter of a year.
    Quarter,
    /// A year.
    Year,
}

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interval {
    /// So many milliseconds.
    Fixed(i64),
    /// One unit.
    Calendar(Calendar),
}

/// A cut of time.
#[derive(Clone, Debug)]
pub struct Rounding {
    interval: Interval,
    zone: TimeZone,
    /// The zone is always this far from UTC.
    fixed_ms: Option<i64>,
    offset_ms: i64,
}

/// The bucket that was found last: log lines come in the order of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Last {
    start: i64,
    end: i64,
}

impl Rounding {
    /// A cut; the offset shifts all its starts.
    pub fn new(interval: Interval, zone: TimeZone, offset_ms: i64) -> Rounding {
        let fixed_ms = zone.to_fixed_offset().ok().map(|offset| i64::from(offset.seconds()) * 1000);
        Rounding { interval, zone, fixed_ms, offset_ms }
    }

    /// The zone.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The start of the bucket that `ms` lies in; `last` speeds up neighbours.
    #[inline]
    pub fn round(&self, ms: i64, last: &mut Last) -> i64 {
        if let (Interval::Fixed(length), Some(zone_ms)) = (self.interval, self.fixed_ms) {
            let shift = zone_ms - self.offset_ms;
            return (ms + shift).div_euclid(length) * length - shift;
        }
        if !(last.start..last.end).contains(&ms) {
            let start = self.start(ms - self.offset_ms) + self.offset_ms;
            *last = Last { start, end: self.next(start) };
        }
        last.start
    }

    /// The start of the bucket behind the one that starts at `start`.
    pub fn next(&self, start: i64) -> i64 {
        let plain = start - self.offset_ms;
        let next = match self.interval {
            Interval::Fixed(length) if self.fixed_ms.is_some() => plain + length,
            Interval::Fixed(length) => {
                // Where a clock change makes the bucket longer, a step stays inside it.
                let mut next = self.start(plain + length);
                let mut reach = length;
                while next <= plain {
                    reach += length.min(3_600_000);
                    next = self.start(plain + reach);
                }
                next
            }
            Interval::Calendar(unit) => {
                let span = match unit {
                    Calendar::Minute => 1.minute(),
                    Calendar::Hour => 1.hour(),
                    Calendar::Day => 1.day(),
                    Calendar::Week => 1.week(),
                    Calendar::Month => 1.month(),
                    Calendar::Quarter => 3.months(),
                    Calendar::Year => 1.year(),
                };
                match self.zoned(plain).checked_add(span) {
                    Ok(next) => next.timestamp().as_millisecond().max(plain + 1),
                    Err(_) => i64::MAX - self.offset_ms.max(0),
                }
            }
        };
        next + self.offset_ms
    }

    fn zoned(&self, ms: i64) -> ZonedDateTime {
        let clamped =
            ms.clamp(Timestamp::MIN.as_millisecond() + 86_400_000, Timestamp::MAX.as_millisecond() - 86_400_000);
        Timestamp::from_millisecond(clamped).unwrap_or_default().to_zoned_datetime(self.zone.clone())
    }

    /// The start of the bucket, offset aside.
    fn start(&self, ms: i64) -> i64 {
        let at = self.zoned(ms);
        match self.interval {
            Interval::Fixed(length) => {
                let shift = i64::from(at.offset().seconds()) * 1000;
                let local = (ms + shift).div_euclid(length) * length;
                // The offset may have been another one at the start.
                let then = i64::from(self.zoned(local - shift).offset().seconds()) * 1000;
                let start = local - then;
                if start <= ms { start } else { local - shift }
            }
            Interval::Calendar(unit) => calendar_start(&at, unit).map_or(ms, |z| z.timestamp().as_millisecond()),
        }
    }
}

fn calendar_start(at: &ZonedDateTime, unit: Calendar) -> Option<ZonedDateTime> {
    let day = at.date();
    let date = match unit {
        Calendar::Minute => {
            return at.round(ZonedDateTimeRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Floor)).ok();
        }
        Calendar::Hour => {
            return at.round(ZonedDateTimeRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Floor)).ok();
        }
        Calendar::Day => day,
        Calendar::Week => day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).ok()?,
        Calendar::Month => day.first_of_month(),
        Calendar::Quarter => jiff::civil::Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).ok()?,
        Calendar::Year => day.first_of_year(),
    };
    date.to_zoned_datetime(at.time_zone().clone()).ok()
}

/// Milliseconds of `30s`, `1.5h`, `90m`, `1d`; none where it is no time value.
pub fn duration_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..split].trim().parse().ok()?;
    let unit = match &text[split..] {
        "ms" => 1.0,
        "s" => 1000.0,
        "m" => 60_000.0,
        "h" | "H" => 3_600_000.0,
        "d" => 86_400_000.0,
        "micros" => 0.001,
        "nanos" => 0.000_001,
        _ => return None,
    };
    Some((number * unit) as i64)
}

/// The unit that a `calendar_interval` names.
pub fn calendar(text: &str) -> Option<Calendar> {
    Some(match text {
        "minute" | "1m" => Calendar::Minute,
        "hour" | "1h" => Calendar::Hour,
        "day" | "1d" => Calendar::Day,
        "week" | "1w" => Calendar::Week,
        "month" | "1M" => Calendar::Month,
        "quarter" | "1q" => Calendar::Quarter,
        "year" | "1y" => Calendar::Year,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn check(interval: Interval, zone: &str, offset_ms: i64, at: &str, start: &str, next: &str) {
        let rounding = Rounding::new(interval, crate::search::date_math::zone(zone).unwrap(), offset_ms);
        let found = rounding.round(ms(at), &mut Last::default());
        assert_eq!(Timestamp::from_millisecond(found).unwrap(), start.parse().unwrap(), "{interval:?} {zone} {at}");
        let behind = rounding.next(found);
        assert_eq!(Timestamp::from_millisecond(behind).unwrap(), next.parse().unwrap(), "{interval:?} {zone} next");
    }

    #[test]
    fn units() {
        use Calendar::*;
        let at = "2024-05-15T13:14:15Z";
        let calendar = |unit, start, next| check(Interval::Calendar(unit), "UTC", 0, at, start, next);
        calendar(Minute, "2024-05-15T13:14:00Z", "2024-05-15T13:15:00Z");
        calendar(Hour, "2024-05-15T13:00:00Z", "2024-05-15T14:00:00Z");
        calendar(Day, "2024-05-15T00:00:00Z", "2024-05-16T00:00:00Z");
        calendar(Week, "2024-05-13T00:00:00Z", "2024-05-20T00:00:00Z");
        calendar(Month, "2024-05-01T00:00:00Z", "2024-06-01T00:00:00Z");
        calendar(Quarter, "2024-04-01T00:00:00Z", "2024-07-01T00:00:00Z");
        calendar(Year, "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
        check(Interval::Fixed(30_000), "UTC", 0, at, "2024-05-15T13:14:00Z", "2024-05-15T13:14:30Z");
        check(Interval::Fixed(30_000), "UTC", 10_000, at, "2024-05-15T13:14:10Z", "2024-05-15T13:14:40Z");
        check(
            Interval::Fixed(30_000),
            "UTC",
            0,
            "1969-12-31T23:59:59Z",
            "1969-12-31T23:59:30Z",
            "1970-01-01T00:00:00Z",
        );
    }

    #[test]
    fn clock_changes() {
        let day = Interval::Calendar(Calendar::Day);
        let berlin = "Europe/Berlin";
        check(day, berlin, 0, "2024-03-31T10:00:00Z", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z");
        check(day, berlin, 0, "2024-10-27T10:00:00Z", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z");
        check(day, berlin, 21_600_000, "2024-01-15T03:00:00Z", "2024-01-14T05:00:00Z", "2024-01-15T05:00:00Z");
        let fixed = Interval::Fixed(86_400_000);
        check(fixed, berlin, 0, "2024-10-27T10:00:00Z", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z");
        check(fixed, "+09:00", 0, "2024-10-27T16:00:00Z", "2024-10-27T15:00:00Z", "2024-10-28T15:00:00Z");
    }

    #[test]
    fn durations() {
        assert_eq!(duration_ms("30s"), Some(30_000));
        assert_eq!(duration_ms("1.5h"), Some(5_400_000));
        assert_eq!(duration_ms("1M"), None);
        assert_eq!(duration_ms("x"), None);
    }
}
