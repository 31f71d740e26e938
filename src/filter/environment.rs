//! The `environment` filter: puts environment variables into `[@metadata]`.
//!
//! `environment { add_metadata_from_env => { "region" => "REGION" } }`, as Logstash's. Variables are
//! read once, at start.

use super::common::set;
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, FieldRef, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "environment",
    summary: "Puts environment variables into `[@metadata]`.",
    options: &[Opt::new(
        "add_metadata_from_env",
        Type::Hash,
        Some("{}"),
        "Names of fields in `[@metadata]`, and the variables for them. Without the variable, the field is null.",
    )],
    examples: &[Example {
        title: "A variable that is not set",
        config: r#"environment { add_metadata_from_env => { "r" => "LOGBOOM_NO_SUCH" } } if ![@metadata][r] { mutate { add_tag => ["unset"] } }"#,
        given: r#"{"message":"a"}"#,
        then: r#"{"tags":["unset"]}"#,
    }],
    build: Build::Filter(build),
};

#[derive(Clone)]
struct Environment {
    variables: Arc<[(FieldRef, Option<String>)]>,
    values: Vec<Value>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let (mut variables, mut wrong) = (Vec::new(), Vec::new());
    for (name, variable) in options.hash("add_metadata_from_env") {
        let reference = format!("[@metadata][{}]", name.as_str().unwrap_or_default());
        match FieldRef::parse(&reference) {
            Ok(field) => variables.push((field, std::env::var(variable.as_str().unwrap_or_default()).ok())),
            Err(error) => wrong.push(Diagnostic::error(code::FIELD, name.place, error.to_string())),
        }
    }
    if wrong.is_empty() {
        Ok(Box::new(Environment { variables: variables.into(), values: Vec::new() }))
    } else {
        Err(wrong)
    }
}

impl Filter for Environment {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        self.values.clear();
        self.values.extend(self.variables.iter().map(|(_, text)| text.as_ref().map_or(Value::Null, |t| batch.str(t))));
        for &event in run.events {
            for ((field, _), &value) in self.variables.iter().zip(&self.values) {
                set(batch, event, field, value);
            }
            run.matched.push(event);
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, event, options, run};

    #[test]
    fn variables_become_metadata() {
        let mut batch = Batch::new();
        let event = event(&mut batch, "{}");
        assert!(run(build, r#"{"add_metadata_from_env":{"p":"PATH","n":"LOGBOOM_NO_SUCH"}}"#, &mut batch, event));
        let text = |name| batch.get(event, &FieldRef::path(&["@metadata", name])).map(|v| batch.as_text(v));
        assert_eq!(text("p"), Some(std::env::var("PATH").ok().as_deref()));
        assert_eq!(text("n"), Some(None));
        assert!(build(&options(r#"{"add_metadata_from_env":{"a[":"PATH"}}"#), &context()).is_err());
    }
}
