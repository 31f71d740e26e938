//! `_field_caps`: which fields there are, of which type, and what can be done with them.

use super::Es;
use super::error::ApiError;
use super::names::{Options, resolve};
use super::reply::{Call, Reply};
use crate::index::{FieldInfo, Kind};
use crate::search::pattern::like;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Fields that every document has: type, searchable, aggregatable.
const METADATA: [(&str, &str, bool, bool); 10] = [
    ("_field_names", "_field_names", true, false),
    ("_id", "_id", true, true),
    ("_ignored", "_ignored", true, false),
    ("_index", "_index", true, true),
    ("_nested_path", "_nested_path", true, false),
    ("_routing", "_routing", true, false),
    ("_seq_no", "_seq_no", true, true),
    ("_source", "_source", false, false),
    ("_type", "_type", true, true),
    ("_version", "_version", false, true),
];

struct Capability {
    searchable: bool,
    aggregatable: bool,
    indices: Vec<Arc<str>>,
}

type Fields = BTreeMap<String, BTreeMap<&'static str, Capability>>;

/// `_field_caps`.
pub(super) fn field_caps(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.view();
    let streams = resolve(&view, call.path.first().map(String::as_str), Options::of(call)?)?;
    let mut patterns = call.list("fields").unwrap_or_default();
    if let Some(Value::Array(list)) = call.json()?.as_ref().and_then(|body| body.get("fields")) {
        patterns.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    if patterns.is_empty() {
        return Err(ApiError::new(
            400,
            "action_request_validation_exception",
            "Validation Failed: 1: no fields specified;",
        ));
    }
    let wanted = |name: &str| patterns.iter().any(|pattern| like(pattern, name));
    let mut fields: Fields = BTreeMap::new();
    for stream in &streams {
        let mut add = |name: &str, kind: &'static str, searchable: bool, aggregatable: bool| {
            if wanted(name) {
                let kinds = fields.entry(name.to_owned()).or_default();
                let new = || Capability { searchable, aggregatable, indices: Vec::new() };
                kinds.entry(kind).or_insert_with(new).indices.push(stream.clone());
            }
        };
        for (name, kind, searchable, aggregatable) in METADATA {
            add(name, kind, searchable, aggregatable);
        }
        let mapping = &view.streams[stream];
        let mut objects: Vec<&str> = Vec::new();
        for info in mapping.fields() {
            add_field(info, &mut add);
            if info.of.is_none() {
                objects.extend(info.path.match_indices('.').map(|(at, _)| &info.path[..at]));
            }
        }
        objects.sort_unstable();
        objects.dedup();
        for object in objects.into_iter().filter(|path| mapping.get(path).is_none()) {
            add(object, "object", false, false);
        }
    }
    let names: Vec<&str> = streams.iter().map(|name| &**name).collect();
    Ok(Reply::new(200, &json!({"indices": names, "fields": show(&fields)})))
}

fn add_field(info: &FieldInfo, add: &mut impl FnMut(&str, &'static str, bool, bool)) {
    let kind = info.es_type();
    add(&info.path, kind, true, kind != "text");
    if info.kind == Kind::Keyword && info.explicit.is_none() && info.of.is_none() {
        add(&format!("{}.keyword", info.path), "keyword", true, true);
    }
}

fn show(fields: &Fields) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, kinds) in fields {
        let mut shown = Map::new();
        for (kind, capability) in kinds {
            let mut object = json!({
                "type": kind,
                "searchable": capability.searchable,
                "aggregatable": capability.aggregatable,
            });
            if kinds.len() > 1 {
                let indices: Vec<&str> = capability.indices.iter().map(|name| &**name).collect();
                object["indices"] = json!(indices);
            }
            shown.insert((*kind).to_owned(), object);
        }
        out.insert(name.clone(), Value::Object(shown));
    }
    out
}
