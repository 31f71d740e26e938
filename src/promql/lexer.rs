//! Cuts the text of an expression into tokens.

use super::ast::Span;
use super::{Mistake, duration};
use crate::series::notation::parse_number;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name or keyword; the name of a metric may hold colons.
    Word(String),
    /// A number.
    Number(f64),
    /// A duration such as `5m`, in milliseconds.
    Duration(i64),
    /// A text without its quotes.
    Text(String),
    /// An operator, bracket or other sign.
    Sign(&'static str),
    /// The end of the text.
    End,
}

impl Token {
    /// What a message calls it.
    pub fn describe(&self) -> String {
        match self {
            Token::Word(word) => format!("`{word}`"),
            Token::Number(number) => format!("the number {}", crate::series::notation::number(*number)),
            Token::Duration(_) => "a duration".to_owned(),
            Token::Text(text) => format!("the string {}", crate::series::notation::quoted(text)),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end".to_owned(),
        }
    }
}

/// The signs, longer ones before their beginnings.
const SIGNS: [&str; 27] = [
    "=~", "!~", "==", "!=", ">=", "<=", "</", ">/", "+", "-", "*", "/", "%", "^", "=", ">", "<", "(", ")", "{", "}",
    "[", "]", ",", "@", ":", "!",
];

/// Cuts a text into tokens with their places; the last one is [`Token::End`].
pub fn tokens(text: &str) -> Result<Vec<(Token, Span)>, Mistake> {
    let mut lexer = Lexer { text, at: 0, brackets: 0 };
    let mut all = Vec::new();
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        let token = lexer.next()?;
        let end = token == Token::End;
        all.push((token, start..lexer.at));
        if end {
            return Ok(all);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Depth of `[`: within, a colon stands between range and step.
    brackets: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        loop {
            let blanks = self.rest().len() - self.rest().trim_start().len();
            self.at += blanks;
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn next(&mut self) -> Result<Token, Mistake> {
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        match first {
            '"' | '\'' | '`' => return self.text_token(first),
            '0'..='9' => return self.number(),
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => return self.number(),
            _ => {}
        }
        let colon = self.brackets == 0;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
        if is_word(first) {
            let len = self.rest().find(|c| !is_word(c)).unwrap_or(self.rest().len());
            self.at += len;
            let word = &self.text[start..self.at];
            return Ok(match word.to_ascii_lowercase().as_str() {
                "inf" => Token::Number(f64::INFINITY),
                "nan" => Token::Number(f64::NAN),
                _ => Token::Word(word.to_owned()),
            });
        }
        let sign = SIGNS.iter().find(|sign| self.rest().starts_with(**sign));
        let Some(sign) = sign else {
            let end = start + first.len_utf8();
            return Err(Mistake::new(format!("unexpected character `{first}`"), start..end));
        };
        self.at += sign.len();
        match *sign {
            "[" => self.brackets += 1,
            "]" => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        Ok(Token::Sign(sign))
    }

    fn number(&mut self) -> Result<Token, Mistake> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            let word = byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'.';
            let hex = self.text[start..].starts_with("0x") || self.text[start..].starts_with("0X");
            let signed = (*byte == b'+' || *byte == b'-')
                && !hex
                && self.at > start
                && matches!(bytes[self.at - 1], b'e' | b'E')
                && bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit);
            if !word && !signed {
                break;
            }
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        if let Some(number) = parse_number(word) {
            return Ok(Token::Number(number));
        }
        match duration::parse(word) {
            Ok(duration) => Ok(Token::Duration(duration)),
            Err(_) => Err(Mistake::new(format!("bad number or duration `{word}`"), start..self.at)
                .label("a duration is written as `1h30m`, units falling")),
        }
    }

    fn text_token(&mut self, quote: char) -> Result<Token, Mistake> {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(Mistake::new("a string is not closed", start..self.text.len()));
            };
            self.at += c.len_utf8();
            match c {
                c if c == quote => break,
                '\n' if quote != '`' => return Err(Mistake::new("a string is not closed", start..self.at - 1)),
                '\\' if quote != '`' => self.escape(quote, &mut bytes)?,
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        let text = String::from_utf8(bytes);
        text.map(Token::Text).map_err(|_| Mistake::new("a string is no valid UTF-8", start..self.at))
    }

    /// What stands behind a backslash, as in Go.
    fn escape(&mut self, quote: char, out: &mut Vec<u8>) -> Result<(), Mistake> {
        let start = self.at - 1;
        let c = self.rest().chars().next().unwrap_or('\0');
        self.at += c.len_utf8().min(self.rest().len());
        let plain = match c {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' => Some(b'\\'),
            c if c == quote => Some(c as u8),
            _ => None,
        };
        if let Some(byte) = plain {
            out.push(byte);
            return Ok(());
        }
        let (digits, radix) = match c {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => {
                self.at -= 1;
                (3, 8)
            }
            _ => return Err(Mistake::new("unknown escape in a string", start..self.at)),
        };
        let number = self.rest().get(..digits).and_then(|text| u32::from_str_radix(text, radix).ok());
        let number = number.ok_or_else(|| Mistake::new("bad escape in a string", start..self.at))?;
        self.at += digits;
        if matches!(c, 'u' | 'U') {
            let c = char::from_u32(number);
            let c = c.ok_or_else(|| Mistake::new("no character has this number", start..self.at))?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            let byte = u8::try_from(number);
            out.push(byte.map_err(|_| Mistake::new("bad escape in a string", start..self.at))?);
        }
        Ok(())
    }
}
