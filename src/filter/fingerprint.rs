//! The `fingerprint` filter: digests of fields.
//!
//! `fingerprint { source => ["host", "message"] concatenate_sources => true target => "[@metadata][id]" }`,
//! as Logstash's. Of several sources that are not concatenated, the last one's fingerprint stays.

use super::common::{fields, includes, set};
use super::digest::{Method, base64, hex, murmur3, murmur128, network};
use super::{Filter, Run};
use crate::event::{Batch, Entry, EventId, FieldId, FieldRef, Value, ruby};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use regex::Regex;
use std::sync::Arc;

const METHODS: &[&str] =
    &["SHA1", "SHA256", "SHA384", "SHA512", "MD5", "MURMUR3", "MURMUR3_128", "IPV4_NETWORK", "UUID", "PUNCTUATION"];

pub(super) static SPEC: Spec = Spec {
    name: "fingerprint",
    summary: "Makes digests of fields, such as ids for documents.",
    options: &[
        Opt::new(
            "base64encode",
            Type::Boolean,
            Some("false"),
            "Whether digests are in base 64, instead of hexadecimal.",
        ),
        Opt::new(
            "concatenate_all_fields",
            Type::Boolean,
            Some("false"),
            "Whether one digest is made of all fields, their names and values.",
        ),
        Opt::new(
            "concatenate_sources",
            Type::Boolean,
            Some("false"),
            "Whether one digest is made of the names and values of all sources.",
        ),
        Opt::new(
            "key",
            Type::Password,
            None,
            "With a key, SHA and MD5 make HMACs; for IPV4_NETWORK, the length of the prefix.",
        ),
        Opt::new(
            "method",
            Type::Enum(METHODS),
            Some("SHA1"),
            "What to make. PUNCTUATION keeps only punctuation and symbols; UUID is random.",
        ),
        Opt::new("source", Type::Array, Some("message"), "The fields."),
        Opt::new(
            "target",
            Type::Field,
            None,
            "The field for the fingerprint; without it `[event][hash]`, or `fingerprint` where fields are not named \
             as in ECS.",
        ),
    ],
    examples: &[
        Example {
            title: "An id of two fields",
            config: r#"fingerprint { source => ["host", "message"] concatenate_sources => true method => "MD5" target => "id" }"#,
            given: r#"{"host":"a","message":"hello"}"#,
            then: r#"{"id":"2a9be5f05262fc64acf0be3368c503d7"}"#,
        },
        Example {
            title: "The network of an address",
            config: r#"fingerprint { source => "ip" method => "IPV4_NETWORK" key => 16 target => "net" }"#,
            given: r#"{"ip":"10.1.2.3"}"#,
            then: r#"{"net":"10.1.0.0"}"#,
        },
    ],
    build: Build::Filter(build),
};

enum Make {
    /// A fingerprint of each source.
    Each(Method),
    /// One of the sources.
    Sources(Method),
    /// One of all fields.
    All(Method),
    Uuid,
    Punctuation(Regex),
}

struct Plan {
    make: Make,
    /// The name as written, and what it refers to.
    sources: Vec<(String, FieldRef)>,
    target: FieldRef,
    base64: bool,
}

struct Fingerprint {
    plan: Arc<Plan>,
    random: StdRng,
    text: Vec<u8>,
    digest: Vec<u8>,
    out: Vec<u8>,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let method = options.str("method").unwrap_or("SHA1");
    let one = |name| options.bool(name, false);
    let make = match method {
        "UUID" => Make::Uuid,
        "PUNCTUATION" => Make::Punctuation(Regex::new(r"[\p{P}\p{S}]+").expect("BUG: a pattern of ours")),
        _ if one("concatenate_all_fields") => Make::All(Method::new(method, options)?),
        _ if one("concatenate_sources") => Make::Sources(Method::new(method, options)?),
        _ => Make::Each(Method::new(method, options)?),
    };
    let mut sources: Vec<(String, FieldRef)> =
        options.strings("source").into_iter().zip(fields(options, "source")?).collect();
    if !options.has("source") {
        sources.push(("message".to_owned(), FieldRef::of("message")));
    }
    if !matches!(make, Make::Each(_)) {
        sources.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let target = options.field("target").unwrap_or_else(|| match context.ecs {
        true => FieldRef::path(&["event", "hash"]),
        false => FieldRef::of("fingerprint"),
    });
    let plan = Plan { make, sources, target, base64: one("base64encode") };
    Ok(Box::new(Fingerprint::new(Arc::new(plan))))
}

impl Filter for Fingerprint {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            match self.one(&plan, batch, event) {
                Some(()) => run.matched.push(event),
                // Logstash stops the pipeline there.
                None => batch.tag(event, "_fingerprintfailure"),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Fingerprint::new(self.plan.clone()))
    }
}

impl Fingerprint {
    fn new(plan: Arc<Plan>) -> Fingerprint {
        let random = StdRng::from_os_rng();
        Fingerprint { plan, random, text: Vec::new(), digest: Vec::new(), out: Vec::new() }
    }

    /// `None` where a value is none that the method can work on, or the target can't be set.
    fn one(&mut self, plan: &Plan, batch: &mut Batch, event: EventId) -> Option<()> {
        match &plan.make {
            Make::Each(method) => {
                for (_, source) in &plan.sources {
                    let Some(value) = batch.get(event, source).filter(|_| includes(batch, event, source)) else {
                        continue;
                    };
                    let made = match value {
                        Value::Array(list) => {
                            let mut made = Vec::with_capacity(list.len());
                            for at in 0..list.len() {
                                let element = batch.entries(list)[at].value;
                                made.push(Entry::element(self.value(plan, method, batch, element)?));
                            }
                            Value::Array(batch.list(&made))
                        }
                        value => self.value(plan, method, batch, value)?,
                    };
                    set(batch, event, &plan.target, made).then_some(())?;
                }
                return Some(());
            }
            Make::Sources(_) | Make::All(_) => self.concatenate(plan, batch, event),
            Make::Uuid => {
                let mut bytes = [0; 16];
                self.random.fill_bytes(&mut bytes);
                let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
                let id = batch.str(id.hyphenated().encode_lower(&mut [0; 36]));
                return set(batch, event, &plan.target, id).then_some(());
            }
            Make::Punctuation(pattern) => {
                for (_, source) in &plan.sources {
                    if !includes(batch, event, source) {
                        continue;
                    }
                    let text = batch.as_text(batch.get(event, source)?)?;
                    self.out.clear();
                    pattern.find_iter(text).for_each(|found| self.out.extend_from_slice(found.as_str().as_bytes()));
                    let made = Value::Str(batch.push_bytes(&self.out));
                    set(batch, event, &plan.target, made).then_some(())?;
                }
                return Some(());
            }
        }
        let (Make::Sources(method) | Make::All(method)) = &plan.make else { return None };
        let made = self.bytes(plan, method, batch)?;
        set(batch, event, &plan.target, made).then_some(())
    }

    /// Fills `text` with `|name|value|…|`, names in order.
    fn concatenate(&mut self, plan: &Plan, batch: &Batch, event: EventId) {
        self.text.clear();
        let mut add = |name: &str, value: Value| {
            self.text.push(b'|');
            self.text.extend_from_slice(name.as_bytes());
            self.text.push(b'|');
            canonical(batch, value, &mut self.text);
        };
        if matches!(plan.make, Make::Sources(_)) {
            for (name, source) in &plan.sources {
                add(name, batch.get(event, source).unwrap_or(Value::Null));
            }
        } else {
            for (name, value) in sorted(batch, batch.fields(event)) {
                if name != FieldId::METADATA.known() {
                    add(name, value);
                }
            }
        }
        self.text.push(b'|');
    }

    fn value(&mut self, plan: &Plan, method: &Method, batch: &mut Batch, value: Value) -> Option<Value> {
        self.text.clear();
        match (method, value) {
            // Whole numbers are hashed as such.
            (Method::Murmur3, Value::Int(n)) => return Some(Value::Int(murmur3(&n.to_le_bytes()).into())),
            (Method::Murmur128, Value::Int(n)) => match i32::try_from(n) {
                Ok(small) => self.text.extend_from_slice(&small.to_le_bytes()),
                Err(_) => self.text.extend_from_slice(&n.to_le_bytes()),
            },
            _ => canonical(batch, value, &mut self.text),
        }
        self.bytes(plan, method, batch)
    }

    /// The fingerprint of `text`.
    fn bytes(&mut self, plan: &Plan, method: &Method, batch: &mut Batch) -> Option<Value> {
        self.digest.clear();
        self.out.clear();
        match method {
            Method::Plain(digest) => digest(&self.text, &mut self.digest),
            Method::Keyed(mac) => mac.sign(&self.text, &mut self.digest),
            Method::Murmur3 => return Some(Value::Int(murmur3(&self.text).into())),
            Method::Murmur128 => self.digest.extend_from_slice(&murmur128(&self.text)),
            Method::Network(prefix) => {
                network(&self.text, *prefix, &mut self.out).then_some(())?;
                return Some(Value::Str(batch.push_bytes(&self.out)));
            }
        }
        match plan.base64 {
            true => base64(&self.digest, &mut self.out),
            false => hex(&self.digest, &mut self.out),
        }
        Some(Value::Str(batch.push_bytes(&self.out)))
    }
}

/// Members by name.
fn sorted<'a>(batch: &'a Batch, entries: &[Entry]) -> Vec<(&'a str, Value)> {
    let mut sorted: Vec<(&str, Value)> = entries.iter().map(|e| (batch.name(e.key), e.value)).collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    sorted
}

/// Appends a value as Logstash reads it for a fingerprint: members by name, all parts with `|`
/// between.
fn canonical(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(list) => {
            for (at, (name, value)) in sorted(batch, batch.entries(list)).into_iter().enumerate() {
                out.extend_from_slice(if at > 0 { b"|" } else { b"" });
                out.extend_from_slice(name.as_bytes());
                out.push(b'|');
                canonical(batch, value, out);
            }
        }
        Value::Array(list) => {
            for (at, entry) in batch.entries(list).iter().enumerate() {
                out.extend_from_slice(if at > 0 { b"|" } else { b"" });
                canonical(batch, entry.value, out);
            }
        }
        value => ruby::write_to_s(batch, value, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, event, options, run, shown};

    fn check(settings: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        let settings = format!(r#"{{"target":"f",{settings}}}"#);
        let matched = run(build, &settings, &mut batch, event);
        assert_eq!(shown(&batch, event), after, "{settings} on {before}");
        assert_eq!(matched, !after.contains("_fingerprintfailure"), "{settings} on {before}");
    }

    #[test]
    fn methods() {
        let check = |settings: &str, value: &str, want: &str| {
            let settings = format!(r#""source":"a",{settings}"#);
            check(&settings, &format!(r#"{{"a":{value}}}"#), &format!(r#"{{"a":{value},"f":{want}}}"#));
        };
        let ip = r#""123.123.123.123""#;
        check(r#""method":"SHA1""#, ip, r#""3a5076c520b4b463f43806896ea0b3978d09dcae""#);
        check(r#""method":"MD5","key":"longencryptionkey""#, ip, r#""9336c879e305c9604a3843fc3e75948f""#);
        check(r#""method":"MURMUR3""#, ip, "4013733395");
        check(r#""method":"MURMUR3""#, "123", "823512154");
        check(r#""method":"MURMUR3_128""#, ip, r#""41cbc4056eed401d091dfbeabf7ea9e0""#);
        check(r#""method":"MURMUR3_128","base64encode":true"#, ip, r#""QcvEBW7tQB0JHfvqv36p4A==""#);
        check(r#""method":"IPV4_NETWORK","key":"24""#, ip, r#""123.123.123.0""#);
        check(r#""method":"IPV4_NETWORK","key":"24""#, r#"["1.2.3.4"]"#, r#"["1.2.3.0"]"#);
        check(r#""method":"PUNCTUATION""#, r#""a, b: €1 <x>""#, r#"",:€<>""#);
        check(r#""method":"SHA1""#, "null", r#""da39a3ee5e6b4b0d3255bfef95601890afd80709""#);
        check(r#""method":"SHA1""#, "[]", "[]");
    }

    #[test]
    fn what_is_hashed() {
        let text = |batch: &Batch, event| {
            let Ok(filter) = Method::new("SHA1", &options("{}")) else { panic!("it builds") };
            let sources = ["b", "[a][c]", "x"].map(|name| (name.to_owned(), FieldRef::parse(name).unwrap()));
            let mut sources = sources.to_vec();
            sources.sort_by(|a, b| a.0.cmp(&b.0));
            let make = if batch.len() > 1 { Make::All(filter) } else { Make::Sources(filter) };
            let plan = Plan { make, sources, target: FieldRef::of("f"), base64: false };
            let mut filter = Fingerprint::new(Arc::new(plan));
            let plan = filter.plan.clone();
            filter.concatenate(&plan, batch, event);
            String::from_utf8(filter.text.clone()).unwrap()
        };
        let mut batch = Batch::new();
        let event =
            event(&mut batch, r#"{"b":[1,[2.0,null],true],"a":{"d":2,"c":{"y":"1","x":{}}},"@metadata":{"m":1}}"#);
        assert_eq!(text(&batch, event), "|[a][c]|x||y|1|b|1|2.0||true|x||");
        batch.new_event();
        assert_eq!(text(&batch, event), "|a|c|x||y|1|d|2|b|1|2.0||true|");
    }

    #[test]
    fn failures() {
        let network = r#""source":["a"],"method":"IPV4_NETWORK","key":"24""#;
        check(network, r#"{"a":"x"}"#, r#"{"a":"x","tags":["_fingerprintfailure"]}"#);
        check(network, r#"{"b":"x"}"#, r#"{"b":"x"}"#);
        check(r#""source":"a","method":"PUNCTUATION""#, r#"{"a":1}"#, r#"{"a":1,"tags":["_fingerprintfailure"]}"#);
        for bad in [r#"{"method":"IPV4_NETWORK"}"#, r#"{"method":"IPV4_NETWORK","key":"x"}"#, r#"{"source":["[a"]}"#] {
            assert!(build(&options(bad), &context()).is_err(), "{bad}");
        }
    }

    #[test]
    fn uuids_are_random() {
        let mut batch = Batch::new();
        let event = event(&mut batch, "{}");
        assert!(run(build, r#"{"method":"UUID"}"#, &mut batch, event));
        let value = batch.get(event, &FieldRef::path(&["event", "hash"])).unwrap();
        assert_eq!(batch.as_text(value).unwrap().len(), 36);
    }
}
