//! A search as it is asked: the body of `_search` and `_count`, read key by key.

use super::aggregation::{self, Aggregation};
use super::ast::Query;
use super::error::SearchError;
use super::query;
use super::query_string::Reading;
use super::sort::{self, SortKey, SortValue};
use super::source::SourceFilter;
use serde_json::Value;
use std::time::Duration;

/// Hits that a page may reach to, as `index.max_result_window`.
pub const WINDOW_MAX: usize = 10_000;

/// How far hits are counted where nobody says.
pub const TOTAL_DEFAULT: u64 = 10_000;

/// How far hits are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrackTotal {
    /// All of them.
    Exact,
    /// Up to so many.
    UpTo(u64),
    /// Not at all: no total in the answer.
    Off,
}

/// A field to show with each hit.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Its name or a pattern.
    pub field: String,
    /// How dates are written.
    pub format: Option<String>,
}

/// A search.
#[derive(Debug)]
pub struct Request {
    /// What matches.
    pub query: Query,
    /// What of that is shown as hits; aggregations see all.
    pub post_filter: Option<Query>,
    /// The first hit shown.
    pub from: usize,
    /// How many are shown.
    pub size: usize,
    /// The order of hits; empty for the best first.
    pub sort: Vec<SortKey>,
    /// Hits shown are strictly behind these values.
    pub after: Option<Vec<SortValue>>,
    /// Aggregations.
    pub aggregations: Vec<Aggregation>,
    /// `_source`; none where it was not asked for.
    pub source: Option<SourceFilter>,
    /// `docvalue_fields`.
    pub docvalue_fields: Vec<Shown>,
    /// `fields`.
    pub fields: Vec<Shown>,
    /// `stored_fields` was given: no `_source` unless that is asked for, too.
    pub stored_fields: bool,
    /// `stored_fields: _none_`.
    pub no_ids: bool,
    /// How far hits are counted.
    pub track_total: TrackTotal,
    /// Scores are shown even where they don't decide the order.
    pub track_scores: bool,
    /// `version`.
    pub version: bool,
    /// `seq_no_primary_term`.
    pub seq_no: bool,
    /// Only hits with this score.
    pub min_score: Option<f32>,
    /// Stop after so long.
    pub timeout: Option<Duration>,
    /// `typed_keys`.
    pub typed_keys: bool,
    /// Milliseconds since 1970 now.
    pub now_ms: i64,
}

impl Request {
    /// Everything, ten hits.
    pub fn new(now_ms: i64) -> Request {
        Request {
            query: Query::All,
            post_filter: None,
            from: 0,
            size: 10,
            sort: Vec::new(),
            after: None,
            aggregations: Vec::new(),
            source: None,
            docvalue_fields: Vec::new(),
            fields: Vec::new(),
            stored_fields: false,
            no_ids: false,
            track_total: TrackTotal::UpTo(TOTAL_DEFAULT),
            track_scores: false,
            version: false,
            seq_no: false,
            min_score: None,
            timeout: None,
            typed_keys: false,
            now_ms,
        }
    }

    /// Reads a body.
    pub fn read(&mut self, body: &Value) -> Result<(), SearchError> {
        let Some(map) = body.as_object() else {
            return Err(SearchError::parsing("Expected [START_OBJECT] but found [VALUE]", ""));
        };
        for (key, value) in map {
            match key.as_str() {
                "query" => self.query = query::parse(value)?,
                "post_filter" => self.post_filter = Some(query::parse(value)?),
                "from" => self.from = self.whole(key, value)?,
                "size" => self.size = self.whole(key, value)?,
                "sort" => self.sort = sort::parse(value)?,
                "aggs" | "aggregations" => self.aggregations = aggregation::parse(value)?,
                "_source" => self.source = Some(SourceFilter::parse(value)?),
                "docvalue_fields" => self.docvalue_fields = shown(key, value)?,
                "fields" => self.fields = shown(key, value)?,
                "stored_fields" => {
                    self.stored_fields = true;
                    self.no_ids = value.as_str() == Some("_none_");
                }
                "track_total_hits" => self.track_total = track_total(value)?,
                "track_scores" => self.track_scores = truth(key, value)?,
                "version" => self.version = truth(key, value)?,
                "seq_no_primary_term" => self.seq_no = truth(key, value)?,
                "min_score" => self.min_score = value.as_f64().map(|x| x as f32),
                "timeout" => {
                    let text = value.as_str().unwrap_or_default();
                    self.timeout = timeout(text)?;
                }
                // Read below, when the sort is known; or without a meaning here.
                "search_after" | "highlight" | "script_fields" | "explain" | "profile" | "terminate_after"
                | "indices_boost" | "stats" | "ext" => self.ignore(key, value)?,
                "collapse" | "rescore" | "suggest" | "pit" | "slice" => {
                    return Err(SearchError::argument(format!("[{key}] is not supported yet")));
                }
                _ => {
                    let kind = token_kind(value);
                    return Err(SearchError::parsing(format!("Unknown key for a {kind} in [{key}]."), key));
                }
            }
        }
        if let Some(after) = map.get("search_after") {
            self.after = Some(sort::parse_after(after, &self.sort)?);
        }
        Ok(())
    }

    fn ignore(&self, key: &str, value: &Value) -> Result<(), SearchError> {
        let scripts = key == "script_fields" && value.as_object().is_some_and(|map| !map.is_empty());
        if scripts {
            return Err(SearchError::argument("cannot execute [inline] scripts"));
        }
        Ok(())
    }

    fn whole(&self, key: &str, value: &Value) -> Result<usize, SearchError> {
        let number = match value {
            Value::Number(n) => n.as_i64().or_else(|| n.as_f64().map(|x| x as i64)),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(n) if n >= 0 => Ok(n as usize),
            // From −1 stands for none given.
            Some(-1) if key == "from" => Ok(0),
            Some(n) => Err(SearchError::argument(format!("[{key}] parameter cannot be negative, found [{n}]"))),
            None => Err(SearchError::parsing(format!("Failed to parse [{key}]: For input string: {value}"), key)),
        }
    }

    /// What only the whole request shows to be wrong.
    pub fn check(&self) -> Result<(), SearchError> {
        let reach = self.from.saturating_add(self.size);
        if reach > WINDOW_MAX {
            return Err(SearchError::shard(format!(
                "Result window is too large, from + size must be less than or equal to: [{WINDOW_MAX}] but was [{reach}]. \
                 See the scroll api for a more efficient way to request large data sets. This limit can be set by changing \
                 the [index.max_result_window] index level setting."
            )));
        }
        if self.after.is_some() && self.from > 0 {
            return Err(SearchError::argument("`from` parameter must be set to 0 when `search_after` is used."));
        }
        if self.after.is_some() && self.sort.is_empty() {
            return Err(SearchError::argument("Sort must contain at least one field."));
        }
        Ok(())
    }

    /// Whether `_source` is shown.
    pub fn shows_source(&self) -> bool {
        match &self.source {
            Some(filter) => !filter.off,
            None => !self.stored_fields,
        }
    }
}

/// A query of the address: `q`, `df`, `default_operator`, `lenient`, `analyze_wildcard`.
pub fn query_of_address(q: &str, df: Option<&str>, all: bool, lenient: Option<bool>) -> Result<Query, SearchError> {
    let mut reading = Reading { all, ..Reading::default() };
    if let Some(df) = df {
        reading.fields = vec![(df.to_owned(), 1.0)];
        reading.lenient = false;
    }
    reading.lenient = lenient.unwrap_or(reading.lenient);
    query::run_query_string(q, &reading)
}

/// `track_total_hits`, in a body or an address.
pub fn track_total(value: &Value) -> Result<TrackTotal, SearchError> {
    Ok(match value {
        Value::Bool(true) => TrackTotal::Exact,
        Value::Bool(false) => TrackTotal::Off,
        Value::String(text) if text == "true" || text.is_empty() => TrackTotal::Exact,
        Value::String(text) if text == "false" => TrackTotal::Off,
        value => {
            let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            match number {
                Some(n) if n >= 0 => TrackTotal::UpTo(n as u64),
                Some(-1) => TrackTotal::Off,
                Some(n) => {
                    return Err(SearchError::argument(format!(
                        "[track_total_hits] parameter must be positive or equals to -1, got {n}"
                    )));
                }
                None => {
                    return Err(SearchError::argument(format!("Failed to parse value {value} of [track_total_hits]")));
                }
            }
        }
    })
}

/// A time as `30s`; `-1` for none.
pub fn timeout(text: &str) -> Result<Option<Duration>, SearchError> {
    if text == "-1" || text == "0" {
        return Ok(None);
    }
    match aggregation::rounding::duration_ms(text) {
        Some(ms) if ms >= 0 => Ok(Some(Duration::from_millis(ms as u64))),
        _ => Err(SearchError::argument(format!(
            "failed to parse setting [timeout] with value [{text}] as a time value: unit is missing or unrecognized"
        ))),
    }
}

fn truth(key: &str, value: &Value) -> Result<bool, SearchError> {
    match value {
        Value::Bool(b) => Ok(*b),
        Value::String(s) if s == "true" => Ok(true),
        Value::String(s) if s == "false" => Ok(false),
        _ => Err(SearchError::argument(format!(
            "Failed to parse value [{value}] of [{key}] as only [true] or [false] are allowed."
        ))),
    }
}

fn shown(key: &str, value: &Value) -> Result<Vec<Shown>, SearchError> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    list.iter()
        .map(|item| {
            let (field, format) = match item {
                Value::Object(map) => (map.get("field"), map.get("format").and_then(Value::as_str)),
                other => (Some(other), None),
            };
            match field.and_then(Value::as_str) {
                Some(field) => Ok(Shown {
                    field: field.to_owned(),
                    format: format.filter(|format| *format != "use_field_mapping").map(str::to_owned),
                }),
                None => Err(SearchError::parsing(format!("[{key}] needs names of fields"), key)),
            }
        })
        .collect()
}

fn token_kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "START_OBJECT",
        Value::Array(_) => "START_ARRAY",
        Value::String(_) => "VALUE_STRING",
        Value::Number(_) => "VALUE_NUMBER",
        Value::Bool(_) => "VALUE_BOOLEAN",
        Value::Null => "VALUE_NULL",
    }
}
