//! `terms`: one of several values, none of them analysed.

use super::{Kind, as_scalar, members, number, one_field};
use crate::search::ast::{Query, Test};
use crate::search::error::SearchError;
use serde_json::Value;

/// As `index.max_terms_count`.
const TERMS_MAX: usize = 65_536;

pub(super) const KIND: Kind = Kind { name: "terms", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (field, values) = one_field("terms", body)?;
    let Value::Array(values) = values else {
        return Err(SearchError::parsing(format!("[terms] query does not support [{field}]"), field));
    };
    if values.len() > TERMS_MAX {
        return Err(SearchError::shard(format!(
            "The number of terms [{}] used in the Terms Query request has exceeded the allowed maximum of [{TERMS_MAX}]. \
             This maximum can be set by changing the [index.max_terms_count] index level setting.",
            values.len()
        )));
    }
    let read = |value: &Value| {
        as_scalar(value).ok_or_else(|| SearchError::parsing("No value specified for terms query", field))
    };
    let values = values.iter().map(read).collect::<Result<_, _>>()?;
    let boost = match members(body).get("boost") {
        Some(boost) => number("terms", "boost", boost)? as f32,
        None => 1.0,
    };
    Ok(Query::on(field, Test::Terms(values)).boosted(boost))
}
