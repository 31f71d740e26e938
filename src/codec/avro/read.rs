//! Avro values to values of a batch.

use super::Names;
use crate::codec::charset::Charset;
use crate::event::{Batch, Entry, Timestamp, Value};
use apache_avro::Schema;
use apache_avro::types::Value as Avro;

/// A value of the batch; `schema` tells the scale of decimals. Bytes are text, with U+FFFD for
/// what is no UTF-8; points in time are times, days are texts.
pub(super) fn value(batch: &mut Batch, avro: &Avro, schema: &Schema, names: &Names) -> Value {
    let schema = names.resolve(schema);
    match avro {
        Avro::Null => Value::Null,
        Avro::Boolean(b) => Value::Bool(*b),
        Avro::Int(n) | Avro::TimeMillis(n) => Value::Int(i64::from(*n)),
        Avro::Long(n)
        | Avro::TimeMicros(n)
        | Avro::LocalTimestampMillis(n)
        | Avro::LocalTimestampMicros(n)
        | Avro::LocalTimestampNanos(n) => Value::Int(*n),
        Avro::Float(n) => Value::Float(f64::from(*n)),
        Avro::Double(n) => Value::Float(*n),
        Avro::Bytes(bytes) | Avro::Fixed(_, bytes) => batch.str(&Charset::Utf8.decode(bytes)),
        Avro::String(text) | Avro::Enum(_, text) => batch.str(text),
        Avro::Uuid(id) => batch.str(&id.to_string()),
        Avro::Date(days) => match Timestamp::new(i64::from(*days) * 86_400, 0).utc() {
            Some(day) => batch.str(&day.date().to_string()),
            None => Value::Int(i64::from(*days)),
        },
        Avro::TimestampMillis(n) => Value::Time(Timestamp::from_millis(*n)),
        Avro::TimestampMicros(n) => {
            Value::Time(Timestamp::new(n.div_euclid(1_000_000), n.rem_euclid(1_000_000) as u32 * 1000))
        }
        Avro::TimestampNanos(n) => Value::Time(Timestamp::from_nanos(*n)),
        Avro::Decimal(decimal) => {
            let bytes = Vec::<u8>::try_from(decimal).unwrap_or_default();
            let scale = if let Schema::Decimal(decimal) = schema { decimal.scale } else { 0 };
            decimal_value(&bytes, scale)
        }
        Avro::BigDecimal(n) => n.to_string().parse().map_or(Value::Null, Value::Float),
        Avro::Duration(duration) => {
            let parts = [
                ("months", u32::from(duration.months())),
                ("days", u32::from(duration.days())),
                ("milliseconds", u32::from(duration.millis())),
            ];
            let entries = parts.map(|(name, n)| Entry::new(batch.key(name), Value::Int(i64::from(n))));
            Value::Object(batch.list(&entries))
        }
        Avro::Union(at, inner) => match schema {
            Schema::Union(union) => match union.variants().get(*at as usize) {
                Some(variant) => value(batch, inner, variant, names),
                None => Value::Null,
            },
            _ => value(batch, inner, schema, names),
        },
        Avro::Array(_) | Avro::Map(_) | Avro::Record(_) => several(batch, avro, schema, names),
    }
}

/// Arrays, maps and records.
fn several(batch: &mut Batch, avro: &Avro, schema: &Schema, names: &Names) -> Value {
    match avro {
        Avro::Array(elements) => {
            let items = if let Schema::Array(array) = schema { &array.items } else { schema };
            let entries: Vec<Entry> =
                elements.iter().map(|element| Entry::element(value(batch, element, items, names))).collect();
            Value::Array(batch.list(&entries))
        }
        Avro::Map(members) => {
            let types = if let Schema::Map(map) = schema { &map.types } else { schema };
            let mut members: Vec<(&String, &Avro)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            let mut entry =
                |(name, member): (&String, &Avro)| Entry::new(batch.key(name), value(batch, member, types, names));
            let entries: Vec<Entry> = members.into_iter().map(&mut entry).collect();
            Value::Object(batch.list(&entries))
        }
        Avro::Record(fields) => {
            let mut entries = Vec::with_capacity(fields.len());
            for (at, (name, field)) in fields.iter().enumerate() {
                let of = match schema {
                    Schema::Record(record) => record.fields.get(at).map_or(schema, |field| &field.schema),
                    schema => schema,
                };
                entries.push(Entry::new(batch.key(name), value(batch, field, of, names)));
            }
            Value::Object(batch.list(&entries))
        }
        _ => Value::Null,
    }
}

/// A whole number of big-endian bytes with `scale` digits behind the point.
fn decimal_value(bytes: &[u8], scale: usize) -> Value {
    let negative = bytes.first().is_some_and(|b| b & 0x80 != 0);
    if bytes.len() > 16 {
        // More digits than a double has; its magnitude at least is right.
        let n = bytes.iter().fold(if negative { -1.0 } else { 0.0 }, |n, &b| n * 256.0 + f64::from(b));
        return Value::Float(n / 10f64.powi(scale as i32));
    }
    let n = bytes.iter().fold(if negative { -1i128 } else { 0 }, |n, &b| n << 8 | i128::from(b));
    match i64::try_from(n) {
        Ok(n) if scale == 0 => Value::Int(n),
        // By its text, so that 0.1 is the double next to 0.1.
        _ => format!("{n}e-{scale}").parse().map_or(Value::Null, Value::Float),
    }
}
