//! The `drop` filter: cancels the events that reach it.
//!
//! `if [level] == "debug" { drop { percentage => 90 } }`, as Logstash's.

use super::{Filter, Run};
use crate::event::Batch;
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub(super) static SPEC: Spec = Spec {
    name: "drop",
    summary: "Drops the events that reach it: no later filter and no output sees them.",
    options: &[Opt::new(
        "percentage",
        Type::Number,
        Some("100"),
        "How many of a hundred events are dropped, at random.",
    )],
    examples: &[Example {
        title: "Drop everything; stand it in a condition to choose",
        config: "drop { }",
        given: r#"{"message":"noise"}"#,
        then: "",
    }],
    build: Build::Filter(build),
};

struct Drop {
    percentage: f64,
    random: SmallRng,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let percentage = options.number("percentage").unwrap_or(100.0);
    Ok(Box::new(Drop { percentage, random: SmallRng::from_os_rng() }))
}

impl Filter for Drop {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            if self.percentage == 100.0 || self.random.random::<f64>() < self.percentage / 100.0 {
                batch.cancel(event);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Drop { percentage: self.percentage, random: SmallRng::from_os_rng() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::filter::common::tests::{context, options};

    fn dropped(settings: &str, of: u32) -> usize {
        let mut filter = build(&options(settings), &context()).unwrap_or_else(|_| panic!("it builds"));
        let mut batch = Batch::new();
        let events: Vec<_> = (0..of).map(|_| batch.new_event()).collect();
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::from_millis(0);
        filter.run(&mut batch, &mut Run { events: &events, matched: &mut matched, created: &mut created, now });
        assert!(matched.is_empty());
        events.iter().filter(|&&event| batch.cancelled(event)).count()
    }

    #[test]
    fn drops_what_it_says() {
        assert_eq!(dropped("{}", 10), 10);
        assert_eq!(dropped(r#"{"percentage":0}"#, 1000), 0);
        let half = dropped(r#"{"percentage":50}"#, 10_000);
        assert!((4000..6000).contains(&half), "{half}");
    }
}
