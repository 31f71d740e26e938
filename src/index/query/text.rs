//! Text fields: postings with positions.

use super::rows::Rows;
use super::strings::in_order;
use crate::search::ast::Fuzziness;
use std::collections::BTreeMap;
use tantivy::postings::Postings;
use tantivy::query::{EnableScoring, PhraseQuery, Query as _, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED, Term};

/// Terms that the open end of a phrase may stand for, as `max_expansions`.
const EXPANSIONS_MAX: usize = 50;

/// One text field of one segment.
pub(super) struct Text<'a> {
    pub reader: &'a SegmentReader,
    pub field: Field,
}

impl Text<'_> {
    /// The documents with a token.
    pub(super) fn term(&self, token: &str) -> tantivy::Result<Rows> {
        let index = self.reader.inverted_index(self.field)?;
        let term = Term::from_field_text(self.field, token);
        let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else { return Ok(Rows::Empty) };
        Ok(drain(&mut postings, self.reader.max_doc()))
    }

    /// The documents with any token that begins with `prefix` and passes the test.
    pub(super) fn matching(&self, prefix: &str, mut test: impl FnMut(&str) -> bool) -> tantivy::Result<Rows> {
        let index = self.reader.inverted_index(self.field)?;
        let mut rows = Rows::Empty;
        let mut stream = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
        while stream.advance() {
            let token = std::str::from_utf8(stream.key()).unwrap_or_default();
            if !token.starts_with(prefix) {
                break;
            }
            if test(token) {
                let mut postings = index.read_postings_from_terminfo(stream.value(), IndexRecordOption::Basic)?;
                rows = rows.or(drain(&mut postings, self.reader.max_doc()));
            }
        }
        Ok(rows)
    }

    /// The documents with the tokens in this order.
    pub(super) fn phrase(&self, tokens: &[(u32, String)], slop: u32, open: bool) -> tantivy::Result<Rows> {
        let Some((last, head)) = tokens.split_last() else { return Ok(Rows::Empty) };
        if !open {
            return self.closed_phrase(tokens, slop);
        }
        let mut rows = Rows::Empty;
        for end in self.expand(&last.1)? {
            let mut tokens = head.to_vec();
            tokens.push((last.0, end));
            rows = rows.or(self.closed_phrase(&tokens, slop)?);
        }
        Ok(rows)
    }

    fn expand(&self, prefix: &str) -> tantivy::Result<Vec<String>> {
        let index = self.reader.inverted_index(self.field)?;
        let mut stream = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
        let mut found = Vec::new();
        while stream.advance() && stream.key().starts_with(prefix.as_bytes()) && found.len() < EXPANSIONS_MAX {
            found.push(String::from_utf8_lossy(stream.key()).into_owned());
        }
        Ok(found)
    }

    fn closed_phrase(&self, tokens: &[(u32, String)], slop: u32) -> tantivy::Result<Rows> {
        if let [(_, token)] = tokens {
            return self.term(token);
        }
        if slop > 0 {
            return self.sloppy_phrase(tokens, slop);
        }
        let query = phrase_query(self.field, tokens, 0);
        let weight = query.weight(EnableScoring::disabled_from_schema(self.reader.schema()))?;
        let mut scorer = weight.scorer(self.reader, 1.0)?;
        Ok(drain(&mut *scorer, self.reader.max_doc()))
    }

    /// As Lucene counts slop: also tokens in another order, if near enough.
    fn sloppy_phrase(&self, tokens: &[(u32, String)], slop: u32) -> tantivy::Result<Rows> {
        let index = self.reader.inverted_index(self.field)?;
        let mut all = Vec::new();
        let mut rows = Rows::All(self.reader.max_doc());
        for (_, token) in tokens {
            let term = Term::from_field_text(self.field, token);
            let Some(postings) = index.read_postings(&term, IndexRecordOption::WithFreqsAndPositions)? else {
                return Ok(Rows::Empty);
            };
            rows = rows.and(self.term(token)?);
            all.push(postings);
        }
        let mut places = vec![Vec::new(); tokens.len()];
        let mut found = Vec::new();
        rows.each(|doc| {
            for (postings, places) in all.iter_mut().zip(&mut places) {
                if postings.doc() < doc {
                    postings.seek(doc);
                }
                postings.positions(places);
            }
            if in_order(&places, tokens, slop) {
                found.push(doc);
            }
        });
        Ok(Rows::of(found, self.reader.max_doc()))
    }

    /// The documents with any token.
    pub(super) fn any(&self) -> tantivy::Result<Rows> {
        if let Some(norms) = self.reader.fieldnorms_readers().get_field(self.field)? {
            let docs = self.reader.max_doc();
            return Ok(Rows::of((0..docs).filter(|&doc| norms.fieldnorm_id(doc) > 0), docs));
        }
        self.matching("", |_| true)
    }
}

fn phrase_query(field: Field, tokens: &[(u32, String)], slop: u32) -> PhraseQuery {
    let base = tokens.first().map_or(0, |(position, _)| *position);
    let terms = tokens
        .iter()
        .map(|(position, token)| ((position - base) as usize, Term::from_field_text(field, token)))
        .collect();
    PhraseQuery::new_with_offset_and_slop(terms, slop)
}

fn drain(docs: &mut (impl DocSet + ?Sized), len: u32) -> Rows {
    let mut doc = docs.doc();
    Rows::of(
        std::iter::from_fn(|| {
            (doc != TERMINATED).then(|| {
                let this = doc;
                doc = docs.advance();
                this
            })
        }),
        len,
    )
}

/// Scores of documents in one segment (BM25), by document.
pub(super) fn scores(
    searcher: &Searcher,
    reader: &SegmentReader,
    field: Field,
    tokens: &[(u32, String)],
    phrase: Option<u32>,
    mut each: impl FnMut(u32, f32),
) -> tantivy::Result<()> {
    let scoring = || EnableScoring::enabled_from_searcher(searcher);
    let mut run = |weight: Box<dyn tantivy::query::Weight>| -> tantivy::Result<()> {
        let mut scorer = weight.scorer(reader, 1.0)?;
        let mut doc = scorer.doc();
        while doc != TERMINATED {
            each(doc, scorer.score());
            doc = scorer.advance();
        }
        Ok(())
    };
    match phrase {
        Some(slop) if tokens.len() > 1 => run(phrase_query(field, tokens, slop).weight(scoring())?),
        _ => {
            // A token that is asked for twice counts twice, as in Lucene.
            let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
            tokens.iter().for_each(|(_, token)| *counts.entry(token).or_default() += 1);
            for (token, count) in counts {
                for _ in 0..count {
                    let term = Term::from_field_text(field, token);
                    run(TermQuery::new(term, IndexRecordOption::WithFreqs).weight(scoring())?)?;
                }
            }
            Ok(())
        }
    }
}

/// Whether a token is within the edit distance of another.
pub(super) fn near(token: &str, value: &str, fuzziness: Fuzziness, prefix: usize, transpositions: bool) -> bool {
    let edits = fuzziness.edits(value);
    if edits == 0 {
        return token == value;
    }
    let (a, b): (Vec<char>, Vec<char>) = (value.chars().collect(), token.chars().collect());
    if a.len().abs_diff(b.len()) > edits || a.iter().take(prefix).ne(b.iter().take(prefix.min(a.len()))) {
        return false;
    }
    distance(&a, &b, transpositions) <= edits
}

/// Edits between two words; with `transpositions` swapped neighbours are one.
fn distance(a: &[char], b: &[char], transpositions: bool) -> usize {
    let mut rows = [vec![0; b.len() + 1], (0..=b.len()).collect::<Vec<_>>(), vec![0; b.len() + 1]];
    for i in 1..=a.len() {
        rows[2][0] = i;
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[1][j] + 1).min(rows[2][j - 1] + 1).min(rows[1][j - 1] + cost);
            if transpositions && i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[0][j - 2] + 1);
            }
            rows[2][j] = best;
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances() {
        let check = |a: &str, b: &str, edits, expected| {
            assert_eq!(near(a, b, Fuzziness::Edits(edits), 0, true), expected, "{a} {b} {edits}");
        };
        check("login", "login", 0, true);
        check("login", "logim", 1, true);
        check("login", "lgoin", 1, true);
        check("login", "lgo", 1, false);
        check("login", "logn", 1, true);
        check("失敗", "失数", 1, true);
        assert!(!near("lgoin", "login", Fuzziness::Edits(1), 0, false));
        assert!(!near("xogin", "login", Fuzziness::Edits(1), 1, true));
    }
}
