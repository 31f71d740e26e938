//! The `sleep` filter: makes the worker wait.
//!
//! `sleep { time => "0.1" every => 10 }`, as Logstash's. It is one of the few filters whose job it is
//! to block: all events of the worker wait, and in the end the inputs.

use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, Template, Timestamp, ruby};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

pub(super) static SPEC: Spec = Spec {
    name: "sleep",
    summary: "Makes the worker wait, so that events pass more slowly.",
    options: &[
        Opt::new("every", Type::String, Some("1"), "It waits on every n-th event."),
        Opt::new(
            "replay",
            Type::Boolean,
            Some("false"),
            "Whether it waits as long as the times of the events are apart; `time` is then how much faster.",
        ),
        Opt::new("time", Type::String, None, "How long, in seconds; `%{field}` stands for the field's value."),
    ],
    examples: &[Example {
        title: "A millisecond for each event",
        config: r#"sleep { time => "0.001" }"#,
        given: r#"{"message":"a"}"#,
        then: r#"{"message":"a"}"#,
    }],
    build: Build::Filter(build),
};

struct Plan {
    time: Template,
    every: f64,
    replay: bool,
}

/// What workers share.
#[derive(Default)]
struct State {
    count: f64,
    clock: Option<Timestamp>,
}

#[derive(Clone)]
struct Sleep {
    plan: Arc<Plan>,
    state: Arc<Mutex<State>>,
    scratch: Vec<u8>,
}

fn build(options: &Options, _: &Context) -> Built<Box<dyn Filter>> {
    let replay = options.bool("replay", false);
    let time = match options.str("time") {
        Some(time) => time,
        None if replay => "1",
        None => {
            let message = "the filter `sleep` needs the setting `time`";
            return Err(vec![Diagnostic::error(code::REQUIRED, options.place, message)]);
        }
    };
    let every = options.str("every").map_or(1.0, ruby::text_to_f);
    let plan = Plan { time: Template::parse(time), every, replay };
    Ok(Box::new(Sleep { plan: Arc::new(plan), state: Arc::default(), scratch: Vec::new() }))
}

impl Filter for Sleep {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        for &event in run.events {
            self.scratch.clear();
            self.plan.time.render(batch, event, &mut self.scratch);
            let time = std::str::from_utf8(&self.scratch).map_or(0.0, ruby::text_to_f);
            let pause = self.state.lock().pause(&self.plan, time, batch.timestamp(event).unwrap_or(run.now));
            // What is no time at all (negative, endless) is no pause.
            if let Ok(pause) = Duration::try_from_secs_f64(pause) {
                std::thread::sleep(pause);
            }
            run.matched.push(event);
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl State {
    /// The seconds to wait for an event.
    fn pause(&mut self, plan: &Plan, time: f64, clock: Timestamp) -> f64 {
        if plan.replay {
            let last = self.clock.replace(clock);
            return last.map_or(0.0, |last| clock.nanos().saturating_sub(last.nanos()) as f64 / 1e9 / time);
        }
        self.count += 1.0;
        if self.count < plan.every {
            return 0.0;
        }
        self.count = 0.0;
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::common::tests::{context, options};

    #[test]
    fn pauses() {
        let plan = |every, replay| Plan { time: Template::parse(""), every, replay };
        let check = |plan: Plan, time: f64, want: &[f64]| {
            let mut state = State::default();
            let clocks = [0, 2000, 1000, 1500].map(Timestamp::from_millis);
            let pauses: Vec<f64> = clocks.iter().map(|&clock| state.pause(&plan, time, clock)).collect();
            assert_eq!(pauses, want);
        };
        check(plan(1.0, false), 0.5, &[0.5; 4]);
        check(plan(3.0, false), 0.5, &[0.0, 0.0, 0.5, 0.0]);
        check(plan(1.0, true), 2.0, &[0.0, 1.0, -0.5, 0.25]);
    }

    #[test]
    fn it_needs_a_time() {
        assert!(build(&options("{}"), &context()).is_err());
        assert!(build(&options(r#"{"replay":true}"#), &context()).is_ok());
    }
}
