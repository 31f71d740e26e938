//! `cardinality`: how many different values a field has; exact up to 100,000, then near.

use super::{Collect, Kind, Options, Partial, Rendering, Shape, known};
use crate::search::ast::Scalar;
use crate::search::error::SearchError;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "cardinality", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&known(&["precision_threshold", "rehash", "value_type", "execution_hint"]))?;
    if options.number("precision_threshold")?.is_some_and(|n| n < 0.0) {
        return Err(SearchError::argument("[precisionThreshold] must be greater than or equal to 0."));
    }
    Ok(Box::new(Cardinality { field: options.field()?, missing: options.missing() }))
}

#[derive(Debug)]
struct Cardinality {
    field: String,
    missing: Option<Scalar>,
}

fn count(partial: &Partial) -> u64 {
    match partial {
        Partial::Distinct(distinct) => distinct.count(),
        _ => 0,
    }
}

impl Shape for Cardinality {
    fn collect(&self) -> Collect<'_> {
        Collect::Distinct { field: &self.field, missing: self.missing.as_ref() }
    }

    fn finish(&self, partial: Partial, _: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        Ok(Map::from_iter([("value".to_owned(), count(&partial).into())]))
    }

    fn typed(&self, _: &Partial) -> &'static str {
        "cardinality"
    }

    fn metric(&self, partial: &Partial, _: Option<&str>) -> Option<f64> {
        Some(count(partial) as f64)
    }
}
