//! `regexp`: values or tokens that a regular expression of Lucene matches from end to end.

use super::{Kind, boolean, number, one_field, text, unsupported};
use crate::search::ast::{Query, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "regexp", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (field, inner) = one_field("regexp", body)?;
    let (mut pattern, mut fold, mut boost) = (None, false, 1.0);
    match inner {
        Value::Object(options) => {
            for (key, option) in options {
                match key.as_str() {
                    "value" | "regexp" => pattern = Some(text("regexp", field, option)?),
                    "case_insensitive" => fold = boolean("regexp", key, option)?,
                    "boost" => boost = number("regexp", key, option)? as f32,
                    "flags" | "flags_value" | "max_determinized_states" | "rewrite" | "_name" => {}
                    _ => return Err(unsupported("regexp", key)),
                }
            }
        }
        plain => pattern = Some(text("regexp", field, plain)?),
    }
    let pattern = pattern.ok_or_else(|| SearchError::argument("value cannot be null"))?;
    Ok(Query::on(field, Test::Regexp { pattern, fold }).boosted(boost))
}
