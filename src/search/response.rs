//! The answer to a search, as JSON. `_source` goes out as the bytes that it is.

use super::aggregation::Partial;
use super::request::{Request, Shown, TrackTotal};
use super::sort::SortKey;
use super::source::{SourceFilter, leaves};
use super::{Hit, date_math, number, pattern};
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// What was found.
pub struct Found {
    /// How many match.
    pub total: u64,
    /// The page of hits.
    pub hits: Vec<Hit>,
    /// The best score, where scores decide.
    pub max_score: Option<f32>,
    /// What was gathered for each aggregation.
    pub partials: Vec<Partial>,
    /// Indices that were looked at.
    pub shards: usize,
    /// Time was up before all was seen.
    pub timed_out: bool,
}

/// An answer.
#[derive(Serialize)]
pub struct Response {
    /// Milliseconds that it took.
    pub took: u64,
    timed_out: bool,
    _shards: Value,
    hits: Hits,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregations: Option<Map<String, Value>>,
    /// For `_msearch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

#[derive(Serialize)]
struct Hits {
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Value>,
    max_score: Value,
    hits: Vec<Shape>,
}

#[derive(Serialize)]
struct Shape {
    _index: String,
    _type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    _id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    _version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    _seq_no: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    _primary_term: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    _score: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    _source: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort: Option<Vec<Value>>,
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    hit: Shape,
    found: bool,
}

impl Response {
    /// The answer to a request.
    pub fn new(request: &Request, found: Found, aggregations: Option<Map<String, Value>>) -> Response {
        let total = match request.track_total {
            TrackTotal::Off => None,
            TrackTotal::UpTo(limit) if found.total > limit => Some(json!({"value": limit, "relation": "gte"})),
            _ => Some(json!({"value": found.total, "relation": "eq"})),
        };
        let max_score = match found.max_score {
            Some(score) => number::json(f64::from(score)),
            None if found.shards == 0 => json!(0.0),
            None => Value::Null,
        };
        let hits = found.hits.into_iter().map(|hit| Shape::new(request, hit)).collect();
        let shards = found.shards;
        Response {
            took: 0,
            timed_out: found.timed_out,
            _shards: json!({"total": shards, "successful": shards, "skipped": 0, "failed": 0}),
            hits: Hits { total, max_score, hits },
            aggregations,
            status: None,
        }
    }

    /// The first hit as `GET /{index}/_doc/{id}` shows it.
    pub fn into_document(self) -> Option<impl Serialize> {
        let hit = self.hits.hits.into_iter().next()?;
        Some(Document { found: true, hit: Shape { _score: None, ..hit } })
    }

    /// `rest_total_hits_as_int`.
    pub fn total_as_int(&mut self) {
        if let Some(total) = &mut self.hits.total {
            *total = total["value"].clone();
        }
    }
}

impl Shape {
    fn new(request: &Request, hit: Hit) -> Shape {
        let keys: &[SortKey] = &request.sort;
        let sort = (!keys.is_empty()).then(|| keys.iter().zip(&hit.sort).map(|(key, value)| value.json(key)).collect());
        let fields = fields(request, &hit);
        let source = request.shows_source().then(|| source(request.source.as_ref(), hit.source)).flatten();
        Shape {
            _index: hit.index.to_string(),
            _type: "_doc",
            _id: (!request.no_ids).then_some(hit.id),
            _version: request.version.then_some(1),
            _seq_no: request.seq_no.then_some(hit.seq),
            _primary_term: request.seq_no.then_some(1),
            _score: Some(hit.score.map_or(Value::Null, score)),
            _source: source,
            fields: (!fields.is_empty()).then_some(fields),
            sort,
        }
    }
}

/// A score: as short as a 32-bit number can be written.
fn score(score: f32) -> Value {
    let mut buffer = ryu::Buffer::new();
    buffer.format(score).parse().map_or(Value::Null, number::json)
}

fn source(filter: Option<&SourceFilter>, bytes: Vec<u8>) -> Option<Box<RawValue>> {
    let text = String::from_utf8(bytes).ok()?;
    match filter {
        Some(filter) if !filter.is_all() => {
            let source: Value = serde_json::from_str(&text).ok()?;
            serde_json::value::to_raw_value(&filter.apply(&source)).ok()
        }
        _ => RawValue::from_string(text).ok(),
    }
}

fn fields(request: &Request, hit: &Hit) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, values) in &hit.columns {
        let shown = request.docvalue_fields.iter().find(|shown| pattern::like(&shown.field, name));
        let format = shown.and_then(|shown| shown.format.as_deref());
        let values = values.iter().map(|value| value.json(format)).collect();
        out.insert(name.clone(), Value::Array(values));
    }
    if !request.fields.is_empty()
        && let Ok(source) = serde_json::from_slice::<Value>(&hit.source)
    {
        leaves(&source, "", &mut |path, leaf| {
            let like = |shown: &&Shown| {
                pattern::like(&shown.field, path)
                    || shown.field.strip_suffix(".keyword").is_some_and(|stem| stem == path)
            };
            if let Some(shown) = request.fields.iter().find(like) {
                let name = if shown.field.contains('*') { path } else { &shown.field };
                let value = formatted(leaf, shown.format.as_deref());
                if let Value::Array(list) = out.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                    list.push(value);
                }
            }
        });
    }
    out
}

/// A date of `_source` in the format that was asked for; what is no date stays as it is.
fn formatted(leaf: &Value, format: Option<&str>) -> Value {
    let (Some(format), Some(text)) = (format, leaf.as_str()) else { return leaf.clone() };
    let zone = TimeZone::UTC;
    let reading = date_math::Reading { format: Some("strict_date_optional_time"), zone: &zone, up: false, now_ms: 0 };
    match date_math::parse(text, &reading) {
        Ok(nanos) => Value::String(date_math::format(nanos, Some(format), &zone)),
        Err(_) => leaf.clone(),
    }
}
