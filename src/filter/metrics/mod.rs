//! The `metrics` filter: counts events and measures numbers in them, and reports at intervals by
//! events of its own.
//!
//! `metrics { meter => ["events"] add_tag => "metric" }`, as Logstash's. All workers count together; the
//! common options apply to the reports. What has not been reported at a crash is lost.

mod meter;

use super::common::{new_event, set};
use super::{FLUSH_INTERVAL, Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldId, Template, Timestamp, Value, ruby};
use crate::metric::identity::hostname;
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Setting, Spec, Type};
use meter::{Meter, Timer};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names that are measured at the most, meters and timers together; further ones are not.
const NAMES_MAX: usize = 10_000;

pub(super) static SPEC: Spec = Spec {
    name: "metrics",
    summary: "Counts events and measures numbers in them, and reports at intervals by events of its own.",
    options: &[
        Opt::new(
            "clear_interval",
            Type::Number,
            Some("-1"),
            "After how many seconds it begins anew, in steps of five; -1 for never.",
        ),
        Opt::new("flush_interval", Type::Number, Some("5"), "The seconds between reports, in steps of five."),
        Opt::new(
            "ignore_older_than",
            Type::Number,
            Some("0"),
            "Events older than this many seconds are not counted; 0 counts all.",
        ),
        Opt::new(
            "meter",
            Type::Array,
            Some("[]"),
            "Names to count events under, such as `http_%{status}`: `[NAME][count]`, `[NAME][rate_1m]` and so on.",
        ),
        Opt::new(
            "percentiles",
            Type::Array,
            Some("[1, 5, 10, 90, 95, 99, 100]"),
            "The percentiles of timers: `[NAME][p95]` and so on.",
        ),
        Opt::new(
            "rates",
            Type::Array,
            Some("[1, 5, 15]"),
            "Over which minutes events per second are averaged, of 1, 5 and 15.",
        ),
        Opt::new(
            "timer",
            Type::Hash,
            Some("{}"),
            "Names and the numbers to measure under them, such as `%{duration}`: besides what a meter gives `min`, \
             `max`, `mean`, `stddev` (as in Logstash, its square root) and percentiles.",
        ),
    ],
    examples: &[Example {
        title: "A report comes at the latest at the end; the events themselves go on",
        config: r#"metrics { meter => ["events"] timer => { "took" => "%{ms}" } percentiles => [50] rates => [] } if [events] { mutate { remove_field => ["message"] } }"#,
        given: "{\"ms\":10}\n{\"ms\":14}\n{\"ms\":18}",
        then: "{\"ms\":10}\n{\"ms\":14}\n{\"ms\":18}\n{\"events\":{\"count\":3},\"took\":{\"count\":3,\"min\":10.0,\"max\":18.0,\"stddev\":2.0,\"mean\":14.0,\"p50\":14.0}}",
    }],
    build: Build::Filter(build),
};

struct Plan {
    meters: Vec<Template>,
    timers: Vec<(Template, Template)>,
    ignore_older_than: f64,
    flush_interval: f64,
    clear_interval: f64,
    /// By minutes: whether it is wanted.
    rates: [bool; 3],
    /// The name of the field, and the share.
    percentiles: Vec<(String, f64)>,
    host: String,
}

#[derive(Default)]
struct State {
    meters: BTreeMap<String, Meter>,
    timers: BTreeMap<String, Timer>,
    /// Seconds since the last report and since it began anew, in steps of the flushes.
    flushed: f64,
    cleared: f64,
    full: bool,
}

#[derive(Clone)]
struct Metrics {
    plan: Arc<Plan>,
    state: Arc<Mutex<State>>,
    name: Vec<u8>,
    value: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let mut wrong = Vec::new();
    let number = |name, default| options.number(name).unwrap_or(default);
    let template = |setting: &Setting| Template::parse(setting.as_str().unwrap_or_default());
    let mut rates = [!options.has("rates"); 3];
    for setting in options.list("rates") {
        match setting.as_str().and_then(|text| ["1", "5", "15"].iter().position(|rate| *rate == text)) {
            Some(at) => rates[at] = true,
            None => {
                let message = "a rate is over 1, 5 or 15 minutes";
                wrong.push(Diagnostic::error(code::VALUE, setting.place, message));
            }
        }
    }
    let mut percentiles = Vec::new();
    for setting in options.list("percentiles") {
        let text = setting.as_str().unwrap_or_default();
        match text.parse::<f64>() {
            Ok(share) if (0.0..=100.0).contains(&share) => percentiles.push((format!("p{text}"), share / 100.0)),
            _ => wrong.push(Diagnostic::error(code::VALUE, setting.place, "a percentile is a number from 0 to 100")),
        }
    }
    if !options.has("percentiles") {
        percentiles.extend([1, 5, 10, 90, 95, 99, 100].map(|share| (format!("p{share}"), f64::from(share) / 100.0)));
    }
    let plan = Plan {
        meters: options.list("meter").iter().map(template).collect(),
        timers: options.hash("timer").iter().map(|(name, value)| (template(name), template(value))).collect(),
        ignore_older_than: number("ignore_older_than", 0.0),
        flush_interval: number("flush_interval", 5.0),
        clear_interval: number("clear_interval", -1.0),
        rates,
        percentiles,
        host: hostname(),
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Box::new(Metrics { plan: Arc::new(plan), state: Arc::default(), name: Vec::new(), value: Vec::new() }))
}

impl Filter for Metrics {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let (plan, state) = (self.plan.clone(), self.state.clone());
        let mut state = state.lock();
        for &event in run.events {
            if plan.ignore_older_than > 0.0 {
                let age = batch.timestamp(event).map_or(0, |at| run.now.millis().saturating_sub(at.millis()));
                if age as f64 / 1000.0 > plan.ignore_older_than {
                    continue;
                }
            }
            for meter in &plan.meters {
                let name = self.name(meter, batch, event);
                if let Some(meter) = state.meter(name, run.now) {
                    meter.mark(run.now);
                }
            }
            for (timer, value) in &plan.timers {
                self.value.clear();
                value.render(batch, event, &mut self.value);
                let value = std::str::from_utf8(&self.value).map_or(0.0, ruby::text_to_f);
                let name = self.name(timer, batch, event);
                if let Some(timer) = state.timer(name, run.now) {
                    timer.update(value, run.now);
                }
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }

    fn flushes(&self) -> bool {
        true
    }

    fn flush(&mut self, batch: &mut Batch, run: &mut Run, _: bool) {
        let mut state = self.state.lock();
        let plan = &self.plan;
        state.flushed += FLUSH_INTERVAL.as_secs_f64();
        state.cleared += FLUSH_INTERVAL.as_secs_f64();
        if state.flushed < plan.flush_interval || (state.meters.is_empty() && state.timers.is_empty()) {
            return;
        }
        let event = plan.report(&mut state, batch, run.now);
        run.created.push(event);
        run.matched.push(event);
        state.flushed = 0.0;
        if plan.clear_interval > 0.0 && state.cleared >= plan.clear_interval {
            *state = State::default();
        }
    }
}

impl Metrics {
    fn name(&mut self, template: &Template, batch: &Batch, event: EventId) -> &str {
        self.name.clear();
        template.render(batch, event, &mut self.name);
        std::str::from_utf8(&self.name).unwrap_or_default()
    }
}

impl State {
    fn meter(&mut self, name: &str, now: Timestamp) -> Option<&mut Meter> {
        if !self.meters.contains_key(name) && self.room() {
            self.meters.insert(name.to_owned(), Meter::new(now));
        }
        self.meters.get_mut(name)
    }

    fn timer(&mut self, name: &str, now: Timestamp) -> Option<&mut Timer> {
        if !self.timers.contains_key(name) && self.room() {
            self.timers.insert(name.to_owned(), Timer::new(now));
        }
        self.timers.get_mut(name)
    }

    /// Whether there is room for one more name.
    fn room(&mut self) -> bool {
        let room = self.meters.len() + self.timers.len() < NAMES_MAX;
        if !room && !self.full {
            tracing::warn!(names = NAMES_MAX, "metrics: too many names, further ones are not measured");
            self.full = true;
        }
        room
    }
}

impl Plan {
    /// An event of everything that was measured.
    fn report(&self, state: &mut State, batch: &mut Batch, now: Timestamp) -> EventId {
        let event = new_event(batch, now);
        let host = batch.str(&self.host);
        batch.set_key(event, FieldId::MESSAGE, host);
        let mut out = Report { batch, event };
        for (name, meter) in &mut state.meters {
            self.rates(&mut out, name, meter, now);
        }
        for (name, timer) in &mut state.timers {
            self.rates(&mut out, name, &mut timer.meter, now);
            out.set(name, "min", Value::Float(timer.min()));
            out.set(name, "max", Value::Float(timer.max()));
            out.set(name, "stddev", Value::Float(timer.deviation()));
            out.set(name, "mean", Value::Float(timer.mean()));
            let sorted = timer.sorted();
            for (field, share) in &self.percentiles {
                out.set(name, field, Value::Float(meter::percentile(&sorted, *share)));
            }
        }
        event
    }

    fn rates(&self, out: &mut Report, name: &str, meter: &mut Meter, now: Timestamp) {
        out.set(name, "count", Value::Int(meter.count as i64));
        let rates = meter.rates(now);
        for ((wanted, field), rate) in self.rates.iter().zip(["rate_1m", "rate_5m", "rate_15m"]).zip(rates) {
            if *wanted {
                out.set(name, field, Value::Float(rate));
            }
        }
    }
}

struct Report<'a> {
    batch: &'a mut Batch,
    event: EventId,
}

impl Report<'_> {
    /// Sets `[NAME][field]`; a name that makes no reference is left out.
    fn set(&mut self, name: &str, field: &str, value: Value) {
        if let Ok(field) = self.batch.reference(&format!("[{name}][{field}]")) {
            set(self.batch, self.event, &field, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, event, options, shown};

    #[test]
    fn reports() {
        let settings = r#"{"meter":["n_%{k}"],"timer":{"t":"%{ms}"},"percentiles":[50,"99.9"],"rates":[1],
            "flush_interval":10,"clear_interval":15,"ignore_older_than":60}"#;
        let mut filter = build(&options(settings), &context()).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let mut batch = Batch::new();
        let mut pass = |seconds: i64, events: &[&str]| {
            let now = Timestamp::new(seconds, 0);
            let events: Vec<EventId> = events.iter().map(|json| event(&mut batch, json)).collect();
            let (mut matched, mut created) = (Vec::new(), Vec::new());
            let mut run = Run { events: &events, matched: &mut matched, created: &mut created, now };
            filter.run(&mut batch, &mut run);
            run.events = &[];
            filter.flush(&mut batch, &mut run, false);
            assert_eq!(matched, created);
            created.first().map(|&event| {
                [FieldId::TIMESTAMP, FieldId::VERSION, FieldId::MESSAGE].into_iter().for_each(|key| {
                    batch.remove_key(event, key);
                });
                shown(&batch, event)
            })
        };
        let old = r#"{"k":"a","ms":5,"@timestamp":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(pass(100, &[r#"{"k":"a","ms":1}"#, r#"{"k":"b","ms":"3x"}"#, old]), None);
        let timer = r#""t":{"count":2,"rate_1m":0.4,"min":1.0,"max":3.0,"stddev":1.189207115002721,"mean":2.0,"p50":2.0,"p99.9":3.0}"#;
        let meters = r#""n_a":{"count":1,"rate_1m":0.2},"n_b":{"count":1,"rate_1m":0.2}"#;
        assert_eq!(pass(106, &[]), Some(format!("{{{meters},{timer}}}")));
        assert_eq!(pass(111, &[]), None);
        assert!(pass(116, &[r#"{"k":"a","ms":1}"#]).is_some_and(|report| report.contains(r#""n_a":{"count":2"#)));
        // It began anew: nothing to report.
        assert_eq!(pass(121, &[]), None);
        assert_eq!(pass(126, &[]), None);
    }

    #[test]
    fn mistakes() {
        for bad in [r#"{"rates":[2]}"#, r#"{"percentiles":[101]}"#, r#"{"percentiles":["x"]}"#] {
            assert!(build(&options(bad), &context()).is_err(), "{bad}");
        }
    }
}
