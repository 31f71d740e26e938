//! The first engine: walks the pattern's tree over the text, without going back.
//!
//! Why its answer is the regular expression's. A backtracking engine tries the first position
//! first, and at each choice the preferred way first (greedy: long, lazy: short, alternatives: in
//! order). The scanner follows exactly those preferred ways from position 0 on; if it comes
//! through, that is the match which the other engine would have found first, captures included.
//! It leaves a way only where that way provably can't lead on: where everything before on it
//! could match in no other manner, or, for repeats that a literal must follow, where that literal
//! does not stand. In any other case it stops and says nothing. It never says "no match".

use super::token::{End, Stop, Token};
use super::tree::{Class, Greed, Node, is_space};
use memchr::memmem::{Finder, FinderRev};

/// A pattern ready to be walked.
#[derive(Debug)]
pub(super) struct Scanner {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Literal(Box<[u8]>),
    Byte(u8),
    Repeat(Repeat),
    Token(Token),
    Capture(usize, Vec<Step>),
    /// The commonest captures have no list to walk.
    CaptureToken(usize, Token),
    CaptureRepeat(usize, Repeat),
    Group(Vec<Step>),
    Alternatives(Vec<Branch>),
    Optional(Branch),
    Many(Vec<Step>, bool),
    Atomic(Vec<Step>),
    Look {
        behind: bool,
        negated: bool,
        class: Class,
    },
    TextStart,
    LineStart,
    LineEnd,
    TextEnd,
    Boundary(bool),
}

/// Steps that may be left again, and the slots in them.
#[derive(Debug)]
struct Branch {
    steps: Vec<Step>,
    slots: (usize, usize),
    /// The bytes with which a match of it can begin, where known: others need no try.
    first: Option<Class>,
}

/// Bytes of a class.
#[derive(Debug)]
struct Repeat {
    class: Class,
    kind: Kind,
    min: u32,
    max: u32,
    greed: Greed,
    follow: Follow,
}

/// Classes with a fast way through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Any,
    NotSpace,
    Other,
}

/// What must come behind a repeat.
#[derive(Debug)]
enum Follow {
    /// Not known, or several things.
    Open,
    /// A literal that begins with a byte outside of the class: the run must end there.
    Outside,
    /// A literal that begins with a byte of the class.
    Inside(Box<Inside>),
}

#[derive(Debug)]
struct Inside {
    first: u8,
    len: usize,
    forward: Finder<'static>,
    backward: FinderRev<'static>,
}

struct Walk<'a> {
    text: &'a [u8],
    spans: &'a mut [(u32, u32)],
    /// Whether the steps since the start of the branch could match in no other way.
    only: bool,
}

impl Scanner {
    /// Prepares a tree, unless there is something in it that can't be walked.
    pub(super) fn new(nodes: Vec<Node>, slots: usize) -> Option<Scanner> {
        let mut next_slot = 0;
        let steps = compile(nodes, None, &mut next_slot)?;
        (next_slot == slots || next_slot == 0).then_some(Scanner { steps })
    }

    /// Walks over an ASCII text. True: it matches, and the spans are set.
    #[inline]
    pub(super) fn run(&self, text: &[u8], spans: &mut [(u32, u32)]) -> bool {
        let mut walk = Walk { text, spans, only: true };
        walk.steps(&self.steps, 0).is_ok()
    }
}

fn compile(nodes: Vec<Node>, follow: Option<&[u8]>, slot: &mut usize) -> Option<Vec<Step>> {
    // What a node must be followed by is known from the ones behind it.
    let mut follows: Vec<Option<Vec<u8>>> = vec![follow.map(<[u8]>::to_vec)];
    for node in nodes.iter().skip(1).rev() {
        follows.push(first_literal(node));
    }
    let mut steps = Vec::with_capacity(nodes.len());
    for node in nodes {
        let follow = follows.pop().flatten();
        steps.push(step(node, follow.as_deref(), slot)?);
    }
    Some(steps)
}

fn first_literal(node: &Node) -> Option<Vec<u8>> {
    match node {
        Node::Literal(bytes) => Some(bytes.clone()),
        Node::Group(_, inner) | Node::Atomic(inner) => first_literal(inner.first()?),
        _ => None,
    }
}

fn step(node: Node, follow: Option<&[u8]>, slot: &mut usize) -> Option<Step> {
    Some(match node {
        Node::Literal(bytes) if bytes.len() == 1 => Step::Byte(bytes[0]),
        Node::Literal(bytes) => Step::Literal(bytes.into()),
        Node::Class { class, min, max, greed } => Step::Repeat(Repeat::new(class, min, max, greed, follow)),
        Node::Token(token) => Step::Token(token),
        Node::Group(None, inner) => Step::Group(compile(inner, follow, slot)?),
        Node::Group(Some(own), inner) => {
            debug_assert_eq!(own, *slot, "BUG: slots are not in order");
            *slot += 1;
            let mut steps = compile(inner, follow, slot)?;
            match (steps.len(), steps.pop()) {
                (1, Some(Step::Token(token))) => Step::CaptureToken(own, token),
                (1, Some(Step::Repeat(repeat))) => Step::CaptureRepeat(own, repeat),
                (_, last) => {
                    steps.extend(last);
                    Step::Capture(own, steps)
                }
            }
        }
        Node::Alternatives(all) => {
            let branches = all.into_iter().map(|inner| branch(inner, follow, slot));
            Step::Alternatives(branches.collect::<Option<_>>()?)
        }
        Node::Optional(inner) => Step::Optional(branch(inner, follow, slot)?),
        Node::Repeat(inner, once) => Step::Many(compile(inner, None, slot)?, once),
        Node::Atomic(inner) => Step::Atomic(compile(inner, None, slot)?),
        Node::Look { behind, negated, class } => Step::Look { behind, negated, class },
        Node::TextStart => Step::TextStart,
        Node::LineStart => Step::LineStart,
        Node::LineEnd => Step::LineEnd,
        Node::TextEnd => Step::TextEnd,
        Node::Boundary(wanted) => Step::Boundary(wanted),
        Node::Opaque => return None,
    })
}

fn branch(nodes: Vec<Node>, follow: Option<&[u8]>, slot: &mut usize) -> Option<Branch> {
    let from = *slot;
    let first = first_bytes(&nodes);
    let steps = compile(nodes, follow, slot)?;
    Some(Branch { steps, slots: (from, *slot), first })
}

/// The bytes with which a match must begin; `None` if not known or if it may be empty.
fn first_bytes(nodes: &[Node]) -> Option<Class> {
    match nodes.first()? {
        Node::Literal(bytes) => {
            let mut class = Box::new([false; 256]);
            class[bytes[0] as usize] = true;
            Some(class)
        }
        Node::Class { class, min: 1.., .. } => Some(class.clone()),
        Node::Group(_, inner) | Node::Atomic(inner) => first_bytes(inner),
        _ => None,
    }
}

impl Repeat {
    fn new(class: Class, min: u32, max: u32, greed: Greed, follow: Option<&[u8]>) -> Repeat {
        let kind = if class.iter().all(|&holds| holds) {
            Kind::Any
        } else if max == u32::MAX && (0..128).all(|b| class[b as usize] != is_space(b)) {
            Kind::NotSpace
        } else {
            Kind::Other
        };
        let follow = match follow {
            None => Follow::Open,
            Some(literal) if !class[literal[0] as usize] => Follow::Outside,
            Some(literal) => Follow::Inside(Box::new(Inside {
                first: literal[0],
                len: literal.len(),
                forward: Finder::new(literal).into_owned(),
                backward: FinderRev::new(literal).into_owned(),
            })),
        };
        Repeat { class, kind, min, max, greed, follow }
    }

    /// Where the run of the class's bytes ends.
    #[inline]
    fn run(&self, text: &[u8], at: usize) -> usize {
        let end = text.len().min(at.saturating_add(self.max as usize));
        match self.kind {
            Kind::Any => end,
            Kind::NotSpace => not_space(text, at),
            Kind::Other => at + text[at..end].iter().position(|&b| !self.class[b as usize]).unwrap_or(end - at),
        }
    }

    #[inline]
    fn end(&self, text: &[u8], at: usize) -> Result<End, Stop> {
        let least = at + self.min as usize;
        if self.greed == Greed::Lazy {
            return self.lazy(text, at, least);
        }
        let run = self.run(text, at);
        if run < least {
            return Err(Stop::Fail);
        }
        match &self.follow {
            _ if self.greed == Greed::Possessive || run == least => Ok(End { at: run, only: true }),
            Follow::Open => Ok(End { at: run, only: false }),
            Follow::Outside => Ok(End { at: run, only: true }),
            Follow::Inside(literal) => {
                let window = &text[least..text.len().min(run + literal.len)];
                let found = literal.backward.rfind(window).ok_or(Stop::Fail)?;
                Ok(End { at: least + found, only: false })
            }
        }
    }

    #[inline]
    fn lazy(&self, text: &[u8], at: usize, least: usize) -> Result<End, Stop> {
        if least > text.len() || self.run(text, at) < least {
            return Err(Stop::Fail);
        }
        let end = match &self.follow {
            Follow::Open => return Ok(End { at: least, only: false }),
            // It can't end before the run does, and not behind it.
            Follow::Outside => return Ok(End { at: self.run(text, at), only: true }),
            Follow::Inside(literal) if literal.len == 1 => memchr::memchr(literal.first, &text[least..]),
            Follow::Inside(literal) => literal.forward.find(&text[least..]),
        };
        let end = least + end.ok_or(Stop::Fail)?;
        if self.kind != Kind::Any && self.run(text, at) < end || end - at > self.max as usize {
            return Err(Stop::Fail);
        }
        Ok(End { at: end, only: false })
    }
}

/// The first white space at or behind `at` in an ASCII text: eight bytes at a time.
#[inline]
fn not_space(text: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    while let Some(chunk) = text.get(at..at + 8).and_then(|c| <[u8; 8]>::try_from(c).ok()) {
        let word = u64::from_le_bytes(chunk);
        // The high bit of each byte below 0x21.
        let mut low = word.wrapping_sub(ONES * 0x21) & !word & HIGHS;
        while low != 0 {
            let found = at + (low.trailing_zeros() / 8) as usize;
            if is_space(text[found]) {
                return found;
            }
            low &= low - 1;
        }
        at += 8;
    }
    at.min(text.len()) + text[at.min(text.len())..].iter().position(|&b| is_space(b)).unwrap_or(text.len() - at)
}

impl Walk<'_> {
    fn steps(&mut self, steps: &[Step], mut at: usize) -> Result<usize, Stop> {
        for step in steps {
            match self.step(step, at) {
                Ok(end) => at = end,
                Err(Stop::Fail) if self.only => return Err(Stop::Fail),
                Err(_) => return Err(Stop::Unknown),
            }
        }
        Ok(at)
    }

    #[inline]
    fn end(&mut self, end: End) -> usize {
        self.only &= end.only;
        end.at
    }

    #[inline]
    fn step(&mut self, step: &Step, at: usize) -> Result<usize, Stop> {
        let holds = match step {
            Step::Byte(byte) => return if self.text.get(at) == Some(byte) { Ok(at + 1) } else { Err(Stop::Fail) },
            Step::Literal(bytes) => {
                let there = self.text[at..].starts_with(bytes);
                return if there { Ok(at + bytes.len()) } else { Err(Stop::Fail) };
            }
            Step::CaptureToken(slot, token) => {
                let end = token.run(self.text, at)?;
                self.spans[*slot] = (at as u32, end.at as u32);
                return Ok(self.end(end));
            }
            Step::CaptureRepeat(slot, repeat) => {
                let end = repeat.end(self.text, at)?;
                self.spans[*slot] = (at as u32, end.at as u32);
                return Ok(self.end(end));
            }
            Step::Repeat(repeat) => return repeat.end(self.text, at).map(|end| self.end(end)),
            Step::Token(token) => return token.run(self.text, at).map(|end| self.end(end)),
            Step::Group(steps) => return self.steps(steps, at),
            Step::Capture(slot, steps) => {
                let end = self.steps(steps, at)?;
                self.spans[*slot] = (at as u32, end as u32);
                return Ok(end);
            }
            Step::Alternatives(branches) => return self.alternatives(branches, at),
            Step::Optional(branch) => {
                return match self.branch(branch, at) {
                    Ok(end) => {
                        self.only = false;
                        Ok(end)
                    }
                    Err(Stop::Fail) => Ok(at),
                    Err(Stop::Unknown) => Err(Stop::Unknown),
                };
            }
            Step::Many(steps, once) => return self.many(steps, *once, at),
            Step::Atomic(steps) => {
                let only = std::mem::replace(&mut self.only, true);
                let end = self.steps(steps, at)?;
                // An atomic group that matched has no other way to match.
                self.only = only;
                return Ok(end);
            }
            Step::Look { behind: true, negated, class } => (at > 0 && class[self.text[at - 1] as usize]) != *negated,
            Step::Look { behind: false, negated, class } => {
                self.text.get(at).is_some_and(|&b| class[b as usize]) != *negated
            }
            Step::TextStart => at == 0,
            Step::LineStart => at == 0 || (self.text[at - 1] == b'\n' && at < self.text.len()),
            Step::LineEnd => at == self.text.len() || self.text[at] == b'\n',
            Step::TextEnd => at == self.text.len(),
            Step::Boundary(wanted) => {
                let word = |at: usize| self.text.get(at).is_some_and(|&b| b.is_ascii_alphanumeric() || b == b'_');
                ((at > 0 && word(at - 1)) != word(at)) == *wanted
            }
        };
        if holds { Ok(at) } else { Err(Stop::Fail) }
    }

    fn alternatives(&mut self, branches: &[Branch], at: usize) -> Result<usize, Stop> {
        for (number, branch) in branches.iter().enumerate() {
            match self.branch(branch, at) {
                Err(Stop::Fail) => {}
                Err(Stop::Unknown) => return Err(Stop::Unknown),
                Ok(end) => {
                    self.only &= number + 1 == branches.len();
                    return Ok(end);
                }
            }
        }
        Err(Stop::Fail)
    }

    /// A branch on its own: whether it can match here at all does not depend on what came before.
    fn branch(&mut self, branch: &Branch, at: usize) -> Result<usize, Stop> {
        if let Some(first) = &branch.first
            && !self.text.get(at).is_some_and(|&b| first[b as usize])
        {
            return Err(Stop::Fail);
        }
        let only = std::mem::replace(&mut self.only, true);
        let result = self.steps(&branch.steps, at);
        self.only &= only;
        if result.is_err() {
            self.only = only;
            self.spans[branch.slots.0..branch.slots.1].fill(super::UNSET);
        }
        result
    }

    fn many(&mut self, steps: &[Step], once: bool, mut at: usize) -> Result<usize, Stop> {
        let mut rounds = 0;
        loop {
            let only = std::mem::replace(&mut self.only, true);
            let result = self.steps(steps, at);
            self.only = only;
            match result {
                // What an engine does with an empty round is its own affair.
                Ok(end) if end == at => return Err(Stop::Unknown),
                Ok(end) => at = end,
                Err(Stop::Fail) if rounds == 0 && once => return Err(Stop::Fail),
                Err(Stop::Fail) => return Ok(at),
                Err(Stop::Unknown) => return Err(Stop::Unknown),
            }
            rounds += 1;
            self.only = false;
        }
    }
}
