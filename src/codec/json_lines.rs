//! The `json_lines` codec: JSON documents, a line each.
//!
//! `codec => json_lines { }`, as Logstash's: the same as `json` for each line, but the text is
//! kept nowhere. Blank lines are skipped.

use super::charset::Charset;
use super::json::{JsonDecoder, JsonEncoder, failed};
use super::{CHARSET, Codec, DELIMITER, Decoder, TARGET};
use crate::event::{Batch, EventId, FieldRef, Frame, Value};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};

pub(super) static SPEC: Spec = Spec {
    name: "json_lines",
    summary: "JSON documents, one a line.",
    options: &[
        CHARSET,
        Opt::new(
            "decode_size_limit_bytes",
            Type::Number,
            Some("20971520"),
            "A longer line is not parsed: its event says so, with the tag `_jsonparsetoobigfailure` and the text in `[event][original]`.",
        ),
        DELIMITER,
        TARGET,
    ],
    examples: &[],
    build: Build::Codec(build),
};

const LIMIT: f64 = (20 << 20) as f64;

fn build(options: &Options, _context: &Context) -> Built<Codec> {
    let delimiter = options.str("delimiter").unwrap_or("\n").as_bytes().to_vec();
    let charset = Charset::build(options)?;
    let json = JsonDecoder::new(charset, options.field("target"), false);
    let limit = options.number("decode_size_limit_bytes").unwrap_or(LIMIT) as usize;
    Ok(Codec {
        delimiter: Some(delimiter.clone()),
        joiner: None,
        decoder: Box::new(Limited { json: Box::new(json), charset, limit }),
        encoder: Box::new(JsonEncoder { delimiter }),
    })
}

struct Limited {
    json: Box<dyn Decoder>,
    charset: Charset,
    limit: usize,
}

impl Decoder for Limited {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        if frame.bytes.len as usize <= self.limit {
            return self.json.decode(batch, frame, out);
        }
        let text = self.charset.text(batch, frame.bytes);
        let message = batch.push_text(&format!("Payload bigger than {} bytes", self.limit));
        let event = failed(batch, message, "_jsonparsetoobigfailure");
        batch.set(event, &FieldRef::path(&["event", "original"]), Value::Str(text));
        out.push(event);
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(Limited { json: self.json.fork(), ..*self })
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, decode, encode};

    #[test]
    fn lines() {
        let mut lines = codec("json_lines", "", true);
        assert_eq!(lines.delimiter.as_deref(), Some(&b"\n"[..]));
        assert_eq!(
            decode(&mut lines, &[b"{\"a\":1}", b"", b"{\"a\":", b"[{\"b\":2}]\r"]),
            [r#"{"a":1}"#, r#"{"message":"{\"a\":","tags":["_jsonparsefailure"]}"#, r#"{"b":2}"#]
        );
        assert_eq!(encode(&mut lines, r#"{"a":1}"#), "{\"a\":1}\n");
    }

    #[test]
    fn lines_over_the_limit_are_not_parsed() {
        assert_eq!(
            decode(&mut codec("json_lines", "decode_size_limit_bytes=7", false), &[b"{\"a\":1}", b"{\"a\":12}"]),
            [
                r#"{"a":1}"#,
                r#"{"message":"Payload bigger than 7 bytes","tags":["_jsonparsetoobigfailure"],"event":{"original":"{\"a\":12}"}}"#
            ]
        );
    }
}
