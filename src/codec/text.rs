//! What the codecs of plain text share: bytes to `message`, and an event to a line of text.

use super::charset::Charset;
use super::{Decoder, Encoder};
use crate::event::{Batch, Entry, EventId, FieldId, Frame, Template, Value, joda, json};
use crate::plugin::Context;

/// A frame becomes one event with the text in `message`, and in ECS mode in `[event][original]`.
#[derive(Clone)]
pub(super) struct TextDecoder {
    charset: Charset,
    original: bool,
}

impl TextDecoder {
    pub(super) fn new(charset: Charset, context: &Context) -> TextDecoder {
        TextDecoder { charset, original: context.ecs }
    }
}

impl Decoder for TextDecoder {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        let message = Value::Str(self.charset.text(batch, frame.bytes));
        let event = batch.new_event();
        batch.set_key(event, FieldId::MESSAGE, message);
        if self.original {
            let original = batch.list(&[Entry::new(FieldId::ORIGINAL, message)]);
            batch.set_key(event, FieldId::EVENT, Value::Object(original));
        }
        out.push(event);
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(self.clone())
    }
}

/// An event becomes what a template says, or Logstash's `Event#to_s`, and a delimiter.
pub(super) struct TextEncoder {
    pub(super) format: Option<Template>,
    pub(super) delimiter: Vec<u8>,
}

impl Encoder for TextEncoder {
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        match &self.format {
            Some(format) => format.render(batch, event, out),
            None => write_summary(batch, event, out),
        }
        out.extend_from_slice(&self.delimiter);
    }
}

/// `2013-01-02T03:04:05.678Z host message`.
fn write_summary(batch: &Batch, event: EventId, out: &mut Vec<u8>) {
    if let Some(at) = batch.timestamp(event) {
        joda::write_iso8601(at, out);
        out.push(b' ');
    }
    for (key, missing) in [(FieldId::HOST, "%{host}"), (FieldId::MESSAGE, "%{message}")] {
        match batch.get_key(event, key) {
            None | Some(Value::Null) => out.extend_from_slice(missing.as_bytes()),
            Some(value) => write_java(batch, value, out),
        }
        if key == FieldId::HOST {
            out.push(b' ');
        }
    }
}

/// As Java's `toString` shows a value: `{hostname=web-1}`, `[a, b]`.
fn write_java(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Str(span) => out.extend_from_slice(batch.bytes(span)),
        Value::Time(at) => joda::write_iso8601(at, out),
        Value::Array(list) => {
            out.push(b'[');
            for (at, entry) in batch.entries(list).iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                write_java(batch, entry.value, out);
            }
            out.push(b']');
        }
        Value::Object(list) => {
            out.push(b'{');
            for (at, entry) in batch.entries(list).iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                out.extend_from_slice(batch.name(entry.key).as_bytes());
                out.push(b'=');
                write_java(batch, entry.value, out);
            }
            out.push(b'}');
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Big(_) | Value::Float(_) => {
            json::write_value(batch, value, out);
        }
    }
}
