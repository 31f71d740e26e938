//! `order` of buckets: by key, by count, by a number of a sub-aggregation.

use super::partial::metric;
use super::{Aggregation, Bucket, Key, Options};
use crate::search::error::SearchError;
use serde_json::Value;
use std::cmp::Ordering;

/// One criterion.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum By {
    Key,
    Count,
    Metric(String),
}

/// Criteria, each with whether it is descending; the first that tells two buckets apart decides.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order(pub Vec<(By, bool)>);

impl Order {
    pub(super) fn parse(options: &Options<'_>, default: Order) -> Result<Order, SearchError> {
        let list = match options.get("order") {
            None | Some(Value::Null) => return Ok(default),
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let mut order = Vec::new();
        for item in list {
            let mut members = item.as_object().into_iter().flatten();
            let (Some((path, direction)), None) = (members.next(), members.next()) else {
                return Err(SearchError::parsing("Must specify at least one field for [order]", "order"));
            };
            let descending = match direction.as_str().map(str::to_ascii_lowercase).as_deref() {
                Some("asc") => false,
                Some("desc") => true,
                _ => return Err(SearchError::parsing(format!("Unknown order direction [{direction}]"), "order")),
            };
            let by = match path.as_str() {
                "_key" | "_term" | "_time" => By::Key,
                "_count" => By::Count,
                path => By::Metric(path.to_owned()),
            };
            order.push((by, descending));
        }
        Ok(Order(order))
    }

    /// An error where a criterion names no sub-aggregation.
    pub(super) fn check(&self, subs: &[Aggregation]) -> Result<(), SearchError> {
        for (by, _) in &self.0 {
            let By::Metric(path) = by else { continue };
            let head = path.split(['>', '.', '[']).next().unwrap_or_default();
            if !subs.iter().any(|sub| sub.name == head || path == &sub.name) {
                return Err(SearchError::Shard {
                    kind: "aggregation_execution_exception",
                    reason: format!(
                        "Invalid aggregator order path [{path}]. The provided aggregation [{head}] either does not exist, \
                         or is a pipeline aggregation and cannot be used to sort the buckets."
                    ),
                    cause: None,
                });
            }
        }
        Ok(())
    }

    pub(super) fn compare(&self, a: (&Key, &Bucket), b: (&Key, &Bucket), subs: &[Aggregation]) -> Ordering {
        for (by, descending) in &self.0 {
            let ordering = match by {
                By::Key => a.0.compare(b.0),
                By::Count => a.1.count.cmp(&b.1.count),
                By::Metric(path) => {
                    // What has no number comes last, in both directions.
                    let of = |bucket| metric(path, subs, bucket).filter(|n| !n.is_nan());
                    match (of(a.1), of(b.1)) {
                        (Some(a), Some(b)) => a.total_cmp(&b),
                        (Some(_), None) => return Ordering::Less,
                        (None, Some(_)) => return Ordering::Greater,
                        (None, None) => Ordering::Equal,
                    }
                }
            };
            let ordering = if *descending { ordering.reverse() } else { ordering };
            if ordering.is_ne() {
                return ordering;
            }
        }
        a.0.compare(b.0)
    }
}
