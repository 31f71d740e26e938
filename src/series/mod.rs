//! Series and what they hold: label sets, samples, native histograms, matchers, and the face of
//! whatever keeps them. The metric half of the house speaks in these: the window, PromQL, rules,
//! remote write and the HTTP API.
//!
//! No clock and no tokio here; I/O in the log of [`window`] alone.

mod bounds;
pub(crate) mod bytes;
mod histogram;
mod labels;
mod matcher;
pub mod notation;
mod reconcile;
mod sample;
pub mod window;

pub use bounds::{CUSTOM_SCHEMA, SCHEMA_MAX, SCHEMA_MIN, bucket_index, upper_bound};
pub use histogram::{Bucket, HistogramError, NativeHistogram, ResetHint, is_custom, is_exponential};
pub use labels::{Builder, Labels, METRIC_NAME, is_label_name, is_metric_name};
pub use matcher::{Matcher, Op, anchored};
pub use reconcile::{HistogramSum, kahan};
pub use sample::{STALE_NAN_BITS, Sample, Series, Value, is_stale, stale_nan};

/// Why series can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A limit on the number of samples or series was reached.
    #[error("cannot select series: {0}")]
    Limit(String),
    /// What keeps the series is broken.
    #[error("cannot read series: {0}")]
    Storage(String),
}

/// What keeps series and answers queries.
pub trait Queryable: Send + Sync {
    /// The series that all `matchers` match, with their samples from `start_ms` to `end_ms`, both
    /// included; series without a sample in between may be left out. Samples of a series must rise
    /// strictly in time; no two series may have the same labels; their order is free. Staleness
    /// markers are samples as others.
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Series>, SelectError>;
}

impl<T: Queryable + ?Sized> Queryable for std::sync::Arc<T> {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Series>, SelectError> {
        (**self).select(matchers, start_ms, end_ms)
    }
}
