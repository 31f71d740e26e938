//! `range`: one bucket per range of numbers, `from` included and `to` not; they may overlap.

use super::{Collect, Key, Kind, Options, Partial, Rendering, Shape, as_number};
use crate::search::ast::{Query, Range, Scalar, Test};
use crate::search::error::SearchError;
use crate::search::number;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "range", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&["field", "ranges", "keyed", "missing", "script", "format"])?;
    let field = options.field()?;
    let Some(Value::Array(list)) = options.get("ranges") else { return Err(options.bad("ranges")) };
    let mut ranges = Vec::new();
    for item in list {
        let bound = |key: &str| match item.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => as_number(value).map(Some).ok_or_else(|| options.bad(key)),
        };
        let key = item.get("key").and_then(Value::as_str).map(str::to_owned);
        ranges.push((key, bound("from")?, bound("to")?));
    }
    if ranges.is_empty() {
        return Err(SearchError::argument(format!("No [ranges] specified for the [{}] aggregation", options.name)));
    }
    ranges.sort_by(|a, b| {
        let low = |x: &(_, Option<f64>, _)| x.1.unwrap_or(f64::NEG_INFINITY);
        let high = |x: &(_, _, Option<f64>)| x.2.unwrap_or(f64::INFINITY);
        low(a).total_cmp(&low(b)).then(high(a).total_cmp(&high(b)))
    });
    let query = |(_, from, to): &(_, Option<f64>, Option<f64>)| {
        let bound = |value: Option<f64>, inclusive| value.map(|value| (Scalar::Float(value), inclusive));
        let range = Range { from: bound(*from, true), to: bound(*to, false), ..Range::default() };
        Query::on(field.clone(), Test::Range(range))
    };
    let queries = ranges.iter().map(query).collect();
    Ok(Box::new(Ranges { queries, ranges, keyed: options.bool("keyed", false) }))
}

#[derive(Debug)]
struct Ranges {
    ranges: Vec<(Option<String>, Option<f64>, Option<f64>)>,
    queries: Vec<Query>,
    keyed: bool,
}

impl Shape for Ranges {
    fn collect(&self) -> Collect<'_> {
        Collect::Filters(&self.queries)
    }

    fn finish(&self, partial: Partial, context: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        let mut found = partial.buckets();
        let (mut keyed, mut listed) = (Map::new(), Vec::new());
        for (at, (key, from, to)) in self.ranges.iter().enumerate() {
            let text = |bound: &Option<f64>| bound.map_or("*".to_owned(), number::double);
            let key = key.clone().unwrap_or_else(|| format!("{}-{}", text(from), text(to)));
            let mut object = Map::new();
            if !self.keyed {
                object.insert("key".to_owned(), key.clone().into());
            }
            for (name, bound) in [("from", from), ("to", to)] {
                if let Some(bound) = bound {
                    object.insert(name.to_owned(), number::json(*bound));
                }
            }
            object.extend(context.bucket(found.remove(&Key::Slot(at as u32)).unwrap_or_default())?);
            if self.keyed {
                keyed.insert(key, Value::Object(object));
            } else {
                listed.push(Value::Object(object));
            }
        }
        let buckets = if self.keyed { Value::Object(keyed) } else { Value::Array(listed) };
        Ok(Map::from_iter([("buckets".to_owned(), buckets)]))
    }

    fn typed(&self, _: &Partial) -> &'static str {
        "range"
    }
}
