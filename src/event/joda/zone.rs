//! Time zones by name, and the offset that counts at a local time.

use super::civil::civil_from_days;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use std::sync::LazyLock;

/// A time zone, with those of one fixed offset told apart, since they need no look-up.
#[derive(Clone, Debug)]
pub enum Zone {
    /// Always this many seconds east of Greenwich.
    Fixed(i32),
    /// One with rules.
    Rules(TimeZone),
}

static SYSTEM: LazyLock<Zone> = LazyLock::new(|| Zone::of(TimeZone::system()));

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Zone = Zone::Fixed(0);

    fn of(zone: TimeZone) -> Zone {
        match zone.iana_name() {
            Some("UTC" | "Etc/UTC" | "GMT" | "Etc/GMT" | "Etc/UCT" | "Zulu" | "Etc/Zulu") => Zone::UTC,
            _ => Zone::Rules(zone),
        }
    }

    /// The zone of times that name none, as Java's default zone.
    pub fn system() -> &'static Zone {
        &SYSTEM
    }

    /// A zone by its name, as Joda's `DateTimeZone.forID`: `Europe/Berlin` (case counts), `UTC`,
    /// `+02:00`, `GMT+02`.
    pub fn parse(id: &str) -> Option<Zone> {
        if matches!(id, "UTC" | "UT" | "GMT" | "Z") {
            return Some(Zone::UTC);
        }
        let signed = id.strip_prefix("UTC").or(id.strip_prefix("GMT")).or(id.strip_prefix("UT")).unwrap_or(id);
        if let Some(seconds) = offset(signed.as_bytes()) {
            return Offset::from_seconds(seconds).is_ok().then_some(Zone::Fixed(seconds));
        }
        // Java's ids only: jiff also takes other cases.
        let zone = TimeZone::get(id).ok()?;
        (zone.iana_name() == Some(id)).then(|| Zone::of(zone))
    }

    /// The offset at a point in time, in seconds.
    pub(super) fn offset_at(&self, seconds: i64) -> Option<i32> {
        match self {
            Zone::Fixed(offset) => Some(*offset),
            Zone::Rules(zone) => Some(zone.to_offset(jiff::Timestamp::from_second(seconds).ok()?).seconds()),
        }
    }

    /// The point in time of a local time (seconds since 1970 as if it were UTC). In an overlap
    /// it is the first of the two, in a gap as if the clock had not jumped yet.
    pub(crate) fn lenient(&self, local: i64) -> Option<i64> {
        use AmbiguousOffset::{Fold, Gap, Unambiguous};
        match self.ambiguous(local)? {
            Unambiguous { offset } => Some(local - i64::from(offset.seconds())),
            Fold { before, .. } | Gap { before, .. } => Some(local - i64::from(before.seconds())),
        }
    }

    /// The same, but a local time in a gap is none.
    pub(super) fn strict(&self, local: i64) -> Option<i64> {
        match self.ambiguous(local)? {
            AmbiguousOffset::Unambiguous { offset } => Some(local - i64::from(offset.seconds())),
            AmbiguousOffset::Fold { before, .. } => Some(local - i64::from(before.seconds())),
            AmbiguousOffset::Gap { .. } => None,
        }
    }

    fn ambiguous(&self, local: i64) -> Option<AmbiguousOffset> {
        let zone = match self {
            Zone::Fixed(seconds) => {
                return Some(AmbiguousOffset::Unambiguous { offset: Offset::from_seconds(*seconds).ok()? });
            }
            Zone::Rules(zone) => zone,
        };
        let (year, month, day) = civil_from_days(local.div_euclid(86_400));
        let second = local.rem_euclid(86_400) as i32;
        let (hour, minute, second) = ((second / 3600) as i8, (second / 60 % 60) as i8, (second % 60) as i8);
        let date =
            jiff::civil::DateTime::new(i16::try_from(year).ok()?, month as i8, day as i8, hour, minute, second, 0);
        Some(zone.to_ambiguous_timestamp(date.ok()?).offset())
    }
}

/// All of `text` as `+01`, `+0130` or `+01:30`, with seconds too, in seconds.
pub(super) fn offset(text: &[u8]) -> Option<i32> {
    let (&sign, digits) = text.split_first()?;
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let two = |at: usize, limit: u8| {
        let [a, b] = *digits.get(at..at + 2)? else { return None };
        let value = a.wrapping_sub(b'0').wrapping_mul(10).wrapping_add(b.wrapping_sub(b'0'));
        (a.is_ascii_digit() && b.is_ascii_digit() && value < limit).then_some(i32::from(value))
    };
    let seconds = match (digits.len(), digits.get(2), digits.get(5)) {
        (2, ..) => two(0, 24)? * 3600,
        (4, ..) => two(0, 24)? * 3600 + two(2, 60)? * 60,
        (6, ..) => two(0, 24)? * 3600 + two(2, 60)? * 60 + two(4, 60)?,
        (5, Some(b':'), _) => two(0, 24)? * 3600 + two(3, 60)? * 60,
        (8, Some(b':'), Some(b':')) => two(0, 24)? * 3600 + two(3, 60)? * 60 + two(6, 60)?,
        _ => return None,
    };
    Some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_as_joda_takes_them() {
        for good in ["UTC", "Z", "Europe/Berlin", "CET", "EST", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(Zone::parse(good).is_some(), "{good}");
        }
        for bad in ["", "Nowhere/Land", "europe/berlin", "utc", "CEST-1", "Local", "GMT+", "+1", "%{tz}"] {
            assert!(Zone::parse(bad).is_none(), "{bad}");
        }
        let check = |id: &str, seconds| {
            assert_eq!(Zone::parse(id).map(|zone| zone.offset_at(0).unwrap()), seconds, "{id}");
        };
        check("+02:00", Some(7200));
        check("-0330", Some(-12_600));
        check("UTC+02", Some(7200));
        check("GMT-1:00", None);
        check("+24:00", None);
    }

    #[test]
    fn gaps_and_overlaps() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let local = |text: &str| crate::event::joda::parse_iso8601(&format!("{text}Z")).unwrap().seconds();
        let gap = local("2016-03-27T02:30:00");
        assert_eq!(berlin.strict(gap), None);
        assert_eq!(berlin.lenient(gap), Some(local("2016-03-27T01:30:00")));
        let overlap = local("2016-10-30T02:30:00");
        assert_eq!(berlin.strict(overlap), Some(local("2016-10-30T00:30:00")));
    }
}
