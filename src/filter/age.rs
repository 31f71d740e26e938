//! The `age` filter: how old an event is.
//!
//! `age { }`, as Logstash's: seconds from the event's `@timestamp` to when it was read.

use super::common::{field, set};
use super::{Filter, Run};
use crate::event::{Batch, FieldRef, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};

pub(super) static SPEC: Spec = Spec {
    name: "age",
    summary: "Sets a field to the age of the event, in seconds.",
    options: &[Opt::new("target", Type::Field, Some("[@metadata][age]"), "The field for it.")],
    examples: &[Example {
        title: "Drop what is older than a day",
        config: "age { } if [@metadata][age] > 86400 { drop { } }",
        given: r#"{"@timestamp":"2001-01-01T00:00:00Z"}"#,
        then: "",
    }],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct Age {
    target: FieldRef,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    Ok(Box::new(Age { target: field(options, "target", "[@metadata][age]") }))
}

impl Filter for Age {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            let Some(at) = batch.timestamp(event) else { continue };
            let nanos = i128::from(run.now.seconds() - at.seconds()) * 1_000_000_000
                + i128::from(run.now.subsec_nanos())
                - i128::from(at.subsec_nanos());
            if set(batch, event, &self.target, Value::Float(nanos as f64 / 1e9)) {
                run.matched.push(event);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FieldId, Timestamp};
    use crate::filter::common::tests::{event, run, shown};

    #[test]
    fn ages() {
        // The tests go by 1466000000.
        for (millis, want) in [(1_465_999_998_500, "1.5"), (1_466_000_001_000, "-1.0"), (0, "1.466E9")] {
            let mut batch = Batch::new();
            let event = event(&mut batch, "{}");
            batch.set_key(event, FieldId::TIMESTAMP, Value::Time(Timestamp::from_millis(millis)));
            assert!(run(build, r#"{"target":"a"}"#, &mut batch, event));
            assert!(shown(&batch, event).ends_with(&format!("\"a\":{want}}}")), "{}", shown(&batch, event));
        }
    }
}
