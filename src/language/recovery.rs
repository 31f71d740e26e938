//! The parser's part for mistakes: how they are reported, and where reading goes on behind them.

use super::lexer::is_name;
use super::parser::{Failed, Parse, Parser};
use super::{DEPTH_MAX, MISTAKES_MAX};
use crate::diagnostic::{Diagnostic, Place, code};

impl Parser<'_> {
    /// Runs one level deeper.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth == DEPTH_MAX {
            let place = self.lexer.place_ahead();
            let message = format!("nested too deep: at most {DEPTH_MAX} levels");
            let failed = self.fail(code::DEPTH, place, message, "");
            self.end();
            return Err(failed);
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Nothing more is read.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.lexer.rewind(self.lexer.offset() + self.lexer.rest().len());
    }

    pub(super) fn report(&mut self, mut mistake: Diagnostic) -> Failed {
        // What follows a mistake after which nothing can be said is no news.
        if !self.ended {
            if let Some(line) = self.runaway(&mistake) {
                mistake = mistake.note(format!(
                    "the text that begins in line {line} spans lines: is its end missing? \
                     (a backslash before a quote keeps the quote from ending a text)"
                ));
            }
            self.diagnostics.push(mistake);
            if self.diagnostics.len() == MISTAKES_MAX {
                self.end();
            }
        }
        Failed
    }

    /// The line of a text over several lines just before a mistake: likely its cause.
    fn runaway(&mut self, mistake: &Diagnostic) -> Option<usize> {
        let (start, end) = self.lexer.long_text?;
        let line = self.lexer.line(mistake.place.start as usize);
        let near = start < mistake.place.start as usize && self.lexer.line(end) == line;
        near.then(|| self.lexer.line(start))
    }

    pub(super) fn fail(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Failed {
        self.report(Diagnostic::error(code, place, message).label(label))
    }

    pub(super) fn unexpected(&mut self, expected: &str) -> Failed {
        let place = self.lexer.place_ahead();
        let found = match self.lexer.slice(place.start as usize, place.end as usize) {
            "" => "the end".to_owned(),
            text => format!("`{text}`"),
        };
        self.fail(code::SYNTAX, place, format!("expected {expected}, found {found}"), "")
    }

    /// Goes on in the block of brace level `level`: at its closing brace, or at the next name
    /// before `sign`. Braces that were open where the mistake happened are closed first.
    pub(super) fn recover(&mut self, start: usize, level: usize, sign: &str) {
        // Progress, whatever stands here; braces are counted below.
        if self.lexer.offset() == start && self.lexer.name().is_none() && !matches!(self.lexer.peek(), Some('{' | '}'))
        {
            self.lexer.bump();
        }
        loop {
            self.lexer.space();
            let here = self.lexer.offset();
            let inside = self.braces > level;
            match self.lexer.peek() {
                None => return,
                Some('}') if !inside => return,
                Some('}') => self.braces -= 1,
                Some('{') => self.braces += 1,
                Some('"' | '\'') if self.lexer.quoted().is_some_and(|text| text.is_ok()) => continue,
                Some(c) if is_name(c) => {
                    let word = self.lexer.name();
                    let behind = self.lexer.offset();
                    self.lexer.space();
                    if !inside && (self.lexer.rest().starts_with(sign) || sign == "{" && word == Some("if")) {
                        self.lexer.rewind(here);
                        return;
                    }
                    self.lexer.rewind(behind);
                    continue;
                }
                Some(_) => {}
            }
            self.lexer.bump();
        }
    }

    /// Skips to one of some characters outside of texts, comments and inner blocks.
    pub(super) fn skip_to(&mut self, stops: &[char]) {
        let mut depth = 0;
        loop {
            self.lexer.space();
            match self.lexer.peek() {
                None => return,
                Some(c) if depth == 0 && stops.contains(&c) => return,
                Some('{') => depth += 1,
                Some('}') if depth > 0 => depth -= 1,
                Some('"' | '\'') if self.lexer.quoted().is_some_and(|text| text.is_ok()) => continue,
                Some(_) => {}
            }
            self.lexer.bump();
        }
    }
}
