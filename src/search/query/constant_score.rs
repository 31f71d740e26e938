//! `constant_score`: what its filter matches, each with the same score.

use super::{Kind, members, number, unsupported};
use crate::search::ast::Query;
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "constant_score", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (mut filter, mut boost) = (None, 1.0);
    for (key, value) in members(body) {
        match key.as_str() {
            "filter" => filter = Some(super::parse(value)?),
            "boost" => boost = number("constant_score", key, value)? as f32,
            "_name" => {}
            _ => return Err(unsupported("constant_score", key)),
        }
    }
    match filter {
        Some(filter) => Ok(Query::Constant(Box::new(filter), boost)),
        None => Err(SearchError::parsing("[constant_score] requires a 'filter' element", "constant_score")),
    }
}
