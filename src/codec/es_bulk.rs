//! The `es_bulk` codec: the bodies of Elasticsearch's bulk API.
//!
//! `codec => es_bulk { }`, as Logstash's. An action and its document are one event; what the
//! action said stands in `@metadata` (in ECS mode in `[@metadata][codec][es_bulk]`) with the
//! action's name as `action`. A line that is no JSON becomes an event with the tag
//! `_jsonparsefailure`.

use super::charset::Charset;
use super::json::{JsonEncoder, below, failed};
use super::{Codec, Decoder, Joiner, TARGET};
use crate::event::json::Parser;
use crate::event::{Batch, Entry, EventId, FieldRef, Frame, List, Span, Value};
use crate::plugin::{Build, Built, Context, Options, Spec};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "es_bulk",
    summary: "The bodies of Elasticsearch's bulk API.",
    options: &[TARGET],
    examples: &[],
    build: Build::Codec(build),
};

/// Bytes that are held of one action and its document.
const HELD_BYTES_MAX: usize = 100 << 20;

fn build(options: &Options, context: &Context) -> Built<Codec> {
    let metadata: &[&str] = if context.ecs { &["@metadata", "codec", "es_bulk"] } else { &["@metadata"] };
    let rules = Rules { target: options.field("target"), metadata: FieldRef::path(metadata) };
    Ok(Codec {
        delimiter: None,
        joiner: Some(Arc::new(|| Box::new(Pairs::default()))),
        decoder: Box::new(Bulk { rules: Arc::new(rules), parser: Parser::default() }),
        encoder: Box::new(JsonEncoder { delimiter: b"\n".to_vec() }),
    })
}

/// Cuts a stream between one document and the next action.
#[derive(Default)]
struct Pairs {
    held: Vec<u8>,
    /// Up to here whole lines were looked at …
    at: usize,
    /// … and this line is a document.
    document: bool,
}

impl Joiner for Pairs {
    fn push(&mut self, frame: &[u8], out: &mut dyn FnMut(&[u8], &[&'static str])) {
        self.held.extend_from_slice(frame);
        let mut whole = 0;
        while let Some(end) = memchr::memchr(b'\n', &self.held[self.at..]).map(|at| self.at + at) {
            let line = self.held[self.at..end].trim_ascii();
            if !line.is_empty() {
                self.document = !self.document && !is_delete(line);
            }
            self.at = end + 1;
            if !self.document {
                whole = self.at;
            }
        }
        if whole > 0 {
            out(&self.held[..whole], &[]);
            self.held.drain(..whole);
            self.at -= whole;
        }
        if self.held.len() > HELD_BYTES_MAX {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut dyn FnMut(&[u8], &[&'static str])) {
        if !self.held.is_empty() {
            out(&self.held, &[]);
        }
        *self = Pairs::default();
    }

    fn holds(&self) -> bool {
        !self.held.is_empty()
    }
}

/// Whether an action has no document behind it: `{ "delete" …`.
fn is_delete(line: &[u8]) -> bool {
    let name = line.strip_prefix(b"{").map(<[u8]>::trim_ascii_start).and_then(|rest| rest.strip_prefix(b"\"delete\""));
    name.is_some()
}

struct Rules {
    target: Option<FieldRef>,
    metadata: FieldRef,
}

struct Bulk {
    rules: Arc<Rules>,
    parser: Parser,
}

impl Bulk {
    fn event(&mut self, batch: &mut Batch, document: List, action: List) -> EventId {
        let event = match &self.rules.target {
            Some(target) => below(batch, target, document),
            None => self.parser.event(batch, document),
        };
        batch.set(event, &self.rules.metadata, Value::Object(action));
        event
    }

    /// What an action says, with its name; `None` where it is none.
    fn action(batch: &mut Batch, line: List) -> Option<(bool, List)> {
        let first = *batch.entries(line).first()?;
        let Value::Object(said) = first.value else { return None };
        let name = batch.name(first.key).to_owned();
        let key = batch.key("action");
        let mut entries: Vec<Entry> = batch.entries(said).iter().filter(|e| e.key != key).copied().collect();
        entries.push(Entry::new(key, batch.str(&name)));
        Some((name == "delete", batch.list(&entries)))
    }
}

impl Decoder for Bulk {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        let mut action = None;
        let mut from = 0;
        while from < frame.bytes.len as usize {
            let rest = &batch.bytes(frame.bytes)[from..];
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let blank = rest[..length].trim_ascii().is_empty();
            let span: Span = frame.bytes.slice(from, from + length);
            from += length + 1;
            if blank {
                continue;
            }
            let line = match self.parser.parse(batch, span) {
                Ok(Value::Object(line)) => Some(line),
                _ => None,
            };
            let done = match (line, action.take()) {
                (Some(document), Some(action)) => {
                    out.push(self.event(batch, document, action));
                    Some(())
                }
                (Some(line), None) => Bulk::action(batch, line).map(|(delete, said)| match delete {
                    true => {
                        let nothing = batch.list(&[]);
                        out.push(self.event(batch, nothing, said));
                    }
                    false => action = Some(said),
                }),
                // A line that is no JSON is not the document: that may follow.
                (None, before) => {
                    action = before;
                    None
                }
            };
            if done.is_none() {
                let text = Charset::Utf8.text(batch, span);
                out.push(failed(batch, text, "_jsonparsefailure"));
            }
        }
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(Bulk { rules: self.rules.clone(), parser: Parser::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::harness::{codec, decode_with_metadata};

    const BODY: &str = "{\"index\":{\"_index\":\"a\",\"_id\":1}}\n{\"f\":1}\n{\"delete\":{\"_id\":2}}\n\n{ \"create\": {} }\n{\"f\":2}\n";

    #[test]
    fn actions_and_documents() {
        let events = |ecs| decode_with_metadata(&mut codec("es_bulk", "", ecs), &[BODY.as_bytes()]);
        assert_eq!(
            events(false),
            [
                r#"{"f":1} {"_index":"a","_id":1,"action":"index"}"#,
                r#"{} {"_id":2,"action":"delete"}"#,
                r#"{"f":2} {"action":"create"}"#,
            ]
        );
        assert_eq!(events(true)[2], r#"{"f":2} {"codec":{"es_bulk":{"action":"create"}}}"#);
    }

    #[test]
    fn lines_that_are_no_json() {
        let frame = b"{\"index\":{}}\nhello\n{\"f\":1}\n";
        assert_eq!(
            decode_with_metadata(&mut codec("es_bulk", "target=t", false), &[frame]),
            [r#"{"message":"hello","tags":["_jsonparsefailure"]} null"#, r#"{"t":{"f":1}} {"action":"index"}"#,]
        );
    }

    #[test]
    fn streams_are_cut_between_actions() {
        for piece in [1, 5, 33, 1000] {
            let (mut pairs, mut frames) = (Pairs::default(), Vec::new());
            let mut take = |frame: &[u8], _: &[&'static str]| frames.push(frame.to_vec());
            BODY.as_bytes().chunks(piece).for_each(|chunk| pairs.push(chunk, &mut take));
            pairs.flush(&mut take);
            assert_eq!(frames.concat(), BODY.as_bytes());
            let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            let events = decode_with_metadata(&mut codec("es_bulk", "", false), &frames);
            assert_eq!(events.len(), 3, "{piece}: {events:?}");
        }
    }
}
