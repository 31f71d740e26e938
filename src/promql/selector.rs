//! The grammar of selectors: a name, and conditions in braces.

use super::Mistake;
use super::ast::{Expr, Kind, Selector, Shift, Span};
use super::lexer::Token;
use super::parser::{Parsed, Parser};
use crate::series::{Labels, METRIC_NAME, Matcher, Op};

impl Parser<'_> {
    pub(super) fn selector(&mut self, name: Option<String>, start: Span) -> Parsed<Expr> {
        let mut matchers: Vec<Matcher> = Vec::new();
        if self.take_sign("{") {
            while !self.take_sign("}") {
                matchers.push(self.matcher()?);
                if !self.take_sign(",") && !self.is_sign("}") {
                    let message = format!("expected `,` or `}}` behind a condition, not {}", self.peek().describe());
                    return Err(self.unexpected(&message));
                }
            }
        }
        let span = start.start..self.end();
        if let Some(name) = &name {
            let twice = matchers.iter().find(|matcher| matcher.name == METRIC_NAME && matcher.op == Op::Equal);
            if let Some(twice) = twice {
                let message = format!("the name of the metric stands there twice: `{name}` and `{}`", twice.value);
                return Err(Mistake::new(message, span));
            }
            matchers.push(Matcher::equal(METRIC_NAME, name.as_str()));
        }
        if matchers.iter().all(|matcher| matcher.matches("")) {
            return Err(Mistake::new("a selector needs a condition that an empty value does not meet", span)
                .label("this would select every series"));
        }
        let selector = Selector { name, matchers, shift: Shift::default() };
        Ok(Expr::new(Kind::Selector(selector), span))
    }

    pub(super) fn metric(&mut self) -> Parsed<Labels> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        if let Token::Word(name) = self.peek().clone() {
            self.next();
            pairs.push((METRIC_NAME.to_owned(), name));
        }
        if self.take_sign("{") {
            while !self.take_sign("}") {
                let place = self.span();
                let matcher = self.matcher()?;
                if matcher.op != Op::Equal {
                    return Err(Mistake::new("a series has labels, not conditions", place).label("write `=`"));
                }
                pairs.push((matcher.name, matcher.value));
                if !self.take_sign(",") && !self.is_sign("}") {
                    let message = format!("expected `,` or `}}` behind a label, not {}", self.peek().describe());
                    return Err(self.unexpected(&message));
                }
            }
        } else if pairs.is_empty() {
            return Err(self.unexpected("expected a series such as `name{label=\"value\"}`"));
        }
        match self.peek() {
            Token::End => Ok(Labels::new(pairs)),
            other => Err(self.unexpected(&format!("unexpected {}", other.describe()))),
        }
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let (name, at) = self.next();
        let name = match name {
            Token::Word(word) if crate::series::is_label_name(&word) => word,
            // Labels may be named `inf` and `nan`.
            Token::Number(_) if crate::series::is_label_name(&self.text[at.clone()]) => {
                self.text[at.clone()].to_owned()
            }
            Token::Text(text) if self.is_sign(",") || self.is_sign("}") => {
                return Ok(Matcher::equal(METRIC_NAME, text));
            }
            Token::Text(text) if !text.is_empty() => text,
            other => return Err(Mistake::new(format!("expected a label, not {}", other.describe()), at)),
        };
        let op = match self.peek() {
            Token::Sign("=") => Op::Equal,
            Token::Sign("!=") => Op::NotEqual,
            Token::Sign("=~") => Op::Regex,
            Token::Sign("!~") => Op::NotRegex,
            other => {
                let message = format!("expected `=`, `!=`, `=~` or `!~` behind a label, not {}", other.describe());
                return Err(self.unexpected(&message));
            }
        };
        self.next();
        match self.next() {
            (Token::Text(value), span) => Matcher::new(op, name, value).map_err(|message| Mistake::new(message, span)),
            (other, span) => {
                let message = format!("expected a string behind `{name}`, not {}", other.describe());
                Err(Mistake::new(message, span).label("values stand in quotes"))
            }
        }
    }
}
