//! The functions of templates: Go's own and Prometheus'.

use super::Outside;
use super::format;
use super::value::Value;
use crate::promql::duration;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// All of them.
pub(super) static NAMES: &[&str] = &[
    "and",
    "args",
    "call",
    "eq",
    "externalURL",
    "first",
    "ge",
    "graphLink",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "js",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "now",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "query",
    "reReplaceAll",
    "safeHtml",
    "slice",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "urlquery",
    "value",
];

/// Calls one of them.
pub(super) fn call(name: &str, arguments: Vec<Value>, outside: &dyn Outside) -> Result<Value, String> {
    let text = |at: usize| argument(&arguments, at)?.text();
    Ok(match name {
        "args" => {
            let named = arguments.into_iter().enumerate().map(|(at, value)| (format!("arg{at}"), value));
            Value::Map(named.collect::<BTreeMap<_, _>>())
        }
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => Value::Bool(compare(name, &arguments)?),
        "not" => Value::Bool(!argument(&arguments, 0)?.is_true()),
        "len" => Value::Int(length(argument(&arguments, 0)?)?),
        "index" => index(&arguments)?,
        "slice" => slice(&arguments)?,
        "print" => Value::Text(print(&arguments)),
        "println" => Value::Text(arguments.iter().map(Value::print).collect::<Vec<_>>().join(" ") + "\n"),
        "printf" => Value::Text(format::printf(text(0)?, &arguments[1..])),
        "html" => Value::Text(format::html(&print(&arguments))),
        "js" => Value::Text(format::js(&print(&arguments))),
        "urlquery" => Value::Text(format::url_query(&print(&arguments))),
        "urlQueryEscape" => Value::Text(format::url_query(text(0)?)),
        "query" => {
            let element = |(labels, value): super::Element| Value::Element(labels, Box::new(Value::from(&value)));
            Value::List(outside.query(text(0)?)?.into_iter().map(element).collect())
        }
        "first" => match argument(&arguments, 0)? {
            Value::List(list) => list.first().cloned().ok_or("first() called on vector with no elements")?,
            other => return Err(format!("elements are needed, not {}", other.kind())),
        },
        "label" => Value::Text(element(&arguments, 1)?.0.get(text(0)?).to_owned()),
        "value" => element(&arguments, 0)?.1.clone(),
        "strvalue" => Value::Text(element(&arguments, 0)?.0.get("__value__").to_owned()),
        "sortByLabel" => {
            let name = text(0)?.to_owned();
            let Value::List(mut list) = argument(&arguments, 1)?.clone() else {
                return Err("elements are needed".to_owned());
            };
            let key = |value: &Value| match value {
                Value::Element(labels, _) => labels.get(&name).to_owned(),
                _ => String::new(),
            };
            list.sort_by_key(key);
            Value::List(list)
        }
        _ => return of_prometheus(name, &arguments, outside),
    })
}

/// Texts and numbers for people.
fn of_prometheus(name: &str, arguments: &[Value], outside: &dyn Outside) -> Result<Value, String> {
    let text = |at: usize| argument(arguments, at)?.text();
    let number = |at: usize| argument(arguments, at)?.number();
    Ok(match name {
        "reReplaceAll" => {
            let pattern = regex(text(0)?)?;
            Value::Text(pattern.replace_all(text(2)?, text(1)?).into_owned())
        }
        "match" => Value::Bool(regex(text(0)?)?.is_match(text(1)?)),
        "safeHtml" => Value::Text(text(0)?.to_owned()),
        "title" => Value::Text(format::title(text(0)?)),
        "toUpper" => Value::Text(text(0)?.to_uppercase()),
        "toLower" => Value::Text(text(0)?.to_lowercase()),
        "graphLink" => Value::Text(format!("/graph?g0.expr={}&g0.tab=0", format::url_query(text(0)?))),
        "tableLink" => Value::Text(format!("/graph?g0.expr={}&g0.tab=1", format::url_query(text(0)?))),
        "stripPort" => Value::Text(strip_port(text(0)?)),
        "stripDomain" => Value::Text(strip_domain(text(0)?)),
        "humanize" => Value::Text(format::humanize(number(0)?)),
        "humanize1024" => Value::Text(format::humanize1024(number(0)?)),
        "humanizeDuration" => Value::Text(format::humanize_duration(number(0)?)),
        "humanizePercentage" => Value::Text(format!("{}%", format::general(number(0)? * 100.0, 4))),
        "humanizeTimestamp" => {
            let seconds = number(0)?;
            match seconds.is_finite() {
                true => format::time_of(seconds).map(|time| Value::Text(format::go_time(time)))?,
                false => Value::Text(format::general(seconds, 4)),
            }
        }
        "toTime" => Value::Time(format::time_of(number(0)?)?),
        "toDuration" => Value::Duration((number(0)? * 1e9) as i64),
        "now" => Value::Float(outside.now()),
        "externalURL" => Value::Text(outside.external_url().to_owned()),
        "pathPrefix" => {
            let url = outside.external_url();
            let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
            Value::Text(behind.find('/').map_or(String::new(), |at| behind[at..].to_owned()))
        }
        "parseDuration" => {
            let text = text(0)?;
            let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
            Value::Float(sign * duration::parse(text)? as f64 / 1000.0)
        }
        _ => return Err("it is not there".to_owned()),
    })
}

fn argument(arguments: &[Value], at: usize) -> Result<&Value, String> {
    arguments.get(at).ok_or_else(|| "an argument is missing".to_owned())
}

fn element(arguments: &[Value], at: usize) -> Result<(&crate::series::Labels, &Value), String> {
    match argument(arguments, at)? {
        Value::Element(labels, value) => Ok((labels, value)),
        other => Err(format!("an element is needed, not {}", other.kind())),
    }
}

/// As Go's `Sprint`: blanks between neighbours that are no texts.
fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in arguments.iter().enumerate() {
        let text = |value: &Value| matches!(value, Value::Text(_));
        if at > 0 && !text(value) && !text(&arguments[at - 1]) {
            out.push(' ');
        }
        out.push_str(&value.print());
    }
    out
}

fn compare(name: &str, arguments: &[Value]) -> Result<bool, String> {
    let first = argument(arguments, 0)?;
    if arguments.len() < 2 {
        return Err("an argument is missing".to_owned());
    }
    let order = |other: &Value| -> Result<Option<Ordering>, String> {
        match (first, other) {
            (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
            (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
            (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
            (Value::Bool(a), Value::Bool(b)) if matches!(name, "eq" | "ne") => Ok(Some(a.cmp(b))),
            (Value::Nil, Value::Nil) => Ok(Some(Ordering::Equal)),
            (Value::Duration(a), Value::Duration(b)) | (Value::Time(a), Value::Time(b)) => Ok(Some(a.cmp(b))),
            (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_)) => {
                Err("incompatible types for comparison: write `1.0`, not `1`, beside a number with a point".to_owned())
            }
            (a, b) => Err(format!("incompatible types for comparison: {} and {}", a.kind(), b.kind())),
        }
    };
    let second = order(&arguments[1])?;
    Ok(match name {
        "eq" => {
            for other in &arguments[1..] {
                if order(other)? == Some(Ordering::Equal) {
                    return Ok(true);
                }
            }
            false
        }
        "ne" => second != Some(Ordering::Equal),
        "lt" => second == Some(Ordering::Less),
        "le" => matches!(second, Some(Ordering::Less | Ordering::Equal)),
        "gt" => second == Some(Ordering::Greater),
        _ => matches!(second, Some(Ordering::Greater | Ordering::Equal)),
    })
}

fn length(value: &Value) -> Result<i64, String> {
    Ok(match value {
        Value::Text(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Texts(map) => map.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("{} has no length", other.kind())),
    } as i64)
}

fn index(arguments: &[Value]) -> Result<Value, String> {
    let mut value = argument(arguments, 0)?.clone();
    for at in &arguments[1..] {
        value = match (&value, at) {
            (Value::List(list), Value::Int(at)) => {
                let item = usize::try_from(*at).ok().and_then(|at| list.get(at));
                item.cloned().ok_or_else(|| format!("index out of range: {at}"))?
            }
            (Value::Texts(_) | Value::Map(_), Value::Text(name)) => value.field(name)?,
            (other, _) => return Err(format!("can't index {}", other.kind())),
        };
    }
    Ok(value)
}

fn slice(arguments: &[Value]) -> Result<Value, String> {
    let bound = |at: usize, none: usize| match arguments.get(at) {
        None => Ok(none),
        Some(Value::Int(value)) => usize::try_from(*value).map_err(|_| format!("index out of range: {value}")),
        Some(other) => Err(format!("a number is needed, not {}", other.kind())),
    };
    let outside = || "slice out of range".to_owned();
    Ok(match argument(arguments, 0)? {
        Value::Text(text) => {
            let range = bound(1, 0)?..bound(2, text.len())?;
            Value::Text(text.get(range).ok_or_else(outside)?.to_owned())
        }
        Value::List(list) => {
            let range = bound(1, 0)?..bound(2, list.len())?;
            Value::List(list.get(range).ok_or_else(outside)?.to_vec())
        }
        other => return Err(format!("can't slice {}", other.kind())),
    })
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    regex::Regex::new(pattern).map_err(|_| format!("bad regular expression `{pattern}`"))
}

/// Host and port; nothing where there is no port.
fn split_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once("]:")?;
        return (!port.contains(':')).then_some((host, port));
    }
    let (host, port) = text.rsplit_once(':')?;
    (!host.contains(':')).then_some((host, port))
}

fn strip_port(text: &str) -> String {
    split_port(text).map_or(text, |(host, _)| host).to_owned()
}

fn strip_domain(text: &str) -> String {
    let (host, port) = split_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let host = host.split('.').next().unwrap_or_default();
    if port.is_empty() { host.to_owned() } else { format!("{host}:{port}") }
}
