//! Values of a batch to Avro values, as a schema wants them.

use super::Names;
use crate::event::{Batch, Entry, EventId, FieldId, Value, joda, ruby};
use apache_avro::Schema;
use apache_avro::schema::RecordField;
use apache_avro::types::Value as Avro;

/// How deep a schema that names itself is followed.
const DEPTH_MAX: usize = 100;

/// An event, without `@metadata`. Fields that the schema lacks are left out, fields that the
/// event lacks are null or have the schema's default.
pub(super) fn event(batch: &Batch, event: EventId, schema: &Schema, names: &Names) -> Result<Avro, String> {
    let writer = Writer { batch, names };
    let fields: Vec<Entry> = batch.fields(event).iter().filter(|e| e.key != FieldId::METADATA).copied().collect();
    writer.hash(&fields, schema, DEPTH_MAX).ok_or_else(|| "the event and the schema differ".to_owned())
}

struct Writer<'a> {
    batch: &'a Batch,
    names: &'a Names,
}

impl Writer<'_> {
    fn hash(&self, members: &[Entry], schema: &Schema, depth: usize) -> Option<Avro> {
        match self.names.resolve(schema) {
            Schema::Record(record) => {
                let field = |field: &RecordField| Some((field.name.clone(), self.field(members, field, depth)?));
                Some(Avro::Record(record.fields.iter().map(field).collect::<Option<_>>()?))
            }
            Schema::Map(map) => {
                let member = |entry: &Entry| {
                    Some((
                        self.batch.name(entry.key).to_owned(),
                        self.value(entry.value, &map.types, depth.checked_sub(1)?)?,
                    ))
                };
                Some(Avro::Map(members.iter().map(member).collect::<Option<_>>()?))
            }
            Schema::Union(union) => union.variants().iter().enumerate().find_map(|(at, variant)| {
                Some(Avro::Union(at as u32, Box::new(self.hash(members, variant, depth.checked_sub(1)?)?)))
            }),
            _ => None,
        }
    }

    fn field(&self, members: &[Entry], field: &RecordField, depth: usize) -> Option<Avro> {
        match members.iter().find(|e| self.batch.name(e.key) == field.name) {
            Some(entry) => self.value(entry.value, &field.schema, depth.checked_sub(1)?),
            None => match &field.default {
                Some(default) => Avro::from(default.clone()).resolve(&field.schema).ok(),
                None => self.value(Value::Null, &field.schema, depth.checked_sub(1)?),
            },
        }
    }

    fn value(&self, value: Value, schema: &Schema, depth: usize) -> Option<Avro> {
        let schema = self.names.resolve(schema);
        if let Schema::Union(union) = schema {
            return union.variants().iter().enumerate().find_map(|(at, variant)| {
                Some(Avro::Union(at as u32, Box::new(self.value(value, variant, depth.checked_sub(1)?)?)))
            });
        }
        match value {
            Value::Null => matches!(schema, Schema::Null).then_some(Avro::Null),
            Value::Bool(b) => matches!(schema, Schema::Boolean).then_some(Avro::Boolean(b)),
            Value::Int(n) => number(n, schema),
            Value::Uint(_) | Value::Big(_) => None,
            Value::Float(n) => match schema {
                Schema::Float => Some(Avro::Float(n as f32)),
                Schema::Double => Some(Avro::Double(n)),
                _ => None,
            },
            Value::Time(at) => match schema {
                Schema::TimestampMillis => Some(Avro::TimestampMillis(at.millis())),
                Schema::TimestampMicros => Some(Avro::TimestampMicros(at.nanos().div_euclid(1000))),
                Schema::TimestampNanos => Some(Avro::TimestampNanos(at.nanos())),
                Schema::Long => Some(Avro::Long(at.millis())),
                _ => {
                    let mut text = Vec::new();
                    ruby::write_to_s(self.batch, value, &mut text);
                    self.text(&String::from_utf8_lossy(&text), schema)
                }
            },
            Value::Str(span) => self.text(self.batch.text(span), schema),
            Value::Array(list) => {
                let Schema::Array(array) = schema else { return None };
                let element = |entry: &Entry| self.value(entry.value, &array.items, depth.checked_sub(1)?);
                Some(Avro::Array(self.batch.entries(list).iter().map(element).collect::<Option<_>>()?))
            }
            Value::Object(list) => self.hash(self.batch.entries(list), schema, depth),
        }
    }

    fn text(&self, text: &str, schema: &Schema) -> Option<Avro> {
        let time = || joda::parse_iso8601(text);
        match schema {
            Schema::String => Some(Avro::String(text.to_owned())),
            Schema::Bytes => Some(Avro::Bytes(text.as_bytes().to_vec())),
            Schema::Fixed(fixed) if fixed.size == text.len() => Some(Avro::Fixed(fixed.size, text.as_bytes().to_vec())),
            Schema::Enum(words) => {
                let at = words.symbols.iter().position(|word| word == text)?;
                Some(Avro::Enum(at as u32, text.to_owned()))
            }
            Schema::Uuid => Some(Avro::Uuid(text.parse().ok()?)),
            Schema::TimestampMillis => Some(Avro::TimestampMillis(time()?.millis())),
            Schema::TimestampMicros => Some(Avro::TimestampMicros(time()?.nanos().div_euclid(1000))),
            Schema::TimestampNanos => Some(Avro::TimestampNanos(time()?.nanos())),
            _ => None,
        }
    }
}

fn number(n: i64, schema: &Schema) -> Option<Avro> {
    Some(match schema {
        Schema::Int => Avro::Int(i32::try_from(n).ok()?),
        Schema::Long => Avro::Long(n),
        Schema::Float => Avro::Float(n as f32),
        Schema::Double => Avro::Double(n as f64),
        Schema::Date => Avro::Date(i32::try_from(n).ok()?),
        Schema::TimeMillis => Avro::TimeMillis(i32::try_from(n).ok()?),
        Schema::TimeMicros => Avro::TimeMicros(n),
        Schema::TimestampMillis => Avro::TimestampMillis(n),
        Schema::TimestampMicros => Avro::TimestampMicros(n),
        Schema::TimestampNanos => Avro::TimestampNanos(n),
        Schema::LocalTimestampMillis => Avro::LocalTimestampMillis(n),
        Schema::LocalTimestampMicros => Avro::LocalTimestampMicros(n),
        Schema::LocalTimestampNanos => Avro::LocalTimestampNanos(n),
        _ => return None,
    })
}
