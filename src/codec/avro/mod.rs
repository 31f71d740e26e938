//! The `avro` codec: single Avro datums, written by a schema that both sides know.
//!
//! `codec => avro { schema_uri => "/etc/schema.avsc" }`, as Logstash's. A datum that can't be
//! decoded becomes an event with the bytes in `message` and the tag `_avroparsefailure`.

mod read;
mod write;

use super::charset::Charset;
use super::json::{below, failed};
use super::{Codec, Decoder, Encoder, TARGET};
use crate::diagnostic::{Diagnostic, code};
use crate::event::json::Parser;
use crate::event::{Batch, EventId, FieldRef, Frame, Value};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use crate::resource::{self, tls};
use apache_avro::Schema;
use apache_avro::schema::Name;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustc_hash::FxHashMap;
use std::sync::{Arc, LazyLock};

const fn text(name: &'static str, doc: &'static str) -> Opt {
    Opt::new(name, Type::String, None, doc)
}

pub(super) static SPEC: Spec = Spec {
    name: "avro",
    summary: "Single Avro datums.",
    options: &[
        Opt::new(
            "encoding",
            Type::Enum(&["base64", "binary"]),
            Some("base64"),
            "Whether datums are text in Base64 or bytes.",
        ),
        Opt::new("password", Type::Password, None, "The password at the server of the schema."),
        text("proxy", "The address of a proxy on the way to the server of the schema."),
        Opt::required("schema_uri", Type::String, "The schema: a file, or an address that begins with `http`."),
        tls::CERTIFICATE,
        tls::CERTIFICATE_AUTHORITIES,
        tls::CIPHER_SUITES,
        Opt::idle("ssl_enabled", Type::Boolean, None, "whether TLS is used is seen from the address."),
        tls::KEY,
        tls::KEYSTORE_PASSWORD,
        tls::KEYSTORE_PATH,
        tls::KEYSTORE_TYPE,
        tls::SUPPORTED_PROTOCOLS,
        tls::TRUSTSTORE_PASSWORD,
        tls::TRUSTSTORE_PATH,
        tls::TRUSTSTORE_TYPE,
        tls::VERIFICATION_MODE,
        Opt::idle(
            "tag_on_failure",
            Type::Boolean,
            Some("false"),
            "the tag `_avroparsefailure` is always set (Logstash stops without it).",
        ),
        TARGET,
        text("username", "The user at the server of the schema."),
    ],
    examples: &[],
    build: Build::Codec(build),
};

fn build(options: &Options, context: &Context) -> Built<Codec> {
    let mut errors = tls::mistakes(options);
    let schema = match resource::text(options, "schema_uri", context) {
        // While only checking, any schema will do.
        Ok(None) => Some(Schema::Null),
        Ok(Some(text)) => Schema::parse_str(&text)
            .map_err(|error| {
                let message = format!("cannot parse the schema: {error}");
                errors.push(Diagnostic::error(code::VALUE, options.place_of("schema_uri"), message));
            })
            .ok(),
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let Some(schema) = schema.filter(|_| errors.is_empty()) else { return Err(errors) };
    let plan = Arc::new(Plan {
        base64: options.str("encoding") != Some("binary"),
        names: Names::of(&schema),
        schema,
        target: options.field("target"),
        original: context.ecs,
    });
    Ok(Codec {
        delimiter: None,
        joiner: None,
        decoder: Box::new(Datums { plan: plan.clone(), parser: Parser::default() }),
        encoder: Box::new(ToDatum { plan, told: false }),
    })
}

/// What all workers share.
struct Plan {
    schema: Schema,
    names: Names,
    base64: bool,
    target: Option<FieldRef>,
    original: bool,
}

/// The named types of a schema.
#[derive(Default)]
struct Names(FxHashMap<String, Schema>);

impl Names {
    fn of(schema: &Schema) -> Names {
        let mut names = Names::default();
        names.add(schema);
        names
    }

    fn add(&mut self, schema: &Schema) {
        let name = match schema {
            Schema::Record(record) => &record.name,
            Schema::Enum(words) => &words.name,
            Schema::Fixed(fixed) => &fixed.name,
            Schema::Array(array) => return self.add(&array.items),
            Schema::Map(map) => return self.add(&map.types),
            Schema::Union(union) => return union.variants().iter().for_each(|variant| self.add(variant)),
            _ => return,
        };
        self.0.insert(name.name.clone(), schema.clone());
        if let Schema::Record(record) = schema {
            record.fields.iter().for_each(|field| self.add(&field.schema));
        }
    }

    /// The type itself where `schema` only names one.
    fn resolve<'a>(&'a self, schema: &'a Schema) -> &'a Schema {
        match schema {
            Schema::Ref { name: Name { name, .. } } => self.0.get(name).unwrap_or(schema),
            schema => schema,
        }
    }
}

static ORIGINAL: LazyLock<FieldRef> = LazyLock::new(|| FieldRef::path(&["event", "original"]));

struct Datums {
    plan: Arc<Plan>,
    parser: Parser,
}

impl Decoder for Datums {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        let plan = self.plan.clone();
        let mut bytes = batch.bytes(frame.bytes).to_vec();
        if plan.base64 {
            // What is no Base64 is taken as it is, as in Logstash.
            bytes = STANDARD.decode(bytes.trim_ascii()).unwrap_or(bytes);
        }
        let datum = apache_avro::from_avro_datum(&plan.schema, &mut &bytes[..], None);
        let members = match datum.map(|datum| read::value(batch, &datum, &plan.schema, &plan.names)) {
            Ok(Value::Object(members)) => members,
            _ => {
                let text = Charset::Utf8.text(batch, frame.bytes);
                return out.push(failed(batch, text, "_avroparsefailure"));
            }
        };
        let event = match &plan.target {
            Some(target) => below(batch, target, members),
            None => self.parser.event(batch, members),
        };
        if plan.original {
            let text = Charset::Utf8.text(batch, frame.bytes);
            batch.set(event, &ORIGINAL, Value::Str(text));
        }
        out.push(event);
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(Datums { plan: self.plan.clone(), parser: Parser::default() })
    }
}

struct ToDatum {
    plan: Arc<Plan>,
    /// Whether an event that does not fit the schema was told of.
    told: bool,
}

impl Encoder for ToDatum {
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        let plan = &self.plan;
        let datum = write::event(batch, event, &plan.schema, &plan.names)
            .and_then(|value| apache_avro::to_avro_datum(&plan.schema, value).map_err(|error| error.to_string()));
        match datum {
            Ok(bytes) if plan.base64 => out.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
            Ok(bytes) => out.extend_from_slice(&bytes),
            Err(error) if !std::mem::replace(&mut self.told, true) => {
                tracing::error!(error, "cannot write an event as Avro: it does not fit the schema, and is left out");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
