//! What templates work with.

use crate::series::{Labels, Value as SeriesValue, notation};
use std::collections::BTreeMap;

/// What an alert's templates are about.
#[derive(Clone, Debug)]
pub struct Data<'d> {
    /// Labels of the element, name included.
    pub labels: &'d Labels,
    /// Labels that all of ours carry outside.
    pub external_labels: &'d Labels,
    /// Where users reach us.
    pub external_url: &'d str,
    /// Its value.
    pub value: &'d SeriesValue,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// What is not there is an empty text.
    Texts(BTreeMap<String, String>),
    /// What is not there is nothing.
    Map(BTreeMap<String, Value>),
    List(Vec<Value>),
    /// An element of a query's answer.
    Element(Labels, Box<Value>),
    /// A histogram, as text.
    Histogram(String),
    /// The data of the alert.
    Alert(BTreeMap<&'static str, Value>),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since 1970.
    Time(i64),
}

impl From<&SeriesValue> for Value {
    fn from(value: &SeriesValue) -> Value {
        match value {
            SeriesValue::Float(value) => Value::Float(*value),
            SeriesValue::Histogram(histogram) => Value::Histogram(notation::describe(histogram)),
        }
    }
}

impl From<&Labels> for Value {
    fn from(labels: &Labels) -> Value {
        Value::Texts(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl From<&Data<'_>> for Value {
    fn from(data: &Data<'_>) -> Value {
        Value::Alert(BTreeMap::from([
            ("Labels", data.labels.into()),
            ("ExternalLabels", data.external_labels.into()),
            ("ExternalURL", Value::Text(data.external_url.to_owned())),
            ("Value", data.value.into()),
        ]))
    }
}

impl Value {
    /// Whether `if` takes it for true: neither zero nor empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Texts(map) => !map.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Duration(nanoseconds) => *nanoseconds != 0,
            Value::Element(..) | Value::Histogram(_) | Value::Alert(_) | Value::Time(_) => true,
        }
    }

    /// `.name` behind it.
    pub fn field(&self, name: &str) -> Result<Value, String> {
        match self {
            Value::Texts(map) => Ok(Value::Text(map.get(name).cloned().unwrap_or_default())),
            Value::Map(map) => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
            Value::Element(labels, _) if name == "Labels" => Ok(labels.into()),
            Value::Element(_, value) if name == "Value" => Ok((**value).clone()),
            Value::Alert(map) => map.get(name).cloned().ok_or_else(|| format!("there is no field `{name}`")),
            Value::Nil => Err(format!("nothing has no field `{name}`")),
            other => Err(format!("{} has no field `{name}`", other.kind())),
        }
    }

    /// What a message calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "a string",
            Value::Texts(_) | Value::Map(_) | Value::Alert(_) => "a map",
            Value::List(_) => "a list",
            Value::Element(..) => "an element",
            Value::Histogram(_) => "a histogram",
            Value::Duration(_) => "a duration",
            Value::Time(_) => "a time",
        }
    }

    /// As a number, as Prometheus' functions take it: texts are read.
    pub fn number(&self) -> Result<f64, String> {
        match self {
            Value::Int(value) => Ok(*value as f64),
            Value::Float(value) => Ok(*value),
            Value::Duration(nanoseconds) => Ok(*nanoseconds as f64 / 1e9),
            Value::Text(text) => notation::parse_number(text).ok_or_else(|| format!("`{text}` is no number")),
            other => Err(format!("a number is needed, not {}", other.kind())),
        }
    }

    /// As a text.
    pub fn text(&self) -> Result<&str, String> {
        match self {
            Value::Text(text) | Value::Histogram(text) => Ok(text),
            other => Err(format!("a string is needed, not {}", other.kind())),
        }
    }

    /// As Go prints it.
    pub fn print(&self) -> String {
        match self {
            Value::Nil => "<no value>".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => notation::short_number(*value),
            Value::Text(text) | Value::Histogram(text) => text.clone(),
            Value::Texts(map) => {
                let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Value::Map(map) => {
                let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", value.print())).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Value::Alert(map) => {
                let values: Vec<String> = ["Labels", "ExternalLabels", "ExternalURL", "Value"]
                    .iter()
                    .filter_map(|name| map.get(name).map(Value::print))
                    .collect();
                format!("{{{}}}", values.join(" "))
            }
            Value::List(list) => {
                format!("[{}]", list.iter().map(Value::print).collect::<Vec<_>>().join(" "))
            }
            Value::Element(labels, value) => format!("{{{} {}}}", Value::from(labels).print(), value.print()),
            Value::Duration(nanoseconds) => super::format::go_duration(*nanoseconds),
            Value::Time(nanoseconds) => super::format::go_time(*nanoseconds),
        }
    }
}
