//! Rates: how fast counters grow and gauges change over a window.

use super::select::Window;
use crate::series::{NativeHistogram, ResetHint, Sample, Value};

/// `rate`, `increase` (a counter) and `delta` (none), extrapolated to the ends of the window.
/// A mix of numbers and histograms gives nothing.
pub(super) fn extrapolated(window: &Window<'_>, counter: bool, per_second: bool) -> Option<Value> {
    let samples = window.samples;
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < 2 {
        return None;
    }
    let growth = match first.value {
        Value::Float(_) => Value::Float(of_floats(samples, counter)?),
        Value::Histogram(_) => Value::from(of_histograms(samples, counter)?),
    };
    let seconds = |milliseconds: i64| milliseconds as f64 / 1000.0;
    let sampled = seconds(last.t - first.t);
    let average = sampled / (samples.len() - 1) as f64;
    // Beyond this, the series is taken to begin or end within the window.
    let threshold = average * 1.1;
    let mut to_start = seconds(first.t - window.start);
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if counter {
        // A counter does not begin below zero.
        let (begin, grown) = match (&first.value, &growth) {
            (Value::Float(begin), Value::Float(grown)) => (*begin, *grown),
            (Value::Histogram(begin), Value::Histogram(grown)) => (begin.count, grown.count),
            _ => (f64::NAN, f64::NAN),
        };
        if grown > 0.0 && begin >= 0.0 {
            to_start = to_start.min(sampled * (begin / grown));
        }
    }
    let mut to_end = seconds(window.end - last.t);
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if per_second {
        factor /= seconds(window.end - window.start);
    }
    Some(match growth {
        Value::Float(growth) => Value::Float(growth * factor),
        Value::Histogram(growth) => {
            let mut growth = (*growth).clone();
            growth.scale(factor);
            growth.into()
        }
    })
}

fn of_floats(samples: &[Sample], counter: bool) -> Option<f64> {
    let mut previous = samples.first()?.value.float()?;
    // Resets are added one by one, as the reference does: where numbers differ much in size, the
    // order shows in the result.
    let mut growth = samples.last()?.value.float()? - previous;
    for sample in &samples[1..] {
        let value = sample.value.float()?;
        if counter && value < previous {
            growth += previous;
        }
        previous = value;
    }
    Some(growth)
}

fn of_histograms(samples: &[Sample], counter: bool) -> Option<NativeHistogram> {
    let histograms = samples.iter().map(|sample| sample.value.histogram());
    let histograms: Vec<&NativeHistogram> = histograms.map(|one| one.map(AsRef::as_ref)).collect::<Option<_>>()?;
    let (first, last) = (*histograms.first()?, *histograms.last()?);
    // What was before a reset does not count, and may have had other buckets.
    let fresh = counter && histograms[1].is_reset_after(first);
    let custom = if fresh { histograms[1].is_custom() } else { first.is_custom() };
    if last.is_custom() != custom {
        return None;
    }
    if counter && histograms[1..].iter().any(|histogram| histogram.is_custom() != custom) {
        return None;
    }
    let mut growth = last.clone();
    if !fresh {
        growth.sub(first).ok()?;
    }
    if counter {
        // The coarsest of all between is the resolution of the result.
        let coarsest = histograms[1..].iter().map(|histogram| histogram.schema).min()?;
        growth.downscale(coarsest);
        for two in histograms[usize::from(fresh)..].windows(2) {
            if two[1].is_reset_after(two[0]) {
                growth.add(two[0]).ok()?;
            }
        }
    }
    growth.reset_hint = ResetHint::Gauge;
    growth.compact();
    Some(growth)
}

/// `irate` (a counter, per second) and `idelta`: of the last two samples.
pub(super) fn instant(window: &Window<'_>, counter: bool) -> Option<Value> {
    let [.., before, last] = window.samples else { return None };
    let seconds = (last.t - before.t) as f64 / 1000.0;
    if seconds == 0.0 {
        return None;
    }
    match (&before.value, &last.value) {
        (Value::Float(before), Value::Float(last)) => {
            let growth = if counter && last < before { *last } else { last - before };
            Some(Value::Float(if counter { growth / seconds } else { growth }))
        }
        (Value::Histogram(before), Value::Histogram(last)) => {
            let mut growth = (**last).clone();
            if !counter || !last.is_reset_after(before) {
                growth.sub(before).ok()?;
            }
            growth.reset_hint = ResetHint::Gauge;
            growth.compact();
            if counter {
                growth.divide(seconds);
            }
            Some(growth.into())
        }
        _ => None,
    }
}

/// `resets`, and `changes` if `any`: how often neighbours differ so.
pub(super) fn count(window: &Window<'_>, any: bool) -> Value {
    let differs = |two: &[Sample]| match (&two[0].value, &two[1].value) {
        (Value::Float(before), Value::Float(now)) if any => now != before && !(now.is_nan() && before.is_nan()),
        (Value::Float(before), Value::Float(now)) => now < before,
        (Value::Histogram(before), Value::Histogram(now)) if any => !now.equals(before),
        (Value::Histogram(before), Value::Histogram(now)) => now.is_reset_after(before),
        _ => true,
    };
    Value::Float(window.samples.windows(2).filter(|two| differs(two)).count() as f64)
}
