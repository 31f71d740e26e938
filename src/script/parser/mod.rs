//! Tokens to a tree. Names are resolved here: what is not known is a mistake.

mod primary;

use super::lexer::{Kind, Token};
use super::{DEPTH_MAX, Names, ScriptError, method};

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Append,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Parts of a text, to be joined.
    Text(Vec<Node>),
    Plain(String),
    Symbol(String),
    Array(Vec<Node>),
    Hash(Vec<(Node, Node)>),
    Map,
    Local(usize),
    Index(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negative(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Binary(Op, Box<Node>, Box<Node>),
    /// The target and the value.
    Assign(Box<Node>, Box<Node>),
    /// `target op= value`
    Change(Op, Box<Node>, Box<Node>),
    /// `target ||= value`, or `&&=` where the flag says so.
    Default(Box<Node>, bool, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    Sequence(Vec<Node>),
    /// A method of the event.
    Event(&'static str, Vec<Node>),
    /// `new_event_block.call(event)`
    Create(Box<Node>),
    /// `LogStash::Event.new(members)`
    Make(Option<Box<Node>>),
    Meta(String, Box<Node>),
    Call {
        on: Box<Node>,
        name: &'static str,
        arguments: Vec<Node>,
        block: Option<Block>,
        safe: bool,
    },
    Is(Box<Node>, &'static str),
}

/// What stands between `do` and `end`.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) parameters: Vec<usize>,
    pub(super) body: Box<Node>,
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    names: Names,
    /// Names of local variables that can be seen, and their places.
    locals: Vec<(String, usize)>,
    count: usize,
    depth: usize,
}

type Parsed<T = Node> = Result<T, ScriptError>;

/// Reads a program; gives it with the number of its variables.
pub(super) fn parse(tokens: Vec<Token>, names: Names) -> Parsed<(Node, usize)> {
    let mut parser = Parser { tokens, at: 0, names, locals: Vec::new(), count: 0, depth: 0 };
    let body = parser.sequence(&[])?;
    if parser.at < parser.tokens.len() {
        return parser.unexpected();
    }
    Ok((body, parser.count))
}

const CLASSES: &[&str] =
    &["String", "Integer", "Float", "Numeric", "Array", "Hash", "NilClass", "TrueClass", "FalseClass"];

impl Parser {
    fn kind(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.line)
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(ScriptError { line: self.line(), message: message.into() })
    }

    fn unexpected<T>(&self) -> Parsed<T> {
        match self.kind() {
            Some(Kind::Op(op)) => self.wrong(format!("`{op}` was not expected here, or is not known")),
            Some(Kind::Name(name) | Kind::Constant(name)) => self.wrong(format!("`{name}` is not known here")),
            Some(Kind::End) | None => self.wrong("the code ends where something was expected"),
            Some(_) => self.wrong("a value was not expected here"),
        }
    }

    fn is(&self, op: &str) -> bool {
        matches!(self.kind(), Some(Kind::Op(found)) if *found == op)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.kind(), Some(Kind::Name(found)) if found == name)
    }

    fn eat(&mut self, op: &str) -> bool {
        let found = self.is(op);
        self.at += usize::from(found);
        found
    }

    fn eat_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, op: &str) -> Parsed<()> {
        if self.eat(op) { Ok(()) } else { self.wrong(format!("expected `{op}`")) }
    }

    fn skip_ends(&mut self) {
        while self.kind() == Some(&Kind::End) {
            self.at += 1;
        }
    }

    /// Statements up to one of these words, which is left.
    fn sequence(&mut self, until: &[&str]) -> Parsed {
        let mut nodes = Vec::new();
        loop {
            self.skip_ends();
            let ends = until.iter().any(|word| self.is_name(word) || self.is(word));
            if self.kind().is_none() || ends {
                break;
            }
            nodes.push(self.statement()?);
            let closed = until.iter().any(|word| self.is_name(word) || self.is(word));
            if self.kind().is_some_and(|kind| *kind != Kind::End) && !closed {
                return self.unexpected();
            }
        }
        Ok(Node::Sequence(nodes))
    }

    fn statement(&mut self) -> Parsed {
        let mut node = self.words()?;
        loop {
            if self.eat_name("if") {
                let condition = self.words()?;
                node = Node::If(Box::new(condition), Box::new(node), Box::new(Node::Nil));
            } else if self.eat_name("unless") {
                let condition = self.words()?;
                node = Node::If(Box::new(condition), Box::new(Node::Nil), Box::new(node));
            } else {
                return Ok(node);
            }
        }
    }

    /// `not`, `and` and `or`, which bind less than all operators, the last two alike.
    fn words(&mut self) -> Parsed {
        let mut left = self.negated()?;
        loop {
            if self.eat_name("and") {
                left = Node::And(Box::new(left), Box::new(self.negated()?));
            } else if self.eat_name("or") {
                left = Node::Or(Box::new(left), Box::new(self.negated()?));
            } else {
                return Ok(left);
            }
        }
    }

    fn negated(&mut self) -> Parsed {
        if self.eat_name("not") { Ok(Node::Not(Box::new(self.negated()?))) } else { self.expression() }
    }

    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong("nested too deep");
        }
        let node = self.assignment();
        self.depth -= 1;
        node
    }

    fn assignment(&mut self) -> Parsed {
        // A name that is new becomes a variable where it is assigned to.
        if let (Some(Kind::Name(name)), Some(Kind::Op("="))) =
            (self.kind(), self.tokens.get(self.at + 1).map(|token| &token.kind))
        {
            let name = name.clone();
            if ["map", "event", "map_meta"].contains(&name.as_str()) {
                return self.wrong(format!("`{name}` can't be assigned to"));
            }
            self.at += 2;
            let value = self.expression()?;
            let local = self.local(&name);
            return Ok(Node::Assign(Box::new(Node::Local(local)), Box::new(value)));
        }
        let left = self.ternary()?;
        let assignable = matches!(left, Node::Local(_) | Node::Index(..));
        let Some(Kind::Op(op)) = self.kind() else { return Ok(left) };
        let change = match *op {
            "=" | "||=" | "&&=" => None,
            "+=" => Some(Op::Add),
            "-=" => Some(Op::Subtract),
            "*=" => Some(Op::Multiply),
            "/=" => Some(Op::Divide),
            "%=" => Some(Op::Modulo),
            "**=" => Some(Op::Power),
            _ => return Ok(left),
        };
        let op = *op;
        if !assignable {
            return self.wrong("only variables and members can be assigned to");
        }
        self.at += 1;
        self.skip_ends();
        let value = Box::new(self.expression()?);
        let left = Box::new(left);
        Ok(match (change, op) {
            (Some(change), _) => Node::Change(change, left, value),
            (None, "=") => Node::Assign(left, value),
            (None, op) => Node::Default(left, op == "&&=", value),
        })
    }

    fn local(&mut self, name: &str) -> usize {
        if let Some((_, local)) = self.locals.iter().rev().find(|(known, _)| known == name) {
            return *local;
        }
        self.locals.push((name.to_owned(), self.count));
        self.count += 1;
        self.count - 1
    }

    fn ternary(&mut self) -> Parsed {
        let condition = self.binary(0)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        self.skip_ends();
        let then = self.ternary()?;
        self.skip_ends();
        // `a ? 1 :b` has no symbol.
        match self.kind().cloned() {
            Some(Kind::Symbol(name)) => self.tokens[self.at].kind = Kind::Name(name),
            _ => self.expect(":")?,
        }
        self.skip_ends();
        let otherwise = self.ternary()?;
        Ok(Node::If(Box::new(condition), Box::new(then), Box::new(otherwise)))
    }

    /// Operators from this level on, those that bind least first.
    fn binary(&mut self, level: usize) -> Parsed {
        const LEVELS: &[&[(&str, Option<Op>)]] = &[
            &[("||", None)],
            &[("&&", None)],
            &[("==", Some(Op::Equal)), ("!=", Some(Op::NotEqual))],
            &[
                ("<", Some(Op::Less)),
                ("<=", Some(Op::LessEqual)),
                (">", Some(Op::Greater)),
                (">=", Some(Op::GreaterEqual)),
            ],
            &[("<<", Some(Op::Append))],
            &[("+", Some(Op::Add)), ("-", Some(Op::Subtract))],
            &[("*", Some(Op::Multiply)), ("/", Some(Op::Divide)), ("%", Some(Op::Modulo))],
        ];
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(Kind::Op(found)) = self.kind() {
            let Some((name, op)) = operators.iter().find(|(name, _)| name == found) else { break };
            self.at += 1;
            self.skip_ends();
            let (first, second) = (Box::new(left), Box::new(self.binary(level + 1)?));
            left = match op {
                Some(op) => Node::Binary(*op, first, second),
                None if *name == "||" => Node::Or(first, second),
                None => Node::And(first, second),
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong("nested too deep");
        }
        let node = if self.eat("!") {
            Node::Not(Box::new(self.unary()?))
        } else if self.eat("-") {
            // A power binds more than the sign before it.
            Node::Negative(Box::new(self.unary()?))
        } else {
            let base = self.postfix()?;
            match self.eat("**") {
                true => Node::Binary(Op::Power, Box::new(base), Box::new(self.unary()?)),
                false => base,
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    fn postfix(&mut self) -> Parsed {
        let mut node = self.primary()?;
        loop {
            // A line may go on with `.method`.
            let mut ahead = self.at;
            while self.tokens.get(ahead).is_some_and(|token| token.kind == Kind::End) {
                ahead += 1;
            }
            if ahead > self.at && self.tokens.get(ahead).is_some_and(|token| token.kind == Kind::Op(".")) {
                self.at = ahead;
            }
            let spaced = self.tokens.get(self.at).is_some_and(|token| token.spaced);
            if self.is("[") && !spaced {
                self.at += 1;
                self.skip_ends();
                let key = self.expression()?;
                self.skip_ends();
                self.expect("]")?;
                node = Node::Index(Box::new(node), Box::new(key));
            } else if self.is(".") || self.is("&.") {
                let safe = self.is("&.");
                self.at += 1;
                node = self.call(node, safe)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn call(&mut self, on: Node, safe: bool) -> Parsed {
        let Some(Kind::Name(name)) = self.kind().cloned() else { return self.wrong("expected the name of a method") };
        if name == "is_a?" || name == "kind_of?" {
            self.at += 1;
            self.expect("(")?;
            let Some(Kind::Constant(class)) = self.kind().cloned() else { return self.wrong("expected a class") };
            let Some(class) = CLASSES.iter().find(|known| **known == class) else { return self.unexpected() };
            self.at += 1;
            self.expect(")")?;
            return Ok(Node::Is(Box::new(on), class));
        }
        let Some(known) = method::find(&name) else {
            return self.wrong(format!("the method `{name}` is not known here; it knows {}", method::names()));
        };
        self.at += 1;
        let arguments = self.arguments()?;
        let block = if known.block { self.block()? } else { None };
        let count = arguments.len();
        if !known.arguments.contains(&count) || (known.needs_block && block.is_none()) {
            return self.wrong(format!("`{name}` is not known with {count} arguments here, or lacks its block"));
        }
        Ok(Node::Call { on: Box::new(on), name: known.name, arguments, block, safe })
    }

    /// Arguments in parentheses, or without them on the rest of the line.
    fn arguments(&mut self) -> Parsed<Vec<Node>> {
        let spaced = self.tokens.get(self.at).is_some_and(|token| token.spaced);
        let mut arguments = Vec::new();
        if self.is("(") && !spaced {
            self.at += 1;
            self.skip_ends();
            while !self.is(")") {
                arguments.push(self.expression()?);
                self.skip_ends();
                if !self.eat(",") {
                    break;
                }
                self.skip_ends();
            }
            self.expect(")")?;
            return Ok(arguments);
        }
        let starts = match self.kind() {
            Some(Kind::Text(_) | Kind::Int(_) | Kind::Float(_) | Kind::Symbol(_)) => true,
            Some(Kind::Name(name)) => {
                !["if", "unless", "and", "or", "then", "do", "end", "else", "elsif"].contains(&name.as_str())
            }
            _ => false,
        };
        if spaced && starts {
            loop {
                arguments.push(self.expression()?);
                if !self.eat(",") {
                    break;
                }
                self.skip_ends();
            }
        }
        Ok(arguments)
    }

    fn block(&mut self) -> Parsed<Option<Block>> {
        let close = if self.eat("{") {
            "}"
        } else if self.eat_name("do") {
            "end"
        } else {
            return Ok(None);
        };
        let seen = self.locals.len();
        let mut parameters = Vec::new();
        self.skip_ends();
        if self.eat("|") {
            while !self.eat("|") {
                let Some(Kind::Name(name)) = self.kind().cloned() else { return self.wrong("expected a name") };
                self.at += 1;
                // A parameter hides a variable of its name.
                self.locals.push((name, self.count));
                parameters.push(self.count);
                self.count += 1;
                self.eat(",");
            }
        }
        let body = self.sequence(&[close])?;
        if !self.eat(close) && !self.eat_name(close) {
            return self.wrong(format!("expected `{close}`"));
        }
        self.locals.truncate(seen);
        Ok(Some(Block { parameters, body: Box::new(body) }))
    }
}
