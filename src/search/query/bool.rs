//! `bool`: clauses combined. Each of `must`, `filter`, `should`, `must_not` takes one query or a
//! list; without clauses it matches everything.

use super::{Kind, members, minimum, number, unsupported};
use crate::search::ast::{Bool, Query};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "bool", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let mut bool = Bool::default();
    let mut boost = 1.0;
    for (key, value) in members(body) {
        match key.as_str() {
            "must" => bool.must = clauses(value)?,
            "filter" => bool.filter = clauses(value)?,
            "should" => bool.should = clauses(value)?,
            "must_not" | "mustNot" => bool.must_not = clauses(value)?,
            "minimum_should_match" => bool.minimum = Some(minimum("bool", value)?),
            "boost" => boost = number("bool", key, value)? as f32,
            "_name" | "adjust_pure_negative" => {}
            _ => return Err(unsupported("bool", key)),
        }
    }
    let empty = bool.must.is_empty() && bool.filter.is_empty() && bool.should.is_empty() && bool.must_not.is_empty();
    let query = if empty { Query::All } else { Query::Bool(bool) };
    Ok(query.boosted(boost))
}

fn clauses(value: &Value) -> Result<Vec<Query>, SearchError> {
    match value {
        Value::Array(clauses) => clauses.iter().map(super::parse).collect(),
        one => Ok(vec![super::parse(one)?]),
    }
}
