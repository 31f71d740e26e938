//! `_bulk`: many documents at once. Each succeeds or fails alone; a malformed action line fails
//! the request.

use super::error::ApiError;
use super::reply::{Call, Reply};
use super::{Es, names};
use crate::event::json::{Decoded, Parser};
use crate::event::{Batch, EventId, FieldId, Span, Timestamp, Value as EventValue};
use crate::index::{BulkItem, BulkOutcome};
use crate::search::date_math::{self, Reading};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Instant;

/// The action, and what became of it.
pub(super) type Outcome = (&'static str, Map<String, Value>);

/// One document to write, or why it can't be.
pub(super) struct Item {
    pub action: &'static str,
    pub index: String,
    pub id: Option<String>,
    pub document: Result<(EventId, Span), ItemError>,
}

/// Why one document can't be written.
pub(super) struct ItemError {
    pub status: u16,
    pub error: Value,
}

impl ItemError {
    fn new(status: u16, kind: &str, reason: impl Into<String>) -> ItemError {
        ItemError { status, error: json!({"type": kind, "reason": reason.into()}) }
    }
}

/// `_bulk`.
pub(super) fn bulk(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let started = Instant::now();
    if call.body.is_empty() {
        return Err(ApiError::new(400, "parse_exception", "request body is required"));
    }
    if call.body.last() != Some(&b'\n') {
        return Err(ApiError::argument("The bulk request must be terminated by a newline [\\n]"));
    }
    let mut batch = Batch::new();
    let items = read(&mut batch, call)?;
    if items.is_empty() {
        return Err(ApiError::new(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: no requests added;",
        ));
    }
    let results = write(es, batch, items)?;
    let errors = results.iter().any(|(_, result)| result.get("error").is_some());
    let items: Vec<Value> = results.into_iter().map(|(action, result)| json!({action: result})).collect();
    let took = started.elapsed().as_millis() as u64;
    Ok(Reply::new(200, &json!({"took": took, "errors": errors, "items": items})))
}

/// Reads the lines of a body into a batch.
fn read(batch: &mut Batch, call: &Call) -> Result<Vec<Item>, ApiError> {
    let body = batch.push_bytes(&call.body);
    let default_index = call.path.first().map(String::as_str);
    let mut parser = Parser::default();
    let mut items = Vec::new();
    let (mut at, mut number) = (0, 0);
    let line = |at: &mut usize| -> Option<(usize, usize)> {
        let rest = call.body.get(*at..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let found = (*at, *at + len);
        *at += len + 1;
        Some(found)
    };
    while let Some((start, end)) = line(&mut at) {
        number += 1;
        let text = &call.body[start..end];
        if text.trim_ascii().is_empty() {
            continue;
        }
        let (action, meta) = action(text, number)?;
        let source = if action == "delete" { None } else { line(&mut at) };
        number += usize::from(source.is_some());
        let index = meta.get("_index").and_then(Value::as_str).or(default_index);
        let id = match meta.get("_id") {
            Some(Value::String(id)) => Some(id.clone()),
            Some(Value::Number(id)) => Some(id.to_string()),
            _ => None,
        };
        let Some(index) = index else {
            return Err(ApiError::new(
                400,
                "action_request_validation_exception",
                "Validation Failed: 1: index is missing;",
            ));
        };
        let document = match (action, source) {
            ("update" | "delete", _) => Err(ItemError::new(
                400,
                "illegal_argument_exception",
                format!("[{action}] is not supported: streams only grow"),
            )),
            (_, None) => {
                return Err(ApiError::argument(format!(
                    "Malformed action/metadata line [{number}]: no source behind it"
                )));
            }
            (_, Some((start, end))) => document(batch, &mut parser, body.slice(start, end)),
        };
        items.push(Item { action, index: index.to_owned(), id, document });
    }
    Ok(items)
}

/// The action of a line and what it says of it.
fn action(line: &[u8], number: usize) -> Result<(&'static str, Map<String, Value>), ApiError> {
    let malformed = |what: &str| {
        ApiError::argument(format!(
            "Malformed action/metadata line [{number}], expected START_OBJECT or END_OBJECT but found [{what}]"
        ))
    };
    let value: Value = serde_json::from_slice(line).map_err(|cause| ApiError::json(&cause))?;
    let Value::Object(map) = value else { return Err(malformed("VALUE")) };
    let mut entries = map.into_iter();
    let (Some((name, meta)), None) = (entries.next(), entries.next()) else { return Err(malformed("FIELD_NAME")) };
    let Some(action) = ["index", "create", "update", "delete"].into_iter().find(|known| *known == name) else {
        return Err(ApiError::argument(format!(
            "Malformed action/metadata line [{number}], expected field [create], [delete], [index] or [update] but found [{name}]"
        )));
    };
    let Value::Object(meta) = meta else { return Err(malformed("VALUE")) };
    const KNOWN: [&str; 13] = [
        "_index",
        "_type",
        "_id",
        "routing",
        "_routing",
        "pipeline",
        "version",
        "version_type",
        "if_seq_no",
        "if_primary_term",
        "op_type",
        "require_alias",
        "retry_on_conflict",
    ];
    if let Some(key) = meta.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Err(ApiError::argument(format!(
            "Action/metadata line [{number}] contains an unknown parameter [{key}]"
        )));
    }
    Ok((action, meta))
}

/// Decodes a document that lies in the batch.
pub(super) fn document(batch: &mut Batch, parser: &mut Parser, span: Span) -> Result<(EventId, Span), ItemError> {
    let failed = |cause: String| {
        let mut error = ItemError::new(400, "mapper_parsing_exception", "failed to parse");
        error.error["caused_by"] = json!({"type": "json_parse_exception", "reason": cause});
        error
    };
    match parser.parse_event(batch, span) {
        Ok(Decoded::Event(event)) => {
            read_time(batch, event);
            // Without the blanks around it, as it comes back.
            let bytes = batch.bytes(span);
            let start = bytes.len() - bytes.trim_ascii_start().len();
            let end = start + bytes.trim_ascii().len();
            Ok((event, span.slice(start, end)))
        }
        Ok(_) => Err(failed("the document is no object".to_owned())),
        Err(cause) => Err(failed(cause.to_string())),
    }
}

/// Elasticsearch reads more as dates than Logstash does: milliseconds, days.
fn read_time(batch: &mut Batch, event: EventId) {
    if batch.timestamp(event).is_some() {
        return;
    }
    let moved = FieldId::intern("_@timestamp");
    let nanos = match batch.get_key(event, moved) {
        Some(EventValue::Int(ms)) => ms.checked_mul(1_000_000),
        Some(EventValue::Str(span)) => {
            let zone = jiff::tz::TimeZone::UTC;
            let reading = Reading { format: None, zone: &zone, up: false, now_ms: 0 };
            let text = batch.text(span);
            (!text.starts_with("now")).then(|| date_math::parse(text, &reading).ok()).flatten()
        }
        _ => None,
    };
    let Some(nanos) = nanos else { return };
    let seconds = nanos.div_euclid(1_000_000_000);
    let at = Timestamp::new(seconds, nanos.rem_euclid(1_000_000_000) as u32);
    batch.set_key(event, FieldId::TIMESTAMP, EventValue::Time(at));
    batch.remove_key(event, moved);
    // The decoder's mark of the failure that is none here.
    if let Some(EventValue::Array(tags)) = batch.get_key(event, FieldId::TAGS)
        && let [only] = batch.entries(tags)
        && batch.as_text(only.value) == Some("_timestampparsefailure")
    {
        batch.remove_key(event, FieldId::TAGS);
    }
}

/// Writes what can be written; what became of each item, in order.
pub(super) fn write(es: &Es, batch: Batch, items: Vec<Item>) -> Result<Vec<Outcome>, ApiError> {
    let mut results: Vec<Outcome> = Vec::with_capacity(items.len());
    let (mut rows, mut places) = (Vec::new(), Vec::new());
    for item in items {
        let named = names::check(&item.index).map_err(|error| ItemError { status: error.status, error: error.error });
        match item.document.and_then(|document| named.map(|()| document)) {
            Ok((event, source)) => {
                places.push(results.len());
                let stream: Arc<str> = item.index.as_str().into();
                rows.push(BulkItem { stream, event, source, id: item.id });
                results.push((item.action, head(&item.index, None)));
            }
            Err(error) => {
                let mut result = head(&item.index, item.id.as_deref());
                result.insert("status".to_owned(), error.status.into());
                result.insert("error".to_owned(), error.error);
                results.push((item.action, result));
            }
        }
    }
    if rows.is_empty() {
        return Ok(results);
    }
    for (outcome, place) in es.index.bulk(batch, rows)?.into_iter().zip(places) {
        show(outcome, &mut results[place].1);
    }
    Ok(results)
}

fn head(index: &str, id: Option<&str>) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("_index".to_owned(), index.into());
    head.insert("_type".to_owned(), "_doc".into());
    head.insert("_id".to_owned(), id.into());
    head
}

fn show(outcome: BulkOutcome, result: &mut Map<String, Value>) {
    let index = result["_index"].clone();
    let more = match outcome {
        BulkOutcome::Created { id, seq } => json!({
            "_id": id,
            "_version": 1,
            "result": "created",
            "_shards": {"total": 1, "successful": 1, "failed": 0},
            "_seq_no": seq,
            "_primary_term": 1,
            "status": 201,
        }),
        BulkOutcome::Conflict { id } => json!({
            "_id": id,
            "status": 409,
            "error": {
                "type": "version_conflict_engine_exception",
                "reason": format!("[{id}]: version conflict, document already exists (current version [1])"),
                "index_uuid": index,
                "shard": "0",
                "index": index,
            },
        }),
        BulkOutcome::Rejected { kind, reason, cause } => {
            let mut error = json!({"type": kind, "reason": reason});
            if let Some((kind, reason)) = cause {
                error["caused_by"] = json!({"type": kind, "reason": reason});
            }
            json!({"status": 400, "error": error})
        }
    };
    if let Value::Object(more) = more {
        result.extend(more);
    }
}
