//! Aggregations: wire JSON to a tree, parts of answers merged, the answer rendered. One file per
//! aggregation; a new one is its file and a line in [`AGGREGATIONS`].
//!
//! What has to be gathered from a segment is one of a few shapes ([`Collect`]), which
//! `index::aggregate` walks the columns for; it gives [`Partial`]s, which merge in any order.

mod avg;
mod cardinality;
mod date_histogram;
mod date_range;
pub mod digest;
pub mod distinct;
mod extended_stats;
mod filter;
mod filters;
mod histogram;
mod max;
mod min;
mod missing;
mod order;
pub mod partial;
mod percentiles;
mod range;
pub mod rounding;
mod stats;
mod sum;
mod terms;
mod value_count;

use super::ast::{Query, Scalar};
use super::error::SearchError;
pub use partial::{Bucket, Key, Partial};
use rounding::Rounding;
use serde_json::{Map, Value};
use std::fmt;

/// Buckets of one answer at the most, as `search.max_buckets`.
pub const BUCKETS_MAX: usize = 65_535;
/// Aggregations in aggregations at the most.
const DEPTH_MAX: usize = 32;

/// One aggregation with its name and what stands below it.
#[derive(Debug)]
pub struct Aggregation {
    /// Its name in the answer.
    pub name: String,
    /// What it is.
    pub shape: Box<dyn Shape>,
    /// Those below it.
    pub subs: Vec<Aggregation>,
    meta: Option<Value>,
}

/// What every aggregation's file implements.
pub trait Shape: fmt::Debug + Send + Sync {
    /// What to gather from the segments.
    fn collect(&self) -> Collect<'_>;
    /// The answer, from what was gathered; [`Partial::Empty`] where nothing was.
    fn finish(&self, partial: Partial, context: &Rendering<'_>) -> Result<Map<String, Value>, SearchError>;
    /// The name of the kind of answer, for `typed_keys`.
    fn typed(&self, partial: &Partial) -> &'static str;
    /// A number of the answer, for orders by it; `name` picks one of several.
    fn metric(&self, _partial: &Partial, _name: Option<&str>) -> Option<f64> {
        None
    }
}

/// What to gather from segments.
#[derive(Debug)]
pub enum Collect<'a> {
    /// One bucket per query, numbered: [`Key::Slot`].
    Filters(&'a [Query]),
    /// One bucket per value of a field.
    Terms {
        /// The field.
        field: &'a str,
        /// The value of documents without one.
        missing: Option<&'a Scalar>,
        /// Values that no document has, too.
        zero: bool,
    },
    /// One bucket per unit of time.
    Rounded {
        /// The field.
        field: &'a str,
        /// The unit.
        rounding: &'a Rounding,
        /// The time, in ms, of documents without one.
        missing: Option<i64>,
    },
    /// One bucket per multiple of an interval.
    Stepped {
        /// The field.
        field: &'a str,
        /// The interval.
        interval: f64,
        /// Where intervals begin.
        offset: f64,
        /// The value of documents without one.
        missing: Option<f64>,
    },
    /// Count, sum and extremes of numbers.
    Stats {
        /// The field.
        field: &'a str,
        /// The value of documents without one.
        missing: Option<f64>,
    },
    /// The distribution of numbers.
    Digest {
        /// The field.
        field: &'a str,
        /// The value of documents without one.
        missing: Option<f64>,
    },
    /// How many values there are, of any kind.
    Count {
        /// The field.
        field: &'a str,
        /// Whether documents without one count.
        missing: bool,
    },
    /// How many different values there are.
    Distinct {
        /// The field.
        field: &'a str,
        /// The value of documents without one.
        missing: Option<&'a Scalar>,
    },
}

/// What rendering needs beside the partial.
pub struct Rendering<'a> {
    /// The aggregations below.
    pub subs: &'a [Aggregation],
    /// `typed_keys`.
    pub typed_keys: bool,
    /// Milliseconds since 1970 now.
    pub now_ms: i64,
}

impl Rendering<'_> {
    /// The answers of the aggregations below, into a bucket's object.
    pub fn below(&self, mut partials: Vec<Partial>, into: &mut Map<String, Value>) -> Result<(), SearchError> {
        partials.resize_with(self.subs.len(), || Partial::Empty);
        for (sub, partial) in self.subs.iter().zip(partials) {
            sub.render(partial, self.typed_keys, self.now_ms, into)?;
        }
        Ok(())
    }

    /// A bucket without key: its count and what is below.
    pub fn bucket(&self, bucket: Bucket) -> Result<Map<String, Value>, SearchError> {
        let mut object = Map::new();
        object.insert("doc_count".to_owned(), bucket.count.into());
        self.below(bucket.subs, &mut object)?;
        Ok(object)
    }
}

impl Aggregation {
    fn render(
        &self,
        partial: Partial,
        typed_keys: bool,
        now_ms: i64,
        into: &mut Map<String, Value>,
    ) -> Result<(), SearchError> {
        let name = match typed_keys {
            true => format!("{}#{}", self.shape.typed(&partial), self.name),
            false => self.name.clone(),
        };
        let mut object = Map::new();
        if let Some(meta) = &self.meta {
            object.insert("meta".to_owned(), meta.clone());
        }
        object.extend(self.shape.finish(partial, &Rendering { subs: &self.subs, typed_keys, now_ms })?);
        into.insert(name, Value::Object(object));
        Ok(())
    }
}

/// Renders the answers of all aggregations of a request.
pub fn render(
    aggregations: &[Aggregation],
    partials: Vec<Partial>,
    typed_keys: bool,
    now_ms: i64,
) -> Result<Map<String, Value>, SearchError> {
    let mut object = Map::new();
    Rendering { subs: aggregations, typed_keys, now_ms }.below(partials, &mut object)?;
    Ok(object)
}

/// The name of an aggregation and its parser.
struct Kind {
    name: &'static str,
    parse: fn(&Options<'_>) -> Result<Box<dyn Shape>, SearchError>,
}

/// Every aggregation, in alphabetical order.
static AGGREGATIONS: &[Kind] = &[
    avg::KIND,
    cardinality::KIND,
    date_histogram::KIND,
    date_range::KIND,
    extended_stats::KIND,
    filter::KIND,
    filters::KIND,
    histogram::KIND,
    max::KIND,
    min::KIND,
    missing::KIND,
    percentiles::KIND,
    range::KIND,
    stats::KIND,
    sum::KIND,
    terms::KIND,
    value_count::KIND,
];

/// Parses the value of `aggs`.
pub fn parse(value: &Value) -> Result<Vec<Aggregation>, SearchError> {
    parse_level(value, 0)
}

fn parse_level(value: &Value, depth: usize) -> Result<Vec<Aggregation>, SearchError> {
    let Some(map) = value.as_object() else {
        return Err(SearchError::parsing("Found [VALUE] instead of [START_OBJECT] under [aggs]", "aggs"));
    };
    if depth > DEPTH_MAX {
        return Err(SearchError::argument(format!("aggregations are nested deeper than {DEPTH_MAX}")));
    }
    map.iter().map(|(name, body)| parse_one(name, body, depth)).collect()
}

fn parse_one(name: &str, body: &Value, depth: usize) -> Result<Aggregation, SearchError> {
    if name.is_empty() || name.contains(['[', ']', '>']) {
        return Err(SearchError::parsing(
            format!(
                "Invalid aggregation name [{name}]. Aggregation names can contain any character except '[', ']', and '>'"
            ),
            name,
        ));
    }
    let Some(body) = body.as_object() else {
        return Err(SearchError::parsing(
            format!("Aggregation definition for [{name} starts with a [VALUE], expected a [START_OBJECT]."),
            name,
        ));
    };
    let (mut found, mut subs, mut meta): (Option<(&str, Box<dyn Shape>)>, _, _) = (None, Vec::new(), None);
    for (key, value) in body {
        match key.as_str() {
            "aggs" | "aggregations" => subs = parse_level(value, depth + 1)?,
            "meta" => meta = Some(value.clone()),
            kind => {
                if let Some((first, _)) = &found {
                    return Err(SearchError::parsing(
                        format!("Found two aggregation type definitions in [{name}]: [{first}] and [{kind}]"),
                        kind,
                    ));
                }
                found = Some((kind, parse_shape(name, kind, value)?));
            }
        }
    }
    let Some((_, shape)) = found else {
        return Err(SearchError::parsing(format!("Missing definition for aggregation [{name}]"), name));
    };
    let metric = matches!(
        shape.collect(),
        Collect::Stats { .. } | Collect::Digest { .. } | Collect::Count { .. } | Collect::Distinct { .. }
    );
    if metric && !subs.is_empty() {
        return Err(SearchError::Shard {
            kind: "aggregation_initialization_exception",
            reason: format!("Aggregator [{name}] of type [metric] cannot accept sub-aggregations"),
            cause: None,
        });
    }
    Ok(Aggregation { name: name.to_owned(), shape, subs, meta })
}

fn parse_shape(name: &str, kind: &str, value: &Value) -> Result<Box<dyn Shape>, SearchError> {
    let Some(found) = AGGREGATIONS.iter().find(|known| known.name == kind) else {
        let near = super::query::nearest(kind, AGGREGATIONS.iter().map(|known| known.name));
        let hint = near.map_or(String::new(), |near| format!(" did you mean [{near}]?"));
        return Err(SearchError::Parsing {
            reason: format!("Unknown aggregation type [{kind}]{hint}"),
            word: Some(kind.to_owned()),
            cause: Some(("named_object_not_found_exception", format!("unknown field [{kind}]"))),
        });
    };
    (found.parse)(&Options { name, kind: found.name, value })
}

/// The body of one aggregation.
struct Options<'a> {
    name: &'a str,
    kind: &'static str,
    value: &'a Value,
}

impl<'a> Options<'a> {
    fn members(&self) -> Result<&'a Map<String, Value>, SearchError> {
        self.value.as_object().ok_or_else(|| {
            SearchError::parsing(
                format!("[{}] expected an object for aggregation [{}]", self.kind, self.name),
                self.kind,
            )
        })
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.value.as_object()?.get(key)
    }

    /// An error if there is an option besides `known`.
    fn only(&self, known: &[&str]) -> Result<(), SearchError> {
        for key in self.members()?.keys() {
            if !known.contains(&key.as_str()) {
                return Err(SearchError::parsing(format!("[{}] unknown field [{key}]", self.kind), key));
            }
        }
        Ok(())
    }

    fn field(&self) -> Result<String, SearchError> {
        match self.get("field").and_then(Value::as_str) {
            Some(field) => Ok(field.to_owned()),
            None if self.get("script").is_some() => Err(SearchError::argument("cannot execute [inline] scripts")),
            None => Err(SearchError::argument(format!(
                "Required one of fields [field, script], but none were specified. (aggregation [{}])",
                self.name
            ))),
        }
    }

    fn bool(&self, key: &str, default: bool) -> bool {
        match self.get(key) {
            Some(Value::Bool(b)) => *b,
            Some(Value::String(s)) => s == "true",
            _ => default,
        }
    }

    fn number(&self, key: &str) -> Result<Option<f64>, SearchError> {
        match self.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => as_number(value).map(Some).ok_or_else(|| self.bad(key)),
        }
    }

    fn text(&self, key: &str) -> Option<String> {
        match self.get(key)? {
            Value::String(s) => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            _ => None,
        }
    }

    fn missing(&self) -> Option<Scalar> {
        super::query::as_scalar(self.get("missing")?)
    }

    fn bad(&self, key: &str) -> SearchError {
        SearchError::parsing(format!("[{}] failed to parse field [{key}]", self.kind), key)
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

/// Options that every aggregation over a field takes, and those that only tune.
const COMMON: [&str; 4] = ["field", "missing", "script", "format"];

fn known(more: &[&'static str]) -> Vec<&'static str> {
    COMMON.iter().chain(more).copied().collect()
}

#[cfg(test)]
mod tests;
