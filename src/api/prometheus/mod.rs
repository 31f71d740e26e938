//! The HTTP API of Prometheus over the series of the window, on the management port: Grafana and
//! promtool use it as they would use a Prometheus.
//!
//! It only reads. Queries run on threads of their own, at most [`QUERIES_MAX`] at a time, and end
//! after their time-out.

mod error;
mod form;
mod query;
mod rules;
mod series;
mod status;

pub use rules::RuleSource;

use crate::metric::Sampler;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use error::ApiError;
use form::Form;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Queries that run at a time; others wait for their turn.
const QUERIES_MAX: usize = 20;
/// How long a query may take where it does not say less.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What the API answers from.
pub struct Prometheus {
    sampler: Arc<Sampler>,
    rules: Arc<OnceLock<Arc<dyn RuleSource>>>,
    address: SocketAddr,
    started_ms: i64,
    flags: Vec<(String, String)>,
    turns: Arc<Semaphore>,
}

/// What an endpoint answers with: the member `data`.
type Answer = Result<Reply, ApiError>;

/// An answer.
struct Reply {
    data: Value,
    warnings: Vec<String>,
}

impl From<Value> for Reply {
    fn from(data: Value) -> Reply {
        Reply { data, warnings: Vec::new() }
    }
}

/// A request.
struct Call {
    form: Form,
    /// What stands in the path's braces.
    part: String,
}

type Endpoint = fn(&Prometheus, &Call) -> Answer;

impl Prometheus {
    /// Answers for this sampler; `flags` are settings to be shown.
    pub fn new(
        sampler: Arc<Sampler>,
        rules: Arc<OnceLock<Arc<dyn RuleSource>>>,
        address: SocketAddr,
        flags: Vec<(String, String)>,
    ) -> Arc<Prometheus> {
        let started_ms = jiff::Timestamp::now().as_millisecond();
        let turns = Arc::new(Semaphore::new(QUERIES_MAX));
        Arc::new(Prometheus { sampler, rules, address, started_ms, flags, turns })
    }

    /// Its routes.
    pub fn router(self: Arc<Self>) -> Router {
        let on = |endpoint: Endpoint| {
            let answer = move |State(api): State<Arc<Prometheus>>,
                               path: Option<Path<String>>,
                               RawQuery(query): RawQuery,
                               body: Bytes| async move {
                let part = path.map(|Path(part)| part).unwrap_or_default();
                api.answer(endpoint, Call { form: Form::parse(query.as_deref(), &body), part }).await
            };
            get(answer).post(answer)
        };
        Router::new()
            .route("/api/v1/query", on(query::instant))
            .route("/api/v1/query_range", on(query::range))
            .route("/api/v1/query_exemplars", on(query::exemplars))
            .route("/api/v1/format_query", on(query::format))
            .route("/api/v1/series", on(series::series))
            .route("/api/v1/labels", on(series::labels))
            .route("/api/v1/label/{name}/values", on(series::values))
            .route("/api/v1/metadata", on(series::metadata))
            .route("/api/v1/targets", on(status::targets))
            .route("/api/v1/targets/metadata", on(status::targets_metadata))
            .route("/api/v1/rules", on(rules::rules))
            .route("/api/v1/alerts", on(rules::alerts))
            .route("/api/v1/alertmanagers", on(rules::alertmanagers))
            .route("/api/v1/status/buildinfo", on(status::build))
            .route("/api/v1/status/runtimeinfo", on(status::runtime))
            .route("/api/v1/status/config", on(status::config))
            .route("/api/v1/status/flags", on(status::flags))
            .route("/api/v1/status/tsdb", on(status::tsdb))
            .route("/api/v1/{*rest}", get(unknown).post(unknown))
            .route("/-/healthy", get(|| async { "Logboom is Healthy.\n" }))
            .route("/-/ready", get(|| async { "Logboom is Ready.\n" }))
            .with_state(self)
    }

    async fn answer(self: Arc<Self>, endpoint: Endpoint, call: Call) -> Response {
        let Ok(turn) = self.turns.clone().acquire_owned().await else {
            return ApiError::unavailable("the server is stopping").into_response();
        };
        // Evaluation takes its time: not on a thread that serves sockets.
        let answer = tokio::task::spawn_blocking(move || {
            let answer = endpoint(&self, &call);
            drop(turn);
            answer
        });
        match answer.await {
            Ok(Ok(Reply { data, warnings })) => {
                let mut body = json!({ "status": "success", "data": data });
                if !warnings.is_empty() {
                    body["warnings"] = json!(warnings);
                }
                ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
            }
            Ok(Err(error)) => error.into_response(),
            Err(_) => ApiError::internal("the query ended unexpectedly").into_response(),
        }
    }
}

async fn unknown(Path(rest): Path<String>) -> Response {
    ApiError::not_found(format!("there is no endpoint /api/v1/{rest}")).into_response()
}

#[cfg(test)]
mod tests;
