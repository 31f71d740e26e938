//! `sum`: the sum of numbers, 0 where there are none.

use super::partial::Stats;
use super::stats::{self, Single};
use super::{Kind, Options, Shape};
use crate::search::error::SearchError;

pub(super) const KIND: Kind = Kind { name: "sum", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    Ok(Box::new(Single { source: stats::source(options)?, name: "sum", value }))
}

fn value(stats: &Stats) -> Option<f64> {
    Some(stats.sum)
}
