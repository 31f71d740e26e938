//! Words, texts, numbers and signs of the language, cut from a text one at a time.
//!
//! What a `[` or a `/` begins depends on where it stands, so the parser asks for what it
//! expects instead of getting a list of tokens. Each method follows the rule of the same name
//! in Logstash's `lscl_grammar.treetop`; none moves on when it finds nothing.

use super::ast::Quoted;
use crate::diagnostic::Place;

/// A place in the text of one file.
pub(super) struct Lexer<'t> {
    text: &'t str,
    file: u32,
    at: usize,
    /// Where the last text that spans lines begins and ends: if a quote is missing, it is
    /// probably there.
    pub(super) long_text: Option<(usize, usize)>,
}

/// A quote or slash without its partner.
pub(super) struct Unclosed;

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str, file: u32) -> Lexer<'t> {
        // A byte order mark is no part of what was written.
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Lexer { text, file, at, long_text: None }
    }

    /// Offset of the next character.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Goes back to an offset.
    pub(super) fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    /// The place from `start` up to here.
    pub(super) fn place(&self, start: usize) -> Place {
        Place { file: self.file, start: start as u32, end: self.at as u32 }
    }

    /// The place of the next word or character, for messages about it.
    pub(super) fn place_ahead(&self) -> Place {
        let rest = self.rest();
        let word = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let len = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
        Place { file: self.file, start: self.at as u32, end: (self.at + len) as u32 }
    }

    /// The text from here on.
    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// The next character.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// All of the text.
    pub(super) fn whole(&self) -> &'t str {
        self.text
    }

    /// The text between two offsets.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'t str {
        &self.text[start..end]
    }

    /// The number of the line in which an offset stands, from 1 on.
    pub(super) fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// Skips one character.
    pub(super) fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    /// Skips white space and comments.
    pub(super) fn space(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            if !self.rest().starts_with('#') {
                return;
            }
            let rest = self.rest();
            self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
        }
    }

    /// Takes a sign such as `=>`.
    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// Takes a name: letters, digits, `_` and `-`.
    pub(super) fn name(&mut self) -> Option<&'t str> {
        self.take(|rest| rest.find(|c| !is_name(c)).unwrap_or(rest.len()))
    }

    /// Takes letters, digits and `_` that begin with none of the digits; of any length, so that
    /// the parser can speak about those that are too short to be a bareword.
    pub(super) fn bareword(&mut self) -> Option<&'t str> {
        self.take(|rest| match rest.chars().next() {
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len())
            }
            _ => 0,
        })
    }

    /// Takes a number: `-`, digits, a point and digits.
    pub(super) fn number(&mut self) -> Option<&'t str> {
        self.take(|rest| {
            let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
            let sign = usize::from(rest.starts_with('-'));
            let whole = digits(sign);
            match rest.as_bytes().get(sign + whole) {
                _ if whole == 0 => 0,
                Some(b'.') => sign + whole + 1 + digits(sign + whole + 1),
                _ => sign + whole,
            }
        })
    }

    /// Takes a field reference: `[a][b]`.
    pub(super) fn selector(&mut self) -> Option<&'t str> {
        self.take(|rest| {
            let mut len = 0;
            while rest[len..].starts_with('[') {
                let inner = &rest[len + 1..];
                match inner.find(['[', ']', ',']) {
                    Some(end) if end > 0 && inner[end..].starts_with(']') => len += end + 2,
                    _ => break,
                }
            }
            len
        })
    }

    /// Takes a text between quotes. A backslash before a quote keeps it from ending the text,
    /// whatever stands before the backslash.
    pub(super) fn quoted(&mut self) -> Option<Result<Quoted, Unclosed>> {
        let quote = self.peek().filter(|c| matches!(c, '"' | '\''))?;
        let start = self.at;
        Some(self.until(quote).map(|raw| {
            if raw.contains('\n') {
                self.long_text = Some((start, self.at));
            }
            Quoted { quote, raw: raw.to_owned() }
        }))
    }

    /// Takes a regular expression between slashes.
    pub(super) fn regexp(&mut self) -> Option<Result<&'t str, Unclosed>> {
        self.peek().filter(|&c| c == '/')?;
        Some(self.until('/'))
    }

    /// Takes `qTEXTq`; `\q` does not end it.
    fn until(&mut self, end: char) -> Result<&'t str, Unclosed> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut at = start;
        while let Some(&byte) = bytes.get(at) {
            if byte == b'\\' && bytes.get(at + 1) == Some(&(end as u8)) {
                at += 2;
            } else if byte == end as u8 {
                self.at = at + 1;
                return Ok(&self.text[start..at]);
            } else {
                at += 1;
            }
        }
        Err(Unclosed)
    }

    fn take(&mut self, len: impl FnOnce(&'t str) -> usize) -> Option<&'t str> {
        let rest = self.rest();
        let len = len(rest);
        self.at += len;
        (len > 0).then(|| &rest[..len])
    }
}

/// Whether a character may stand in a name.
pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_words() {
        let check = |text: &str, take: fn(&mut Lexer<'_>) -> Option<String>, want: Option<&str>| {
            assert_eq!(take(&mut Lexer::new(text, 0)).as_deref(), want, "{text}");
        };
        let number = |l: &mut Lexer<'_>| l.number().map(str::to_owned);
        check("12", number, Some("12"));
        check("-3.50 ", number, Some("-3.50"));
        check("1.", number, Some("1."));
        check("-", number, None);
        check(".5", number, None);
        let selector = |l: &mut Lexer<'_>| l.selector().map(str::to_owned);
        check("[a][b c] x", selector, Some("[a][b c]"));
        check("[\"a\"]", selector, Some("[\"a\"]"));
        check("[1, 2]", selector, None);
        check("[]", selector, None);
        check("[a", selector, None);
        check("[a][1,2]", selector, Some("[a]"));
        let quoted = |l: &mut Lexer<'_>| l.quoted().and_then(|q| q.ok()).map(|q| q.raw);
        check(r#""a\"b" c"#, quoted, Some(r#"a\"b"#));
        check(r#"'it"s'"#, quoted, Some(r#"it"s"#));
        check(r#""ends in \""#, quoted, None);
        check(r#""\\" "#, quoted, None);
        let regexp = |l: &mut Lexer<'_>| l.regexp().and_then(|q| q.ok()).map(str::to_owned);
        check(r"/\/var/ {", regexp, Some(r"\/var"));
        check("/x", regexp, None);
    }

    #[test]
    fn space_and_comments_are_skipped() {
        let mut lexer = Lexer::new("\u{feff} # one\r\n\t# two } \"\nx # end", 0);
        lexer.space();
        assert_eq!(lexer.name(), Some("x"));
        lexer.space();
        assert!(lexer.at_end());
    }
}
