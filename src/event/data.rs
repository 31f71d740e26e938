//! Values that live outside of batches: what dictionaries and other files hold.

use super::{Batch, Entry, Value};

/// A value on its own.
#[derive(Clone, PartialEq, Debug)]
pub enum Data {
    /// null.
    Null,
    /// true or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number outside of that: its sign and its digits.
    Big(bool, Box<str>),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Box<str>),
    /// Elements in order.
    List(Vec<Data>),
    /// Members in order; keys need not be texts.
    Map(Vec<(Data, Data)>),
}

impl Data {
    /// A whole number of any size.
    pub fn whole(negative: bool, digits: &str) -> Data {
        match digits.parse::<i128>().map(|n| i64::try_from(if negative { -n } else { n })) {
            Ok(Ok(n)) => Data::Int(n),
            _ => Data::Big(negative, digits.into()),
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value in a batch; keys that are no texts read as Ruby's `to_s` writes them.
    pub fn to_value(&self, batch: &mut Batch) -> Value {
        match self {
            Data::Null => Value::Null,
            Data::Bool(truth) => Value::Bool(*truth),
            Data::Int(n) => Value::Int(*n),
            Data::Big(negative, digits) => batch.whole(*negative, digits),
            Data::Float(n) => Value::Float(*n),
            Data::Text(text) => batch.str(text),
            Data::List(elements) => {
                let elements: Vec<_> = elements.iter().map(|element| Entry::element(element.to_value(batch))).collect();
                Value::Array(batch.list(&elements))
            }
            Data::Map(pairs) => {
                let mut members: Vec<Entry> = Vec::with_capacity(pairs.len());
                for (key, value) in pairs {
                    let key = match key {
                        Data::Text(name) => batch.key(name),
                        other => {
                            let mut name = Vec::new();
                            let value = other.to_value(batch);
                            super::ruby::write_to_s(batch, value, &mut name);
                            batch.key(&String::from_utf8_lossy(&name))
                        }
                    };
                    let value = value.to_value(batch);
                    match members.iter_mut().find(|member| member.key == key) {
                        Some(member) => member.value = value,
                        None => members.push(Entry::new(key, value)),
                    }
                }
                Value::Object(batch.list(&members))
            }
        }
    }

    /// The text that Ruby's `to_s` gives.
    pub fn to_text(&self) -> String {
        if let Data::Text(text) = self {
            return text.to_string();
        }
        let (mut batch, mut out) = (Batch::new(), Vec::new());
        let value = self.to_value(&mut batch);
        super::ruby::write_to_s(&batch, value, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

impl From<serde_json::Value> for Data {
    fn from(value: serde_json::Value) -> Data {
        match value {
            serde_json::Value::Null => Data::Null,
            serde_json::Value::Bool(truth) => Data::Bool(truth),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(n), _) => Data::Int(n),
                (_, Some(n)) => Data::Big(false, n.to_string().into()),
                _ => Data::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Data::Text(text.into()),
            serde_json::Value::Array(elements) => Data::List(elements.into_iter().map(Data::from).collect()),
            serde_json::Value::Object(members) => {
                Data::Map(members.into_iter().map(|(key, value)| (Data::Text(key.into()), value.into())).collect())
            }
        }
    }
}
