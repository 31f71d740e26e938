//! `max`: the greatest number; null where there is none.

use super::partial::Stats;
use super::stats::{self, Single};
use super::{Kind, Options, Shape};
use crate::search::error::SearchError;

pub(super) const KIND: Kind = Kind { name: "max", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    Ok(Box::new(Single { source: stats::source(options)?, name: "max", value }))
}

fn value(stats: &Stats) -> Option<f64> {
    (stats.count > 0).then_some(stats.max)
}
