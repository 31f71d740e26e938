//! The `range` filter: does something with events whose fields lie in ranges.
//!
//! `range { ranges => ["duration", 0, 100, "tag:fast", "duration", 101, 9999, "drop"] }`, as Logstash's: of
//! numbers the value counts, of texts the length.

use super::common::{includes, render, set};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldRef, Template, Value};
use crate::filter::common::Name;
use crate::plugin::{Build, Built, Context, Example, Literal, Opt, Options, Setting, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "range",
    summary: "Tags or drops events, or adds fields to them, where a number or a text's length lies in a range.",
    options: &[
        Opt::new("negate", Type::Boolean, Some("false"), "Whether it acts on what lies outside of the ranges."),
        Opt::new(
            "ranges",
            Type::Array,
            Some("[]"),
            "Fours of a field, the smallest and the largest number, and what to do: `drop`, `tag:NAME` or \
             `field:NAME:VALUE`.",
        ),
    ],
    examples: &[Example {
        title: "Classes of numbers and lengths",
        config: r#"range { ranges => ["status", 500, 599, "tag:server_error", "message", 0, 3, "field:short:1"] }"#,
        given: r#"{"status":503,"message":"abc"}"#,
        then: r#"{"status":503,"message":"abc","tags":["server_error"],"short":1}"#,
    }],
    build: Build::Filter(build),
};

enum Action {
    Drop,
    Tag(Template),
    Field(Name, Template, Option<Value>),
}

struct Range {
    min: f64,
    max: f64,
    action: Action,
}

struct Plan {
    /// By field, in order of first appearance.
    fields: Vec<(FieldRef, Vec<Range>)>,
    negate: bool,
}

#[derive(Clone)]
struct Ranges {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let (mut fields, mut wrong) = (Vec::<(FieldRef, Vec<Range>)>::new(), Vec::new());
    for four in options.list("ranges").chunks(4) {
        match range(four) {
            Ok((field, range)) => match fields.iter_mut().find(|(known, _)| *known == field) {
                Some((_, ranges)) => ranges.push(range),
                None => fields.push((field, vec![range])),
            },
            Err(mistake) => wrong.push(mistake),
        }
    }
    let plan = Plan { fields, negate: options.bool("negate", false) };
    if wrong.is_empty() { Ok(Box::new(Ranges { plan: Arc::new(plan), scratch: Vec::new() })) } else { Err(wrong) }
}

fn range(four: &[Setting]) -> Result<(FieldRef, Range), Diagnostic> {
    let place = four[0].place;
    let [field, min, max, action] = four else {
        let message = "`ranges` takes fours of a field, a smallest and a largest number, and an action";
        return Err(Diagnostic::error(code::VALUE, place, message));
    };
    let number = |setting: &Setting| match setting.value {
        Literal::Number(n, _) => Ok(n),
        _ => Err(Diagnostic::error(code::TYPE, setting.place, "the end of a range must be a number")),
    };
    let reference = FieldRef::parse(field.as_str().unwrap_or_default());
    let reference = reference.map_err(|error| Diagnostic::error(code::FIELD, field.place, error.to_string()))?;
    let text = action.as_str().unwrap_or_default();
    let parts: Vec<&str> = text.split(':').collect();
    let action = match parts[..] {
        ["drop"] => Action::Drop,
        ["tag", tag] => Action::Tag(Template::parse(tag)),
        ["field", name, value] => {
            // A number is one if it reads as it would be written.
            let whole = value.parse().ok().filter(|n: &i64| n.to_string() == value).map(Value::Int);
            let number = value.parse().ok().filter(|n: &f64| format!("{n:?}") == value).map(Value::Float);
            Action::Field(Name::new(name), Template::parse(value), whole.or(number))
        }
        _ => {
            let message = format!("unknown action `{text}`");
            let note = "it takes drop, tag:NAME and field:NAME:VALUE";
            return Err(Diagnostic::error(code::VALUE, action.place, message).note(note));
        }
    };
    Ok((reference, Range { min: number(min)?, max: number(max)?, action }))
}

impl Filter for Ranges {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            self.one(&plan, batch, event);
            if !batch.cancelled(event) {
                run.matched.push(event);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Ranges {
    fn one(&mut self, plan: &Plan, batch: &mut Batch, event: EventId) {
        for (field, ranges) in plan.fields.iter() {
            if !includes(batch, event, field) {
                continue;
            }
            for range in ranges {
                let size = match batch.get(event, field) {
                    Some(Value::Str(span)) => Some(batch.text(span).chars().count() as f64),
                    value => value.and_then(|value| batch.number(value)),
                };
                let within = size.is_some_and(|size| (range.min..=range.max).contains(&size));
                if within == plan.negate {
                    continue;
                }
                match &range.action {
                    Action::Drop => return batch.cancel(event),
                    Action::Tag(tag) => {
                        self.scratch.clear();
                        tag.render(batch, event, &mut self.scratch);
                        let tag = String::from_utf8_lossy(&self.scratch).into_owned();
                        batch.tag(event, &tag);
                    }
                    Action::Field(name, template, value) => self.add(batch, event, name, template, *value),
                }
            }
        }
    }

    fn add(&mut self, batch: &mut Batch, event: EventId, name: &Name, template: &Template, value: Option<Value>) {
        let Some(field) = name.resolve(batch, event, &mut self.scratch) else { return };
        match batch.get(event, &field) {
            None | Some(Value::Null | Value::Bool(false)) => {
                let value = value.unwrap_or_else(|| render(template, batch, event, &mut self.scratch));
                set(batch, event, &field, value);
            }
            Some(_) => {
                let value = render(template, batch, event, &mut self.scratch);
                batch.append(event, &field, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, event, options, run, shown};

    fn check(settings: &str, before: &str, after: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        let matched = run(build, settings, &mut batch, event);
        let after = after.strip_prefix('-').map_or((after, true), |after| (after, false));
        assert_eq!((shown(&batch, event).as_str(), matched), after, "{settings} on {before}");
    }

    #[test]
    fn ranges() {
        let tag = r#"{"ranges":["n",1,2.5,"tag:in-%{x}"]}"#;
        check(tag, r#"{"n":2.5,"x":"y"}"#, r#"{"n":2.5,"x":"y","tags":["in-y"]}"#);
        check(tag, r#"{"n":"éé"}"#, r#"{"n":"éé","tags":["in-%{x}"]}"#);
        check(tag, r#"{"n":3}"#, r#"{"n":3}"#);
        check(tag, r#"{"n":[1]}"#, r#"{"n":[1]}"#);
        check(tag, "{}", "{}");
        check(r#"{"ranges":["n",1,2,"tag:out"],"negate":true}"#, r#"{"n":[1]}"#, r#"{"n":[1],"tags":["out"]}"#);
        check(r#"{"ranges":["n",1,2,"drop","n",0,9,"tag:x"]}"#, r#"{"n":1}"#, r#"-{"n":1}"#);
    }

    #[test]
    fn fields_are_added() {
        let field = |value: &str| format!(r#"{{"ranges":["n",1,1,"field:f_%{{n}}:{value}"]}}"#);
        check(&field("5"), r#"{"n":1}"#, r#"{"n":1,"f_1":5}"#);
        check(&field("5.5"), r#"{"n":1}"#, r#"{"n":1,"f_1":5.5}"#);
        check(&field("05"), r#"{"n":1}"#, r#"{"n":1,"f_1":"05"}"#);
        check(&field("%{n}!"), r#"{"n":1,"f_1":"a"}"#, r#"{"n":1,"f_1":["a","1!"]}"#);
        check(&field("5"), r#"{"n":1,"f_1":["a"]}"#, r#"{"n":1,"f_1":["a","5"]}"#);
    }

    #[test]
    fn mistakes() {
        for bad in [
            r#"["a",1,2]"#,
            r#"["a","1",2,"drop"]"#,
            r#"["a",1,2,"drop:x"]"#,
            r#"["a",1,2,"x"]"#,
            r#"["[a",1,2,"drop"]"#,
        ] {
            assert!(build(&options(&format!(r#"{{"ranges":{bad}}}"#)), &context()).is_err(), "{bad}");
        }
    }
}
