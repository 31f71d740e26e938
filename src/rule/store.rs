//! Series in memory, as the unit tests of rules need them: nothing is ever dropped.

use super::group::Recorder;
use crate::series::{Labels, Matcher, NativeHistogram, Queryable, ResetHint, Sample, SelectError, Series, Value};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// Series in memory.
#[derive(Default)]
pub struct Store {
    series: RwLock<FxHashMap<Labels, Vec<Sample>>>,
}

impl Store {
    /// Appends a sample. One that is not later than the last of its series is dropped.
    pub fn append(&self, labels: &Labels, sample: Sample) {
        let mut series = self.series.write();
        let samples = series.entry(labels.clone()).or_default();
        if samples.last().is_some_and(|last| last.t >= sample.t) {
            return;
        }
        let value = match sample.value {
            Value::Histogram(histogram) => {
                let hint = hint(samples.last(), &histogram);
                if hint == histogram.reset_hint {
                    Value::Histogram(histogram)
                } else {
                    Value::from(NativeHistogram { reset_hint: hint, ..(*histogram).clone() })
                }
            }
            float => float,
        };
        samples.push(Sample { t: sample.t, value });
    }
}

/// What Prometheus' storage says of a counter reset before a histogram: within one run of the same
/// layout it knows, at the beginning of a run it does not.
fn hint(previous: Option<&Sample>, histogram: &NativeHistogram) -> ResetHint {
    if histogram.reset_hint == ResetHint::Gauge {
        return ResetHint::Gauge;
    }
    let written = if histogram.reset_hint == ResetHint::Reset { ResetHint::Reset } else { ResetHint::Unknown };
    let Some(Value::Histogram(previous)) = previous.map(|sample| &sample.value) else { return written };
    let same = previous.schema == histogram.schema
        && previous.zero_threshold == histogram.zero_threshold
        && previous.custom_values == histogram.custom_values;
    if previous.reset_hint == ResetHint::Gauge || crate::series::is_stale(previous.sum) || !same {
        return written;
    }
    let mut asked = histogram.clone();
    asked.reset_hint = written;
    if asked.is_reset_after(previous) { ResetHint::Reset } else { ResetHint::NotReset }
}

impl Recorder for Store {
    fn record(&self, samples: Vec<(Labels, Sample)>) {
        for (labels, sample) in samples {
            self.append(&labels, sample);
        }
    }
}

impl Queryable for Store {
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Series>, SelectError> {
        let series = self.series.read();
        let mut found: Vec<Series> = series
            .iter()
            .filter(|(labels, _)| Matcher::all_match(matchers, labels))
            .filter_map(|(labels, samples)| {
                let from = samples.partition_point(|sample| sample.t < start_ms);
                let to = samples.partition_point(|sample| sample.t <= end_ms);
                (from < to).then(|| Series { labels: labels.clone(), samples: samples[from..to].to_vec() })
            })
            .collect();
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }
}
