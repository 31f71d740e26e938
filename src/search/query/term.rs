//! `term`: the very value, not analysed. On a text field it must be one of the tokens.

use super::{Kind, boolean, members, number, one_field, scalar, unsupported};
use crate::search::ast::{Query, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "term", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (field, inner) = one_field("term", body)?;
    let (mut value, mut fold, mut boost) = (None, false, 1.0);
    if let Some(outer) = members(body).get("boost") {
        boost = number("term", "boost", outer)? as f32;
    }
    match inner {
        Value::Object(options) => {
            for (key, option) in options {
                match key.as_str() {
                    "value" | "term" => value = Some(scalar("term", field, option)?),
                    "case_insensitive" => fold = boolean("term", key, option)?,
                    "boost" => boost = number("term", key, option)? as f32,
                    "_name" => {}
                    _ => return Err(unsupported("term", key)),
                }
            }
        }
        Value::Array(_) => {
            return Err(SearchError::parsing("[term] query does not support array of values", field));
        }
        plain => value = Some(scalar("term", field, plain)?),
    }
    let value = value.ok_or_else(|| SearchError::argument("value cannot be null"))?;
    Ok(Query::on(field, Test::Term { value, fold }).boosted(boost))
}
