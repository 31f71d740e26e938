//! The `bytes` filter: reads sizes such as `10 MB` as numbers of bytes.
//!
//! `bytes { source => "size" target => "size_bytes" }`, as Logstash's. IEC units (`MiB`) are none
//! that it knows.

use super::common::{field, set, tags};
use super::{Filter, Run};
use crate::event::{Batch, EventId, FieldRef, Value, ruby};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use crate::regexp::{Regexp, Slots};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "bytes",
    summary: "Reads sizes such as `10 MB` as numbers of bytes.",
    options: &[
        Opt::new(
            "conversion_method",
            Type::Enum(&["binary", "metric"]),
            Some("binary"),
            "Whether a kB is 1024 bytes (`binary`) or 1000 (`metric`).",
        ),
        Opt::new("decimal_separator", Type::Enum(&[".", ","]), Some("."), "What stands before a fraction."),
        Opt::new("source", Type::Field, Some("message"), "The field with the size."),
        Opt::new("tag_on_failure", Type::Array, Some(r#"["_bytesparsefailure"]"#), "Tags for events without a size."),
        Opt::required("target", Type::Field, "The field for the number."),
    ],
    examples: &[Example {
        title: "A size with a unit",
        config: r#"bytes { source => "size" target => "bytes" }"#,
        given: r#"{"size":"1.5 kB"}"#,
        then: r#"{"bytes":1536}"#,
    }],
    build: Build::Filter(build),
};

struct Plan {
    source: FieldRef,
    target: FieldRef,
    unit: f64,
    separator: char,
    pattern: Regexp,
    failure: Vec<String>,
}

#[derive(Clone)]
struct Bytes {
    plan: Arc<Plan>,
    slots: Slots,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let pattern = Regexp::new(r"^([0-9 _,.]*)\s*([kKmMgGtTpPeE]?)([bB]?)$").expect("BUG: a pattern of ours");
    let plan = Plan {
        source: field(options, "source", "message"),
        target: field(options, "target", "message"),
        unit: if options.str("conversion_method") == Some("metric") { 1000.0 } else { 1024.0 },
        separator: if options.str("decimal_separator") == Some(",") { ',' } else { '.' },
        pattern,
        failure: tags(options, "tag_on_failure", &["_bytesparsefailure"]),
    };
    Ok(Box::new(Bytes { plan: Arc::new(plan), slots: Slots::new() }))
}

impl Filter for Bytes {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            match self.size(&plan, batch, event) {
                Some(size) if set(batch, event, &plan.target, size) => run.matched.push(event),
                _ => plan.failure.iter().for_each(|tag| batch.tag(event, tag)),
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Bytes {
    fn size(&mut self, plan: &Plan, batch: &mut Batch, event: EventId) -> Option<Value> {
        let text = batch.as_text(batch.get(event, &plan.source)?)?;
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b' || c == '\0');
        if !plan.pattern.captures(text, &mut self.slots).ok()? {
            return None;
        }
        let part = |slot: usize| self.slots[slot].map_or("", |(start, end)| &text[start..end]);
        let (number, prefix) = (part(1), part(2));
        if number.matches(plan.separator).count() > 1 {
            return None;
        }
        let kept = number.chars().filter(|c| c.is_ascii_digit() || *c == plan.separator);
        let number: String = kept.map(|c| if c == plan.separator { '.' } else { c }).collect();
        if number.is_empty() {
            return None;
        }
        let power = prefix.chars().next().and_then(|c| "kmgtpe".find(c.to_ascii_lowercase())).map_or(0, |at| at + 1);
        let size = (ruby::text_to_f(&number) * plan.unit.powi(power as i32)).round();
        Some(batch.whole(false, &format!("{size:.0}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{event, run, shown};

    fn check(settings: &str, text: &str, want: &str) {
        let mut batch = Batch::new();
        let event = event(&mut batch, &format!(r#"{{"m":{text}}}"#));
        let settings = format!(r#"{{"source":"m","target":"n"{settings}}}"#);
        let matched = run(build, &settings, &mut batch, event);
        let want = match matched {
            true => format!(r#"{{"m":{text},"n":{want}}}"#),
            false => format!(r#"{{"m":{text},"tags":["_bytesparsefailure"]}}"#),
        };
        assert_eq!(shown(&batch, event), want, "{settings} on {text}");
    }

    #[test]
    fn sizes() {
        check("", r#""32.8B""#, "33");
        check("", r#"" 1 024 kb ""#, "1048576");
        check("", r#""2_000,5""#, "20005");
        check("", r#"".5k""#, "512");
        check("", r#"".""#, "0");
        check("", r#""3e""#, "3458764513820540928");
        check("", r#""15.9E""#, "18331451923248867328");
        check("", r#""16E""#, "18446744073709551616");
        check("", r#""text\n12kb""#, "12288");
        check(r#","conversion_method":"metric""#, r#""1.5 GB""#, "1500000000");
        check(r#","decimal_separator":",""#, r#""1.000,5 k""#, "1024512");
    }

    #[test]
    fn what_is_none() {
        for text in [r#""""#, r#""kb""#, r#""1.2.3""#, r#""-5kb""#, r#""3 MiB""#, "5", "null"] {
            let mut batch = Batch::new();
            let event = event(&mut batch, &format!(r#"{{"message":{text}}}"#));
            assert!(!run(build, r#"{"target":"n"}"#, &mut batch, event), "{text}");
            assert!(batch.has_tag(event, "_bytesparsefailure"), "{text}");
        }
    }
}
