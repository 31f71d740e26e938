//! Tests of single tokens or values, and how a text's tokens are combined.

use super::rows::Rows;
use super::strings::{self, Ordinals, Token};
use super::{failed, text};
use crate::index::analyzer::Analyzer;
use crate::search::ast::{Match, Range, Scalar, Test};
use crate::search::error::SearchError;
use crate::search::pattern;
use tantivy::columnar::StrColumn;

/// Whether a token or value passes.
type Accepts<'a> = Box<dyn Fn(&str) -> bool + 'a>;

/// The ordinals of values by their tokens, as a text field of them would have found.
pub(super) fn token_ordinals(column: &StrColumn, test: &Test) -> Result<Vec<Ordinals>, SearchError> {
    match test {
        Test::Match(wanted) => {
            let tokens = tokens(&wanted.text.text());
            let last = tokens.len().saturating_sub(1);
            let tests: Vec<Accepts> = tokens
                .iter()
                .enumerate()
                .map(|(at, (_, token))| -> Accepts {
                    match wanted.fuzziness {
                        _ if wanted.prefix && at == last => Box::new(move |other| other.starts_with(token.as_str())),
                        Some(fuzziness) => Box::new(move |other| text::near(other, token, fuzziness, 0, true)),
                        None => Box::new(move |other| other == token),
                    }
                })
                .collect();
            let plain = wanted.fuzziness.is_none() && !wanted.prefix;
            let tests: Vec<Token> = tests
                .iter()
                .zip(&tokens)
                .map(|(test, (_, token))| if plain { Token::Is(token) } else { Token::Like(test) })
                .collect();
            strings::with_tokens(column, &tests).map_err(failed)
        }
        Test::Phrase { text, slop, prefix } => match tokens(&text.text()) {
            tokens if tokens.is_empty() => Ok(Vec::new()),
            tokens => Ok(vec![strings::phrase(column, &tokens, *slop, *prefix).map_err(failed)?]),
        },
        Test::Term { value, fold: false } => {
            let value = value.text();
            strings::with_tokens(column, &[Token::Is(&value)]).map_err(failed)
        }
        Test::Terms(values) => {
            let values: std::collections::HashSet<String> = values.iter().map(Scalar::text).collect();
            let is = |token: &str| values.contains(token);
            strings::with_tokens(column, &[Token::Like(&is)]).map_err(failed)
        }
        Test::Range(range) => {
            let inside = |token: &str| in_bounds(token, range);
            strings::with_tokens(column, &[Token::Like(&inside)]).map_err(failed)
        }
        test => {
            let (_, matcher) = matcher(test)?;
            strings::with_tokens(column, &[Token::Like(&*matcher)]).map_err(failed)
        }
    }
}

/// A pattern's test, and how every match begins.
pub(super) fn matcher(test: &Test) -> Result<(String, Accepts<'static>), SearchError> {
    Ok(match test {
        Test::Term { value, .. } => {
            let value = value.text().to_lowercase();
            (String::new(), Box::new(move |token: &str| token.to_lowercase() == value))
        }
        Test::Prefix { value, fold, normalize } => {
            let value = if *normalize || *fold { value.to_lowercase() } else { value.clone() };
            match fold {
                true => (String::new(), Box::new(move |token: &str| token.to_lowercase().starts_with(&value))),
                false => (value.clone(), Box::new(move |token: &str| token.starts_with(&value))),
            }
        }
        Test::Wildcard { pattern, fold, normalize } => {
            let pattern = if *normalize { pattern.to_lowercase() } else { pattern.clone() };
            let prefix = if *fold { String::new() } else { pattern::wildcard_prefix(&pattern) };
            let regex = pattern::wildcard(&pattern, *fold)?;
            (prefix, Box::new(move |token: &str| regex.is_match(token)))
        }
        Test::Regexp { pattern, fold } => {
            let regex = pattern::regexp(pattern, *fold)?;
            (String::new(), Box::new(move |token: &str| regex.is_match(token)))
        }
        Test::Fuzzy { value, fuzziness, prefix, transpositions, normalize } => {
            let value = if *normalize { value.to_lowercase() } else { value.clone() };
            let (fuzziness, prefix, transpositions) = (*fuzziness, *prefix, *transpositions);
            (String::new(), Box::new(move |token: &str| text::near(token, &value, fuzziness, prefix, transpositions)))
        }
        other => panic!("BUG: {other:?} is no pattern"),
    })
}

/// The documents that have as many of the tokens as are wanted.
pub(super) fn combine(wanted: &Match, sets: Vec<Rows>, docs: u32) -> Rows {
    if sets.is_empty() {
        return if wanted.empty_is_all { Rows::All(docs) } else { Rows::Empty };
    }
    match &wanted.minimum {
        _ if wanted.all => sets.into_iter().fold(Rows::All(docs), Rows::and),
        Some(minimum) => match minimum.of(sets.len()) {
            0 | 1 => sets.into_iter().fold(Rows::Empty, Rows::or),
            least => Rows::at_least(&sets, least, docs),
        },
        None => sets.into_iter().fold(Rows::Empty, Rows::or),
    }
}

/// Whether a string lies in a range, by its bytes.
pub(super) fn in_bounds(value: &str, range: &Range) -> bool {
    let low = range.from.as_ref().is_none_or(|(bound, inclusive)| match value.cmp(&bound.text()) {
        std::cmp::Ordering::Equal => *inclusive,
        ordering => ordering.is_gt(),
    });
    let high = range.to.as_ref().is_none_or(|(bound, inclusive)| match value.cmp(&bound.text()) {
        std::cmp::Ordering::Equal => *inclusive,
        ordering => ordering.is_lt(),
    });
    low && high
}

/// The tokens of a text with their positions.
pub(super) fn tokens(text: &str) -> Vec<(u32, String)> {
    let mut tokens = Vec::new();
    Analyzer::default().terms(text, |term| tokens.push((term.position, term.text.to_owned())));
    tokens
}
