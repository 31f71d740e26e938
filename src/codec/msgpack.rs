//! The `msgpack` codec: a MessagePack hash is an event, and an event a hash.
//!
//! `codec => msgpack { }`, as Logstash's. What is no hash becomes an event with the bytes as text
//! in `message` and the tag `_msgpackparsefailure`.

use super::charset::Charset;
use super::json::{below, failed};
use super::packed::{self, Head, Messages};
use super::{Codec, Decoder, Encoder, TARGET};
use crate::event::json::Parser;
use crate::event::{Batch, EventId, FieldId, FieldRef, Frame, Template, Value};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "msgpack",
    summary: "MessagePack, a hash each.",
    options: &[
        Opt::new(
            "format",
            Type::String,
            None,
            "The `message` of a decoded event that has none, as a text with references to fields.",
        ),
        TARGET,
    ],
    examples: &[],
    build: Build::Codec(build),
};

fn build(options: &Options, _context: &Context) -> Built<Codec> {
    let (format, target) = (options.template("format"), options.field("target"));
    Ok(Codec {
        delimiter: None,
        joiner: Some(Arc::new(|| Box::new(Messages::new(Head::Map)))),
        decoder: Box::new(Hashes { format, target, parser: Parser::default(), text: Vec::new() }),
        encoder: Box::new(ToHash),
    })
}

struct Hashes {
    format: Option<Template>,
    target: Option<FieldRef>,
    parser: Parser,
    text: Vec<u8>,
}

impl Decoder for Hashes {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        // The values can't be borrowed from the batch that they are written to.
        let bytes = batch.bytes(frame.bytes).to_vec();
        let value = match packed::read(&bytes) {
            Some((value, read)) if read == bytes.len() => packed::value(batch, &value),
            _ => Value::Null,
        };
        let Value::Object(members) = value else {
            let text = Charset::Utf8.text(batch, frame.bytes);
            return out.push(failed(batch, text, "_msgpackparsefailure"));
        };
        let event = match &self.target {
            Some(target) => below(batch, target, members),
            None => self.parser.event(batch, members),
        };
        if let Some(format) = &self.format
            && matches!(batch.get_key(event, FieldId::MESSAGE), None | Some(Value::Null))
        {
            self.text.clear();
            format.render(batch, event, &mut self.text);
            let message = batch.str(&String::from_utf8_lossy(&self.text));
            batch.set_key(event, FieldId::MESSAGE, message);
        }
        out.push(event);
    }

    fn fork(&self) -> Box<dyn Decoder> {
        let (format, target) = (self.format.clone(), self.target.clone());
        Box::new(Hashes { format, target, parser: Parser::default(), text: Vec::new() })
    }
}

struct ToHash;

impl Encoder for ToHash {
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        packed::write_event(batch, event, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, decode, encode_bytes};

    #[test]
    fn hashes_are_events() {
        let check = |config: &str, frame: &[u8], want: &str| {
            assert_eq!(decode(&mut codec("msgpack", config, true), &[frame]), [want], "{frame:x?}");
        };
        check("", b"\x81\xa1a\x01", r#"{"a":1}"#);
        check("format=got %{a}", b"\x81\xa1a\x01", r#"{"a":1,"message":"got 1"}"#);
        check("format=got %{a}", b"\x81\xa7message\xa1m", r#"{"message":"m"}"#);
        check("target=[x][y]", b"\x81\xa1a\x01", r#"{"x":{"y":{"a":1}}}"#);
        check("", b"\x81\xaa@timestamp\xb42020-01-02T03:04:05Z", r#"{"@timestamp":"2020-01-02T03:04:05.000Z"}"#);
        check("", b"hello", r#"{"message":"hello","tags":["_msgpackparsefailure"]}"#);
        check("", b"\x91\x01", "{\"message\":\"\u{FFFD}\\u0001\",\"tags\":[\"_msgpackparsefailure\"]}");
    }

    #[test]
    fn events_come_back() {
        let event = r#"{"@timestamp":"2020-01-02T03:04:05.678Z","a":[1,-5,2.5,null,true,"é"],"h":{"x":4294967296}}"#;
        let bytes = encode_bytes(&mut codec("msgpack", "", false), event);
        assert_eq!(decode(&mut codec("msgpack", "", false), &[&bytes]), [event]);
    }
}
