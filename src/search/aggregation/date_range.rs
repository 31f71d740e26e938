//! `date_range`: one bucket per range of dates, with date math; `from` included and `to` not.

use super::{Collect, Key, Kind, Options, Partial, Rendering, Shape};
use crate::search::ast::{Query, Range, Scalar, Test};
use crate::search::date_math::{self, Reading};
use crate::search::error::SearchError;
use crate::search::number;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "date_range", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&["field", "ranges", "keyed", "missing", "script", "format", "time_zone"])?;
    let field = options.field()?;
    let format = options.text("format");
    let zone_name = options.text("time_zone");
    let zone = date_math::zone(zone_name.as_deref().unwrap_or("UTC")).map_err(SearchError::argument)?;
    let Some(Value::Array(list)) = options.get("ranges") else { return Err(options.bad("ranges")) };
    let mut ranges = Vec::new();
    for item in list {
        let bound = |key: &str| item.get(key).and_then(crate::search::query::as_scalar);
        let key = item.get("key").and_then(Value::as_str).map(str::to_owned);
        ranges.push(One { key, from: bound("from"), to: bound("to") });
    }
    if ranges.is_empty() {
        return Err(SearchError::argument(format!("No [ranges] specified for the [{}] aggregation", options.name)));
    }
    let query = |one: &One| {
        let range = Range {
            from: one.from.clone().map(|bound| (bound, true)),
            to: one.to.clone().map(|bound| (bound, false)),
            format: format.clone(),
            zone: zone_name.clone(),
        };
        Query::on(field.clone(), Test::Range(range))
    };
    let queries = ranges.iter().map(query).collect();
    Ok(Box::new(DateRanges { ranges, queries, keyed: options.bool("keyed", false), format, zone }))
}

#[derive(Debug)]
struct One {
    key: Option<String>,
    from: Option<Scalar>,
    to: Option<Scalar>,
}

#[derive(Debug)]
struct DateRanges {
    ranges: Vec<One>,
    queries: Vec<Query>,
    keyed: bool,
    format: Option<String>,
    zone: TimeZone,
}

impl DateRanges {
    fn at(&self, bound: &Option<Scalar>, now_ms: i64) -> Result<Option<i64>, SearchError> {
        let Some(bound) = bound else { return Ok(None) };
        let reading = Reading { format: self.format.as_deref(), zone: &self.zone, up: false, now_ms };
        date_math::parse(&bound.text(), &reading).map(Some).map_err(SearchError::argument)
    }
}

impl Shape for DateRanges {
    fn collect(&self) -> Collect<'_> {
        Collect::Filters(&self.queries)
    }

    fn finish(&self, partial: Partial, context: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        let mut found = partial.buckets();
        let mut all = Vec::new();
        for (at, one) in self.ranges.iter().enumerate() {
            let bounds = [self.at(&one.from, context.now_ms)?, self.at(&one.to, context.now_ms)?];
            let text = |bound: Option<i64>| {
                bound.map_or("*".to_owned(), |at| date_math::format(at, self.format.as_deref(), &self.zone))
            };
            let key = one.key.clone().unwrap_or_else(|| format!("{}-{}", text(bounds[0]), text(bounds[1])));
            let mut object = Map::new();
            if !self.keyed {
                object.insert("key".to_owned(), key.clone().into());
            }
            for (name, bound) in ["from", "to"].into_iter().zip(bounds) {
                if let Some(nanos) = bound {
                    object.insert(name.to_owned(), number::json((nanos / 1_000_000) as f64));
                    object.insert(format!("{name}_as_string"), text(bound).into());
                }
            }
            object.extend(context.bucket(found.remove(&Key::Slot(at as u32)).unwrap_or_default())?);
            all.push((bounds[0].unwrap_or(i64::MIN), bounds[1].unwrap_or(i64::MAX), key, object));
        }
        all.sort_by_key(|(from, to, ..)| (*from, *to));
        let buckets = match self.keyed {
            true => Value::Object(all.into_iter().map(|(.., key, object)| (key, Value::Object(object))).collect()),
            false => Value::Array(all.into_iter().map(|(.., object)| Value::Object(object)).collect()),
        };
        Ok(Map::from_iter([("buckets".to_owned(), buckets)]))
    }

    fn typed(&self, _: &Partial) -> &'static str {
        "date_range"
    }
}
