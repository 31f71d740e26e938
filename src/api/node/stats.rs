//! `/_node/stats` in Logstash's shapes. What it says of its Java machine we have not and leave out.

use crate::metric::pipeline::{LastReload, Reloads};
use crate::metric::process::Usage;
use crate::metric::{Counter, PipelineStats, PluginStats, Registry};
use crate::plugin::Kind;
use serde_json::{Map, Value, json};

/// The sections of `/_node/stats`.
pub(super) const SECTIONS: &[&str] = &["process", "events", "pipelines", "reloads", "queue"];

/// One section.
pub(super) fn section(name: &str, registry: &Registry) -> Value {
    let pipelines = registry.pipelines();
    let sum = |get: fn(&PipelineStats) -> &Counter| pipelines.iter().map(|p| get(p).get()).sum::<u64>();
    match name {
        "process" => process(),
        "events" => json!({
            "in": sum(|p| &p.events_in),
            "filtered": sum(|p| &p.events_filtered),
            "out": sum(|p| &p.events_out),
            "duration_in_millis": sum(|p| &p.duration_ns) / 1_000_000,
            "queue_push_duration_in_millis": sum(|p| &p.queue_push_ns) / 1_000_000,
        }),
        "pipelines" => Value::Object(pipelines.iter().map(|p| (p.id.to_string(), pipeline(p))).collect()),
        "reloads" => reloads(registry.reloads(), false),
        "queue" => json!({ "events_count": pipelines.iter().map(|p| waiting(p)).sum::<i64>() }),
        _ => Value::Null,
    }
}

/// Workers and batches.
pub(super) fn shape(p: &PipelineStats) -> Value {
    let p = p.shape.load();
    json!({ "workers": p.workers, "batch_size": p.batch_size, "batch_delay": p.batch_delay.as_millis() as u64 })
}

/// One pipeline.
pub(super) fn pipeline(p: &PipelineStats) -> Value {
    let plugins = |kind: Kind, show: fn(&PluginStats) -> Value| {
        p.plugins_of(kind)
            .iter()
            .map(|plugin| {
                let mut all =
                    Map::from_iter([("id".to_owned(), json!(*plugin.id)), ("name".to_owned(), json!(plugin.name))]);
                match show(plugin) {
                    Value::Object(more) => all.extend(more),
                    _ => unreachable!("BUG: a plugin is shown as an object"),
                }
                Value::Object(all)
            })
            .collect::<Vec<_>>()
    };
    json!({
        "events": {
            "in": p.events_in.get(),
            "filtered": p.events_filtered.get(),
            "out": p.events_out.get(),
            "duration_in_millis": millis(&p.duration_ns),
            "queue_push_duration_in_millis": millis(&p.queue_push_ns),
        },
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
            "inputs": plugins(Kind::Input, |i| json!({ "events": { "out": i.events_out.get() } })),
            "codecs": plugins(Kind::Codec, |c| json!({ "decode": {
                "writes_in": c.events_in.get(), "out": c.events_out.get(), "duration_in_millis": millis(&c.duration_ns),
            } })),
            "filters": plugins(Kind::Filter, worked),
            "outputs": plugins(Kind::Output, worked),
        },
        "reloads": reloads(&p.reloads, true),
        "queue": { "type": "memory", "events_count": waiting(p), "queue_size_in_bytes": 0, "max_queue_size_in_bytes": 0 },
        "pipeline": shape(p),
    })
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

/// Events before the workers.
fn waiting(p: &PipelineStats) -> i64 {
    p.queue_events.get().max(0)
}

fn process() -> Value {
    let usage = Usage::now();
    json!({
        "open_file_descriptors": usage.open_fds,
        "max_file_descriptors": usage.max_fds,
        "mem": { "total_virtual_in_bytes": usage.virtual_bytes, "resident_in_bytes": usage.resident_bytes },
        "cpu": { "total_in_millis": usage.cpu_seconds.map(|s| (s * 1000.0) as u64) },
        "threads": usage.threads,
    })
}
