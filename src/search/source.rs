//! What of `_source` is shown. Unfiltered it is passed on as the bytes that it is.

use super::error::SearchError;
use super::pattern::like;
use serde_json::{Map, Value};

/// `_source` of a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceFilter {
    /// Nothing at all.
    pub off: bool,
    /// Paths, perhaps with `*`, that are shown; none for all.
    pub includes: Vec<String>,
    /// Paths that are not.
    pub excludes: Vec<String>,
}

fn texts(value: &Value) -> Result<Vec<String>, SearchError> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    list.iter()
        .map(|item| match item.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(SearchError::parsing("Unknown value in [_source]: expected a string", "_source")),
        })
        .collect()
}

impl SourceFilter {
    /// Parses the value of `_source`.
    pub fn parse(value: &Value) -> Result<SourceFilter, SearchError> {
        let mut filter = SourceFilter::default();
        match value {
            Value::Bool(on) => filter.off = !on,
            Value::String(_) | Value::Array(_) => filter.includes = texts(value)?,
            Value::Object(options) => {
                for (key, value) in options {
                    match key.as_str() {
                        "include" | "includes" => filter.includes = texts(value)?,
                        "exclude" | "excludes" => filter.excludes = texts(value)?,
                        _ => {
                            return Err(SearchError::parsing(
                                format!("Unknown key for a VALUE_STRING in [{key}]."),
                                key,
                            ));
                        }
                    }
                }
            }
            Value::Null => {}
            Value::Number(_) => {
                return Err(SearchError::parsing(
                    "Expected one of [VALUE_BOOLEAN, VALUE_STRING, START_ARRAY, START_OBJECT] but found [VALUE_NUMBER]",
                    "_source",
                ));
            }
        }
        Ok(filter)
    }

    /// Whether it shows everything.
    pub fn is_all(&self) -> bool {
        !self.off && self.excludes.is_empty() && self.includes.iter().all(|path| path == "*")
    }

    /// The source with only what is shown.
    pub fn apply(&self, source: &Value) -> Value {
        match source {
            Value::Object(map) => Value::Object(self.object(map, "", self.includes.is_empty())),
            other => other.clone(),
        }
    }

    fn object(&self, map: &Map<String, Value>, above: &str, included: bool) -> Map<String, Value> {
        let mut out = Map::new();
        for (key, value) in map {
            let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            if self.excludes.iter().any(|pattern| like(pattern, &path)) {
                continue;
            }
            let included = included || self.includes.iter().any(|pattern| like(pattern, &path));
            // A pattern like `a.*` or `*.b` may name what lies below.
            let below = self.includes.iter().any(|pattern| may_be_below(pattern, &path));
            if let Some(kept) = self.value(value, &path, included, below) {
                out.insert(key.clone(), kept);
            }
        }
        out
    }

    fn value(&self, value: &Value, path: &str, included: bool, below: bool) -> Option<Value> {
        match value {
            Value::Object(map) if included || below => {
                let kept = self.object(map, path, included);
                (included || !kept.is_empty()).then_some(Value::Object(kept))
            }
            Value::Array(list) if included || below => {
                let kept: Vec<_> = list.iter().filter_map(|item| self.value(item, path, included, below)).collect();
                (included || !kept.is_empty()).then_some(Value::Array(kept))
            }
            value => included.then(|| value.clone()),
        }
    }
}

/// Whether a pattern may name a path below `path`.
fn may_be_below(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, _)) => head.starts_with(&format!("{path}.")) || path.starts_with(head),
        None => pattern.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')),
    }
}

/// The leaves of a document by their dotted paths, for `fields`.
pub fn leaves(source: &Value, path: &str, each: &mut dyn FnMut(&str, &Value)) {
    match source {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, each);
            }
        }
        Value::Array(list) => list.iter().for_each(|item| leaves(item, path, each)),
        Value::Null => {}
        leaf => each(path, leaf),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters() {
        let source = json!({"a": 1, "b": {"c": 2, "d": {"e": 3}}, "l": [{"x": 1, "y": 2}], "f.g": 4});
        let check = |filter: Value, expected: Value| {
            let filter_ = SourceFilter::parse(&filter).unwrap();
            assert_eq!(filter_.apply(&source), expected, "{filter}");
        };
        check(json!(true), source.clone());
        check(json!("a"), json!({"a": 1}));
        check(json!(["b.c", "a"]), json!({"a": 1, "b": {"c": 2}}));
        check(json!("b.*"), json!({"b": {"c": 2, "d": {"e": 3}}}));
        check(json!("b"), json!({"b": {"c": 2, "d": {"e": 3}}}));
        check(json!("*.e"), json!({"b": {"d": {"e": 3}}}));
        check(json!("l.x"), json!({"l": [{"x": 1}]}));
        check(json!("f.g"), json!({"f.g": 4}));
        check(json!({"excludes": ["b.d", "l"]}), json!({"a": 1, "b": {"c": 2}, "f.g": 4}));
        check(json!({"includes": ["b"], "excludes": ["*.e"]}), json!({"b": {"c": 2, "d": {}}}));
        assert!(SourceFilter::parse(&json!(1)).is_err());
    }
}
