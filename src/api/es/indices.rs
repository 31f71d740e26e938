//! Indices as such: what fields they have, made with fields, asked for.

use super::Es;
use super::error::ApiError;
use super::names::{Options, check, resolve};
use super::reply::{Call, Reply};
use crate::index::{Explicit, FieldInfo, Kind, Mapping, View};
use serde_json::{Map, Value, json};
use std::sync::Arc;

fn streams(view: &View, call: &Call) -> Result<Vec<Arc<str>>, ApiError> {
    resolve(view, call.path.first().map(String::as_str), Options::of(call)?)
}

/// `GET /{index}`.
pub(super) fn get(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.view();
    let mut body = Map::new();
    for name in streams(&view, call)? {
        let mappings = properties(&view.streams[&name]);
        let settings = json!({"index": {
            "number_of_shards": "1", "number_of_replicas": "0", "uuid": &*name, "provided_name": &*name,
            "version": {"created": "7100299"},
        }});
        body.insert(name.to_string(), json!({"aliases": {}, "mappings": mappings, "settings": settings}));
    }
    Ok(Reply::new(200, &body))
}

/// `GET /{index}/_mapping`.
pub(super) fn get_mapping(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.view();
    let mut body = Map::new();
    for name in streams(&view, call)? {
        body.insert(name.to_string(), json!({"mappings": properties(&view.streams[&name])}));
    }
    Ok(Reply::new(200, &body))
}

/// A mapping as Elasticsearch shows it: objects in objects.
fn properties(mapping: &Mapping) -> Value {
    let mut root = Map::new();
    for info in mapping.fields().iter().filter(|info| info.of.is_none()) {
        let mut below = &mut root;
        let mut parts = info.path.split('.').peekable();
        while let Some(part) = parts.next() {
            let entry = below.entry(part).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(object) = entry else { break };
            if parts.peek().is_none() {
                object.extend(one(info, mapping));
                break;
            }
            let inner = object.entry("properties").or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else { break };
            below = inner;
        }
    }
    match root.is_empty() {
        true => json!({}),
        false => json!({"properties": root}),
    }
}

fn one(info: &FieldInfo, mapping: &Mapping) -> Map<String, Value> {
    let mut field = Map::new();
    field.insert("type".to_owned(), info.es_type().into());
    let mut fields = Map::new();
    if info.kind == Kind::Keyword && info.explicit.is_none() {
        fields.insert("keyword".to_owned(), json!({"type": "keyword", "ignore_above": 256}));
    }
    for sub in mapping.sub_fields(&info.path) {
        let name = sub.path.rsplit('.').next().unwrap_or_default();
        fields.insert(name.to_owned(), json!({"type": sub.es_type()}));
    }
    if !fields.is_empty() {
        field.insert("fields".to_owned(), Value::Object(fields));
    }
    field
}

/// `PUT /{index}`.
pub(super) fn create(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let name = &call.path[0];
    check(name)?;
    if es.index.view().streams.contains_key(name.as_str()) {
        let mut error =
            ApiError::new(400, "resource_already_exists_exception", format!("index [{name}/{name}] already exists"));
        error.error["index"] = name.as_str().into();
        error.error["index_uuid"] = name.as_str().into();
        return Err(error);
    }
    let body = call.json()?.unwrap_or_default();
    for key in body.as_object().into_iter().flatten().map(|(key, _)| key) {
        if !matches!(key.as_str(), "mappings" | "settings" | "aliases") {
            return Err(ApiError::new(400, "parse_exception", format!("unknown key [{key}] for create index")));
        }
    }
    put(es, name, body.get("mappings").unwrap_or(&Value::Null))?;
    Ok(Reply::new(200, &json!({"acknowledged": true, "shards_acknowledged": true, "index": name})))
}

/// `PUT /{index}/_mapping`.
pub(super) fn put_mapping(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.view();
    let Some(body) = call.json()? else {
        return Err(ApiError::new(400, "parse_exception", "request body is required"));
    };
    for name in streams(&view, call)? {
        put(es, &name, &body)?;
    }
    Ok(Reply::new(200, &json!({"acknowledged": true})))
}

fn put(es: &Es, name: &str, mappings: &Value) -> Result<(), ApiError> {
    let mut fields = Vec::new();
    collect(mappings, "", &mut fields)?;
    es.index.put_mapping(name, &fields).map_err(ApiError::argument)
}

/// The fields of a mapping by their paths.
fn collect(mappings: &Value, above: &str, fields: &mut Vec<(String, Explicit)>) -> Result<(), ApiError> {
    let properties = mappings.get("properties").and_then(Value::as_object);
    for (name, field) in properties.into_iter().flatten() {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match field.get("type").and_then(Value::as_str) {
            None | Some("object" | "nested") => collect(field, &path, fields)?,
            Some(kind) => match Explicit::from_name(kind) {
                Some(explicit) => fields.push((path, explicit)),
                None => {
                    return Err(ApiError::new(
                        400,
                        "mapper_parsing_exception",
                        format!("No handler for type [{kind}] declared on field [{name}]"),
                    ));
                }
            },
        }
    }
    Ok(())
}

/// `_refresh`: what was written is found by the next search.
pub(super) fn refresh(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.refresh();
    let shards = streams(&view, call)?.len();
    Ok(Reply::new(200, &json!({"_shards": {"total": shards, "successful": shards, "failed": 0}})))
}
