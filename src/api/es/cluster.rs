//! The server as a whole: who it is, how it is.

use super::Es;
use super::error::ApiError;
use super::names::{Options, resolve};
use super::reply::{Call, Reply};
use serde_json::json;

/// The version whose API this is.
const VERSION: &str = "7.10.2";

/// `/`. Clients refuse a server whose flavour is not `default`.
pub(super) fn root(es: &Es, _: &Call) -> Result<Reply, ApiError> {
    Ok(Reply::new(
        200,
        &json!({
            "name": es.name,
            "cluster_name": "logboom",
            "cluster_uuid": es.uuid,
            "version": {
                "number": VERSION,
                "build_flavor": "default",
                "build_type": "tar",
                "build_hash": env!("CARGO_PKG_VERSION"),
                "build_date": "2021-01-13T00:42:12.435326Z",
                "build_snapshot": false,
                "lucene_version": "8.7.0",
                "minimum_wire_compatibility_version": "6.8.0",
                "minimum_index_compatibility_version": "6.0.0-beta1",
            },
            "tagline": "You Know, for Search",
        }),
    ))
}

/// `_cluster/health`: green unless epochs can't be written.
pub(super) fn health(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.view();
    let expression = call.path.first().map(String::as_str);
    let shards = resolve(&view, expression, Options { ignore_unavailable: true, allow_none: true })?.len();
    let failing = es.index.stats().failing.is_some();
    Ok(Reply::new(
        200,
        &json!({
            "cluster_name": "logboom",
            "status": if failing { "red" } else { "green" },
            "timed_out": false,
            "number_of_nodes": 1,
            "number_of_data_nodes": 1,
            "active_primary_shards": shards,
            "active_shards": shards,
            "relocating_shards": 0,
            "initializing_shards": 0,
            "unassigned_shards": 0,
            "delayed_unassigned_shards": 0,
            "number_of_pending_tasks": 0,
            "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0,
            "active_shards_percent_as_number": 100.0,
        }),
    ))
}
