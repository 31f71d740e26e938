//! `date_histogram`: one bucket per unit of time, fixed or of the calendar, in a zone.

use super::order::{By, Order};
use super::rounding::{self, Interval, Last, Rounding};
use super::{BUCKETS_MAX, Bucket, Collect, Key, Kind, Options, Partial, Rendering, Shape, known};
use crate::search::ast::Scalar;
use crate::search::date_math::{self, Reading};
use crate::search::error::SearchError;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "date_histogram", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&known(&[
        "interval",
        "fixed_interval",
        "calendar_interval",
        "time_zone",
        "offset",
        "min_doc_count",
        "extended_bounds",
        "hard_bounds",
        "order",
        "keyed",
        "value_type",
    ]))?;
    let zone = match options.text("time_zone") {
        Some(name) => date_math::zone(&name).map_err(SearchError::argument)?,
        None => jiff::tz::TimeZone::UTC,
    };
    let offset_ms = match options.get("offset") {
        None => 0,
        Some(Value::Number(n)) => n.as_i64().ok_or_else(|| options.bad("offset"))?,
        Some(_) => offset(&options.text("offset").unwrap_or_default()).ok_or_else(|| options.bad("offset"))?,
    };
    let bound = |bounds: &str, key: &str| options.get(bounds)?.get(key).and_then(super::super::query::as_scalar);
    let missing = match options.missing() {
        None => None,
        Some(Scalar::Int(ms)) => Some(ms),
        Some(text) => {
            let format = options.text("format");
            let reading = Reading { format: format.as_deref(), zone: &zone, up: false, now_ms: 0 };
            Some(date_math::parse(&text.text(), &reading).map_err(SearchError::argument)?.div_euclid(1_000_000))
        }
    };
    Ok(Box::new(DateHistogram {
        field: options.field()?,
        missing,
        rounding: Rounding::new(interval(options)?, zone, offset_ms),
        least: options.number("min_doc_count")?.unwrap_or(0.0) as u64,
        bounds: [bound("extended_bounds", "min"), bound("extended_bounds", "max")],
        hard: [bound("hard_bounds", "min"), bound("hard_bounds", "max")],
        order: Order::parse(options, Order(vec![(By::Key, false)]))?,
        format: options.text("format"),
        keyed: options.bool("keyed", false),
    }))
}

fn interval(options: &Options<'_>) -> Result<Interval, SearchError> {
    let fixed = |text: &str| match rounding::duration_ms(text) {
        Some(ms) if ms > 0 => Ok(Interval::Fixed(ms)),
        Some(_) => Err(SearchError::argument("Zero or negative time interval not supported")),
        None => Err(SearchError::argument(format!(
            "failed to parse setting [date_histogram.fixedInterval] with value [{text}] as a time value: unit is missing or unrecognized"
        ))),
    };
    match (options.text("calendar_interval"), options.text("fixed_interval"), options.text("interval")) {
        (Some(unit), None, None) => match rounding::calendar(&unit) {
            Some(unit) => Ok(Interval::Calendar(unit)),
            None => Err(SearchError::argument(format!(
                "The supplied interval [{unit}] could not be parsed as a calendar interval."
            ))),
        },
        (None, Some(text), None) => fixed(&text),
        (None, None, Some(text)) => match rounding::calendar(&text) {
            Some(unit) => Ok(Interval::Calendar(unit)),
            None => match text.parse() {
                Ok(ms) if ms > 0 => Ok(Interval::Fixed(ms)),
                _ => fixed(&text),
            },
        },
        (None, None, None) => Err(SearchError::argument("Invalid interval specified, must be non-null and non-empty")),
        (Some(_), Some(_), _) => {
            Err(SearchError::argument("Cannot use [fixed_interval] with [calendar_interval] configuration option."))
        }
        _ => Err(SearchError::argument(
            "Cannot use [interval] with [fixed_interval] or [calendar_interval] configuration options.",
        )),
    }
}

/// `+6h`, `-1d`, `30m`.
fn offset(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(rest) => rounding::duration_ms(rest).map(|ms| -ms),
        None => rounding::duration_ms(text.strip_prefix('+').unwrap_or(text)),
    }
}

#[derive(Debug)]
struct DateHistogram {
    field: String,
    missing: Option<i64>,
    rounding: Rounding,
    least: u64,
    bounds: [Option<Scalar>; 2],
    hard: [Option<Scalar>; 2],
    order: Order,
    format: Option<String>,
    keyed: bool,
}

impl DateHistogram {
    /// The bucket in which a bound lies.
    fn bound(&self, bound: &Option<Scalar>, now_ms: i64) -> Result<Option<i64>, SearchError> {
        let ms = match bound {
            None => return Ok(None),
            Some(Scalar::Int(ms)) => *ms,
            Some(Scalar::Float(ms)) => *ms as i64,
            Some(text) => {
                let reading = Reading { format: self.format.as_deref(), zone: self.rounding.zone(), up: false, now_ms };
                date_math::parse(&text.text(), &reading).map_err(SearchError::argument)?.div_euclid(1_000_000)
            }
        };
        Ok(Some(self.rounding.round(ms, &mut Last::default())))
    }

    /// Adds the empty buckets between the first and the last.
    fn fill(&self, found: &mut rustc_hash::FxHashMap<Key, Bucket>, now_ms: i64) -> Result<(), SearchError> {
        let keys = found.keys().map(|key| key.number() as i64);
        let (mut low, mut high) = keys.fold((i64::MAX, i64::MIN), |(l, h), key| (l.min(key), h.max(key)));
        low = low.min(self.bound(&self.bounds[0], now_ms)?.unwrap_or(i64::MAX));
        high = high.max(self.bound(&self.bounds[1], now_ms)?.unwrap_or(i64::MIN));
        let mut at = low;
        while at <= high {
            found.entry(Key::Date(at)).or_default();
            if found.len() > BUCKETS_MAX {
                return Err(SearchError::Buckets { limit: BUCKETS_MAX, was: found.len() });
            }
            at = self.rounding.next(at);
        }
        Ok(())
    }
}

impl Shape for DateHistogram {
    fn collect(&self) -> Collect<'_> {
        Collect::Rounded { field: &self.field, rounding: &self.rounding, missing: self.missing }
    }

    fn finish(&self, partial: Partial, context: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        self.order.check(context.subs)?;
        let mut found = partial.buckets();
        let low = self.bound(&self.hard[0], context.now_ms)?.unwrap_or(i64::MIN);
        let high = self.bound(&self.hard[1], context.now_ms)?.unwrap_or(i64::MAX);
        found.retain(|key, _| (low..=high).contains(&(key.number() as i64)));
        if self.least == 0 {
            self.fill(&mut found, context.now_ms)?;
        }
        let mut all: Vec<_> = found.into_iter().filter(|(_, bucket)| bucket.count >= self.least).collect();
        all.sort_by(|a, b| self.order.compare((&a.0, &a.1), (&b.0, &b.1), context.subs));
        if all.len() > BUCKETS_MAX {
            return Err(SearchError::Buckets { limit: BUCKETS_MAX, was: all.len() });
        }
        let (mut keyed, mut listed) = (Map::new(), Vec::new());
        for (key, bucket) in all {
            let nanos = (key.number() as i64).saturating_mul(1_000_000);
            let text = date_math::format(nanos, self.format.as_deref(), self.rounding.zone());
            let mut object = Map::new();
            object.insert("key_as_string".to_owned(), text.clone().into());
            object.insert("key".to_owned(), key.json());
            object.extend(context.bucket(bucket)?);
            if self.keyed {
                keyed.insert(text, Value::Object(object));
            } else {
                listed.push(Value::Object(object));
            }
        }
        let buckets = if self.keyed { Value::Object(keyed) } else { Value::Array(listed) };
        Ok(Map::from_iter([("buckets".to_owned(), buckets)]))
    }

    fn typed(&self, _: &Partial) -> &'static str {
        "date_histogram"
    }
}
