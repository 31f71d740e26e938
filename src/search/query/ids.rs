//! `ids`: documents by their `_id`.

use super::{Kind, members, number, text, unsupported};
use crate::search::ast::Query;
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "ids", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (mut ids, mut boost) = (None, 1.0);
    for (key, value) in members(body) {
        match (key.as_str(), value) {
            ("values", Value::Array(list)) => {
                ids = Some(list.iter().map(|id| text("ids", key, id)).collect::<Result<Vec<_>, _>>()?);
            }
            ("values", one) => ids = Some(vec![text("ids", key, one)?]),
            ("boost", _) => boost = number("ids", key, value)? as f32,
            ("type" | "_name", _) => {}
            _ => return Err(unsupported("ids", key)),
        }
    }
    match ids {
        Some(ids) => Ok(Query::Ids(ids).boosted(boost)),
        None => Err(SearchError::argument("[ids] requires providing ids values")),
    }
}
