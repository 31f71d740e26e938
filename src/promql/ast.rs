//! The tree of an expression. Every node knows where it stands in the text.

use super::function::Function;
use crate::series::Matcher;
use std::ops::Range;

/// Bytes of the expression's text.
pub type Span = Range<usize>;

/// What an expression is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// One number at each time.
    Scalar,
    /// A number or histogram for each label set at each time.
    Vector,
    /// Samples over a range for each label set.
    Matrix,
    /// A text.
    Text,
}

impl Type {
    /// The name that Prometheus' documents use, with its article.
    pub fn name(self) -> &'static str {
        match self {
            Type::Scalar => "a scalar",
            Type::Vector => "an instant vector",
            Type::Matrix => "a range vector",
            Type::Text => "a string",
        }
    }
}

/// A node.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub span: Span,
    /// How many nodes are on the longest way down, this one included.
    pub height: usize,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `1.5`, `5m` as seconds.
    Number(f64),
    /// `"text"`
    Text(String),
    /// `name{label="value"} @ 5 offset 1m`
    Selector(Selector),
    /// A selector with `[range]`, in milliseconds.
    Range(Selector, i64),
    /// `expr[range:step]`
    Subquery(Box<Subquery>),
    /// `function(arguments)`
    Call(&'static Function, Vec<Expr>),
    /// `sum by (label) (expr)`
    Aggregate(Box<Aggregate>),
    /// `left op right`
    Binary(Box<Binary>),
    /// `-expr`
    Negate(Box<Expr>),
    /// `(expr)`, or `+expr`
    Paren(Box<Expr>),
}

/// Which series, and when.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The name before the braces.
    pub name: Option<String>,
    /// All conditions, that on the name included.
    pub matchers: Vec<Matcher>,
    /// `@` and `offset`.
    pub shift: Shift,
}

/// `@` and `offset` behind a selector or subquery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shift {
    /// Milliseconds into the past.
    pub offset: Option<i64>,
    /// A fixed time.
    pub at: Option<At>,
}

/// The fixed time behind `@`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Milliseconds since 1970.
    Time(i64),
    /// The first time of the query.
    Start,
    /// The last time of the query.
    End,
}

/// An expression evaluated over a range.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// Milliseconds.
    pub range: i64,
    /// Milliseconds; the evaluation interval if not given.
    pub step: Option<i64>,
    /// `@` and `offset`.
    pub shift: Shift,
}

/// How an aggregation sums up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aggregation {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
}

impl Aggregation {
    /// All of them by name.
    pub const ALL: [(&'static str, Aggregation); 12] = [
        ("avg", Aggregation::Avg),
        ("bottomk", Aggregation::Bottomk),
        ("count", Aggregation::Count),
        ("count_values", Aggregation::CountValues),
        ("group", Aggregation::Group),
        ("max", Aggregation::Max),
        ("min", Aggregation::Min),
        ("quantile", Aggregation::Quantile),
        ("stddev", Aggregation::Stddev),
        ("stdvar", Aggregation::Stdvar),
        ("sum", Aggregation::Sum),
        ("topk", Aggregation::Topk),
    ];

    /// The aggregation of this name, in any case of letters.
    pub fn find(name: &str) -> Option<Aggregation> {
        Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, one)| *one)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, one)| *one == self).map_or("", |(name, _)| name)
    }

    /// The type of its parameter, if it takes one.
    pub fn parameter(self) -> Option<Type> {
        match self {
            Aggregation::Topk | Aggregation::Bottomk | Aggregation::Quantile => Some(Type::Scalar),
            Aggregation::CountValues => Some(Type::Text),
            _ => None,
        }
    }
}

/// `by (…)` or `without (…)`; neither is `by ()`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grouping {
    /// The labels in parentheses.
    pub labels: Vec<String>,
    /// Whether these are the ones to leave out.
    pub without: bool,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// How.
    pub how: Aggregation,
    /// The parameter, if it takes one.
    pub parameter: Option<Expr>,
    /// What is summed up.
    pub expr: Expr,
    /// Into which groups.
    pub grouping: Grouping,
}

/// An operator between two expressions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    /// `</`: cuts off what a histogram holds above.
    TrimUpper,
    /// `>/`: cuts off what a histogram holds below.
    TrimLower,
    And,
    Or,
    Unless,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Operator; 18] = [
        Operator::Add,
        Operator::Sub,
        Operator::Mul,
        Operator::Div,
        Operator::Mod,
        Operator::Pow,
        Operator::Atan2,
        Operator::Equal,
        Operator::NotEqual,
        Operator::Greater,
        Operator::Less,
        Operator::GreaterOrEqual,
        Operator::LessOrEqual,
        Operator::TrimUpper,
        Operator::TrimLower,
        Operator::And,
        Operator::Or,
        Operator::Unless,
    ];

    /// The operator that is written so, in letters of either case.
    pub fn of_sign(sign: &str) -> Option<Operator> {
        Operator::ALL.into_iter().find(|operator| operator.sign().eq_ignore_ascii_case(sign))
    }

    /// As written.
    pub fn sign(self) -> &'static str {
        match self {
            Operator::Add => "+",
            Operator::Sub => "-",
            Operator::Mul => "*",
            Operator::Div => "/",
            Operator::Mod => "%",
            Operator::Pow => "^",
            Operator::Atan2 => "atan2",
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
            Operator::Greater => ">",
            Operator::Less => "<",
            Operator::GreaterOrEqual => ">=",
            Operator::LessOrEqual => "<=",
            Operator::TrimUpper => "</",
            Operator::TrimLower => ">/",
            Operator::And => "and",
            Operator::Or => "or",
            Operator::Unless => "unless",
        }
    }

    /// Whether it compares.
    pub fn is_comparison(self) -> bool {
        use Operator::*;
        matches!(self, Equal | NotEqual | Greater | Less | GreaterOrEqual | LessOrEqual)
    }

    /// Whether it works on sets of series.
    pub fn is_set(self) -> bool {
        matches!(self, Operator::And | Operator::Or | Operator::Unless)
    }

    /// How tightly it binds; more is tighter.
    pub fn precedence(self) -> u8 {
        use Operator::*;
        match self {
            Or => 1,
            And | Unless => 2,
            Equal | NotEqual | Greater | Less | GreaterOrEqual | LessOrEqual | TrimUpper | TrimLower => 3,
            Add | Sub => 4,
            Mul | Div | Mod | Atan2 => 5,
            Pow => 6,
        }
    }
}

/// On which side of an operator several series may share one partner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Many {
    /// On neither.
    #[default]
    Neither,
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// How the series of both sides find each other.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// The labels behind `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether `on` is written.
    pub on: bool,
    /// Whether `on` or `ignoring` is written.
    pub given: bool,
    /// `group_left` or `group_right`.
    pub many: Many,
    /// Labels that the one side lends.
    pub include: Vec<String>,
}

/// An operator and its sides.
#[derive(Clone, Debug)]
pub struct Binary {
    /// Which.
    pub operator: Operator,
    /// Left side.
    pub left: Expr,
    /// Right side.
    pub right: Expr,
    /// How series find each other.
    pub matching: Matching,
    /// Whether `bool` is written.
    pub boolean: bool,
    /// Where the operator is.
    pub span: Span,
}

impl Expr {
    /// A node at a place.
    pub fn new(kind: Kind, span: Span) -> Expr {
        let below = match &kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Selector(_) | Kind::Range(..) => 0,
            Kind::Subquery(subquery) => subquery.expr.height,
            Kind::Call(_, arguments) => arguments.iter().map(|argument| argument.height).max().unwrap_or(0),
            Kind::Aggregate(aggregate) => {
                aggregate.expr.height.max(aggregate.parameter.as_ref().map_or(0, |parameter| parameter.height))
            }
            Kind::Binary(binary) => binary.left.height.max(binary.right.height),
            Kind::Negate(inner) | Kind::Paren(inner) => inner.height,
        };
        Expr { kind, span, height: below + 1 }
    }

    /// Its type. Of an expression with mistakes, the likely one.
    pub fn ty(&self) -> Type {
        match &self.kind {
            Kind::Number(_) => Type::Scalar,
            Kind::Text(_) => Type::Text,
            Kind::Selector(_) | Kind::Aggregate(_) => Type::Vector,
            Kind::Range(..) | Kind::Subquery(_) => Type::Matrix,
            Kind::Call(function, _) => function.returns,
            Kind::Binary(binary) => match (binary.left.ty(), binary.right.ty()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            Kind::Negate(inner) | Kind::Paren(inner) => inner.ty(),
        }
    }

    /// Calls `visit` for this node and all below.
    pub fn walk<'e>(&'e self, visit: &mut impl FnMut(&'e Expr)) {
        visit(self);
        match &self.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Selector(_) | Kind::Range(..) => {}
            Kind::Subquery(subquery) => subquery.expr.walk(visit),
            Kind::Call(_, arguments) => arguments.iter().for_each(|argument| argument.walk(visit)),
            Kind::Aggregate(aggregate) => {
                aggregate.parameter.iter().for_each(|parameter| parameter.walk(visit));
                aggregate.expr.walk(visit);
            }
            Kind::Binary(binary) => {
                binary.left.walk(visit);
                binary.right.walk(visit);
            }
            Kind::Negate(inner) | Kind::Paren(inner) => inner.walk(visit),
        }
    }

    /// The names of the metrics that its selectors name; `None` for one without a name.
    pub fn metrics(&self) -> Vec<Option<&str>> {
        let mut names = Vec::new();
        self.walk(&mut |node| {
            if let Kind::Selector(selector) | Kind::Range(selector, _) = &node.kind {
                names.push(selector.name.as_deref());
            }
        });
        names
    }

    /// The node inside any parentheses.
    pub fn inner(&self) -> &Expr {
        match &self.kind {
            Kind::Paren(inner) => inner.inner(),
            _ => self,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.inner().kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How far into the past it looks at most, in milliseconds, `lookback` of selectors included.
    pub fn reach(&self, lookback: i64) -> i64 {
        let shifted = |shift: &Shift| shift.offset.unwrap_or(0).max(0);
        match &self.kind {
            Kind::Number(_) | Kind::Text(_) => 0,
            Kind::Selector(selector) => lookback + shifted(&selector.shift),
            Kind::Range(selector, range) => range + shifted(&selector.shift),
            Kind::Subquery(subquery) => subquery.range + shifted(&subquery.shift) + subquery.expr.reach(lookback),
            Kind::Call(_, arguments) => arguments.iter().map(|one| one.reach(lookback)).max().unwrap_or(0),
            Kind::Aggregate(aggregate) => {
                let parameter = aggregate.parameter.as_ref().map_or(0, |one| one.reach(lookback));
                parameter.max(aggregate.expr.reach(lookback))
            }
            Kind::Binary(binary) => binary.left.reach(lookback).max(binary.right.reach(lookback)),
            Kind::Negate(inner) | Kind::Paren(inner) => inner.reach(lookback),
        }
    }
}
