//! The `json` codec: one JSON document is one event, or one event for each element of an array.
//!
//! `codec => json { }`, as Logstash's. What is no JSON, and a document that is neither hash nor
//! array of hashes, becomes an event with the text in `message` and the tag `_jsonparsefailure`.
//! In ECS mode a single event keeps its text in `[event][original]`.

use super::charset::Charset;
use super::{CHARSET, Codec, Decoder, Encoder, TARGET};
use crate::event::json::{Decoded, JsonError, Parser, write_event};
use crate::event::{Batch, EventId, FieldId, FieldRef, Frame, List, Span, Value};
use crate::plugin::{Build, Built, Context, Options, Spec};
use std::sync::LazyLock;

pub(super) static SPEC: Spec = Spec {
    name: "json",
    summary: "JSON, one document each.",
    options: &[CHARSET, TARGET],
    examples: &[],
    build: Build::Codec(build),
};

fn build(options: &Options, context: &Context) -> Built<Codec> {
    Ok(Codec {
        delimiter: None,
        joiner: None,
        decoder: Box::new(JsonDecoder::new(Charset::build(options)?, options.field("target"), context.ecs)),
        encoder: Box::new(JsonEncoder { delimiter: Vec::new() }),
    })
}

static ORIGINAL: LazyLock<FieldRef> = LazyLock::new(|| FieldRef::path(&["event", "original"]));

/// Makes events of JSON documents.
pub(super) struct JsonDecoder {
    parser: Parser,
    charset: Charset,
    target: Option<FieldRef>,
    original: bool,
}

impl JsonDecoder {
    pub(super) fn new(charset: Charset, target: Option<FieldRef>, original: bool) -> JsonDecoder {
        JsonDecoder { parser: Parser::default(), charset, target, original }
    }

    fn document(&mut self, batch: &mut Batch, span: Span, out: &mut Vec<EventId>) -> Result<(), JsonError> {
        let first = out.len();
        match &self.target {
            None => match self.parser.parse_event(batch, span)? {
                Decoded::Event(event) => out.push(event),
                Decoded::Array(list) => {
                    for hash in hashes(batch, list)? {
                        let event = self.parser.event(batch, hash);
                        out.push(event);
                    }
                }
                Decoded::Scalar(value) => not_nothing(value)?,
                Decoded::Blank => {}
            },
            Some(_) if batch.bytes(span).trim_ascii().is_empty() => {}
            Some(target) => match self.parser.parse(batch, span)? {
                Value::Array(list) => {
                    for hash in hashes(batch, list)? {
                        out.push(below(batch, target, hash));
                    }
                }
                Value::Object(hash) => out.push(below(batch, target, hash)),
                value => not_nothing(value)?,
            },
        }
        if self.original
            && let [event] = out[first..]
            && batch.get(event, &ORIGINAL).is_none()
        {
            batch.set(event, &ORIGINAL, Value::Str(span));
        }
        Ok(())
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        let bytes = if self.charset.is_utf8() { frame.bytes } else { self.charset.text(batch, frame.bytes) };
        if self.document(batch, bytes, out).is_err() {
            // What came through a charset is text already; what did not may be no UTF-8.
            let text = Charset::Utf8.text(batch, bytes);
            out.push(failed(batch, text, "_jsonparsefailure"));
        }
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(JsonDecoder::new(self.charset, self.target.clone(), self.original))
    }
}

/// The event of text that is no JSON.
pub(super) fn failed(batch: &mut Batch, text: Span, tag: &str) -> EventId {
    let event = batch.new_event();
    batch.set_key(event, FieldId::MESSAGE, Value::Str(text));
    batch.tag(event, tag);
    event
}

/// An event with a hash below a field.
pub(super) fn below(batch: &mut Batch, target: &FieldRef, hash: List) -> EventId {
    let event = batch.new_event();
    batch.set(event, target, Value::Object(hash));
    event
}

fn hashes(batch: &Batch, list: List) -> Result<Vec<List>, JsonError> {
    let hash = |value| if let Value::Object(list) = value { Some(list) } else { None };
    let hashes: Option<Vec<List>> = batch.entries(list).iter().map(|e| hash(e.value)).collect();
    hashes.ok_or(JsonError { reason: "an element is no hash", at: 0 })
}

/// `null` is no event, any other scalar an error.
fn not_nothing(value: Value) -> Result<(), JsonError> {
    match value {
        Value::Null => Ok(()),
        _ => Err(JsonError { reason: "neither hash nor array", at: 0 }),
    }
}

/// An event becomes a JSON object and a delimiter.
pub(super) struct JsonEncoder {
    pub(super) delimiter: Vec<u8>,
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        write_event(batch, event, out);
        out.extend_from_slice(&self.delimiter);
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, decode, encode};

    #[test]
    fn documents() {
        let check = |config: &str, ecs: bool, frame: &str, expected: &[&str]| {
            assert_eq!(decode(&mut codec("json", config, ecs), &[frame.as_bytes()]), expected, "{frame}");
        };
        let plain = |frame: &str, expected: &[&str]| check("", false, frame, expected);
        plain(r#"{"a":1}"#, &[r#"{"a":1}"#]);
        plain(r#" [{"a":1}, {"b":"x\n"}] "#, &[r#"{"a":1}"#, r#"{"b":"x\n"}"#]);
        plain("[]", &[]);
        plain("", &[]);
        plain(" \t", &[]);
        plain("hello", &[r#"{"message":"hello","tags":["_jsonparsefailure"]}"#]);
        plain("12", &[r#"{"message":"12","tags":["_jsonparsefailure"]}"#]);
        plain(r#"[{"a":1},2]"#, &[r#"{"message":"[{\"a\":1},2]","tags":["_jsonparsefailure"]}"#]);
        check("target=[x][y]", false, r#"{"@timestamp":1}"#, &[r#"{"x":{"y":{"@timestamp":1}}}"#]);
        check("target=d", false, r#"[{"a":1},{"a":2}]"#, &[r#"{"d":{"a":1}}"#, r#"{"d":{"a":2}}"#]);
        check("", true, r#"{"a":1}"#, &[r#"{"a":1,"event":{"original":"{\"a\":1}"}}"#]);
        check("", true, r#"{"event":{"original":1}}"#, &[r#"{"event":{"original":1}}"#]);
        check("", true, r#"[{"a":1},{"b":1}]"#, &[r#"{"a":1}"#, r#"{"b":1}"#]);
    }

    #[test]
    fn bytes_that_are_no_utf8() {
        let frame = b"{\"a\":\"caf\xe9\"}";
        assert_eq!(
            decode(&mut codec("json", "", false), &[frame]),
            ["{\"message\":\"{\\\"a\\\":\\\"caf\u{FFFD}\\\"}\",\"tags\":[\"_jsonparsefailure\"]}"]
        );
        assert_eq!(decode(&mut codec("json", "charset=ISO-8859-1", false), &[frame]), [r#"{"a":"café"}"#]);
    }

    #[test]
    fn events_leave_without_a_delimiter() {
        assert_eq!(encode(&mut codec("json", "", false), r#"{"a": 1}"#), r#"{"a": 1}"#);
    }
}
