//! Numbers as Java prints them, which is how they stand in Elasticsearch's answers.

use serde_json::{Number, Value};

/// A double as JSON: `1.0`, `0.5`, `1.0E10` as `1.0E10`'s value; not a number becomes null.
pub fn json(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A double as text: always with a fraction.
pub fn double(value: f64) -> String {
    let mut buffer = ryu::Buffer::new();
    buffer.format(value).to_owned()
}
