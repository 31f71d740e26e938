//! The Query DSL: wire JSON to the query tree. One file per query; a new one is its file and a
//! line in [`QUERIES`]. Messages are Elasticsearch's, since people search for them.

mod bool;
mod boosting;
mod constant_score;
mod dis_max;
mod exists;
mod fuzzy;
mod ids;
mod r#match;
mod match_all;
mod match_none;
mod match_phrase;
mod match_phrase_prefix;
mod multi_match;
mod prefix;
mod query_string;
mod range;
mod regexp;
mod simple_query_string;
mod term;
mod terms;
mod wildcard;

use super::ast::{Minimum, Query, Scalar};
use super::error::SearchError;
use serde_json::{Map, Value};

/// What every query's file has: its name and its parser.
pub(super) struct Kind {
    /// The key in the DSL.
    pub name: &'static str,
    /// The value behind the key to a query.
    pub parse: fn(&Value) -> Result<Query, SearchError>,
}

/// Every query, in alphabetical order.
static QUERIES: &[Kind] = &[
    bool::KIND,
    boosting::KIND,
    constant_score::KIND,
    dis_max::KIND,
    exists::KIND,
    fuzzy::KIND,
    ids::KIND,
    r#match::KIND,
    match_all::KIND,
    match_none::KIND,
    match_phrase::KIND,
    match_phrase_prefix::KIND,
    multi_match::KIND,
    prefix::KIND,
    query_string::KIND,
    range::KIND,
    regexp::KIND,
    simple_query_string::KIND,
    term::KIND,
    terms::KIND,
    wildcard::KIND,
];

/// Parses `{"name": {…}}`.
pub fn parse(value: &Value) -> Result<Query, SearchError> {
    let Some(object) = value.as_object() else {
        return Err(SearchError::parsing("[_na] query malformed, must start with start_object", ""));
    };
    let mut entries = object.iter();
    let Some((name, body)) = entries.next() else {
        return Err(SearchError::argument("query malformed, empty clause found"));
    };
    let Some(kind) = QUERIES.iter().find(|kind| kind.name == name) else {
        let near = nearest(name, QUERIES.iter().map(|kind| kind.name));
        let hint = near.map_or(String::new(), |near| format!(" did you mean [{near}]?"));
        return Err(SearchError::Parsing {
            reason: format!("unknown query [{name}]{hint}"),
            word: Some(name.clone()),
            cause: Some(("named_object_not_found_exception", format!("unknown field [{name}]"))),
        });
    };
    if !body.is_object() {
        return Err(SearchError::parsing(format!("[{name}] query malformed, no start_object after query name"), name));
    }
    if let Some((other, _)) = entries.next() {
        return Err(SearchError::parsing(
            format!("[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]"),
            other,
        ));
    }
    (kind.parse)(body)
}

/// Parses a query string of an address.
pub(super) fn run_query_string(text: &str, reading: &super::query_string::Reading) -> Result<Query, SearchError> {
    query_string::run(text, reading, false)
}

/// The word nearest to `word`, where one is near.
pub(crate) fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    words.map(|w| (distance(word, w), w)).filter(|(d, _)| *d <= limit).min().map(|(_, w)| w)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The members of the query's body; [`parse`] saw that it is an object.
fn members(body: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    body.as_object().unwrap_or(&EMPTY)
}

/// The one field of a query that names it as a key, and what stands behind it.
fn one_field<'a>(query: &str, body: &'a Value) -> Result<(&'a str, &'a Value), SearchError> {
    let mut fields = members(body).iter().filter(|(key, _)| *key != "boost" && *key != "_name");
    let Some((field, value)) = fields.next() else {
        return Err(SearchError::argument("field name is null or empty"));
    };
    match fields.next() {
        None => Ok((field, value)),
        Some((other, _)) => Err(SearchError::parsing(
            format!("[{query}] query doesn't support multiple fields, found [{field}] and [{other}]"),
            other,
        )),
    }
}

fn unsupported(query: &str, key: &str) -> SearchError {
    SearchError::parsing(format!("[{query}] query does not support [{key}]"), key)
}

/// A text, number or truth value.
fn scalar(query: &str, field: &str, value: &Value) -> Result<Scalar, SearchError> {
    as_scalar(value).ok_or_else(|| match value {
        Value::Null => SearchError::argument("value cannot be null"),
        _ => SearchError::parsing(
            format!("[{query}] query does not support arrays or objects as the value of [{field}]"),
            field,
        ),
    })
}

pub(super) fn as_scalar(value: &Value) -> Option<Scalar> {
    Some(match value {
        Value::String(s) => Scalar::Str(s.clone()),
        Value::Bool(b) => Scalar::Bool(*b),
        Value::Number(n) => n.as_i64().map(Scalar::Int).or_else(|| n.as_f64().map(Scalar::Float))?,
        _ => return None,
    })
}

fn text(query: &str, key: &str, value: &Value) -> Result<String, SearchError> {
    scalar(query, key, value).map(|s| s.text())
}

/// A number, also one in a text.
fn number(query: &str, key: &str, value: &Value) -> Result<f64, SearchError> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
    .ok_or_else(|| SearchError::parsing(format!("[{query}] failed to parse field [{key}]"), key))
}

fn boolean(query: &str, key: &str, value: &Value) -> Result<bool, SearchError> {
    match value {
        Value::Bool(b) => Ok(*b),
        Value::String(s) if s == "true" => Ok(true),
        Value::String(s) if s == "false" => Ok(false),
        other => Err(SearchError::parsing(
            format!("[{query}] failed to parse [{key}]: only [true] or [false] are allowed, got {other}"),
            key,
        )),
    }
}

/// `and` or `or`, in any case.
fn operator(value: &Value) -> Result<bool, SearchError> {
    match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("and") => Ok(true),
        Some("or") => Ok(false),
        _ => Err(SearchError::argument(format!(
            "No enum constant org.elasticsearch.index.query.Operator.{}",
            value.as_str().unwrap_or("null").to_uppercase()
        ))),
    }
}

fn minimum(query: &str, value: &Value) -> Result<Minimum, SearchError> {
    let written = text(query, "minimum_should_match", value)?;
    Minimum::parse(&written).ok_or_else(|| SearchError::argument(format!("For input string: \"{written}\"")))
}

/// Field names with their boosts: `["a^2", "b"]` or `"a"`.
fn fields(query: &str, value: &Value) -> Result<Vec<(String, f32)>, SearchError> {
    let names = match value {
        Value::Array(names) => names.as_slice(),
        one => std::slice::from_ref(one),
    };
    names
        .iter()
        .map(|name| {
            let name = text(query, "fields", name)?;
            Ok(match name.rsplit_once('^') {
                Some((field, boost)) => match boost.parse() {
                    Ok(boost) => (field.to_owned(), boost),
                    Err(_) => return Err(SearchError::argument(format!("For input string: \"{boost}\""))),
                },
                None => (name, 1.0),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
