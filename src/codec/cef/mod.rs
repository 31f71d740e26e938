//! The `cef` codec: ArcSight's Common Event Format, both ways.
//!
//! `codec => cef { }`, as Logstash's. A header of seven fields and extensions of keys and values;
//! what is no CEF becomes an event with the text in `message` and the tag `_cefparsefailure`.

mod decode;
mod encode;
mod names;
mod time;

use super::{Codec, DELIMITER};
use crate::diagnostic::{Diagnostic, code};
use crate::event::joda::Zone;
use crate::event::{FieldRef, Template};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use decode::{Cef, Rules};
use encode::{ToCef, Written};
use names::Names;
use std::sync::Arc;
use time::Times;

pub(super) static SPEC: Spec = Spec {
    name: "cef",
    summary: "ArcSight's Common Event Format.",
    options: &[
        Opt::new(
            "default_timezone",
            Type::String,
            None,
            "The time zone of times without one, where the event names none either; the system's by default.",
        ),
        Opt::new(
            "delimiter",
            DELIMITER.ty,
            None,
            "What ends an event, where `\\r` and `\\n` mean carriage return and newline; without, what the input takes for one.",
        ),
        Opt::new(
            "device",
            Type::Enum(&["observer", "host"]),
            Some("observer"),
            "Whether the fields of the device describe, in ECS mode, the observer or the host.",
        ),
        Opt::new("fields", Type::Array, Some("[]"), "The fields that are written as extensions."),
        Opt::new("locale", Type::String, None, "The language of month names in times; English by default."),
        Opt::new("name", Type::String, Some("Logstash"), "The name in a written header; may refer to fields."),
        Opt::new("product", Type::String, Some("Logstash"), "The device product in a written header."),
        Opt::new("raw_data_field", Type::Field, None, "A field that gets the text as it came."),
        Opt::new(
            "reverse_mapping",
            Type::Boolean,
            Some("false"),
            "Whether extensions are written under their short keys instead of their full names.",
        ),
        Opt::new("severity", Type::String, Some("6"), "The severity in a written header: 0 to 10, else 6."),
        Opt::new("signature", Type::String, Some("Logstash"), "The signature id in a written header."),
        Opt::new("vendor", Type::String, Some("Elasticsearch"), "The device vendor in a written header."),
        Opt::new("version", Type::String, Some("1.0"), "The device version in a written header."),
    ],
    examples: &[],
    build: Build::Codec(build),
};

/// The fields of a written header behind the version: option and default.
const HEADER: [(&str, &str); 5] = [
    ("vendor", "Elasticsearch"),
    ("product", "Logstash"),
    ("version", "1.0"),
    ("signature", "Logstash"),
    ("name", "Logstash"),
];

fn build(options: &Options, context: &Context) -> Built<Codec> {
    let mut errors = Vec::new();
    let names = Names::new(context.ecs, options.str("device") == Some("host"), options.bool("reverse_mapping", false));
    let zone = match options.str("default_timezone") {
        None => Zone::system().clone(),
        Some(id) => Zone::parse(id).unwrap_or_else(|| {
            let place = options.place_of("default_timezone");
            errors.push(Diagnostic::error(code::VALUE, place, format!("unknown time zone `{id}`")));
            Zone::UTC
        }),
    };
    let mut fields = Vec::new();
    for setting in options.list("fields") {
        let name = setting.as_str().unwrap_or_default();
        match FieldRef::parse(name) {
            Ok(field) => fields.push(Written::new(field, names.encode.get(name).map_or(name, String::as_str))),
            Err(error) => errors.push(Diagnostic::error(code::FIELD, setting.place, error.to_string())),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let delimiter =
        options.str("delimiter").map(|text| text.replace("\\r", "\r").replace("\\n", "\n")).filter(|d| !d.is_empty());
    let encoder = ToCef {
        header: HEADER.map(|(option, default)| (Template::parse(options.str(option).unwrap_or(default)), default)),
        severity: Template::parse(options.str("severity").unwrap_or("6")),
        fields,
        delimiter: delimiter.clone().unwrap_or_default(),
    };
    let times = Times { zone, locale: options.str("locale").unwrap_or("en").replace('_', "-") };
    let rules = Rules::new(names, context.ecs, times, options.field("raw_data_field"));
    Ok(Codec {
        delimiter: delimiter.map(String::into_bytes),
        joiner: None,
        decoder: Box::new(Cef::new(Arc::new(rules))),
        encoder: Box::new(encoder),
    })
}

#[cfg(test)]
mod tests;
