//! `prefix`: values or tokens that begin so.

use super::{Kind, boolean, number, one_field, text, unsupported};
use crate::search::ast::{Query, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "prefix", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (field, inner) = one_field("prefix", body)?;
    let (mut value, mut fold, mut boost) = (None, false, 1.0);
    match inner {
        Value::Object(options) => {
            for (key, option) in options {
                match key.as_str() {
                    "value" | "prefix" => value = Some(text("prefix", field, option)?),
                    "case_insensitive" => fold = boolean("prefix", key, option)?,
                    "boost" => boost = number("prefix", key, option)? as f32,
                    "rewrite" | "_name" => {}
                    _ => return Err(unsupported("prefix", key)),
                }
            }
        }
        plain => value = Some(text("prefix", field, plain)?),
    }
    let value = value.ok_or_else(|| SearchError::argument("value cannot be null"))?;
    Ok(Query::on(field, Test::Prefix { value, fold, normalize: false }).boosted(boost))
}
