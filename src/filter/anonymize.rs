//! The `anonymize` filter: replaces fields by digests of their values.
//!
//! `anonymize { fields => ["user"] key => "secret" algorithm => "SHA256" }`, as Logstash's. As there
//! it never says that it succeeded, so that the common options don't apply.

use super::common::{fields, includes, set};
use super::digest::{Method, hex, murmur3, network};
use super::{Filter, Run};
use crate::event::{Batch, Entry, EventId, FieldRef, Value, ruby};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::Arc;

const ALGORITHMS: &[&str] = &["SHA1", "SHA256", "SHA384", "SHA512", "MD5", "MURMUR3", "IPV4_NETWORK"];

pub(super) static SPEC: Spec = Spec {
    name: "anonymize",
    summary: "Replaces fields by digests of their values; the filter fingerprint can do more.",
    options: &[
        Opt::new("algorithm", Type::Enum(ALGORITHMS), Some("SHA1"), "What takes the value's place."),
        Opt::required("fields", Type::Array, "The fields."),
        Opt::required("key", Type::String, "The key of the digests; for IPV4_NETWORK, the length of the prefix."),
    ],
    examples: &[Example {
        title: "Keep the network of an address",
        config: r#"anonymize { fields => ["ip"] algorithm => "IPV4_NETWORK" key => 24 }"#,
        given: r#"{"ip":"10.1.2.3"}"#,
        then: r#"{"ip":"10.1.2.0"}"#,
    }],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct Anonymize {
    fields: Arc<[FieldRef]>,
    method: Method,
    text: Vec<u8>,
    digest: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let method = Method::new(options.str("algorithm").unwrap_or("SHA1"), options)?;
    Ok(Box::new(Anonymize { fields: fields(options, "fields")?.into(), method, text: Vec::new(), digest: Vec::new() }))
}

impl Filter for Anonymize {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let fields = self.fields.clone();
        for &event in run.events {
            for field in fields.iter() {
                if includes(batch, event, field) {
                    self.field(batch, event, field);
                }
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Anonymize {
    fn field(&mut self, batch: &mut Batch, event: EventId, field: &FieldRef) {
        let made = match batch.get(event, field) {
            Some(Value::Array(list)) => {
                let mut made = batch.entries(list).to_vec();
                for entry in &mut made {
                    *entry = Entry::element(self.value(batch, event, entry.value));
                }
                Value::Array(batch.list(&made))
            }
            Some(value) => self.value(batch, event, value),
            None => return,
        };
        set(batch, event, field, made);
    }

    /// What takes the value's place. What should be hidden never stays: where Logstash stops the
    /// pipeline, the value becomes null and the event is tagged.
    fn value(&mut self, batch: &mut Batch, event: EventId, value: Value) -> Value {
        self.text.clear();
        self.digest.clear();
        ruby::write_to_s(batch, value, &mut self.text);
        match (&self.method, value) {
            (Method::Plain(digest), _) => digest(&self.text, &mut self.digest),
            (Method::Keyed(mac), _) => mac.sign(&self.text, &mut self.digest),
            (Method::Network(prefix), Value::Str(_)) if network(&self.text, *prefix, &mut self.digest) => {
                return Value::Str(batch.push_bytes(&self.digest));
            }
            (Method::Network(_), _) => {
                batch.tag(event, "_anonymizefailure");
                return Value::Null;
            }
            (_, Value::Int(n)) => return Value::Int(murmur3(&n.to_le_bytes()).into()),
            (_, Value::Str(_)) => return Value::Int(murmur3(&self.text).into()),
            _ => return Value::Null,
        }
        self.text.clear();
        hex(&self.digest, &mut self.text);
        Value::Str(batch.push_bytes(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{event, run, shown};

    fn check(algorithm: &str, key: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let settings = format!(r#"{{"fields":["a","no"],"algorithm":"{algorithm}","key":"{key}"}}"#);
        let event = event(&mut batch, &format!(r#"{{"a":{before}}}"#));
        assert!(!run(build, &settings, &mut batch, event));
        let after = after.strip_suffix('!').map_or_else(
            || format!(r#"{{"a":{after}}}"#),
            |after| format!(r#"{{"a":{after},"tags":["_anonymizefailure"]}}"#),
        );
        assert_eq!(shown(&batch, event), after, "{algorithm} of {before}");
    }

    #[test]
    fn values_are_replaced() {
        let ip = r#""123.123.123.123""#;
        check("SHA1", "longencryptionkey", ip, r#""fdc60acc4773dc5ac569ffb78fcb93c9630797f4""#);
        check("IPV4_NETWORK", "24", &format!("[{ip}]"), r#"["123.123.123.0"]"#);
        check("IPV4_NETWORK", "24", r#""x""#, "null!");
        check("MURMUR3", "", ip, "4013733395");
        check("MURMUR3", "", "123", "823512154");
        check("MURMUR3", "", "1.5", "null");
    }
}
