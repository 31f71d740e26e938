//! `status/…`, `targets`: what there is to know of the server itself.

use super::{Answer, Call, Prometheus};
use crate::metric::identity;
use crate::series::METRIC_NAME;
use serde_json::{Map, Value, json};

/// The version of Prometheus whose API and PromQL this is: clients ask for it to know what works.
const PROMETHEUS_VERSION: &str = "3.5.0";
/// How many of the largest are shown.
const TOP: usize = 10;

/// `/api/v1/status/buildinfo`
pub(super) fn build(_: &Prometheus, _: &Call) -> Answer {
    Ok(json!({
        "version": PROMETHEUS_VERSION,
        "revision": format!("logboom-{}", env!("CARGO_PKG_VERSION")),
        "branch": "logboom",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "features": { "otlp_write_receiver": "false", "remote_write_receiver": "false" },
    })
    .into())
}

/// `/api/v1/status/runtimeinfo`
pub(super) fn runtime(api: &Prometheus, _: &Call) -> Answer {
    let stats = api.sampler.store.short().stats();
    Ok(json!({
        "startTime": time(api.started_ms),
        "CWD": std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
        "hostname": identity::hostname(),
        "serverTime": time(jiff::Timestamp::now().as_millisecond()),
        "reloadConfigSuccess": true,
        "lastConfigTime": time(api.started_ms),
        "corruptionCount": stats.log_failures,
        "storageRetention": format!("{}s", api.sampler.store.short().retention_ms() / 1000),
    })
    .into())
}

/// `/api/v1/status/config`
pub(super) fn config(api: &Prometheus, _: &Call) -> Answer {
    let mut yaml = format!("global:\n  scrape_interval: {}s\n", api.sampler.interval_ms() as f64 / 1000.0);
    yaml.push_str("  external_labels: {}\n");
    Ok(json!({ "yaml": yaml }).into())
}

/// `/api/v1/status/flags`
pub(super) fn flags(api: &Prometheus, _: &Call) -> Answer {
    let all = api.flags.iter().map(|(name, value)| (name.clone(), Value::String(value.clone())));
    Ok(Value::Object(all.collect::<Map<_, _>>()).into())
}

/// `/api/v1/status/tsdb`
pub(super) fn tsdb(api: &Prometheus, call: &Call) -> Answer {
    let limit = call.form.limit()?.min(if call.form.get("limit").is_some() { usize::MAX } else { TOP });
    let stats = api.sampler.store.short().stats();
    let (by_metric, by_label) = api.sampler.store.short().cardinality(METRIC_NAME);
    let top = |mut counts: Vec<(String, usize)>| {
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(limit);
        counts.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<_>>()
    };
    let pairs: usize = by_label.iter().map(|(_, values)| values).sum();
    Ok(json!({
        "headStats": {
            "numSeries": stats.series,
            "numLabelPairs": pairs,
            "chunkCount": stats.chunks,
            "minTime": stats.oldest_ms,
            "maxTime": stats.newest_ms,
        },
        "seriesCountByMetricName": top(by_metric),
        "labelValueCountByLabelName": top(by_label),
        "memoryInBytesByLabelName": [],
        "seriesCountByLabelValuePair": [],
    })
    .into())
}

/// `/api/v1/targets`: ourselves.
pub(super) fn targets(api: &Prometheus, call: &Call) -> Answer {
    let address = api.address.to_string();
    let last = api.sampler.store.short().stats().newest_ms.unwrap_or(api.started_ms);
    let interval = format!("{}s", api.sampler.interval_ms() as f64 / 1000.0);
    let target = json!({
        "discoveredLabels": { "__address__": address, "__metrics_path__": "/metrics", "__scheme__": "http", "job": "logboom" },
        "labels": { "instance": address, "job": "logboom" },
        "scrapePool": "logboom",
        "scrapeUrl": format!("http://{address}/metrics"),
        "globalUrl": format!("http://{address}/metrics"),
        "lastError": "",
        "lastScrape": time(last),
        "lastScrapeDuration": 0,
        "health": "up",
        "scrapeInterval": interval,
        "scrapeTimeout": interval,
    });
    let active = if call.form.get("state") == Some("dropped") { vec![] } else { vec![target] };
    Ok(json!({ "activeTargets": active, "droppedTargets": [], "droppedTargetCounts": { "logboom": 0 } }).into())
}

/// `/api/v1/targets/metadata`
pub(super) fn targets_metadata(api: &Prometheus, call: &Call) -> Answer {
    let limit = call.form.limit()?;
    let wanted = call.form.get("metric");
    let metadata = api.sampler.metadata();
    let chosen = metadata.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)).take(limit);
    let target = json!({ "instance": api.address.to_string(), "job": "logboom" });
    let all: Vec<Value> = chosen
        .map(|(name, about)| {
            json!({ "target": target, "metric": name, "type": about.kind, "help": about.help, "unit": "" })
        })
        .collect();
    Ok(Value::Array(all).into())
}

fn time(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map(|at| at.to_string()).unwrap_or_default()
}
