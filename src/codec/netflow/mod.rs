//! The `netflow` codec: NetFlow versions 5 and 9, and IPFIX; a flow is an event.
//!
//! `codec => netflow { }`, as Logstash's, for datagrams. Fields have Logstash's names below
//! `target`. A template is known to all workers; flows that come before their template are left
//! out with a warning, as in Logstash. Elements that no definition names are skipped (Logstash
//! gives up the whole template for one).

mod decode;
mod field;
mod template;

use super::{Codec, Decoder};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldRef, Frame};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use decode::Packet;
use field::Definitions;
use std::path::PathBuf;
use std::sync::Arc;
use template::Templates;

pub(super) static SPEC: Spec = Spec {
    name: "netflow",
    summary: "NetFlow versions 5 and 9, and IPFIX.",
    options: &[
        Opt::new(
            "cache_save_path",
            Type::Path,
            None,
            "A folder in which the templates are kept between runs, so that flows can be read from the start.",
        ),
        Opt::new("cache_ttl", Type::Number, Some("4000"), "Seconds after which a template is forgotten."),
        Opt::new(
            "include_flowset_id",
            Type::Boolean,
            Some("false"),
            "Whether IPFIX events get the field `flowset_id`.",
        ),
        Opt::new(
            "ipfix_definitions",
            Type::Path,
            None,
            "A YAML file with names and types of IPFIX elements that replace the built-in ones.",
        ),
        Opt::new(
            "netflow_definitions",
            Type::Path,
            None,
            "A YAML file with names and types of NetFlow 9 fields that replace the built-in ones.",
        ),
        Opt::new("target", Type::Field, Some("netflow"), "The field below which a flow is put."),
        Opt::new("versions", Type::Array, Some("[5, 9, 10]"), "The versions that are read; 10 is IPFIX."),
    ],
    examples: &[],
    build: Build::Codec(build),
};

fn build(options: &Options, context: &Context) -> Built<Codec> {
    let mut errors = Vec::new();
    let mut definitions = Definitions::built_in();
    for (name, ipfix) in [("netflow_definitions", false), ("ipfix_definitions", true)] {
        let read = crate::resource::yaml(options, name, context).and_then(|yaml| match yaml {
            None => Ok(()),
            Some(yaml) => definitions
                .extend(&yaml, ipfix)
                .map_err(|message| Diagnostic::error(code::VALUE, options.place_of(name), message)),
        });
        errors.extend(read.err());
    }
    let mut versions = Vec::new();
    for setting in options.list("versions") {
        match setting.as_str().and_then(|s| s.parse().ok()).filter(|n| [5, 9, 10].contains(n)) {
            Some(version) => versions.push(version),
            None => errors.push(Diagnostic::error(code::VALUE, setting.place, "a version is 5, 9 or 10")),
        }
    }
    if !options.has("versions") {
        versions = vec![5, 9, 10];
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let folder = options.str("cache_save_path").filter(|_| !context.check_only).map(PathBuf::from);
    let plan = Plan {
        templates: Templates::new(options.number("cache_ttl").unwrap_or(4000.0) as i64, folder),
        definitions,
        versions,
        target: options.field("target").unwrap_or(FieldRef::of("netflow")),
        flowset_id: options.bool("include_flowset_id", false),
    };
    Ok(Codec {
        delimiter: None,
        joiner: None,
        decoder: Box::new(Flows { plan: Arc::new(plan) }),
        encoder: Box::new(super::json::JsonEncoder { delimiter: b"\n".to_vec() }),
    })
}

/// What all workers share.
struct Plan {
    definitions: Definitions,
    templates: Templates,
    versions: Vec<u16>,
    target: FieldRef,
    flowset_id: bool,
}

struct Flows {
    plan: Arc<Plan>,
}

impl Decoder for Flows {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        let bytes = batch.bytes(frame.bytes).to_vec();
        if let Err(cause) = Packet::new(&self.plan, batch, &bytes).and_then(|mut packet| packet.decode(out)) {
            self.plan.templates.warn(cause);
        }
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(Flows { plan: self.plan.clone() })
    }
}

#[cfg(test)]
mod tests;
