//! Scores: BM25 for text, one for every other test that counts. Counted only where somebody
//! sorts by them, after the matches are known.

use super::rows::Rows;
use super::{Segment, failed, text, tokens};
use crate::index::Kind;
use crate::search::ast::{Match, On, Query, Test};
use crate::search::error::SearchError;

impl Segment<'_> {
    /// The scores of the documents in `rows`, which `query` matches; zero for the others.
    pub fn scores(&self, query: &Query, rows: &Rows) -> Result<Vec<f32>, SearchError> {
        let mut scores = vec![0.0; self.docs() as usize];
        self.add(query, rows, 1.0, &mut scores)?;
        Ok(scores)
    }

    fn add(&self, query: &Query, rows: &Rows, boost: f32, scores: &mut [f32]) -> Result<(), SearchError> {
        match query {
            Query::Nothing => Ok(()),
            Query::All => {
                rows.each(|doc| scores[doc as usize] += boost);
                Ok(())
            }
            Query::Constant(query, score) => self.add_constant(query, rows, boost * score, scores),
            Query::Ids(_) => self.add_constant(query, rows, boost, scores),
            Query::Boosted(query, factor) => self.add(query, rows, boost * factor, scores),
            Query::Bool(bool) => {
                for clause in &bool.must {
                    self.add(clause, rows, boost, scores)?;
                }
                for clause in &bool.should {
                    let rows = self.rows(clause)?.and(rows.clone());
                    self.add(clause, &rows, boost, scores)?;
                }
                Ok(())
            }
            Query::Best(queries) => {
                let mut best = vec![0.0f32; scores.len()];
                for query in queries {
                    let rows = self.rows(query)?.and(rows.clone());
                    let mut own = vec![0.0; scores.len()];
                    self.add(query, &rows, boost, &mut own)?;
                    best.iter_mut().zip(own).for_each(|(best, own)| *best = best.max(own));
                }
                scores.iter_mut().zip(best).for_each(|(score, best)| *score += best);
                Ok(())
            }
            Query::On(on) => self.add_test(on, rows, boost, scores),
        }
    }

    fn add_constant(&self, query: &Query, rows: &Rows, score: f32, scores: &mut [f32]) -> Result<(), SearchError> {
        let rows = self.rows(query)?.and(rows.clone());
        rows.each(|doc| scores[doc as usize] += score);
        Ok(())
    }

    fn add_test(&self, on: &On, rows: &Rows, boost: f32, scores: &mut [f32]) -> Result<(), SearchError> {
        let scored = match &on.test {
            Test::Match(Match { text, fuzziness: None, prefix: false, .. }) => Some((tokens(&text.text()), None)),
            Test::Phrase { text, slop, prefix: false } => Some((tokens(&text.text()), Some(*slop))),
            Test::Term { value, fold: false } => Some((vec![(0, value.text())], None)),
            _ => None,
        };
        let mut any = false;
        if let Some((tokens, slop)) = &scored {
            for target in self.targets(&on.field, &on.test) {
                if target.info.kind != Kind::Text {
                    continue;
                }
                any = true;
                let each = |doc: u32, score: f32| {
                    if rows.contains(doc) {
                        scores[doc as usize] += score * boost;
                    }
                };
                text::scores(self.searcher, self.reader, target.info.field, tokens, *slop, each).map_err(failed)?;
            }
        }
        if any && !on.field.contains('*') {
            return Ok(());
        }
        self.add_constant(&Query::On(on.clone()), rows, boost, scores)
    }
}
