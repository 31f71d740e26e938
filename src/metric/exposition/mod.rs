//! Metrics as others read them: Prometheus' text format 0.0.4, OpenMetrics 1.0 and Prometheus'
//! protocol buffers, whichever the scraper asks for.
//!
//! Native histograms and created timestamps travel by protocol buffers alone, exemplars by these
//! and by OpenMetrics.

pub mod otlp;
pub mod protobuf;
pub mod spans;
mod text;

use super::derive::Exemplar;
use super::histogram::Classic;
use crate::series::{Labels, METRIC_NAME, NativeHistogram};
use std::borrow::Cow;
use std::sync::Arc;

/// Which format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// `text/plain; version=0.0.4`
    Text,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
    /// `application/vnd.google.protobuf`, delimited messages.
    Protobuf,
}

/// What a family's numbers mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets.
    Histogram,
}

impl Kind {
    /// As the formats write it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// A text that mostly stands in the program.
pub type Text = Cow<'static, str>;

/// Series of one name.
#[derive(Clone, Debug)]
pub struct Family {
    /// The name; that of a counter without its `_total`.
    pub name: Text,
    /// One sentence.
    pub help: Text,
    /// What the numbers mean.
    pub kind: Kind,
    /// Whether the series of a counter end in `_total`. Only who configures a metric may name it
    /// otherwise.
    pub total: bool,
    /// The series. Their label names are valid; values may be any text.
    pub samples: Vec<Sample>,
}

/// One series.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Names and values, without empty values.
    pub labels: Names,
    /// Its value now.
    pub value: Value,
    /// When it began, in milliseconds since 1970, where known.
    pub created_ms: Option<i64>,
    /// Events that stand for it.
    pub exemplars: Vec<Exemplar>,
    /// Whether the window and those who send on shall hear nothing of it for now: after a crash,
    /// until what was shown before is reached again.
    pub held: bool,
}

/// The labels of a series.
#[derive(Clone, Debug)]
pub enum Names {
    /// Without the name of the metric.
    Pairs(Vec<(Text, String)>),
    /// Of a series that lives on: made once.
    Known(Arc<Identity>),
}

/// The label sets that a series has in the window.
#[derive(Clone, Debug)]
pub struct Identity {
    /// With the name of the metric.
    pub labels: Labels,
    /// Of a histogram with classic buckets: those of its buckets, the last one without a bound, then of
    /// the sum and of the count.
    pub parts: Vec<Labels>,
}

impl Names {
    /// Names and values, without the name of the metric.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let (pairs, known) = match self {
            Names::Pairs(pairs) => (Some(pairs), None),
            Names::Known(identity) => (None, Some(identity)),
        };
        let known = known.into_iter().flat_map(|identity| identity.labels.iter());
        let pairs = pairs.into_iter().flatten().map(|(name, value)| (&**name, value.as_str()));
        pairs.chain(known.filter(|(name, _)| *name != METRIC_NAME))
    }
}

/// The value of a series.
#[derive(Clone, Debug)]
pub enum Value {
    /// A whole number, written as such.
    Whole(i128),
    /// Any other number.
    Number(f64),
    /// A histogram of classic buckets.
    Buckets(Classic),
    /// A histogram that may have native buckets.
    Histogram(Box<Distribution>),
}

/// A histogram of classic or native buckets, or both.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Sum and count, and classic buckets if there are any.
    pub classic: Classic,
    /// Native buckets.
    pub native: Option<NativeHistogram>,
}

impl Family {
    /// A family without series.
    pub fn new(kind: Kind, name: &'static str, help: &'static str) -> Family {
        debug_assert!(!name.ends_with("_total"), "BUG: the family of a counter is named without `_total`");
        Family { name: name.into(), help: help.into(), kind, total: true, samples: Vec::new() }
    }

    /// A family without series that was named as a whole, also that of a counter.
    pub fn of(kind: Kind, mut name: String, help: String) -> Family {
        let total = kind == Kind::Counter && name.ends_with("_total");
        if total {
            name.truncate(name.len() - "_total".len());
        }
        Family { name: name.into(), help: help.into(), kind, total, samples: Vec::new() }
    }

    /// What the names of its series end in.
    pub fn suffix(&self) -> &'static str {
        if self.kind == Kind::Counter && self.total { "_total" } else { "" }
    }

    /// Adds a series with a whole number.
    pub fn whole(&mut self, labels: &[(&'static str, &str)], value: impl Into<i128>) {
        self.push(labels, Value::Whole(value.into()));
    }

    /// Adds a series with any number.
    pub fn number(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.push(labels, Value::Number(value));
    }

    /// Adds a series.
    pub fn push(&mut self, labels: &[(&'static str, &str)], value: Value) {
        let labels = labels.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| ((*n).into(), (*v).to_owned()));
        self.samples.push(Sample {
            labels: Names::Pairs(labels.collect()),
            value,
            created_ms: None,
            exemplars: Vec::new(),
            held: false,
        });
    }
}

impl Value {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Whole(n) => Some(*n as f64),
            Value::Number(n) => Some(*n),
            Value::Buckets(_) | Value::Histogram(_) => None,
        }
    }

    /// Sum, count and classic buckets, if it is a histogram.
    pub fn classic(&self) -> Option<&Classic> {
        match self {
            Value::Buckets(classic) => Some(classic),
            Value::Histogram(distribution) => Some(&distribution.classic),
            Value::Whole(_) | Value::Number(_) => None,
        }
    }

    /// Native buckets, if it has any.
    pub fn native(&self) -> Option<&NativeHistogram> {
        match self {
            Value::Histogram(distribution) => distribution.native.as_ref(),
            _ => None,
        }
    }
}

impl Format {
    /// What the `Accept` header of a scrape asks for: of the formats that are known, the one with
    /// the greatest weight, of several the first.
    pub fn negotiate(accept: Option<&str>) -> Format {
        let mut best = (Format::Text, 0.0);
        for range in accept.unwrap_or("").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or("").to_ascii_lowercase();
            let parameters: Vec<(String, &str)> = parts
                .filter_map(|part| part.split_once('='))
                .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"')))
                .collect();
            let parameter = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            let format = match media.as_str() {
                "application/openmetrics-text" => Format::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Format::Text,
                "application/vnd.google.protobuf"
                    if parameter("proto").is_none_or(|proto| proto == "io.prometheus.client.MetricFamily")
                        && parameter("encoding").is_none_or(|encoding| encoding == "delimited") =>
                {
                    Format::Protobuf
                }
                _ => continue,
            };
            let weight = parameter("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if weight > best.1 {
                best = (format, weight);
            }
        }
        best.0
    }

    /// For the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The families in this format. Those without series are left out.
    pub fn render(self, families: &[Family]) -> Vec<u8> {
        match self {
            Format::Text | Format::OpenMetrics => self.text(families).into_bytes(),
            Format::Protobuf => protobuf::render(families),
        }
    }
}

#[cfg(test)]
mod tests;
