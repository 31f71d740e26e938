//! Plugins and values in one form: on one line where they stood on one and fit, else spread out.

use super::{Gap, WIDTH, Writer};
use crate::language::lexer::Lexer;

/// How what stands in brackets is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// On one line.
    Flat,
    /// On one line where it stood on one and fits, else spread out.
    Fitting,
}

impl<'t> Writer<'t> {
    /// Whether what begins at the lexer with `open` stood on one line, and how much it takes there.
    fn on_one_line(&self, write: impl Fn(&mut Writer<'t>)) -> Option<String> {
        let mut probe = Writer { lexer: Lexer::new(self.lexer.whole(), 0), out: String::new(), depth: 0 };
        probe.lexer.rewind(self.lexer.offset());
        write(&mut probe);
        let written = self.lexer.slice(self.lexer.offset(), probe.lexer.offset());
        if written.contains('\n') || written.contains('#') && probe.has_comment(self.lexer.offset()) {
            return None;
        }
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        let width = self.out[line..].chars().count() + probe.out.chars().count();
        (width <= WIDTH).then_some(probe.out)
    }

    /// Whether a comment stands between `start` and here. (A `#` may stand in a text.)
    fn has_comment(&self, start: usize) -> bool {
        let mut lexer = Lexer::new(self.lexer.whole(), 0);
        lexer.rewind(start);
        while lexer.offset() < self.lexer.offset() {
            if lexer.peek() == Some('#') {
                return true;
            }
            if lexer.quoted().is_none() {
                lexer.bump();
            }
        }
        false
    }

    /// Behind the name of a plugin.
    pub(super) fn plugin(&mut self) {
        let gap = self.gap();
        self.inner_comments(&gap);
        self.space();
        if let Some(line) = self.on_one_line(Writer::flat_plugin) {
            self.out.push_str(&line);
            return self.skip(Writer::flat_plugin);
        }
        self.lexer.sign("{");
        self.out.push('{');
        self.depth += 1;
        let mut first = true;
        loop {
            let gap = self.gap();
            if self.lexer.sign("}") {
                return self.close(&gap, first);
            }
            self.statement_gap(&gap, first);
            first = false;
            self.setting();
        }
    }

    /// Goes on behind what a probe has written.
    fn skip(&mut self, write: impl Fn(&mut Writer<'t>)) {
        let mut probe = Writer { lexer: Lexer::new(self.lexer.whole(), 0), out: String::new(), depth: 0 };
        probe.lexer.rewind(self.lexer.offset());
        write(&mut probe);
        self.lexer.rewind(probe.lexer.offset());
    }

    fn flat_plugin(&mut self) {
        self.lexer.sign("{");
        self.out.push('{');
        loop {
            self.gap();
            if self.lexer.sign("}") {
                return self.out.push_str(" }");
            }
            self.out.push(' ');
            self.key();
            self.gap();
            self.lexer.sign("=>");
            self.out.push_str(" => ");
            self.gap();
            self.value(Form::Flat);
        }
    }

    /// A value, whose brackets are written on one line or as it fits.
    pub(super) fn value(&mut self, form: Form) {
        match (self.lexer.peek(), form) {
            (Some('['), Form::Fitting) => self.array(),
            (Some('['), Form::Flat) => self.flat_array(),
            (Some('{'), Form::Fitting) => self.hash(),
            (Some('{'), Form::Flat) => self.flat_hash(),
            (Some('"' | '\''), _) => self.text(),
            _ => {
                let start = self.lexer.offset();
                if self.lexer.name().is_none() {
                    self.lexer.bump();
                }
                let end = self.lexer.offset();
                let gap = self.gap();
                if self.lexer.peek() != Some('{') {
                    self.lexer.rewind(start);
                    return self.word();
                }
                self.out.push_str(self.lexer.slice(start, end));
                if form == Form::Flat {
                    self.out.push(' ');
                    return self.flat_plugin();
                }
                self.inner_comments(&gap);
                self.plugin();
            }
        }
    }

    /// A number or a bareword.
    fn word(&mut self) {
        let start = self.lexer.offset();
        if self.lexer.number().is_none() && self.lexer.bareword().is_none() {
            self.lexer.bump();
        }
        self.slice(start);
    }

    fn flat_array(&mut self) {
        self.lexer.bump();
        self.out.push('[');
        let mut first = true;
        loop {
            self.gap();
            if self.lexer.at_end() || self.lexer.sign("]") {
                return self.out.push(']');
            }
            if self.lexer.sign(",") {
                continue;
            }
            self.out.push_str(if first { "" } else { ", " });
            first = false;
            self.value(Form::Flat);
        }
    }

    pub(super) fn array(&mut self) {
        if let Some(line) = self.on_one_line(Writer::flat_array) {
            self.out.push_str(&line);
            return self.skip(Writer::flat_array);
        }
        if let Some(numbers) = self.numbers() {
            return self.fill(&numbers);
        }
        self.lexer.bump();
        self.out.push('[');
        self.depth += 1;
        let mut first = true;
        loop {
            let mut gap = self.gap();
            if self.lexer.sign(",") {
                // A comma stands behind its element, also where a comment stands between.
                self.out.push(',');
                let mut behind = self.gap();
                gap.comments.append(&mut behind.comments);
                gap.blank = false;
            }
            if self.lexer.at_end() || self.lexer.sign("]") {
                return self.close_bracket(&gap, first);
            }
            self.statement_gap(&Gap { blank: false, ..gap }, first);
            first = false;
            self.value(Form::Fitting);
        }
    }

    /// The elements of an array that has nothing but numbers; the lexer is behind it then.
    fn numbers(&mut self) -> Option<Vec<&'t str>> {
        let start = self.lexer.offset();
        self.lexer.bump();
        let mut numbers = Vec::new();
        loop {
            let gap = self.gap();
            if gap.comments.is_empty() && self.lexer.sign("]") {
                return Some(numbers);
            }
            let number = self.lexer.number().filter(|_| gap.comments.is_empty());
            let Some(number) = number else {
                self.lexer.rewind(start);
                return None;
            };
            numbers.push(number);
            if self.gap().comments.is_empty() {
                self.lexer.sign(",");
            }
        }
    }

    /// Writes numbers on as few lines as they take.
    fn fill(&mut self, numbers: &[&str]) {
        self.out.push('[');
        self.depth += 1;
        self.line();
        for (at, number) in numbers.iter().enumerate() {
            let comma = usize::from(at + 1 < numbers.len());
            let line = self.out.rfind('\n').map_or(0, |at| at + 1);
            if at > 0 && self.out.len() - line + 1 + number.len() + comma > WIDTH {
                self.line();
            } else if at > 0 {
                self.out.push(' ');
            }
            self.out.push_str(number);
            self.out.push_str(if comma > 0 { "," } else { "" });
        }
        self.depth -= 1;
        self.line();
        self.out.push(']');
    }

    fn close_bracket(&mut self, gap: &Gap<'t>, first: bool) {
        let empty = self.comments(gap, first);
        self.depth -= 1;
        if !empty {
            self.line();
        }
        self.out.push(']');
    }

    fn flat_hash(&mut self) {
        self.lexer.bump();
        self.out.push('{');
        loop {
            self.gap();
            if self.lexer.at_end() || self.lexer.sign("}") {
                return self.out.push_str(" }");
            }
            self.out.push(' ');
            self.value(Form::Flat);
            self.gap();
            self.lexer.sign("=>");
            self.out.push_str(" => ");
            self.gap();
            self.value(Form::Flat);
        }
    }

    fn hash(&mut self) {
        if let Some(line) = self.on_one_line(Writer::flat_hash) {
            self.out.push_str(&line);
            return self.skip(Writer::flat_hash);
        }
        self.lexer.bump();
        self.out.push('{');
        self.depth += 1;
        let mut first = true;
        loop {
            let gap = self.gap();
            if self.lexer.at_end() || self.lexer.sign("}") {
                return self.close(&gap, first);
            }
            self.statement_gap(&gap, first);
            first = false;
            self.value(Form::Fitting);
            self.arrow();
            self.value(Form::Fitting);
        }
    }
}
