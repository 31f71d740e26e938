//! One value at one time, and a series of them.

use super::{Labels, NativeHistogram};
use std::sync::Arc;

/// The bits of the NaN by which Prometheus marks that a series has ended.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the staleness marker, and no other NaN.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// What a series is worth at a time.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number.
    Float(f64),
    /// A native histogram. Its sum is the staleness marker where the series has ended.
    Histogram(Arc<NativeHistogram>),
}

impl Value {
    /// Whether this says that the series has ended.
    pub fn is_stale(&self) -> bool {
        match self {
            Value::Float(value) => is_stale(*value),
            Value::Histogram(histogram) => is_stale(histogram.sum),
        }
    }

    /// The number, if it is one.
    pub fn float(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            Value::Histogram(_) => None,
        }
    }

    /// The histogram, if it is one.
    pub fn histogram(&self) -> Option<&Arc<NativeHistogram>> {
        match self {
            Value::Float(_) => None,
            Value::Histogram(histogram) => Some(histogram),
        }
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<NativeHistogram> for Value {
    fn from(histogram: NativeHistogram) -> Value {
        Value::Histogram(Arc::new(histogram))
    }
}

/// A value at a time.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Milliseconds since 1970-01-01 UTC.
    pub t: i64,
    /// What it is worth.
    pub value: Value,
}

impl Sample {
    /// A sample of a number or histogram.
    pub fn new(t: i64, value: impl Into<Value>) -> Sample {
        Sample { t, value: value.into() }
    }
}

/// A label set and its samples, which rise strictly in time.
#[derive(Clone, Debug)]
pub struct Series {
    /// Which series it is.
    pub labels: Labels,
    /// Its samples, oldest first.
    pub samples: Vec<Sample>,
}
