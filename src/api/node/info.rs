//! `/_node`: what this node is and how its pipelines are configured; `/_node/plugins`.
//!
//! `jvm` is there because monitoring tools ask for it. There is no Java machine: `vm_name` says so, and
//! the figures are those of the process that mean the same.

use crate::metric::process::{self, Usage};
use crate::metric::{PipelineStats, Registry};
use crate::{codec, filter, input, output};
use serde_json::{Map, Value, json};

/// The sections of `/_node`.
pub(super) const SECTIONS: &[&str] = &["pipelines", "os", "jvm"];

/// One section.
pub(super) fn section(name: &str, registry: &Registry) -> Value {
    match name {
        "pipelines" => {
            Value::Object(registry.pipelines().iter().map(|p| (p.id.to_string(), pipeline(p, false))).collect())
        }
        "os" => os(),
        "jvm" => jvm(),
        _ => Value::Null,
    }
}

/// One pipeline, with its graph if that is asked for.
pub(super) fn pipeline(stats: &PipelineStats, graph: bool) -> Value {
    let shape = stats.shape.load();
    let mut all = json!({
        "ephemeral_id": stats.ephemeral_id,
        "hash": format!("{:016x}", shape.hash),
        "workers": shape.workers,
        "batch_size": shape.batch_size,
        "batch_delay": shape.batch_delay.as_millis() as u64,
        "dead_letter_queue_enabled": false,
    });
    if graph {
        all["graph"] = (*shape.graph).clone();
    }
    all
}

fn os() -> Value {
    let read = |file: &str| std::fs::read_to_string(file).map(|text| text.trim().to_owned()).ok();
    json!({
        "name": read("/proc/sys/kernel/ostype").unwrap_or_else(|| std::env::consts::OS.to_owned()),
        "arch": if std::env::consts::ARCH == "x86_64" { "amd64" } else { std::env::consts::ARCH },
        "version": read("/proc/sys/kernel/osrelease").unwrap_or_default(),
        "available_processors": std::thread::available_parallelism().map_or(1, usize::from),
    })
}

fn jvm() -> Value {
    json!({
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "vm_version": env!("CARGO_PKG_VERSION"),
        "vm_vendor": "Logboom",
        "vm_name": "none: native code",
        "start_time_in_millis": (*process::START_SECONDS * 1000.0) as u64,
        "mem": {
            "heap_init_in_bytes": 0,
            "heap_max_in_bytes": process::memory_limit(),
            "non_heap_init_in_bytes": 0,
            "non_heap_max_in_bytes": 0,
        },
        "gc_collectors": [],
    })
}

/// What `/_node/stats` says of `jvm`: the process's memory as its heap, no collections.
pub(super) fn jvm_stats(uptime: std::time::Duration) -> Value {
    let usage = Usage::now();
    let (used, limit) = (usage.resident_bytes.unwrap_or(0), process::memory_limit());
    let nothing = json!({ "collection_time_in_millis": 0, "collection_count": 0 });
    let pool = |used: u64| {
        json!({ "used_in_bytes": used, "peak_used_in_bytes": used, "max_in_bytes": limit, "peak_max_in_bytes": limit,
                "committed_in_bytes": used })
    };
    json!({
        "threads": { "count": usage.threads, "peak_count": process::peak_threads(usage.threads.unwrap_or(0)) },
        "mem": {
            "heap_used_percent": used * 100 / limit.max(1),
            "heap_committed_in_bytes": used,
            "heap_max_in_bytes": limit,
            "heap_used_in_bytes": used,
            "non_heap_used_in_bytes": 0,
            "non_heap_committed_in_bytes": 0,
            "pools": { "survivor": pool(0), "old": pool(used), "young": pool(0) },
        },
        "gc": { "collectors": { "old": nothing, "young": nothing } },
        "uptime_in_millis": uptime.as_millis() as u64,
    })
}

/// `/_node/plugins`, by the names of Logstash's gems.
pub(super) fn plugins() -> Map<String, Value> {
    let kinds =
        [("codec", codec::CODECS), ("filter", filter::FILTERS), ("input", input::INPUTS), ("output", output::OUTPUTS)];
    let of = |(kind, specs): (&str, &[&crate::plugin::Spec])| {
        let name = |spec: &&crate::plugin::Spec| json!({ "name": format!("logstash-{kind}-{}", spec.name), "version": env!("CARGO_PKG_VERSION") });
        specs.iter().map(name).collect::<Vec<_>>()
    };
    let plugins: Vec<Value> = kinds.into_iter().flat_map(of).collect();
    Map::from_iter([("total".to_owned(), json!(plugins.len())), ("plugins".to_owned(), Value::Array(plugins))])
}
