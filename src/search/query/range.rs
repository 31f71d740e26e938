//! `range`: values between bounds; on dates with date math, formats and a zone.

use super::{Kind, as_scalar, boolean, number, one_field, text, unsupported};
use crate::search::ast::{Query, Range, Scalar, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "range", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (field, inner) = one_field("range", body)?;
    let Value::Object(options) = inner else {
        return Err(SearchError::parsing("[range] query does not support bare values", field));
    };
    let (mut from, mut to): (Option<Scalar>, Option<Scalar>) = (None, None);
    let (mut include_from, mut include_to, mut boost) = (true, true, 1.0);
    let mut range = Range::default();
    for (key, option) in options {
        match key.as_str() {
            "gte" | "from" => from = bound(key, option)?,
            "lte" | "to" => to = bound(key, option)?,
            "gt" => (from, include_from) = (bound(key, option)?, false),
            "lt" => (to, include_to) = (bound(key, option)?, false),
            "include_lower" => include_from = boolean("range", key, option)?,
            "include_upper" => include_to = boolean("range", key, option)?,
            "format" => range.format = Some(text("range", key, option)?),
            "time_zone" => range.zone = Some(text("range", key, option)?),
            "boost" => boost = number("range", key, option)? as f32,
            "relation" | "_name" => {}
            _ => return Err(unsupported("range", key)),
        }
    }
    range.from = from.map(|bound| (bound, include_from));
    range.to = to.map(|bound| (bound, include_to));
    Ok(Query::on(field, Test::Range(range)).boosted(boost))
}

fn bound(key: &str, value: &Value) -> Result<Option<Scalar>, SearchError> {
    match value {
        Value::Null => Ok(None),
        value => match as_scalar(value) {
            Some(bound) => Ok(Some(bound)),
            None => Err(unsupported("range", key)),
        },
    }
}
