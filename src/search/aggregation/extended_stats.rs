//! `extended_stats`: `stats` with variances, deviations and bounds of `sigma` deviations.

use super::partial::Stats;
use super::stats::{self, Source, numbers};
use super::{Collect, Kind, Options, Partial, Rendering, Shape, known};
use crate::search::error::SearchError;
use crate::search::number;
use serde_json::{Map, Value};

pub(super) const KIND: Kind = Kind { name: "extended_stats", parse };

fn parse(options: &Options<'_>) -> Result<Box<dyn Shape>, SearchError> {
    options.only(&known(&["sigma", "value_type"]))?;
    let source = Source { field: options.field()?, missing: stats::missing(options)?, format: options.text("format") };
    Ok(Box::new(Extended { source, sigma: options.number("sigma")?.unwrap_or(2.0) }))
}

#[derive(Debug)]
struct Extended {
    source: Source,
    sigma: f64,
}

impl Extended {
    fn numbers(&self, stats: &Stats) -> Vec<(&'static str, Option<f64>)> {
        let n = stats.count as f64;
        let squares = stats.squares - stats.sum * stats.sum / n;
        let variance = (stats.count > 0).then(|| (squares / n).max(0.0));
        let sampling = (stats.count > 0).then(|| (squares / (n - 1.0)).max(0.0));
        let mut all = numbers(stats).to_vec();
        all.push(("sum_of_squares", (stats.count > 0).then_some(stats.squares)));
        all.push(("variance", variance));
        all.push(("variance_population", variance));
        all.push(("variance_sampling", sampling));
        all.push(("std_deviation", variance.map(f64::sqrt)));
        all.push(("std_deviation_population", variance.map(f64::sqrt)));
        all.push(("std_deviation_sampling", sampling.map(f64::sqrt)));
        all
    }
}

impl Shape for Extended {
    fn collect(&self) -> Collect<'_> {
        self.source.collect()
    }

    fn finish(&self, partial: Partial, _: &Rendering<'_>) -> Result<Map<String, Value>, SearchError> {
        let stats = partial.stats();
        let json = |value: Option<f64>| value.map_or(Value::Null, number::json);
        let mut object = Map::new();
        object.insert("count".to_owned(), stats.count.into());
        let all = self.numbers(&stats);
        for (name, value) in &all {
            object.insert((*name).to_owned(), json(*value));
        }
        let find = |wanted: &str| all.iter().find(|(name, _)| *name == wanted).and_then(|(_, value)| *value);
        let mut bounds = Map::new();
        for suffix in ["", "_population", "_sampling"] {
            let deviation = find(&format!("std_deviation{suffix}"));
            let bound = |sign: f64| Some(find("avg")? + sign * self.sigma * deviation?);
            bounds.insert(format!("upper{suffix}"), json(bound(1.0)));
            bounds.insert(format!("lower{suffix}"), json(bound(-1.0)));
        }
        object.insert("std_deviation_bounds".to_owned(), Value::Object(bounds));
        Ok(object)
    }

    fn typed(&self, _: &Partial) -> &'static str {
        "extended_stats"
    }

    fn metric(&self, partial: &Partial, name: Option<&str>) -> Option<f64> {
        let stats = partial.stats();
        match name? {
            "count" => Some(stats.count as f64),
            name => self.numbers(&stats).into_iter().find(|(n, _)| *n == name)?.1,
        }
    }
}
