//! `value_count`: how many values a field has.

use super::{Collect, Kind, Options, Partial, Rendering, Shape, known};
use crate::search::error::SearchError;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "value_count", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&known(&["value_type"]))?;
    Ok(Box::new(ValueCount { field: options.field()?, missing: options.missing().is_some() }))
}

#[derive(Debug)]
struct ValueCount {
    field: String,
    missing: bool,
}

fn count(partial: &Partial) -> u64 {
    match partial {
        Partial::Count(count) => *count,
        _ => 0,
    }
}

impl Shape for ValueCount {
    fn collect(&self) -> Collect<'_> {
        Collect::Count { field: &self.field, missing: self.missing }
    }

    fn finish(&self, partial: Partial, _: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        Ok(Map::from_iter([("value".to_owned(), count(&partial).into())]))
    }

    fn typed(&self, _: &Partial) -> &'static str {
        "value_count"
    }

    fn metric(&self, partial: &Partial, _: Option<&str>) -> Option<f64> {
        Some(count(partial) as f64)
    }
}
