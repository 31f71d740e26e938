//! The search's journey: request → prune → run → merge → response.
//!
//! No HTTP and no search library here: `api` reads requests and writes answers, `index` knows how
//! a query becomes documents. The time is an argument.

pub mod aggregation;
pub mod ast;
pub mod date_math;
pub mod error;
pub mod number;
pub mod pattern;
pub mod query;
pub mod query_string;
pub mod request;
pub mod response;
pub mod sort;
pub mod source;

use crate::index::View;
use crate::index::engine::{self, Plan, Unit};
pub use error::SearchError;
use jiff::tz::TimeZone;
pub use request::Request;
pub use response::{Found, Response};
use serde_json::Value;
use sort::{By, SortKey, SortValue};
use std::sync::Arc;

/// A document that is shown.
pub struct Hit {
    /// The stream.
    pub index: Arc<str>,
    /// The id.
    pub id: String,
    /// The score, where scores decide.
    pub score: Option<f32>,
    /// The sort values.
    pub sort: Vec<SortValue>,
    /// The document's bytes.
    pub source: Vec<u8>,
    /// The document's number.
    pub seq: u64,
    /// `docvalue_fields`.
    pub columns: Vec<(String, Vec<ColumnValue>)>,
}

/// A value of a column, for `docvalue_fields`.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValue {
    /// A string.
    Str(String),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Nanoseconds since 1970.
    Date(i64),
}

impl ColumnValue {
    /// As it stands in an answer.
    pub fn json(&self, format: Option<&str>) -> Value {
        match self {
            ColumnValue::Str(text) => Value::String(text.clone()),
            ColumnValue::Int(n) => Value::from(*n),
            ColumnValue::Float(x) => number::json(*x),
            ColumnValue::Bool(b) => Value::from(*b),
            ColumnValue::Date(nanos) => Value::String(date_math::format(*nanos, format, &TimeZone::UTC)),
        }
    }
}

/// Searches some streams of a view.
pub fn search(view: &View, streams: &[Arc<str>], request: &Request) -> Result<Response, SearchError> {
    request.check()?;
    let plan = plan(view, streams, request)?;
    let units = prune(view, streams, request)?;
    let gathered = engine::run(view, &units, &plan)?;
    let found = engine::merge(view, gathered, &plan, streams.len())?;
    respond(request, found)
}

/// How many documents match.
pub fn count(view: &View, streams: &[Arc<str>], request: &Request) -> Result<u64, SearchError> {
    let counting = Request { size: 0, track_total: request::TrackTotal::Exact, ..Request::new(request.now_ms) };
    let plan = Plan { query: &request.query, ..plan(view, streams, &counting)? };
    let units = prune(view, streams, request)?;
    let gathered = engine::run(view, &units, &plan)?;
    Ok(engine::merge(view, gathered, &plan, streams.len())?.total)
}

/// What the engine has to do, with what only the streams' fields tell.
fn plan<'a>(view: &View, streams: &[Arc<str>], request: &'a Request) -> Result<Plan<'a>, SearchError> {
    let mappings = || streams.iter().filter_map(|stream| view.streams.get(stream));
    for key in &request.sort {
        let By::Field(field) = &key.by else { continue };
        let known = mappings().any(|mapping| engine::knows(mapping, field));
        if !known && !key.unmapped && !streams.is_empty() {
            return Err(SearchError::query(format!("No mapping found for [{field}] in order to sort on"), None));
        }
    }
    let mut after = request.after.clone();
    if let Some(values) = &mut after {
        let is_date = |field: &str| mappings().any(|mapping| engine::is_date(mapping, field));
        sort::read_dates(values, &request.sort, is_date, request.now_ms);
    }
    let sort = if request.sort.is_empty() { vec![SortKey::score()] } else { request.sort.clone() };
    Ok(Plan { request, query: &request.query, sort, after })
}

/// The partitions that can have matches: of these streams, and not outside the query's time.
/// What a level excludes shows in a partition's dictionaries, before any row is looked at.
fn prune(view: &View, streams: &[Arc<str>], request: &Request) -> Result<Vec<Unit>, SearchError> {
    let mut ranges = Vec::new();
    request.query.ranges("@timestamp", &mut ranges);
    let (mut low, mut high) = (i64::MIN, i64::MAX);
    for range in ranges {
        match engine::times(range, request.now_ms)? {
            Some((from, to)) => (low, high) = (low.max(from.div_euclid(1_000_000)), high.min(to.div_euclid(1_000_000))),
            None => (low, high) = (i64::MAX, i64::MIN),
        }
    }
    let inside = |at: &usize| {
        let partition = &view.partitions[*at];
        streams.contains(&partition.stream) && partition.min_time <= high && partition.max_time >= low
    };
    engine::units(view, (0..view.partitions.len()).filter(inside))
}

fn respond(request: &Request, mut found: Found) -> Result<Response, SearchError> {
    let partials = std::mem::take(&mut found.partials);
    let aggregations = match request.aggregations.is_empty() || found.shards == 0 {
        true => None,
        false => Some(aggregation::render(&request.aggregations, partials, request.typed_keys, request.now_ms)?),
    };
    Ok(Response::new(request, found, aggregations))
}
