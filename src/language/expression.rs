//! The parser's part for the conditions of `if`: expressions, operands and operators.

use super::ast::{
    At, Comparison, Condition, Expression, ExpressionKind, Joiner, Operand, OperandKind, Quoted, ValueKind,
};
use super::lexer::is_name;
use super::parser::{Failed, Parse, Parser};
use crate::diagnostic::{Diagnostic, code};

/// What an expression means with both of its sides.
type Make = fn(Operand, Operand) -> ExpressionKind;

/// Signs between two operands; longer ones first.
const SIGNS: [(&str, Make); 8] = [
    ("==", |left, right| ExpressionKind::Compare { left, op: Comparison::Equal, right }),
    ("!=", |left, right| ExpressionKind::Compare { left, op: Comparison::Unequal, right }),
    ("<=", |left, right| ExpressionKind::Compare { left, op: Comparison::LessOrEqual, right }),
    (">=", |left, right| ExpressionKind::Compare { left, op: Comparison::GreaterOrEqual, right }),
    ("=~", |left, right| ExpressionKind::Match { left, right, negated: false }),
    ("!~", |left, right| ExpressionKind::Match { left, right, negated: true }),
    ("<", |left, right| ExpressionKind::Compare { left, op: Comparison::Less, right }),
    (">", |left, right| ExpressionKind::Compare { left, op: Comparison::Greater, right }),
];

/// Signs of other languages and what stands for them here.
const FOREIGN: [(&str, &str); 4] = [("&&", "and"), ("||", "or"), ("=", "=="), ("^", "xor")];

/// What stands in the tree where a condition could not be read.
pub(super) fn placeholder() -> Condition {
    let text = Quoted { quote: '"', raw: String::new() };
    let operand = Operand { at: At::default(), kind: OperandKind::Text(text) };
    let first = Expression { at: At::default(), kind: ExpressionKind::Operand(operand) };
    Condition { first, rest: Vec::new() }
}

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Parse<Condition> {
        let first = self.expression()?;
        let mut rest = Vec::new();
        loop {
            let before = self.lexer.offset();
            self.lexer.space();
            let start = self.lexer.offset();
            let joiner = match self.lexer.name() {
                Some("and") => Joiner::And,
                Some("or") => Joiner::Or,
                Some("xor") => Joiner::Xor,
                Some("nand") => Joiner::Nand,
                _ => {
                    self.lexer.rewind(before);
                    return Ok(Condition { first, rest });
                }
            };
            let at = At(self.lexer.place(start));
            self.lexer.space();
            rest.push((joiner, at, self.expression()?));
        }
    }

    /// Behind a condition stands `{` or `)`; says what is likely meant where something else does.
    pub(super) fn condition_ends(&mut self) -> Parse<()> {
        self.lexer.space();
        if let Some((sign, word)) = FOREIGN.iter().find(|(sign, _)| self.lexer.rest().starts_with(sign)) {
            let start = self.lexer.offset();
            self.lexer.sign(sign);
            let place = self.lexer.place(start);
            let message = format!("`{sign}` is no operator of the language");
            return Err(self.fail(code::SYNTAX, place, message, format!("write `{word}`")));
        }
        match self.lexer.peek() {
            Some('{') => Ok(()),
            _ => Err(self.unexpected("`and`, `or`, `xor`, `nand` or `{` behind a condition")),
        }
    }

    fn expression(&mut self) -> Parse<Expression> {
        let start = self.lexer.offset();
        let kind = if self.lexer.peek() == Some('(') {
            ExpressionKind::Group(self.group()?)
        } else if self.lexer.sign("!") {
            self.negation()?
        } else {
            let left = self.operand()?;
            self.operation(left)?
        };
        Ok(Expression { at: At(self.lexer.place(start)), kind })
    }

    /// `( condition )`
    fn group(&mut self) -> Parse<Box<Condition>> {
        let open = self.lexer.offset();
        self.lexer.bump();
        self.lexer.space();
        let condition = self.nested(Self::condition)?;
        self.lexer.space();
        if self.lexer.sign(")") {
            return Ok(Box::new(condition));
        }
        // `&&` and the like are told apart from a missing parenthesis.
        if self.lexer.peek() != Some('{') {
            self.condition_ends()?;
        }
        let line = self.lexer.line(open);
        Err(self.unexpected(&format!("`)` (the `(` stands in line {line})")))
    }

    /// Behind `!`.
    fn negation(&mut self) -> Parse<ExpressionKind> {
        self.lexer.space();
        if self.lexer.peek() == Some('(') {
            return Ok(ExpressionKind::NotGroup(self.group()?));
        }
        let start = self.lexer.offset();
        match self.lexer.selector() {
            Some(selector) => {
                let kind = OperandKind::Selector(selector.to_owned());
                Ok(ExpressionKind::NotSelector(Operand { at: At(self.lexer.place(start)), kind }))
            }
            None => Err(self.unexpected("`(` or a field such as `[name]` behind `!`")),
        }
    }

    /// What follows the left operand.
    fn operation(&mut self, left: Operand) -> Parse<ExpressionKind> {
        let before = self.lexer.offset();
        self.lexer.space();
        for (sign, make) in SIGNS {
            if self.lexer.sign(sign) {
                self.lexer.space();
                let right = if sign.ends_with('~') { self.pattern()? } else { self.operand()? };
                return Ok(make(left, right));
            }
        }
        let negated = match self.lexer.name() {
            Some("in") => false,
            // Logstash wants one blank behind `not`, then anything blank.
            Some("not") if self.lexer.peek() == Some(' ') => {
                self.lexer.space();
                if self.lexer.name() != Some("in") {
                    return Err(self.unexpected("`in` behind `not`"));
                }
                true
            }
            _ => {
                self.lexer.rewind(before);
                return Ok(ExpressionKind::Operand(left));
            }
        };
        self.lexer.space();
        Ok(ExpressionKind::In { left, right: self.operand()?, negated })
    }

    /// A regular expression, or a text that is one.
    fn pattern(&mut self) -> Parse<Operand> {
        match self.lexer.peek() {
            Some('/' | '"' | '\'') => self.operand(),
            _ => Err(self.unexpected("a regular expression such as `/x/`")),
        }
    }

    fn operand(&mut self) -> Parse<Operand> {
        let start = self.lexer.offset();
        let kind = if let Some(text) = self.text()? {
            OperandKind::Text(text)
        } else if let Some(number) = self.lexer.number() {
            OperandKind::Number(number.to_owned())
        } else if let Some(selector) = self.lexer.selector() {
            OperandKind::Selector(selector.to_owned())
        } else {
            match self.lexer.peek() {
                Some('[') => match self.nested(Self::array)? {
                    ValueKind::Array(elements) => OperandKind::Array(elements),
                    _ => return Err(Failed),
                },
                Some('/') => OperandKind::Regexp(self.regexp()?),
                Some(c) if is_name(c) => return Err(self.bare_operand()),
                _ => return Err(self.unexpected("a field such as `[name]`, a text or a number")),
            }
        };
        Ok(Operand { at: At(self.lexer.place(start)), kind })
    }

    fn regexp(&mut self) -> Parse<String> {
        let start = self.lexer.offset();
        match self.lexer.regexp() {
            Some(Ok(raw)) => Ok(raw.to_owned()),
            _ => {
                self.lexer.bump();
                let place = self.lexer.place(start);
                let mistake = Diagnostic::error(code::REGEXP_UNCLOSED, place, "a regular expression is not closed");
                Err(self.report(mistake.label("no `/` follows")))
            }
        }
    }

    fn bare_operand(&mut self) -> Failed {
        let start = self.lexer.offset();
        let word = self.lexer.name().unwrap_or_default();
        let place = self.lexer.place(start);
        self.lexer.space();
        if word == "not" {
            return self.fail(code::OPERAND, place, "`not` stands before `in` alone", "write `!( … )` or `![field]`");
        }
        if self.lexer.peek() == Some('(') {
            let message = format!("`{word}( … )`: conditions call no methods");
            return self.fail(code::OPERAND, place, message, "there are none, in Logstash either");
        }
        let message = format!("`{word}` is neither a field nor a text");
        self.fail(code::OPERAND, place, message, format!("a field is written `[{word}]`, a text \"{word}\""))
    }
}
