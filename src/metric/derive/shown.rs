//! From samples of the window back to what a family's series were worth.

use super::Family;
use super::exponential::Counts;
use super::series::{Cumulative, Histogram};
use crate::metric::exposition::Kind;
use crate::series::{Builder, Labels, METRIC_NAME, NativeHistogram, Sample};
use rustc_hash::FxHashMap;

/// The last values of all series of a family; `last` gives the last samples of a metric, by name.
pub(super) fn of_family(family: &Family, last: impl Fn(&str) -> Vec<(Labels, Sample)>) -> Vec<(Labels, Cumulative)> {
    let name = &family.name;
    if family.kind == Kind::Counter {
        let counter = |(labels, sample): (Labels, Sample)| Some((labels, Cumulative::Counter(sample.value.float()?)));
        return last(name).into_iter().filter_map(counter).collect();
    }
    let new = || match Cumulative::new(family) {
        Cumulative::Histogram(histogram) => *histogram,
        _ => Histogram::default(),
    };
    let mut all: FxHashMap<Labels, Histogram> = FxHashMap::default();
    let own = |labels: &Labels| {
        let mut builder = Builder::of(labels);
        builder.set(METRIC_NAME, name).remove("le");
        builder.build()
    };
    for (labels, sample) in last(name) {
        if let (Some(native), true) = (sample.value.histogram(), family.native) {
            let histogram = all.entry(own(&labels)).or_insert_with(new);
            histogram.native = Some(counts(native));
            (histogram.sum, histogram.count) = (native.sum, native.count as u64);
        }
    }
    if family.bounds.is_empty() {
        return all
            .into_iter()
            .map(|(labels, histogram)| (labels, Cumulative::Histogram(Box::new(histogram))))
            .collect();
    }
    for (labels, sample) in last(&format!("{name}_bucket")) {
        let le = crate::series::notation::parse_number(labels.get("le"));
        let (Some(le), Some(count)) = (le, sample.value.float()) else { continue };
        let histogram = all.entry(own(&labels)).or_insert_with(new);
        let at = family.bounds.iter().position(|&bound| bound == le).unwrap_or(family.bounds.len());
        histogram.classic[at] = count as u64;
    }
    for (labels, sample) in last(&format!("{name}_sum")) {
        all.entry(own(&labels)).or_insert_with(new).sum = sample.value.float().unwrap_or(0.0);
    }
    for histogram in all.values_mut() {
        // What is kept counts each bucket for itself.
        for at in (1..histogram.classic.len()).rev() {
            histogram.classic[at] = histogram.classic[at].saturating_sub(histogram.classic[at - 1]);
        }
        histogram.count = histogram.classic.iter().sum();
    }
    all.into_iter().map(|(labels, histogram)| (labels, Cumulative::Histogram(Box::new(histogram)))).collect()
}

fn counts(native: &NativeHistogram) -> Counts {
    let side = |side: &[(i32, f64)]| side.iter().map(|&(index, count)| (index, count as u64)).collect();
    Counts::of_parts(native.schema as i8, native.zero_count as u64, side(&native.positive), side(&native.negative))
}
