//! Finds pairs of keys and values in a text: in one pass over the bytes where the separators are
//! sets of plain characters, else with a regular expression.
//!
//! Both find what Logstash's pattern finds. That pattern backtracks; the pass over the bytes says
//! at each place which of its alternatives would win, so that it never goes back.

use crate::regexp::{Flags, MatchError, Regexp, RegexpError, Slots};

/// Separates values.
const VALUE: u8 = 1;
/// Separates pairs.
const FIELD: u8 = 2;

/// How pairs are told from each other, and keys from values.
#[derive(Debug)]
pub(super) struct Separators<'a> {
    /// `field_split`, the inside of a character class.
    pub field: &'a str,
    /// `field_split_pattern`.
    pub field_pattern: Option<&'a str>,
    /// `value_split`, the inside of a character class.
    pub value: &'a str,
    /// `value_split_pattern`.
    pub value_pattern: Option<&'a str>,
    /// `whitespace => lenient`: spaces around the value's separator belong to it.
    pub lenient: bool,
    /// `include_brackets`.
    pub brackets: bool,
}

/// A compiled way to find pairs.
#[derive(Debug)]
pub(super) enum Scan {
    Bytes(Box<Bytes>),
    Regexp(Regexp),
}

/// A pair: byte ranges in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Pair {
    pub key: (usize, usize),
    pub value: (usize, usize),
}

/// How far a search has come in one text.
#[derive(Clone, Copy, Default)]
pub(super) struct State {
    at: usize,
    /// For each kind of quote, whether no closing one is left in the text.
    spent: [bool; 5],
}

impl Scan {
    /// Compiles the separators. The error is that of one of the user's patterns, the limit that
    /// of a pattern's steps.
    pub(super) fn new(separators: &Separators, match_limit: u32) -> Result<Scan, RegexpError> {
        match Bytes::new(separators) {
            Some(bytes) => Ok(Scan::Bytes(Box::new(bytes))),
            None => {
                let flags = Flags { match_limit, ..Flags::default() };
                Ok(Scan::Regexp(Regexp::with_flags(&separators.regexp(), flags)?))
            }
        }
    }

    /// The next pair.
    #[inline]
    pub(super) fn next(&self, text: &str, state: &mut State, slots: &mut Slots) -> Result<Option<Pair>, MatchError> {
        match self {
            Scan::Bytes(bytes) => Ok(bytes.next(text.as_bytes(), state)),
            Scan::Regexp(regexp) => {
                if state.at > text.len() || !regexp.captures_at(text, state.at, slots)? {
                    return Ok(None);
                }
                let (_, end) = slots[0].unwrap_or_default();
                state.at = end;
                let value = slots.iter().skip(2).find_map(|slot| *slot).unwrap_or((end, end));
                Ok(Some(Pair { key: slots[1].unwrap_or_default(), value }))
            }
        }
    }
}

impl Separators<'_> {
    /// The pattern that Logstash makes of them.
    fn regexp(&self) -> String {
        let field = self.field_pattern.map_or_else(|| format!("[{}]", self.field), |p| format!("(?:{p})"));
        let value = self.value_pattern.map_or_else(|| format!("[{}]", self.value), |p| format!("(?:{p})"));
        let value = if self.lenient { format!(" *{value} *") } else { value };
        let key = match (self.field_pattern, self.value_pattern) {
            (None, None) => format!(r"((?:\\.|[^{}{}])+)", self.value, self.field),
            _ => format!(r"((?:(?!(?:{value})|{field})(?:\\.|.))+)"),
        };
        let mut values = String::new();
        for (open, close) in &QUOTES[..if self.brackets { 5 } else { 2 }] {
            let escaped = |mark: u8| format!("{}{}", if b"()[]".contains(&mark) { "\\" } else { "" }, char::from(mark));
            let (open, close) = (escaped(*open), escaped(*close));
            values.push_str(&format!(r"{open}((?:\\.|[^{close}])+)?{close}|"));
        }
        values.push_str(&match self.field_pattern {
            Some(_) => format!(r"((?:(?!{field})(?:\\.|.))+)"),
            None => format!(r"((?:\\.|[^{}])+)", self.field),
        });
        format!("{key}{value}(?:{values})?(?:{field}|$)")
    }
}

/// Opening and closing marks of a value; the first two count without `include_brackets` too.
const QUOTES: [(u8, u8); 5] = [(b'"', b'"'), (b'\'', b'\''), (b'(', b')'), (b'[', b']'), (b'<', b'>')];

/// Both separators are sets of ASCII characters.
pub(super) struct Bytes {
    class: [u8; 256],
    lenient: bool,
    quotes: usize,
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes(lenient: {}, quotes: {})", self.lenient, self.quotes)
    }
}

/// The characters that the inside of a character class names, where that is a plain list of ASCII
/// characters; `None` where it has a range, another class or anything else that needs a pattern.
pub(super) fn plain_set(class: &str) -> Option<Vec<u8>> {
    let (mut set, mut bytes) = (Vec::new(), class.bytes());
    while let Some(byte) = bytes.next() {
        set.push(match byte {
            b'\\' => match bytes.next()? {
                b't' => b'\t',
                b'n' => b'\n',
                b'r' => b'\r',
                b'f' => 0x0c,
                b'v' => 0x0b,
                escaped if escaped.is_ascii_punctuation() => escaped,
                _ => return None,
            },
            b'[' | b']' | b'-' | 128.. => return None,
            b'^' if set.is_empty() => return None,
            b'&' if set.last() == Some(&b'&') => return None,
            plain => plain,
        });
    }
    (!set.is_empty()).then_some(set)
}

impl Bytes {
    fn new(separators: &Separators) -> Option<Bytes> {
        if separators.field_pattern.is_some() || separators.value_pattern.is_some() {
            return None;
        }
        let (value, field) = (plain_set(separators.value)?, plain_set(separators.field)?);
        // A backslash that separates escapes nothing; `a&` and `&b` make an operator when joined.
        let both = [&value[..], &field[..]].concat();
        if both.contains(&b'\\') || both.windows(2).any(|pair| pair == b"&&") {
            return None;
        }
        let mut class = [0; 256];
        value.iter().for_each(|&byte| class[usize::from(byte)] |= VALUE);
        field.iter().for_each(|&byte| class[usize::from(byte)] |= FIELD);
        Some(Bytes { class, lenient: separators.lenient, quotes: if separators.brackets { 5 } else { 2 } })
    }

    #[inline(always)]
    fn is(&self, text: &[u8], at: usize, class: u8) -> bool {
        text.get(at).is_some_and(|&byte| self.class[usize::from(byte)] & class != 0)
    }

    fn next(&self, text: &[u8], state: &mut State) -> Option<Pair> {
        let mut start = state.at;
        loop {
            while self.is(text, start, VALUE | FIELD) {
                start += 1;
            }
            if start >= text.len() {
                state.at = text.len();
                return None;
            }
            let (end, split) = self.key(text, start);
            if let Some((end, behind)) = split {
                let (value, behind) = self.value(text, behind, &mut state.spent);
                state.at = behind;
                return Some(Pair { key: (start, end), value });
            }
            // A key that starts further behind would end at the same place.
            start = end;
        }
    }

    /// Where the text that can be part of the key at `start` ends; and, if a separator of key
    /// and value follows, the key's end and the place behind the separator.
    #[inline]
    fn key(&self, text: &[u8], start: usize) -> (usize, Option<(usize, usize)>) {
        // The last separator of values that is escaped.
        let (mut at, mut escaped) = (start, None);
        loop {
            while let Some(&byte) = text.get(at) {
                if byte == b'\\' && escapes(text, at) {
                    if self.is(text, at + 1, VALUE) {
                        escaped = Some(at + 1);
                    }
                    at += 2;
                } else if self.class[usize::from(byte)] != 0 {
                    break;
                } else {
                    at += 1;
                }
            }
            if let Some(behind) = self.value_split(text, at) {
                return (at, Some((at, behind)));
            }
            // Of two backslashes before it, the second can escape what ended the key instead of
            // being escaped by the first.
            if slashes(&text[start..at.min(text.len())]) >= 2 && text.get(at).is_some_and(|&byte| byte != b'\n') {
                at += 1;
                continue;
            }
            // Without any separator behind the key, one in it counts though it is escaped: the
            // backslash then stands for itself.
            return (at, escaped.and_then(|at| Some((at, self.value_split(text, at)?))));
        }
    }

    /// The place behind the separator of key and value at `at`.
    #[inline]
    fn value_split(&self, text: &[u8], at: usize) -> Option<usize> {
        if !self.lenient {
            return self.is(text, at, VALUE).then_some(at + 1);
        }
        let spaces = |from: usize| from + text[from..].iter().take_while(|&&byte| byte == b' ').count();
        let behind = spaces(at);
        if self.is(text, behind, VALUE) {
            Some(spaces(behind + 1))
        } else {
            (behind > at && self.class[usize::from(b' ')] & VALUE != 0).then_some(behind)
        }
    }

    /// The value at `at`, and where the next pair may begin.
    #[inline]
    fn value(&self, text: &[u8], at: usize, spent: &mut [bool; 5]) -> ((usize, usize), usize) {
        let Some(&first) = text.get(at) else { return ((at, at), at) };
        if let Some(kind) = QUOTES[..self.quotes].iter().position(|(open, _)| *open == first)
            && let Some(close) = self.quoted(text, at + 1, QUOTES[kind].1, &mut spent[kind])
        {
            let behind = close + 1;
            return ((at + 1, close), behind + usize::from(self.is(text, behind, FIELD)));
        }
        let mut end = at;
        while let Some(&byte) = text.get(end) {
            if byte == b'\\' && escapes(text, end) {
                end += 2;
            } else if self.class[usize::from(byte)] & FIELD != 0 {
                return ((at, end), end + 1);
            } else {
                end += 1;
            }
        }
        ((at, end), end)
    }

    /// The mark that closes the quoted value at `at`: a pair must end behind it. An escaped mark
    /// closes only where no later one does.
    fn quoted(&self, text: &[u8], at: usize, close: u8, spent: &mut bool) -> Option<usize> {
        if *spent {
            return None;
        }
        let (mut from, mut last) = (at, None);
        while let Some(found) = memchr::memchr(close, &text[from..]) {
            let mark = from + found;
            let ends =
                text.get(mark + 1).is_none_or(|&byte| byte == b'\n' || self.class[usize::from(byte)] & FIELD != 0);
            match slashes(&text[at..mark]) {
                0 => return if ends { Some(mark) } else { last },
                even if even % 2 == 0 && ends => return Some(mark),
                odd if odd % 2 == 1 && ends => last = Some(mark),
                _ => {}
            }
            from = mark + 1;
        }
        *spent = from == at;
        last
    }
}

/// Whether the backslash at `at` escapes what follows it: anything but a newline.
#[inline(always)]
fn escapes(text: &[u8], at: usize) -> bool {
    text.get(at + 1).is_some_and(|&byte| byte != b'\n')
}

/// How many backslashes a text ends in.
#[inline]
fn slashes(text: &[u8]) -> usize {
    text.iter().rev().take_while(|&&byte| byte == b'\\').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regexp::MATCH_LIMIT;
    use proptest::prelude::*;

    fn all<'t>(scan: &Scan, text: &'t str) -> Vec<(&'t str, &'t str)> {
        let (mut state, mut slots, mut found) = (State::default(), Slots::new(), Vec::new());
        while let Some(pair) = scan.next(text, &mut state, &mut slots).unwrap() {
            found.push((&text[pair.key.0..pair.key.1], &text[pair.value.0..pair.value.1]));
        }
        found
    }

    fn separators<'a>(field: &'a str, value: &'a str, lenient: bool, brackets: bool) -> Separators<'a> {
        Separators { field, field_pattern: None, value, value_pattern: None, lenient, brackets }
    }

    #[test]
    fn what_is_a_plain_set() {
        let check = |class: &str, want: Option<&[u8]>| assert_eq!(plain_set(class).as_deref(), want, "{class}");
        check("?&", Some(b"?&"));
        check(r"\t|", Some(b"\t|"));
        check(r"\|\]", Some(b"|]"));
        for class in ["", "a-z", "^=", "[:alpha:]", "&&", r"\s", r"\d", "：", "\\"] {
            check(class, None);
        }
    }

    #[test]
    fn escapes_and_quotes() {
        let check = |text: &str, want: &[(&str, &str)]| {
            let scan = Scan::new(&separators(" ", "=", true, true), MATCH_LIMIT).unwrap();
            assert_eq!(all(&scan, text), want, "{text}");
        };
        check(r#"a="x y"b c=1"#, &[("a", "\"x"), ("c", "1")]);
        check(r#"a="x \" y" b=1"#, &[("a", r#"x \" y"#), ("b", "1")]);
        check(r#"a="x \" y b=1"#, &[("a", r"x \"), ("b", "1")]);
        check(r"a\=b=c", &[(r"a\=b", "c")]);
        check(r"a\=b", &[(r"a\", "b")]);
        check(r"a\\ b=1", &[(r"a\\ b", "1")]);
        check("a=", &[("a", "")]);
        check("a=(b", &[("a", "(b")]);
    }

    /// Texts of the characters that mean something.
    fn texts() -> impl Strategy<Value = String> {
        proptest::string::string_regex(r#"[ab=:,"'()\[\]<>\\ |é\n]{0,24}"#).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn bytes_find_what_the_pattern_finds(
            text in texts(),
            field in prop::sample::select(vec![" ", "|", ", ", "\\n", " =", ":"]),
            value in prop::sample::select(vec!["=", ":", "=:", " ", " ="]),
            lenient: bool,
            brackets: bool,
        ) {
            let separators = separators(field, value, lenient, brackets);
            let bytes = Scan::Bytes(Box::new(Bytes::new(&separators).unwrap()));
            let regexp = Scan::Regexp(Regexp::new(&separators.regexp()).unwrap());
            prop_assert_eq!(all(&bytes, &text), all(&regexp, &text), "{:?} with {:?}", text, separators);
        }
    }
}
