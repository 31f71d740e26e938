//! Character classes of Ruby: nested (`[a[bc]]`), intersected (`[a-z&&[^b]]`), with POSIX
//! brackets; given back in the syntax that PCRE2 and the `regex` crate share.

use super::RegexpError;
use super::translate::{Mode, Translator};

/// How deep classes may be nested.
const DEPTH_MAX: usize = 32;
/// Any character, whatever the flags.
const ANY: &str = r"(?s:.)";

/// A class: what is in it, before negation.
#[derive(Default)]
struct Class {
    negated: bool,
    /// Characters and ranges, as they stand between brackets.
    items: String,
    /// Nested classes that can't be merged into `items`.
    parts: Vec<Class>,
    /// What stood left of each `&&`.
    operands: Vec<Class>,
}

/// One element of a class.
enum Item {
    One(char),
    Set(String),
}

impl Translator<'_> {
    /// Translates a class whose `[` was read.
    pub(super) fn class(&mut self) -> Result<(), RegexpError> {
        let class = self.parse_class(0)?;
        self.write_class(&class);
        Ok(())
    }

    fn parse_class(&mut self, depth: usize) -> Result<Class, RegexpError> {
        if depth > DEPTH_MAX {
            return Err(self.error("character classes are nested too deep"));
        }
        let mut class = Class { negated: self.eat("^"), ..Class::default() };
        let mut first = true;
        loop {
            let Some(c) = self.next() else { return Err(self.error("premature end of character class")) };
            let literal_bracket = first && self.rest().contains(']');
            first = false;
            match c {
                ']' if !literal_bracket => break,
                '[' => match self.posix() {
                    Some(name) => class.items.push_str(&name),
                    None => {
                        let nested = self.parse_class(depth + 1)?;
                        if nested.negated || !nested.operands.is_empty() {
                            class.parts.push(nested);
                        } else {
                            class.items.push_str(&nested.items);
                            class.parts.extend(nested.parts);
                        }
                    }
                },
                '&' if self.eat("&") => {
                    let left = Class { items: std::mem::take(&mut class.items), ..Class::default() };
                    class.operands.push(Class { parts: std::mem::take(&mut class.parts), ..left });
                }
                c => self.item(c, &mut class.items)?,
            }
        }
        Ok(class)
    }

    /// An element that begins with `c`, and the range that it may begin.
    fn item(&mut self, c: char, items: &mut String) -> Result<(), RegexpError> {
        let from = match self.element(c)? {
            Item::Set(set) => {
                items.push_str(&set);
                return Ok(());
            }
            Item::One(c) => c,
        };
        let mut rest = self.rest().chars();
        let range = rest.next() == Some('-') && !matches!(rest.next(), None | Some(']' | '['));
        if !range {
            self.push_item(from, items);
            return Ok(());
        }
        self.next();
        let c = self.next().unwrap_or('-');
        match self.element(c)? {
            Item::One(to) if to < from => return Err(self.error("empty range in character class")),
            Item::One(to) => {
                self.push_item(from, items);
                items.push('-');
                self.push_item(to, items);
            }
            Item::Set(set) => {
                self.push_item(from, items);
                items.push_str(r"\-");
                items.push_str(&set);
            }
        }
        Ok(())
    }

    fn element(&mut self, c: char) -> Result<Item, RegexpError> {
        if c != '\\' {
            return Ok(Item::One(c));
        }
        let Some(escaped) = self.next() else { return Err(self.error("too short escape sequence")) };
        let unicode = matches!(self.mode(), Mode::Unicode);
        let set = match escaped {
            'b' => return Ok(Item::One('\x08')),
            'd' | 'w' | 's' | 'D' | 'W' | 'S' if !unicode => format!("\\{escaped}"),
            'd' => "0-9".to_owned(),
            'w' => "0-9A-Z_a-z".to_owned(),
            's' => r"\x09-\x0d ".to_owned(),
            'h' => "0-9A-Fa-f".to_owned(),
            'D' => r"\x00-/:-\x{10ffff}".to_owned(),
            'W' => r"\x00-/:-@\[-\^`{-\x{10ffff}".to_owned(),
            'S' => r"\x00-\x08\x0e-\x1f!-\x{10ffff}".to_owned(),
            'H' if unicode => r"\x00-/:-@G-`g-\x{10ffff}".to_owned(),
            'H' => r"\x00-/:-@G-`g-\xff".to_owned(),
            'p' | 'P' => self.property(escaped == 'P', true)?,
            other => return self.escaped_char(other, true).map(Item::One),
        };
        Ok(Item::Set(set))
    }

    fn push_item(&mut self, c: char, items: &mut String) {
        match c {
            '\\' | ']' | '[' | '^' | '-' | '&' | '~' => {
                items.push('\\');
                items.push(c);
            }
            '\0'..='\x1f' => items.push_str(&format!("\\x{:02x}", c as u32)),
            c => {
                // Bytes of a character can't stand in a class that knows nothing of UTF-8.
                self.utf_only |= !c.is_ascii();
                items.push(c);
            }
        }
    }

    /// A POSIX bracket whose first `[` was read.
    fn posix(&mut self) -> Option<String> {
        let rest = self.rest();
        let inner = rest.strip_prefix(':')?;
        let end = inner.find(":]")?;
        let name = inner[..end].strip_prefix('^').unwrap_or(&inner[..end]);
        let known = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";
        if !known.split(' ').any(|k| k == name) {
            return None;
        }
        let text = format!("[:{}:]", &inner[..end]);
        self.skip(end + 3);
        Some(text)
    }

    fn write_class(&mut self, class: &Class) {
        if class.operands.is_empty() && class.parts.is_empty() && !class.items.is_empty() {
            self.push(if class.negated { "[^" } else { "[" });
            self.push(&class.items);
            self.push("]");
            return;
        }
        // What brackets can't say is said with look-ahead at the one character.
        self.pcre_only = true;
        self.push(if class.negated { "(?:(?!" } else { "(?:" });
        for operand in &class.operands {
            self.push("(?=");
            self.write_union(operand);
            self.push(")");
        }
        self.write_union(class);
        self.push(if class.negated { ")" } else { "" });
        if class.negated {
            self.push(ANY);
        }
        self.push(")");
    }

    fn write_union(&mut self, class: &Class) {
        self.push("(?:");
        let mut separator = "";
        if !class.items.is_empty() {
            self.push("[");
            self.push(&class.items);
            self.push("]");
            separator = "|";
        }
        for part in &class.parts {
            self.push(separator);
            self.write_class(part);
            separator = "|";
        }
        if separator.is_empty() {
            self.push("(?!)");
        }
        self.push(")");
    }
}
