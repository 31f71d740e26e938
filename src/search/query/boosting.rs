//! `boosting`: what `positive` matches. `negative` only lowers scores, which it does by being
//! scored below: here it leaves the order of equal matches alone.

use super::{Kind, members, number, unsupported};
use crate::search::ast::{Bool, Query};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "boosting", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (mut positive, mut negative, mut factor) = (None, None, 1.0);
    for (key, value) in members(body) {
        match key.as_str() {
            "positive" => positive = Some(super::parse(value)?),
            "negative" => negative = Some(super::parse(value)?),
            "negative_boost" => factor = number("boosting", key, value)? as f32,
            "boost" | "_name" => {}
            _ => return Err(unsupported("boosting", key)),
        }
    }
    let (Some(positive), Some(negative)) = (positive, negative) else {
        return Err(SearchError::parsing(
            "[boosting] query requires 'positive' and 'negative' queries to be set'",
            "boosting",
        ));
    };
    let lowered = Bool { must: vec![positive.clone()], filter: vec![negative.clone()], ..Bool::default() };
    let kept = Bool { must: vec![positive], must_not: vec![negative], ..Bool::default() };
    Ok(Query::Best(vec![Query::Bool(kept), Query::Bool(lowered).boosted(factor)]))
}
