//! `percentiles`: the values below which given parts of the numbers lie.

use super::digest::Digest;
use super::stats::{self, Source};
use super::{Collect, Kind, Options, Partial, Rendering, Shape, as_number, known};
use crate::search::error::SearchError;
use crate::search::number;
use serde_json::{Map, Value, json};

pub(super) const KIND: Kind = Kind { name: "percentiles", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&known(&["percents", "keyed", "tdigest", "hdr", "value_type"]))?;
    let percents = match options.get("percents") {
        None => vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0],
        Some(Value::Array(list)) => {
            let mut percents =
                list.iter().map(as_number).collect::<Option<Vec<_>>>().ok_or_else(|| options.bad("percents"))?;
            percents.sort_by(f64::total_cmp);
            percents
        }
        Some(_) => return Err(options.bad("percents")),
    };
    if percents.is_empty() {
        return Err(SearchError::argument("[percents] must not be empty: [percentiles]"));
    }
    if let Some(bad) = percents.iter().find(|p| !(0.0..=100.0).contains(*p)) {
        return Err(SearchError::argument(format!("percent must be in [0,100], got [{}]", number::double(*bad))));
    }
    let source = Source { field: options.field()?, missing: stats::missing(options)?, format: options.text("format") };
    Ok(Box::new(Percentiles {
        source,
        percents,
        keyed: options.bool("keyed", true),
        hdr: options.get("hdr").is_some(),
    }))
}

#[derive(Debug)]
struct Percentiles {
    source: Source,
    percents: Vec<f64>,
    keyed: bool,
    hdr: bool,
}

impl Shape for Percentiles {
    fn collect(&self) -> Collect<'_> {
        Collect::Digest { field: &self.source.field, missing: self.source.missing }
    }

    fn finish(&self, partial: Partial, _: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        let mut digest = match partial {
            Partial::Digest(digest) => digest,
            _ => Digest::default(),
        };
        let mut keyed = Map::new();
        let mut listed = Vec::new();
        for percent in &self.percents {
            let found = digest.quantile(percent / 100.0);
            let value = found.map_or(Value::Null, number::json);
            let text = self.source.text(found, digest.date);
            let key = number::double(*percent);
            match text {
                Some(text) if self.keyed => {
                    keyed.insert(key.clone(), value);
                    keyed.insert(format!("{key}_as_string"), text);
                }
                None if self.keyed => {
                    keyed.insert(key, value);
                }
                Some(text) => listed.push(json!({"key": percent, "value": value, "value_as_string": text})),
                None => listed.push(json!({"key": percent, "value": value})),
            }
        }
        let values = if self.keyed { Value::Object(keyed) } else { Value::Array(listed) };
        Ok(Map::from_iter([("values".to_owned(), values)]))
    }

    fn typed(&self, _: &Partial) -> &'static str {
        if self.hdr { "hdr_percentiles" } else { "tdigest_percentiles" }
    }

    fn metric(&self, partial: &Partial, name: Option<&str>) -> Option<f64> {
        let Partial::Digest(digest) = partial else { return None };
        let percent: f64 = name?.parse().ok()?;
        digest.clone().quantile(percent / 100.0)
    }
}
