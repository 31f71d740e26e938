//! The management API (`api.http.port`, 9600 by default): what Logstash's answers, in its shapes,
//! and beside it `/metrics` for Prometheus and `/health` for load balancers.
//!
//! It only reads: counters from the registry, findings from the health checks.

mod stats;

use crate::metric::exposition::Format;
use crate::metric::health::{Health, Status};
use crate::metric::{PipelineStats, Registry, identity};
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use tower_http::compression::CompressionLayer;

/// What the API answers from.
pub struct Node {
    /// `node.name`, the host's name by default.
    pub name: String,
    /// Stays over restarts, see [`identity::node_id`].
    pub id: String,
    /// Where the API listens.
    pub address: SocketAddr,
    /// The counters.
    pub registry: Arc<Registry>,
    /// The checks.
    pub health: Arc<Health>,
    /// Workers and batches of pipelines that say nothing of their own.
    pub defaults: PipelineStats,
    ephemeral_id: String,
}

impl Node {
    /// A node of this id whose API listens there.
    pub fn new(name: &str, id: &str, address: SocketAddr, registry: Arc<Registry>, health: Arc<Health>) -> Node {
        Node {
            name: name.to_owned(),
            id: id.to_owned(),
            address,
            registry,
            health,
            defaults: PipelineStats::new("main"),
            ephemeral_id: identity::new_id(),
        }
    }

    /// What all answers begin with.
    fn head(&self) -> Map<String, Value> {
        let (status, _) = self.health.check();
        let head = json!({
            "host": identity::hostname(),
            "version": env!("CARGO_PKG_VERSION"),
            "http_address": self.address.to_string(),
            "id": self.id,
            "name": self.name,
            "ephemeral_id": self.ephemeral_id,
            "snapshot": false,
            "status": status.name(),
            "pipeline": stats::shape(self.registry.pipelines().first().map_or(&self.defaults, |p| p)),
        });
        match head {
            Value::Object(head) => head,
            _ => unreachable!("BUG: the head is an object"),
        }
    }
}

/// Every route of the management API.
pub fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/_node", get(root))
        .route("/_node/pipelines", get(pipelines))
        .route("/_node/stats", get(stats_all))
        .route("/_node/stats/{section}", get(stats_section))
        .route("/_node/stats/pipelines/{id}", get(stats_pipeline))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .layer(CompressionLayer::new())
        .with_state(node)
}

async fn root(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    body(StatusCode::OK, node.head(), query)
}

async fn pipelines(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    let mut all = node.head();
    let shapes = node.registry.pipelines().iter().map(|p| (p.id.to_string(), stats::shape(p))).collect();
    all.insert("pipelines".to_owned(), Value::Object(shapes));
    body(StatusCode::OK, all, query)
}

async fn stats_all(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    let mut all = node.head();
    for section in stats::SECTIONS {
        all.insert((*section).to_owned(), stats::section(section, &node.registry));
    }
    body(StatusCode::OK, all, query)
}

async fn stats_section(
    State(node): State<Arc<Node>>,
    Path(section): Path<String>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Response {
    if !stats::SECTIONS.contains(&section.as_str()) {
        return not_found(uri).await;
    }
    let mut all = node.head();
    let value = stats::section(&section, &node.registry);
    all.insert(section, value);
    body(StatusCode::OK, all, query)
}

async fn stats_pipeline(
    State(node): State<Arc<Node>>,
    Path(id): Path<String>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Response {
    let pipelines = node.registry.pipelines();
    let Some(pipeline) = pipelines.iter().find(|p| *p.id == *id) else { return not_found(uri).await };
    let mut all = node.head();
    all.insert("pipelines".to_owned(), json!({ id: stats::pipeline(pipeline) }));
    body(StatusCode::OK, all, query)
}

async fn health(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    let (status, findings) = node.health.check();
    let code = if status == Status::Red { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let reasons: Vec<Value> =
        findings.iter().map(|f| json!({ "check": f.check, "status": f.status.name(), "reason": f.reason })).collect();
    let all = [("status".to_owned(), status.name().into()), ("reasons".to_owned(), reasons.into())];
    body(code, Map::from_iter(all), query)
}

async fn metrics(State(node): State<Arc<Node>>, headers: HeaderMap) -> Response {
    let format = Format::negotiate(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    // Merging many histograms takes milliseconds: not on a thread that serves sockets.
    let all = tokio::task::spawn_blocking(move || format.render(&node.registry.gather())).await;
    match all {
        Ok(all) => ([(header::CONTENT_TYPE, format.content_type())], all).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn not_found(uri: Uri) -> Response {
    let all = json!({ "path": uri.path(), "status": 404, "error": { "message": "Not Found" } });
    (StatusCode::NOT_FOUND, axum::Json(all)).into_response()
}

/// JSON, indented if the query says `pretty`.
fn body(code: StatusCode, all: Map<String, Value>, query: Option<String>) -> Response {
    let asked = |q: &str| q.split('&').any(|p| matches!(p, "pretty" | "pretty=true" | "pretty="));
    let all = Value::Object(all);
    let text = if query.as_deref().is_some_and(asked) { format!("{all:#}\n") } else { all.to_string() };
    (code, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests;
