//! The `throttle` filter: counts events by a key, and succeeds on those that are too early or too
//! many in their period.
//!
//! `throttle { key => "%{message}" after_count => 5 period => 60 add_tag => ["throttled"] }`, as
//! Logstash's: time is that of the events. All workers count together.

use super::{Filter, Run};
use crate::event::{Batch, EventId, Template, ruby};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The limit of counters where `max_counters` sets none.
const COUNTERS_MAX: usize = 10_000_000;
/// How far below what was asked `max_age` may be lowered, and in which steps, in hundredths.
const AGE_MIN: i64 = 5;
const AGE_STEP: i64 = 5;
/// Below how many of a hundred counters that may be, `max_age` rises again.
const CALM: usize = 80;

pub(super) static SPEC: Spec = Spec {
    name: "throttle",
    summary: "Counts events by a key, and succeeds on those that are too early or too many in their period.",
    options: &[
        Opt::new("after_count", Type::Number, Some("-1"), "It succeeds on events beyond this count; -1 for no limit."),
        Opt::new("before_count", Type::Number, Some("-1"), "It succeeds on events before this count; -1 for no limit."),
        Opt::required("key", Type::String, "What is counted, such as `%{host}%{message}`."),
        Opt::new("max_age", Type::Number, Some("3600"), "How long a period's count is kept, in seconds."),
        Opt::new(
            "max_counters",
            Type::Number,
            Some("100000"),
            "Beyond this many counts, older ones go earlier than `max_age` says; -1 for ten millions.",
        ),
        Opt::new("period", Type::String, Some("60"), "The seconds of a period, from its first event on."),
    ],
    examples: &[Example {
        title: "One a minute for each message",
        config: r#"throttle { key => "%{message}" after_count => 1 add_tag => ["again"] }"#,
        given: "{\"message\":\"a\",\"@timestamp\":\"2024-01-01T00:00:00Z\"}\n{\"message\":\"a\",\"@timestamp\":\"2024-01-01T00:00:59Z\"}",
        then: "{\"message\":\"a\"}\n{\"message\":\"a\",\"tags\":[\"again\"]}",
    }],
    build: Build::Filter(build),
};

struct Plan {
    key: Template,
    period: Template,
    before: i64,
    after: i64,
    counters_max: usize,
    age: i64,
}

/// The counts of one key, by the second at which their periods began.
struct Slots {
    created: i64,
    latest: i64,
    counts: Vec<(i64, i64)>,
}

#[derive(Default)]
struct Counters {
    keys: FxHashMap<Box<[u8]>, Slots>,
    /// Counts in all keys together.
    count: usize,
    /// What `max_age` is at present.
    age: i64,
}

struct Throttle {
    plan: Arc<Plan>,
    counters: Arc<Mutex<Counters>>,
    scratch: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let number = |name, default| options.number(name).map_or(default, |n| n as i64);
    let age = number("max_age", 3600);
    let plan = Plan {
        key: options.template("key").unwrap_or_else(|| Template::parse("")),
        period: Template::parse(options.str("period").unwrap_or("60")),
        before: number("before_count", -1),
        after: number("after_count", -1),
        counters_max: usize::try_from(number("max_counters", 100_000)).unwrap_or(COUNTERS_MAX).min(COUNTERS_MAX),
        age,
    };
    let counters = Arc::new(Mutex::new(Counters { age, ..Counters::default() }));
    Ok(Box::new(Throttle { plan: Arc::new(plan), counters, scratch: Vec::new() }))
}

impl Filter for Throttle {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let counters = self.counters.clone();
        let mut counters = counters.lock();
        for &event in run.events {
            let epoch = batch.timestamp(event).unwrap_or(run.now).seconds();
            let period = self.period(batch, event);
            self.scratch.clear();
            self.plan.key.render(batch, event, &mut self.scratch);
            let count = counters.count(&self.scratch, epoch, period);
            let Plan { before, after, .. } = *self.plan;
            if (before != -1 && count < before) || (after != -1 && count > after) {
                run.matched.push(event);
            }
            // Between two flushes there may be far too many already.
            if counters.count > self.plan.counters_max.saturating_mul(2) {
                counters.shrink(self.plan.counters_max);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        let (plan, counters) = (self.plan.clone(), self.counters.clone());
        Box::new(Throttle { plan, counters, scratch: Vec::new() })
    }

    fn flushes(&self) -> bool {
        true
    }

    fn flush(&mut self, _: &mut Batch, _: &mut Run, _: bool) {
        self.counters.lock().tidy(&self.plan);
    }
}

impl Throttle {
    fn period(&mut self, batch: &Batch, event: EventId) -> i64 {
        self.scratch.clear();
        self.plan.period.render(batch, event, &mut self.scratch);
        match ruby::text_to_i(std::str::from_utf8(&self.scratch).unwrap_or_default()) {
            period @ 1.. => period,
            _ => 60,
        }
    }
}

impl Counters {
    /// Counts an event and says which of its period it is.
    fn count(&mut self, key: &[u8], epoch: i64, period: i64) -> i64 {
        if !self.keys.contains_key(key) {
            self.keys.insert(key.into(), Slots { created: epoch, latest: epoch, counts: Vec::new() });
        }
        let slots = self.keys.get_mut(key).expect("BUG: just made");
        slots.latest = slots.latest.max(epoch);
        let began = epoch - (epoch - slots.created).rem_euclid(period);
        let count = match slots.counts.iter_mut().find(|(at, _)| *at == began) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                slots.counts.push((began, 1));
                self.count += 1;
                1
            }
        };
        if slots.counts.len() > 1 {
            let oldest = slots.counts.iter().map(|(at, _)| *at).max().unwrap_or(0) - self.age;
            let before = slots.counts.len();
            slots.counts.retain(|(at, _)| *at >= oldest);
            self.count -= before - slots.counts.len();
        }
        count
    }

    /// Forgets keys that are older than `max_age`, and changes that by how many there are.
    fn tidy(&mut self, plan: &Plan) {
        let latest = self.keys.values().map(|slots| slots.latest).max().unwrap_or(0);
        self.forget(latest - self.age);
        let step = plan.age * AGE_STEP / 100;
        if self.count > plan.counters_max && self.age > plan.age * AGE_MIN / 100 {
            self.age -= step;
            tracing::warn!(max_age = self.age, counters = self.count, "throttle: too many counts, max_age is lowered");
        } else if self.age < plan.age && self.count < plan.counters_max * CALM / 100 {
            self.age += step;
            tracing::warn!(max_age = self.age, counters = self.count, "throttle: max_age rises again");
        }
    }

    fn forget(&mut self, before: i64) {
        let count = &mut self.count;
        self.keys.retain(|_, slots| {
            let stays = slots.latest >= before;
            if !stays {
                *count -= slots.counts.len();
            }
            stays
        });
    }

    /// Forgets the keys that were seen longest ago, until half of the limit is left.
    fn shrink(&mut self, max: usize) {
        let mut ages: Vec<(i64, usize)> = self.keys.values().map(|s| (s.latest, s.counts.len())).collect();
        ages.sort_unstable();
        let mut left = self.count;
        let mut before = i64::MIN;
        for (latest, counts) in ages {
            if left <= max / 2 {
                break;
            }
            left -= counts;
            before = latest.saturating_add(1);
        }
        tracing::warn!(counters = self.count, "throttle: far too many counts, the oldest are forgotten");
        self.forget(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FieldId, FieldRef, Timestamp, Value};
    use crate::filter::common::tests::{context, options};

    /// Seconds and keys in, the indices of those that are throttled out.
    fn check(settings: &str, events: &[(i64, &str)], want: &[u32]) {
        let mut filter = build(&options(settings), &context()).unwrap_or_else(|_| panic!("{settings}"));
        let mut batch = Batch::new();
        let made: Vec<EventId> = events
            .iter()
            .map(|&(at, key)| {
                let event = batch.new_event();
                batch.set_key(event, FieldId::TIMESTAMP, Value::Time(Timestamp::new(at, 0)));
                let key = batch.str(key);
                batch.set(event, &FieldRef::of("k"), key);
                event
            })
            .collect();
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::from_millis(0);
        filter.run(&mut batch, &mut Run { events: &made, matched: &mut matched, created: &mut created, now });
        assert_eq!(matched, want, "{settings}");
    }

    #[test]
    fn events_are_counted() {
        let both = r#"{"key":"%{k}","before_count":2,"after_count":3,"period":"10"}"#;
        check(both, &[(0, "a"), (1, "a"), (2, "a"), (3, "a"), (4, "b"), (10, "a"), (11, "a")], &[0, 3, 4, 5]);
        let one = r#"{"key":"%{k}","after_count":1,"period":"10"}"#;
        check(one, &[(100, "a"), (95, "a"), (91, "a"), (109, "a"), (110, "a")], &[2, 3]);
        check(r#"{"key":"%{k}","after_count":1,"period":"x"}"#, &[(0, "a"), (59, "a"), (60, "a")], &[1]);
        // The count of the first period is forgotten with the third.
        let old = r#"{"key":"k","after_count":1,"period":"10","max_age":15}"#;
        check(old, &[(0, ""), (10, ""), (20, ""), (1, "")], &[]);
    }

    #[test]
    fn counters_are_bounded() {
        let events: Vec<(i64, String)> = (0..1000).map(|n| (n, n.to_string())).collect();
        let plan = Plan {
            key: Template::parse("%{k}"),
            period: Template::parse("60"),
            before: -1,
            after: 1,
            counters_max: 100,
            age: 3600,
        };
        let mut counters = Counters { age: 3600, ..Counters::default() };
        for (at, key) in &events {
            counters.count(key.as_bytes(), *at, 60);
        }
        counters.tidy(&plan);
        assert_eq!((counters.age, counters.count), (3420, 1000));
        counters.shrink(100);
        assert_eq!((counters.count, counters.keys.len()), (50, 50));
        assert!(counters.keys.contains_key(&b"999"[..]));
        counters.tidy(&plan);
        assert_eq!(counters.age, 3600);
        counters.count(b"x", 10_000, 60);
        counters.tidy(&plan);
        assert_eq!(counters.count, 1);
    }
}
