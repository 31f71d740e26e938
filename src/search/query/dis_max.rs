//! `dis_max`: any of its queries; the best score counts.

use super::{Kind, members, number, unsupported};
use crate::search::ast::Query;
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "dis_max", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (mut queries, mut boost) = (Vec::new(), 1.0);
    for (key, value) in members(body) {
        match (key.as_str(), value) {
            ("queries", Value::Array(list)) => queries = list.iter().map(super::parse).collect::<Result<_, _>>()?,
            ("queries", one) => queries = vec![super::parse(one)?],
            ("boost", _) => boost = number("dis_max", key, value)? as f32,
            ("tie_breaker" | "_name", _) => {}
            _ => return Err(unsupported("dis_max", key)),
        }
    }
    if queries.is_empty() {
        return Err(SearchError::parsing("[dis_max] requires 'queries' field with at least one clause", "dis_max"));
    }
    Ok(Query::Best(queries).boosted(boost))
}
