//! The search API: Elasticsearch OSS 7.10 as its clients, Kibana and Grafana speak it.
//!
//! Every endpoint is a plain function from a [`Call`] to a [`Reply`]; it runs on a blocking thread,
//! never on tokio's. Bodies have a bound, answers a time limit.

mod bulk;
mod cat;
mod cluster;
mod document;
mod error;
mod field_caps;
mod filter_path;
mod indices;
mod names;
mod reply;
pub(in crate::api) mod route;
mod search;

use crate::index::Index;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderName, HeaderValue, Response, header};
use error::ApiError;
use reply::{Call, Reply};
use route::{Route, route};
use std::sync::Arc;
use std::time::Duration;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;

/// Bytes of a body, unpacked, as `http.max_content_length`.
const BODY_BYTES_MAX: usize = 100 << 20;
/// An answer takes no longer.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Searches and writes under way at once; the others wait for a turn.
const CALLS_MAX: usize = 64;

/// What a search may be told by its address.
const SEARCH: &[&str] = &[
    "q",
    "df",
    "default_operator",
    "analyze_wildcard",
    "lenient",
    "analyzer",
    "sort",
    "size",
    "from",
    "search_type",
    "_source",
    "_source_includes",
    "_source_excludes",
    "stored_fields",
    "docvalue_fields",
    "track_scores",
    "track_total_hits",
    "version",
    "seq_no_primary_term",
    "explain",
    "routing",
    "preference",
    "request_cache",
    "timeout",
    "batched_reduce_size",
    "pre_filter_shard_size",
    "ccs_minimize_roundtrips",
    "allow_partial_search_results",
    "max_concurrent_shard_requests",
    "terminate_after",
    "typed_keys",
    "rest_total_hits_as_int",
    "ignore_throttled",
];
const INDICES: &[&str] = &["ignore_unavailable", "allow_no_indices", "expand_wildcards", "local", "master_timeout"];
const WRITE: &[&str] = &[
    "refresh",
    "routing",
    "timeout",
    "wait_for_active_shards",
    "pipeline",
    "op_type",
    "require_alias",
    "version",
    "version_type",
];
const ADMIN: &[&str] = &["include_type_name", "include_defaults", "flat_settings", "timeout", "wait_for_active_shards"];
const CAT: &[&str] = &["h", "s", "v", "help", "bytes", "health", "pri", "time", "include_unloaded_segments"];
const CLUSTER: &[&str] = &[
    "level",
    "timeout",
    "wait_for_status",
    "wait_for_nodes",
    "wait_for_events",
    "wait_for_no_relocating_shards",
    "wait_for_no_initializing_shards",
    "wait_for_active_shards",
];

/// Every endpoint. Paths are tried from the top; a segment in braces is any.
static ROUTES: &[Route] = &[
    route("GET", "/", cluster::root, &[]),
    route("GET POST", "/_search", search::search, &[SEARCH, INDICES]),
    route("GET POST", "/{index}/_search", search::search, &[SEARCH, INDICES]),
    route("GET POST", "/_msearch", search::msearch, &[SEARCH, INDICES, &["max_concurrent_searches"]]),
    route("GET POST", "/{index}/_msearch", search::msearch, &[SEARCH, INDICES, &["max_concurrent_searches"]]),
    route("GET POST", "/_count", search::count, &[SEARCH, INDICES, &["min_score"]]),
    route("GET POST", "/{index}/_count", search::count, &[SEARCH, INDICES, &["min_score"]]),
    route("GET POST", "/_field_caps", field_caps::field_caps, &[INDICES, &["fields", "include_unmapped"]]),
    route("GET POST", "/{index}/_field_caps", field_caps::field_caps, &[INDICES, &["fields", "include_unmapped"]]),
    route("POST PUT", "/_bulk", bulk::bulk, &[WRITE]),
    route("POST PUT", "/{index}/_bulk", bulk::bulk, &[WRITE]),
    route("GET POST", "/_refresh", indices::refresh, &[INDICES]),
    route("GET POST", "/{index}/_refresh", indices::refresh, &[INDICES]),
    route("GET", "/_mapping", indices::get_mapping, &[INDICES, ADMIN]),
    route("GET", "/{index}/_mapping", indices::get_mapping, &[INDICES, ADMIN]),
    route("PUT POST", "/{index}/_mapping", indices::put_mapping, &[INDICES, ADMIN]),
    route("POST", "/{index}/_doc", document::write, &[WRITE]),
    route("PUT POST", "/{index}/_doc/{id}", document::write, &[WRITE]),
    route("GET", "/{index}/_doc/{id}", document::read, &[SEARCH, &["realtime", "refresh"]]),
    route("PUT POST", "/{index}/_create/{id}", document::create, &[WRITE]),
    route("GET", "/_cat/indices", cat::indices, &[INDICES, CAT]),
    route("GET", "/_cat/indices/{index}", cat::indices, &[INDICES, CAT]),
    route("GET", "/_cat/count", cat::count, &[INDICES, CAT]),
    route("GET", "/_cat/count/{index}", cat::count, &[INDICES, CAT]),
    route("GET", "/_cluster/health", cluster::health, &[INDICES, CLUSTER]),
    route("GET", "/_cluster/health/{index}", cluster::health, &[INDICES, CLUSTER]),
    route("PUT", "/{index}", indices::create, &[ADMIN]),
    route("GET", "/{index}", indices::get, &[INDICES, ADMIN]),
];

/// What the API answers from.
pub struct Es {
    index: Arc<Index>,
    /// `node.name`.
    name: String,
    /// The cluster's uuid: stays over restarts.
    uuid: String,
    turns: tokio::sync::Semaphore,
}

impl Es {
    /// An API over an index.
    pub fn new(index: Arc<Index>, name: &str, uuid: &str) -> Arc<Es> {
        let turns = tokio::sync::Semaphore::new(CALLS_MAX);
        Arc::new(Es { index, name: name.to_owned(), uuid: uuid.to_owned(), turns })
    }

    /// The API as a service.
    pub fn router(self: Arc<Es>) -> Router {
        Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(RequestDecompressionLayer::new())
            .layer(CompressionLayer::new())
            .with_state(self)
    }
}

async fn answer(State(es): State<Arc<Es>>, request: Request) -> Response<Body> {
    let opaque = request.headers().get("x-opaque-id").cloned();
    let mut response = dispatch(es, request).await;
    if let Some(opaque) = opaque {
        response.headers_mut().insert(HeaderName::from_static("x-opaque-id"), opaque);
    }
    response
}

async fn dispatch(es: Arc<Es>, request: Request) -> Response<Body> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let wants_json = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept: &HeaderValue| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    let body = Bytes::from_request(request, &()).await;
    let mut call = Call {
        method,
        uri: uri.path_and_query().map_or_else(|| uri.path().to_owned(), |path| path.to_string()),
        path: Vec::new(),
        parameters: route::parameters(uri.query().unwrap_or_default()),
        body: Bytes::new(),
        wants_json,
    };
    match body {
        Ok(body) => call.body = body,
        Err(cause) => {
            let error = ApiError::new(cause.status().as_u16(), "content_too_long_exception", cause.body_text());
            return error.reply().finish(&call);
        }
    }
    let handler = match route::find(ROUTES, &mut call, uri.path()) {
        Ok(handler) => handler,
        Err(error) => return error.reply().finish(&call),
    };
    let Ok(_turn) = es.turns.acquire().await else { return Reply::empty(503).finish(&call) };
    let call = Arc::new(call);
    let (worker_es, worker_call) = (es.clone(), call.clone());
    let work = tokio::task::spawn_blocking(move || handler(&worker_es, &worker_call));
    let reply = match tokio::time::timeout(ANSWER_MAX, work).await {
        Ok(Ok(Ok(reply))) => reply,
        Ok(Ok(Err(error))) => error.reply(),
        Ok(Err(_panicked)) => ApiError::new(500, "exception", "the request failed inside: see the log").reply(),
        Err(_late) => ApiError::new(503, "timeout_exception", "the answer takes too long").reply(),
    };
    reply.finish(&call)
}

/// Milliseconds since 1970 now.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
