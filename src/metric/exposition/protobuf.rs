//! Prometheus' protocol buffers (`io.prometheus.client`), messages delimited by their length. The
//! numbers of fields are those of the `metrics.proto` of Prometheus' client model.

use super::spans;
use super::{Family, Kind, Sample};
use crate::metric::derive;
use crate::series::NativeHistogram;
use prost::Message;

/// A name and a value.
#[derive(Clone, PartialEq, Message)]
pub struct LabelPair {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

/// A time.
#[derive(Clone, PartialEq, Message)]
pub struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// An event that stands for a value.
#[derive(Clone, PartialEq, Message)]
pub struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, optional, tag = "2")]
    value: Option<f64>,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

/// A value that goes up and down.
#[derive(Clone, PartialEq, Message)]
pub struct Gauge {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

/// A value that only grows.
#[derive(Clone, PartialEq, Message)]
pub struct Counter {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
    #[prost(message, optional, tag = "2")]
    exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    created_timestamp: Option<Timestamp>,
}

/// A classic bucket.
#[derive(Clone, PartialEq, Message)]
pub struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    upper_bound: Option<f64>,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<Exemplar>,
}

/// A run of native buckets.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

/// A distribution.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zero_count: Option<u64>,
    #[prost(message, repeated, tag = "9")]
    negative_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, optional, tag = "15")]
    created_timestamp: Option<Timestamp>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<Exemplar>,
}

/// One series.
#[derive(Clone, PartialEq, Message)]
pub struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Gauge>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Counter>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

/// Series of one name.
#[derive(Clone, PartialEq, Message)]
pub struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

/// The families, each behind its length.
pub(super) fn render(families: &[Family]) -> Vec<u8> {
    let mut out = Vec::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let message = MetricFamily {
            name: Some(format!("{}{}", family.name, family.suffix())),
            help: Some(family.help.clone().into_owned()),
            kind: Some(match family.kind {
                Kind::Counter => 0,
                Kind::Gauge => 1,
                Kind::Histogram => 4,
            }),
            metric: family.samples.iter().map(|sample| metric(family.kind, sample)).collect(),
        };
        message.encode_length_delimited(&mut out).expect("BUG: a vector takes what it is given");
    }
    out
}

fn metric(kind: Kind, sample: &Sample) -> Metric {
    let label = sample.labels.iter().map(|(name, value)| pair(name, value)).collect();
    let mut metric = Metric { label, ..Metric::default() };
    let value = sample.value.number();
    match kind {
        Kind::Gauge => metric.gauge = Some(Gauge { value }),
        Kind::Counter => {
            let created_timestamp = sample.created_ms.map(time);
            metric.counter =
                Some(Counter { value, exemplar: sample.exemplars.first().map(exemplar), created_timestamp });
        }
        Kind::Histogram => metric.histogram = histogram(sample),
    }
    metric
}

fn histogram(sample: &Sample) -> Option<Histogram> {
    let classic = sample.value.classic()?;
    let mut below = f64::NEG_INFINITY;
    let bounds = classic.buckets.iter().copied().chain([(f64::INFINITY, classic.count)]);
    let bucket = bounds.map(|(bound, count)| {
        let within = sample.exemplars.iter().find(|e| e.value <= bound && e.value > below);
        below = bound;
        Bucket { cumulative_count: Some(count), upper_bound: Some(bound), exemplar: within.map(exemplar) }
    });
    let mut histogram = Histogram {
        sample_count: Some(classic.count),
        sample_sum: Some(classic.sum),
        bucket: bucket.collect(),
        created_timestamp: sample.created_ms.map(time),
        ..Histogram::default()
    };
    if classic.buckets.is_empty() {
        histogram.bucket.clear();
    }
    if let Some(native) = sample.value.native() {
        add_native(&mut histogram, native);
        histogram.exemplars = sample.exemplars.iter().map(exemplar).collect();
    }
    Some(histogram)
}

fn add_native(histogram: &mut Histogram, native: &NativeHistogram) {
    let side = |buckets: &[(i32, f64)]| {
        let (spans, deltas) = spans::encode(buckets);
        let spans = spans.into_iter().map(|(offset, length)| BucketSpan { offset: Some(offset), length: Some(length) });
        (spans.collect::<Vec<_>>(), deltas)
    };
    histogram.schema = Some(native.schema);
    histogram.zero_threshold = Some(native.zero_threshold);
    histogram.zero_count = Some(native.zero_count as u64);
    (histogram.positive_span, histogram.positive_delta) = side(&native.positive);
    (histogram.negative_span, histogram.negative_delta) = side(&native.negative);
    if native.positive.is_empty() && native.negative.is_empty() && native.zero_count == 0.0 {
        // Without any bucket it would pass for a classic one.
        histogram.positive_span.push(BucketSpan { offset: Some(0), length: Some(0) });
    }
}

fn exemplar(exemplar: &derive::Exemplar) -> Exemplar {
    let label = vec![pair("trace_id", &exemplar.trace)];
    Exemplar { label, value: Some(exemplar.value), timestamp: Some(time(exemplar.at_ms)) }
}

fn pair(name: &str, value: &str) -> LabelPair {
    LabelPair { name: Some(name.to_owned()), value: Some(value.to_owned()) }
}

fn time(at_ms: i64) -> Timestamp {
    Timestamp { seconds: at_ms.div_euclid(1000), nanos: at_ms.rem_euclid(1000) as i32 * 1_000_000 }
}

#[cfg(test)]
impl MetricFamily {
    /// Reads what [`render`] wrote.
    pub(super) fn read_all(mut bytes: &[u8]) -> Vec<MetricFamily> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            all.push(MetricFamily::decode_length_delimited(&mut bytes).unwrap());
        }
        all
    }

    pub(super) fn first_histogram(&self) -> Histogram {
        self.metric[0].histogram.clone().unwrap()
    }
}

#[cfg(test)]
impl Histogram {
    pub(super) fn shown(&self) -> (u64, usize, Option<i32>, Vec<i64>, usize) {
        let deltas = self.positive_delta.clone();
        (self.sample_count.unwrap(), self.bucket.len(), self.schema, deltas, self.exemplars.len())
    }
}
