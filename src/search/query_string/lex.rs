//! Words of Lucene's query language.

/// A word of the language.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text without wildcards; escapes still in it.
    Term(String),
    /// Text with wildcards; escapes still in it.
    Pattern(String),
    Quoted(String),
    Regexp(String),
    Range {
        from: Option<String>,
        to: Option<String>,
        open: bool,
        close: bool,
    },
    And,
    Or,
    Not,
    Plus,
    Minus,
    Left,
    Right,
    Colon,
    /// `~`, with what follows it.
    Tilde(Option<f64>),
    /// `^` with its number.
    Caret(f64),
    End,
}

/// Cuts a query string into words with their places in bytes; the last is [`Token::End`].
pub(super) fn lex(text: &str) -> Result<Vec<(Token, usize)>, String> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.blank();
        let start = lexer.at;
        let token = lexer.token()?;
        let end = token == Token::End;
        tokens.push((token, start));
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{3000}')
}

/// Characters that end a term; `+` and `-` only where they begin one.
fn is_special(c: char) -> bool {
    matches!(c, '!' | '(' | ')' | ':' | '^' | '[' | ']' | '"' | '{' | '}' | '~' | '/') || is_blank(c)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blank(&mut self) {
        self.at += self.rest().chars().take_while(|&c| is_blank(c)).map(char::len_utf8).sum::<usize>();
    }

    fn lexical(&self, what: &str) -> String {
        format!("Lexical error at line 1, column {}.  {what}", self.column(self.at))
    }

    fn column(&self, at: usize) -> usize {
        self.text[..at].chars().count() + 1
    }

    fn token(&mut self) -> Result<Token, String> {
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        let single = match first {
            '+' => Some(Token::Plus),
            '-' => Some(Token::Minus),
            '!' => Some(Token::Not),
            '(' => Some(Token::Left),
            ')' => Some(Token::Right),
            ':' => Some(Token::Colon),
            _ => None,
        };
        if let Some(token) = single {
            self.at += 1;
            return Ok(token);
        }
        match first {
            '"' => Ok(Token::Quoted(self.until('"')?)),
            '/' => Ok(Token::Regexp(self.until('/')?.replace("\\/", "/"))),
            '[' | '{' => self.range(first == '['),
            '~' => {
                self.at += 1;
                Ok(Token::Tilde(self.number()))
            }
            '^' => {
                self.at += 1;
                self.blank();
                self.number().map(Token::Caret).ok_or_else(|| self.lexical("A number must follow ^"))
            }
            ']' | '}' => Err(self.lexical(&format!("Encountered: \"{first}\""))),
            _ => self.word(),
        }
    }

    /// The text up to an unescaped closing `end`, which must come.
    fn until(&mut self, end: char) -> Result<String, String> {
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            if c == end && !escaped {
                let inner = self.rest()[1..at].to_owned();
                self.at += at + 1;
                return Ok(inner);
            }
            escaped = c == '\\' && !escaped;
        }
        self.at = self.text.len();
        Err(self.lexical("Encountered: <EOF> after : \"\""))
    }

    fn number(&mut self) -> Option<f64> {
        let rest = self.rest();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let fraction = match rest[digits..].strip_prefix('.') {
            Some(after) => match after.bytes().take_while(u8::is_ascii_digit).count() {
                0 => 0,
                n => n + 1,
            },
            None => 0,
        };
        let number = rest[..digits + fraction].parse().ok()?;
        self.at += digits + fraction;
        Some(number)
    }

    fn range(&mut self, open: bool) -> Result<Token, String> {
        self.at += 1;
        let from = self.bound()?;
        self.blank();
        if !self.rest().starts_with("TO") {
            return Err(self.lexical("Was expecting: \"TO\""));
        }
        self.at += 2;
        let to = self.bound()?;
        self.blank();
        let close = match self.rest().chars().next() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(self.lexical("Was expecting one of: \"]\" \"}\"")),
        };
        self.at += 1;
        Ok(Token::Range { from, to, open, close })
    }

    /// One end of a range; `*` is none.
    fn bound(&mut self) -> Result<Option<String>, String> {
        self.blank();
        if self.rest().starts_with('"') {
            return Ok(Some(unescape(&self.until('"')?)));
        }
        let rest = self.rest();
        let len = rest.find(|c| is_blank(c) || matches!(c, ']' | '}')).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.lexical("Was expecting one of: <RANGE_QUOTED> <RANGE_GOOP>"));
        }
        self.at += len;
        Ok((&rest[..len] != "*").then(|| unescape(&rest[..len])))
    }

    fn word(&mut self) -> Result<Token, String> {
        let rest = self.rest();
        let (mut len, mut wild) = (0, false);
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                let Some((after, escaped)) = chars.next() else {
                    self.at = self.text.len();
                    return Err(self.lexical("Encountered: <EOF> after : \"\\\\\""));
                };
                len = after + escaped.len_utf8();
                continue;
            }
            if is_special(c) {
                break;
            }
            wild |= matches!(c, '*' | '?');
            len = at + c.len_utf8();
        }
        self.at += len;
        let word = &rest[..len];
        Ok(match word {
            "AND" | "&&" => Token::And,
            "OR" | "||" => Token::Or,
            "NOT" => Token::Not,
            _ if wild => Token::Pattern(word.to_owned()),
            _ => Token::Term(word.to_owned()),
        })
    }
}

/// Takes the backslashes away.
pub(super) fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}
