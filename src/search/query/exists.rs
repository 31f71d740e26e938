//! `exists`: documents with any value in a field, or below it where it is an object.

use super::{Kind, members, number, text, unsupported};
use crate::search::ast::{Query, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "exists", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (mut field, mut boost) = (None, 1.0);
    for (key, value) in members(body) {
        match key.as_str() {
            "field" => field = Some(text("exists", key, value)?),
            "boost" => boost = number("exists", key, value)? as f32,
            "_name" => {}
            _ => return Err(unsupported("exists", key)),
        }
    }
    match field {
        Some(field) => Ok(Query::on(field, Test::Exists).boosted(boost)),
        None => Err(SearchError::parsing("[exists] must be provided with a [field]", "exists")),
    }
}
