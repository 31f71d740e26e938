//! `filter`: one bucket, of what a query matches.

use super::{Collect, Key, Kind, Options, Partial, Rendering, Shape};
use crate::search::ast::Query;
use crate::search::error::SearchError;
use crate::search::query;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "filter", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    Ok(Box::new(Filter { query: query::parse(options.value)?, name: "filter" }))
}

/// One bucket of a query's matches.
#[derive(Debug)]
pub(super) struct Filter {
    pub query: Query,
    pub name: &'static str,
}

impl Shape for Filter {
    fn collect(&self) -> Collect<'_> {
        Collect::Filters(std::slice::from_ref(&self.query))
    }

    fn finish(&self, partial: Partial, context: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        context.bucket(partial.buckets().remove(&Key::Slot(0)).unwrap_or_default())
    }

    fn typed(&self, _: &Partial) -> &'static str {
        self.name
    }

    fn metric(&self, partial: &Partial, _: Option<&str>) -> Option<f64> {
        match partial {
            Partial::Buckets(buckets) => Some(buckets.get(&Key::Slot(0))?.count as f64),
            _ => Some(0.0),
        }
    }
}
