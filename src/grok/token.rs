//! The parts of the well-known patterns that a regular expression finds dearly, by hand.
//!
//! Each function answers for the built-in definition of its pattern, on ASCII text: where the
//! match ends that the regular expression would try first, or that there is none, or that it
//! can't say. Property tests compare them with the definitions.

use super::tree::is_space;

/// Where a match ends, and whether it could have ended in no other way; or why there is none.
/// One word, because it is returned in every step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct End(u64);

impl End {
    const OPEN: u64 = 1 << 62;
    const NONE: u64 = 1 << 63;
    /// The pattern does not match here, in whatever way.
    pub(super) const FAIL: End = End(End::NONE);
    /// The regular expression must say.
    pub(super) const UNKNOWN: End = End(End::NONE | 1);

    /// The only possible end.
    #[inline(always)]
    pub(super) fn only(at: usize) -> End {
        End(at as u64)
    }

    /// The end that comes first; there may be others.
    #[inline(always)]
    pub(super) fn first(at: usize) -> End {
        End(at as u64 | End::OPEN)
    }

    /// The position, if there is one.
    #[inline(always)]
    pub(super) fn at(self) -> Option<usize> {
        if self.0 & End::NONE == 0 { Some((self.0 & !End::OPEN) as usize) } else { None }
    }

    /// Whether there may be other ends.
    #[inline(always)]
    pub(super) fn is_open(self) -> bool {
        self.0 & End::OPEN != 0
    }
}

const WORD: u8 = 1;
const DIGIT: u8 = 2;
/// Letters, digits and dashes.
const LABEL: u8 = 4;
/// What a user's name may hold.
const USER: u8 = 8;
/// What an address may hold before its `@`.
const LOCAL: u8 = 16;

/// The classes that each byte is in.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        let (alnum, mut class) = (b.is_ascii_alphanumeric(), 0);
        if alnum || b == b'_' {
            class |= WORD;
        }
        if b.is_ascii_digit() {
            class |= DIGIT;
        }
        if alnum || b == b'-' {
            class |= LABEL;
        }
        if alnum || matches!(b, b'.' | b'_' | b'-') {
            class |= USER;
        }
        if alnum
            || matches!(b, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-'..=b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~')
        {
            class |= LOCAL;
        }
        classes[byte] = class;
        byte += 1;
    }
    classes
};

/// A pattern with a function of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Word,
    Number,
    Int,
    PosInt,
    NonNegInt,
    IpV4,
    Ip,
    HostName,
    IpOrHost,
    QuotedString,
    HttpUser,
    HttpDate,
    SyslogTimestamp,
    TimestampIso8601,
}

impl Token {
    /// By the pattern's name.
    pub(super) fn of(name: &str) -> Option<Token> {
        Some(match name {
            "WORD" => Token::Word,
            "NUMBER" | "BASE10NUM" => Token::Number,
            "INT" => Token::Int,
            "POSINT" => Token::PosInt,
            "NONNEGINT" => Token::NonNegInt,
            "IPV4" => Token::IpV4,
            "IP" => Token::Ip,
            "HOSTNAME" => Token::HostName,
            "IPORHOST" => Token::IpOrHost,
            "QUOTEDSTRING" | "QS" => Token::QuotedString,
            "HTTPDUSER" => Token::HttpUser,
            "HTTPDATE" => Token::HttpDate,
            "SYSLOGTIMESTAMP" => Token::SyslogTimestamp,
            "TIMESTAMP_ISO8601" => Token::TimestampIso8601,
            _ => return None,
        })
    }

    /// Matches at `at`.
    #[inline]
    pub(super) fn run(self, text: &[u8], at: usize) -> End {
        match self {
            Token::Word => word(text, at),
            Token::Number => number(text, at),
            Token::Int => int(text, at),
            Token::PosInt if matches!(text.get(at), Some(b'1'..=b'9')) => integer(text, at),
            Token::PosInt => End::FAIL,
            Token::NonNegInt => integer(text, at),
            Token::IpV4 => ipv4(text, at),
            Token::Ip => ip(text, at),
            Token::HostName => host_name(text, at),
            Token::IpOrHost => match ip(text, at) {
                End::FAIL => host_name(text, at),
                end => end.at().map_or(end, End::first),
            },
            Token::QuotedString => quoted(text, at),
            Token::HttpUser => http_user(text, at),
            Token::HttpDate => http_date(text, at).unwrap_or(End::UNKNOWN),
            Token::SyslogTimestamp => syslog_timestamp(text, at).unwrap_or(End::UNKNOWN),
            Token::TimestampIso8601 => iso8601(text, at).unwrap_or(End::UNKNOWN),
        }
    }
}

#[inline(always)]
fn run_of(text: &[u8], mut at: usize, class: u8) -> usize {
    while at < text.len() && CLASSES[text[at] as usize] & class != 0 {
        at += 1;
    }
    at
}

#[inline(always)]
fn is(text: &[u8], at: usize, class: u8) -> bool {
    text.get(at).is_some_and(|&b| CLASSES[b as usize] & class != 0)
}

/// Whether there is a word's boundary before a word character at `at`.
#[inline]
fn word_starts(text: &[u8], at: usize) -> bool {
    at == 0 || !is(text, at - 1, WORD)
}

/// `\b\w+\b`
#[inline]
fn word(text: &[u8], at: usize) -> End {
    let end = run_of(text, at, WORD);
    if end == at || !word_starts(text, at) {
        return End::FAIL;
    }
    End::only(end)
}

/// `\b[0-9]+\b`
#[inline]
fn integer(text: &[u8], at: usize) -> End {
    let end = run_of(text, at, DIGIT);
    if end == at || !word_starts(text, at) || is(text, end, WORD) {
        return End::FAIL;
    }
    End::only(end)
}

/// `[+-]?[0-9]+`
#[inline]
fn int(text: &[u8], at: usize) -> End {
    let start = at + usize::from(matches!(text.get(at), Some(b'+' | b'-')));
    let end = run_of(text, start, DIGIT);
    if end == start { End::FAIL } else { End::first(end) }
}

/// `(?<![0-9.+-])(?>[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+))`: atomic, so there is no other end.
#[inline]
fn number(text: &[u8], at: usize) -> End {
    if at > 0 && matches!(text[at - 1], b'0'..=b'9' | b'.' | b'+' | b'-') {
        return End::FAIL;
    }
    let start = at + usize::from(matches!(text.get(at), Some(b'+' | b'-')));
    let digits = |from: usize| run_of(text, from.min(text.len()), DIGIT);
    let mut end = digits(start);
    let whole = end > start;
    if text.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    } else if !whole {
        return End::FAIL;
    }
    End::only(end)
}

/// Four octets, each all the digits there are, since a dot or no digit must follow.
#[inline]
fn ipv4(text: &[u8], at: usize) -> End {
    if at > 0 && text[at - 1].is_ascii_digit() {
        return End::FAIL;
    }
    let mut at = at;
    for octet in 0..4 {
        if octet > 0 {
            if text.get(at) != Some(&b'.') {
                return End::FAIL;
            }
            at += 1;
        }
        let (mut value, start) = (0u32, at);
        while let Some(digit @ b'0'..=b'9') = text.get(at) {
            value = value * 10 + u32::from(digit - b'0');
            at += 1;
            if at - start > 3 {
                return End::FAIL;
            }
        }
        if at == start || value > 255 {
            return End::FAIL;
        }
    }
    End::only(at)
}

/// Every form of IPv6 begins with a colon or up to four hexadecimal digits and a colon.
#[inline]
fn ip(text: &[u8], at: usize) -> End {
    let digits = text[at..].iter().take(5).take_while(|b| b.is_ascii_hexdigit()).count();
    if digits <= 4 && text.get(at + digits) == Some(&b':') {
        return End::UNKNOWN;
    }
    ipv4(text, at)
}

/// Labels of letters, digits and dashes, up to 63 bytes each, and a dot at the end.
#[inline]
fn host_name(text: &[u8], at: usize) -> End {
    if !is(text, at, LABEL) || text[at] == b'-' || !word_starts(text, at) {
        return End::FAIL;
    }
    let mut start = at;
    loop {
        let end = run_of(text, start, LABEL);
        if end - start > 63 {
            return End::UNKNOWN;
        }
        if text.get(end) != Some(&b'.') {
            return End::first(end);
        }
        if !is(text, end + 1, LABEL) || text[end + 1] == b'-' {
            return End::first(end + 1);
        }
        start = end + 1;
    }
}

/// Between quotes of one of three kinds, with escapes; atomic.
#[inline]
fn quoted(text: &[u8], at: usize) -> End {
    let Some(&quote @ (b'"' | b'\'' | b'`')) = text.get(at) else { return End::FAIL };
    if at > 0 && text[at - 1] == b'\\' {
        return End::FAIL;
    }
    let mut from = at + 1;
    loop {
        match memchr::memchr2(quote, b'\\', &text[from..]) {
            None => return End::FAIL,
            Some(found) if text[from + found] == quote => return End::only(from + found + 1),
            Some(found) if from + found + 1 < text.len() => from += found + 2,
            Some(_) => return End::FAIL,
        }
    }
}

/// `EMAILADDRESS|USER`: an address needs an `@` behind what its first part may hold.
#[inline]
fn http_user(text: &[u8], at: usize) -> End {
    let end = run_of(text, at, USER);
    if end < text.len() && !is_space(text[end]) && run_to_at(text, end) {
        return End::UNKNOWN;
    }
    if end == at { End::FAIL } else { End::first(end) }
}

fn run_to_at(text: &[u8], at: usize) -> bool {
    text.get(run_of(text, at, LOCAL)) == Some(&b'@')
}

fn two(text: &[u8], at: usize) -> Option<u32> {
    match text.get(at..at + 2)? {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(u32::from(a - b'0') * 10 + u32::from(b - b'0')),
        _ => None,
    }
}

fn digit_at(text: &[u8], at: usize) -> bool {
    is(text, at, DIGIT)
}

/// An English month of three letters with a boundary behind it.
fn month(text: &[u8], at: usize) -> Option<usize> {
    let name: &[u8; 3] = text.get(at..at + 3)?.try_into().ok()?;
    let known = matches!(
        name,
        b"Jan" | b"Feb" | b"Mar" | b"Apr" | b"May" | b"Jun" | b"Jul" | b"Aug" | b"Sep" | b"Oct" | b"Nov" | b"Dec"
    );
    (known && word_starts(text, at) && !is(text, at + 3, WORD)).then_some(at + 3)
}

/// `HH:MM:SS`.
fn time(text: &[u8], at: usize) -> Option<usize> {
    let fits = two(text, at)? < 24
        && text.get(at + 2) == Some(&b':')
        && two(text, at + 3)? < 60
        && text.get(at + 5) == Some(&b':')
        && two(text, at + 6)? < 60;
    fits.then_some(at + 8)
}

/// `24/Feb/2015:23:13:42 +0000`, as every server writes it; other forms are left to the pattern.
fn http_date(text: &[u8], at: usize) -> Option<End> {
    let day = two(text, at)?;
    let fits = (1..=31).contains(&day)
        && text.get(at + 2) == Some(&b'/')
        && month(text, at + 3).is_some()
        && text.get(at + 6) == Some(&b'/')
        && two(text, at + 7).is_some()
        && two(text, at + 9).is_some()
        && text.get(at + 11) == Some(&b':')
        && time(text, at + 12).is_some()
        && text.get(at + 20) == Some(&b' ')
        && matches!(text.get(at + 21), Some(b'+' | b'-'))
        && digit_at(text, at + 22);
    fits.then(|| End::first(run_of(text, at + 22, DIGIT)))
}

/// `Mar 16 00:01:25`, with one more space before a day of one digit.
fn syslog_timestamp(text: &[u8], at: usize) -> Option<End> {
    let spaces = month(text, at)?;
    let day = spaces + text[spaces..].iter().take_while(|&&b| b == b' ').count();
    let behind = match (text.get(day)?, text.get(day + 1)?) {
        (b'1'..=b'9', b' ') => day + 1,
        (b'0'..=b'3', b'0'..=b'9') if (1..=31).contains(&two(text, day)?) => day + 2,
        _ => return None,
    };
    if day == spaces || text.get(behind) != Some(&b' ') {
        return None;
    }
    let end = fraction(text, time(text, behind + 1)?);
    (!digit_at(text, end)).then_some(End::first(end))
}

/// `(?:[:.,][0-9]+)?`
fn fraction(text: &[u8], at: usize) -> usize {
    let sign = matches!(text.get(at), Some(b':' | b'.' | b','));
    if sign && digit_at(text, at + 1) { run_of(text, at + 1, DIGIT) } else { at }
}

/// `2015-05-08T01:00:00.123+02:00`, in full; other forms are left to the pattern.
fn iso8601(text: &[u8], at: usize) -> Option<End> {
    let fits = two(text, at).is_some()
        && two(text, at + 2).is_some()
        && text.get(at + 4) == Some(&b'-')
        && (1..=12).contains(&two(text, at + 5)?)
        && text.get(at + 7) == Some(&b'-')
        && (1..=31).contains(&two(text, at + 8)?)
        && matches!(text.get(at + 10), Some(b'T' | b' '));
    if !fits {
        return None;
    }
    let end = fraction(text, time(text, at + 11)?);
    let end = match text.get(end) {
        Some(b'Z') => end + 1,
        Some(b'+' | b'-') => {
            let colon = usize::from(text.get(end + 3) == Some(&b':'));
            if two(text, end + 1)? > 23 || two(text, end + 3 + colon)? > 59 {
                return None;
            }
            end + 5 + colon
        }
        _ => end,
    };
    Some(End::first(end))
}
