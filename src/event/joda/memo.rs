//! The time that was read last, to read the next one faster: lines of a log that follow each
//! other mostly name the same minute, so that their times differ in two digits at most.

use super::pattern::{Field, Format, Op};
use super::zone::Zone;
use crate::event::Timestamp;

/// Longer texts are not remembered.
const TEXT_MAX: usize = 48;

/// The last text that one format read in one zone, and its time. What it answers is what
/// [`Format::parse`] would.
#[derive(Clone)]
pub struct Memo {
    text: [u8; TEXT_MAX],
    len: usize,
    /// Where the two digits of the second stand; past the end where they may not change.
    second: usize,
    at: Timestamp,
}

impl Default for Memo {
    fn default() -> Memo {
        Memo { text: [0; TEXT_MAX], len: usize::MAX, second: usize::MAX, at: Timestamp::new(0, 0) }
    }
}

impl Memo {
    /// The time of `text`, if it is the last text up to its second.
    #[inline]
    fn recall(&self, text: &[u8]) -> Option<Timestamp> {
        if text.len() != self.len {
            return None;
        }
        let at = self.second;
        if at > self.len {
            return (text == &self.text[..self.len]).then_some(self.at);
        }
        let [a, b] = *text.get(at..at + 2)? else { return None };
        // Below 60 and digits, else the whole text is read and refused.
        let (tens, ones) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'));
        if text[..at] != self.text[..at] || text[at + 2..] != self.text[at + 2..self.len] || tens > 5 || ones > 9 {
            return None;
        }
        let last = (self.text[at] - b'0') * 10 + (self.text[at + 1] - b'0');
        let seconds = self.at.seconds() + i64::from(tens * 10 + ones) - i64::from(last);
        Some(Timestamp::new(seconds, self.at.subsec_nanos()))
    }

    fn remember(&mut self, text: &[u8], second: Option<usize>, at: Timestamp) {
        if text.len() <= TEXT_MAX {
            self.text[..text.len()].copy_from_slice(text);
            (self.len, self.at) = (text.len(), at);
            self.second = second.unwrap_or(usize::MAX);
        }
    }
}

impl Format {
    /// [`Format::parse`], which looks at the text before it first. A memo serves one format and
    /// one zone.
    #[inline]
    pub fn parse_next(&self, memo: &mut Memo, text: &str, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
        if !self.whole {
            return self.parse(text, zone, now);
        }
        if let Some(at) = memo.recall(text.as_bytes()) {
            return Some(at);
        }
        let mut second = None;
        let at = self.parse_noting(text, zone, now, &mut second)?;
        // Zones with rules have had offsets that changed within a minute.
        let steady = self.ops.iter().any(|op| matches!(op, Op::Offset { .. })) || matches!(zone, Zone::Fixed(_));
        memo.remember(text.as_bytes(), second.filter(|_| steady), at);
        Some(at)
    }
}

/// Whether all that a text of this pattern says is a year and what counts plainly within it, so
/// that its time depends on nothing else and its second just adds up.
pub(super) fn whole(ops: &[Op]) -> bool {
    let plain = |op: &Op| match op {
        Op::Number { field, .. } => {
            use Field::*;
            matches!(field, Year | YearOfEra | Month | DayOfMonth | HourOfDay | Minute | Second)
        }
        Op::Text { field, .. } => *field == Field::Month,
        Op::Literal(_) | Op::Fraction { .. } | Op::Offset { .. } => true,
        Op::TwoDigitYear { .. } | Op::SignedYear { .. } | Op::ZoneId | Op::ZoneName { .. } => false,
    };
    let count =
        |wanted: Field| ops.iter().filter(|op| matches!(op, Op::Number { field, .. } if *field == wanted)).count();
    ops.iter().all(plain) && count(Field::Year) + count(Field::YearOfEra) == 1 && count(Field::Second) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Patterns that are remembered, and some that must not be.
    const PATTERNS: &[&str] = &[
        "dd/MMM/yyyy:HH:mm:ss Z",
        "yyyy-MM-dd HH:mm:ss.SSS",
        "yyyy-MM-dd HH:mm:s",
        "ss mm HH dd MM yyyy",
        "yyyyMMddHHmmss",
        "yyyy-MM-dd HH:mm",
        "yyyy-MM-dd hh:mm:ss a",
        "yy-MM-dd HH:mm:ss",
        "MMM dd HH:mm:ss",
        "EEE dd MMM yyyy HH:mm:ss",
    ];
    const ZONES: &[&str] = &["UTC", "+05:30", "Europe/Amsterdam", "America/New_York"];

    proptest! {
        /// One after another with a memo, as each by itself; the changes are small, so that
        /// most texts are near the one before.
        #[test]
        fn a_memo_changes_no_result(
            pattern in prop::sample::select(PATTERNS),
            zone in prop::sample::select(ZONES),
            start in -4_000_000_000i64..4_000_000_000,
            steps in prop::collection::vec((-70i64..70, 0usize..60, any::<u8>()), 1..40),
        ) {
            let (format, zone) = (Format::joda(pattern, "en").unwrap(), Zone::parse(zone).unwrap());
            let now = Timestamp::new(1_700_000_000, 0);
            let (mut memo, mut at) = (Memo::default(), start);
            for (step, place, byte) in steps {
                at += step;
                let mut text = Vec::new();
                format.write(Timestamp::new(at, 0), &mut text);
                // Now and then a text that is wrong somewhere.
                if byte < 100 && place < text.len() {
                    text[place] = b' ' + byte % 95;
                }
                let text = String::from_utf8(text).unwrap();
                prop_assert_eq!(
                    format.parse_next(&mut memo, &text, &zone, now),
                    format.parse(&text, &zone, now),
                    "{} in {:?}", text, zone
                );
            }
        }
    }

    #[test]
    fn only_the_second_may_change() {
        let (format, now) = (Format::joda("dd/MMM/yyyy:HH:mm:ss Z", "en").unwrap(), Timestamp::new(0, 0));
        let mut memo = Memo::default();
        let mut read = |text: &str| format.parse_next(&mut memo, text, &Zone::UTC, now).map(Timestamp::seconds);
        assert_eq!(read("25/Mar/2013:20:33:56 +0000"), Some(1_364_243_636));
        assert_eq!(read("25/Mar/2013:20:33:07 +0000"), Some(1_364_243_587));
        assert_eq!(read("25/Mar/2013:20:33:60 +0000"), None);
        assert_eq!(read("25/Mar/2013:20:33:0x +0000"), None);
        assert_eq!(read("25/Mar/2013:20:34:07 +0000"), Some(1_364_243_647));
        assert_eq!(read("25/Mar/2013:20:34:07 +0100"), Some(1_364_240_047));
    }
}
