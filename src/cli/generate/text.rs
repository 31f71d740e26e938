//! Numbers, times and addresses as the formats write them, into a buffer that is used again.

use super::Random;

pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends a text.
#[inline]
pub(super) fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends a number.
#[inline]
pub(super) fn number(out: &mut Vec<u8>, n: u64) {
    put(out, itoa::Buffer::new().format(n));
}

/// Appends a number with leading zeros.
#[inline]
pub(super) fn padded(out: &mut Vec<u8>, n: u64, width: usize) {
    let mut digits = [b'0'; 8];
    let mut rest = n;
    for digit in digits[..width].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[..width]);
}

/// Appends 16 hex digits.
#[inline]
pub(super) fn hex(out: &mut Vec<u8>, n: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits: [u8; 16] = std::array::from_fn(|at| DIGITS[(n >> (60 - 4 * at)) as usize & 15]);
    out.extend_from_slice(&digits);
}

/// Appends an address; some are of the documentation ranges, some private.
pub(super) fn ip(out: &mut Vec<u8>, random: &mut Random) {
    const NETS: [&str; 6] = ["192.168.1.", "10.0.12.", "203.0.113.", "198.51.100.", "192.0.2.", "172.16.40."];
    put(out, random.pick(&NETS));
    number(out, random.between(1, 254));
}

/// The parts of a time in UTC, kept from event to event since most fall in the same second.
#[derive(Default, Clone, Copy)]
pub(super) struct Calendar {
    second: i64,
    ready: bool,
    pub year: u64,
    pub month: u64,
    pub day: u64,
    pub time: [u8; 8],
}

impl Calendar {
    /// Moves to a time; returns the milliseconds within its second.
    #[inline]
    pub fn at(&mut self, ms: i64) -> u64 {
        let second = ms.div_euclid(1000);
        if !self.ready || second != self.second {
            self.set(second);
        }
        ms.rem_euclid(1000) as u64
    }

    fn set(&mut self, second: i64) {
        (self.second, self.ready) = (second, true);
        let (day, of_day) = (second.div_euclid(86_400), second.rem_euclid(86_400) as u64);
        // Days to the proleptic Gregorian calendar by eras of 400 years that begin in March.
        let day = day + 719_468;
        let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        self.day = (of_year - (153 * from_march + 2) / 5 + 1) as u64;
        self.month = if from_march < 10 { from_march + 3 } else { from_march - 9 } as u64;
        self.year = (year_of_era + era * 400 + (self.month <= 2) as i64).max(0) as u64;
        let digits = |n: u64| [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        let ([h0, h1], [m0, m1], [s0, s1]) = (digits(of_day / 3600), digits(of_day / 60 % 60), digits(of_day % 60));
        self.time = [h0, h1, b':', m0, m1, b':', s0, s1];
    }

    /// Appends `2024-01-21`, then what separates date and time, then `10:30:45`.
    pub fn iso(&self, out: &mut Vec<u8>, separator: u8) {
        padded(out, self.year, 4);
        out.push(b'-');
        padded(out, self.month, 2);
        out.push(b'-');
        padded(out, self.day, 2);
        out.push(separator);
        out.extend_from_slice(&self.time);
    }

    /// `Jan` to `Dec`.
    pub fn month_name(&self) -> &'static str {
        MONTHS[self.month as usize - 1]
    }
}

pub(super) const AGENTS: [(u32, &str); 8] = [
    (
        30,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    ),
    (
        18,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Safari/605.1.15",
    ),
    (
        20,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1",
    ),
    (
        16,
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.144 Mobile Safari/537.36",
    ),
    (8, "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0"),
    (4, "SafeVideo/3.14.2 (Android 13; SM-S911B)"),
    (3, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    (1, "curl/8.5.0"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_agrees_with_the_time_library() {
        let mut random = Random::new(9);
        let mut calendar = Calendar::default();
        for _ in 0..20_000 {
            let ms = random.below(4_102_444_800_000 * 2) as i64 - 4_102_444_800_000 / 2;
            let of_second = calendar.at(ms);
            let mut out = Vec::new();
            calendar.iso(&mut out, b'T');
            out.push(b'.');
            padded(&mut out, of_second, 3);
            let want = jiff::Timestamp::from_millisecond(ms).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{want:.3}").trim_end_matches('Z'), "{ms}");
        }
    }

    #[test]
    fn hex_digits() {
        let mut out = Vec::new();
        hex(&mut out, 0x0123_4567_89ab_cdef);
        assert_eq!(out, b"0123456789abcdef");
    }
}
