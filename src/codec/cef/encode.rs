//! An event to CEF.

use crate::codec::Encoder;
use crate::event::{Batch, EventId, FieldRef, Template, Value, joda, json, ruby};

/// A field that is written as an extension.
pub(super) struct Written {
    field: FieldRef,
    key: String,
}

impl Written {
    /// Keys have letters and digits only.
    pub(super) fn new(field: FieldRef, key: &str) -> Written {
        Written { field, key: key.chars().filter(char::is_ascii_alphanumeric).collect() }
    }
}

/// Makes CEF of events.
pub(super) struct ToCef {
    /// Vendor, product, version, signature and name, each with what stands for an empty one.
    pub(super) header: [(Template, &'static str); 5],
    pub(super) severity: Template,
    pub(super) fields: Vec<Written>,
    pub(super) delimiter: String,
}

impl Encoder for ToCef {
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        let mut scratch = Vec::new();
        let mut render = |template: &Template| {
            scratch.clear();
            template.render(batch, event, &mut scratch);
            String::from_utf8_lossy(&scratch).into_owned()
        };
        out.extend_from_slice(b"CEF:0|");
        for (template, default) in &self.header {
            let text = render(template);
            escape(if text.is_empty() { default } else { &text }, header_char, out);
            out.push(b'|');
        }
        out.extend_from_slice(itoa::Buffer::new().format(severity(&render(&self.severity))).as_bytes());
        out.push(b'|');
        let mut first = true;
        for Written { field, key } in &self.fields {
            let Some(value) = batch.get(event, field).filter(|value| *value != Value::Null) else { continue };
            if !std::mem::take(&mut first) {
                out.push(b' ');
            }
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            let mut text = Vec::new();
            match value {
                Value::Array(_) | Value::Object(_) => json::write_value(batch, value, &mut text),
                Value::Time(at) => {
                    joda::write_iso8601(at, out);
                    continue;
                }
                value => ruby::write_to_s(batch, value, &mut text),
            }
            escape(&String::from_utf8_lossy(&text), extension_char, out);
        }
        out.extend_from_slice(self.delimiter.as_bytes());
    }
}

/// A whole number from 0 to 10; for all others 6.
fn severity(text: &str) -> u8 {
    let number = text.trim().parse::<f64>().ok().filter(|n| n.fract() == 0.0 && (0.0..=10.0).contains(n));
    number.map_or(6, |n| n as u8)
}

fn header_char(c: char) -> Option<&'static str> {
    match c {
        '\\' => Some("\\\\"),
        '|' => Some("\\|"),
        '\n' | '\r' => Some(" "),
        _ => None,
    }
}

fn extension_char(c: char) -> Option<&'static str> {
    match c {
        '\\' => Some("\\\\"),
        '=' => Some("\\="),
        '\n' | '\r' => Some("\\n"),
        _ => None,
    }
}

/// Writes `text` with some characters replaced; a carriage return with its newline is one line end.
fn escape(text: &str, replacement: fn(char) -> Option<&'static str>, out: &mut Vec<u8>) {
    let text = text.replace("\r\n", "\n");
    for c in text.chars() {
        match replacement(c) {
            Some(other) => out.extend_from_slice(other.as_bytes()),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}
