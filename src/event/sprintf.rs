//! `sprintf` templates: `%{[field]}`, `%{+YYYY.MM.dd}`, `%{{yyyy-MM-dd}}`, split once at start.
//!
//! What they do is what Logstash's `StringInterpolation` does, its quirks included; values are
//! written as Java's `toString` writes them.

use super::joda::{Format, write_iso8601};
use super::{Batch, EventId, FieldRef, Value, json};

/// A text with references to fields, split once.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    /// Empty where the text has no reference.
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// The reference, and as it was written, for events that have no such field.
    Field(FieldRef, String),
    /// Seconds since 1970.
    Epoch,
    /// The event's time in a format.
    Time(Box<Format>),
    /// When the batch was read.
    Now,
}

impl Template {
    /// Splits a text. Whatever is no reference stays as it is; nothing is an error.
    pub fn parse(text: &str) -> Template {
        let (mut parts, mut rest) = (Vec::new(), text);
        let mut plain = String::new();
        while let Some(open) = rest.find("%{") {
            let Some(mut close) = rest[open..].find('}').map(|at| open + at) else { break };
            plain.push_str(&rest[..open]);
            let mut inner = &rest[open + 2..close];
            let java = inner.starts_with('{') && rest[close + 1..].starts_with('}');
            if java {
                inner = &rest[open + 3..close];
                close += 1;
            }
            match part(inner, java) {
                Some(part) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(part);
                }
                // Logstash raises for a bad format or reference; the text stays visible instead.
                None => plain.push_str(&rest[open..=close]),
            }
            rest = &rest[close + 1..];
        }
        if !parts.is_empty() && (!plain.is_empty() || !rest.is_empty()) {
            plain.push_str(rest);
            parts.push(Part::Text(plain));
        }
        Template { text: text.to_owned(), parts }
    }

    /// The text as written.
    pub fn as_written(&self) -> &str {
        &self.text
    }

    /// The text, if it has no reference at all.
    pub fn constant(&self) -> Option<&str> {
        self.parts.is_empty().then_some(self.text.as_str())
    }

    /// The field, if the text is a reference to one and nothing else.
    pub fn single_field(&self) -> Option<&FieldRef> {
        match &self.parts[..] {
            [Part::Field(field, _)] => Some(field),
            _ => None,
        }
    }

    /// Writes the text for an event.
    pub fn render(&self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        self.render_with(batch, event, out, true);
    }

    /// Writes the text for an event; nothing where a field is that the event lacks.
    pub fn render_present(&self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        self.render_with(batch, event, out, false);
    }

    #[inline(always)]
    fn render_with(&self, batch: &Batch, event: EventId, out: &mut Vec<u8>, missing: bool) {
        if self.parts.is_empty() {
            return out.extend_from_slice(self.text.as_bytes());
        }
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field(field, written) => match batch.get(event, field) {
                    None | Some(Value::Null) if !missing => {}
                    None | Some(Value::Null) => {
                        out.extend_from_slice(b"%{");
                        out.extend_from_slice(written.as_bytes());
                        out.push(b'}');
                    }
                    Some(value) => write_value(batch, value, out),
                },
                Part::Epoch => {
                    if let Some(at) = batch.timestamp(event) {
                        out.extend_from_slice(itoa::Buffer::new().format(at.seconds()).as_bytes());
                    }
                }
                Part::Time(format) => {
                    if let Some(at) = batch.timestamp(event) {
                        format.write(at, out);
                    }
                }
                Part::Now => {
                    if let Some(at) = batch.read_at.or_else(|| batch.timestamp(event)) {
                        write_iso8601(at, out);
                    }
                }
            }
        }
    }
}

fn part(inner: &str, java: bool) -> Option<Part> {
    if java {
        return match inner {
            "TIME_NOW" => Some(Part::Now),
            _ => Some(Part::Time(Box::new(Format::java(inner).ok()?))),
        };
    }
    // Logstash compares only as much as there is, so the beginnings of `+%s` do the same.
    if "+%s".starts_with(inner) {
        return Some(Part::Epoch);
    }
    if let Some(pattern) = inner.strip_prefix('+') {
        return Some(Part::Time(Box::new(Format::joda(pattern, "en").ok()?)));
    }
    Some(Part::Field(FieldRef::parse(inner).ok()?, inner.to_owned()))
}

/// Writes a value as a template does: an array's elements with commas between, a hash as JSON.
pub fn write_value(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(_) => join(batch, value, out),
        Value::Object(_) => json::write_value(batch, value, out),
        Value::Null => {}
        _ => write_java(batch, value, out),
    }
}

fn join(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    let Value::Array(list) = value else { return write_java(batch, value, out) };
    for (at, entry) in batch.entries(list).iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if entry.value != Value::Null {
            join(batch, entry.value, out);
        }
    }
}

/// Writes a value as Java's `toString` does.
pub fn write_java(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Value::Uint(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Value::Big(digits) => out.extend_from_slice(batch.bytes(digits)),
        Value::Float(n) if n.is_finite() => json::write_float(n, out),
        Value::Float(n) if n.is_nan() => out.extend_from_slice(b"NaN"),
        Value::Float(n) => out.extend_from_slice(if n > 0.0 { b"Infinity" } else { b"-Infinity" }),
        Value::Str(span) => out.extend_from_slice(batch.bytes(span)),
        Value::Time(at) => write_iso8601(at, out),
        Value::Array(list) => {
            out.push(b'[');
            for (at, entry) in batch.entries(list).iter().enumerate() {
                out.extend_from_slice(if at > 0 { b", " } else { b"" });
                write_java(batch, entry.value, out);
            }
            out.push(b']');
        }
        Value::Object(list) => {
            out.push(b'{');
            for (at, entry) in batch.entries(list).iter().enumerate() {
                out.extend_from_slice(if at > 0 { b", " } else { b"" });
                out.extend_from_slice(batch.name(entry.key).as_bytes());
                out.push(b'=');
                write_java(batch, entry.value, out);
            }
            out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::joda::parse_iso8601;
    use crate::event::json::Decoded;
    use crate::event::json::Parser;

    fn check(template: &str, want: &str) {
        let mut batch = Batch::new();
        let json = r#"{"@timestamp":"2013-01-02T03:04:05.678Z","a":"x","i":5,"f":1.5,"t":true,"n":null,"":"empty",
            "big":12345678.9,"small":0.0001,"e":1e20,"l":["x",1,null,"y",[2,3],{"k":[1,null],"m":1.0}],
            "h":{"b":[1,"c"]},"[odd":1}"#;
        let span = batch.push_text(json);
        let Ok(Decoded::Event(event)) = Parser::default().parse_event(&mut batch, span) else { panic!("no event") };
        batch.read_at = parse_iso8601("2020-01-01T00:00:00Z");
        let mut out = Vec::new();
        Template::parse(template).render(&batch, event, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want, "{template}");
    }

    #[test]
    fn fields() {
        check("%{a}", "x");
        check("<%{[a]}|%{i}>", "<x|5>");
        check("%{nope} %{[h][nope]} %{n}", "%{nope} %{[h][nope]} %{n}");
        check("%{[h][b][0]}-%{[h][b][-1]}", "1-c");
        check("%{h}", r#"{"b":[1,"c"]}"#);
        check("%{l}", "x,1,,y,2,3,{k=[1, null], m=1.0}");
        check("%{f} %{t}", "1.5 true");
        check("%{big} %{small} %{e}", "1.23456789E7 1.0E-4 1.0E20");
        check("%{@timestamp}", "2013-01-02T03:04:05.678Z");
    }

    #[test]
    fn times() {
        check("%{+YYYY.MM.dd}", "2013.01.02");
        check("logs-%{+YYYY-MM-dd HH:mm:ss.SSS}/%{+xxxx.ww}/%{+EEE}", "logs-2013-01-02 03:04:05.678/2013.01/Wed");
        check("%{+%s}", "1357095845");
        check("%{{yyyy-MM-dd}}", "2013-01-02");
        check("%{{yyyy-MM-dd'T'HH:mm}}!", "2013-01-02T03:04!");
        check("%{{TIME_NOW}}", "2020-01-01T00:00:00.000Z");
        check("%{} %{+}", "1357095845 1357095845");
    }

    #[test]
    fn what_is_no_reference_stays() {
        for text in ["", "100%% {x}", "%{abc", "%", "%{[bad}", "%{+bad}x", "%{{bad'}}", "}{%"] {
            check(text, text);
        }
        check("%{[bad} %{a} %{open", "%{[bad} x %{open");
        check("%{{a}", "%{{a}");
        assert_eq!(Template::parse("plain").constant(), Some("plain"));
        assert_eq!(Template::parse("%{a}").constant(), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[%{}+a\\[\\]'é]{0,12}") {
            let mut batch = Batch::new();
            let event = batch.new_event();
            Template::parse(&text).render(&batch, event, &mut Vec::new());
        }
    }
}
