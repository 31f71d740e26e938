//! The messages of remote write 1.0 (`prometheus.WriteRequest`) and 2.0
//! (`io.prometheus.write.v2.Request`). Numbers of fields are those of Prometheus' `prompb`.

use crate::metric::exposition::spans;
use crate::series::{NativeHistogram, ResetHint};
use prost::Message;
use rustc_hash::FxHashMap;

/// A request of 1.0.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    /// Series with their samples.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    /// What metrics are.
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<MetricMetadata>,
}

/// Samples of one series.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Sorted by name.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// Numbers.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Events that stand for a value.
    #[prost(message, repeated, tag = "3")]
    pub exemplars: Vec<Exemplar>,
    /// Native histograms.
    #[prost(message, repeated, tag = "4")]
    pub histograms: Vec<Histogram>,
}

/// A name and a value.
#[derive(Clone, PartialEq, Message)]
pub struct Label {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A number at a time.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    /// The number.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
    /// 2.0 alone: when the counter began.
    #[prost(int64, tag = "3")]
    pub start_timestamp: i64,
}

/// An event that stands for a value.
#[derive(Clone, PartialEq, Message)]
pub struct Exemplar {
    /// Its trace.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// Its value.
    #[prost(double, tag = "2")]
    pub value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// What a metric is.
#[derive(Clone, PartialEq, Message)]
pub struct MetricMetadata {
    /// 1 counter, 2 gauge, 3 histogram.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// Its name.
    #[prost(string, tag = "2")]
    pub metric_family_name: String,
    /// One sentence.
    #[prost(string, tag = "4")]
    pub help: String,
}

/// A run of buckets.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct BucketSpan {
    /// From the end of the run before.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// How many.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// A native histogram: whole counts as differences, others as they are.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    count_int: Option<u64>,
    #[prost(double, optional, tag = "2")]
    count_float: Option<f64>,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    zero_count_int: Option<u64>,
    #[prost(double, optional, tag = "7")]
    zero_count_float: Option<f64>,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "9")]
    negative_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "10")]
    negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    positive_counts: Vec<f64>,
    #[prost(int32, tag = "14")]
    reset_hint: i32,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    custom_values: Vec<f64>,
    /// 2.0 alone: when the histogram began.
    #[prost(int64, tag = "17")]
    pub start_timestamp: i64,
}

/// A request of 2.0: texts stand once, in `symbols`.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// Every text; the first is empty.
    #[prost(string, repeated, tag = "4")]
    pub symbols: Vec<String>,
    /// Series with their samples.
    #[prost(message, repeated, tag = "5")]
    pub timeseries: Vec<TimeSeries2>,
}

/// Samples of one series in 2.0.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries2 {
    /// Places of names and values by turns.
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    /// Numbers.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Native histograms.
    #[prost(message, repeated, tag = "3")]
    pub histograms: Vec<Histogram>,
    /// Events that stand for a value.
    #[prost(message, repeated, tag = "4")]
    pub exemplars: Vec<Exemplar2>,
    /// What the metric is.
    #[prost(message, optional, tag = "5")]
    pub metadata: Option<Metadata2>,
    /// When it began, in milliseconds since 1970: where older receivers look for it; others look at
    /// the samples.
    #[prost(int64, tag = "6")]
    pub created_timestamp: i64,
}

/// An event that stands for a value, in 2.0.
#[derive(Clone, PartialEq, Message)]
pub struct Exemplar2 {
    /// Places of names and values.
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    /// Its value.
    #[prost(double, tag = "2")]
    pub value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// What a metric is, in 2.0.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Metadata2 {
    /// 1 counter, 2 gauge, 3 histogram.
    #[prost(int32, tag = "1")]
    pub kind: i32,
    /// The place of its help.
    #[prost(uint32, tag = "3")]
    pub help_ref: u32,
}

/// Texts with their places.
pub struct Symbols {
    at: FxHashMap<String, u32>,
    all: Vec<String>,
}

impl Default for Symbols {
    fn default() -> Symbols {
        Symbols { at: FxHashMap::from_iter([(String::new(), 0)]), all: vec![String::new()] }
    }
}

impl Symbols {
    /// The place of a text.
    pub fn place(&mut self, text: &str) -> u32 {
        if let Some(&at) = self.at.get(text) {
            return at;
        }
        let at = self.all.len() as u32;
        self.all.push(text.to_owned());
        self.at.insert(text.to_owned(), at);
        at
    }

    /// All texts.
    pub fn into_texts(self) -> Vec<String> {
        self.all
    }
}

/// The number by which both protocols know a kind.
pub fn kind(name: &str) -> i32 {
    match name {
        "counter" => 1,
        "gauge" => 2,
        "histogram" => 3,
        _ => 0,
    }
}

impl Histogram {
    /// A native histogram at a time; its counts as whole numbers where they are such and never have
    /// `fractions`.
    pub fn new(native: &NativeHistogram, timestamp: i64, fractions: bool) -> Histogram {
        let mut out = Histogram {
            sum: native.sum,
            schema: native.schema,
            zero_threshold: native.zero_threshold,
            reset_hint: match native.reset_hint {
                ResetHint::Unknown => 0,
                ResetHint::Reset => 1,
                ResetHint::NotReset => 2,
                ResetHint::Gauge => 3,
            },
            timestamp,
            custom_values: native.custom_values.to_vec(),
            ..Histogram::default()
        };
        let span = |spans: Vec<spans::Span>| {
            spans.into_iter().map(|(offset, length)| BucketSpan { offset, length }).collect::<Vec<_>>()
        };
        let counts = native.positive.iter().chain(&native.negative).map(|(_, count)| *count);
        let mut counts = counts.chain([native.count, native.zero_count]);
        if !fractions && counts.all(|count| count >= 0.0 && count.fract() == 0.0 && count < 9e15) {
            (out.count_int, out.zero_count_int) = (Some(native.count as u64), Some(native.zero_count as u64));
            let (spans, deltas) = spans::encode(&native.positive);
            (out.positive_spans, out.positive_deltas) = (span(spans), deltas);
            let (spans, deltas) = spans::encode(&native.negative);
            (out.negative_spans, out.negative_deltas) = (span(spans), deltas);
        } else {
            (out.count_float, out.zero_count_float) = (Some(native.count), Some(native.zero_count));
            let (spans, counts) = spans::runs(&native.positive);
            (out.positive_spans, out.positive_counts) = (span(spans), counts);
            let (spans, counts) = spans::runs(&native.negative);
            (out.negative_spans, out.negative_counts) = (span(spans), counts);
        }
        out
    }
}
