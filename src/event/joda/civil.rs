//! The proleptic Gregorian calendar in whole days, as ISO 8601 and Joda's `ISOChronology` count it.

/// Days since 1970-01-01 of a date; the month may be any of 1 to 12, the day is not checked.
pub(super) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    // Years begin in March here, so that the leap day comes last.
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub(super) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Whether a year has a 29th of February.
pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The number of days of a month.
pub(super) fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Monday is 1, Sunday 7.
pub(super) fn weekday(days: i64) -> u32 {
    ((days + 3).rem_euclid(7) + 1) as u32
}

/// The day on which the ISO week-based year begins: a Monday.
pub(super) fn weekyear_start(weekyear: i64) -> i64 {
    // The 4th of January is always in week 1.
    let fourth = days_from_civil(weekyear, 1, 4);
    fourth - i64::from(weekday(fourth)) + 1
}

/// ISO week-based year and week of a day.
pub(super) fn weekyear(days: i64) -> (i64, u32) {
    // A week belongs to the year of its Thursday.
    let thursday = days + 4 - i64::from(weekday(days));
    let (year, ..) = civil_from_days(thursday);
    (year, ((days - weekyear_start(year)) / 7 + 1) as u32)
}

/// The number of weeks of an ISO week-based year.
pub(super) fn weeks_in_weekyear(weekyear: i64) -> u32 {
    ((weekyear_start(weekyear + 1) - weekyear_start(weekyear)) / 7) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_jiff_over_many_days() {
        let mut date = jiff::civil::date(-9998, 1, 1);
        let epoch = jiff::civil::date(1970, 1, 1);
        for _ in 0..20_000 {
            let days = i64::from(epoch.until(date).unwrap().get_days());
            let (year, month, day) = (i64::from(date.year()), date.month() as u32, date.day() as u32);
            assert_eq!(days_from_civil(year, month, day), days, "{date}");
            assert_eq!(civil_from_days(days), (year, month, day), "{date}");
            assert_eq!(days_in_month(year, month), date.days_in_month() as u32, "{date}");
            assert_eq!(weekday(days), date.weekday().to_monday_one_offset() as u32, "{date}");
            let week = date.iso_week_date();
            assert_eq!(weekyear(days), (i64::from(week.year()), week.week() as u32), "{date}");
            date = date.saturating_add(jiff::Span::new().days(365));
            if year >= 9997 {
                break;
            }
        }
    }
}
