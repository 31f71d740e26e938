//! `filter_path`: only the named parts of an answer. `*` is any name, `**` any names, a leading
//! `-` leaves a part out.

use serde_json::{Map, Value};

/// Parts of answers.
pub(super) struct FilterPath {
    includes: Vec<Vec<String>>,
    excludes: Vec<Vec<String>>,
}

impl FilterPath {
    /// Parses a list of paths.
    pub(super) fn parse(text: &str) -> FilterPath {
        let mut filter = FilterPath { includes: Vec::new(), excludes: Vec::new() };
        for path in text.split(',').map(str::trim).filter(|path| !path.is_empty()) {
            let (list, path) = match path.strip_prefix('-') {
                Some(path) => (&mut filter.excludes, path),
                None => (&mut filter.includes, path),
            };
            list.push(path.split('.').map(str::to_owned).collect());
        }
        filter
    }

    /// What is left of an answer.
    pub(super) fn apply(&self, value: &Value) -> Value {
        let mut value = value.clone();
        if !self.includes.is_empty() {
            let paths: Vec<&[String]> = self.includes.iter().map(Vec::as_slice).collect();
            value = include(&value, &paths).unwrap_or_else(|| Value::Object(Map::new()));
        }
        if !self.excludes.is_empty() {
            let paths: Vec<&[String]> = self.excludes.iter().map(Vec::as_slice).collect();
            value = exclude(&value, &paths).unwrap_or_else(|| Value::Object(Map::new()));
        }
        value
    }
}

/// The paths that go on below a name, and whether one ends there.
fn step<'p>(paths: &[&'p [String]], name: &str) -> (Vec<&'p [String]>, bool) {
    let (mut below, mut ends) = (Vec::new(), false);
    let mut waiting: Vec<&[String]> = paths.to_vec();
    while let Some(path) = waiting.pop() {
        let Some((first, rest)) = path.split_first() else { continue };
        if first == "**" {
            below.push(path);
            match rest.is_empty() {
                true => ends = true,
                false => waiting.push(rest),
            }
        } else if crate::search::pattern::like(first, name) {
            match rest.is_empty() {
                true => ends = true,
                false => below.push(rest),
            }
        }
    }
    (below, ends)
}

fn include(value: &Value, paths: &[&[String]]) -> Option<Value> {
    match value {
        Value::Object(map) => {
            let mut kept = Map::new();
            for (name, value) in map {
                let (below, ends) = step(paths, name);
                let value = if ends { Some(value.clone()) } else { include(value, &below) };
                if let Some(value) = value {
                    kept.insert(name.clone(), value);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(list) if !paths.is_empty() => {
            let kept: Vec<_> = list.iter().filter_map(|item| include(item, paths)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn exclude(value: &Value, paths: &[&[String]]) -> Option<Value> {
    match value {
        Value::Object(map) => {
            let mut kept = Map::new();
            for (name, value) in map {
                let (below, ends) = step(paths, name);
                if !ends && let Some(value) = exclude(value, &below) {
                    kept.insert(name.clone(), value);
                }
            }
            (!kept.is_empty() || map.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(list) => Some(Value::Array(list.iter().filter_map(|item| exclude(item, paths)).collect())),
        value => Some(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts() {
        let answer =
            json!({"took": 1, "hits": {"total": 2, "hits": [{"_id": "1", "_source": {"a": 1}}, {"_id": "2"}]}});
        let check =
            |path: &str, expected: Value| assert_eq!(FilterPath::parse(path).apply(&answer), expected, "{path}");
        check("took", json!({"took": 1}));
        check("hits.hits._id", json!({"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}}));
        check("hits.hits._source", json!({"hits": {"hits": [{"_source": {"a": 1}}]}}));
        check("h*.total", json!({"hits": {"total": 2}}));
        check("**._id", json!({"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}}));
        check("-hits", json!({"took": 1}));
        check("hits,-hits.hits", json!({"hits": {"total": 2}}));
        check("nothing", json!({}));
    }
}
