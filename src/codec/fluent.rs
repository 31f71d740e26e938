//! The `fluent` codec: the messages of Fluentd's forward protocol.
//!
//! `codec => fluent { }`, as Logstash's. All four forms are read: a message (`[tag, time, record]`),
//! forward (`[tag, [[time, record], …]]`), packed forward (the entries as bytes) and compressed
//! packed forward. Event times are read to the nanosecond whatever `nanosecond_precision` says;
//! it is for writing. The tag of the message becomes a tag of the event. What is none of these
//! becomes an event with what was read in `message` and the tag `_fluentparsefailure`.

use super::charset::Charset;
use super::json::below;
use super::packed::{self, Head, Messages};
use super::{Codec, Decoder, Encoder, TARGET};
use crate::event::json::Parser;
use crate::event::{Batch, EventId, FieldId, FieldRef, Frame, Timestamp, Value};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use flate2::read::MultiGzDecoder;
use rmpv::ValueRef;
use std::io::Read;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "fluent",
    summary: "The messages of Fluentd's forward protocol.",
    options: &[
        Opt::new(
            "nanosecond_precision",
            Type::Boolean,
            Some("false"),
            "Whether events are written with event times of nanoseconds; read are both kinds.",
        ),
        TARGET,
    ],
    examples: &[],
    build: Build::Codec(build),
};

/// Bytes that compressed entries may unpack to.
const ENTRIES_BYTES_MAX: u64 = 64 << 20;

fn build(options: &Options, _context: &Context) -> Built<Codec> {
    Ok(Codec {
        delimiter: None,
        joiner: Some(Arc::new(|| Box::new(Messages::new(Head::Array)))),
        decoder: Box::new(Forward { target: options.field("target"), parser: Parser::default() }),
        encoder: Box::new(ToMessage { nanos: options.bool("nanosecond_precision", false), tag: Vec::new() }),
    })
}

struct Forward {
    target: Option<FieldRef>,
    parser: Parser,
}

impl Forward {
    /// The events of a message; `None` where it is not one, and events made so far stay.
    fn message(&mut self, batch: &mut Batch, message: &ValueRef, out: &mut Vec<EventId>) -> Option<()> {
        let ValueRef::Array(parts) = message else { return None };
        let tag = parts.first()?;
        match parts.get(1)? {
            ValueRef::Array(entries) => {
                for entry in entries {
                    self.entry(batch, tag, entry, out)?;
                }
                Some(())
            }
            ValueRef::String(entries) => self.packed(batch, tag, entries.as_bytes(), parts.get(2), out),
            ValueRef::Binary(entries) => self.packed(batch, tag, entries, parts.get(2), out),
            at => self.event(batch, tag, at, parts.get(2)?, out),
        }
    }

    fn packed(
        &mut self,
        batch: &mut Batch,
        tag: &ValueRef,
        entries: &[u8],
        options: Option<&ValueRef>,
        out: &mut Vec<EventId>,
    ) -> Option<()> {
        let compressed = match options {
            Some(ValueRef::Map(options)) => options.iter().find(|(name, _)| text(name) == Some("compressed")),
            _ => None,
        };
        let mut unpacked = Vec::new();
        let mut rest = match compressed.map(|(_, how)| text(how)) {
            Some(Some("gzip")) => {
                let limit = ENTRIES_BYTES_MAX + 1;
                let read = MultiGzDecoder::new(entries).take(limit).read_to_end(&mut unpacked).ok()?;
                if read as u64 == limit {
                    return None;
                }
                &unpacked[..]
            }
            Some(Some("text")) | None => entries,
            Some(_) => return None,
        };
        while !rest.is_empty() {
            let (entry, read) = packed::read(rest)?;
            self.entry(batch, tag, &entry, out)?;
            rest = &rest[read..];
        }
        Some(())
    }

    fn entry(&mut self, batch: &mut Batch, tag: &ValueRef, entry: &ValueRef, out: &mut Vec<EventId>) -> Option<()> {
        let ValueRef::Array(parts) = entry else { return None };
        self.event(batch, tag, parts.first()?, parts.get(1)?, out)
    }

    fn event(
        &mut self,
        batch: &mut Batch,
        tag: &ValueRef,
        at: &ValueRef,
        record: &ValueRef,
        out: &mut Vec<EventId>,
    ) -> Option<()> {
        let at = match at {
            ValueRef::Ext(0, bytes) => packed::time(0, bytes)?,
            ValueRef::Integer(seconds) => Timestamp::new(seconds.as_i64()?, 0),
            ValueRef::F64(seconds) if seconds.is_finite() => {
                Timestamp::new(seconds.floor() as i64, (seconds.rem_euclid(1.0) * 1e9).min(999_999_999.0) as u32)
            }
            _ => return None,
        };
        let ValueRef::Map(_) = record else { return None };
        let Value::Object(members) = packed::value(batch, record) else { return None };
        let event = match &self.target {
            Some(target) => below(batch, target, members),
            None => self.parser.event(batch, members),
        };
        batch.set_key(event, FieldId::TIMESTAMP, Value::Time(at));
        match packed::value(batch, tag) {
            Value::Str(span) => {
                let tag = batch.text(span).to_owned();
                batch.tag(event, &tag);
            }
            Value::Null => {}
            other => batch.append_tag(event, other),
        }
        out.push(event);
        Some(())
    }
}

fn text<'a>(value: &'a ValueRef) -> Option<&'a str> {
    match value {
        ValueRef::String(text) => text.as_str(),
        _ => None,
    }
}

impl Decoder for Forward {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        // The values can't be borrowed from the batch that they are written to.
        let bytes = batch.bytes(frame.bytes).to_vec();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let message = packed::read(rest).filter(|(message, _)| matches!(message, ValueRef::Array(_)));
            let done = message.as_ref().and_then(|(message, _)| self.message(batch, message, out));
            if done.is_none() {
                let event = batch.new_event();
                let value = match &message {
                    Some((message, _)) => packed::value(batch, message),
                    None => batch.str(&Charset::Utf8.decode(rest)),
                };
                batch.set_key(event, FieldId::MESSAGE, value);
                batch.tag(event, "_fluentparsefailure");
                out.push(event);
            }
            let Some((_, read)) = message else { return };
            rest = &rest[read..];
        }
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(Forward { target: self.target.clone(), parser: Parser::default() })
    }
}

struct ToMessage {
    nanos: bool,
    tag: Vec<u8>,
}

impl Encoder for ToMessage {
    /// `[tag, time, record]`; the tag is the event's tags with points between, or `log`.
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        self.tag.clear();
        match batch.get_key(event, FieldId::TAGS) {
            None | Some(Value::Null | Value::Bool(false)) => self.tag.extend_from_slice(b"log"),
            Some(Value::Array(list)) => {
                for (at, entry) in batch.entries(list).iter().enumerate() {
                    self.tag.extend_from_slice(if at > 0 { b"." } else { b"" });
                    crate::event::ruby::write_to_s(batch, entry.value, &mut self.tag);
                }
            }
            Some(value) => crate::event::ruby::write_to_s(batch, value, &mut self.tag),
        }
        let at = batch.timestamp(event).unwrap_or(Timestamp::new(0, 0));
        packed::write_array(3, out);
        packed::write_text(&String::from_utf8_lossy(&self.tag), out);
        if self.nanos {
            out.extend_from_slice(&[0xd7, 0]);
            out.extend_from_slice(&(at.seconds() as u32).to_be_bytes());
            out.extend_from_slice(&at.subsec_nanos().to_be_bytes());
        } else {
            packed::write_int(at.seconds(), out);
        }
        packed::write_event(batch, event, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, decode, encode_bytes};
    use flate2::write::GzEncoder;
    use std::io::Write;

    const ENTRY: &[u8] = b"\x92\x01\x81\xa1a\x01";

    fn check(frame: &[u8], want: &[&str]) {
        assert_eq!(decode(&mut codec("fluent", "", false), &[frame]), want, "{frame:x?}");
    }

    /// `[tag, entries, options]`, the entries as bytes.
    fn packed(entries: &[u8], options: &[u8]) -> Vec<u8> {
        [b"\x93\xa1t\xc4", &[entries.len() as u8][..], entries, options].concat()
    }

    #[test]
    fn all_four_forms() {
        const ONE: &str = r#"{"a":1,"@timestamp":"1970-01-01T00:00:01.000Z","tags":["t"]}"#;
        check(b"\x93\xa1t\x01\x81\xa1a\x01", &[ONE]);
        check(&[b"\x92\xa1t\x92", ENTRY, ENTRY].concat(), &[ONE, ONE]);
        check(&packed(&[ENTRY, ENTRY].concat(), b"\x80"), &[ONE, ONE]);
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(ENTRY).unwrap();
        check(&packed(&gzip.finish().unwrap(), b"\x81\xaacompressed\xa4gzip"), &[ONE]);
    }

    #[test]
    fn event_times() {
        let frame = b"\x93\xa1t\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x05\x80";
        check(frame, &[r#"{"@timestamp":"1970-01-01T00:00:01.000000005Z","tags":["t"]}"#]);
    }

    #[test]
    fn what_is_no_message() {
        check(b"\x92\xa1t\xc3", &[r#"{"message":["t",true],"tags":["_fluentparsefailure"]}"#]);
        check(b"hello", &[r#"{"message":"hello","tags":["_fluentparsefailure"]}"#]);
        check(b"\x93\xa1t", &["{\"message\":\"\u{FFFD}\u{FFFD}t\",\"tags\":[\"_fluentparsefailure\"]}"]);
        check(
            &packed(b"\x92\x01", b"\x80"),
            &[r#"{"message":["t","X",{}],"tags":["_fluentparsefailure"]}"#.replace('X', "\u{FFFD}\\u0001").as_str()],
        );
    }

    #[test]
    fn events_come_back() {
        for config in ["", "nanosecond_precision=true"] {
            let event = r#"{"a":1,"@timestamp":"2020-01-02T03:04:05.000Z","tags":["x","y"]}"#;
            let bytes = encode_bytes(&mut codec("fluent", config, false), event);
            let want = r#"{"a":1,"@timestamp":"2020-01-02T03:04:05.000Z","tags":["x","y","x.y"]}"#;
            assert_eq!(decode(&mut codec("fluent", "", false), &[&bytes]), [want]);
        }
    }
}
