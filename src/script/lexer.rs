//! Code to tokens.

use super::ScriptError;

/// A part of a text in double quotes.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Part {
    Text(String),
    /// What stands in `#{…}`.
    Code(Vec<Token>),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    Int(i64),
    Float(f64),
    Text(Vec<Part>),
    /// `:name`
    Symbol(String),
    /// A name that begins with a small letter; `?` or `!` at its end belong to it.
    Name(String),
    /// A name that begins with a capital.
    Constant(String),
    Op(&'static str),
    /// A line's end or `;`.
    End,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
    /// Whether white space stands before it.
    pub(super) spaced: bool,
}

/// Longer ones first.
const OPS: &[&str] = &[
    "||=", "&&=", "**=", "<=>", "===", "...", "::", "==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "=~", "!~", "+=",
    "-=", "*=", "/=", "%=", "=>", "->", "&.", "**", "..", "+", "-", "*", "/", "%", "<", ">", "=", "!", "?", ":", "(",
    ")", "[", "]", "{", "}", "|", "&", ".", ",", "~", "^", "@", "$",
];

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    out: Vec<Token>,
}

/// Cuts code into tokens.
pub(super) fn tokens(code: &str) -> Result<Vec<Token>, ScriptError> {
    lex(code, 1)
}

fn lex(code: &str, line: usize) -> Result<Vec<Token>, ScriptError> {
    let mut lexer = Lexer { rest: code, line, out: Vec::new() };
    while lexer.next()? {}
    lexer.push(Kind::End, false);
    Ok(lexer.out)
}

impl Lexer<'_> {
    fn push(&mut self, kind: Kind, spaced: bool) {
        self.out.push(Token { kind, line: self.line, spaced });
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, ScriptError> {
        Err(ScriptError { line: self.line, message: message.into() })
    }

    fn take(&mut self, bytes: usize) -> String {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken.to_owned()
    }

    fn next(&mut self) -> Result<bool, ScriptError> {
        let trimmed = self.rest.trim_start_matches([' ', '\t', '\r']);
        let spaced = trimmed.len() < self.rest.len();
        self.rest = trimmed;
        let Some(first) = self.rest.chars().next() else { return Ok(false) };
        match first {
            '\n' | ';' => {
                self.take(1);
                self.push(Kind::End, spaced);
                self.line += usize::from(first == '\n');
            }
            '#' => {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.take(end);
            }
            '0'..='9' => self.number(spaced)?,
            'a'..='z' | '_' => {
                let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
                let mut name = self.take(end);
                // `a?` is a name, the question mark of `a ?b : c` and of `a!=b` is not part of one.
                if self.rest.starts_with(['?', '!']) && !self.rest[1..].starts_with('=') {
                    name += &self.take(1);
                }
                self.push(Kind::Name(name), spaced);
            }
            'A'..='Z' => {
                let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
                let name = self.take(end);
                self.push(Kind::Constant(name), spaced);
            }
            ':' if self.rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && !self.labels(spaced) =>
            {
                self.take(1);
                let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
                let name = self.take(end);
                self.push(Kind::Symbol(name), spaced);
            }
            '\'' => self.single(spaced)?,
            '"' => self.double(spaced)?,
            _ => {
                let Some(op) = OPS.iter().find(|op| self.rest.starts_with(**op)) else {
                    return self.wrong(format!("`{first}` is not known here"));
                };
                self.take(op.len());
                self.push(Kind::Op(op), spaced);
            }
        }
        Ok(true)
    }

    /// Whether a colon here ends the name before it: `{a:b}` is `{a: b}`.
    fn labels(&self, spaced: bool) -> bool {
        let before = self.out.last().map(|token| &token.kind);
        !spaced && matches!(before, Some(Kind::Name(_) | Kind::Text(_) | Kind::Constant(_)))
    }

    fn number(&mut self, spaced: bool) -> Result<(), ScriptError> {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
        let mut end = digits(self.rest);
        let mut float = false;
        if self.rest[end..].starts_with('.') && self.rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            end += 1 + digits(&self.rest[end + 1..]);
            float = true;
        }
        if self.rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(self.rest[end + 1..].starts_with(['-', '+']));
            let more = digits(&self.rest[end + 1 + sign..]);
            if more > 0 {
                end += 1 + sign + more;
                float = true;
            }
        }
        let text = self.take(end).replace('_', "");
        // `010` is eight in Ruby; nobody means that.
        if !float && text.len() > 1 && text.starts_with('0') || self.rest.starts_with(|c: char| c.is_alphabetic()) {
            return self.wrong(format!("`{text}` is no number that is known here"));
        }
        let kind = match float {
            true => text.parse().map(Kind::Float).ok(),
            false => text.parse().map(Kind::Int).ok(),
        };
        match kind {
            Some(kind) => self.push(kind, spaced),
            None => return self.wrong(format!("the number {text} is too large")),
        }
        Ok(())
    }

    fn single(&mut self, spaced: bool) -> Result<(), ScriptError> {
        self.take(1);
        let mut text = String::new();
        loop {
            let Some(c) = self.rest.chars().next() else { return self.wrong("a text without its closing quote") };
            self.take(c.len_utf8());
            match c {
                '\'' => break,
                '\\' if self.rest.starts_with(['\'', '\\']) => text += &self.take(1),
                c => text.push(c),
            }
        }
        let lines = text.matches('\n').count();
        self.push(Kind::Text(vec![Part::Text(text)]), spaced);
        self.line += lines;
        Ok(())
    }

    fn double(&mut self, spaced: bool) -> Result<(), ScriptError> {
        self.take(1);
        let (mut parts, mut text, mut lines) = (Vec::new(), String::new(), 0);
        loop {
            let Some(c) = self.rest.chars().next() else { return self.wrong("a text without its closing quote") };
            self.take(c.len_utf8());
            match c {
                '"' => break,
                '\\' => {
                    let Some(escaped) = self.rest.chars().next() else { continue };
                    self.take(escaped.len_utf8());
                    match escaped {
                        'n' => text.push('\n'),
                        't' => text.push('\t'),
                        'r' => text.push('\r'),
                        '0' => text.push('\0'),
                        'e' => text.push('\x1b'),
                        's' => text.push(' '),
                        'u' | 'x' | 'c' | 'C' | 'M' | '1'..='9' => {
                            return self.wrong(format!("the escape \\{escaped} is not known here"));
                        }
                        other => text.push(other),
                    }
                }
                '#' if self.rest.starts_with('{') => {
                    let Some(end) = closing(self.rest) else { return self.wrong("`#{` without its closing brace") };
                    let code = self.take(end + 1);
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(Part::Code(lex(&code[1..end], self.line + lines)?));
                }
                c => {
                    lines += usize::from(c == '\n');
                    text.push(c);
                }
            }
        }
        parts.push(Part::Text(text));
        self.push(Kind::Text(parts), spaced);
        self.line += lines;
        Ok(())
    }
}

/// Where the brace that opens at the front is closed.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(c),
            ('{', None) => depth += 1,
            ('}', None) => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}
