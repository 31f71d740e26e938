//! Patterns of Joda-Time's `DateTimeFormat` and of java.time's `DateTimeFormatter`, compiled.

use super::names::Names;

/// A field of a time. The order is the one in which Joda applies parsed fields: those that
/// count within a longer range first, among them those that are longer themselves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Field {
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
    // From here on: only written, by java.time.
    Quarter,
    WeekOfMonth,
    AlignedWeekOfMonth,
    MilliOfDay,
    NanoOfSecond,
    NanoOfDay,
    ModifiedJulianDay,
}

/// How long a name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Length {
    Short,
    Full,
    Narrow,
}

/// One step of a program.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Text as it is; read without regard to case.
    Literal(Box<str>),
    /// Digits: `width` at least when written, `max` at the most when read.
    Number { field: Field, width: u8, max: u8, signed: bool },
    /// The last two digits of a year. Unless `lenient`, exactly two are read.
    TwoDigitYear { field: Field, lenient: bool },
    /// A year as java.time writes it: with a sign where it is wider than `width`.
    SignedYear { field: Field, width: u8 },
    /// A name: of a month, a day of the week, a half of the day or an era.
    Text { field: Field, length: Length },
    /// The first digits of the fraction of the second; `nanos`: all nine count, else three.
    Fraction { digits: u8, nanos: bool },
    /// `+0100`, or with a colon.
    Offset { colon: bool },
    /// `Europe/Berlin`
    ZoneId,
    /// `CET`, or the long name.
    ZoneName { long: bool },
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A letter that means nothing, or too many of it.
    #[error("illegal pattern component `{0}`")]
    Component(String),
    /// No pattern at all.
    #[error("the pattern is empty")]
    Empty,
    /// java.time only: a quote that is not closed.
    #[error("a quote is not closed")]
    Quote,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Format {
    pub(super) ops: Box<[Op]>,
    pub(super) names: &'static Names,
    /// Whether the text of the pattern has a `y` or `Y` anywhere, which is how the date filter
    /// decides that it need not guess.
    pub(super) has_year: bool,
    /// The same for `Z`.
    pub(super) has_zone: bool,
    /// See [`super::memo::whole`].
    pub(super) whole: bool,
}

impl Format {
    /// Compiles a pattern of Joda-Time. The locale (`fr`, `fr-FR`) names months and days;
    /// one that isn't known is English.
    pub fn joda(pattern: &str, locale: &str) -> Result<Format, FormatError> {
        if pattern.is_empty() {
            return Err(FormatError::Empty);
        }
        let ops: Box<[Op]> = joda(pattern)?.into();
        let has = |letters: &[char]| pattern.contains(letters);
        let whole = super::memo::whole(&ops);
        Ok(Format { ops, names: Names::of(locale), has_year: has(&['y', 'Y']), has_zone: has(&['Z']), whole })
    }

    /// Compiles a pattern of java.time, for writing. Weeks are ISO 8601's.
    pub fn java(pattern: &str) -> Result<Format, FormatError> {
        let ops = java(pattern)?.into();
        Ok(Format { ops, names: Names::of("en"), has_year: true, has_zone: false, whole: false })
    }
}

/// A run of one letter, or a text between such runs with its quotes resolved.
enum Token {
    Run(u8, usize),
    Text(String),
}

fn next_token(rest: &mut &str) -> Token {
    let bytes = rest.as_bytes();
    if bytes[0].is_ascii_alphabetic() {
        let count = bytes.iter().take_while(|&&c| c == bytes[0]).count();
        *rest = &rest[count..];
        return Token::Run(bytes[0], count);
    }
    let (mut text, mut quoted) = (String::new(), false);
    let mut chars = rest.char_indices().peekable();
    let mut end = rest.len();
    while let Some((at, c)) = chars.next() {
        if c == '\'' {
            if chars.next_if(|&(_, next)| next == '\'').is_some() {
                text.push('\'');
            } else {
                quoted = !quoted;
            }
        } else if !quoted && c.is_ascii_alphabetic() {
            end = at;
            break;
        } else {
            text.push(c);
        }
    }
    *rest = &rest[end..];
    Token::Text(text)
}

/// Whether the next part is read as digits, so that a year before it can't take all it finds.
fn digits_follow(mut rest: &str) -> bool {
    if rest.is_empty() {
        return false;
    }
    match next_token(&mut rest) {
        Token::Run(b'M', count) => count <= 2,
        Token::Run(letter, _) => b"cCxyYdhHmsSeDFwWkK".contains(&letter),
        Token::Text(_) => false,
    }
}

fn joda(pattern: &str) -> Result<Vec<Op>, FormatError> {
    use Field::*;
    let (mut ops, mut rest) = (Vec::new(), pattern);
    while !rest.is_empty() {
        let (letter, count) = match next_token(&mut rest) {
            Token::Run(letter, count) => (letter, count),
            Token::Text(text) => {
                ops.push(Op::Literal(text.into()));
                continue;
            }
        };
        let number = |field, max: usize, signed| {
            let width = count.min(255) as u8;
            Op::Number { field, width, max: max.max(count).min(255) as u8, signed }
        };
        let text = |field| Op::Text { field, length: if count >= 4 { Length::Full } else { Length::Short } };
        ops.push(match letter {
            b'G' => Op::Text { field: Era, length: Length::Short },
            b'C' => number(Century, count, false),
            b'x' | b'y' | b'Y' if count == 2 => {
                let field = if letter == b'x' { Weekyear } else { Year };
                Op::TwoDigitYear { field, lenient: !digits_follow(rest) }
            }
            b'x' | b'y' | b'Y' => {
                let max = if digits_follow(rest) { count } else { 9 };
                match letter {
                    b'x' => number(Weekyear, max, true),
                    b'y' => number(Year, max, true),
                    _ => number(YearOfEra, max, false),
                }
            }
            b'M' if count >= 3 => text(Month),
            b'M' => number(Month, 2, false),
            b'd' => number(DayOfMonth, 2, false),
            b'a' => Op::Text { field: Halfday, length: Length::Short },
            b'h' => number(ClockhourOfHalfday, 2, false),
            b'H' => number(HourOfDay, 2, false),
            b'k' => number(ClockhourOfDay, 2, false),
            b'K' => number(HourOfHalfday, 2, false),
            b'm' => number(Minute, 2, false),
            b's' => number(Second, 2, false),
            b'S' => Op::Fraction { digits: count.min(18) as u8, nanos: false },
            b'e' => number(DayOfWeek, 1, false),
            b'E' => text(DayOfWeek),
            b'D' => number(DayOfYear, 3, false),
            b'w' => number(Week, 2, false),
            b'z' => Op::ZoneName { long: count >= 4 },
            b'Z' if count <= 2 => Op::Offset { colon: count == 2 },
            b'Z' => Op::ZoneId,
            _ => return Err(component(letter, count)),
        });
    }
    Ok(ops)
}

fn component(letter: u8, count: usize) -> FormatError {
    FormatError::Component((letter as char).to_string().repeat(count.min(16)))
}

fn java(pattern: &str) -> Result<Vec<Op>, FormatError> {
    let (mut ops, mut text) = (Vec::new(), String::new());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_alphabetic() {
            let count = rest.bytes().take_while(|&b| b == c as u8).count();
            rest = &rest[count..];
            if !text.is_empty() {
                ops.push(Op::Literal(std::mem::take(&mut text).into()));
            }
            ops.push(java_letter(c as u8, count).ok_or_else(|| component(c as u8, count))?);
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\'' if rest.starts_with('\'') => {
                text.push('\'');
                rest = &rest[1..];
            }
            '\'' => loop {
                let end = rest.find('\'').ok_or(FormatError::Quote)?;
                text.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                let Some(more) = rest.strip_prefix('\'') else { break };
                text.push('\'');
                rest = more;
            },
            // Optional parts: everything is there when a whole time is written.
            '[' | ']' => {}
            '{' | '}' | '#' => return Err(FormatError::Component(c.into())),
            _ => text.push(c),
        }
    }
    if !text.is_empty() {
        ops.push(Op::Literal(text.into()));
    }
    Ok(ops)
}

/// What a run of a letter means in java.time; zones are UTC's, as the times are.
fn java_letter(letter: u8, count: usize) -> Option<Op> {
    use Field::*;
    let number =
        |field, most: usize| (count <= most).then_some(Op::Number { field, width: count as u8, max: 0, signed: false });
    let text = |field| match count {
        1..=3 => Some(Op::Text { field, length: Length::Short }),
        4 => Some(Op::Text { field, length: Length::Full }),
        5 => Some(Op::Text { field, length: Length::Narrow }),
        _ => None,
    };
    let literal = |text: &str| Some(Op::Literal(text.into()));
    match letter {
        b'u' | b'y' | b'Y' => {
            let field = match letter {
                b'u' => Year,
                b'y' => YearOfEra,
                _ => Weekyear,
            };
            match count {
                2 => Some(Op::TwoDigitYear { field, lenient: false }),
                _ => (count <= 19).then_some(Op::SignedYear { field, width: count as u8 }),
            }
        }
        b'G' => text(Era),
        b'M' | b'L' if count <= 2 => number(Month, 2),
        b'M' | b'L' => text(Month),
        b'Q' | b'q' if count <= 2 => number(Quarter, 2),
        b'Q' | b'q' => text(Quarter),
        b'D' => number(DayOfYear, 3),
        b'd' => number(DayOfMonth, 2),
        b'w' => number(Week, 2),
        b'W' => number(WeekOfMonth, 1),
        b'F' => number(AlignedWeekOfMonth, 1),
        b'E' => text(DayOfWeek),
        b'e' | b'c' if count <= 2 => number(DayOfWeek, 2),
        b'e' | b'c' => text(DayOfWeek),
        b'a' => (count == 1).then_some(Op::Text { field: Halfday, length: Length::Short }),
        b'h' => number(ClockhourOfHalfday, 2),
        b'H' => number(HourOfDay, 2),
        b'k' => number(ClockhourOfDay, 2),
        b'K' => number(HourOfHalfday, 2),
        b'm' => number(Minute, 2),
        b's' => number(Second, 2),
        b'S' => (count <= 9).then_some(Op::Fraction { digits: count as u8, nanos: true }),
        b'A' => number(MilliOfDay, 19),
        b'n' => number(NanoOfSecond, 19),
        b'N' => number(NanoOfDay, 19),
        b'g' => number(ModifiedJulianDay, 19),
        b'V' if count == 2 => literal("Z"),
        b'v' if count == 1 || count == 4 => literal("Z"),
        b'z' if count <= 4 => literal("Z"),
        b'O' if count == 1 || count == 4 => literal("GMT"),
        b'X' if count <= 5 => literal("Z"),
        b'x' => match count {
            1 => literal("+00"),
            2 | 4 => literal("+0000"),
            3 | 5 => literal("+00:00"),
            _ => None,
        },
        b'Z' => match count {
            1..=3 => literal("+0000"),
            4 => literal("GMT"),
            5 => literal("Z"),
            _ => None,
        },
        _ => None,
    }
}
