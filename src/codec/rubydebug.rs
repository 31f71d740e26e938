//! The `rubydebug` codec: an event as Ruby's amazing_print shows a hash, to read while a pipeline
//! is made.
//!
//! `codec => rubydebug { }`, as Logstash's. It is for outputs; an input gets plain text from it.

use super::charset::Charset;
use super::text::TextDecoder;
use super::{Codec, Encoder};
use crate::event::json::write_ruby_float;
use crate::event::{Batch, Entry, EventId, FieldId, Value, joda};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};

pub(super) static SPEC: Spec = Spec {
    name: "rubydebug",
    summary: "Events as Ruby shows a hash, for people.",
    options: &[Opt::new("metadata", Type::Boolean, Some("false"), "Whether `@metadata` is shown too.")],
    examples: &[],
    build: Build::Codec(build),
};

fn build(options: &Options, context: &Context) -> Built<Codec> {
    Ok(Codec {
        delimiter: None,
        joiner: None,
        decoder: Box::new(TextDecoder::new(Charset::Utf8, context)),
        encoder: Box::new(RubyDebug { metadata: options.bool("metadata", false), names: Vec::new() }),
    })
}

/// Columns of a level.
const INDENT: usize = 4;

struct RubyDebug {
    metadata: bool,
    /// A name as Ruby inspects it.
    names: Vec<u8>,
}

impl Encoder for RubyDebug {
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        self.hash(batch, batch.fields(event), INDENT, out);
        out.push(b'\n');
    }
}

impl RubyDebug {
    /// Members one a line, their arrows below each other; `indent` is where the members stand.
    fn hash(&mut self, batch: &Batch, members: &[Entry], indent: usize, out: &mut Vec<u8>) {
        let shown = |metadata: bool, entry: &Entry| metadata || indent > INDENT || entry.key != FieldId::METADATA;
        let metadata = self.metadata;
        let mut members = members.iter().filter(|e| shown(metadata, e)).peekable();
        if members.peek().is_none() {
            return out.extend_from_slice(b"{}");
        }
        let widest = members.clone().map(|e| self.name(batch.name(e.key))).max().unwrap_or(0);
        let mut before = &b"{\n"[..];
        for entry in members {
            out.extend_from_slice(before);
            before = b",\n";
            let width = self.name(batch.name(entry.key));
            spaces(indent + widest - width, out);
            out.extend_from_slice(&self.names);
            out.extend_from_slice(b" => ");
            self.value(batch, entry.value, indent + INDENT, out);
        }
        out.push(b'\n');
        spaces(indent - INDENT, out);
        out.push(b'}');
    }

    /// Puts the name as Ruby inspects it in `names` and gives its number of characters.
    fn name(&mut self, name: &str) -> usize {
        self.names.clear();
        inspect(name, &mut self.names);
        String::from_utf8_lossy(&self.names).chars().count()
    }

    fn array(&mut self, batch: &Batch, elements: &[Entry], indent: usize, out: &mut Vec<u8>) {
        if elements.is_empty() {
            return out.extend_from_slice(b"[]");
        }
        let widest = (elements.len() - 1).to_string().len();
        let mut before = &b"[\n"[..];
        for (at, entry) in elements.iter().enumerate() {
            out.extend_from_slice(before);
            before = b",\n";
            spaces(indent, out);
            out.extend_from_slice(format!("[{at:>widest$}] ").as_bytes());
            self.value(batch, entry.value, indent + INDENT, out);
        }
        out.push(b'\n');
        spaces(indent - INDENT, out);
        out.push(b']');
    }

    fn value(&mut self, batch: &Batch, value: Value, indent: usize, out: &mut Vec<u8>) {
        match value {
            Value::Null => out.extend_from_slice(b"nil"),
            Value::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
            Value::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
            Value::Uint(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
            Value::Big(digits) => out.extend_from_slice(batch.bytes(digits)),
            Value::Float(n) => write_ruby_float(n, out),
            Value::Str(span) => inspect(batch.text(span), out),
            Value::Time(at) => joda::write_iso8601(at, out),
            Value::Array(list) => self.array(batch, batch.entries(list), indent, out),
            Value::Object(list) => self.hash(batch, batch.entries(list), indent, out),
        }
    }
}

fn spaces(number: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + number, b' ');
}

/// Ruby's `String#inspect`.
fn inspect(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\u{1b}' => "\\e",
            '\u{7f}' => "\\x7F",
            '#' if matches!(chars.peek(), Some('{' | '$' | '@')) => "\\#",
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.extend_from_slice(format!("\\u{:04X}", c as u32).as_bytes());
                continue;
            }
            c => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        out.extend_from_slice(escape.as_bytes());
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, encode};

    #[test]
    fn events_as_ruby_shows_them() {
        let event = r##"{"@timestamp":"2013-01-02T03:04:05.678Z","@version":"1","message":"say \"hi\"\t#{x} # é\u0001",
            "host":{"hostname":"web","ip":[]},"list":["a",{"b":null,"long":1.0e20}],"e":{},"f":1.5,"t":true,
            "@metadata":{"x":1}}"##;
        let expected = r##"{
    "@timestamp" => 2013-01-02T03:04:05.678Z,
      "@version" => "1",
       "message" => "say \"hi\"\t\#{x} # é\u0001",
          "host" => {
        "hostname" => "web",
              "ip" => []
    },
          "list" => [
        [0] "a",
        [1] {
               "b" => nil,
            "long" => 1.0e+20
        }
    ],
             "e" => {},
             "f" => 1.5,
             "t" => true
}
"##;
        assert_eq!(encode(&mut codec("rubydebug", "", false), event), expected);
    }

    #[test]
    fn metadata_where_asked_for() {
        let event = r#"{"a":1,"@metadata":{"x":1}}"#;
        let expected = "{\n            \"a\" => 1,\n    \"@metadata\" => {\n        \"x\" => 1\n    }\n}\n";
        assert_eq!(encode(&mut codec("rubydebug", "metadata=true", false), event), expected);
        assert_eq!(encode(&mut codec("rubydebug", "", false), "{}"), "{}\n");
    }

    #[test]
    fn long_arrays_line_up() {
        let event = format!(r#"{{"a":[{}]}}"#, ["7"; 11].join(","));
        let shown = encode(&mut codec("rubydebug", "", false), &event);
        assert!(shown.contains("        [ 9] 7,\n        [10] 7\n    ]"), "{shown}");
    }
}
