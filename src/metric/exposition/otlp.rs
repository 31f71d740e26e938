//! OpenTelemetry's protocol buffers (`opentelemetry.proto.collector.metrics.v1`). Numbers of fields
//! are those of its `metrics.proto`.
//!
//! All is cumulative. A histogram with native buckets goes as an exponential one, whose bucket `i`
//! is Prometheus' `i + 1`; any other with its bounds.

use super::{Family, Kind, Sample};
use crate::metric::derive;
use crate::metric::histogram::Classic;
use crate::series::NativeHistogram;
use prost::Message;

/// The sums go on from the beginning.
const CUMULATIVE: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, optional, tag = "1")]
    string_value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeMetrics {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    description: String,
    #[prost(message, optional, tag = "5")]
    gauge: Option<Gauge>,
    #[prost(message, optional, tag = "7")]
    sum: Option<Sum>,
    #[prost(message, optional, tag = "9")]
    histogram: Option<Histogram>,
    #[prost(message, optional, tag = "10")]
    exponential: Option<Exponential>,
}

#[derive(Clone, PartialEq, Message)]
struct Gauge {
    #[prost(message, repeated, tag = "1")]
    points: Vec<NumberPoint>,
}

#[derive(Clone, PartialEq, Message)]
struct Sum {
    #[prost(message, repeated, tag = "1")]
    points: Vec<NumberPoint>,
    #[prost(int32, tag = "2")]
    temporality: i32,
    #[prost(bool, tag = "3")]
    monotonic: bool,
}

#[derive(Clone, PartialEq, Message)]
struct NumberPoint {
    #[prost(fixed64, tag = "2")]
    start_nanos: u64,
    #[prost(fixed64, tag = "3")]
    time_nanos: u64,
    #[prost(double, optional, tag = "4")]
    value: Option<f64>,
    #[prost(message, repeated, tag = "5")]
    exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(message, repeated, tag = "1")]
    points: Vec<HistogramPoint>,
    #[prost(int32, tag = "2")]
    temporality: i32,
}

#[derive(Clone, PartialEq, Message)]
struct HistogramPoint {
    #[prost(fixed64, tag = "2")]
    start_nanos: u64,
    #[prost(fixed64, tag = "3")]
    time_nanos: u64,
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, optional, tag = "5")]
    sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    bounds: Vec<f64>,
    #[prost(message, repeated, tag = "8")]
    exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct Exponential {
    #[prost(message, repeated, tag = "1")]
    points: Vec<ExponentialPoint>,
    #[prost(int32, tag = "2")]
    temporality: i32,
}

#[derive(Clone, PartialEq, Message)]
struct ExponentialPoint {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")]
    start_nanos: u64,
    #[prost(fixed64, tag = "3")]
    time_nanos: u64,
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, optional, tag = "5")]
    sum: Option<f64>,
    #[prost(sint32, tag = "6")]
    scale: i32,
    #[prost(fixed64, tag = "7")]
    zero_count: u64,
    #[prost(message, optional, tag = "8")]
    positive: Option<Buckets>,
    #[prost(message, optional, tag = "9")]
    negative: Option<Buckets>,
    #[prost(message, repeated, tag = "11")]
    exemplars: Vec<Exemplar>,
    #[prost(double, tag = "14")]
    zero_threshold: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Buckets {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint64, repeated, tag = "2")]
    counts: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(fixed64, tag = "2")]
    time_nanos: u64,
    #[prost(double, optional, tag = "3")]
    value: Option<f64>,
    #[prost(bytes = "vec", tag = "5")]
    trace_id: Vec<u8>,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<KeyValue>,
}

/// A request with all families at a time; `attributes` describe this process.
pub fn render(families: &[Family], attributes: &[(String, String)], now_ms: i64) -> Vec<u8> {
    let pair = |(name, value): &(String, String)| attribute(name, value);
    let metrics = families.iter().filter(|f| !f.samples.is_empty()).map(|family| metric(family, now_ms)).collect();
    let scope = Scope { name: "logboom".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let request = Request {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: attributes.iter().map(pair).collect() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics }],
        }],
    };
    request.encode_to_vec()
}

fn metric(family: &Family, now_ms: i64) -> Metric {
    let (name, description) = (family.name.clone().into_owned(), family.help.clone().into_owned());
    let mut out = Metric { name, description, ..Metric::default() };
    let numbers = || family.samples.iter().map(|sample| number(sample, now_ms)).collect();
    match family.kind {
        Kind::Gauge => out.gauge = Some(Gauge { points: numbers() }),
        Kind::Counter => out.sum = Some(Sum { points: numbers(), temporality: CUMULATIVE, monotonic: true }),
        Kind::Histogram if family.samples.iter().any(|sample| sample.value.native().is_some()) => {
            let points = family.samples.iter().filter_map(|sample| exponential(sample, now_ms)).collect();
            out.exponential = Some(Exponential { points, temporality: CUMULATIVE });
        }
        Kind::Histogram => {
            let points = family.samples.iter().filter_map(|sample| explicit(sample, now_ms)).collect();
            out.histogram = Some(Histogram { points, temporality: CUMULATIVE });
        }
    }
    out
}

fn number(sample: &Sample, now_ms: i64) -> NumberPoint {
    NumberPoint {
        start_nanos: start(sample),
        time_nanos: nanos(now_ms),
        value: sample.value.number(),
        exemplars: sample.exemplars.iter().map(exemplar).collect(),
        attributes: attributes(sample),
    }
}

fn explicit(sample: &Sample, now_ms: i64) -> Option<HistogramPoint> {
    let Classic { buckets, sum, count } = sample.value.classic()?;
    let (mut below, mut counts) = (0, Vec::with_capacity(buckets.len() + 1));
    for cumulative in buckets.iter().map(|(_, cumulative)| *cumulative).chain([*count]) {
        counts.push(cumulative.saturating_sub(below));
        below = cumulative;
    }
    Some(HistogramPoint {
        start_nanos: start(sample),
        time_nanos: nanos(now_ms),
        count: *count,
        sum: Some(*sum),
        counts,
        bounds: buckets.iter().map(|(bound, _)| *bound).collect(),
        exemplars: sample.exemplars.iter().map(exemplar).collect(),
        attributes: attributes(sample),
    })
}

fn exponential(sample: &Sample, now_ms: i64) -> Option<ExponentialPoint> {
    let native: &NativeHistogram = sample.value.native()?;
    Some(ExponentialPoint {
        attributes: attributes(sample),
        start_nanos: start(sample),
        time_nanos: nanos(now_ms),
        count: native.count as u64,
        sum: Some(native.sum),
        scale: native.schema,
        zero_count: native.zero_count as u64,
        positive: side(&native.positive),
        negative: side(&native.negative),
        exemplars: sample.exemplars.iter().map(exemplar).collect(),
        zero_threshold: native.zero_threshold,
    })
}

/// All buckets from the first to the last, the empty ones too.
fn side(buckets: &[(i32, f64)]) -> Option<Buckets> {
    let (first, last) = (buckets.first()?.0, buckets.last()?.0);
    let mut counts = vec![0; (i64::from(last) - i64::from(first) + 1) as usize];
    for (index, count) in buckets {
        counts[(i64::from(*index) - i64::from(first)) as usize] = *count as u64;
    }
    Some(Buckets { offset: first - 1, counts })
}

fn exemplar(exemplar: &derive::Exemplar) -> Exemplar {
    let digits: Option<Vec<u8>> = exemplar
        .trace
        .as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
        .collect();
    // A trace id of OpenTelemetry is 16 bytes; any other is an attribute.
    let trace_id = digits.filter(|bytes| bytes.len() == 16 && exemplar.trace.len() == 32);
    let attributes = if trace_id.is_some() { Vec::new() } else { vec![attribute("trace_id", &exemplar.trace)] };
    Exemplar {
        time_nanos: nanos(exemplar.at_ms),
        value: Some(exemplar.value),
        trace_id: trace_id.unwrap_or_default(),
        attributes,
    }
}

fn attributes(sample: &Sample) -> Vec<KeyValue> {
    sample.labels.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &str) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { string_value: Some(value.to_owned()) }) }
}

fn start(sample: &Sample) -> u64 {
    sample.created_ms.map_or(0, nanos)
}

fn nanos(at_ms: i64) -> u64 {
    (at_ms.max(0) as u64).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::super::{Distribution, Value};
    use super::*;

    #[test]
    fn every_kind_has_its_form() {
        let mut counter = Family::new(Kind::Counter, "hits", "Hits.");
        counter.whole(&[("a", "b")], 3);
        let mut gauge = Family::new(Kind::Gauge, "level", "Level.");
        gauge.number(&[], 0.5);
        let classic = Classic { buckets: vec![(0.5, 1), (1.0, 2)], sum: 7.5, count: 3 };
        let mut histogram = Family::new(Kind::Histogram, "took", "Took.");
        histogram.push(&[], Value::Buckets(classic.clone()));
        let mut native = Family::new(Kind::Histogram, "ran", "Ran.");
        let positive = vec![(1, 1.0), (3, 2.0)];
        let buckets = NativeHistogram { schema: 2, count: 3.0, positive, ..NativeHistogram::default() };
        native.push(&[], Value::Histogram(Box::new(Distribution { classic, native: Some(buckets) })));
        native.samples[0].exemplars = ["0af7651916cd43dd8448eb211c80319c", "x"]
            .map(|t| derive::Exemplar { trace: t.into(), value: 1.0, at_ms: 2 })
            .into();
        let attributes = [("service.name".to_owned(), "x".to_owned())];
        let request = Request::decode(&*render(&[counter, gauge, histogram, native], &attributes, 1_000)).unwrap();
        let resource = &request.resource_metrics[0];
        assert_eq!(resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
        let metrics = &resource.scope_metrics[0].metrics;
        let sum = metrics[0].sum.as_ref().unwrap();
        assert!(sum.monotonic && sum.points[0].value == Some(3.0) && sum.points[0].time_nanos == 1_000_000_000);
        assert_eq!(metrics[1].gauge.as_ref().unwrap().points[0].value, Some(0.5));
        assert_eq!(metrics[2].histogram.as_ref().unwrap().points[0].counts, [1, 1, 1]);
        let point = &metrics[3].exponential.as_ref().unwrap().points[0];
        assert_eq!(point.positive, Some(Buckets { offset: 0, counts: vec![1, 0, 2] }));
        assert_eq!((point.exemplars[0].trace_id.len(), point.exemplars[1].attributes.len()), (16, 1));
    }
}
