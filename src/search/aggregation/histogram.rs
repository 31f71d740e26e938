//! `histogram`: one bucket per interval of numbers.

use super::order::{By, Order};
use super::stats;
use super::{BUCKETS_MAX, Bucket, Collect, Key, Kind, Options, Partial, Rendering, Shape, as_number, known};
use crate::search::error::SearchError;
use crate::search::number;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "histogram", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&known(&[
        "interval",
        "offset",
        "min_doc_count",
        "extended_bounds",
        "hard_bounds",
        "order",
        "keyed",
        "value_type",
    ]))?;
    let interval = options.number("interval")?.unwrap_or(0.0);
    if interval.is_nan() || interval <= 0.0 {
        return Err(SearchError::argument("[interval] must be >0 for histogram aggregation"));
    }
    let bounds = options.get("extended_bounds").map(|bounds| {
        let bound = |key: &str| bounds.get(key).and_then(as_number);
        (bound("min"), bound("max"))
    });
    Ok(Box::new(Histogram {
        field: options.field()?,
        missing: stats::missing(options)?,
        interval,
        offset: options.number("offset")?.unwrap_or(0.0),
        least: options.number("min_doc_count")?.unwrap_or(0.0) as u64,
        bounds: bounds.unwrap_or_default(),
        order: Order::parse(options, Order(vec![(By::Key, false)]))?,
        keyed: options.bool("keyed", false),
    }))
}

#[derive(Debug)]
struct Histogram {
    field: String,
    missing: Option<f64>,
    interval: f64,
    offset: f64,
    least: u64,
    bounds: (Option<f64>, Option<f64>),
    order: Order,
    keyed: bool,
}

impl Histogram {
    /// Adds the empty buckets between the first and the last.
    fn fill(&self, found: &mut rustc_hash::FxHashMap<Key, Bucket>) -> Result<(), SearchError> {
        let step = |value: f64| ((value - self.offset) / self.interval).floor();
        let keys = found.keys().map(Key::number).map(step);
        let (mut low, mut high) = keys.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), k| (l.min(k), h.max(k)));
        low = low.min(self.bounds.0.map_or(f64::INFINITY, step));
        high = high.max(self.bounds.1.map_or(f64::NEG_INFINITY, step));
        if high - low >= BUCKETS_MAX as f64 && high.is_finite() {
            return Err(SearchError::Buckets { limit: BUCKETS_MAX, was: (high - low) as usize + 1 });
        }
        let mut at = low;
        while at <= high {
            found.entry(Key::float(at * self.interval + self.offset)).or_default();
            at += 1.0;
        }
        Ok(())
    }
}

impl Shape for Histogram {
    fn collect(&self) -> Collect<'_> {
        let &Histogram { interval, offset, missing, .. } = self;
        Collect::Stepped { field: &self.field, interval, offset, missing }
    }

    fn finish(&self, partial: Partial, context: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        self.order.check(context.subs)?;
        let mut found = partial.buckets();
        if self.least == 0 {
            self.fill(&mut found)?;
        }
        let mut all: Vec<_> = found.into_iter().filter(|(_, bucket)| bucket.count >= self.least).collect();
        all.sort_by(|a, b| self.order.compare((&a.0, &a.1), (&b.0, &b.1), context.subs));
        if all.len() > BUCKETS_MAX {
            return Err(SearchError::Buckets { limit: BUCKETS_MAX, was: all.len() });
        }
        let (mut keyed, mut listed) = (Map::new(), Vec::new());
        for (key, bucket) in all {
            let mut object = Map::from_iter([("key".to_owned(), key.json())]);
            object.extend(context.bucket(bucket)?);
            if self.keyed {
                keyed.insert(number::double(key.number()), Value::Object(object));
            } else {
                listed.push(Value::Object(object));
            }
        }
        let buckets = if self.keyed { Value::Object(keyed) } else { Value::Array(listed) };
        Ok(Map::from_iter([("buckets".to_owned(), buckets)]))
    }

    fn typed(&self, _: &Partial) -> &'static str {
        "histogram"
    }
}
