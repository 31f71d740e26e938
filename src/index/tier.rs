//! Level tiers and days: the two halves, beside the stream, of a partition's name.
//!
//! Retention counts in tiers and days, so a partition never holds two of either. Everything here
//! is a pure function of the event; no clock.

use crate::event::{Batch, EventId, FieldId, Timestamp, Value};
use std::fmt;

/// How grave a log line is; one of four, whatever its level was called.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tier {
    /// ERROR and graver.
    Error,
    /// WARN.
    Warn,
    /// INFO, and whatever names no level.
    Info,
    /// DEBUG and finer.
    Debug,
}

impl Tier {
    /// All tiers, the gravest first.
    pub const ALL: [Tier; 4] = [Tier::Error, Tier::Warn, Tier::Info, Tier::Debug];

    /// The lower-case name, as settings and the manifest write it.
    pub fn name(self) -> &'static str {
        ["error", "warn", "info", "debug"][self as usize]
    }

    /// The tier of that name.
    pub fn from_name(name: &str) -> Option<Tier> {
        Tier::ALL.into_iter().find(|tier| tier.name() == name)
    }

    /// The tier of a level as a logging library writes it, case ignored; `None` for a word that
    /// no library of the table uses.
    pub fn of_level(level: &str) -> Option<Tier> {
        let level = level.trim();
        LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(level)).map(|&(_, tier)| tier)
    }

    /// The tier of an event: from the first of its level fields whose value names a level.
    pub fn of_event(batch: &Batch, event: EventId) -> Tier {
        if batch.names(event) & FieldId::level_bits() == 0 {
            return Tier::Info;
        }
        for entry in batch.fields(event) {
            let tier = match entry.value {
                Value::Str(text) if entry.key.is_level() => match batch.bytes(text) {
                    // The four that nearly all lines have, before the table is walked.
                    b"INFO" => Some(Tier::Info),
                    b"ERROR" => Some(Tier::Error),
                    b"WARN" => Some(Tier::Warn),
                    b"DEBUG" => Some(Tier::Debug),
                    _ => Tier::of_level(batch.text(text)),
                },
                Value::Object(list) if entry.key == FieldId::LOG => {
                    let level = batch.entries(list).iter().find(|e| e.key == FieldId::LEVEL);
                    level.and_then(|e| batch.as_text(e.value)).and_then(Tier::of_level)
                }
                _ => None,
            };
            if let Some(tier) = tier {
                return tier;
            }
        }
        Tier::Info
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The level names of syslog, java.util.logging, log4j, slf4j, Python, Go, .NET, Rust and HAProxy.
#[rustfmt::skip]
const LEVELS: &[(&str, Tier)] = &[
    ("info", Tier::Info), ("error", Tier::Error), ("warn", Tier::Warn), ("debug", Tier::Debug),
    ("err", Tier::Error), ("fatal", Tier::Error), ("critical", Tier::Error), ("crit", Tier::Error),
    ("severe", Tier::Error), ("emerg", Tier::Error), ("emergency", Tier::Error), ("alert", Tier::Error),
    ("panic", Tier::Error), ("dpanic", Tier::Error), ("failure", Tier::Error), ("fail", Tier::Error),
    ("e", Tier::Error), ("f", Tier::Error), ("a", Tier::Error), ("c", Tier::Error),
    ("warning", Tier::Warn), ("w", Tier::Warn), ("warnings", Tier::Warn),
    ("information", Tier::Info), ("informational", Tier::Info), ("notice", Tier::Info), ("i", Tier::Info),
    ("n", Tier::Info), ("config", Tier::Info), ("ok", Tier::Info), ("success", Tier::Info), ("log", Tier::Info),
    ("trace", Tier::Debug), ("fine", Tier::Debug), ("finer", Tier::Debug), ("finest", Tier::Debug),
    ("verbose", Tier::Debug), ("d", Tier::Debug), ("t", Tier::Debug), ("v", Tier::Debug), ("all", Tier::Debug),
    ("dbg", Tier::Debug), ("debug1", Tier::Debug), ("debug2", Tier::Debug), ("debug3", Tier::Debug),
    ("debug4", Tier::Debug), ("debug5", Tier::Debug),
];

/// A day of UTC: days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day(pub i32);

const DAY_SECONDS: i64 = 86_400;

impl Day {
    /// The day on which a time falls; the first and the last day for times past what days reach.
    pub fn of(at: Timestamp) -> Day {
        Day(at.seconds().div_euclid(DAY_SECONDS).clamp(i32::MIN as i64, i32::MAX as i64) as i32)
    }

    /// Its first millisecond since 1970.
    pub fn start_ms(self) -> i64 {
        self.0 as i64 * DAY_SECONDS * 1000
    }
}

impl fmt::Display for Day {
    /// `2026-11-24`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::new(self.0 as i64 * DAY_SECONDS, 0).utc() {
            Some(at) => write!(f, "{}", at.date()),
            None => write!(f, "day {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_every_kind_find_their_tier() {
        let check = |level: &str, want: Option<Tier>| assert_eq!(Tier::of_level(level), want, "{level}");
        check("ERROR", Some(Tier::Error));
        check("Severe", Some(Tier::Error));
        check("EMERG", Some(Tier::Error));
        check("warning", Some(Tier::Warn));
        check(" Notice ", Some(Tier::Info));
        check("FINEST", Some(Tier::Debug));
        check("TRACE", Some(Tier::Debug));
        check("loud", None);
        check("", None);
    }

    #[test]
    fn the_level_of_an_event_is_looked_for_in_several_fields() {
        let check = |path: &[&str], level: &str, want: Tier| {
            let mut batch = Batch::new();
            let event = batch.new_event();
            let value = batch.str(level);
            batch.set(event, &crate::event::FieldRef::path(path), value);
            assert_eq!(Tier::of_event(&batch, event), want, "{path:?} {level}");
        };
        check(&["level"], "error", Tier::Error);
        check(&["log", "level"], "WARN", Tier::Warn);
        check(&["log.level"], "debug", Tier::Debug);
        check(&["severity"], "crit", Tier::Error);
        check(&["level"], "unheard of", Tier::Info);
        check(&["other"], "error", Tier::Info);
    }

    #[test]
    fn days_are_of_utc_and_go_below_1970() {
        let check = |seconds: i64, want: i32, text: &str| {
            let day = Day::of(Timestamp::new(seconds, 0));
            assert_eq!((day.0, day.to_string().as_str()), (want, text));
        };
        check(0, 0, "1970-01-01");
        check(-1, -1, "1969-12-31");
        check(86_399, 0, "1970-01-01");
        check(1_431_734_400, 16_571, "2015-05-16");
    }
}
