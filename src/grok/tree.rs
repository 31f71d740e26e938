//! A pattern as a tree, for the scanner and for the literal that every match must hold.
//!
//! The tree describes matches on ASCII texts. What it can't describe is [`Node::Opaque`], which
//! the scanner refuses; flags and references that would change the meaning of the rest give no
//! tree at all.

use super::library::{Library, Reference};
use super::token::Token;
use rustc_hash::FxHashMap;

/// Which bytes.
pub(super) type Class = Box<[bool; 256]>;

/// How many copies of a group a counted repeat may become.
const COPIES_MAX: u32 = 8;
/// How deep groups may be nested.
const DEPTH_MAX: usize = 64;

/// How a repeat takes what it can.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Greed {
    Greedy,
    Lazy,
    Possessive,
}

/// An element of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Literal(Vec<u8>),
    /// From `min` to `max` bytes of a class.
    Class {
        class: Class,
        min: u32,
        max: u32,
        greed: Greed,
    },
    Token(Token),
    /// A group, captured in a slot.
    Group(Option<usize>, Vec<Node>),
    Alternatives(Vec<Vec<Node>>),
    /// `(…)?`
    Optional(Vec<Node>),
    /// `(…)*` and, with true, `(…)+`
    Repeat(Vec<Node>, bool),
    /// `(?>…)`
    Atomic(Vec<Node>),
    /// Look-around at one byte.
    Look {
        behind: bool,
        negated: bool,
        class: Class,
    },
    TextStart,
    LineStart,
    LineEnd,
    TextEnd,
    /// `\b`, or `\B` where false.
    Boundary(bool),
    Opaque,
}

/// Parses a pattern.
pub(super) fn parse(pattern: &str, library: &Library, named_only: bool) -> Option<Vec<Node>> {
    let mut parser = Parser { library, named_only, slots: 0, depth: 0, tokens: FxHashMap::default() };
    let mut text = Text { bytes: pattern.as_bytes(), text: pattern, at: 0 };
    let nodes = parser.alternatives(&mut text)?;
    (text.at == pattern.len()).then_some(nodes)
}

/// The longest literal that every match holds, if it is worth looking for.
pub(super) fn required(nodes: &[Node]) -> Option<Vec<u8>> {
    let best = nodes.iter().filter_map(|node| match node {
        Node::Literal(bytes) => Some(bytes.clone()),
        Node::Group(_, inner) | Node::Atomic(inner) | Node::Repeat(inner, true) => required(inner),
        _ => None,
    });
    best.max_by_key(Vec::len).filter(|bytes| bytes.len() > 1)
}

#[derive(Clone, Copy)]
struct Text<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Text<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, what: &str) -> bool {
        let there = self.rest().starts_with(what);
        if there {
            self.at += what.len();
        }
        there
    }

    fn until(&mut self, delimiter: char) -> Option<()> {
        self.at += self.rest().find(delimiter)? + 1;
        Some(())
    }
}

struct Parser<'a> {
    library: &'a Library,
    named_only: bool,
    slots: usize,
    depth: usize,
    tokens: FxHashMap<String, bool>,
}

impl<'a> Parser<'a> {
    /// Alternatives up to the end or a closing parenthesis, which is left.
    fn alternatives(&mut self, text: &mut Text<'a>) -> Option<Vec<Node>> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let mut all = vec![self.sequence(text)?];
        while text.eat("|") {
            all.push(self.sequence(text)?);
        }
        self.depth -= 1;
        Some(if all.len() == 1 { all.pop()? } else { vec![Node::Alternatives(all)] })
    }

    fn sequence(&mut self, text: &mut Text<'a>) -> Option<Vec<Node>> {
        let mut nodes = Vec::new();
        while !matches!(text.peek(), None | Some(b'|' | b')')) {
            let Some(node) = self.element(text)? else { continue };
            let node = self.quantified(node, text)?;
            match (nodes.last_mut(), node) {
                (Some(Node::Literal(all)), Node::Literal(more)) => all.extend(more),
                (_, node) => nodes.push(node),
            }
        }
        Some(nodes)
    }

    fn element(&mut self, text: &mut Text<'a>) -> Option<Option<Node>> {
        if text.rest().starts_with("%{")
            && let Some(reference) = Reference::parse(text.rest())
        {
            text.at += reference.len;
            return self.reference(&reference).map(Some);
        }
        Some(Some(match text.next()? {
            '\\' => escape(text)?,
            '[' => one(class(text, 0)?),
            '(' => return self.group(text),
            '.' => one(Box::new([true; 256])),
            '^' => Node::LineStart,
            '$' => Node::LineEnd,
            '*' | '+' | '?' => return None,
            c => literal(c),
        }))
    }

    fn reference(&mut self, reference: &Reference<'a>) -> Option<Node> {
        let slot = self.slot(reference.field.is_some() || !self.named_only);
        let name = reference.name;
        if let Some(token) = Token::of(name).filter(|_| self.named_only) {
            let library = self.library;
            if *self.tokens.entry(name.to_owned()).or_insert_with(|| library.is_built_in(name)) {
                return Some(Node::Group(slot, vec![Node::Token(token)]));
            }
        }
        let definition = self.library.resolve(reference).ok()?;
        let mut text = Text { text: definition, bytes: definition.as_bytes(), at: 0 };
        let nodes = self.alternatives(&mut text)?;
        (text.at == definition.len()).then_some(Node::Group(slot, nodes))
    }

    fn slot(&mut self, captured: bool) -> Option<usize> {
        captured.then(|| {
            self.slots += 1;
            self.slots - 1
        })
    }

    /// A group whose parenthesis was read.
    fn group(&mut self, text: &mut Text<'a>) -> Option<Option<Node>> {
        let mut slot = None;
        let mut look = None;
        let mut atomic = false;
        if text.eat("?#") {
            text.until(')')?;
            return Some(None);
        } else if text.eat("?:") {
        } else if text.eat("?>") {
            atomic = true;
        } else if let Some((_, behind, negated)) =
            [("?=", false, false), ("?!", false, true), ("?<=", true, false), ("?<!", true, true)]
                .into_iter()
                .find(|(form, ..)| text.eat(form))
        {
            look = Some((behind, negated));
        } else if text.eat("?<") {
            text.until('>')?;
            slot = self.slot(true);
        } else if text.peek() == Some(b'?') {
            return None;
        }
        let nodes = self.alternatives(text)?;
        if !text.eat(")") {
            return None;
        }
        Some(Some(match look {
            Some((behind, negated)) => match &nodes[..] {
                [Node::Class { class, min: 1, max: 1, .. }] => Node::Look { behind, negated, class: class.clone() },
                [Node::Literal(bytes)] if bytes.len() == 1 => {
                    Node::Look { behind, negated, class: class_of(|b| b == bytes[0]) }
                }
                _ => Node::Opaque,
            },
            None if atomic => Node::Atomic(nodes),
            None => Node::Group(slot, nodes),
        }))
    }

    /// The node with the quantifiers that follow it.
    fn quantified(&mut self, mut node: Node, text: &mut Text<'a>) -> Option<Node> {
        for nested in 0.. {
            let Some((min, max, counted)) = quantifier(text) else { break };
            let greed = match text.peek() {
                Some(b'?') if !(counted && min == max) => Greed::Lazy,
                Some(b'+') if !counted => Greed::Possessive,
                _ => Greed::Greedy,
            };
            if greed != Greed::Greedy {
                text.at += 1;
            }
            node = if nested > 0 { Node::Opaque } else { repeat(node, min, max, greed) };
        }
        Some(node)
    }
}

fn one(class: Class) -> Node {
    Node::Class { class, min: 1, max: 1, greed: Greed::Greedy }
}

fn literal(c: char) -> Node {
    Node::Literal(c.to_string().into_bytes())
}

fn class_of(holds: impl Fn(u8) -> bool) -> Class {
    let mut class = Box::new([false; 256]);
    for byte in 0..=255u8 {
        class[byte as usize] = holds(byte);
    }
    class
}

/// `*`, `+`, `?`, `{n,m}`: least, most, and whether it is the last form.
fn quantifier(text: &mut Text) -> Option<(u32, u32, bool)> {
    let counts = match text.peek()? {
        b'*' => (0, u32::MAX, false),
        b'+' => (1, u32::MAX, false),
        b'?' => (0, 1, false),
        b'{' => {
            let inner = &text.rest()[1..text.rest().find('}')?];
            let (from, to) = inner.split_once(',').unwrap_or((inner, inner));
            let number = |digits: &str, empty: u32| match digits {
                "" => Some(empty),
                digits if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
                _ => None,
            };
            let (Some(min), Some(max)) = (number(from, 0), number(to, u32::MAX)) else { return None };
            if from.is_empty() && to.is_empty() {
                return None;
            }
            text.at += inner.len() + 2;
            return Some((min, max, true));
        }
        _ => return None,
    };
    text.at += 1;
    Some(counts)
}

fn repeat(node: Node, min: u32, max: u32, greed: Greed) -> Node {
    let class = match node {
        Node::Class { class, min: 1, max: 1, .. } => class,
        Node::Literal(ref bytes) if bytes.len() == 1 => class_of(|b| b == bytes[0]),
        node => return repeat_group(node, min, max, greed),
    };
    Node::Class { class, min, max, greed }
}

fn repeat_group(node: Node, min: u32, max: u32, greed: Greed) -> Node {
    if matches!(node, Node::Opaque) || greed != Greed::Greedy {
        return Node::Opaque;
    }
    let captures = has_slots(std::slice::from_ref(&node));
    match (min, max) {
        (0, 1) => Node::Optional(vec![node]),
        // What an iteration that fails leaves in a slot must not be seen: only a group that sets
        // its slot at its end is safe.
        (0 | 1, u32::MAX) => match &node {
            Node::Group(Some(_), inner) if has_slots(inner) => Node::Opaque,
            Node::Group(Some(_), _) => Node::Repeat(vec![node], min == 1),
            _ if captures => Node::Opaque,
            _ => Node::Repeat(vec![node], min == 1),
        },
        (min, max) if max <= COPIES_MAX && min <= max && !captures => {
            let mut optional = Vec::new();
            for _ in min..max {
                let mut nodes = vec![node.clone()];
                nodes.append(&mut optional);
                optional.push(Node::Optional(nodes));
            }
            let mut nodes = vec![node; min as usize];
            nodes.append(&mut optional);
            Node::Group(None, nodes)
        }
        _ => Node::Opaque,
    }
}

fn has_slots(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Group(slot, inner) => slot.is_some() || has_slots(inner),
        Node::Optional(inner) | Node::Repeat(inner, _) | Node::Atomic(inner) => has_slots(inner),
        Node::Alternatives(all) => all.iter().any(|inner| has_slots(inner)),
        _ => false,
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

/// The class that an escaped letter stands for.
fn shorthand(c: char) -> Option<Class> {
    Some(match c {
        'd' => class_of(|b| b.is_ascii_digit()),
        'D' => class_of(|b| !b.is_ascii_digit()),
        'w' => class_of(is_word),
        'W' => class_of(|b| !is_word(b)),
        's' => class_of(is_space),
        'S' => class_of(|b| !is_space(b)),
        'h' => class_of(|b| b.is_ascii_hexdigit()),
        'H' => class_of(|b| !b.is_ascii_hexdigit()),
        _ => return None,
    })
}

fn escape(text: &mut Text) -> Option<Node> {
    let c = text.next()?;
    if let Some(class) = shorthand(c) {
        return Some(one(class));
    }
    Some(match c {
        'b' => Node::Boundary(true),
        'B' => Node::Boundary(false),
        'A' => Node::TextStart,
        'z' => Node::TextEnd,
        c => literal(escaped_char(c, text)?),
    })
}

fn escaped_char(c: char, text: &mut Text) -> Option<char> {
    Some(match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'f' => '\x0c',
        'v' => '\x0b',
        'a' => '\x07',
        'e' => '\x1b',
        'x' => {
            let digits = text.rest().get(..2)?;
            text.at += 2;
            char::from_u32(u32::from_str_radix(digits, 16).ok()?).filter(char::is_ascii)?
        }
        c if c.is_ascii_alphanumeric() => return None,
        c => c,
    })
}

/// A class whose bracket was read, as far as ASCII goes.
fn class(text: &mut Text, depth: usize) -> Option<Class> {
    if depth > 8 {
        return None;
    }
    let negated = text.eat("^");
    let mut class = Box::new([false; 256]);
    let mut first = true;
    loop {
        let c = text.next()?;
        let set = match c {
            ']' if !first => break,
            '[' if text.peek() == Some(b':') => Some(posix(text)?),
            '[' => Some(self::class(text, depth + 1)?),
            '&' if text.peek() == Some(b'&') => return None,
            '\\' => shorthand(text.rest().chars().next()?).inspect(|_| text.at += 1),
            _ => None,
        };
        first = false;
        if let Some(set) = set {
            class.iter_mut().zip(set.iter()).for_each(|(all, more)| *all |= more);
            continue;
        }
        let from = member(c, text)?;
        let mut behind = text.rest().chars();
        let to = match (behind.next(), behind.next()) {
            (Some('-'), Some(next)) if !matches!(next, ']' | '[') => {
                text.at += 1;
                let c = text.next()?;
                if c == '\\' && shorthand(text.rest().chars().next()?).is_some() {
                    return None;
                }
                member(c, text)?
            }
            _ => from,
        };
        for code in from as u32..=(to as u32).min(127) {
            class[code as usize] = true;
        }
    }
    if negated {
        class.iter_mut().for_each(|holds| *holds = !*holds);
    }
    Some(class)
}

fn member(c: char, text: &mut Text) -> Option<char> {
    if c != '\\' {
        return Some(c);
    }
    match text.next()? {
        'b' => Some('\x08'),
        c => escaped_char(c, text),
    }
}

fn posix(text: &mut Text) -> Option<Class> {
    let inner = text.rest().strip_prefix(':')?;
    let end = inner.find(":]")?;
    let (negated, name) = match inner[..end].strip_prefix('^') {
        Some(name) => (true, name),
        None => (false, &inner[..end]),
    };
    let holds: fn(u8) -> bool = match name {
        "alnum" => |b| b.is_ascii_alphanumeric(),
        "alpha" => |b| b.is_ascii_alphabetic(),
        "digit" => |b| b.is_ascii_digit(),
        "lower" => |b| b.is_ascii_lowercase(),
        "upper" => |b| b.is_ascii_uppercase(),
        "xdigit" => |b| b.is_ascii_hexdigit(),
        "word" => is_word,
        "space" => is_space,
        _ => return None,
    };
    text.at += end + 3;
    Some(class_of(|b| holds(b) != negated))
}
