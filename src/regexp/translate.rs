//! Ruby's syntax of regular expressions into the one that PCRE2 and the `regex` crate share.
//!
//! Names are taken out (groups go by number), so they may hold any character, as grok's do.

use super::RegexpError;

/// Which variant to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// For texts that are ASCII, without UTF.
    Ascii,
    /// For all texts, with UTF and Unicode properties.
    Unicode,
}

/// What a pattern became.
pub(super) struct Translation {
    pub(super) pattern: String,
    /// By group number; the first stands for the whole match.
    pub(super) names: Vec<Option<String>>,
    /// It has no ASCII variant.
    pub(super) utf_only: bool,
    /// The `regex` crate can't express it.
    pub(super) pcre_only: bool,
}

/// Translates a pattern.
pub(super) fn translate(pattern: &str, mode: Mode) -> Result<Translation, RegexpError> {
    let mut translator = Translator::new(pattern, mode);
    translator.run()?;
    let Translator { out, names, utf_only, pcre_only, .. } = translator;
    Ok(Translation { pattern: out, names, utf_only, pcre_only })
}

struct Group {
    /// Where it starts in the output.
    start: usize,
    /// Parentheses to close: its own and those of `(?i)` in it.
    parens: usize,
    /// The flag `x` around it.
    extended: bool,
}

pub(super) struct Translator<'a> {
    text: &'a str,
    at: usize,
    out: String,
    mode: Mode,
    groups: Vec<Group>,
    names: Vec<Option<String>>,
    /// All names of the pattern, by group number, known in advance for references.
    all_names: Vec<String>,
    extended: bool,
    /// Where the last element starts in the output, for what follows it.
    atom: Option<usize>,
    /// Whether the last element has a quantifier already.
    quantified: bool,
    pub(super) utf_only: bool,
    pub(super) pcre_only: bool,
}

impl<'a> Translator<'a> {
    fn new(text: &'a str, mode: Mode) -> Translator<'a> {
        Translator {
            text,
            at: 0,
            out: String::with_capacity(text.len() * 2),
            mode,
            groups: Vec::new(),
            names: vec![None],
            all_names: named_groups(text),
            extended: false,
            atom: None,
            quantified: false,
            utf_only: false,
            pcre_only: false,
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    pub(super) fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    pub(super) fn error(&self, message: impl Into<String>) -> RegexpError {
        RegexpError { message: message.into(), at: Some(self.at) }
    }

    /// Text up to a delimiter, which is eaten too.
    fn until(&mut self, delimiter: char) -> Result<&'a str, RegexpError> {
        let rest = self.rest();
        let Some(end) = rest.find(delimiter) else {
            return Err(self.error(format!("`{delimiter}` is missing")));
        };
        self.at += end + delimiter.len_utf8();
        Ok(&rest[..end])
    }

    fn run(&mut self) -> Result<(), RegexpError> {
        self.groups.push(Group { start: 0, parens: 0, extended: false });
        while let Some(c) = self.next() {
            self.step(c)?;
        }
        match self.groups.pop() {
            Some(top) if self.groups.is_empty() => {
                self.push(&")".repeat(top.parens));
                Ok(())
            }
            _ => Err(self.error("unmatched open parenthesis")),
        }
    }

    fn step(&mut self, c: char) -> Result<(), RegexpError> {
        match c {
            '*' | '+' | '?' => return self.quantifier(&c.to_string(), true),
            '{' => {
                if let Some((text, exact)) = self.counted() {
                    return self.quantifier(&text, !exact);
                }
            }
            '#' if self.extended => {
                let end = self.rest().find('\n').map_or(self.rest().len(), |at| at + 1);
                self.skip(end);
                return Ok(());
            }
            c if self.extended && c.is_ascii_whitespace() => return Ok(()),
            '(' => return self.open(),
            ')' => return self.close(),
            '|' => {
                self.push("|");
                self.atom = None;
                return Ok(());
            }
            _ => {}
        }
        self.begin();
        match c {
            '\\' => self.escape(),
            '[' => self.class(),
            '^' | '$' | '.' => {
                self.out.push(c);
                Ok(())
            }
            c => {
                self.literal(c);
                Ok(())
            }
        }
    }

    /// An element starts here.
    fn begin(&mut self) {
        self.atom = Some(self.out.len());
        self.quantified = false;
    }

    fn literal(&mut self, c: char) {
        match c {
            '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                self.out.push('\\');
                self.out.push(c);
            }
            '\0'..='\x1f' => self.out.push_str(&format!("\\x{:02x}", c as u32)),
            // So that what follows takes it as a whole where characters are bytes.
            c if !c.is_ascii() && self.mode == Mode::Ascii => {
                self.pcre_only = true;
                self.out.push_str("(?:");
                self.out.push(c);
                self.out.push(')');
            }
            c => self.out.push(c),
        }
    }

    fn quantifier(&mut self, text: &str, suffix: bool) -> Result<(), RegexpError> {
        let Some(start) = self.atom else {
            return Err(self.error("target of repeat operator is not specified"));
        };
        if self.quantified {
            // Ruby nests repeats, `a{2}+` being `(?:a{2})+`.
            self.out.insert_str(start, "(?:");
            self.out.push(')');
        }
        self.quantified = true;
        self.push(text);
        if suffix && self.eat("?") {
            self.push("?");
        } else if suffix && !text.starts_with('{') && self.eat("+") {
            self.pcre_only = true;
            self.push("+");
        }
        Ok(())
    }

    /// `n}`, `n,}`, `,m}`, `n,m}` as the text of a quantifier, and whether it is the first form.
    fn counted(&mut self) -> Option<(String, bool)> {
        let inner = &self.rest()[..self.rest().find('}')?];
        let digits = |text: &str| text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit());
        let (from, to) = inner.split_once(',').unwrap_or((inner, inner));
        if !digits(from) || !digits(to) || (from.is_empty() && to.is_empty()) {
            return None;
        }
        self.skip(inner.len() + 1);
        let exact = !inner.contains(',');
        let from = if from.is_empty() { "0" } else { from };
        Some((if exact { format!("{{{from}}}") } else { format!("{{{from},{to}}}") }, exact))
    }

    fn open(&mut self) -> Result<(), RegexpError> {
        let start = self.out.len();
        let extended = self.extended;
        if !self.eat("?") {
            if self.all_names.is_empty() {
                self.names.push(None);
                self.push("(");
            } else {
                self.push("(?:");
            }
        } else if self.eat("#") {
            self.until(')')?;
            return Ok(());
        } else if self.eat(":") {
            self.push("(?:");
        } else if let Some(look) = ["=", "!", ">", "<=", "<!"].into_iter().find(|l| self.eat(l)) {
            self.pcre_only = true;
            self.push("(?");
            self.push(look);
        } else if self.eat("<") || self.eat("P<") {
            let name = self.until('>')?;
            self.named(name)?;
        } else if self.eat("'") {
            let name = self.until('\'')?;
            self.named(name)?;
        } else if self.eat("~") {
            return Err(self.error("the absent operator `(?~` is not supported"));
        } else if self.eat("(") {
            let condition = self.until(')')?;
            let name = condition.trim_start_matches(['<', '\'']).trim_end_matches(['>', '\'']);
            let number = self.number_of(name)?;
            self.pcre_only = true;
            self.push(&format!("(?({number})"));
        } else {
            return self.flags();
        }
        self.groups.push(Group { start, parens: 1, extended });
        self.atom = None;
        Ok(())
    }

    fn named(&mut self, name: &str) -> Result<(), RegexpError> {
        if name.is_empty() {
            return Err(self.error("group name is empty"));
        }
        self.names.push(Some(name.to_owned()));
        self.push("(");
        Ok(())
    }

    /// `(?mix-mix)` to the end of the group around it, or `(?mix-mix: … )`.
    fn flags(&mut self) -> Result<(), RegexpError> {
        let start = self.out.len();
        let around = self.extended;
        let mut text = String::from("(?");
        let mut on = true;
        loop {
            match self.next() {
                Some('-') => {
                    on = false;
                    text.push('-');
                }
                Some('m') => text.push('s'),
                Some('i') => text.push('i'),
                Some('x') => self.extended = on,
                Some('d' | 'a' | 'u') if on => {}
                Some(end @ (':' | ')')) => {
                    let text = text.trim_end_matches('-');
                    self.push(text);
                    self.push(":");
                    self.atom = None;
                    match self.groups.last_mut() {
                        Some(group) if end == ')' => group.parens += 1,
                        _ => self.groups.push(Group { start, parens: 1, extended: around }),
                    }
                    return Ok(());
                }
                _ => return Err(self.error("undefined group option")),
            }
        }
    }

    fn close(&mut self) -> Result<(), RegexpError> {
        if self.groups.len() < 2 {
            return Err(self.error("unmatched close parenthesis"));
        }
        if let Some(group) = self.groups.pop() {
            self.push(&")".repeat(group.parens));
            self.extended = group.extended;
            self.atom = Some(group.start);
            self.quantified = false;
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), RegexpError> {
        let Some(c) = self.next() else { return Err(self.error("too short escape sequence")) };
        let unicode = self.mode == Mode::Unicode;
        let text = match c {
            'd' if unicode => "[0-9]",
            'D' if unicode => "[^0-9]",
            'w' if unicode => "[0-9A-Z_a-z]",
            'W' if unicode => "[^0-9A-Z_a-z]",
            's' if unicode => r"[\x09-\x0d ]",
            'S' if unicode => r"[^\x09-\x0d ]",
            'd' => r"\d",
            'D' => r"\D",
            'w' => r"\w",
            'W' => r"\W",
            's' => r"\s",
            'S' => r"\S",
            'h' => "[0-9A-Fa-f]",
            'H' => "[^0-9A-Fa-f]",
            'b' => r"\b",
            'B' => r"\B",
            'A' => r"\A",
            'z' => r"\z",
            'Z' | 'G' | 'K' | 'R' | 'X' => {
                self.pcre_only = true;
                self.out.push('\\');
                self.out.push(c);
                return Ok(());
            }
            'p' | 'P' => {
                let property = self.property(c == 'P', false)?;
                self.push(&property);
                return Ok(());
            }
            'k' => return self.reference(),
            'g' => return self.call(),
            '1'..='9' => return self.numbered(c),
            c => {
                let c = self.escaped_char(c, false)?;
                self.literal(c);
                return Ok(());
            }
        };
        self.push(text);
        Ok(())
    }

    /// The character that an escape stands for, its letter having been read.
    pub(super) fn escaped_char(&mut self, c: char, in_class: bool) -> Result<char, RegexpError> {
        let code = match c {
            'n' => 10,
            't' => 9,
            'r' => 13,
            'f' => 12,
            'v' => 11,
            'a' => 7,
            'e' => 27,
            'x' if self.eat("{") => u32::from_str_radix(self.until('}')?.trim(), 16).unwrap_or(u32::MAX),
            'x' => self.digits(16, 2)?,
            'u' if self.eat("{") => u32::from_str_radix(self.until('}')?.trim(), 16).unwrap_or(u32::MAX),
            'u' => self.digits(16, 4)?,
            'c' => self.next().map_or(0, |c| c as u32 & 0x1f),
            '0'..='7' if in_class || c == '0' => {
                self.at -= 1;
                self.digits(8, 3)?
            }
            c => c as u32,
        };
        char::from_u32(code).ok_or_else(|| self.error("invalid code point value"))
    }

    fn digits(&mut self, radix: u32, most: usize) -> Result<u32, RegexpError> {
        let len = self.rest().chars().take(most).take_while(|c| c.is_digit(radix)).count();
        let digits = &self.rest()[..len];
        self.at += len;
        u32::from_str_radix(digits, radix).map_err(|_| self.error("invalid escape: digits are missing"))
    }

    /// `\1` … `\9`, and further digits where there are as many groups.
    fn numbered(&mut self, first: char) -> Result<(), RegexpError> {
        if !self.all_names.is_empty() {
            return Err(self.error("a numbered reference beside named groups is not allowed, use `\\k<name>`"));
        }
        let mut number = first as usize - '0' as usize;
        while let Some(digit) = self.rest().chars().next().and_then(|c| c.to_digit(10)) {
            if number * 10 + digit as usize >= self.names.len() {
                break;
            }
            number = number * 10 + digit as usize;
            self.skip(1);
        }
        self.pcre_only = true;
        self.push(&format!("\\g{{{number}}}"));
        Ok(())
    }

    fn delimited_name(&mut self) -> Result<&'a str, RegexpError> {
        if self.eat("<") {
            self.until('>')
        } else if self.eat("'") {
            self.until('\'')
        } else {
            Err(self.error("a group's name is missing behind the escape"))
        }
    }

    /// `\k<name>`; of several groups of one name the last that matched counts.
    fn reference(&mut self) -> Result<(), RegexpError> {
        let name = self.delimited_name()?;
        let mut numbers: Vec<usize> = self.numbers_of(name).collect();
        if numbers.is_empty() {
            numbers.push(self.number_of(name)?);
        }
        let text: Vec<String> = numbers.iter().rev().map(|n| format!("\\g{{{n}}}")).collect();
        self.pcre_only = true;
        self.push(&format!("(?:{})", text.join("|")));
        Ok(())
    }

    /// `\g<name>`: the group's pattern again.
    fn call(&mut self) -> Result<(), RegexpError> {
        let name = self.delimited_name()?;
        let number = self.number_of(name)?;
        self.pcre_only = true;
        self.push(&format!("(?{number})"));
        Ok(())
    }

    fn numbers_of(&self, name: &str) -> impl Iterator<Item = usize> {
        self.all_names.iter().enumerate().filter(move |(_, n)| *n == name).map(|(at, _)| at + 1)
    }

    fn number_of(&self, name: &str) -> Result<usize, RegexpError> {
        if let Some(number) = self.numbers_of(name).last() {
            return Ok(number);
        }
        let number = match name.parse::<i64>() {
            Ok(number @ 0..=9999) => Some(number as usize),
            Ok(back @ -999..=-1) => self.names.len().checked_sub(back.unsigned_abs() as usize),
            _ => None,
        };
        number.ok_or_else(|| self.error(format!("undefined name <{name}> reference")))
    }

    /// `\p{Name}`, `\p{^Name}`, `\P{Name}`.
    pub(super) fn property(&mut self, negated: bool, in_class: bool) -> Result<String, RegexpError> {
        if !self.eat("{") {
            return Err(self.error("a property's name in braces is missing"));
        }
        let name = self.until('}')?;
        let (negated, name) = match name.strip_prefix('^') {
            Some(name) => (!negated, name),
            None => (negated, name),
        };
        self.pcre_only = true;
        let plain = name.to_ascii_lowercase().replace(['_', ' ', '-'], "");
        let not = if negated { "^" } else { "" };
        Ok(match plain.as_str() {
            "alnum" | "alpha" | "blank" | "cntrl" | "digit" | "graph" | "lower" | "print" | "punct" | "space"
            | "upper" | "xdigit" | "word" | "ascii" => {
                let class = format!("[:{not}{plain}:]");
                if in_class { class } else { format!("[{class}]") }
            }
            _ => format!("\\p{{{not}{name}}}"),
        })
    }
}

/// The names of the groups of a pattern, in order.
fn named_groups(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'[' => depth += 1,
            b']' if depth > 0 => depth -= 1,
            b'(' if depth == 0 => {
                let rest = &text[at + 1..];
                let named = rest.strip_prefix("?<").or(rest.strip_prefix("?P<")).filter(|r| !r.starts_with(['=', '!']));
                let named = named.map(|r| (r, '>')).or(rest.strip_prefix("?'").map(|r| (r, '\'')));
                if let Some((rest, Some(end))) = named.map(|(r, delimiter)| (r, r.find(delimiter))) {
                    names.push(rest[..end].to_owned());
                    // The name may hold brackets.
                    at += 2 + end;
                }
            }
            _ => {}
        }
        at += 1;
    }
    names
}
