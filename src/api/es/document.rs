//! One document: written, or read by its id.

use super::bulk::{self, Item};
use super::error::ApiError;
use super::names::{Options, resolve};
use super::reply::{Call, Reply};
use super::search::source_filter;
use super::{Es, now_ms};
use crate::event::Batch;
use crate::event::json::Parser;
use crate::search::ast::Query;
use crate::search::{self, Request};
use serde_json::{Value, json};

/// `POST /{index}/_doc`, `PUT /{index}/_doc/{id}`.
pub(super) fn write(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    if call.body.is_empty() {
        return Err(ApiError::new(400, "parse_exception", "request body is required"));
    }
    let index = call.path[0].clone();
    super::names::check(&index)?;
    let mut batch = Batch::new();
    let span = batch.push_bytes(&call.body);
    let document = bulk::document(&mut batch, &mut Parser::default(), span);
    let item = Item { action: "index", index, id: call.path.get(1).cloned(), document };
    let mut results = bulk::write(es, batch, vec![item])?;
    let Some((_, mut result)) = results.pop() else { return Ok(Reply::empty(500)) };
    let status = result.remove("status").and_then(|status| status.as_u64()).unwrap_or(500) as u16;
    match result.remove("error") {
        Some(cause) => {
            let mut error = json!({"root_cause": [cause]});
            if let (Value::Object(error), Value::Object(cause)) = (&mut error, cause) {
                error.extend(cause);
            }
            Err(ApiError { status, error, allow: None })
        }
        None => Ok(Reply::new(status, &result)),
    }
}

/// `PUT /{index}/_create/{id}`: what exists is never replaced, so this is the same.
pub(super) fn create(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    write(es, call)
}

/// `GET /{index}/_doc/{id}`.
pub(super) fn read(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.refresh();
    let (index, id) = (&call.path[0], &call.path[1]);
    let streams = resolve(&view, Some(index), Options { ignore_unavailable: false, allow_none: true })?;
    let mut request = Request::new(now_ms());
    request.query = Query::Ids(vec![id.clone()]);
    request.size = 1;
    request.version = true;
    request.seq_no = true;
    request.source = source_filter(call)?;
    let response = search::search(&view, &streams, &request).map_err(|error| ApiError::search(error, "", index))?;
    match response.into_document() {
        Some(document) => Ok(Reply::new(200, &document)),
        None => Ok(Reply::new(404, &json!({"_index": index, "_type": "_doc", "_id": id, "found": false}))),
    }
}
