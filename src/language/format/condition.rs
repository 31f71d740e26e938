//! Conditions in one form.

use super::{WIDTH, Writer};
use crate::language::lexer::is_name;

impl Writer<'_> {
    /// A condition up to its block: words, signs, texts, patterns and references, one blank apart.
    pub(super) fn condition(&mut self) {
        let start = self.out.len();
        // Where the text broke its lines, in case it has to be broken again.
        let mut breaks = Vec::new();
        let mut free = true;
        loop {
            let before = self.lexer.offset();
            let gap = self.gap();
            let Some(c) = self.lexer.peek().filter(|c| *c != '{') else {
                self.lexer.rewind(before);
                break;
            };
            free &= gap.comments.is_empty();
            self.inner_comments(&gap);
            if gap.line && gap.comments.is_empty() {
                breaks.push(self.out.len());
            }
            self.piece(c);
        }
        if free && self.column(start) > WIDTH {
            let indent = "  ".repeat(self.depth + 2);
            for at in breaks.into_iter().rev().filter(|at| *at > start) {
                let end = at + self.out[at..].len() - self.out[at..].trim_start_matches(' ').len();
                self.out.replace_range(at..end, &format!("\n{indent}"));
            }
        }
    }

    /// Columns of the line that `start` is in, were it to end here.
    fn column(&self, start: usize) -> usize {
        let line = self.out[..start].rfind('\n').map_or(0, |at| at + 1);
        self.out[line..].chars().count() + 2
    }

    fn piece(&mut self, c: char) {
        match c {
            '(' => {
                self.lexer.bump();
                self.space();
                self.out.push('(');
            }
            ')' => {
                self.lexer.bump();
                self.out.push(')');
            }
            '"' | '\'' => {
                self.space();
                self.text();
            }
            '/' => {
                self.space();
                let start = self.lexer.offset();
                let _ = self.lexer.regexp();
                self.slice(start);
            }
            '[' => {
                self.space();
                let start = self.lexer.offset();
                if self.lexer.selector().is_some() {
                    self.slice(start);
                } else {
                    self.array();
                }
            }
            '!' => {
                self.lexer.bump();
                self.space();
                self.out.push('!');
                if let Some(sign) = self.lexer.peek().filter(|c| matches!(c, '=' | '~')) {
                    self.lexer.bump();
                    self.out.push(sign);
                    self.out.push(' ');
                }
            }
            c if is_name(c) => {
                self.space();
                let start = self.lexer.offset();
                if self.lexer.number().is_none() {
                    self.lexer.name();
                }
                self.slice(start);
            }
            _ => {
                let start = self.lexer.offset();
                while self.lexer.peek().is_some_and(|c| matches!(c, '=' | '<' | '>' | '~')) {
                    self.lexer.bump();
                }
                if self.lexer.offset() == start {
                    self.lexer.bump();
                }
                self.space();
                self.slice(start);
                self.out.push(' ');
            }
        }
    }
}
