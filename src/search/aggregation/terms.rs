//! `terms`: one bucket per value, the most frequent first. Counts are exact: every value of every
//! segment is counted before the top is taken.

use super::order::{By, Order};
use super::{BUCKETS_MAX, Bucket, Collect, Key, Kind, Options, Partial, Rendering, Shape, known};
use crate::search::ast::Scalar;
use crate::search::date_math;
use crate::search::error::SearchError;
use crate::search::pattern;
use jiff::tz::TimeZone;
use regex::Regex;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "terms", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&known(&[
        "size",
        "shard_size",
        "order",
        "min_doc_count",
        "shard_min_doc_count",
        "include",
        "exclude",
        "execution_hint",
        "collect_mode",
        "show_term_doc_count_error",
        "value_type",
    ]))?;
    let whole = |key: &str, default: u64| match options.number(key)? {
        None => Ok(default),
        Some(n) if n >= 0.0 => Ok(n as u64),
        Some(n) => Err(SearchError::argument(format!(
            "[{key}] must be greater than or equal to 0. Found [{n}] in [{}]",
            options.name
        ))),
    };
    let size = whole("size", 10)?;
    if size == 0 {
        return Err(SearchError::argument(format!("[size] must be greater than 0. Found [0] in [{}]", options.name)));
    }
    Ok(Box::new(Terms {
        field: options.field()?,
        missing: options.missing(),
        size: size as usize,
        order: Order::parse(options, Order(vec![(By::Count, true), (By::Key, false)]))?,
        least: whole("min_doc_count", 1)?,
        include: Only::parse(options, "include")?,
        exclude: Only::parse(options, "exclude")?,
        format: options.text("format"),
        errors: options.bool("show_term_doc_count_error", false),
    }))
}

#[derive(Debug)]
struct Terms {
    field: String,
    missing: Option<Scalar>,
    size: usize,
    order: Order,
    least: u64,
    include: Option<Only>,
    exclude: Option<Only>,
    format: Option<String>,
    errors: bool,
}

/// `include` or `exclude`.
#[derive(Debug)]
enum Only {
    Pattern(Regex),
    Values(Vec<String>),
}

impl Only {
    fn parse(options: &Options<'_>, key: &str) -> Result<Option<Only>, SearchError> {
        Ok(Some(match options.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => Only::Pattern(pattern::regexp(text, false)?),
            Some(Value::Array(list)) => Only::Values(
                list.iter()
                    .map(|value| {
                        super::super::query::as_scalar(value).map(|s| s.text()).ok_or_else(|| options.bad(key))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            Some(Value::Object(_)) => {
                return Err(SearchError::argument("[include] by partition is not supported: give a pattern or a list"));
            }
            Some(_) => return Err(options.bad(key)),
        }))
    }

    fn has(&self, key: &Key) -> bool {
        let text = match key {
            Key::Str(text) => text.to_string(),
            Key::Bool(b) => b.to_string(),
            Key::Float(bits) => f64::from_bits(*bits).to_string(),
            key => key.json().to_string(),
        };
        match self {
            Only::Pattern(regex) => regex.is_match(&text),
            Only::Values(values) => values.contains(&text),
        }
    }
}

impl Shape for Terms {
    fn collect(&self) -> Collect<'_> {
        Collect::Terms { field: &self.field, missing: self.missing.as_ref(), zero: self.least == 0 }
    }

    fn finish(&self, partial: Partial, context: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        self.order.check(context.subs)?;
        let mut all: Vec<(Key, Bucket)> = partial
            .buckets()
            .into_iter()
            .filter(|(key, bucket)| {
                bucket.count >= self.least
                    && self.include.as_ref().is_none_or(|only| only.has(key))
                    && !self.exclude.as_ref().is_some_and(|only| only.has(key))
            })
            .collect();
        let compare =
            |a: &(Key, Bucket), b: &(Key, Bucket)| self.order.compare((&a.0, &a.1), (&b.0, &b.1), context.subs);
        let total: u64 = all.iter().map(|(_, bucket)| bucket.count).sum();
        if all.len() > self.size {
            all.select_nth_unstable_by(self.size, compare);
            all.truncate(self.size);
        }
        all.sort_by(compare);
        if all.len() > BUCKETS_MAX {
            return Err(SearchError::Buckets { limit: BUCKETS_MAX, was: all.len() });
        }
        let shown: u64 = all.iter().map(|(_, bucket)| bucket.count).sum();
        let mut buckets = Vec::with_capacity(all.len());
        for (key, bucket) in all {
            let mut object = Map::new();
            object.insert("key".to_owned(), key.json());
            if let Some(text) = self.text(&key) {
                object.insert("key_as_string".to_owned(), text.into());
            }
            object.insert("doc_count".to_owned(), bucket.count.into());
            if self.errors {
                object.insert("doc_count_error_upper_bound".to_owned(), 0.into());
            }
            context.below(bucket.subs, &mut object)?;
            buckets.push(Value::Object(object));
        }
        Ok(Map::from_iter([
            ("doc_count_error_upper_bound".to_owned(), 0.into()),
            ("sum_other_doc_count".to_owned(), (total - shown).into()),
            ("buckets".to_owned(), Value::Array(buckets)),
        ]))
    }

    fn typed(&self, partial: &Partial) -> &'static str {
        let key = match partial {
            Partial::Buckets(buckets) => buckets.keys().next(),
            _ => None,
        };
        match key {
            Some(Key::Str(_)) => "sterms",
            Some(Key::Float(_)) => "dterms",
            Some(_) => "lterms",
            None => "umterms",
        }
    }
}

impl Terms {
    fn text(&self, key: &Key) -> Option<String> {
        match key {
            Key::Bool(b) => Some(b.to_string()),
            Key::Date(ms) => {
                Some(date_math::format(ms.saturating_mul(1_000_000), self.format.as_deref(), &TimeZone::UTC))
            }
            _ => None,
        }
    }
}
