//! Flow rates as JSON.

use crate::metric::flow::{Counts, Flows, PluginCounts, Since};
use crate::metric::{PipelineStats, PluginStats};
use crate::plugin::Kind;
use serde_json::{Map, Value, json};

/// Of the whole node.
pub(super) fn node(flows: &Flows, now: Counts) -> Value {
    common(&flows.of_pipeline(None), now)
}

/// Of one pipeline.
pub(super) fn pipeline(flows: &Flows, stats: &PipelineStats) -> Value {
    let (windows, now) = (flows.of_pipeline(Some(&stats.id)), Counts::of(stats));
    let mut all = common(&windows, now);
    all["worker_utilization"] =
        utilization(&windows, |since| now.busy_ns.saturating_sub(since.busy_ns), workers(stats));
    all
}

/// How busy the workers of a pipeline were, by window, in percent.
pub(super) fn worker_utilization(flows: &Flows, stats: &PipelineStats) -> Value {
    pipeline(flows, stats)["worker_utilization"].take()
}

/// Of one plugin.
pub(super) fn plugin(flows: &Flows, pipeline: &PipelineStats, stats: &PluginStats) -> Value {
    let (windows, now) = (flows.of_plugin(&pipeline.id, &stats.id), PluginCounts::of(stats));
    let events = |since: &PluginCounts| now.events.saturating_sub(since.events);
    let busy = |since: &PluginCounts| now.busy_ns.saturating_sub(since.busy_ns);
    if stats.kind == Kind::Input {
        return json!({ "throughput": rates(&windows, |since, seconds| Some(events(since) as f64 / seconds)) });
    }
    json!({
        "worker_utilization": utilization(&windows, busy, workers(pipeline)),
        "worker_millis_per_event": rates(&windows, |since, _| {
            let events = events(since);
            (events > 0).then(|| busy(since) as f64 / 1e6 / events as f64)
        }),
    })
}

fn workers(stats: &PipelineStats) -> f64 {
    stats.shape.load().workers.max(1) as f64
}

fn common(windows: &[(&'static str, Since<Counts>)], now: Counts) -> Value {
    let per_second = |get: fn(&Counts) -> u64| {
        rates(windows, |since, seconds| Some(get(&now).saturating_sub(get(since)) as f64 / seconds))
    };
    let share = |get: fn(&Counts) -> u64| {
        rates(windows, |since, seconds| Some(get(&now).saturating_sub(get(since)) as f64 / 1e9 / seconds))
    };
    json!({
        "input_throughput": per_second(|c| c.events_in),
        "filter_throughput": per_second(|c| c.filtered),
        "output_throughput": per_second(|c| c.out),
        "queue_backpressure": share(|c| c.push_ns),
        "worker_concurrency": share(|c| c.busy_ns),
    })
}

fn utilization<T>(windows: &[(&'static str, Since<T>)], busy_ns: impl Fn(&T) -> u64, workers: f64) -> Value {
    rates(windows, |since, seconds| Some(100.0 * busy_ns(since) as f64 / 1e9 / seconds / workers))
}

fn rates<T>(windows: &[(&'static str, Since<T>)], rate: impl Fn(&T, f64) -> Option<f64>) -> Value {
    let rates = windows.iter().filter_map(|(name, since)| {
        let rate = rate(&since.counts, since.ago.as_secs_f64().max(1e-3))?;
        Some(((*name).to_owned(), json!(four_digits(rate))))
    });
    Value::Object(Map::from_iter(rates))
}

/// Four digits are as much as a rate means.
fn four_digits(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(3 - number.abs().log10().floor() as i32);
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_four_digits() {
        let check = |number: f64, want: &str| assert_eq!(json!(four_digits(number)).to_string(), want, "{number}");
        check(0.0, "0.0");
        check(0.073_812_3, "0.07381");
        check(12_345.678, "12350.0");
        check(99.999_9, "100.0");
        check(f64::NAN, "0.0");
    }
}
