//! `_search`, `_count`, `_msearch`.

use super::error::ApiError;
use super::names::{Options, resolve};
use super::reply::{Call, Reply};
use super::{Es, now_ms};
use crate::index::View;
use crate::search::request::{Shown, TOTAL_DEFAULT, TrackTotal, query_of_address, timeout, track_total};
use crate::search::sort::parse_parameter;
use crate::search::source::SourceFilter;
use crate::search::{self, Request, Response, SearchError};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// Searches of one `_msearch` at the most.
const SEARCHES_MAX: usize = 1000;

/// `_search`.
pub(super) fn search(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.view();
    let expression = call.path.first().map(String::as_str);
    let streams = resolve(&view, expression, Options::of(call)?)?;
    let text = call.text()?;
    let failed = |error| ApiError::search(error, text, &of(&streams, expression));
    let mut request = Request::new(now_ms());
    if let Some(body) = call.json()? {
        request.read(&body).map_err(failed)?;
    }
    read_parameters(call, &mut request)?;
    let as_int = as_int(call, &mut request)?;
    let response = run(&view, &streams, &request, as_int).map_err(failed)?;
    Ok(Reply::new(200, &response))
}

/// The index that an error names.
fn of(streams: &[Arc<str>], expression: Option<&str>) -> String {
    streams.first().map_or_else(|| expression.unwrap_or("_all").to_owned(), |name| name.to_string())
}

/// Whether totals are plain numbers; only exact ones may be.
fn as_int(call: &Call, request: &mut Request) -> Result<bool, ApiError> {
    let as_int = call.bool("rest_total_hits_as_int", false)?;
    match request.track_total {
        TrackTotal::UpTo(limit) if as_int && limit != TOTAL_DEFAULT => Err(ApiError::argument(format!(
            "[rest_total_hits_as_int] cannot be used if the tracking of total hits is not accurate, got {limit}"
        ))),
        TrackTotal::UpTo(_) if as_int => {
            request.track_total = TrackTotal::Exact;
            Ok(true)
        }
        _ => Ok(as_int),
    }
}

fn run(view: &View, streams: &[Arc<str>], request: &Request, as_int: bool) -> Result<Response, SearchError> {
    let started = Instant::now();
    let mut response = search::search(view, streams, request)?;
    if as_int {
        response.total_as_int();
    }
    response.took = started.elapsed().as_millis() as u64;
    Ok(response)
}

fn read_parameters(call: &Call, request: &mut Request) -> Result<(), ApiError> {
    let failed = |error| ApiError::search(error, "", "_all");
    if let Some(q) = call.get("q") {
        request.query = address_query(call, q).map_err(failed)?;
    }
    if let Some(from) = call.number("from")? {
        request.from = from;
    }
    if let Some(size) = call.number("size")? {
        request.size = size;
    }
    if let Some(sort) = call.get("sort") {
        request.sort = parse_parameter(sort).map_err(failed)?;
    }
    if let Some(text) = call.get("track_total_hits") {
        request.track_total = track_total(&Value::from(text)).map_err(failed)?;
    }
    if let Some(text) = call.get("timeout") {
        request.timeout = timeout(text).map_err(failed)?;
    }
    request.track_scores = call.bool("track_scores", request.track_scores)?;
    request.version = call.bool("version", request.version)?;
    request.seq_no = call.bool("seq_no_primary_term", request.seq_no)?;
    request.typed_keys = call.bool("typed_keys", false)?;
    request.stored_fields |= call.get("stored_fields").is_some();
    if let Some(fields) = call.list("docvalue_fields") {
        request.docvalue_fields = fields.into_iter().map(|field| Shown { field, format: None }).collect();
    }
    if let Some(filter) = source_filter(call)? {
        request.source = Some(filter);
    }
    Ok(())
}

/// `_source`, `_source_includes`, `_source_excludes`.
pub(super) fn source_filter(call: &Call) -> Result<Option<SourceFilter>, ApiError> {
    let mut filter = SourceFilter::default();
    match call.get("_source") {
        Some("false") => filter.off = true,
        Some("true" | "") | None => {}
        Some(_) => filter.includes = call.list("_source").unwrap_or_default(),
    }
    filter.includes.extend(call.list("_source_includes").unwrap_or_default());
    filter.excludes.extend(call.list("_source_excludes").unwrap_or_default());
    let given = ["_source", "_source_includes", "_source_excludes"].iter().any(|name| call.get(name).is_some());
    Ok(given.then_some(filter))
}

fn address_query(call: &Call, q: &str) -> Result<search::ast::Query, SearchError> {
    let all = match call.get("default_operator").map(str::to_ascii_lowercase).as_deref() {
        None | Some("or") => false,
        Some("and") => true,
        Some(other) => return Err(SearchError::argument(format!("Unsupported operator [{other}]"))),
    };
    let lenient = call.get("lenient").map(|text| text != "false");
    query_of_address(q, call.get("df"), all, lenient)
}

/// `_count`.
pub(super) fn count(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.view();
    let expression = call.path.first().map(String::as_str);
    let streams = resolve(&view, expression, Options::of(call)?)?;
    let text = call.text()?;
    let failed = |error| ApiError::search(error, text, &of(&streams, expression));
    let mut request = Request::new(now_ms());
    if let Some(body) = call.json()? {
        if let Some(key) = body.as_object().and_then(|map| map.keys().find(|key| *key != "query")) {
            return Err(failed(SearchError::parsing(format!("request does not support [{key}]"), key)));
        }
        request.read(&body).map_err(failed)?;
    }
    if let Some(q) = call.get("q") {
        request.query = address_query(call, q).map_err(failed)?;
    }
    let count = search::count(&view, &streams, &request).map_err(failed)?;
    let shards = streams.len();
    let shards = json!({"total": shards, "successful": shards, "skipped": 0, "failed": 0});
    Ok(Reply::new(200, &json!({"count": count, "_shards": shards})))
}

/// `_msearch`: a line that says where, a line that says what, and so on.
pub(super) fn msearch(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let started = Instant::now();
    let view = es.index.view();
    let text = call.text()?;
    if !text.ends_with('\n') {
        return Err(ApiError::argument("The msearch request must be terminated by a newline [\\n]"));
    }
    let mut lines = text.split_terminator('\n');
    let mut answers: Vec<Value> = Vec::new();
    while let Some(header) = lines.next() {
        let Some(body) = lines.next() else {
            return Err(ApiError::argument("Received a header without a body in a multi search request"));
        };
        if answers.len() == SEARCHES_MAX {
            return Err(ApiError::argument(format!("more than {SEARCHES_MAX} searches in one request")));
        }
        let header = match header.trim() {
            "" => json!({}),
            header => serde_json::from_str(header).map_err(|cause| ApiError::json(&cause))?,
        };
        answers.push(match one(call, &view, &header, body) {
            Ok(mut response) => {
                response.status = Some(200);
                serde_json::to_value(&response).unwrap_or_default()
            }
            Err(error) => json!({"error": error.error, "status": error.status}),
        });
    }
    if answers.is_empty() {
        return Err(ApiError::new(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: no requests added;",
        ));
    }
    let took = started.elapsed().as_millis() as u64;
    Ok(Reply::new(200, &json!({"took": took, "responses": answers})))
}

fn one(call: &Call, view: &View, header: &Value, body: &str) -> Result<Response, ApiError> {
    let mut options = Options::of(call)?;
    let mut expression = call.path.first().cloned();
    for (key, value) in header.as_object().into_iter().flatten() {
        let on = || value.as_bool().unwrap_or_else(|| value.as_str() == Some("true"));
        match key.as_str() {
            "index" | "indices" => {
                expression = match value {
                    Value::String(name) => Some(name.clone()),
                    Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
                    _ => expression,
                }
            }
            "ignore_unavailable" => options.ignore_unavailable = on(),
            "allow_no_indices" => options.allow_none = on(),
            "search_type"
            | "preference"
            | "routing"
            | "expand_wildcards"
            | "ignore_throttled"
            | "request_cache"
            | "allow_partial_search_results"
            | "ccs_minimize_roundtrips"
            | "type"
            | "types" => {}
            _ => {
                return Err(ApiError::argument(format!("key [{key}] is not supported in the metadata section")));
            }
        }
    }
    let streams = resolve(view, expression.as_deref(), options)?;
    let failed = |error| ApiError::search(error, body, &of(&streams, expression.as_deref()));
    let mut request = Request::new(now_ms());
    request.typed_keys = call.bool("typed_keys", false)?;
    let parsed: Value = serde_json::from_str(body).map_err(|cause| ApiError::json(&cause))?;
    request.read(&parsed).map_err(failed)?;
    let as_int = as_int(call, &mut request)?;
    run(view, &streams, &request, as_int).map_err(failed)
}
