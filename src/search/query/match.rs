//! `match`: a text is analysed as the field is; any (or all) of its tokens must be there. On
//! numbers, dates and booleans it asks for the value.

use super::fuzzy::parse_fuzziness;
use super::{Kind, boolean, minimum, number, one_field, operator, scalar, unsupported};
use crate::search::ast::{Match, On, Query, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "match", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (field, inner) = one_field("match", body)?;
    let Value::Object(options) = inner else {
        let test = Test::Match(Match::any(scalar("match", field, inner)?));
        return Ok(Query::on(field, test));
    };
    let mut text = None;
    let mut test = Match::any(crate::search::ast::Scalar::Bool(false));
    let (mut lenient, mut boost) = (false, 1.0);
    for (key, option) in options {
        match key.as_str() {
            "query" => text = Some(scalar("match", field, option)?),
            "operator" => test.all = operator(option)?,
            "minimum_should_match" => test.minimum = Some(minimum("match", option)?),
            "fuzziness" => test.fuzziness = Some(parse_fuzziness("match", option)?),
            "lenient" => lenient = boolean("match", key, option)?,
            "zero_terms_query" => test.empty_is_all = option.as_str().is_some_and(|s| s.eq_ignore_ascii_case("all")),
            "boost" => boost = number("match", key, option)? as f32,
            "analyzer"
            | "prefix_length"
            | "max_expansions"
            | "fuzzy_rewrite"
            | "fuzzy_transpositions"
            | "cutoff_frequency"
            | "auto_generate_synonyms_phrase_query"
            | "_name" => {}
            _ => return Err(unsupported("match", key)),
        }
    }
    test.text = text.ok_or_else(|| SearchError::parsing("No text specified for text query", field))?;
    Ok(Query::On(On { field: field.to_owned(), test: Test::Match(test), lenient }).boosted(boost))
}
