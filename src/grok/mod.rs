//! grok: named patterns, compiled to engines that capture fields out of text.
//!
//! Three engines stand behind [`Grok::captures`]: a scanner made of the pattern's literals,
//! classes and well-known parts (see `scanner.rs`), PCRE2's JIT, and PCRE2 with its limits for
//! whatever else a pattern may hold. The scanner answers only where its answer is provably the
//! regular expression's; on any doubt it declines and the text goes to PCRE2. Before that, a
//! literal that every match must hold sorts out most texts that can't match.

mod candidates;
mod explain;
mod library;
mod scanner;
mod token;
mod tree;

pub use candidates::Candidates;
pub use explain::{Explanation, explain};
pub use library::{Library, Set};

use crate::regexp::{Flags, MATCH_LIMIT, MatchError, Regexp, RegexpError};
use memchr::memmem::Finder;
use scanner::Scanner;
use std::sync::Arc;

/// Why a pattern can't be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrokError {
    /// It refers to a pattern that is not there.
    #[error("pattern %{{{name}}} is not defined")]
    Unknown {
        /// The name.
        name: String,
        /// A name that is near.
        near: Option<String>,
    },
    /// It refers to itself.
    #[error("pattern %{{{name}}} refers to itself")]
    Circular {
        /// The name.
        name: String,
    },
    /// Its expansion has no end that we want to see.
    #[error("pattern %{{{name}}} expands to more than a megabyte")]
    TooLong {
        /// The name.
        name: String,
    },
    /// The expanded pattern is no regular expression.
    #[error("cannot compile the pattern: {0}")]
    Regexp(#[from] RegexpError),
    /// A pattern file can't be read.
    #[error("cannot read the pattern files {path}: {cause}")]
    Files {
        /// File or glob.
        path: String,
        /// Why.
        cause: String,
    },
}

/// What a capture's text becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Stays text.
    Text,
    /// `:int`, as Ruby's `to_i`.
    Int,
    /// `:float`, as Ruby's `to_f`.
    Float,
}

/// A field that a pattern captures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Capture {
    /// The field reference as the pattern gives it.
    pub field: String,
    /// What the text becomes.
    pub kind: Kind,
    /// Where its span stands in [`Scratch::spans`].
    pub slot: usize,
}

/// Options of a pattern.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Capture only references that name a field.
    pub named_captures_only: bool,
    /// How many steps a match may take.
    pub match_limit: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options { named_captures_only: true, match_limit: MATCH_LIMIT }
    }
}

/// What a match needs and leaves; kept by the caller from text to text.
#[derive(Default, Debug, Clone)]
pub struct Scratch {
    /// Start and end by slot; [`UNSET`] where nothing was captured.
    pub spans: Vec<(u32, u32)>,
}

/// The span of a capture that took no part in the match.
pub const UNSET: (u32, u32) = (u32::MAX, u32::MAX);

/// A compiled pattern; clones share it.
#[derive(Clone, Debug)]
pub struct Grok(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    regexp: Regexp,
    captures: Vec<Capture>,
    slots: usize,
    scanner: Option<Scanner>,
    /// What every match holds.
    required: Option<Finder<'static>>,
}

impl Grok {
    /// Compiles a pattern with the definitions of a library.
    pub fn compile(pattern: &str, library: &Library, options: Options) -> Result<Grok, GrokError> {
        let expanded = library.expand_with(pattern, options.named_captures_only)?;
        let flags = Flags { dot_all: true, ignore_case: false, match_limit: options.match_limit };
        let regexp = match Regexp::with_flags(&expanded, flags) {
            Err(error) if error.message.contains("too large") => {
                let shared = library.expand_shared(pattern, options.named_captures_only)?;
                Regexp::with_flags(&shared, flags).map_err(|_| error)?
            }
            result => result?,
        };
        let names = regexp.names().iter().skip(1).map(|n| n.as_deref().unwrap_or(""));
        let names: Vec<&str> = names.take_while(|name| !name.starts_with(library::SHARED)).collect();
        let captures = captures(&names);
        let slots = names.len();
        let tree = tree::parse(pattern, library, options.named_captures_only);
        let required = tree.as_deref().and_then(tree::required);
        let required = required.map(|literal| Finder::new(&literal).into_owned());
        let scanner = tree.and_then(|tree| Scanner::new(tree, slots));
        Ok(Grok(Arc::new(Inner { regexp, captures, slots, scanner, required })))
    }

    /// The fields that it captures, in the order in which they are set.
    pub fn fields(&self) -> &[Capture] {
        &self.0.captures
    }

    /// The name of the engine that runs first, for people.
    pub fn engine(&self) -> &'static str {
        if self.0.scanner.is_some() { "scanner" } else { "pcre2" }
    }

    /// The literal that every text holds which it matches, if there is one worth looking for.
    pub(super) fn literal(&self) -> Option<&[u8]> {
        self.0.required.as_ref().map(Finder::needle)
    }

    /// Matches the text and leaves the captures' spans in `scratch`.
    #[inline]
    pub fn captures(&self, text: &str, scratch: &mut Scratch) -> Result<bool, MatchError> {
        if let Some(found) = self.scan(text.as_bytes(), false, scratch) {
            return Ok(found);
        }
        self.captures_by_regexp(text, scratch)
    }

    /// The scanner's answer, if it has one. `ascii` says that the text is known to be ASCII.
    #[inline]
    pub fn scan(&self, text: &[u8], ascii: bool, scratch: &mut Scratch) -> Option<bool> {
        let scanner = self.0.scanner.as_ref()?;
        if !(ascii || text.is_ascii()) {
            return None;
        }
        scratch.clear(self.0.slots);
        scanner.run(text, &mut scratch.spans).then_some(true)
    }

    /// PCRE2's answer.
    pub fn captures_by_regexp(&self, text: &str, scratch: &mut Scratch) -> Result<bool, MatchError> {
        if self.0.required.as_ref().is_some_and(|literal| literal.find(text.as_bytes()).is_none()) {
            return Ok(false);
        }
        scratch.clear(self.0.slots);
        let spans = &mut scratch.spans;
        let found = self.0.regexp.with_offsets(text, 0, |offsets| {
            for (span, pair) in spans.iter_mut().zip(offsets[2..].chunks_exact(2)) {
                // `usize::MAX` becomes `u32::MAX`: UNSET.
                *span = (pair[0] as u32, pair[1] as u32);
            }
        })?;
        Ok(found.is_some())
    }
}

impl Scratch {
    #[inline]
    fn clear(&mut self, slots: usize) {
        if self.spans.len() == slots {
            self.spans.fill(UNSET);
        } else {
            self.spans.clear();
            self.spans.resize(slots, UNSET);
        }
    }
}

/// Groups by name, each name at its first group's place, as Ruby's `named_captures` gives them.
fn captures(names: &[&str]) -> Vec<Capture> {
    let mut captures = Vec::new();
    for (first, name) in names.iter().enumerate() {
        if name.is_empty() || names[..first].contains(name) {
            continue;
        }
        let mut parts = name.split(':');
        let pattern = parts.next().unwrap_or_default();
        let field = parts.next().filter(|f| !f.is_empty()).unwrap_or(pattern);
        let kind = match parts.next() {
            Some("int") => Kind::Int,
            Some("float") => Kind::Float,
            _ => Kind::Text,
        };
        for slot in (first..names.len()).filter(|&n| names[n] == *name) {
            // Logstash converts the first group of a name and leaves the others text.
            let kind = if slot == first { kind } else { Kind::Text };
            captures.push(Capture { field: field.to_owned(), kind, slot });
        }
    }
    captures
}

#[cfg(test)]
mod tests;
