//! `/_node/stats` in Logstash's shapes.

use super::{flow, info};
use crate::metric::flow::{Counts, Flows};
use crate::metric::pipeline::{LastReload, Reloads};
use crate::metric::process::{self, Usage};
use crate::metric::{Counter, PipelineStats, PluginStats, Registry};
use crate::plugin::Kind;
use serde_json::{Map, Value, json};

/// The sections of `/_node/stats`.
pub(super) const SECTIONS: &[&str] = &["jvm", "process", "events", "flow", "pipelines", "reloads", "os", "queue"];

/// One section.
pub(super) fn section(name: &str, registry: &Registry) -> Value {
    let (pipelines, flows) = (registry.pipelines(), registry.flows());
    let sum = |get: fn(&PipelineStats) -> &Counter| pipelines.iter().map(|p| get(p).get()).sum::<u64>();
    match name {
        "jvm" => info::jvm_stats(flows.uptime()),
        "process" => process(flows),
        "events" => json!({
            "in": sum(|p| &p.events_in),
            "filtered": sum(|p| &p.events_filtered),
            "out": sum(|p| &p.events_out),
            "duration_in_millis": pipelines.iter().map(|p| p.busy_ns()).sum::<u64>() / 1_000_000,
            "queue_push_duration_in_millis": sum(|p| &p.queue_push_ns) / 1_000_000,
        }),
        "flow" => flow::node(flows, pipelines.iter().fold(Counts::default(), |sum, p| sum.plus(Counts::of(p)))),
        "pipelines" => Value::Object(pipelines.iter().map(|p| (p.id.to_string(), pipeline(p, flows))).collect()),
        "reloads" => reloads(registry.reloads(), false),
        "os" => os(),
        // As in Logstash, what waits on disk: pipelines say what waits in memory.
        "queue" => json!({ "events_count": 0 }),
        _ => Value::Null,
    }
}

/// Workers and batches.
pub(super) fn shape(p: &PipelineStats) -> Value {
    let p = p.shape.load();
    json!({ "workers": p.workers, "batch_size": p.batch_size, "batch_delay": p.batch_delay.as_millis() as u64 })
}

/// One pipeline.
pub(super) fn pipeline(p: &PipelineStats, flows: &Flows) -> Value {
    let plugins = |kind: Kind, show: fn(&PluginStats) -> Value| {
        let all = p.plugins_of(kind);
        all.iter().map(|plugin| shown(plugin, p, flows, show)).collect::<Vec<_>>()
    };
    json!({
        "events": {
            "in": p.events_in.get(),
            "filtered": p.events_filtered.get(),
            "out": p.events_out.get(),
            "duration_in_millis": p.busy_ns() / 1_000_000,
            "queue_push_duration_in_millis": millis(&p.queue_push_ns),
        },
        "flow": flow::pipeline(flows, p),
        // Not in Logstash: where every event went.
        "ledger": {
            "in": p.events_in.get(),
            "created": p.created.get(),
            "out": p.events_out.get(),
            "dropped": p.dropped.get(),
            "dead": p.dead.get(),
            "in_flight": p.in_flight.get(),
        },
        "plugins": {
            "inputs": plugins(Kind::Input, |i| json!({ "events": {
                "out": i.events_out.get(), "queue_push_duration_in_millis": millis(&i.duration_ns),
            } })),
            "codecs": codecs(p),
            "filters": plugins(Kind::Filter, worked),
            "outputs": plugins(Kind::Output, worked),
        },
        "reloads": reloads(&p.reloads, true),
        "queue": {
            "type": "memory",
            "events_count": p.queue_events.get().max(0),
            "queue_size_in_bytes": 0,
            "max_queue_size_in_bytes": 0,
        },
        "pipeline": shape(p),
        "hash": format!("{:016x}", p.shape.load().hash),
        "ephemeral_id": p.ephemeral_id,
    })
}

fn shown(plugin: &PluginStats, p: &PipelineStats, flows: &Flows, show: fn(&PluginStats) -> Value) -> Value {
    let mut all = Map::from_iter([("id".to_owned(), json!(*plugin.id)), ("name".to_owned(), json!(plugin.name))]);
    match show(plugin) {
        Value::Object(more) => all.extend(more),
        _ => unreachable!("BUG: a plugin is shown as an object"),
    }
    all.insert("flow".to_owned(), flow::plugin(flows, p, plugin));
    Value::Object(all)
}

/// The codecs of inputs, which decode, and of outputs, which encode.
fn codecs(p: &PipelineStats) -> Vec<Value> {
    let shape = p.shape.load();
    let with_codecs = shape.plugins.iter().filter_map(|plugin| Some((plugin.kind, plugin.codec()?)));
    with_codecs
        .map(|(of, codec)| {
            let when = |does: bool, counter: &Counter| if does { counter.get() } else { 0 };
            let (decodes, encodes) = (of == Kind::Input, of == Kind::Output);
            json!({
                "id": *codec.id,
                "name": codec.name,
                "decode": {
                    "writes_in": when(decodes, &codec.events_in),
                    "out": when(decodes, &codec.events_out),
                    "duration_in_millis": when(decodes, &codec.duration_ns) / 1_000_000,
                },
                "encode": {
                    "writes_in": when(encodes, &codec.events_in),
                    "duration_in_millis": when(encodes, &codec.duration_ns) / 1_000_000,
                },
            })
        })
        .collect()
}

fn reloads(reloads: &Reloads, last: bool) -> Value {
    let mut all = json!({ "successes": reloads.successes.get(), "failures": reloads.failures.get() });
    if last {
        let LastReload { success, failure, error } = reloads.last();
        let time = |at: Option<jiff::Timestamp>| at.map(|at| format!("{at:.3}"));
        all["last_success_timestamp"] = json!(time(success));
        all["last_failure_timestamp"] = json!(time(failure));
        all["last_error"] = error.map_or(Value::Null, |message| json!({ "message": message, "backtrace": null }));
    }
    all
}

fn worked(plugin: &PluginStats) -> Value {
    json!({
        "events": {
            "in": plugin.events_in.get(),
            "out": plugin.events_out.get(),
            "duration_in_millis": millis(&plugin.duration_ns),
        },
        "failures": plugin.failures.get(),
    })
}

fn millis(counter: &Counter) -> u64 {
    counter.get() / 1_000_000
}

fn process(flows: &Flows) -> Value {
    let usage = Usage::now();
    let [one, five, fifteen] = process::load_average();
    json!({
        "open_file_descriptors": usage.open_fds,
        "peak_open_file_descriptors": process::peak_fds(usage.open_fds.unwrap_or(0)),
        "max_file_descriptors": usage.max_fds,
        "mem": { "total_virtual_in_bytes": usage.virtual_bytes, "resident_in_bytes": usage.resident_bytes },
        "cpu": {
            "total_in_millis": usage.cpu_seconds.map(|s| (s * 1000.0) as u64),
            "percent": flows.cpu_percent().round() as u64,
            "load_average": { "1m": one, "5m": five, "15m": fifteen },
        },
        "threads": usage.threads,
    })
}

/// The control group that the process runs in, where there is one.
fn os() -> Value {
    let Some(group) = process::Cgroup::read() else { return json!({}) };
    json!({ "cgroup": {
        "cpuacct": { "control_group": group.name, "usage_nanos": group.usage_ns },
        "cpu": {
            "control_group": group.name,
            "cfs_period_micros": group.period_us,
            "cfs_quota_micros": group.quota_us,
            "stat": {
                "number_of_elapsed_periods": group.periods,
                "number_of_times_throttled": group.throttled,
                "time_throttled_nanos": group.throttled_ns,
            },
        },
    } })
}
