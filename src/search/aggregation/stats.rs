//! `stats`: count, least, greatest, mean and sum at once; and what the aggregations that give
//! one of these have in common.

use super::partial::Stats;
use super::{Collect, Kind, Options, Partial, Rendering, Shape, as_number, known};
use crate::search::ast::Scalar;
use crate::search::date_math;
use crate::search::error::SearchError;
use crate::search::number;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "stats", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    Ok(Box::new(All { source: source(options)? }))
}

/// Where numbers come from.
#[derive(Debug)]
pub(super) struct Source {
    pub field: String,
    pub missing: Option<f64>,
    pub format: Option<String>,
}

impl Source {
    pub(super) fn collect(&self) -> Collect<'_> {
        Collect::Stats { field: &self.field, missing: self.missing }
    }

    /// A number as text, where it is a date.
    pub(super) fn text(&self, value: Option<f64>, date: bool) -> Option<Value> {
        let value = value.filter(|_| date)?;
        Some(date_math::format((value as i64).saturating_mul(1_000_000), self.format.as_deref(), &TimeZone::UTC).into())
    }
}

pub(super) fn source(options: &Options<'_>) -> Result<Source, SearchError> {
    options.only(&known(&["value_type"]))?;
    Ok(Source { field: options.field()?, missing: missing(options)?, format: options.text("format") })
}

/// `missing` as a number.
pub(super) fn missing(options: &Options<'_>) -> Result<Option<f64>, SearchError> {
    match options.missing() {
        None => Ok(None),
        Some(Scalar::Bool(b)) => Ok(Some(f64::from(u8::from(b)))),
        Some(_) => options.get("missing").and_then(as_number).map(Some).ok_or_else(|| options.bad("missing")),
    }
}

/// An aggregation that gives one number of the sums.
#[derive(Debug)]
pub(super) struct Single {
    pub source: Source,
    pub name: &'static str,
    pub value: fn(&Stats) -> Option<f64>,
}

impl Shape for Single {
    fn collect(&self) -> Collect<'_> {
        self.source.collect()
    }

    fn finish(&self, partial: Partial, _: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        let stats = partial.stats();
        let value = (self.value)(&stats);
        let mut object = Map::new();
        object.insert("value".to_owned(), value.map_or(Value::Null, number::json));
        if let Some(text) = self.source.text(value, stats.date) {
            object.insert("value_as_string".to_owned(), text);
        }
        Ok(object)
    }

    fn typed(&self, _: &Partial) -> &'static str {
        self.name
    }

    fn metric(&self, partial: &Partial, _: Option<&str>) -> Option<f64> {
        (self.value)(&partial.stats())
    }
}

#[derive(Debug)]
struct All {
    source: Source,
}

/// The five numbers in the order of Elasticsearch's answer.
pub(super) fn numbers(stats: &Stats) -> [(&'static str, Option<f64>); 4] {
    let any = stats.count > 0;
    [
        ("min", any.then_some(stats.min)),
        ("max", any.then_some(stats.max)),
        ("avg", any.then(|| stats.sum / stats.count as f64)),
        ("sum", Some(stats.sum)),
    ]
}

impl Shape for All {
    fn collect(&self) -> Collect<'_> {
        self.source.collect()
    }

    fn finish(&self, partial: Partial, _: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        let stats = partial.stats();
        let mut object = Map::new();
        object.insert("count".to_owned(), stats.count.into());
        for (name, value) in numbers(&stats) {
            object.insert(name.to_owned(), value.map_or(Value::Null, number::json));
        }
        for (name, value) in numbers(&stats) {
            if let Some(text) = self.source.text(value, stats.date) {
                object.insert(format!("{name}_as_string"), text);
            }
        }
        Ok(object)
    }

    fn typed(&self, _: &Partial) -> &'static str {
        "stats"
    }

    fn metric(&self, partial: &Partial, name: Option<&str>) -> Option<f64> {
        let stats = partial.stats();
        match name? {
            "count" => Some(stats.count as f64),
            name => numbers(&stats).into_iter().find(|(n, _)| *n == name)?.1,
        }
    }
}
