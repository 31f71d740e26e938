//! `logboom query`: asks a running Logboom, or any Prometheus, what an expression is worth.

use crate::endpoint::Endpoint;
use crate::promql;
use anyhow::{Context as _, anyhow, bail};
use clap::{Parser, ValueEnum};
use serde_json::Value;
use std::fmt::Write as _;

#[derive(Parser)]
#[command(about = "Evaluate a PromQL expression over the series of a running Logboom")]
struct Args {
    /// The expression
    expression: String,
    /// Where the management API listens
    #[arg(long, default_value = "http://127.0.0.1:9600")]
    url: String,
    /// At this time (seconds since 1970 or RFC 3339) instead of now
    #[arg(long, conflicts_with_all = ["start", "end", "step"])]
    time: Option<String>,
    /// From this time on, for a range
    #[arg(long, requires = "end")]
    start: Option<String>,
    /// Up to this time
    #[arg(long, requires = "start")]
    end: Option<String>,
    /// At these steps
    #[arg(long, default_value = "15s", requires = "start")]
    step: String,
    /// How the answer is written
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One line for each sample
    Table,
    /// The answer of the API
    Json,
}

/// Runs the command from its arguments; whether there was an answer.
pub fn main(arguments: Vec<String>) -> anyhow::Result<bool> {
    let args: Args = super::arguments("query", arguments);
    // Mistakes show their place without a round trip.
    if let Err(mistakes) = promql::parse(&args.expression) {
        bail!("cannot read the expression: {}", promql::describe(&mistakes, &args.expression));
    }
    let answer = ask(&args)?;
    let text = match args.output {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&answer["data"])?),
        Output::Table => table(&answer["data"]),
    };
    super::print(&text)
}

fn ask(args: &Args) -> anyhow::Result<Value> {
    let mut form = vec![("query", args.expression.as_str())];
    let path = match (&args.start, &args.end) {
        (Some(start), Some(end)) => {
            form.extend([("start", start.as_str()), ("end", end), ("step", &args.step)]);
            "query_range"
        }
        _ => {
            form.extend(args.time.as_deref().map(|time| ("time", time)));
            "query"
        }
    };
    let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    let url = format!("{}/api/v1/{path}", args.url.trim_end_matches('/'));
    let endpoint = Endpoint::plain(&url).map_err(|reason| anyhow!(reason))?;
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = endpoint.post(&headers, body.join("&").as_bytes());
    let answer =
        answer.map_err(|reason| anyhow!("cannot ask {url}: {reason}; is it running, and is `--url` right?"))?;
    let json: Value = serde_json::from_str(&answer.body)
        .with_context(|| format!("cannot read the answer of {url} (status {})", answer.status))?;
    if json["status"] != "success" {
        bail!("cannot evaluate: {}", json["error"].as_str().unwrap_or("the answer gives no reason"));
    }
    Ok(json)
}

fn escape(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// One line for each sample: labels, value, and the time where there are several.
fn table(data: &Value) -> String {
    let mut out = String::new();
    let value = |pair: &Value| pair[1].as_str().map_or_else(|| pair[1].to_string(), str::to_owned);
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("vector" | "matrix") => {
            let rows = result.as_array().map(Vec::as_slice).unwrap_or_default();
            let names: Vec<String> = rows.iter().map(|row| labels(&row["metric"])).collect();
            let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
            for (row, name) in rows.iter().zip(&names) {
                for kind in ["value", "histogram"] {
                    if row[kind].is_array() {
                        let _infallible = writeln!(out, "{name:width$}  {}", value(&row[kind]));
                    }
                }
                for kind in ["values", "histograms"] {
                    for pair in row[kind].as_array().map(Vec::as_slice).unwrap_or_default() {
                        let _infallible = writeln!(out, "{name:width$}  {}  {}", pair[0], value(pair));
                    }
                }
            }
            if rows.is_empty() {
                out.push_str("no series\n");
            }
        }
        _ => {
            let _infallible = writeln!(out, "{}", value(result));
        }
    }
    out
}

fn labels(metric: &Value) -> String {
    let pairs = metric.as_object().into_iter().flatten();
    crate::series::Labels::new(pairs.filter_map(|(name, value)| Some((name, value.as_str()?)))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_become_tables() {
        let check = |data: Value, want: &str| assert_eq!(table(&data), want);
        check(json!({"resultType": "scalar", "result": [1, "2.5"]}), "2.5\n");
        let row = |name: &str| json!({"metric": {"__name__": name}, "value": [1, "1"]});
        check(json!({"resultType": "vector", "result": [row("up"), row("longer")]}), "up      1\nlonger  1\n");
        let row = json!({"metric": {"a": "b"}, "values": [[1, "1"], [2.5, "2"]]});
        check(json!({"resultType": "matrix", "result": [row]}), "{a=\"b\"}  1  1\n{a=\"b\"}  2.5  2\n");
        check(json!({"resultType": "vector", "result": []}), "no series\n");
    }
}
