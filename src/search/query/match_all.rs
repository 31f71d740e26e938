//! `match_all`: every document.

use super::{Kind, members, number, unsupported};
use crate::search::ast::Query;
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "match_all", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let mut boost = 1.0;
    for (key, value) in members(body) {
        match key.as_str() {
            "boost" => boost = number("match_all", key, value)? as f32,
            "_name" => {}
            _ => return Err(unsupported("match_all", key)),
        }
    }
    Ok(Query::All.boosted(boost))
}
