//! Fields become a point in time, as Joda's `DateTimeParserBucket` does it, and the year that
//! the date filter guesses.
//!
//! Joda starts at 1970-01-01T00:00 and applies the fields from the longest to the shortest,
//! twice: the first time each clears what is shorter than it, the second time nothing is
//! cleared. So a weekday that contradicts the date moves it within its week.

use super::civil::{
    civil_from_days, days_from_civil, days_in_month, is_leap, weekday, weeks_in_weekyear, weekyear, weekyear_start,
};
use super::pattern::Field;
use super::zone::Zone;
use crate::event::Timestamp;

const NANOS: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * NANOS;
const FIELDS: usize = Field::SecondFraction as usize + 1;
/// Joda's times end here.
const YEAR_MAX: i64 = 292_278_993;

/// What was read.
#[derive(Default)]
pub(super) struct Fields {
    values: [i64; FIELDS],
    present: u32,
    /// In milliseconds.
    pub(super) offset: Option<i32>,
    pub(super) zone: Option<Zone>,
}

const fn bit(field: Field) -> u32 {
    1 << field as u8
}

/// Fields that need no care: each counts what it says.
const PLAIN: u32 = bit(Field::Year)
    | bit(Field::YearOfEra)
    | bit(Field::Month)
    | bit(Field::DayOfMonth)
    | bit(Field::HourOfDay)
    | bit(Field::Minute)
    | bit(Field::Second)
    | bit(Field::SecondFraction);

/// A local time.
#[derive(Clone, Copy)]
struct Local {
    days: i64,
    nanos: i64,
}

/// Year and month of a time in the system's zone.
pub(super) fn local_year_month(at: Timestamp) -> (i64, u32) {
    let seconds = at.seconds() + i64::from(Zone::system().offset_at(at.seconds()).unwrap_or(0));
    let (year, month, _) = civil_from_days(seconds.div_euclid(86_400));
    (year, month)
}

impl Fields {
    #[inline]
    pub(super) fn set(&mut self, field: Field, value: i64) {
        self.values[field as usize] = value;
        self.present |= bit(field);
    }

    fn get(&self, field: Field, default: i64) -> i64 {
        if self.present & bit(field) != 0 { self.values[field as usize] } else { default }
    }

    /// The point in time; `zone` counts where none was read.
    pub(super) fn instant(&mut self, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
        let local = self.local(|| local_year_month(now).0)?;
        self.place(local, zone)
    }

    /// The same without a year, which is guessed: this year, but in January a time of December
    /// is of last year, and in December one of January of next year.
    pub(super) fn guessed(&mut self, zone: &Zone, zone_read: bool, now: Timestamp) -> Option<Timestamp> {
        let (this_year, this_month) = local_year_month(now);
        let local = self.local(|| this_year)?;
        let at = if zone_read { self.place(local, zone)? } else { local.at(zone.strict(local.second())?) };
        let offset = i64::from(zone.offset_at(at.seconds())?);
        let second = at.seconds() + offset;
        let mut seen = Local {
            days: second.div_euclid(86_400),
            nanos: second.rem_euclid(86_400) * NANOS + i64::from(at.subsec_nanos()),
        };
        let (year, month, _) = civil_from_days(seen.days);
        let wanted = match (month, this_month) {
            (12, 1) => this_year - 1,
            (1, 12) => this_year + 1,
            _ => this_year,
        };
        if year == wanted {
            return Some(at);
        }
        seen.set(Field::Year, wanted)?;
        // The offset of before is kept where it also counts in that year.
        let same = seen.second() - offset;
        if i64::from(zone.offset_at(same)?) == offset {
            return Some(seen.at(same));
        }
        Some(seen.at(zone.lenient(seen.second())?))
    }

    fn place(&self, local: Local, zone: &Zone) -> Option<Timestamp> {
        if let Some(offset) = self.offset {
            let nanos = local.nanos - i64::from(offset) * 1_000_000;
            let seconds = local.days * 86_400 + nanos.div_euclid(NANOS);
            return Some(Timestamp::new(seconds, nanos.rem_euclid(NANOS) as u32));
        }
        let zone = self.zone.as_ref().unwrap_or(zone);
        let second = local.second();
        let seconds = match zone {
            Zone::Fixed(offset) => second - i64::from(*offset),
            Zone::Rules(_) => zone.strict(second)?,
        };
        Some(local.at(seconds))
    }

    #[inline]
    fn local(&mut self, this_year: impl FnOnce() -> i64) -> Option<Local> {
        const DATES: u32 = bit(Field::Month)
            | bit(Field::Week)
            | bit(Field::DayOfYear)
            | bit(Field::DayOfMonth)
            | bit(Field::DayOfWeek);
        // Where the longest field is a month or a day, the year is this one.
        if DATES & (1 << self.present.trailing_zeros().min(31)) != 0 {
            self.set(Field::Year, this_year());
        }
        if self.present & !PLAIN == 0 { self.plain() } else { self.careful() }
    }

    #[inline]
    fn plain(&self) -> Option<Local> {
        let year = match self.present & (bit(Field::Year) | bit(Field::YearOfEra)) {
            0 => 1970,
            both if both.count_ones() == 2 => return self.careful(),
            _ => self.get(Field::Year, self.values[Field::YearOfEra as usize]),
        };
        let least = if self.present & bit(Field::YearOfEra) != 0 { 0 } else { -YEAR_MAX };
        let month = self.get(Field::Month, 1);
        let day = self.get(Field::DayOfMonth, 1);
        let (hour, minute) = (self.get(Field::HourOfDay, 0), self.get(Field::Minute, 0));
        let second = self.get(Field::Second, 0);
        if !(least..=YEAR_MAX).contains(&year)
            || !(1..=12).contains(&month)
            || day < 1
            || (day > 28 && day > days_in_month(year, month as u32).into())
            || !(0..24).contains(&hour)
            || !(0..60).contains(&minute)
            || !(0..60).contains(&second)
        {
            return None;
        }
        let nanos = (hour * 3600 + minute * 60 + second) * NANOS + self.get(Field::SecondFraction, 0);
        Some(Local { days: days_from_civil(year, month as u32, day as u32), nanos })
    }

    #[cold]
    fn careful(&self) -> Option<Local> {
        let mut local = Local { days: 0, nanos: 0 };
        for clear in [true, false] {
            let mut present = self.present;
            while present != 0 {
                let field = ORDER[present.trailing_zeros() as usize];
                present &= present - 1;
                local.set(field, self.values[field as usize])?;
                if clear || present == 0 {
                    local.floor(field);
                }
            }
        }
        Some(local)
    }
}

/// The fields by their numbers.
const ORDER: [Field; FIELDS] = {
    use Field::*;
    [
        Era,
        Century,
        Year,
        YearOfEra,
        Weekyear,
        Month,
        Week,
        DayOfYear,
        DayOfMonth,
        DayOfWeek,
        Halfday,
        HourOfDay,
        ClockhourOfDay,
        HourOfHalfday,
        ClockhourOfHalfday,
        Minute,
        HourFraction,
        Second,
        MinuteFraction,
        SecondFraction,
    ]
};

impl Local {
    /// Seconds since 1970 as if it were UTC.
    fn second(self) -> i64 {
        self.days * 86_400 + self.nanos / NANOS
    }

    fn at(self, seconds: i64) -> Timestamp {
        Timestamp::new(seconds, (self.nanos % NANOS) as u32)
    }

    /// Sets a field and leaves the others as far as that goes.
    fn set(&mut self, field: Field, value: i64) -> Option<()> {
        let (year, month, day) = civil_from_days(self.days);
        let within = |range: std::ops::RangeInclusive<i64>| range.contains(&value).then_some(());
        match field {
            Field::Era => {
                if (year > 0) != (value == 1) {
                    self.set_year(-year);
                }
            }
            Field::Century => {
                within(0..=YEAR_MAX / 100 - 1)?;
                let of_era = value * 100 + year.abs() % 100;
                self.set_year(if year < 0 { -of_era } else { of_era });
            }
            Field::Year => {
                within(-YEAR_MAX..=YEAR_MAX)?;
                self.set_year(value);
            }
            Field::YearOfEra => {
                within(0..=YEAR_MAX)?;
                self.set_year(if year < 0 { -value } else { value });
            }
            Field::Weekyear => {
                within(-YEAR_MAX..=YEAR_MAX)?;
                let week = i64::from(weekyear(self.days).1.min(weeks_in_weekyear(value)));
                self.days = weekyear_start(value) + (week - 1) * 7 + i64::from(weekday(self.days)) - 1;
            }
            Field::Month => {
                within(1..=12)?;
                let month = value as u32;
                self.days = days_from_civil(year, month, day.min(days_in_month(year, month)));
            }
            Field::Week => {
                let (weekyear, week) = weekyear(self.days);
                within(1..=weeks_in_weekyear(weekyear).into())?;
                self.days += (value - i64::from(week)) * 7;
            }
            Field::DayOfYear => {
                within(1..=365 + i64::from(is_leap(year)))?;
                self.days = days_from_civil(year, 1, 1) + value - 1;
            }
            Field::DayOfMonth => {
                within(1..=days_in_month(year, month).into())?;
                self.days += value - i64::from(day);
            }
            Field::DayOfWeek => {
                within(1..=7)?;
                self.days += value - i64::from(weekday(self.days));
            }
            _ => return self.set_time(field, value),
        }
        Some(())
    }

    /// The month and day stay, but the 29th of February becomes the 28th where it must.
    fn set_year(&mut self, to: i64) {
        let (_, month, day) = civil_from_days(self.days);
        self.days = days_from_civil(to, month, day.min(days_in_month(to, month)));
    }

    fn set_time(&mut self, field: Field, value: i64) -> Option<()> {
        const HOUR: i64 = 3600 * NANOS;
        // What one step is worth, how many there are, and which number is the first.
        let (unit, count, first) = match field {
            Field::Halfday => (12 * HOUR, 2, 0),
            Field::HourOfDay => (HOUR, 24, 0),
            Field::ClockhourOfDay => (HOUR, 24, 1),
            Field::HourOfHalfday => (HOUR, 12, 0),
            Field::ClockhourOfHalfday => (HOUR, 12, 1),
            Field::Minute => (60 * NANOS, 60, 0),
            Field::HourFraction => (1, HOUR, 0),
            Field::Second => (NANOS, 60, 0),
            Field::MinuteFraction => (1, 60 * NANOS, 0),
            _ => (1, NANOS, 0),
        };
        if !(first..first + count).contains(&value) {
            return None;
        }
        // The last of a clock's hours, 12 or 24, is its first.
        let step = value % count;
        let old = self.nanos / unit % count;
        self.nanos += (step - old) * unit;
        Some(())
    }

    /// Clears what is shorter than a field.
    fn floor(&mut self, field: Field) {
        let (year, month, _) = civil_from_days(self.days);
        match field {
            // What is below the year is set by the year.
            Field::Era => return,
            Field::Century => self.days = days_from_civil(year - year % 100, 1, 1),
            Field::Year | Field::YearOfEra => self.days = days_from_civil(year, 1, 1),
            Field::Weekyear => self.days = weekyear_start(weekyear(self.days).0),
            Field::Month => self.days = days_from_civil(year, month, 1),
            Field::Week => self.days -= i64::from(weekday(self.days)) - 1,
            Field::Halfday => self.nanos -= self.nanos % (12 * 3600 * NANOS),
            Field::HourOfDay | Field::ClockhourOfDay | Field::HourOfHalfday | Field::ClockhourOfHalfday => {
                self.nanos -= self.nanos % (3600 * NANOS);
            }
            Field::Minute => self.nanos -= self.nanos % (60 * NANOS),
            Field::Second => self.nanos -= self.nanos % NANOS,
            _ => {}
        }
        if (field as u8) < Field::Halfday as u8 {
            self.nanos = 0;
        }
        debug_assert!((0..DAY).contains(&self.nanos));
    }
}
