//! `wildcard`: values or tokens like a pattern with `*` and `?`.

use super::{Kind, boolean, number, one_field, text, unsupported};
use crate::search::ast::{Query, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "wildcard", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (field, inner) = one_field("wildcard", body)?;
    let (mut pattern, mut fold, mut boost) = (None, false, 1.0);
    match inner {
        Value::Object(options) => {
            for (key, option) in options {
                match key.as_str() {
                    "value" | "wildcard" => pattern = Some(text("wildcard", field, option)?),
                    "case_insensitive" => fold = boolean("wildcard", key, option)?,
                    "boost" => boost = number("wildcard", key, option)? as f32,
                    "rewrite" | "_name" => {}
                    _ => return Err(unsupported("wildcard", key)),
                }
            }
        }
        plain => pattern = Some(text("wildcard", field, plain)?),
    }
    let pattern = pattern.ok_or_else(|| SearchError::argument("value cannot be null"))?;
    Ok(Query::on(field, Test::Wildcard { pattern, fold, normalize: true }).boosted(boost))
}
