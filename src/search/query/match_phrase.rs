//! `match_phrase`: the tokens of a text in their order, at most `slop` moves apart.

use super::{Kind, number, one_field, scalar, unsupported};
use crate::search::ast::{Query, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "match_phrase", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    phrase("match_phrase", body, false)
}

/// `match_phrase`, or `match_phrase_prefix` with `prefix`.
pub(super) fn phrase(query: &str, body: &Value, prefix: bool) -> Result<Query, SearchError> {
    let (field, inner) = one_field(query, body)?;
    let (mut text, mut slop, mut boost) = (None, 0, 1.0);
    match inner {
        Value::Object(options) => {
            for (key, option) in options {
                match key.as_str() {
                    "query" => text = Some(scalar(query, field, option)?),
                    "slop" => slop = number(query, key, option)?.max(0.0) as u32,
                    "boost" => boost = number(query, key, option)? as f32,
                    "max_expansions" if prefix => {}
                    "analyzer" | "zero_terms_query" | "_name" => {}
                    _ => return Err(unsupported(query, key)),
                }
            }
        }
        plain => text = Some(scalar(query, field, plain)?),
    }
    let text = text.ok_or_else(|| SearchError::parsing("No text specified for text query", field))?;
    Ok(Query::on(field, Test::Phrase { text, slop, prefix }).boosted(boost))
}
