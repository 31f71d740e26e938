//! Text → tree and a list of mistakes; follows Logstash's `lscl_grammar.treetop` rule by rule.
//!
//! The parser always returns a tree: after a mistake it goes on at the next setting, plugin or
//! closing brace, so that all mistakes are told at once. Sections, plugins and values are here,
//! conditions in `expression.rs`. It must never panic or recurse without bound.

use super::ast::{At, Attribute, Condition, If, Node, Plugin, Quoted, Section, Tree, Value, ValueKind};
use super::lexer::{Lexer, is_name};
use super::{expression, suggest};
use crate::diagnostic::{Diagnostic, Place, code};
use crate::plugin::Kind;

/// What parsing gives.
#[derive(Debug)]
pub struct Parsed {
    /// Everything that could be read.
    pub tree: Tree,
    /// Everything that could not.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses the text of one file, whose number places are to carry.
pub fn parse(text: &str, file: u32) -> Parsed {
    let mut parser =
        Parser { lexer: Lexer::new(text, file), diagnostics: Vec::new(), depth: 0, braces: 0, ended: false };
    let tree = parser.tree();
    Parsed { tree, diagnostics: parser.diagnostics }
}

/// The text with everything outside of its filter sections made blank, so that places stay what
/// they are.
pub fn only_filters(text: &str) -> String {
    let sections = parse(text, 0).tree.sections;
    let mut kept = String::with_capacity(text.len());
    let mut keep = |part: &str, as_it_is: bool| match as_it_is {
        true => kept.push_str(part),
        false => kept.extend(part.chars().flat_map(|c| {
            let blank = if c == '\n' { '\n' } else { ' ' };
            std::iter::repeat_n(blank, if c == '\n' { 1 } else { c.len_utf8() })
        })),
    };
    let mut from = 0;
    let mut filter = true;
    for section in &sections {
        let start = section.at.0.start as usize;
        keep(&text[from..start], filter);
        (from, filter) = (start, section.kind == Kind::Filter);
    }
    keep(&text[from..], filter);
    kept
}

/// A mistake that was reported; the caller decides where to go on.
pub(super) struct Failed;

pub(super) type Parse<T> = Result<T, Failed>;

pub(super) struct Parser<'t> {
    pub(super) lexer: Lexer<'t>,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) depth: usize,
    /// Braces that are open here.
    pub(super) braces: usize,
    /// A mistake after which nothing more can be said: open blocks just end.
    pub(super) ended: bool,
}

const SECTIONS: [(&str, Kind); 3] = [("input", Kind::Input), ("filter", Kind::Filter), ("output", Kind::Output)];

impl<'t> Parser<'t> {
    fn tree(&mut self) -> Tree {
        let mut tree = Tree::default();
        loop {
            self.lexer.space();
            if self.lexer.at_end() {
                return tree;
            }
            let start = self.lexer.offset();
            match self.section() {
                Ok(section) => tree.sections.push(section),
                Err(Failed) => self.skip_section(start),
            }
            // A missing brace ended all open blocks; the next section is read as ever.
            self.ended = self.lexer.at_end();
            self.braces = 0;
        }
    }

    fn section(&mut self) -> Parse<Section> {
        let start = self.lexer.offset();
        let Some(word) = self.lexer.name() else {
            if self.lexer.peek() == Some('}') {
                let place = self.lexer.place_ahead();
                return Err(self.fail(code::UNCLOSED, place, "a `}` too many", "no block is open here"));
            }
            return Err(self.unexpected("`input`, `filter` or `output`"));
        };
        let place = self.lexer.place(start);
        let Some(&(_, kind)) = SECTIONS.iter().find(|(name, _)| *name == word) else {
            let label = suggest::did_you_mean(word, SECTIONS.map(|(name, _)| name));
            let label = label.unwrap_or_else(|| "plugins stand in one of the sections".to_owned());
            let message = format!("unknown section `{word}`: expected `input`, `filter` or `output`");
            return Err(self.report(Diagnostic::error(code::SECTION, place, message).label(label)));
        };
        let body = self.block("`{`")?;
        Ok(Section { kind, at: At(place), body })
    }

    /// Goes on behind what can't be a section: its block, or everything before the next block.
    fn skip_section(&mut self, start: usize) {
        self.lexer.space();
        if self.lexer.offset() > start && self.lexer.sign("{") {
            self.skip_to(&['}']);
            self.lexer.sign("}");
            return;
        }
        self.braces = 0;
        self.recover(start, 0, "{");
        while self.lexer.sign("}") {
            self.recover(self.lexer.offset() + 1, 0, "{");
        }
    }

    /// `{`, whose place it gives.
    fn open(&mut self, expected: &str) -> Parse<Place> {
        self.lexer.space();
        let start = self.lexer.offset();
        if !self.lexer.sign("{") {
            return Err(self.unexpected(expected));
        }
        self.braces += 1;
        Ok(self.lexer.place(start))
    }

    /// `{ plugins and conditions }`
    fn block(&mut self, expected: &str) -> Parse<Vec<Node>> {
        let open = self.open(expected)?;
        self.nested(|p| Ok(p.nodes(open)))
    }

    fn nodes(&mut self, open: Place) -> Vec<Node> {
        let mut nodes = Vec::new();
        let level = self.braces;
        while !self.closed(open) {
            let start = self.lexer.offset();
            match self.node() {
                Ok(node) => nodes.push(node),
                Err(Failed) => self.recover(start, level, "{"),
            }
        }
        nodes
    }

    /// Whether the block that began at `open` ends here; takes its brace.
    fn closed(&mut self, open: Place) -> bool {
        self.lexer.space();
        if self.ended {
            return true;
        }
        if self.lexer.sign("}") {
            self.braces -= 1;
            return true;
        }
        let section = self.section_ahead();
        if self.lexer.at_end() || section.is_some() {
            let place = section.unwrap_or_else(|| self.lexer.place_ahead());
            let line = self.lexer.line(open.start as usize);
            let message = "a block is not closed: expected `}`";
            let label = format!("the block that begins in line {line} has no `}}` before this");
            self.report(Diagnostic::error(code::UNCLOSED, place, message).label(label));
            // One missing brace leaves all blocks around it open as well.
            self.ended = true;
            return true;
        }
        false
    }

    /// `input {` and so on, where only plugins and settings may stand: a brace is missing.
    fn section_ahead(&mut self) -> Option<Place> {
        let start = self.lexer.offset();
        let word = self.lexer.name()?;
        let place = self.lexer.place(start);
        self.lexer.space();
        let found = self.lexer.peek() == Some('{') && SECTIONS.iter().any(|(name, _)| *name == word);
        self.lexer.rewind(start);
        found.then_some(place)
    }

    fn node(&mut self) -> Parse<Node> {
        let start = self.lexer.offset();
        let Some(word) = self.lexer.name() else {
            return Err(self.unexpected("a plugin, `if` or `}`"));
        };
        let place = self.lexer.place(start);
        match word {
            "if" => Ok(Node::If(self.branch(place)?)),
            "else" | "elseif" => Err(self.fail(code::SYNTAX, place, "`else` without `if`", "no `if` ends before this")),
            "elsif" | "elif" => {
                Err(self.fail(code::SYNTAX, place, format!("`{word}` is no word of the language"), "write `else if`"))
            }
            _ => Ok(Node::Plugin(self.plugin(word, place, "`{`")?)),
        }
    }

    /// Behind the word `if`.
    fn branch(&mut self, at: Place) -> Parse<If> {
        let mut branches = vec![self.arm()?];
        loop {
            let before = self.lexer.offset();
            self.lexer.space();
            let word = self.lexer.name();
            let between = self.lexer.offset();
            self.lexer.space();
            let chained = word == Some("elseif") || word == Some("else") && self.lexer.name() == Some("if");
            if chained {
                if word == Some("elseif") {
                    self.lexer.rewind(between);
                }
                branches.push(self.arm()?);
            } else if word == Some("else") {
                self.lexer.rewind(between);
                let otherwise = self.block("`if` or `{`")?;
                return Ok(If { at: At(at), branches, otherwise: Some(otherwise) });
            } else {
                self.lexer.rewind(before);
                return Ok(If { at: At(at), branches, otherwise: None });
            }
        }
    }

    /// A condition and its block. After a mistake in the condition the block is read all the same.
    fn arm(&mut self) -> Parse<(Condition, Vec<Node>)> {
        self.lexer.space();
        let condition = self.nested(Self::condition).and_then(|c| self.condition_ends().map(|()| c));
        let condition = match condition {
            Ok(condition) => condition,
            Err(Failed) => {
                self.skip_to(&['{', '}']);
                if self.lexer.peek() != Some('{') {
                    return Err(Failed);
                }
                expression::placeholder()
            }
        };
        Ok((condition, self.block("`{`")?))
    }

    /// Behind the name of a plugin.
    fn plugin(&mut self, name: &str, at: Place, expected: &str) -> Parse<Plugin> {
        let open = self.open(expected)?;
        let attributes = self.nested(|p| Ok(p.attributes(open)))?;
        Ok(Plugin { name: name.to_owned(), at: At(at), attributes })
    }

    fn attributes(&mut self, open: Place) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        let mut end = None;
        let level = self.braces;
        while !self.closed(open) {
            let start = self.lexer.offset();
            if end == Some(start) {
                let place = self.lexer.place_ahead();
                self.fail(code::SYNTAX, place, "settings stand apart", "expected white space before this");
            }
            end = match self.attribute() {
                Ok(attribute) => {
                    attributes.push(attribute);
                    Some(self.lexer.offset())
                }
                // Whatever white space there is, it may have been skipped.
                Err(Failed) => {
                    self.recover(start, level, "=>");
                    None
                }
            };
        }
        attributes
    }

    fn attribute(&mut self) -> Parse<Attribute> {
        let start = self.lexer.offset();
        let name = match self.lexer.name() {
            Some(name) => name.to_owned(),
            None => match self.text()? {
                Some(text) => text.raw,
                None => return Err(self.unexpected("a setting or `}`")),
            },
        };
        let at = self.lexer.place(start);
        self.arrow(&name, at)?;
        Ok(Attribute { name, at: At(at), value: self.value()? })
    }

    /// `=>` behind the name of a setting or a key.
    fn arrow(&mut self, name: &str, at: Place) -> Parse<()> {
        self.lexer.space();
        if self.lexer.sign("=>") {
            self.lexer.space();
            return Ok(());
        }
        let place = self.lexer.place_ahead();
        Err(match self.lexer.peek() {
            Some('=' | ':') => self.fail(code::SYNTAX, place, "expected `=>`", "write `=>`"),
            Some('{') => {
                let message = format!("`{name}` looks like a plugin, but only settings stand here");
                let label = "is the `}` of the plugin around it missing?";
                self.fail(code::SYNTAX, at, message, label)
            }
            _ if name == "if" => {
                self.fail(code::SYNTAX, at, "a condition inside a plugin", "`if` stands around plugins, not in them")
            }
            _ => self.unexpected(&format!("`=>` behind `{name}`")),
        })
    }

    fn value(&mut self) -> Parse<Value> {
        let start = self.lexer.offset();
        let kind = match self.lexer.peek() {
            Some('[') => self.nested(Self::array)?,
            Some('{') => self.nested(Self::hash)?,
            Some('"' | '\'') => match self.text()? {
                Some(text) => ValueKind::Text(text),
                None => return Err(Failed),
            },
            Some(c) if is_name(c) => self.word()?,
            Some('/') => {
                let place = self.lexer.place_ahead();
                return Err(self.fail(code::SYNTAX, place, "expected a value", "a text needs quotes"));
            }
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Value { at: At(self.lexer.place(start)), kind })
    }

    /// A plugin, a number or a bareword.
    fn word(&mut self) -> Parse<ValueKind> {
        let start = self.lexer.offset();
        let name = self.lexer.name().unwrap_or_default();
        let at = self.lexer.place(start);
        self.lexer.space();
        if self.lexer.peek() == Some('{') {
            let plugin = self.nested(|p| p.plugin(name, at, "`{`"))?;
            return Ok(ValueKind::Plugin(plugin));
        }
        self.lexer.rewind(start);
        let kind = match self.lexer.number() {
            Some(number) => ValueKind::Number(number.to_owned()),
            None => ValueKind::Bareword(self.lexer.bareword().unwrap_or_default().to_owned()),
        };
        self.whole(start)?;
        match kind {
            ValueKind::Bareword(word) if word.len() < 2 => Err(self.short_bareword(&word, at)),
            kind => Ok(kind),
        }
    }

    fn short_bareword(&mut self, word: &str, at: Place) -> Failed {
        let message = format!("`{word}` is too short for a bareword: one has at least two characters");
        self.fail(code::BAREWORD, at, message, format!("write \"{word}\""))
    }

    /// A number or bareword must end where it ends: `127.0.0.1` is none.
    fn whole(&mut self, start: usize) -> Parse<()> {
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | ']' | '}' | '#' | '=' | '"' | '\'' | ')');
        let rest = self.lexer.rest();
        let len = rest.find(ends).unwrap_or(rest.len());
        if len == 0 {
            return Ok(());
        }
        self.lexer.rewind(self.lexer.offset() + len);
        let place = self.lexer.place(start);
        let text = self.lexer.slice(start, self.lexer.offset());
        let message = format!("`{text}` is neither a number nor a bareword");
        Err(self.fail(code::BAREWORD, place, message, "a text needs quotes"))
    }

    pub(super) fn array(&mut self) -> Parse<ValueKind> {
        let open = self.lexer.offset();
        self.lexer.bump();
        let mut elements = Vec::new();
        self.lexer.space();
        if self.lexer.sign("]") {
            return Ok(ValueKind::Array(elements));
        }
        loop {
            if self.lexer.at_end() {
                return Err(self.unclosed_bracket(open, "]"));
            }
            elements.push(self.value()?);
            self.lexer.space();
            if self.lexer.sign("]") {
                return Ok(ValueKind::Array(elements));
            }
            if !self.lexer.sign(",") {
                let expected = format!("`,` or `]` (the array begins in line {})", self.lexer.line(open));
                let failed = self.unexpected(&expected);
                // Elements without commas are a slip: the rest can still be read.
                if !matches!(self.lexer.peek(), Some('"' | '\'')) {
                    return Err(failed);
                }
            }
            self.lexer.space();
        }
    }

    fn hash(&mut self) -> Parse<ValueKind> {
        let open = self.lexer.offset();
        self.lexer.bump();
        self.braces += 1;
        let mut entries = Vec::new();
        loop {
            self.lexer.space();
            if self.lexer.sign("}") {
                self.braces -= 1;
                return Ok(ValueKind::Hash(entries));
            }
            if self.lexer.at_end() {
                return Err(self.unclosed_bracket(open, "}"));
            }
            if self.lexer.peek() == Some(',') {
                let place = self.lexer.place_ahead();
                self.fail(code::SYNTAX, place, "a comma in a hash", "entries of a hash stand without commas");
                self.lexer.bump();
                continue;
            }
            let key = self.key()?;
            let text = self.lexer.slice(key.at.0.start as usize, key.at.0.end as usize);
            self.arrow(text, key.at.0)?;
            let value = self.value()?;
            entries.push((key, value));
        }
    }

    fn key(&mut self) -> Parse<Value> {
        let start = self.lexer.offset();
        let kind = if let Some(number) = self.lexer.number() {
            ValueKind::Number(number.to_owned())
        } else if let Some(word) = self.lexer.bareword() {
            let at = self.lexer.place(start);
            if word.len() < 2 {
                return Err(self.short_bareword(word, at));
            }
            ValueKind::Bareword(word.to_owned())
        } else if let Some(text) = self.text()? {
            ValueKind::Text(text)
        } else {
            return Err(self.unexpected("a key or `}`"));
        };
        self.whole_key(start)?;
        Ok(Value { at: At(self.lexer.place(start)), kind })
    }

    fn whole_key(&mut self, start: usize) -> Parse<()> {
        if self.lexer.slice(start, self.lexer.offset()).starts_with(['"', '\'']) { Ok(()) } else { self.whole(start) }
    }

    fn unclosed_bracket(&mut self, open: usize, close: &str) -> Failed {
        let place = self.lexer.place_ahead();
        let line = self.lexer.line(open);
        let label = format!("what begins in line {line} has no `{close}` before the end");
        let failed = self.fail(code::UNCLOSED, place, format!("expected `{close}`"), label);
        self.ended = true;
        failed
    }

    /// Text between quotes.
    pub(super) fn text(&mut self) -> Parse<Option<Quoted>> {
        let start = self.lexer.offset();
        match self.lexer.quoted() {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text)),
            Some(Err(_)) => {
                self.lexer.bump();
                let place = self.lexer.place(start);
                let line = self.lexer.rest().lines().next().unwrap_or_default();
                let escaped = line.contains("\\\"") || line.contains("\\'");
                let label = match escaped {
                    true => "a backslash before a quote keeps the quote from ending the text",
                    false => "no such quote follows",
                };
                let failed = self.fail(code::TEXT, place, "a text is not closed", label);
                self.end();
                Err(failed)
            }
        }
    }
}
