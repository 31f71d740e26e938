//! `fuzzy`: values or tokens within an edit distance of a term, which is not analysed.

use super::{Kind, boolean, number, one_field, text, unsupported};
use crate::search::ast::{Fuzziness, Query, Test};
use crate::search::error::SearchError;
use serde_json::Value;

pub(super) const KIND: Kind = Kind { name: "fuzzy", parse };

fn parse(body: &Value) -> Result<Query, SearchError> {
    let (field, inner) = one_field("fuzzy", body)?;
    let (mut value, mut fuzziness, mut prefix) = (None, Fuzziness::Auto(3, 6), 0);
    let (mut transpositions, mut boost) = (true, 1.0);
    match inner {
        Value::Object(options) => {
            for (key, option) in options {
                match key.as_str() {
                    "value" | "term" => value = Some(text("fuzzy", field, option)?),
                    "fuzziness" => fuzziness = parse_fuzziness("fuzzy", option)?,
                    "prefix_length" => prefix = number("fuzzy", key, option)? as usize,
                    "transpositions" => transpositions = boolean("fuzzy", key, option)?,
                    "boost" => boost = number("fuzzy", key, option)? as f32,
                    "max_expansions" | "rewrite" | "_name" => {}
                    _ => return Err(unsupported("fuzzy", key)),
                }
            }
        }
        plain => value = Some(text("fuzzy", field, plain)?),
    }
    let value = value.ok_or_else(|| SearchError::argument("query value cannot be null"))?;
    Ok(Query::on(field, Test::Fuzzy { value, fuzziness, prefix, transpositions, normalize: false }).boosted(boost))
}

/// `fuzziness` of any query.
pub(super) fn parse_fuzziness(query: &str, value: &Value) -> Result<Fuzziness, SearchError> {
    let written = text(query, "fuzziness", value)?;
    Fuzziness::parse(&written)
        .ok_or_else(|| SearchError::argument(format!("Valid edit distances are [0, 1, 2] but was [{written}]")))
}
