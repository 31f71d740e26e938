//! The `derive` filter: counts events into a metric. It changes no event.
//!
//! `derive { counter => "logins_total" labels => { service => "%{service}" } }`. One metric a
//! block, the filter section's own `if` around it; what a metric counts and when stands in
//! [`crate::metric::derive`].

use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, FieldRef};
use crate::metric::derive::{
    BOUNDS, BOUNDS_MAX, Definition, Deriver, ERROR, EXPIRE_SECONDS, Metric, Number, SERIES_MAX, Text,
};
use crate::metric::exposition::Kind;
use crate::pipeline::Ack;
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use crate::series::{is_label_name, is_metric_name};
use std::any::Any;
use std::sync::Arc;

/// Where a trace id is looked for, unless `trace_id` names a field.
const TRACES: [&str; 4] = ["[trace][id]", "traceId", "trace_id", "traceID"];
/// Beginnings of names that are ours.
const RESERVED: [&str; 2] = ["logboom_", "process_"];

pub(super) static SPEC: Spec = Spec {
    name: "derive",
    summary: "Derives a metric from the events that reach it: a counter, gauge or histogram.",
    options: &[
        Opt::new(
            "buckets",
            Type::Array,
            None,
            "Upper bounds of a histogram's classic buckets, rising. With neither `buckets` nor `native` there are bounds from 0.005 to 60, and native buckets.",
        ),
        Opt::new("counter", Type::String, None, "The name of a counter: it adds 1, or what `field` holds."),
        Opt::new(
            "expire",
            Type::Number,
            Some("86400"),
            "A series that nothing was added to for so many seconds is gone; 0: it stays for ever.",
        ),
        Opt::new(
            "field",
            Type::Field,
            None,
            "The field that holds the value, a number or a text that is one; events without it don't count. `[@error]` is 1 for events of level ERROR, else 0.",
        ),
        Opt::new("gauge", Type::String, None, "The name of a gauge: the value of the newest event."),
        Opt::new("help", Type::String, None, "What the metric says, one sentence."),
        Opt::new("histogram", Type::String, None, "The name of a histogram."),
        Opt::new(
            "labels",
            Type::Hash,
            Some("{}"),
            "Names and values of labels, such as `service => \"%{service}\"`. A field that an event lacks is empty. `%{[@level]}` is the level as one of ERROR, WARN, INFO, DEBUG; `%{[@service]}` is `service`, or `[service][name]` where that is a hash.",
        ),
        Opt::new(
            "max_age",
            Type::Number,
            None,
            "Events whose `@timestamp` is older than so many seconds are not counted. Without, every event counts when it passes.",
        ),
        Opt::new(
            "max_series",
            Type::Number,
            Some("1000"),
            "Series that the metric may have. Events beyond them count in one series whose labels are all `other`.",
        ),
        Opt::new(
            "native",
            Type::Boolean,
            None,
            "Whether a histogram has native (exponential) buckets; `true` without `buckets`: these alone.",
        ),
        Opt::new(
            "over",
            Type::Number,
            None,
            "Makes a gauge the mean of the values of so many last seconds, instead of the last value.",
        ),
        Opt::new(
            "scale",
            Type::Number,
            Some("1"),
            "What values are multiplied by: 0.001 makes seconds of milliseconds.",
        ),
        Opt::new(
            "trace_id",
            Type::Field,
            None,
            "The field with the trace id, for exemplars; without, `[trace][id]`, `traceId`, `trace_id` or `traceID`.",
        ),
    ],
    examples: &[
        Example {
            title: "Seconds from milliseconds, by service",
            config: r#"derive { histogram => "request_duration_seconds" field => "duration" scale => 0.001 labels => { service => "%{service}" } }"#,
            given: r#"{"service":"api","duration":145}"#,
            then: r#"{"service":"api","duration":145}"#,
        },
        Example {
            title: "Events by level",
            config: r#"derive { counter => "log_events_total" labels => { level => "%{level}" } }"#,
            given: r#"{"level":"INFO"}"#,
            then: r#"{"level":"INFO"}"#,
        },
    ],
    build: Build::Filter(build),
};

struct Derive(Deriver);

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let metric = metric(options, context)?;
    Ok(Box::new(Derive(Deriver::new(context.derived.clone(), &[metric]))))
}

impl Filter for Derive {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        self.0.observe(batch, run.events, run.now);
        run.matched.extend_from_slice(run.events);
    }

    fn settle(&mut self, ack: &Ack) {
        self.0.settle(ack);
    }

    fn join(&mut self, next: &mut dyn Filter) -> bool {
        let next: &mut dyn Any = next;
        let next = next.downcast_mut::<Derive>();
        next.map(|next| self.0.join(&mut next.0)).is_some()
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Derive(self.0.fork()))
    }
}

/// The metric that a block describes, entered in the context's register; or everything that is
/// wrong with it.
pub fn metric(options: &Options, context: &Context) -> Built<Arc<Metric>> {
    let mut wrong = Vec::new();
    let place = match context.pipeline.as_str() {
        "" => "the built-in metrics".to_owned(),
        pipeline => match context.derived.written_at(options.place) {
            Some(place) => format!("pipeline `{pipeline}`, {place}"),
            None => format!("pipeline `{pipeline}`, filter `{}`", context.id),
        },
    };
    let definition = definition(options, place, &mut wrong);
    match definition {
        Some(definition) if wrong.is_empty() => {
            let option = definition.kind.name();
            context.derived.register(definition).map_err(|cause| {
                let message = format!("cannot derive this metric: {cause}");
                vec![Diagnostic::error(code::VALUE, options.place_of(option), message)]
            })
        }
        _ => Err(wrong),
    }
}

fn definition(options: &Options, place: String, wrong: &mut Vec<Diagnostic>) -> Option<Definition> {
    let kinds = [Kind::Counter, Kind::Gauge, Kind::Histogram].map(|kind| (kind, options.str(kind.name())));
    let given: Vec<(Kind, &str)> = kinds.iter().filter_map(|(kind, name)| name.map(|name| (*kind, name))).collect();
    let [(kind, name)] = given[..] else {
        let message = match given.len() {
            0 => "`derive` needs one of `counter`, `gauge` and `histogram`",
            _ => "`derive` takes only one of `counter`, `gauge` and `histogram`",
        };
        wrong.push(Diagnostic::error(code::REQUIRED, options.place, message));
        return None;
    };
    let mut refuse = |option: &str, message: String| {
        wrong.push(Diagnostic::error(code::VALUE, options.place_of(option), message));
    };
    if !is_metric_name(name) {
        let message = format!("cannot name a metric `{name}`: names are made of letters, digits, `_` and `:`");
        refuse(kind.name(), message);
    } else if let Some(prefix) = RESERVED.iter().find(|prefix| name.starts_with(**prefix)) {
        refuse(kind.name(), format!("cannot name a metric `{name}`: `{prefix}…` are metrics of this program"));
    }
    let number = number(kind, options, &mut refuse);
    let only = |option: &str, wanted: Kind, refuse: &mut dyn FnMut(&str, String)| {
        if options.has(option) && kind != wanted {
            refuse(option, format!("`{option}` is for a {} only", wanted.name()));
        }
    };
    for option in ["buckets", "native"] {
        only(option, Kind::Histogram, &mut refuse);
    }
    only("over", Kind::Gauge, &mut refuse);
    let positive = |option: &str, refuse: &mut dyn FnMut(&str, String)| {
        let value = options.number(option)?;
        if !(value.is_finite() && value > 0.0) {
            refuse(option, format!("`{option}` must be greater than 0"));
        }
        Some((value * 1000.0) as i64)
    };
    let (over_ms, max_age_ms) = (positive("over", &mut refuse), positive("max_age", &mut refuse));
    let max_series = options.number("max_series").map_or(SERIES_MAX, |n| n as usize);
    if !(1..=1_000_000).contains(&max_series) {
        refuse("max_series", "`max_series` must be from 1 to 1000000".to_owned());
    }
    let expire = options.number("expire").unwrap_or(EXPIRE_SECONDS);
    let (bounds, native) = buckets(kind, options, &mut refuse);
    let labels = labels(options, wrong);
    let traces = match options.field("trace_id") {
        Some(field) => vec![field],
        None => TRACES.iter().filter_map(|name| FieldRef::parse(name).ok()).collect(),
    };
    Some(Definition {
        name: name.to_owned(),
        place,
        help: options.str("help").map_or_else(|| format!("Derived from events: {name}."), str::to_owned),
        kind,
        labels,
        number,
        scale: options.number("scale").unwrap_or(1.0),
        bounds,
        native,
        over_ms,
        max_series,
        expire_ms: (expire > 0.0).then_some((expire * 1000.0) as i64),
        max_age_ms,
        traces,
    })
}

fn number(kind: Kind, options: &Options, refuse: &mut dyn FnMut(&str, String)) -> Number {
    match options.str("field") {
        Some(ERROR) => Number::Error,
        Some(_) => options.field("field").map_or(Number::One, Number::Field),
        None if kind == Kind::Counter => Number::One,
        None => {
            refuse(kind.name(), format!("a {} needs `field`: where do its values come from?", kind.name()));
            Number::One
        }
    }
}

/// The classic bounds, and whether there are native buckets.
fn buckets(kind: Kind, options: &Options, refuse: &mut dyn FnMut(&str, String)) -> (Vec<f64>, bool) {
    if kind != Kind::Histogram {
        return (Vec::new(), false);
    }
    let native = options.has("native").then(|| options.bool("native", true));
    if !options.has("buckets") {
        let bounds = if native == Some(true) { Vec::new() } else { BOUNDS.to_vec() };
        return (bounds, native.unwrap_or(true));
    }
    let mut bounds = Vec::new();
    for setting in options.list("buckets") {
        let text = setting.as_str().unwrap_or_default();
        match text.parse::<f64>() {
            Ok(bound) if bound == f64::INFINITY || text == "+Inf" => {}
            Ok(bound) if bound.is_finite() => bounds.push(bound),
            _ => refuse("buckets", format!("`{text}` is no upper bound: `buckets` takes numbers")),
        }
    }
    if !bounds.is_sorted_by(|a, b| a < b) {
        refuse("buckets", "the bounds of `buckets` must rise".to_owned());
    }
    if bounds.is_empty() || bounds.len() > BOUNDS_MAX {
        refuse("buckets", format!("`buckets` takes from 1 to {BOUNDS_MAX} bounds"));
    }
    (bounds, native.unwrap_or(false))
}

fn labels(options: &Options, wrong: &mut Vec<Diagnostic>) -> Vec<(String, Text, String)> {
    let mut labels = Vec::new();
    for (name, value) in options.hash("labels") {
        let (text, written) = (name.as_str().unwrap_or_default(), value.as_str());
        let mut refuse = |place, message: String| wrong.push(Diagnostic::error(code::VALUE, place, message));
        if !is_label_name(text) || text.starts_with("__") {
            let message = format!(
                "cannot name a label `{text}`: names are made of letters, digits and `_`, and don't begin with `__`"
            );
            refuse(name.place, message);
        } else if ["le", "quantile"].contains(&text) {
            refuse(name.place, format!("cannot name a label `{text}`: that is what Prometheus calls buckets"));
        }
        match written {
            Some(written) => labels.push((text.to_owned(), Text::parse(written), written.to_owned())),
            None => refuse(value.place, format!("the value of label `{text}` is a text such as \"%{{service}}\"")),
        }
    }
    labels
}
