//! A point in time: seconds and nanoseconds since 1970 in UTC, as Logstash 8's `Timestamp`.

use jiff::tz::TimeZone;

/// Seconds since 1970 and nanoseconds, in 12 bytes so that a value fits in 16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timestamp {
    seconds: [u32; 2],
    nanos: u32,
}

impl Timestamp {
    /// From seconds since 1970 (negative before) and nanoseconds below 10⁹.
    pub const fn new(seconds: i64, nanos: u32) -> Timestamp {
        debug_assert!(nanos < 1_000_000_000);
        Timestamp { seconds: [(seconds >> 32) as u32, seconds as u32], nanos }
    }

    /// From milliseconds since 1970.
    pub fn from_millis(millis: i64) -> Timestamp {
        Timestamp::new(millis.div_euclid(1000), millis.rem_euclid(1000) as u32 * 1_000_000)
    }

    /// From nanoseconds since 1970.
    pub fn from_nanos(nanos: i64) -> Timestamp {
        Timestamp::new(nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000) as u32)
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        ((self.seconds[0] as i32 as i64) << 32) | self.seconds[1] as i64
    }

    /// Nanoseconds within the second.
    pub fn subsec_nanos(self) -> u32 {
        self.nanos
    }

    /// Milliseconds since 1970, rounded down; saturates.
    pub fn millis(self) -> i64 {
        self.seconds().saturating_mul(1000).saturating_add((self.nanos / 1_000_000) as i64)
    }

    /// Nanoseconds since 1970; saturates outside of the years 1678 to 2261.
    pub fn nanos(self) -> i64 {
        self.seconds().saturating_mul(1_000_000_000).saturating_add(self.nanos as i64)
    }

    /// The wall clock. Only inputs and the daemon call this: everything else gets the time.
    pub fn now() -> Timestamp {
        jiff::Timestamp::now().into()
    }

    /// As the calendar sees it in UTC; `None` outside of the years -9999 to 9999.
    pub fn utc(self) -> Option<jiff::ZonedDateTime> {
        Some(jiff::Timestamp::new(self.seconds(), self.nanos as i32).ok()?.to_zoned_datetime(TimeZone::UTC))
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.seconds(), self.nanos).cmp(&(other.seconds(), other.nanos))
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(at: jiff::Timestamp) -> Timestamp {
        let (seconds, nanos) = (at.as_second(), at.subsec_nanosecond());
        // jiff's fraction has the sign of the whole; ours is never negative.
        if nanos < 0 {
            Timestamp::new(seconds - 1, (nanos + 1_000_000_000) as u32)
        } else {
            Timestamp::new(seconds, nanos as u32)
        }
    }
}
