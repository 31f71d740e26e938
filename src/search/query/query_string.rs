//! `query_string`: Lucene's query language, see [`crate::search::query_string`].

use super::fuzzy::parse_fuzziness;
use super::{Kind, boolean, fields, members, minimum, number, operator, text, unsupported};
use crate::search::ast::Query;
use crate::search::error::SearchError;
use crate::search::query_string::{self, Reading};
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "query_string", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let mut reading = Reading::default();
    let (mut query, mut named, mut lenient, mut escape, mut boost) = (None, None, None, false, 1.0);
    for (key, option) in members(body) {
        match key.as_str() {
            "query" => query = Some(text("query_string", key, option)?),
            "fields" => named = Some(fields("query_string", option)?),
            "default_field" => named = Some(vec![(text("query_string", key, option)?, 1.0)]),
            "default_operator" => reading.all = operator(option)?,
            "lenient" => lenient = Some(boolean("query_string", key, option)?),
            "allow_leading_wildcard" => reading.leading_wildcard = boolean("query_string", key, option)?,
            "phrase_slop" => reading.slop = number("query_string", key, option)?.max(0.0) as u32,
            "fuzziness" => reading.fuzziness = parse_fuzziness("query_string", option)?,
            "fuzzy_prefix_length" => reading.fuzzy_prefix = number("query_string", key, option)? as usize,
            "time_zone" => reading.zone = Some(text("query_string", key, option)?),
            "minimum_should_match" => reading.minimum = Some(minimum("query_string", option)?),
            "escape" => escape = boolean("query_string", key, option)?,
            "boost" => boost = number("query_string", key, option)? as f32,
            "analyze_wildcard"
            | "analyzer"
            | "quote_analyzer"
            | "enable_position_increments"
            | "fuzzy_max_expansions"
            | "fuzzy_rewrite"
            | "fuzzy_transpositions"
            | "rewrite"
            | "quote_field_suffix"
            | "tie_breaker"
            | "type"
            | "max_determinized_states"
            | "auto_generate_synonyms_phrase_query"
            | "_name" => {}
            _ => return Err(unsupported("query_string", key)),
        }
    }
    let Some(query) = query else {
        return Err(SearchError::parsing("[query_string] must be provided with a [query]", "query_string"));
    };
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        reading.lenient = named.iter().any(|(field, _)| field == "*");
        reading.fields = named;
    }
    reading.lenient = lenient.unwrap_or(reading.lenient);
    run(&query, &reading, escape).map(|query| query.boosted(boost))
}

/// Parses a query string for the API, with Elasticsearch's error.
pub(in crate::search) fn run(query: &str, reading: &Reading, escape: bool) -> Result<Query, SearchError> {
    let escaped = escape.then(|| query_string::escape(query));
    query_string::parse(escaped.as_deref().unwrap_or(query), reading).map_err(|cause| {
        SearchError::query(format!("Failed to parse query [{query}]"), Some(("parse_exception", cause)))
    })
}
