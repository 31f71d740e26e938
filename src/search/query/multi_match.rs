//! `multi_match`: a `match`, phrase or prefix over several fields, or over all of them.

use super::fuzzy::parse_fuzziness;
use super::{Kind, boolean, fields, members, minimum, number, operator, scalar, unsupported};
use crate::search::ast::{Match, On, Query, Scalar, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "multi_match", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (mut text, mut names, mut kind) = (None, Vec::new(), "best_fields".to_owned());
    let mut test = Match::any(Scalar::Bool(false));
    let (mut slop, mut lenient, mut boost) = (0, None, 1.0);
    for (key, option) in members(body) {
        match key.as_str() {
            "query" => text = Some(scalar("multi_match", key, option)?),
            "fields" => names = fields("multi_match", option)?,
            "type" => kind = super::text("multi_match", key, option)?,
            "operator" => test.all = operator(option)?,
            "minimum_should_match" => test.minimum = Some(minimum("multi_match", option)?),
            "fuzziness" => test.fuzziness = Some(parse_fuzziness("multi_match", option)?),
            "slop" => slop = number("multi_match", key, option)?.max(0.0) as u32,
            "lenient" => lenient = Some(boolean("multi_match", key, option)?),
            "boost" => boost = number("multi_match", key, option)? as f32,
            "analyzer"
            | "tie_breaker"
            | "prefix_length"
            | "max_expansions"
            | "zero_terms_query"
            | "cutoff_frequency"
            | "fuzzy_transpositions"
            | "auto_generate_synonyms_phrase_query"
            | "_name" => {}
            _ => return Err(unsupported("multi_match", key)),
        }
    }
    let text = text.ok_or_else(|| SearchError::parsing("No text specified for multi_match query", "multi_match"))?;
    if names.is_empty() {
        names.push(("*".to_owned(), 1.0));
        lenient = lenient.or(Some(true));
    }
    let lenient = lenient.unwrap_or(false);
    let test = match kind.as_str() {
        "phrase" | "phrase_prefix" => Test::Phrase { text, slop, prefix: kind == "phrase_prefix" },
        "best_fields" | "most_fields" | "cross_fields" => Test::Match(Match { text, ..test }),
        "bool_prefix" => Test::Match(Match { text, prefix: true, ..test }),
        other => {
            return Err(SearchError::parsing(
                format!("failed to parse [multi_match] query type [{other}]. unknown type."),
                other,
            ));
        }
    };
    let on = |(field, boost): (String, f32)| {
        let lenient = lenient || field.contains('*');
        Query::On(On { field, test: test.clone(), lenient }).boosted(boost)
    };
    Ok(Query::Best(names.into_iter().map(on).collect()).boosted(boost))
}
