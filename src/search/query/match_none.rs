//! `match_none`: no document.

use super::{Kind, members, unsupported};
use crate::search::ast::Query;
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "match_none", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    match members(body).keys().find(|key| !matches!(key.as_str(), "boost" | "_name")) {
        Some(key) => Err(unsupported("match_none", key)),
        None => Ok(Query::Nothing),
    }
}
