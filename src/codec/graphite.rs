//! The `graphite` codec: Carbon's lines, `name value seconds`.
//!
//! `codec => graphite { metrics => { "cpu.%{host}" => "%{load}" } }`, as Logstash's. A line becomes
//! an event with the value in a field of the metric's name.

use super::{Codec, Decoder, Encoder};
use crate::codec::charset::Charset;
use crate::codec::json::failed;
use crate::diagnostic::{Diagnostic, code};
use crate::event::ruby::{text_to_f, write_float, write_to_s};
use crate::event::{Batch, EventId, FieldId, Frame, Template, Timestamp, Value};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use crate::regexp::Regexp;

pub(super) static SPEC: Spec = Spec {
    name: "graphite",
    summary: "Graphite's lines: a metric's name, its value and its time.",
    options: &[
        Opt::new(
            "exclude_metrics",
            Type::Array,
            Some("[\"%\\{[^}]+\\}\"]"),
            "Regular expressions: metrics whose name matches one of them are not written.",
        ),
        Opt::new(
            "fields_are_metrics",
            Type::Boolean,
            Some("false"),
            "Whether every field of an event is written as a metric, instead of `metrics`.",
        ),
        Opt::new(
            "include_metrics",
            Type::Array,
            Some("[\".*\"]"),
            "Regular expressions: only metrics whose name matches one of them are written.",
        ),
        Opt::new("metrics", Type::Hash, Some("{}"), "Names and values that are written; both may refer to fields."),
        Opt::new(
            "metrics_format",
            Type::String,
            Some("*"),
            "The form of a written name, in which `*` stands for the metric's name.",
        ),
    ],
    examples: &[],
    build: Build::Codec(build),
};

fn build(options: &Options, _context: &Context) -> Built<Codec> {
    let mut errors = Vec::new();
    let metrics = options.hash("metrics").iter().map(|(name, value)| {
        let template = |setting: &crate::plugin::Setting| Template::parse(setting.as_str().unwrap_or_default());
        (template(name), template(value))
    });
    let encoder = ToLines {
        metrics: metrics.collect(),
        fields: options.bool("fields_are_metrics", false),
        include: patterns(options, "include_metrics", ".*", &mut errors),
        exclude: patterns(options, "exclude_metrics", r"%\{[^}]+\}", &mut errors),
        format: Template::parse(options.str("metrics_format").unwrap_or("*")),
        scratch: Vec::new(),
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Codec { delimiter: Some(b"\n".to_vec()), joiner: None, decoder: Box::new(Lines), encoder: Box::new(encoder) })
}

fn patterns(options: &Options, name: &str, default: &str, errors: &mut Vec<Diagnostic>) -> Vec<Regexp> {
    let mut compile = |text: &str, place| match Regexp::new(text) {
        Ok(regexp) => Some(regexp),
        Err(error) => {
            errors.push(Diagnostic::error(code::PATTERN, place, error.to_string()));
            None
        }
    };
    match options.has(name) {
        true => options.list(name).iter().filter_map(|s| compile(s.as_str().unwrap_or_default(), s.place)).collect(),
        false => compile(default, options.place).into_iter().collect(),
    }
}

struct Lines;

impl Decoder for Lines {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        let text = Charset::Utf8.text(batch, frame.bytes);
        let mut words = batch.text(text).split_ascii_whitespace();
        let (Some(name), value, at) = (words.next(), words.next(), words.next()) else {
            return out.push(failed(batch, text, "_graphiteparsefailure"));
        };
        // As in Ruby, what is no number is zero.
        let value = Value::Float(value.map_or(0.0, text_to_f));
        let at = Timestamp::new(at.map_or(0.0, |at| text_to_f(at).trunc()).clamp(-1e15, 1e15) as i64, 0);
        let name = name.to_owned();
        let event = batch.new_event();
        let key = batch.key(&name);
        batch.set_key(event, key, value);
        batch.set_key(event, FieldId::TIMESTAMP, Value::Time(at));
        out.push(event);
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(Lines)
    }
}

struct ToLines {
    metrics: Vec<(Template, Template)>,
    fields: bool,
    include: Vec<Regexp>,
    exclude: Vec<Regexp>,
    format: Template,
    scratch: Vec<u8>,
}

impl ToLines {
    fn render(&mut self, template: &Template, batch: &Batch, event: EventId) -> String {
        self.scratch.clear();
        template.render(batch, event, &mut self.scratch);
        String::from_utf8_lossy(&self.scratch).into_owned()
    }

    fn wanted(&self, name: &str) -> bool {
        let any = |patterns: &[Regexp]| patterns.iter().any(|regexp| regexp.is_match(name).unwrap_or(false));
        (any(&self.include) || (self.fields && self.include.is_empty())) && !any(&self.exclude)
    }
}

impl Encoder for ToLines {
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        let format = self.format.clone();
        let format = self.render(&format, batch, event);
        let mut pairs: Vec<(String, String)> = Vec::new();
        if self.fields {
            for entry in batch.fields(event) {
                if matches!(entry.key, FieldId::TIMESTAMP | FieldId::VERSION | FieldId::METADATA) {
                    continue;
                }
                let mut text = Vec::new();
                write_to_s(batch, entry.value, &mut text);
                let value = Template::parse(&String::from_utf8_lossy(&text));
                pairs.push((batch.name(entry.key).to_owned(), self.render(&value, batch, event)));
            }
        } else {
            for (name, value) in self.metrics.clone() {
                pairs.push((self.render(&name, batch, event), self.render(&value, batch, event)));
            }
        }
        let seconds = batch.timestamp(event).map_or(0, Timestamp::seconds);
        for (name, value) in pairs {
            if self.wanted(&name) {
                out.extend_from_slice(format.replace('*', &name).as_bytes());
                out.push(b' ');
                write_float(text_to_f(&value), out);
                out.extend_from_slice(format!(" {seconds}\n").as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, decode, encode};

    #[test]
    fn lines_are_events() {
        let check = |line: &str, want: &str| {
            assert_eq!(decode(&mut codec("graphite", "", true), &[line.as_bytes()]), [want]);
        };
        check("a.b 1.5 1370000000", r#"{"a.b":1.5,"@timestamp":"2013-05-31T11:33:20.000Z"}"#);
        check("a x 0\r", r#"{"a":0.0,"@timestamp":"1970-01-01T00:00:00.000Z"}"#);
        check("a 3", r#"{"a":3.0,"@timestamp":"1970-01-01T00:00:00.000Z"}"#);
        check(" ", r#"{"message":" ","tags":["_graphiteparsefailure"]}"#);
    }

    #[test]
    fn events_are_lines() {
        let event = r#"{"@timestamp":"1970-01-01T00:00:05.000Z","@version":"1","foo":"123","bar":4,"h":"web"}"#;
        let check = |config: &str, want: &str| assert_eq!(encode(&mut codec("graphite", config, false), event), want);
        check("fields_are_metrics=true", "foo 123.0 5\nbar 4.0 5\nh 0.0 5\n");
        check("fields_are_metrics=true;include_metrics=^[fb];exclude_metrics=bar", "foo 123.0 5\n");
        check("", "");
        let pairs = |config: &str, want: &str| {
            let metrics = [("%{h}.load", "%{bar}"), ("%{none}", "1")];
            assert_eq!(encode(&mut codec_with("metrics", &metrics, config), event), want);
        };
        pairs("", "web.load 4.0 5\n");
        pairs("metrics_format=x.*.y.%{h}", "x.web.load.y.web 4.0 5\n");
    }

    use crate::codec::harness::codec_with_hash;

    fn codec_with(name: &str, pairs: &[(&str, &str)], config: &str) -> crate::codec::Codec {
        codec_with_hash("graphite", name, pairs, config)
    }
}
