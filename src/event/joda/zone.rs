//! Time zones by name, and the offset that counts at a local time.

use super::civil::civil_from_days;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use std::sync::LazyLock;

/// The zone of times that name none, as Java's default zone.
pub(super) static SYSTEM_ZONE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

/// A zone by its name, as Joda's `DateTimeZone.forID`: `Europe/Berlin` (case counts), `UTC`,
/// `+02:00`, `GMT+2`.
pub fn zone(id: &str) -> Option<TimeZone> {
    if matches!(id, "UTC" | "UT" | "GMT" | "Z") {
        return Some(TimeZone::UTC);
    }
    let signed = id.strip_prefix("UTC").or(id.strip_prefix("GMT")).or(id.strip_prefix("UT")).unwrap_or(id);
    if let Some(seconds) = offset(signed.as_bytes()) {
        return Offset::from_seconds(seconds).ok().map(TimeZone::fixed);
    }
    // Java's ids only: jiff also knows what POSIX calls a zone.
    let zone = TimeZone::get(id).ok()?;
    (zone.iana_name() == Some(id)).then_some(zone)
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

/// What a zone says of a local time (seconds since 1970 as if it were UTC).
pub(super) fn offset_at_local(zone: &TimeZone, local: i64) -> Option<AmbiguousOffset> {
    let (year, month, day) = civil_from_days(local.div_euclid(86_400));
    let second = local.rem_euclid(86_400) as i32;
    let (hour, minute, second) = ((second / 3600) as i8, (second / 60 % 60) as i8, (second % 60) as i8);
    let date = jiff::civil::DateTime::new(i16::try_from(year).ok()?, month as i8, day as i8, hour, minute, second, 0);
    Some(zone.to_ambiguous_timestamp(date.ok()?).offset())
}

/// The offset of a zone at a point in time, in seconds.
pub(super) fn offset_at(zone: &TimeZone, seconds: i64) -> Option<i32> {
    Some(zone.to_offset(jiff::Timestamp::from_second(seconds).ok()?).seconds())
}

/// The point in time of a local time where the clock may jump: in an overlap the first of the
/// two, in a gap as if the clock had not jumped yet.
pub(super) fn lenient(zone: &TimeZone, local: i64) -> Option<i64> {
    use AmbiguousOffset::{Fold, Gap, Unambiguous};
    let offset = match offset_at_local(zone, local)? {
        Unambiguous { offset } => offset,
        Fold { before, .. } | Gap { before, .. } => before,
    };
    Some(local - i64::from(offset.seconds()))
}

/// The same, but a local time in a gap is none.
pub(super) fn strict(zone: &TimeZone, local: i64) -> Option<i64> {
    match offset_at_local(zone, local)? {
        AmbiguousOffset::Unambiguous { offset } => Some(local - i64::from(offset.seconds())),
        AmbiguousOffset::Fold { before, .. } => Some(local - i64::from(before.seconds())),
        AmbiguousOffset::Gap { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_as_joda_takes_them() {
        for good in ["UTC", "Z", "Europe/Berlin", "CET", "EST", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(zone(good).is_some(), "{good}");
        }
        for bad in ["", "Nowhere/Land", "europe/berlin", "utc", "CEST-1", "Local", "GMT+", "+1", "%{tz}"] {
            assert!(zone(bad).is_none(), "{bad}");
        }
        let check = |id: &str, seconds| {
            assert_eq!(zone(id).map(|zone| offset_at(&zone, 0).unwrap()), seconds, "{id}");
        };
        check("+02:00", Some(7200));
        check("-0330", Some(-12_600));
        check("UTC+02", Some(7200));
        check("GMT-1:00", None);
        check("+24:00", None);
    }

    #[test]
    fn gaps_and_overlaps() {
        let berlin = zone("Europe/Berlin").unwrap();
        let local = |text: &str| crate::event::joda::parse_iso8601(&format!("{text}Z")).unwrap().seconds();
        let gap = local("2016-03-27T02:30:00");
        assert_eq!(strict(&berlin, gap), None);
        assert_eq!(lenient(&berlin, gap), Some(local("2016-03-27T01:30:00")));
        let overlap = local("2016-10-30T02:30:00");
        assert_eq!(strict(&berlin, overlap), Some(local("2016-10-30T00:30:00")));
    }
}
