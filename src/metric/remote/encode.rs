//! From samples to requests of remote write, compressed as they travel.

use super::message::{
    Exemplar, Exemplar2, Histogram, Label, Metadata2, MetricMetadata, Request, Sample, Symbols, TimeSeries,
    TimeSeries2, WriteRequest, kind,
};
use crate::metric::derive;
use crate::series::{Labels, NativeHistogram, Value, stale_nan};
use prost::Message;

/// Which protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// `prometheus.WriteRequest`
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

impl Protocol {
    /// The headers of a request.
    pub fn headers(self) -> [(&'static str, &'static str); 3] {
        let (kind, version) = match self {
            Protocol::V1 => ("application/x-protobuf", "0.1.0"),
            Protocol::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
        };
        [("Content-Encoding", "snappy"), ("Content-Type", kind), ("X-Prometheus-Remote-Write-Version", version)]
    }
}

/// One series to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its labels.
    pub labels: Labels,
    /// Times and values, rising.
    pub samples: Vec<(i64, Value)>,
    /// Events that stand for it.
    pub exemplars: Vec<derive::Exemplar>,
    /// Name, kind and help of its metric.
    pub about: Option<(String, &'static str, String)>,
    /// When it began.
    pub created_ms: Option<i64>,
    /// Whether histograms may have fractions at any time, as results of rules do: receivers begin a
    /// chunk anew where counts in whole numbers and others take turns.
    pub fractions: bool,
}

impl Outgoing {
    /// A series that has ended.
    pub fn ended(labels: Labels, histogram: bool, at_ms: i64) -> Outgoing {
        let marker = match histogram {
            true => NativeHistogram { sum: stale_nan(), ..NativeHistogram::default() }.into(),
            false => Value::Float(stale_nan()),
        };
        Outgoing {
            labels,
            samples: vec![(at_ms, marker)],
            exemplars: Vec::new(),
            about: None,
            created_ms: None,
            fractions: false,
        }
    }
}

/// A request's body and its number of samples.
pub fn encode(protocol: Protocol, series: &[Outgoing]) -> (Vec<u8>, u32) {
    let samples = series.iter().map(|one| one.samples.len() as u32).sum();
    let plain = match protocol {
        Protocol::V1 => first(series).encode_to_vec(),
        Protocol::V2 => second(series).encode_to_vec(),
    };
    let packed = snap::raw::Encoder::new().compress_vec(&plain).expect("BUG: a request of more than 4 GiB");
    (packed, samples)
}

/// What 1.0 says of metrics, in a request of its own.
pub fn metadata<'a>(all: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Vec<u8> {
    let metadata = all.map(|(name, about, help)| MetricMetadata {
        kind: kind(about),
        metric_family_name: name.to_owned(),
        help: help.to_owned(),
    });
    let request = WriteRequest { timeseries: Vec::new(), metadata: metadata.collect() };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("BUG: a request of more than 4 GiB")
}

/// A request of 1.0 without its native histograms, and how many these were; nothing if it can't be
/// read.
pub(super) fn without_histograms(body: &[u8]) -> Option<(Vec<u8>, u32)> {
    let plain = snap::raw::Decoder::new().decompress_vec(body).ok()?;
    let mut request = WriteRequest::decode(&*plain).ok()?;
    let count = request.timeseries.iter().map(|one| one.histograms.len() as u32).sum();
    request.timeseries.iter_mut().for_each(|one| one.histograms.clear());
    request.timeseries.retain(|one| !one.samples.is_empty());
    Some((snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).ok()?, count))
}

fn first(series: &[Outgoing]) -> WriteRequest {
    let one = |series: &Outgoing| {
        let (samples, histograms) = values(series, 0);
        let exemplar = |exemplar: &derive::Exemplar| Exemplar {
            labels: vec![Label { name: "trace_id".to_owned(), value: exemplar.trace.clone() }],
            value: exemplar.value,
            timestamp: exemplar.at_ms,
        };
        let labels = series.labels.iter().map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() });
        let exemplars = series.exemplars.iter().map(exemplar).collect();
        TimeSeries { labels: labels.collect(), samples, exemplars, histograms }
    };
    WriteRequest { timeseries: series.iter().map(one).collect(), metadata: Vec::new() }
}

fn second(series: &[Outgoing]) -> Request {
    let mut symbols = Symbols::default();
    let mut timeseries = Vec::with_capacity(series.len());
    for one in series {
        let created = one.created_ms.unwrap_or(0);
        let (samples, histograms) = values(one, created);
        let mut labels_refs = Vec::with_capacity(2 * one.labels.len());
        for (name, value) in one.labels.iter() {
            labels_refs.extend([symbols.place(name), symbols.place(value)]);
        }
        let exemplars = one.exemplars.iter().map(|exemplar| Exemplar2 {
            labels_refs: vec![symbols.place("trace_id"), symbols.place(&exemplar.trace)],
            value: exemplar.value,
            timestamp: exemplar.at_ms,
        });
        let exemplars = exemplars.collect();
        let metadata =
            one.about.as_ref().map(|(_, about, help)| Metadata2 { kind: kind(about), help_ref: symbols.place(help) });
        timeseries.push(TimeSeries2 {
            labels_refs,
            samples,
            histograms,
            exemplars,
            metadata,
            created_timestamp: created,
        });
    }
    Request { symbols: symbols.into_texts(), timeseries }
}

fn values(series: &Outgoing, start_timestamp: i64) -> (Vec<Sample>, Vec<Histogram>) {
    let (mut samples, mut histograms) = (Vec::new(), Vec::new());
    for (timestamp, value) in &series.samples {
        match value {
            Value::Float(value) => samples.push(Sample { value: *value, timestamp: *timestamp, start_timestamp }),
            Value::Histogram(histogram) => {
                let mut histogram = Histogram::new(histogram, *timestamp, series.fractions);
                histogram.start_timestamp = start_timestamp;
                histograms.push(histogram);
            }
        }
    }
    (samples, histograms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::METRIC_NAME;

    fn series() -> Vec<Outgoing> {
        let labels = |name| Labels::new([(METRIC_NAME, name), ("job", "a")]);
        let native = NativeHistogram { count: 3.0, positive: vec![(1, 1.0), (2, 2.0)], ..NativeHistogram::default() };
        let exemplar = derive::Exemplar { trace: "t".to_owned(), value: 1.0, at_ms: 5 };
        let one = Outgoing {
            labels: labels("hits_total"),
            samples: vec![(1, 0.0.into()), (2, 7.0.into())],
            exemplars: vec![exemplar],
            about: Some(("hits_total".to_owned(), "counter", "Hits.".to_owned())),
            created_ms: Some(1),
            fractions: false,
        };
        let two = Outgoing { labels: labels("took"), samples: vec![(2, native.into())], ..one.clone() };
        vec![one, two, Outgoing::ended(labels("gone"), true, 9)]
    }

    #[test]
    fn the_first_protocol() {
        let (body, samples) = encode(Protocol::V1, &series());
        let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let request = WriteRequest::decode(&*plain).unwrap();
        assert_eq!((samples, request.timeseries.len()), (4, 3));
        assert_eq!(request.timeseries[0].samples[1].value, 7.0);
        assert_eq!(request.timeseries[0].labels[1].value, "a");
        assert_eq!(request.timeseries[1].histograms.len(), 1);
        assert_eq!(request.timeseries[2].histograms.len(), 1);
        assert_eq!(request.timeseries[0].exemplars[0].labels[0].value, "t");
        let (body, count) = without_histograms(&body).unwrap();
        let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        assert_eq!((count, WriteRequest::decode(&*plain).unwrap().timeseries), (2, request.timeseries[..1].to_vec()));
    }

    #[test]
    fn the_second_protocol() {
        let (body, _) = encode(Protocol::V2, &series());
        let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
        let request = Request::decode(&*plain).unwrap();
        let text = |at: u32| request.symbols[at as usize].as_str();
        assert_eq!(text(0), "");
        let refs = &request.timeseries[0].labels_refs;
        assert_eq!(refs.iter().map(|&at| text(at)).collect::<Vec<_>>(), ["__name__", "hits_total", "job", "a"]);
        let metadata = request.timeseries[0].metadata.unwrap();
        assert_eq!((metadata.kind, text(metadata.help_ref)), (1, "Hits."));
        assert_eq!(request.timeseries[0].created_timestamp, 1);
        assert_eq!(request.timeseries[0].samples[1].start_timestamp, 1);
        assert_eq!(request.timeseries[1].histograms.len(), 1);
        assert_eq!(request.timeseries[1].histograms[0].start_timestamp, 1);
    }
}
