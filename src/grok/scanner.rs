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
    stages: Vec<Stage>,
}

/// A step and the literal behind it: most steps have one, and a turn of the loop costs more than
/// the comparison.
#[derive(Debug)]
struct Stage {
    step: Step,
    then: Literal,
}

/// Some bytes, the first eight also as a number with its mask: literals are short, and a loop or
/// a call to compare memory costs more than they do.
#[derive(Debug, Default)]
struct Literal {
    bytes: Box<[u8]>,
    number: u64,
    mask: u64,
}

#[derive(Debug)]
enum Step {
    Literal(Literal),
    Repeat(Repeat),
    Token(Token),
    /// A capture begins and ends, in a list that is not walked again.
    Open(usize),
    Close(usize),
    Capture(usize, Vec<Stage>),
    /// The commonest captures have no list to walk.
    CaptureToken(usize, Token),
    CaptureRepeat(usize, Repeat),
    /// `(?:-|%{NUMBER:n})`: a byte that stands for no value, or a captured token.
    ByteOrToken(u8, usize, Token),
    Alternatives(Vec<Branch>),
    Optional(Branch),
    Many(Vec<Stage>, bool),
    Atomic(Vec<Stage>),
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
    stages: Vec<Stage>,
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
        let stages = compile(nodes, None, &mut next_slot, false)?;
        (next_slot == slots || next_slot == 0).then_some(Scanner { stages })
    }

    /// Walks over an ASCII text. True: it matches, and the spans are set.
    #[inline]
    pub(super) fn run(&self, text: &[u8], spans: &mut [(u32, u32)]) -> bool {
        let mut walk = Walk { text, spans };
        walk.stages(&self.stages, 0).at().is_some()
    }
}

/// `again`: whether the steps may be walked more than once, so that what a walk leaves half done
/// would be seen.
fn compile(nodes: Vec<Node>, follow: Option<&[u8]>, slot: &mut usize, again: bool) -> Option<Vec<Stage>> {
    // What a node must be followed by is known from the ones behind it.
    let mut follows: Vec<Option<Vec<u8>>> = vec![follow.map(<[u8]>::to_vec)];
    for node in nodes.iter().skip(1).rev() {
        follows.push(first_literal(node));
    }
    let mut stages = Vec::with_capacity(nodes.len());
    for node in nodes {
        let follow = follows.pop().flatten();
        flatten(node, follow.as_deref(), slot, again, &mut stages)?;
    }
    Some(stages)
}

/// Appends a step; a literal joins the step before it.
fn push(step: Step, stages: &mut Vec<Stage>) {
    match (step, stages.last_mut()) {
        (Step::Literal(more), Some(stage)) => {
            stage.then = Literal::new([&stage.then.bytes[..], &more.bytes[..]].concat());
        }
        (step, _) => stages.push(Stage { step, then: Literal::default() }),
    }
}

/// Appends the steps of a node; groups dissolve into them.
fn flatten(node: Node, follow: Option<&[u8]>, slot: &mut usize, again: bool, stages: &mut Vec<Stage>) -> Option<()> {
    let (captured, inner) = match node {
        Node::Group(captured, inner) => (captured, inner),
        node => {
            push(step(node, follow, slot, again)?, stages);
            return Some(());
        }
    };
    if let Some(own) = captured {
        debug_assert_eq!(own, *slot, "BUG: slots are not in order");
        *slot += 1;
        let mut inner = compile(inner, follow, slot, again)?;
        match &inner[..] {
            [Stage { step: Step::Token(token), then }] if then.bytes.is_empty() => {
                push(Step::CaptureToken(own, *token), stages);
            }
            [Stage { step: Step::Repeat(_), then }] if then.bytes.is_empty() => {
                let Some(Step::Repeat(repeat)) = inner.pop().map(|stage| stage.step) else { return None };
                push(Step::CaptureRepeat(own, repeat), stages);
            }
            _ if again => push(Step::Capture(own, inner), stages),
            _ => {
                push(Step::Open(own), stages);
                join(inner, stages);
                push(Step::Close(own), stages);
            }
        }
    } else {
        join(compile(inner, follow, slot, again)?, stages);
    }
    Some(())
}

fn join(inner: Vec<Stage>, stages: &mut Vec<Stage>) {
    for stage in inner {
        push(stage.step, stages);
        if !stage.then.bytes.is_empty() {
            push(Step::Literal(stage.then), stages);
        }
    }
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
        Node::Literal(bytes) => Step::Literal(Literal::new(bytes)),
        Node::Class { class, min, max, greed } => Step::Repeat(Repeat::new(class, min, max, greed, follow)),
        Node::Token(token) => Step::Token(token),
        Node::Group(..) => unreachable!("BUG: groups are flattened"),
        Node::Alternatives(all) => {
            let branches = all.into_iter().map(|inner| branch(inner, follow, slot, again));
            alternatives(branches.collect::<Option<_>>()?)
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

fn alternatives(branches: Vec<Branch>) -> Step {
    if let [first, second] = &branches[..]
        && let [Stage { step: Step::Literal(literal), .. }] = &first.stages[..]
        && let [Stage { step: Step::CaptureToken(slot, token), then }] = &second.stages[..]
        && literal.bytes.len() == 1
        && first.stages[0].then.bytes.is_empty()
        && then.bytes.is_empty()
    {
        return Step::ByteOrToken(literal.bytes[0], *slot, *token);
    }
    Step::Alternatives(branches)
}

fn branch(nodes: Vec<Node>, follow: Option<&[u8]>, slot: &mut usize, again: bool) -> Option<Branch> {
    let from = *slot;
    let first = first_bytes(&nodes);
    let stages = compile(nodes, follow, slot, again)?;
    Some(Branch { stages, slots: (from, *slot), first })
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
    fn stages(&mut self, stages: &[Stage], mut at: usize) -> End {
        let mut open = false;
        for stage in stages {
            let end = self.step(&stage.step, at);
            open |= end.is_open();
            let next = match end.at() {
                Some(next) => stage.then.end(self.text, next),
                None if end == End::UNKNOWN => return End::UNKNOWN,
                None => None,
            };
            match next {
                Some(next) => at = next,
                // A way may only be left as a dead end where nothing on it had another way.
                None if open => return End::UNKNOWN,
                None => return End::FAIL,
            }
        }
        if open { End::first(at) } else { End::only(at) }
    }

    #[inline(always)]
    fn step(&mut self, step: &Step, at: usize) -> End {
        match step {
            Step::CaptureToken(slot, token) => self.token(*slot, *token, at),
            Step::CaptureRepeat(slot, repeat) => {
                let end = repeat.end(self.text, at);
                if let Some(end) = end.at() {
                    self.spans[*slot] = (at as u32, end as u32);
                }
                end
            }
            Step::ByteOrToken(byte, ..) if self.text.get(at) == Some(byte) => End::first(at + 1),
            Step::ByteOrToken(_, slot, token) => self.token(*slot, *token, at),
            Step::Repeat(repeat) => repeat.end(self.text, at),
            Step::Token(token) => token.run(self.text, at),
            Step::Alternatives(branches) => self.alternatives(branches, at),
            Step::Optional(branch) => self.optional(branch, at),
            Step::Literal(literal) => literal.end(self.text, at).map_or(End::FAIL, End::only),
            Step::Open(slot) => {
                self.spans[*slot].0 = at as u32;
                End::only(at)
            }
            Step::Close(slot) => {
                self.spans[*slot].1 = at as u32;
                End::only(at)
            }
            other => self.rare(other, at),
        }
    }

    #[inline]
    fn token(&mut self, slot: usize, token: Token, at: usize) -> End {
        let end = token.run(self.text, at);
        if let Some(end) = end.at() {
            self.spans[slot] = (at as u32, end as u32);
        }
        end
    }

    fn rare(&mut self, step: &Step, at: usize) -> End {
        let holds = match step {
            Step::Capture(slot, stages) => {
                let end = self.stages(stages, at);
                if let Some(end) = end.at() {
                    self.spans[*slot] = (at as u32, end as u32);
                }
                return end;
            }
            Step::Many(stages, once) => return self.many(stages, *once, at),
            // An atomic group that matched has no other way to match.
            Step::Atomic(stages) => {
                let end = self.stages(stages, at);
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
        let end = self.stages(&branch.stages, at);
        if end.at().is_none() {
            self.spans[branch.slots.0..branch.slots.1].fill(super::UNSET);
        }
        end
    }

    fn many(&mut self, stages: &[Stage], once: bool, start: usize) -> End {
        let mut at = start;
        loop {
            match self.stages(stages, at) {
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

impl Literal {
    fn new(bytes: Vec<u8>) -> Literal {
        let mut number = [0; 8];
        let len = bytes.len().min(8);
        number[..len].copy_from_slice(&bytes[..len]);
        let mask = if len == 8 { u64::MAX } else { (1 << (len * 8)) - 1 };
        Literal { bytes: bytes.into(), number: u64::from_le_bytes(number), mask }
    }

    /// Where it ends, if it stands at `at`.
    #[inline(always)]
    fn end(&self, text: &[u8], at: usize) -> Option<usize> {
        let len = self.bytes.len();
        let there = match text.get(at..at + 8).and_then(|there| <[u8; 8]>::try_from(there).ok()) {
            Some(there) if len <= 8 => u64::from_le_bytes(there) & self.mask == self.number,
            _ => text[at..].starts_with(&self.bytes),
        };
        there.then_some(at + len)
    }
}
