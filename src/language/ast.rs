//! The tree of a configuration, as written: nothing resolved, nothing checked.
//!
//! Two trees are equal when they say the same, wherever it stands: [`At`] never differs.

use crate::diagnostic::Place;
use crate::plugin::Kind;

/// Where a node stands. All are equal, since a place is no part of what a node says.
#[derive(Clone, Copy, Debug, Default)]
pub struct At(pub Place);

impl PartialEq for At {
    fn eq(&self, _: &At) -> bool {
        true
    }
}

/// The sections of one file, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// The sections.
    pub sections: Vec<Section>,
}

/// `input { … }`, `filter { … }` or `output { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Which of the three.
    pub kind: Kind,
    /// The place of the word.
    pub at: At,
    /// What stands in it.
    pub body: Vec<Node>,
}

/// A statement of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `grok { … }`
    Plugin(Plugin),
    /// `if … { … } else { … }`
    If(If),
}

/// `if … { … } else if … { … } else { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct If {
    /// The place of the word `if`.
    pub at: At,
    /// `if` and each `else if`: never empty.
    pub branches: Vec<(Condition, Vec<Node>)>,
    /// `else`, where there is one.
    pub otherwise: Option<Vec<Node>>,
}

/// A plugin block.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// The place of the name.
    pub at: At,
    /// Its settings, in order.
    pub attributes: Vec<Attribute>,
}

/// `name => value`
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The name, without quotes.
    pub name: String,
    /// The place of the name.
    pub at: At,
    /// The value.
    pub value: Value,
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its place.
    pub at: At,
    /// What it is.
    pub kind: ValueKind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// A bare word.
    Bareword(String),
    /// Text between quotes, escapes not resolved.
    Text(Quoted),
    /// A number, as written.
    Number(String),
    /// `[ … ]`
    Array(Vec<Value>),
    /// `{ key => value … }`
    Hash(Vec<(Value, Value)>),
    /// A plugin block, as codecs have.
    Plugin(Plugin),
}

/// Text between quotes.
#[derive(Clone, Debug, PartialEq)]
pub struct Quoted {
    /// `"` or `'`.
    pub quote: char,
    /// What stands between, as written.
    pub raw: String,
}

/// Expressions joined by operators, as written. How they bind is [`super::condition`]'s affair.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The first expression.
    pub first: Expression,
    /// Operators and the expressions behind them.
    pub rest: Vec<(Joiner, At, Expression)>,
}

/// What joins two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joiner {
    /// `and`
    And,
    /// `or`
    Or,
    /// `xor`
    Xor,
    /// `nand`
    Nand,
}

/// One expression of a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// Its place.
    pub at: At,
    /// What it is.
    pub kind: ExpressionKind,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpressionKind {
    /// `( … )`
    Group(Box<Condition>),
    /// `!( … )`
    NotGroup(Box<Condition>),
    /// `![a]`
    NotSelector(Operand),
    /// `a in b`, `a not in b`
    In {
        /// What is looked for.
        left: Operand,
        /// Where.
        right: Operand,
        /// `not in`
        negated: bool,
    },
    /// `a == b` and so on
    Compare {
        /// The left side.
        left: Operand,
        /// The operator.
        op: Comparison,
        /// The right side.
        right: Operand,
    },
    /// `a =~ /x/`, `a !~ /x/`
    Match {
        /// What is matched.
        left: Operand,
        /// A regular expression, or a text that is one.
        right: Operand,
        /// `!~`
        negated: bool,
    },
    /// A value alone.
    Operand(Operand),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A side of an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// Its place.
    pub at: At,
    /// What it is.
    pub kind: OperandKind,
}

/// What a side of an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum OperandKind {
    /// Text between quotes.
    Text(Quoted),
    /// A number, as written.
    Number(String),
    /// A field reference, as written: `[a][b]`.
    Selector(String),
    /// `[ … ]` that is no selector.
    Array(Vec<Value>),
    /// What stands between the slashes, as written.
    Regexp(String),
}

impl Comparison {
    /// As written.
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "==",
            Comparison::Unequal => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

impl Joiner {
    /// As written.
    pub fn word(self) -> &'static str {
        match self {
            Joiner::And => "and",
            Joiner::Or => "or",
            Joiner::Xor => "xor",
            Joiner::Nand => "nand",
        }
    }
}
