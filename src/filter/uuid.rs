//! The `uuid` filter: gives each event a random UUID.
//!
//! `uuid { target => "[@metadata][id]" }`, as Logstash's. A field that is there is kept unless
//! `overwrite` says otherwise.

use super::common::{field, set};
use super::{Filter, Run};
use crate::event::{Batch, FieldRef, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

pub(super) static SPEC: Spec = Spec {
    name: "uuid",
    summary: "Gives each event a random UUID (version 4).",
    options: &[
        Opt::new("overwrite", Type::Boolean, Some("false"), "Whether a value that is there is replaced."),
        Opt::required("target", Type::Field, "The field for it."),
    ],
    examples: &[Example {
        title: "A value that is there is kept",
        config: r#"uuid { target => "id" }"#,
        given: r#"{"id":"mine"}"#,
        then: r#"{"id":"mine"}"#,
    }],
    build: Build::Filter(build),
};

struct Uuid {
    target: FieldRef,
    overwrite: bool,
    random: StdRng,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let (target, overwrite) = (field(options, "target", "uuid"), options.bool("overwrite", false));
    Ok(Box::new(Uuid { target, overwrite, random: StdRng::from_os_rng() }))
}

impl Filter for Uuid {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            if self.overwrite || matches!(batch.get(event, &self.target), None | Some(Value::Null)) {
                let id = random(&mut self.random);
                let text = batch.str(id.hyphenated().encode_lower(&mut [0; 36]));
                set(batch, event, &self.target, text);
            }
            run.matched.push(event);
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Uuid { target: self.target.clone(), overwrite: self.overwrite, random: StdRng::from_os_rng() })
    }
}

/// A UUID of version 4, without a call of the system for each.
fn random(random: &mut StdRng) -> uuid::Uuid {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{event, run};

    fn id(settings: &str, before: &str) -> String {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        assert!(run(build, settings, &mut batch, event));
        let value = batch.get(event, &FieldRef::of("id")).unwrap();
        batch.as_text(value).unwrap().to_owned()
    }

    #[test]
    fn ids_are_random_and_kept() {
        let (a, b) = (id(r#"{"target":"id"}"#, "{}"), id(r#"{"target":"id"}"#, r#"{"id":null}"#));
        assert_ne!(a, b);
        let id_of = uuid::Uuid::parse_str(&a).unwrap();
        assert_eq!((id_of.get_version_num(), a.len()), (4, 36));
        assert_eq!(id(r#"{"target":"id"}"#, r#"{"id":"mine"}"#), "mine");
        assert_ne!(id(r#"{"target":"id","overwrite":true}"#, r#"{"id":"mine"}"#), "mine");
    }
}
