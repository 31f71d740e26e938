//! `avg`: the mean of numbers; null where there are none.

use super::partial::Stats;
use super::stats::{self, Single};
use super::{Kind, Options, Shape};
use crate::search::error::SearchError;

pub(super) const KIND: Kind = Kind { name: "avg", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    Ok(Box::new(Single { source: stats::source(options)?, name: "avg", value }))
}

fn value(stats: &Stats) -> Option<f64> {
    (stats.count > 0).then(|| stats.sum / stats.count as f64)
}
