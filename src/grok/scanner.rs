//! The first engine: walks the pattern's tree over the text, without going back.
//!
//! Why its answer is the regular expression's. A backtracking engine tries the first position
//! first, and at each choice the preferred way first (greedy: long, lazy: short, alternatives: in
//! order). The scanner follows exactly those preferred ways from position 0 on; if it comes
//! through, that is the match which the other engine would have found first, captures included.
//! It leaves a way only where that way provably can't lead on: where everything before on it
//! could match in no other manner, or, for repeats that a literal must follow, where that literal
//! does not stand. In any other case it stops and says nothing. It never says "no match".

use super::token::{End, Token};
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
    /// A capture begins and ends, in a list that is not walked again.
    Open(usize),
    Close(usize),
    Capture(usize, Vec<Step>),
    /// The commonest captures have no list to walk.
    CaptureToken(usize, Token),
    CaptureRepeat(usize, Repeat),
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
}

impl Scanner {
    /// Prepares a tree, unless there is something in it that can't be walked.
    pub(super) fn new(nodes: Vec<Node>, slots: usize) -> Option<Scanner> {
        let mut next_slot = 0;
        let steps = compile(nodes, None, &mut next_slot, false)?;
        (next_slot == slots || next_slot == 0).then_some(Scanner { steps })
    }

    /// Walks over an ASCII text. True: it matches, and the spans are set.
    #[inline]
    pub(super) fn run(&self, text: &[u8], spans: &mut [(u32, u32)]) -> bool {
        let mut walk = Walk { text, spans };
        walk.steps(&self.steps, 0).at().is_some()
    }
}

/// `again`: whether the steps may be walked more than once, so that what a walk leaves half done
/// would be seen.
fn compile(nodes: Vec<Node>, follow: Option<&[u8]>, slot: &mut usize, again: bool) -> Option<Vec<Step>> {
    // What a node must be followed by is known from the ones behind it.
    let mut follows: Vec<Option<Vec<u8>>> = vec![follow.map(<[u8]>::to_vec)];
    for node in nodes.iter().skip(1).rev() {
        follows.push(first_literal(node));
    }
    let mut steps = Vec::with_capacity(nodes.len());
    for node in nodes {
        let follow = follows.pop().flatten();
        flatten(node, follow.as_deref(), slot, again, &mut steps)?;
    }
    Some(steps)
}

/// Appends the steps of a node; groups dissolve into them.
fn flatten(node: Node, follow: Option<&[u8]>, slot: &mut usize, again: bool, steps: &mut Vec<Step>) -> Option<()> {
    let (captured, inner) = match node {
        Node::Group(captured, inner) => (captured, inner),
        node => {
            steps.push(step(node, follow, slot, again)?);
            return Some(());
        }
    };
    let Some(own) = captured else {
        steps.extend(compile(inner, follow, slot, again)?);
        return Some(());
    };
    debug_assert_eq!(own, *slot, "BUG: slots are not in order");
    *slot += 1;
    let mut inner = compile(inner, follow, slot, again)?;
    match (inner.len(), inner.pop()) {
        (1, Some(Step::Token(token))) => steps.push(Step::CaptureToken(own, token)),
        (1, Some(Step::Repeat(repeat))) => steps.push(Step::CaptureRepeat(own, repeat)),
        (_, last) => {
            inner.extend(last);
            if again {
                steps.push(Step::Capture(own, inner));
            } else {
                steps.push(Step::Open(own));
                steps.append(&mut inner);
                steps.push(Step::Close(own));
            }
        }
    }
    Some(())
}

fn first_literal(node: &Node) -> Option<Vec<u8>> {
    match node {
        Node::Literal(bytes) => Some(bytes.clone()),
        Node::Group(_, inner) | Node::Atomic(inner) => first_literal(inner.first()?),
        _ => None,
    }
}

fn step(node: Node, follow: Option<&[u8]>, slot: &mut usize, again: bool) -> Option<Step> {
    Some(match node {
        Node::Literal(bytes) if bytes.len() == 1 => Step::Byte(bytes[0]),
        Node::Literal(bytes) => Step::Literal(bytes.into()),
        Node::Class { class, min, max, greed } => Step::Repeat(Repeat::new(class, min, max, greed, follow)),
        Node::Token(token) => Step::Token(token),
        Node::Group(..) => unreachable!("BUG: groups are flattened"),
        Node::Alternatives(all) => {
            let branches = all.into_iter().map(|inner| branch(inner, follow, slot, again));
            Step::Alternatives(branches.collect::<Option<_>>()?)
        }
        Node::Optional(inner) => Step::Optional(branch(inner, follow, slot, again)?),
        Node::Repeat(inner, once) => Step::Many(compile(inner, None, slot, true)?, once),
        Node::Atomic(inner) => Step::Atomic(compile(inner, None, slot, again)?),
        Node::Look { behind, negated, class } => Step::Look { behind, negated, class },
        Node::TextStart => Step::TextStart,
        Node::LineStart => Step::LineStart,
        Node::LineEnd => Step::LineEnd,
        Node::TextEnd => Step::TextEnd,
        Node::Boundary(wanted) => Step::Boundary(wanted),
        Node::Opaque => return None,
    })
}

fn branch(nodes: Vec<Node>, follow: Option<&[u8]>, slot: &mut usize, again: bool) -> Option<Branch> {
    let from = *slot;
    let first = first_bytes(&nodes);
    let steps = compile(nodes, follow, slot, again)?;
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
    fn end(&self, text: &[u8], at: usize) -> End {
        let least = at + self.min as usize;
        if self.greed == Greed::Lazy {
            return self.lazy(text, at, least);
        }
        let run = self.run(text, at);
        if run < least {
            return End::FAIL;
        }
        match &self.follow {
            _ if self.greed == Greed::Possessive || run == least => End::only(run),
            Follow::Open => End::first(run),
            Follow::Outside => End::only(run),
            Follow::Inside(literal) => {
                let window = &text[least..text.len().min(run + literal.len)];
                literal.backward.rfind(window).map_or(End::FAIL, |found| End::first(least + found))
            }
        }
    }

    #[inline]
    fn lazy(&self, text: &[u8], at: usize, least: usize) -> End {
        if least > text.len() || (self.kind != Kind::Any && self.run(text, at) < least) {
            return End::FAIL;
        }
        let found = match &self.follow {
            Follow::Open => return End::first(least),
            // It can't end before the run does, and not behind it.
            Follow::Outside => return End::only(self.run(text, at)),
            Follow::Inside(literal) if literal.len == 1 => memchr::memchr(literal.first, &text[least..]),
            Follow::Inside(literal) => literal.forward.find(&text[least..]),
        };
        let Some(end) = found.map(|found| least + found) else { return End::FAIL };
        if self.kind != Kind::Any && self.run(text, at) < end || end - at > self.max as usize {
            return End::FAIL;
        }
        End::first(end)
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
    /// Walks a list. The end's openness is that of the whole list.
    fn steps(&mut self, steps: &[Step], mut at: usize) -> End {
        let mut open = false;
        for step in steps {
            let end = match step {
                Step::Byte(byte) => {
                    if self.text.get(at) == Some(byte) {
                        at += 1;
                        continue;
                    }
                    End::FAIL
                }
                Step::Literal(bytes) => {
                    if starts_with(self.text, at, bytes) {
                        at += bytes.len();
                        continue;
                    }
                    End::FAIL
                }
                Step::Open(slot) => {
                    self.spans[*slot].0 = at as u32;
                    continue;
                }
                Step::Close(slot) => {
                    self.spans[*slot].1 = at as u32;
                    continue;
                }
                Step::CaptureToken(slot, token) => {
                    let end = token.run(self.text, at);
                    if let Some(end) = end.at() {
                        self.spans[*slot] = (at as u32, end as u32);
                    }
                    end
                }
                Step::CaptureRepeat(slot, repeat) => {
                    let end = repeat.end(self.text, at);
                    if let Some(end) = end.at() {
                        self.spans[*slot] = (at as u32, end as u32);
                    }
                    end
                }
                Step::Repeat(repeat) => repeat.end(self.text, at),
                Step::Token(token) => token.run(self.text, at),
                Step::Alternatives(branches) => self.alternatives(branches, at),
                Step::Optional(branch) => self.optional(branch, at),
                other => self.rare(other, at),
            };
            match end.at() {
                Some(next) => at = next,
                // A way may only be left as a dead end where nothing on it had another way.
                None if end == End::FAIL && !open => return End::FAIL,
                None => return End::UNKNOWN,
            }
            open |= end.is_open();
        }
        if open { End::first(at) } else { End::only(at) }
    }

    fn rare(&mut self, step: &Step, at: usize) -> End {
        let holds = match step {
            Step::Capture(slot, steps) => {
                let end = self.steps(steps, at);
                if let Some(end) = end.at() {
                    self.spans[*slot] = (at as u32, end as u32);
                }
                return end;
            }
            Step::Many(steps, once) => return self.many(steps, *once, at),
            // An atomic group that matched has no other way to match.
            Step::Atomic(steps) => {
                let end = self.steps(steps, at);
                return end.at().map_or(end, End::only);
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
            _ => unreachable!("BUG: a common step"),
        };
        if holds { End::only(at) } else { End::FAIL }
    }

    fn alternatives(&mut self, branches: &[Branch], at: usize) -> End {
        let mut left = branches.len();
        for branch in branches {
            left -= 1;
            match self.branch(branch, at) {
                End::FAIL => {}
                End::UNKNOWN => return End::UNKNOWN,
                end if left == 0 => return end,
                end => return end.at().map_or(end, End::first),
            }
        }
        End::FAIL
    }

    fn optional(&mut self, branch: &Branch, at: usize) -> End {
        match self.branch(branch, at) {
            End::FAIL => End::only(at),
            end => end.at().map_or(end, End::first),
        }
    }

    /// A branch on its own: whether it can match here at all does not depend on what came before.
    #[inline]
    fn branch(&mut self, branch: &Branch, at: usize) -> End {
        if let Some(first) = &branch.first
            && !self.text.get(at).is_some_and(|&b| first[b as usize])
        {
            return End::FAIL;
        }
        let end = self.steps(&branch.steps, at);
        if end.at().is_none() {
            self.spans[branch.slots.0..branch.slots.1].fill(super::UNSET);
        }
        end
    }

    fn many(&mut self, steps: &[Step], once: bool, start: usize) -> End {
        let mut at = start;
        loop {
            match self.steps(steps, at) {
                End::FAIL if at == start && once => return End::FAIL,
                End::FAIL if at == start => return End::only(at),
                End::FAIL => return End::first(at),
                end => match end.at() {
                    // What an engine does with an empty round is its own affair.
                    None => return End::UNKNOWN,
                    Some(end) if end == at => return End::UNKNOWN,
                    Some(end) => at = end,
                },
            }
        }
    }
}

/// Most literals are of a few bytes, for which a call to compare memory costs more than they do.
#[inline]
fn starts_with(text: &[u8], at: usize, literal: &[u8]) -> bool {
    match text.get(at..at + literal.len()) {
        Some(there) if literal.len() <= 8 => there.iter().zip(literal).all(|(a, b)| a == b),
        Some(there) => there == literal,
        None => false,
    }
}
