//! Tells of a list of patterns which can match a text at all: those whose literal is in it. All
//! literals are looked for in one pass, so that a list costs little more than what matches.

use super::Grok;
use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Span};

/// Shorter literals stand in most texts: looking for them tells nothing.
const SHORT: usize = 3;
/// After as many literals in one text all patterns are taken for candidates: more of them would
/// take longer to find than to try.
const FOUND_MAX: usize = 24;

/// A list of patterns, by their literals.
#[derive(Debug)]
pub struct Candidates {
    search: Search,
    /// For each literal, the patterns that may match where it stands, as bits.
    marks: Vec<Box<[u64]>>,
    /// Patterns without a literal.
    always: Box<[u64]>,
}

#[derive(Debug)]
enum Search {
    /// With the processor's vectors, for up to about a hundred literals.
    Packed(Searcher),
    Automaton(AhoCorasick),
    /// There is no literal.
    Nothing,
}

impl Candidates {
    /// Compiles the literals of patterns.
    pub fn new<'g>(patterns: impl Iterator<Item = &'g Grok>) -> Candidates {
        let literals: Vec<Option<&[u8]>> = patterns.map(|grok| grok.literal().filter(|l| l.len() >= SHORT)).collect();
        let words = literals.len().div_ceil(64);
        let bits = |holds: &dyn Fn(usize) -> bool| {
            let mut bits = vec![0u64; words].into_boxed_slice();
            (0..literals.len()).filter(|&at| holds(at)).for_each(|at| bits[at / 64] |= 1 << (at % 64));
            bits
        };
        let mut distinct: Vec<&[u8]> = literals.iter().flatten().copied().collect();
        distinct.sort_unstable();
        distinct.dedup();
        // Of literals that begin at the same place only one is found.
        let marks = distinct
            .iter()
            .map(|found| bits(&|at| literals[at].is_some_and(|own| own.starts_with(found) || found.starts_with(own))));
        let marks = marks.collect();
        let search = match distinct.is_empty() {
            true => Search::Nothing,
            false => {
                let packed = Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(&distinct).build();
                match (packed, AhoCorasick::new(&distinct)) {
                    (Some(packed), _) => Search::Packed(packed),
                    (None, Ok(automaton)) => Search::Automaton(automaton),
                    // Without a search every pattern may match.
                    (None, Err(_)) => {
                        let (search, always) = (Search::Nothing, bits(&|_| true));
                        return Candidates { search, marks: Vec::new(), always };
                    }
                }
            }
        };
        Candidates { search, marks, always: bits(&|at| literals[at].is_none()) }
    }

    /// Sets in `bits` those of the patterns that may match a text.
    #[inline]
    pub fn find(&self, text: &[u8], bits: &mut Vec<u64>) {
        bits.clear();
        bits.extend_from_slice(&self.always);
        let mut left = FOUND_MAX;
        let mut mark = |literal: usize| {
            bits.iter_mut().zip(&self.marks[literal]).for_each(|(bits, more)| *bits |= more);
            left -= 1;
            left == 0
        };
        let all = match &self.search {
            Search::Nothing => false,
            Search::Packed(search) => {
                let mut at = 0;
                loop {
                    let Some(found) = search.find_in(text, Span { start: at, end: text.len() }) else { break false };
                    if mark(found.pattern().as_usize()) {
                        break true;
                    }
                    // The next one may begin within this one.
                    at = found.start() + 1;
                }
            }
            Search::Automaton(search) => {
                search.find_overlapping_iter(text).any(|found| mark(found.pattern().as_usize()))
            }
        };
        if all {
            bits.fill(u64::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Library, Options, Set};
    use super::*;

    fn list(patterns: &[&str]) -> Candidates {
        let library = Library::new(Set::Legacy);
        let groks: Vec<Grok> =
            patterns.iter().map(|p| Grok::compile(p, &library, Options::default()).unwrap()).collect();
        Candidates::new(groks.iter())
    }

    fn found(list: &Candidates, text: &str) -> Vec<usize> {
        let mut bits = Vec::new();
        list.find(text.as_bytes(), &mut bits);
        (0..bits.len() * 64).filter(|at| bits[at / 64] >> (at % 64) & 1 == 1).collect()
    }

    #[test]
    fn literals_tell_patterns_apart() {
        let list =
            list(&["session opened for %{WORD:u}", "%{WORD:u} session closed", "%{WORD:u}", "session op%{WORD}"]);
        assert_eq!(found(&list, "session opened for kim"), [0, 2, 3]);
        assert_eq!(found(&list, "a kim session closed"), [1, 2]);
        assert_eq!(found(&list, "session op1"), [0, 2, 3]);
        assert_eq!(found(&list, ""), [2]);
    }

    #[test]
    fn long_lists() {
        let patterns: Vec<String> = (0..300).map(|n| format!("%{{WORD:w}} number {n}; %{{WORD:x}}")).collect();
        let list = list(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found(&list, "x number 217; y"), [217]);
        let many = "number 1; number 2; ".repeat(50);
        assert!(found(&list, &many).len() >= 300);
    }
}
