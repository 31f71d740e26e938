//! The parts of the well-known patterns that a regular expression finds dearly, by hand.
//!
//! Each function answers for the built-in definition of its pattern, on ASCII text: where the
//! match ends that the regular expression would try first, or that there is none, or that it
//! can't say. Property tests compare them with the definitions.

use super::tree::is_space;

/// A match's end, and whether the pattern could match here in no other way.
pub(super) struct End {
    pub(super) at: usize,
    pub(super) only: bool,
}

/// Why there is no end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// The pattern does not match here, in whatever way.
    Fail,
    /// The regular expression must say.
    Unknown,
}

/// A pattern with a function of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Word,
    Number,
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
    pub(super) fn run(self, text: &[u8], at: usize) -> Result<End, Stop> {
        match self {
            Token::Word => word(text, at),
            Token::Number => number(text, at),
            Token::PosInt if matches!(text.get(at), Some(b'1'..=b'9')) => integer(text, at),
            Token::PosInt => Err(Stop::Fail),
            Token::NonNegInt => integer(text, at),
            Token::IpV4 => ipv4(text, at),
            Token::Ip => ip(text, at),
            Token::HostName => host_name(text, at),
            Token::IpOrHost => ip(text, at).map(ambiguous).or_else(|stop| match stop {
                Stop::Fail => host_name(text, at),
                Stop::Unknown => Err(Stop::Unknown),
            }),
            Token::QuotedString => quoted(text, at),
            Token::HttpUser => http_user(text, at),
            Token::HttpDate => http_date(text, at).ok_or(Stop::Unknown),
            Token::SyslogTimestamp => syslog_timestamp(text, at).ok_or(Stop::Unknown),
            Token::TimestampIso8601 => iso8601(text, at).ok_or(Stop::Unknown),
        }
    }
}

fn ambiguous(end: End) -> End {
    End { only: false, ..end }
}

#[inline]
fn run_of(text: &[u8], at: usize, holds: impl Fn(u8) -> bool) -> usize {
    at + text[at..].iter().position(|&b| !holds(b)).unwrap_or(text.len() - at)
}

#[inline]
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether there is a word's boundary before a word character at `at`.
#[inline]
fn word_starts(text: &[u8], at: usize) -> bool {
    at == 0 || !is_word(text[at - 1])
}

/// `\b\w+\b`
#[inline]
fn word(text: &[u8], at: usize) -> Result<End, Stop> {
    let end = run_of(text, at, is_word);
    if end == at || !word_starts(text, at) {
        return Err(Stop::Fail);
    }
    Ok(End { at: end, only: true })
}

/// `\b[0-9]+\b`
#[inline]
fn integer(text: &[u8], at: usize) -> Result<End, Stop> {
    let end = run_of(text, at, |b| b.is_ascii_digit());
    if end == at || !word_starts(text, at) || text.get(end).is_some_and(|&b| is_word(b)) {
        return Err(Stop::Fail);
    }
    Ok(End { at: end, only: true })
}

/// `(?<![0-9.+-])(?>[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+))`: atomic, so there is no other end.
#[inline]
fn number(text: &[u8], at: usize) -> Result<End, Stop> {
    if at > 0 && matches!(text[at - 1], b'0'..=b'9' | b'.' | b'+' | b'-') {
        return Err(Stop::Fail);
    }
    let start = at + usize::from(matches!(text.get(at), Some(b'+' | b'-')));
    let digits = |from: usize| run_of(text, from.min(text.len()), |b| b.is_ascii_digit());
    let mut end = digits(start);
    let whole = end > start;
    if text.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    } else if !whole {
        return Err(Stop::Fail);
    }
    Ok(End { at: end, only: true })
}

/// Four octets, each all the digits there are, since a dot or no digit must follow.
#[inline]
fn ipv4(text: &[u8], at: usize) -> Result<End, Stop> {
    if at > 0 && text[at - 1].is_ascii_digit() {
        return Err(Stop::Fail);
    }
    let mut at = at;
    for octet in 0..4 {
        if octet > 0 {
            if text.get(at) != Some(&b'.') {
                return Err(Stop::Fail);
            }
            at += 1;
        }
        let (mut value, start) = (0u32, at);
        while let Some(digit @ b'0'..=b'9') = text.get(at) {
            value = value * 10 + u32::from(digit - b'0');
            at += 1;
            if at - start > 3 {
                return Err(Stop::Fail);
            }
        }
        if at == start || value > 255 {
            return Err(Stop::Fail);
        }
    }
    Ok(End { at, only: true })
}

/// Every form of IPv6 begins with a colon or up to four hexadecimal digits and a colon.
#[inline]
fn ip(text: &[u8], at: usize) -> Result<End, Stop> {
    let digits = text[at..].iter().take(5).take_while(|b| b.is_ascii_hexdigit()).count();
    if digits <= 4 && text.get(at + digits) == Some(&b':') {
        return Err(Stop::Unknown);
    }
    ipv4(text, at)
}

/// Labels of letters, digits and dashes, up to 63 bytes each, and a dot at the end.
#[inline]
fn host_name(text: &[u8], at: usize) -> Result<End, Stop> {
    let label = |at: usize| {
        let end = run_of(text, at, |b| b.is_ascii_alphanumeric() || b == b'-');
        let dash = text.get(at) == Some(&b'-');
        if end == at || dash {
            Err(Stop::Fail)
        } else if end - at > 63 {
            Err(Stop::Unknown)
        } else {
            Ok(end)
        }
    };
    let mut end = label(at)?;
    if !word_starts(text, at) {
        return Err(Stop::Fail);
    }
    while text.get(end) == Some(&b'.') {
        match label(end + 1) {
            Ok(next) => end = next,
            Err(Stop::Fail) => return Ok(End { at: end + 1, only: false }),
            Err(Stop::Unknown) => return Err(Stop::Unknown),
        }
    }
    Ok(End { at: end, only: false })
}

/// Between quotes of one of three kinds, with escapes; atomic.
#[inline]
fn quoted(text: &[u8], at: usize) -> Result<End, Stop> {
    let Some(&quote @ (b'"' | b'\'' | b'`')) = text.get(at) else { return Err(Stop::Fail) };
    if at > 0 && text[at - 1] == b'\\' {
        return Err(Stop::Fail);
    }
    let mut from = at + 1;
    loop {
        match memchr::memchr2(quote, b'\\', &text[from..]) {
            None => return Err(Stop::Fail),
            Some(found) if text[from + found] == quote => return Ok(End { at: from + found + 1, only: true }),
            Some(found) if from + found + 1 < text.len() => from += found + 2,
            Some(_) => return Err(Stop::Fail),
        }
    }
}

/// `EMAILADDRESS|USER`: an address needs an `@` behind what its first part may hold.
#[inline]
fn http_user(text: &[u8], at: usize) -> Result<End, Stop> {
    let end = run_of(text, at, |b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if end < text.len() && !is_space(text[end]) && run_to_at(text, end) {
        return Err(Stop::Unknown);
    }
    if end == at { Err(Stop::Fail) } else { Ok(End { at: end, only: false }) }
}

fn run_to_at(text: &[u8], at: usize) -> bool {
    let local = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    text.get(run_of(text, at, local)) == Some(&b'@')
}

fn two(text: &[u8], at: usize) -> Option<u32> {
    match text.get(at..at + 2)? {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(u32::from(a - b'0') * 10 + u32::from(b - b'0')),
        _ => None,
    }
}

fn digit_at(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(u8::is_ascii_digit)
}

/// An English month of three letters with a boundary behind it.
fn month(text: &[u8], at: usize) -> Option<usize> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let name: &[u8; 3] = text.get(at..at + 3)?.try_into().ok()?;
    (MONTHS.contains(&name) && word_starts(text, at) && !text.get(at + 3).is_some_and(|&b| is_word(b)))
        .then_some(at + 3)
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
    fits.then(|| End { at: run_of(text, at + 22, |b| b.is_ascii_digit()), only: false })
}

/// `Mar 16 00:01:25`, with one more space before a day of one digit.
fn syslog_timestamp(text: &[u8], at: usize) -> Option<End> {
    let spaces = month(text, at)?;
    let day = run_of(text, spaces, |b| b == b' ');
    let behind = match (text.get(day)?, text.get(day + 1)?) {
        (b'1'..=b'9', b' ') => day + 1,
        (b'0'..=b'3', b'0'..=b'9') if (1..=31).contains(&two(text, day)?) => day + 2,
        _ => return None,
    };
    if day == spaces || text.get(behind) != Some(&b' ') {
        return None;
    }
    let end = fraction(text, time(text, behind + 1)?);
    (!digit_at(text, end)).then_some(End { at: end, only: false })
}

/// `(?:[:.,][0-9]+)?`
fn fraction(text: &[u8], at: usize) -> usize {
    let sign = matches!(text.get(at), Some(b':' | b'.' | b','));
    if sign && digit_at(text, at + 1) { run_of(text, at + 1, |b| b.is_ascii_digit()) } else { at }
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
    Some(End { at: end, only: false })
}
