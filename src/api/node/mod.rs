//! The management API (`api.http.port`, 9600 by default): what Logstash's answers, in its shapes,
//! and beside it `/metrics` for Prometheus and `/health` for load balancers.
//!
//! It only reads, but for the levels of the log: counters from the registry, findings from the health
//! checks.

mod auth;
mod flow;
mod hot_threads;
mod info;
mod report;
mod stats;
mod tap;

use crate::metric::exposition::Format;
use crate::metric::health::{Health, Status};
use crate::metric::{PipelineStats, Registry, identity};
use crate::telemetry;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
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

/// Lets nobody in without `user:password`, where there is one.
pub fn guarded(router: Router, password: Option<&str>) -> Router {
    match password {
        Some(password) => router.layer(axum::middleware::from_fn_with_state(Arc::from(password), auth::check)),
        None => router,
    }
}

/// Every route of the management API.
pub fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/_node", get(info_all))
        .route("/_node/{sections}", get(info_sections))
        .route("/_node/pipelines", get(pipelines))
        .route("/_node/pipelines/{id}", get(pipeline))
        .route("/_node/plugins", get(plugins))
        .route("/_node/hot_threads", get(hot_threads))
        .route("/_node/logging", get(logging).put(set_logging))
        .route("/_node/logging/reset", put(reset_logging))
        .route("/_node/stats", get(stats_all))
        .route("/_node/stats/{sections}", get(stats_sections))
        .route("/_node/stats/pipelines/{id}", get(stats_pipeline))
        .route("/_health_report", get(health_report))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(CompressionLayer::new())
        // Behind the compression, which would hold lines back.
        .route("/_node/tap/{id}", get(tap::tap))
        .with_state(node)
}

type Asked = Query<HashMap<String, String>>;

async fn root(State(node): State<Arc<Node>>, uri: Uri, Query(asked): Asked, RawQuery(query): RawQuery) -> Response {
    if let Some(status) = asked.get("wait_for_status").map(|status| status.to_lowercase()) {
        let Some(status) = [Status::Green, Status::Yellow, Status::Red].into_iter().find(|s| s.name() == status) else {
            let message = format!("Invalid status '{status}' provided. The valid statuses are: green, yellow, red.");
            return error(StatusCode::BAD_REQUEST, &uri, &message);
        };
        let Some(text) = asked.get("timeout") else {
            return error(StatusCode::BAD_REQUEST, &uri, "A timeout must be provided along with a status.");
        };
        let Some(limit) = crate::settings::unit::time(text, Duration::from_nanos(1)) else {
            return error(StatusCode::BAD_REQUEST, &uri, &format!("Invalid timeout '{text}' provided."));
        };
        let until = Instant::now() + limit;
        while node.health.check().0 > status {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = format!("Timed out waiting for status '{}'.", status.name());
                return error(StatusCode::REQUEST_TIMEOUT, &uri, &message);
            }
            tokio::time::sleep(left.min(Duration::from_millis(200))).await;
        }
    }
    let mut all = node.head();
    all.insert("build_snapshot".to_owned(), json!(false));
    body(StatusCode::OK, all, query)
}

async fn info_all(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    some_sections(&node, info::SECTIONS.iter().map(|s| (*s, info::section(s, &node.registry))), query)
}

async fn info_sections(
    State(node): State<Arc<Node>>,
    Path(sections): Path<String>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(wanted) = wanted(&sections, info::SECTIONS) else { return not_found(uri).await };
    some_sections(&node, wanted.into_iter().map(|s| (s, info::section(s, &node.registry))), query)
}

async fn pipelines(State(node): State<Arc<Node>>, Query(asked): Asked, RawQuery(query): RawQuery) -> Response {
    let pipelines = node.registry.pipelines();
    let shapes = pipelines.iter().map(|p| (p.id.to_string(), info::pipeline(p, truthy(&asked, "graph")))).collect();
    some_sections(&node, [("pipelines", Value::Object(shapes))].into_iter(), query)
}

async fn pipeline(
    State(node): State<Arc<Node>>,
    Path(id): Path<String>,
    uri: Uri,
    Query(asked): Asked,
    RawQuery(query): RawQuery,
) -> Response {
    let pipelines = node.registry.pipelines();
    let Some(pipeline) = pipelines.iter().find(|p| *p.id == *id) else { return not_found(uri).await };
    let shape = info::pipeline(pipeline, truthy(&asked, "graph"));
    some_sections(&node, [("pipelines", json!({ id: shape }))].into_iter(), query)
}

async fn plugins(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    let mut all = node.head();
    all.extend(info::plugins());
    body(StatusCode::OK, all, query)
}

async fn hot_threads(State(node): State<Arc<Node>>, Query(asked): Asked, RawQuery(query): RawQuery) -> Response {
    let options = match hot_threads::Options::read(&asked) {
        Ok(options) => options,
        Err(message) => return failed(&node, &message, query),
    };
    let report = hot_threads::report(&options).await;
    if asked.contains_key("human") && truthy(&asked, "human") {
        let text = hot_threads::text(&report, &node.name);
        return ([(header::CONTENT_TYPE, "text/plain")], text).into_response();
    }
    some_sections(&node, [("hot_threads", report)].into_iter(), query)
}

async fn logging(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    some_sections(&node, [("loggers", json!(telemetry::levels()))].into_iter(), query)
}

async fn set_logging(State(node): State<Arc<Node>>, RawQuery(query): RawQuery, given: Bytes) -> Response {
    let Ok(Value::Object(given)) = serde_json::from_slice(&given) else {
        return failed(&node, "expected an object, {\"logger.NAME\":\"LEVEL\"}", query);
    };
    let mut levels = Vec::new();
    for (name, level) in &given {
        match (name.strip_prefix("logger."), level.as_str()) {
            (Some(logger), Some(level)) => levels.push((logger.to_owned(), level.to_owned())),
            _ => return failed(&node, &format!("unrecognized option [{name}]"), query),
        }
    }
    match telemetry::set_levels(&levels) {
        Ok(()) => acknowledged(&node, query),
        Err(error) => failed(&node, &error.to_string(), query),
    }
}

async fn reset_logging(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    telemetry::reset_levels();
    acknowledged(&node, query)
}

async fn stats_all(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    some_sections(&node, stats::SECTIONS.iter().map(|s| (*s, stats::section(s, &node.registry))), query)
}

async fn stats_sections(
    State(node): State<Arc<Node>>,
    Path(sections): Path<String>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(wanted) = wanted(&sections, stats::SECTIONS) else { return not_found(uri).await };
    some_sections(&node, wanted.into_iter().map(|s| (s, stats::section(s, &node.registry))), query)
}

async fn stats_pipeline(
    State(node): State<Arc<Node>>,
    Path(id): Path<String>,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Response {
    let pipelines = node.registry.pipelines();
    let Some(pipeline) = pipelines.iter().find(|p| *p.id == *id) else { return not_found(uri).await };
    let shown = stats::pipeline(pipeline, node.registry.flows());
    some_sections(&node, [("pipelines", json!({ id: shown }))].into_iter(), query)
}

async fn health_report(State(node): State<Arc<Node>>, RawQuery(query): RawQuery) -> Response {
    let mut all = node.head();
    all.remove("pipeline");
    all.extend(report::report(&node));
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
    error(StatusCode::NOT_FOUND, &uri, "Not Found")
}

fn error(code: StatusCode, uri: &Uri, message: &str) -> Response {
    let all = json!({ "path": uri.path(), "status": code.as_u16(), "error": { "message": message } });
    (code, axum::Json(all)).into_response()
}

/// A request that can't be obeyed, with the head that other answers have.
fn failed(node: &Node, message: &str, query: Option<String>) -> Response {
    let mut all = node.head();
    all.insert("error".to_owned(), json!(message));
    body(StatusCode::BAD_REQUEST, all, query)
}

fn acknowledged(node: &Node, query: Option<String>) -> Response {
    some_sections(node, [("acknowledged", json!(true))].into_iter(), query)
}

/// The sections that a list with commas names, of those that there are; `None` where it names none.
fn wanted(list: &str, sections: &[&'static str]) -> Option<Vec<&'static str>> {
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    let wanted: Vec<&str> = sections.iter().copied().filter(|section| names.contains(section)).collect();
    (!wanted.is_empty()).then_some(wanted)
}

/// Whether a parameter of the query says yes; one without value does.
fn truthy(asked: &HashMap<String, String>, name: &str) -> bool {
    asked.get(name).is_some_and(|word| matches!(word.to_lowercase().as_str(), "" | "true" | "t" | "yes" | "y" | "1"))
}

fn some_sections<'a>(node: &Node, sections: impl Iterator<Item = (&'a str, Value)>, query: Option<String>) -> Response {
    let mut all = node.head();
    all.extend(sections.map(|(name, value)| (name.to_owned(), value)));
    body(StatusCode::OK, all, query)
}

/// JSON, indented if the query says `pretty`.
fn body(code: StatusCode, all: Map<String, Value>, query: Option<String>) -> Response {
    let asked = |q: &str| q.split('&').any(|p| p == "pretty" || p.starts_with("pretty=") && p != "pretty=false");
    let all = Value::Object(all);
    let text = if query.as_deref().is_some_and(asked) { format!("{all:#}\n") } else { all.to_string() };
    (code, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests;
