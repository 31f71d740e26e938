//! From tokens to the tree, by Prometheus' grammar and precedence.

use super::ast::{
    Aggregate, Aggregation, At, Binary, Expr, Grouping, Kind, Many, Matching, Operator, Shift, Span, Subquery,
};
use super::function;
use super::lexer::{Token, tokens};
use super::{Mistake, check};
use crate::language::suggest;
use crate::series::{Labels, Matcher};

/// Deeper nesting than this is refused.
const DEPTH_MAX: usize = 200;
/// A higher tree is refused: long rows of operators are trees as high as they are long, and trees are
/// walked by recursion.
const HEIGHT_MAX: usize = 250;

/// Reads an expression. The first mistake of syntax ends it; mistakes of types come all at once.
pub fn parse(text: &str) -> Result<Expr, Vec<Mistake>> {
    let tokens = tokens(text).map_err(|mistake| vec![mistake])?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0 };
    let expr = parser.expression(0).and_then(|expr| match parser.peek() {
        Token::End => Ok(expr),
        other => Err(parser.unexpected(&format!("unexpected {}", other.describe()))),
    });
    let expr = expr.map_err(|mistake| vec![mistake])?;
    let mistakes = check::check(&expr);
    if mistakes.is_empty() { Ok(expr) } else { Err(mistakes) }
}

/// Reads a selector alone, as `match[]` of the HTTP API takes it.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, Vec<Mistake>> {
    let expr = parse(text)?;
    match expr.kind {
        Kind::Selector(selector) if selector.shift == Shift::default() => Ok(selector.matchers),
        _ => Err(vec![Mistake::new("only a selector such as `name{label=\"value\"}` may stand here", expr.span)]),
    }
}

/// Reads the labels of one series as text formats write them: `name{label="value"}` or `{}`.
pub fn parse_metric(text: &str) -> Result<Labels, Vec<Mistake>> {
    let tokens = tokens(text).map_err(|mistake| vec![mistake])?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0 };
    parser.metric().map_err(|mistake| vec![mistake])
}

pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
}

pub(super) type Parsed<T> = Result<T, Mistake>;

impl Parser<'_> {
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn behind(&self, count: usize) -> &Token {
        &self.tokens[(self.at + count).min(self.tokens.len() - 1)].0
    }

    pub(super) fn span(&self) -> Span {
        self.tokens[self.at].1.clone()
    }

    /// Where the token before this one ends.
    pub(super) fn end(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].1.end
    }

    pub(super) fn next(&mut self) -> (Token, Span) {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(super) fn unexpected(&self, message: &str) -> Mistake {
        Mistake::new(message, self.span())
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(known) if *known == sign)
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        if found {
            self.next();
        }
        found
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(known) if known.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }

    fn expect(&mut self, sign: &str, place: &str) -> Parsed<()> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("expected `{sign}` {place}, not {}", self.peek().describe())))
    }

    /// An expression whose operators bind at least as tightly as `least`.
    fn expression(&mut self, least: u8) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.unexpected(&format!("the expression is nested deeper than {DEPTH_MAX}")));
        }
        let mut left = self.unary()?;
        while let Some(operator) = self.operator().filter(|operator| operator.precedence() >= least) {
            let (_, span) = self.next();
            let boolean = self.take_word("bool");
            let matching = self.matching()?;
            // A power binds to the right, all others to the left.
            let right = operator.precedence() + u8::from(operator != Operator::Pow);
            let right = self.expression(right)?;
            let whole = left.span.start..right.span.end;
            let binary = Binary { operator, left, right, matching, boolean, span };
            left = Expr::new(Kind::Binary(Box::new(binary)), whole);
            if left.height > HEIGHT_MAX {
                let message =
                    format!("the expression is nested deeper than {HEIGHT_MAX}, or has as many operators in a row");
                return Err(Mistake::new(message, left.span.clone()));
            }
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<Operator> {
        let sign = match self.peek() {
            Token::Sign(sign) => *sign,
            Token::Word(word) => word,
            _ => return None,
        };
        Operator::of_sign(sign)
    }

    fn matching(&mut self) -> Parsed<Matching> {
        let mut matching = Matching::default();
        if (self.is_word("on") || self.is_word("ignoring")) && *self.behind(1) == Token::Sign("(") {
            matching.on = self.take_word("on") || !self.take_word("ignoring");
            matching.given = true;
            matching.labels = self.labels()?;
        }
        let many = match () {
            () if self.is_word("group_left") => Many::Left,
            () if self.is_word("group_right") => Many::Right,
            () => return Ok(matching),
        };
        if !matching.given {
            return Err(self.unexpected("`on (…)` or `ignoring (…)` is missing before this"));
        }
        self.next();
        matching.many = many;
        if self.is_sign("(") {
            matching.include = self.labels()?;
        }
        Ok(matching)
    }

    /// `(a, b, "c d")`
    fn labels(&mut self) -> Parsed<Vec<String>> {
        self.expect("(", "before labels")?;
        let mut labels = Vec::new();
        while !self.take_sign(")") {
            match self.peek().clone() {
                Token::Word(word) if crate::series::is_label_name(&word) => labels.push(word),
                Token::Text(text) if !text.is_empty() => labels.push(text),
                other => return Err(self.unexpected(&format!("expected a label, not {}", other.describe()))),
            }
            self.next();
            if !self.take_sign(",") && !self.is_sign(")") {
                let message = format!("expected `,` or `)` behind a label, not {}", self.peek().describe());
                return Err(self.unexpected(&message));
            }
        }
        Ok(labels)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.span().start;
        let negative = match self.peek() {
            Token::Sign("-") => true,
            Token::Sign("+") => false,
            _ => return self.postfix(),
        };
        self.next();
        // As tightly as a multiplication: -1^2 is -(1^2).
        let inner = self.expression(Operator::Pow.precedence())?;
        let span = start..inner.span.end;
        let kind = match (negative, inner.kind) {
            (true, Kind::Number(number)) => Kind::Number(-number),
            (false, Kind::Number(number)) => Kind::Number(number),
            (true, kind) => Kind::Negate(Box::new(Expr::new(kind, inner.span))),
            (false, kind) => Kind::Paren(Box::new(Expr::new(kind, inner.span))),
        };
        Ok(Expr::new(kind, span))
    }

    /// A primary expression with ranges, `@` and `offset` behind it.
    fn postfix(&mut self) -> Parsed<Expr> {
        let mut expr = self.primary()?;
        loop {
            let start = self.span();
            if self.take_sign("[") {
                expr = self.range(expr, start)?;
            } else if self.take_sign("@") {
                let at = self.at()?;
                let span = start.start..self.end();
                let shift = shift(&mut expr, "@", &span)?;
                if shift.at.replace(at).is_some() {
                    return Err(Mistake::new("`@` may stand only once", span));
                }
                expr.span.end = span.end;
            } else if self.is_word("offset") {
                self.next();
                let offset = self.signed_duration("behind `offset`")?;
                let span = start.start..self.end();
                let shift = shift(&mut expr, "offset", &span)?;
                if shift.offset.replace(offset).is_some() {
                    return Err(Mistake::new("`offset` may stand only once", span));
                }
                expr.span.end = span.end;
            } else {
                return Ok(expr);
            }
        }
    }

    fn range(&mut self, expr: Expr, open: Span) -> Parsed<Expr> {
        let range = self.positive_duration("in `[…]`")?;
        let span = |parser: &Self| expr.span.start..parser.end();
        if self.take_sign(":") {
            let step = if self.is_sign("]") { None } else { Some(self.positive_duration("behind `:`")?) };
            self.expect("]", "behind a range")?;
            let span = span(self);
            let subquery = Subquery { expr, range, step, shift: Shift::default() };
            return Ok(Expr::new(Kind::Subquery(Box::new(subquery)), span));
        }
        self.expect("]", "behind a range")?;
        let span = span(self);
        match expr.kind {
            Kind::Selector(selector) if selector.shift == Shift::default() => {
                Ok(Expr::new(Kind::Range(selector, range), span))
            }
            Kind::Selector(_) => Err(Mistake::new("a range stands before `@` and `offset`", open.start..span.end)),
            _ => Err(Mistake::new("a range is only allowed behind a selector", open.start..span.end)
                .label("a subquery is written `[5m:]` or `[5m:1m]`")),
        }
    }

    fn at(&mut self) -> Parsed<At> {
        let negative = match () {
            () if self.take_sign("-") => true,
            () if self.take_sign("+") => false,
            () => false,
        };
        let (token, span) = self.next();
        let seconds = match &token {
            Token::Number(seconds) => *seconds,
            Token::Duration(duration) => *duration as f64 / 1000.0,
            Token::Word(word) if word.eq_ignore_ascii_case("start") || word.eq_ignore_ascii_case("end") => {
                self.expect("(", "behind `@ start` and `@ end`")?;
                self.expect(")", "behind `@ start(` and `@ end(`")?;
                return Ok(if word.eq_ignore_ascii_case("start") { At::Start } else { At::End });
            }
            other => {
                let message = format!("expected a time, `start()` or `end()` behind `@`, not {}", other.describe());
                return Err(Mistake::new(message, span));
            }
        };
        let milliseconds = (seconds * 1000.0).round();
        if !milliseconds.is_finite() || milliseconds.abs() >= i64::MAX as f64 {
            return Err(Mistake::new("the time behind `@` is out of bounds", span));
        }
        Ok(At::Time(if negative { -(milliseconds as i64) } else { milliseconds as i64 }))
    }

    fn duration(&mut self, place: &str) -> Parsed<(i64, Span)> {
        let (token, span) = self.next();
        let milliseconds = match &token {
            Token::Duration(duration) => *duration,
            Token::Number(seconds) if seconds.is_finite() && seconds.abs() < 9e15 => (seconds * 1000.0).round() as i64,
            Token::Number(_) => return Err(Mistake::new("the duration is out of bounds", span)),
            other => return Err(Mistake::new(format!("expected a duration {place}, not {}", other.describe()), span)),
        };
        Ok((milliseconds, span))
    }

    fn positive_duration(&mut self, place: &str) -> Parsed<i64> {
        let (duration, span) = self.duration(place)?;
        if duration > 0 { Ok(duration) } else { Err(Mistake::new("a duration must be greater than 0", span)) }
    }

    fn signed_duration(&mut self, place: &str) -> Parsed<i64> {
        let negative = match () {
            () if self.take_sign("-") => true,
            () if self.take_sign("+") => false,
            () => false,
        };
        let (duration, _) = self.duration(place)?;
        Ok(if negative { -duration } else { duration })
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let (token, span) = (self.peek().clone(), self.span());
        let kind = match token {
            Token::Number(number) => Kind::Number(number),
            Token::Duration(duration) => Kind::Number(duration as f64 / 1000.0),
            Token::Text(text) => Kind::Text(text),
            Token::Sign("(") => {
                self.next();
                let inner = self.expression(0)?;
                self.expect(")", "at the end of parentheses")?;
                return Ok(Expr::new(Kind::Paren(Box::new(inner)), span.start..self.end()));
            }
            Token::Sign("{") => return self.selector(None, span),
            Token::Word(word) => return self.word(&word),
            Token::End if self.at == 0 => return Err(self.unexpected("no expression")),
            other => return Err(self.unexpected(&format!("expected an expression, not {}", other.describe()))),
        };
        self.next();
        Ok(Expr::new(kind, span))
    }

    /// What begins with a name: an aggregation, a call or a selector.
    fn word(&mut self, word: &str) -> Parsed<Expr> {
        let called = *self.behind(1) == Token::Sign("(");
        if let Some(how) = Aggregation::find(word) {
            let grouped = matches!(self.behind(1), Token::Word(next)
                if next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without"));
            if called || (grouped && *self.behind(2) == Token::Sign("(")) {
                return self.aggregate(how);
            }
        } else if called {
            return self.call(word);
        }
        let keyword = ["bool", "ignoring", "on", "group_left", "group_right", "atan2"];
        if keyword.iter().any(|keyword| keyword.eq_ignore_ascii_case(word)) {
            return Err(self.unexpected(&format!("expected an expression, not the keyword `{word}`")));
        }
        let (_, span) = self.next();
        self.selector(Some(word.to_owned()), span)
    }

    fn call(&mut self, name: &str) -> Parsed<Expr> {
        let (_, span) = self.next();
        let Some(function) = function::find(name) else {
            let absent = function::ABSENT.iter().find(|(known, _)| *known == name);
            let label = match absent {
                Some((_, why)) => Some((*why).to_owned()),
                None => {
                    let aggregations = Aggregation::ALL.iter().map(|(name, _)| *name);
                    suggest::did_you_mean(name, function::FUNCTIONS.iter().map(|f| f.name).chain(aggregations))
                }
            };
            return Err(Mistake::new(format!("unknown function `{name}`"), span).label(label.unwrap_or_default()));
        };
        let arguments = self.arguments()?;
        Ok(Expr::new(Kind::Call(function, arguments), span.start..self.end()))
    }

    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect("(", "before arguments")?;
        let mut arguments = Vec::new();
        while !self.take_sign(")") {
            arguments.push(self.expression(0)?);
            let comma = self.span();
            if self.take_sign(",") {
                if self.is_sign(")") {
                    return Err(Mistake::new("no comma may stand behind the last argument", comma));
                }
            } else if !self.is_sign(")") {
                let message = format!("expected `,` or `)` behind an argument, not {}", self.peek().describe());
                return Err(self.unexpected(&message));
            }
        }
        Ok(arguments)
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = match () {
            () if self.take_word("by") => false,
            () if self.take_word("without") => true,
            () => return Ok(None),
        };
        Ok(Some(Grouping { labels: self.labels()?, without }))
    }

    fn aggregate(&mut self, how: Aggregation) -> Parsed<Expr> {
        let (_, name) = self.next();
        let before = self.grouping()?;
        let mut arguments = self.arguments()?;
        let close = self.end();
        let grouping = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or_default(),
        };
        let wanted = 1 + usize::from(how.parameter().is_some());
        if arguments.len() != wanted {
            let plural = if wanted == 1 { "" } else { "s" };
            let message = format!("`{}` takes {wanted} argument{plural}, not {}", how.name(), arguments.len());
            return Err(Mistake::new(message, name.start..close));
        }
        let Some(expr) = arguments.pop() else {
            return Err(Mistake::new("an argument is missing", name));
        };
        let aggregate = Aggregate { how, parameter: arguments.pop(), expr, grouping };
        Ok(Expr::new(Kind::Aggregate(Box::new(aggregate)), name.start..self.end()))
    }
}

/// Where `@` and `offset` of an expression go.
fn shift<'e>(expr: &'e mut Expr, what: &str, span: &Span) -> Parsed<&'e mut Shift> {
    match &mut expr.kind {
        Kind::Selector(selector) | Kind::Range(selector, _) => Ok(&mut selector.shift),
        Kind::Subquery(subquery) => Ok(&mut subquery.shift),
        _ => Err(Mistake::new(format!("`{what}` is only allowed behind a selector or a subquery"), span.clone())),
    }
}
