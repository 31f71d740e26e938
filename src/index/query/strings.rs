//! Strings in a column: a query is a set of ordinals of the column's dictionary, whatever it is
//! (term, terms, prefix, wildcard, regexp, fuzzy, tokens of a text), and the set becomes rows.

use super::rows::{Bits, Rows};
use crate::index::analyzer::Analyzer;
use std::io;
use std::ops::Range;
use tantivy::columnar::{Cardinality, StrColumn, TermOrdHit};

/// Ordinals of a dictionary.
#[derive(Clone, Debug)]
pub(super) enum Ordinals {
    /// One after the other.
    Run(Range<u64>),
    /// Any.
    Bits(Bits),
}

/// The ordinal of a value.
pub(super) fn term(column: &StrColumn, value: &str) -> io::Result<Ordinals> {
    Ok(Ordinals::Run(match column.dictionary().term_ord(value)? {
        Some(ord) => ord..ord + 1,
        None => 0..0,
    }))
}

/// The ordinal of a value, or of the first behind it, and whether it is the value's own.
pub(crate) fn seek(column: &StrColumn, value: &[u8]) -> io::Result<(u64, bool)> {
    let terms = column.num_terms() as u64;
    Ok(match column.dictionary().term_ord_or_next(value)? {
        TermOrdHit::Exact(ord) => (ord, true),
        TermOrdHit::Next(ord) => (ord.min(terms), false),
    })
}

/// Those that begin so.
pub(super) fn prefix(column: &StrColumn, prefix: &str) -> io::Result<Ordinals> {
    let terms = column.num_terms() as u64;
    let low = seek(column, prefix.as_bytes())?.0;
    // The first string behind all that begin so.
    let mut end = prefix.as_bytes().to_vec();
    while end.last() == Some(&0xff) {
        end.pop();
    }
    let high = match end.last_mut() {
        Some(last) => {
            *last += 1;
            seek(column, &end)?.0
        }
        None => terms,
    };
    Ok(Ordinals::Run(low..high))
}

/// Those that pass a test, in the dictionary's order.
pub(super) fn matching(column: &StrColumn, mut test: impl FnMut(&str) -> bool) -> io::Result<Ordinals> {
    let mut bits = Bits::new(column.num_terms() as u32);
    let mut stream = column.dictionary().stream()?;
    while stream.advance() {
        let value = std::str::from_utf8(stream.key()).unwrap_or_default();
        if test(value) {
            bits.insert(stream.term_ord() as u32);
        }
    }
    Ok(Ordinals::Bits(bits))
}

/// A test of one token of a text.
pub(super) enum Token<'a> {
    /// The very token.
    Is(&'a str),
    /// Another test.
    Like(&'a dyn Fn(&str) -> bool),
}

/// For each test, the values with a token that passes it: what a text index would have found.
pub(super) fn with_tokens(column: &StrColumn, tests: &[Token<'_>]) -> io::Result<Vec<Ordinals>> {
    let mut found: Vec<Bits> = tests.iter().map(|_| Bits::new(column.num_terms() as u32)).collect();
    let mut analyzer = Analyzer::default();
    let mut stream = column.dictionary().stream()?;
    // A value of ASCII alone has a token only if it has its letters.
    let plain = tests.iter().all(|test| matches!(test, Token::Is(token) if token.is_ascii()));
    while stream.advance() {
        let value = std::str::from_utf8(stream.key()).unwrap_or_default();
        if plain
            && value.is_ascii()
            && !tests.iter().any(|test| matches!(test, Token::Is(token) if contains_folded(value, token)))
        {
            continue;
        }
        let ord = stream.term_ord() as u32;
        analyzer.terms(value, |term| {
            for (test, bits) in tests.iter().zip(&mut found) {
                let passes = match test {
                    Token::Is(token) => term.text == *token,
                    Token::Like(test) => test(term.text),
                };
                if passes {
                    bits.insert(ord);
                }
            }
        });
    }
    Ok(found.into_iter().map(Ordinals::Bits).collect())
}

/// Whether `value` has `token`, a lower-case text, case ignored; both ASCII.
fn contains_folded(value: &str, token: &str) -> bool {
    let (value, token) = (value.as_bytes(), token.as_bytes());
    let Some(&first) = token.first() else { return true };
    if value.len() < token.len() {
        return false;
    }
    memchr::memchr2_iter(first, first.to_ascii_uppercase(), &value[..=value.len() - token.len()])
        .any(|at| value[at..at + token.len()].eq_ignore_ascii_case(token))
}

/// The values with the tokens in this order, at most `slop` moves apart; the last may be a
/// beginning.
pub(super) fn phrase(column: &StrColumn, tokens: &[(u32, String)], slop: u32, open: bool) -> io::Result<Ordinals> {
    let mut analyzer = Analyzer::default();
    let mut places: Vec<Vec<u32>> = vec![Vec::new(); tokens.len()];
    let first = tokens.first().map(|(_, token)| token.clone()).unwrap_or_default();
    let plain = first.is_ascii() && (tokens.len() > 1 || !open);
    matching(column, |value| {
        if plain && value.is_ascii() && !contains_folded(value, &first) {
            return false;
        }
        places.iter_mut().for_each(Vec::clear);
        analyzer.terms(value, |term| {
            for (at, (_, token)) in tokens.iter().enumerate() {
                let last = at + 1 == tokens.len();
                if term.text == token || (open && last && term.text.starts_with(token.as_str())) {
                    places[at].push(term.position);
                }
            }
        });
        in_order(&places, tokens, slop)
    })
}

/// Whether tokens at these places make the phrase. With slop the sum of how far tokens stand
/// from where the first puts them may be so much, as Lucene's sloppy phrases count.
pub(super) fn in_order(places: &[Vec<u32>], tokens: &[(u32, String)], slop: u32) -> bool {
    if places.iter().any(Vec::is_empty) {
        return false;
    }
    if slop == 0 {
        let base = tokens[0].0;
        return places[0].iter().any(|start| {
            places.iter().zip(tokens).all(|(places, (offset, _))| places.contains(&(start + offset - base)))
        });
    }
    // Where each token would put the start of the phrase; the spread of the starts is the slop.
    let starts: Vec<Vec<i64>> = places
        .iter()
        .zip(tokens)
        .map(|(places, (offset, _))| places.iter().map(|place| i64::from(*place) - i64::from(*offset)).collect())
        .collect();
    starts.iter().flatten().any(|&low| {
        starts.iter().all(|starts| starts.iter().any(|start| (low..=low + i64::from(slop)).contains(start)))
    })
}

/// The documents that have one of the values.
pub(super) fn rows(column: &StrColumn, ordinals: &Ordinals, docs: u32) -> Rows {
    match ordinals {
        Ordinals::Run(run) if run.is_empty() => Rows::Empty,
        Ordinals::Run(run) if run.start == 0 && run.end >= column.num_terms() as u64 => with_value(column.ords(), docs),
        Ordinals::Run(run) => {
            let mut found = Vec::new();
            column.ords().get_docids_for_value_range(run.start..=run.end - 1, 0..docs, &mut found);
            Rows::of(found, docs)
        }
        Ordinals::Bits(bits) => rows_of_bits(column, bits, docs),
    }
}

fn rows_of_bits(column: &StrColumn, bits: &Bits, docs: u32) -> Rows {
    // Few runs are faster as ranges: the column is packed and scanned many at a time.
    let mut runs: Vec<Range<u64>> = Vec::new();
    for ord in bits.iter() {
        let ord = u64::from(ord);
        match runs.last_mut() {
            Some(run) if run.end == ord => run.end += 1,
            _ => runs.push(ord..ord + 1),
        }
        if runs.len() > 4 {
            break;
        }
    }
    if runs.len() <= 4 {
        let each = runs.into_iter().map(|run| rows(column, &Ordinals::Run(run), docs));
        return each.fold(Rows::Empty, Rows::or);
    }
    let ords = column.ords();
    let mut found = Bits::new(docs);
    if ords.get_cardinality() == Cardinality::Full {
        let mut block = [0u64; 1024];
        let mut start = 0;
        while start < docs {
            let len = (docs - start).min(1024);
            let block = &mut block[..len as usize];
            ords.values.get_range(u64::from(start), block);
            for (at, &ord) in block.iter().enumerate() {
                if bits.contains(ord as u32) {
                    found.insert(start + at as u32);
                }
            }
            start += len;
        }
    } else {
        for doc in 0..docs {
            if ords.values_for_doc(doc).any(|ord| bits.contains(ord as u32)) {
                found.insert(doc);
            }
        }
    }
    Rows::Some(found)
}

/// The documents that have any value in a column.
pub(super) fn with_value<T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static>(
    column: &tantivy::columnar::Column<T>,
    docs: u32,
) -> Rows {
    match column.get_cardinality() {
        Cardinality::Full if column.num_docs() == docs => Rows::All(docs),
        _ => Rows::of((0..docs).filter(|&doc| column.index.has_value(doc)), docs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases() {
        let check = |places: &[&[u32]], slop, expected| {
            let tokens: Vec<_> = (0..places.len() as u32).map(|at| (at, String::new())).collect();
            let places: Vec<Vec<u32>> = places.iter().map(|p| p.to_vec()).collect();
            assert_eq!(in_order(&places, &tokens, slop), expected, "{places:?} {slop}");
        };
        check(&[&[0], &[1]], 0, true);
        check(&[&[0, 5], &[6]], 0, true);
        check(&[&[0], &[2]], 0, false);
        check(&[&[0], &[2]], 1, true);
        check(&[&[1], &[0]], 1, false);
        check(&[&[1], &[0]], 2, true);
        check(&[&[0], &[]], 5, false);
    }

    #[test]
    fn folded_search() {
        assert!(contains_folded("Hello World", "world"));
        assert!(contains_folded("HELLO", "hello"));
        assert!(!contains_folded("hell", "hello"));
        assert!(!contains_folded("jello", "hello"));
    }
}
