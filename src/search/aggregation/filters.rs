//! `filters`: one bucket per query, named or in order, and perhaps one for the rest.

use super::{Collect, Key, Kind, Options, Partial, Rendering, Shape};
use crate::search::ast::{Bool, Query};
use crate::search::error::SearchError;
use crate::search::query;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "filters", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&["filters", "other_bucket", "other_bucket_key"])?;
    let (mut names, mut queries) = (Vec::new(), Vec::new());
    let keyed = match options.get("filters") {
        Some(Value::Object(map)) => {
            let mut sorted: Vec<_> = map.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            for (name, body) in sorted {
                names.push(name.clone());
                queries.push(query::parse(body)?);
            }
            true
        }
        Some(Value::Array(list)) => {
            queries = list.iter().map(query::parse).collect::<Result<_, _>>()?;
            false
        }
        _ => {
            return Err(SearchError::parsing(
                "Required [filters]: the [filters] aggregation needs an object or a list of queries",
                "filters",
            ));
        }
    };
    if queries.is_empty() {
        return Err(SearchError::argument(format!("[filters] cannot be empty for aggregation: [{}]", options.name)));
    }
    let other_key = options.text("other_bucket_key");
    if options.bool("other_bucket", other_key.is_some()) {
        let rest = Bool { must_not: queries.clone(), ..Bool::default() };
        queries.push(Query::Bool(rest));
        names.push(other_key.unwrap_or_else(|| "_other_".to_owned()));
    }
    Ok(Box::new(Filters { names: keyed.then_some(names), queries }))
}

#[derive(Debug)]
struct Filters {
    names: Option<Vec<String>>,
    queries: Vec<Query>,
}

impl Shape for Filters {
    fn collect(&self) -> Collect<'_> {
        Collect::Filters(&self.queries)
    }

    fn finish(&self, partial: Partial, context: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        let mut found = partial.buckets();
        let mut bucket = |at: usize| context.bucket(found.remove(&Key::Slot(at as u32)).unwrap_or_default());
        let buckets = match &self.names {
            Some(names) => {
                let mut object = Map::new();
                for (at, name) in names.iter().enumerate() {
                    object.insert(name.clone(), Value::Object(bucket(at)?));
                }
                Value::Object(object)
            }
            None => {
                let list = (0..self.queries.len()).map(|at| bucket(at).map(Value::Object));
                Value::Array(list.collect::<Result<_, _>>()?)
            }
        };
        Ok(Map::from_iter([("buckets".to_owned(), buckets)]))
    }

    fn typed(&self, _: &Partial) -> &'static str {
        "filters"
    }
}
