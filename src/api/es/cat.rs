//! `_cat`: tables for people, or with `format=json` lists of objects whose values are texts.

use super::Es;
use super::error::ApiError;
use super::names::{Options, resolve};
use super::reply::{Call, Reply};
use serde_json::{Map, Value};

type Column = (&'static str, &'static [&'static str]);

/// The columns of `_cat/indices` with their short names.
const INDICES: &[Column] = &[
    ("health", &["h"]),
    ("status", &["s"]),
    ("index", &["i", "idx"]),
    ("uuid", &["id"]),
    ("pri", &["p", "shards.primary"]),
    ("rep", &["r", "shards.replica"]),
    ("docs.count", &["dc", "docsCount"]),
    ("docs.deleted", &["dd", "docsDeleted"]),
    ("store.size", &["ss", "storeSize"]),
    ("pri.store.size", &[]),
];
const COUNT: &[Column] = &[("epoch", &["t", "time"]), ("timestamp", &["ts", "hms"]), ("count", &["dc", "docs.count"])];

/// `_cat/indices`.
pub(super) fn indices(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.view();
    let streams = resolve(&view, call.path.first().map(String::as_str), Options::of(call)?)?;
    let rows = streams
        .iter()
        .map(|stream| {
            let own = || view.partitions.iter().filter(|partition| partition.stream == *stream);
            let docs: u64 = own().map(|partition| partition.docs).sum();
            let bytes: u64 = own().map(|partition| partition.bytes).sum();
            let size = size(bytes, call.get("bytes"));
            let texts = ["green", "open", stream, stream, "1", "0"].map(str::to_owned);
            texts.into_iter().chain([docs.to_string(), "0".to_owned(), size.clone(), size]).collect()
        })
        .collect();
    table(call, INDICES, rows)
}

/// `_cat/count`.
pub(super) fn count(es: &Es, call: &Call) -> Result<Reply, ApiError> {
    let view = es.index.view();
    let streams = resolve(&view, call.path.first().map(String::as_str), Options::of(call)?)?;
    let own = view.partitions.iter().filter(|partition| streams.contains(&partition.stream));
    let docs: u64 = own.map(|partition| partition.docs).sum();
    let seconds = super::now_ms() / 1000;
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    table(call, COUNT, vec![vec![seconds.to_string(), clock, docs.to_string()]])
}

fn size(bytes: u64, unit: Option<&str>) -> String {
    let factor = match unit {
        Some("b") => 0,
        Some("k" | "kb") => 1,
        Some("m" | "mb") => 2,
        Some("g" | "gb") => 3,
        _ => {
            let mut value = bytes as f64;
            let mut units = ["b", "kb", "mb", "gb", "tb"].into_iter();
            let mut unit = units.next().unwrap_or_default();
            while value >= 1024.0
                && let Some(next) = units.next()
            {
                value /= 1024.0;
                unit = next;
            }
            let text = format!("{value:.1}");
            return format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text));
        }
    };
    (bytes >> (10 * factor)).to_string()
}

fn table(call: &Call, columns: &[Column], mut rows: Vec<Vec<String>>) -> Result<Reply, ApiError> {
    let at = |wanted: &str| columns.iter().position(|(name, short)| *name == wanted || short.contains(&wanted));
    if call.bool("help", false)? {
        let line = |(name, short): &Column| format!("{name} | {} |\n", short.join(","));
        return Ok(Reply::text(columns.iter().map(line).collect()));
    }
    if let Some(keys) = call.list("s") {
        for key in keys.iter().rev() {
            let (name, order) = key.split_once(':').unwrap_or((key, "asc"));
            let Some(at) = at(name) else {
                return Err(ApiError::new(
                    400,
                    "unsupported_operation_exception",
                    format!("Unable to sort by unknown sort key `{name}`"),
                ));
            };
            rows.sort_by(|a, b| match (a[at].parse::<f64>(), b[at].parse::<f64>()) {
                (Ok(a), Ok(b)) => a.total_cmp(&b),
                _ => a[at].cmp(&b[at]),
            });
            if order == "desc" {
                rows.reverse();
            }
        }
    }
    let chosen: Vec<(String, usize)> = match call.list("h") {
        None => columns.iter().enumerate().map(|(at, (name, _))| ((*name).to_owned(), at)).collect(),
        Some(names) => names.into_iter().filter_map(|name| at(&name).map(|at| (name, at))).collect(),
    };
    let json = match call.get("format") {
        Some(format) => format.eq_ignore_ascii_case("json"),
        None => call.wants_json,
    };
    if json {
        let object = |row: &Vec<String>| -> Map<String, Value> {
            chosen.iter().map(|(name, at)| (name.clone(), Value::from(row[*at].clone()))).collect()
        };
        return Ok(Reply::new(200, &rows.iter().map(object).collect::<Vec<_>>()));
    }
    let mut lines: Vec<Vec<String>> = Vec::new();
    if call.bool("v", false)? {
        lines.push(chosen.iter().map(|(name, _)| name.clone()).collect());
    }
    lines.extend(rows.iter().map(|row| chosen.iter().map(|(_, at)| row[*at].clone()).collect()));
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..chosen.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join(" ").trim_end());
        text.push('\n');
    }
    Ok(Reply::text(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size(0, None), "0b");
        assert_eq!(size(1536, None), "1.5kb");
        assert_eq!(size(2048, None), "2kb");
        assert_eq!(size(1536, Some("b")), "1536");
    }
}
