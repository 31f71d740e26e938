//! The `urldecode` filter: decodes what is percent-encoded.
//!
//! `urldecode { field => "query" }`, as Logstash's: `%41` becomes `A`, `+` stays. Bytes that are
//! no text in the charset are written as `\xE9`, and then the whole text is, as Ruby's `inspect`.

use super::common::{field, set, tags};
use super::{Filter, Run};
use crate::codec::charset::Charset;
use crate::event::{Batch, EventId, FieldId, FieldRef, Value, ruby};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "urldecode",
    summary: "Decodes what is percent-encoded (`%41` becomes `A`).",
    options: &[
        Opt::new("all_fields", Type::Boolean, Some("false"), "Whether all fields are decoded, instead of one."),
        Opt::new("charset", Type::String, Some("UTF-8"), "What the decoded bytes are."),
        Opt::new("field", Type::Field, Some("message"), "The field to decode, with all texts in it."),
        Opt::new(
            "tag_on_failure",
            Type::Array,
            Some(r#"["_urldecodefailure"]"#),
            "Tags for events whose field can't be set.",
        ),
    ],
    examples: &[Example {
        title: "A query",
        config: r#"urldecode { field => "query" }"#,
        given: r#"{"query":"q=caf%C3%A9%20au%20lait"}"#,
        then: r#"{"query":"q=café au lait"}"#,
    }],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct Urldecode {
    /// `None` for all.
    field: Option<FieldRef>,
    charset: Charset,
    failure: Arc<[String]>,
    scratch: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    Ok(Box::new(Urldecode {
        field: (!options.bool("all_fields", false)).then(|| field(options, "field", "message")),
        charset: Charset::build(options)?,
        failure: tags(options, "tag_on_failure", &["_urldecodefailure"]).into(),
        scratch: Vec::new(),
    }))
}

impl Filter for Urldecode {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            match self.field.take() {
                Some(field) => {
                    // A field that is missing is null afterwards, as in Logstash.
                    let value = batch.get(event, &field).unwrap_or(Value::Null);
                    let value = self.decode(batch, value).unwrap_or(value);
                    if !set(batch, event, &field, value) {
                        self.failure.iter().for_each(|tag| batch.tag(event, tag));
                    }
                    self.field = Some(field);
                }
                None => self.all(batch, event),
            }
            run.matched.push(event);
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Urldecode {
    fn all(&mut self, batch: &mut Batch, event: EventId) {
        for at in 0..batch.fields(event).len() {
            let entry = batch.fields(event)[at];
            if entry.key == FieldId::METADATA {
                continue;
            }
            if let Some(value) = self.decode(batch, entry.value) {
                batch.set_key(event, entry.key, value);
            }
        }
    }

    /// The value decoded; `None` where that changes nothing.
    fn decode(&mut self, batch: &mut Batch, value: Value) -> Option<Value> {
        let list = match value {
            Value::Str(span) => {
                let (text, scratch) = (batch.text(span), &mut self.scratch);
                if self.charset.is_utf8() && !text.contains('%') {
                    return None;
                }
                scratch.clear();
                unescape(text.as_bytes(), scratch);
                if !self.charset.is_utf8() {
                    return Some(batch.str(&self.charset.decode(scratch)));
                }
                if std::str::from_utf8(scratch).is_err() {
                    *scratch = inspect(scratch);
                }
                return Some(Value::Str(batch.push_bytes(scratch)));
            }
            Value::Array(list) | Value::Object(list) => list,
            _ => return None,
        };
        let mut copy = None;
        for at in 0..list.len() {
            let value = batch.entries(list)[at].value;
            if let Some(new) = self.decode(batch, value) {
                copy.get_or_insert_with(|| batch.entries(list).to_vec())[at].value = new;
            }
        }
        let copy = batch.list(&copy?);
        Some(if matches!(value, Value::Object(_)) { Value::Object(copy) } else { Value::Array(copy) })
    }
}

/// Appends `text` with `%XX` replaced by the byte that it stands for.
fn unescape(mut text: &[u8], out: &mut Vec<u8>) {
    let digit = |at: Option<&u8>| at.and_then(|&byte| (byte as char).to_digit(16));
    while let Some(at) = memchr::memchr(b'%', text) {
        out.extend_from_slice(&text[..at]);
        match (digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                text = &text[at + 3..];
            }
            _ => {
                out.push(b'%');
                text = &text[at + 1..];
            }
        }
    }
    out.extend_from_slice(text);
}

/// Bytes that are no UTF-8 as Ruby's `inspect` writes them, without the quotes.
fn inspect(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in bytes.utf8_chunks() {
        let start = out.len();
        ruby::write_quoted(chunk.valid(), &mut out);
        out.remove(start);
        out.pop();
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{event, run, shown};

    fn check(settings: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        assert!(run(build, settings, &mut batch, event));
        assert_eq!(shown(&batch, event), after, "{settings} on {before}");
    }

    #[test]
    fn texts_are_decoded() {
        check("{}", r#"{"message":"a%20b+c%2"}"#, r#"{"message":"a b+c%2"}"#);
        check("{}", r#"{"message":"%zz%41%C3%A9"}"#, r#"{"message":"%zzAé"}"#);
        check("{}", r#"{"message":"\"%E9\n"}"#, r#"{"message":"\\\"\\xE9\\n"}"#);
        check("{}", r#"{"message":5}"#, r#"{"message":5}"#);
        check("{}", r#"{"a":1}"#, r#"{"a":1,"message":null}"#);
        check(r#"{"field":"[a][b]"}"#, r#"{"a":{"b":["%41",{"c":"%42"}]}}"#, r#"{"a":{"b":["A",{"c":"B"}]}}"#);
        check(r#"{"charset":"ISO-8859-1"}"#, r#"{"message":"caf%E9"}"#, r#"{"message":"café"}"#);
        check(r#"{"charset":"Shift_JIS"}"#, r#"{"message":"%83%8D%83O"}"#, r#"{"message":"ログ"}"#);
    }

    #[test]
    fn all_fields() {
        check(r#"{"all_fields":true}"#, r#"{"a":"%41","n":{"b":"%42","c":1}}"#, r#"{"a":"A","n":{"b":"B","c":1}}"#);
    }

    #[test]
    fn failures() {
        check(r#"{"field":"[a][b]"}"#, r#"{"a":1}"#, r#"{"a":1,"tags":["_urldecodefailure"]}"#);
    }
}
