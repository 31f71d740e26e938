//! The `aggregate` filter: collects what the events of one task say, in a map that code fills.
//!
//! `aggregate { task_id => "%{id}" code => "map['n'] ||= 0; map['n'] += 1" timeout => 60 push_map_as_event_on_timeout => true }`,
//! as Logstash's. Its code is Ruby, of which [`crate::script`] knows a part. All aggregate filters
//! of a pipeline with the same `task_id` share their maps, and so do its workers; where the order of
//! events matters, the pipeline needs one worker. A crash forgets the maps.

mod convert;
mod maps;
#[cfg(test)]
mod tests;

use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldRef, Template, Timestamp, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use crate::script::{Names, Program};
use convert::Target;
use maps::{Element, MAPS_MAX, Maps, Shared};
use std::path::PathBuf;
use std::sync::Arc;

/// The tag of events on which code failed.
const FAILURE: &str = "_aggregateexception";
/// `timeout` where no filter sets it, in seconds.
const TIMEOUT: f64 = 1800.0;

pub(super) static SPEC: Spec = Spec {
    name: "aggregate",
    summary: "Collects what the events of one task say, in a map that code fills.",
    options: &[
        Opt::new(
            "aggregate_maps_path",
            Type::Path,
            None,
            "A file in which the maps outlive a restart, as JSON; given on one filter of the pipeline.",
        ),
        Opt::required(
            "code",
            Type::String,
            "Ruby that changes `map` and `event`: `map['n'] ||= 0; map['n'] += event.get('bytes')`. It knows \
             variables, operators, `if`, texts, arrays, hashes, blocks over them and common methods; what it does \
             not know is an error at start.",
        ),
        Opt::new("end_of_task", Type::Boolean, Some("false"), "Whether the map goes behind this filter."),
        Opt::new(
            "inactivity_timeout",
            Type::Number,
            None,
            "How many seconds may pass since the last event of a task; without it as many as `timeout` says.",
        ),
        Opt::new(
            "map_action",
            Type::Enum(&["create", "update", "create_or_update"]),
            Some("create_or_update"),
            "Whether it works on tasks without a map, on those with one, or on both.",
        ),
        Opt::new(
            "map_count_warning_threshold",
            Type::Number,
            Some("5000"),
            "From how many maps on it warns; 0 for never.",
        ),
        Opt::new(
            "push_map_as_event_on_timeout",
            Type::Boolean,
            Some("false"),
            "Whether a map that timed out becomes an event.",
        ),
        Opt::new(
            "push_previous_map_as_event",
            Type::Boolean,
            Some("false"),
            "Whether the oldest map becomes an event when a new task begins, and at the end.",
        ),
        Opt::required("task_id", Type::String, "What the events of one task have in common, such as `%{session}`."),
        Opt::new("timeout", Type::Number, None, "After how many seconds a map goes; without it 1800."),
        Opt::new("timeout_code", Type::String, None, "Ruby that changes the `event` that a map became."),
        Opt::new("timeout_tags", Type::Array, Some("[]"), "Tags for the events that maps became."),
        Opt::new("timeout_task_id_field", Type::Field, None, "The field for the task of the events that maps became."),
        Opt::new(
            "timeout_timestamp_field",
            Type::Field,
            None,
            "A field with the time by which maps time out; without it, by when events come.",
        ),
    ],
    examples: &[
        Example {
            title: "A sum over a task",
            config: r#"
                aggregate { task_id => "%{id}" code => "map['sum'] ||= 0; map['sum'] += event.get('ms')" }
                if [last] { aggregate { task_id => "%{id}" code => "event.set('sum', map['sum'])" map_action => "update" end_of_task => true } }"#,
            given: "{\"id\":1,\"ms\":5}\n{\"id\":2,\"ms\":1}\n{\"id\":1,\"ms\":7,\"last\":true}",
            then: "{\"id\":1,\"ms\":5}\n{\"id\":2,\"ms\":1}\n{\"id\":1,\"sum\":12}",
        },
        Example {
            title: "An event for each run of lines with the same name",
            config: r#"aggregate {
                task_id => "%{user}"
                code => "map['user'] = event.get('user'); map['seen'] ||= []; map['seen'] << event.get('page'); event.cancel()"
                push_previous_map_as_event => true
            }"#,
            given: "{\"user\":\"a\",\"page\":1}\n{\"user\":\"a\",\"page\":2}\n{\"user\":\"b\",\"page\":3}",
            then: "{\"user\":\"a\",\"seen\":[1,2]}\n{\"user\":\"b\",\"seen\":[3],\"tags\":[\"_aggregatefinalflush\"]}",
        },
    ],
    build: Build::Filter(build),
};

#[derive(Clone, Copy, PartialEq)]
enum Action {
    Create,
    Update,
    Both,
}

/// What becomes of maps in the course of time.
pub(super) struct Timeouts {
    /// In seconds.
    timeout: f64,
    inactivity: f64,
    code: Option<Program>,
    push_map: bool,
    push_previous: bool,
    time: Option<FieldRef>,
    task: Option<FieldRef>,
    tags: Vec<String>,
}

struct Plan {
    pattern: String,
    task: Template,
    code: Program,
    action: Action,
    end_of_task: bool,
    timeouts: Arc<Timeouts>,
    /// Whether the options of time-outs stand on this filter.
    owner: bool,
    path: Option<PathBuf>,
    warn_from: usize,
}

#[derive(Clone)]
struct Aggregate {
    plan: Arc<Plan>,
    shared: Arc<Shared>,
    scratch: Vec<u8>,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let mut wrong = Vec::new();
    let pattern = options.str("task_id").unwrap_or_default().to_owned();
    let task = Template::parse(&pattern);
    if task.constant().is_some() {
        let message = "`task_id` must refer to the event, such as \"%{session}\"";
        wrong.push(Diagnostic::error(code::VALUE, options.place_of("task_id"), message));
    }
    let mut program = |name: &str, names: Names| {
        let parsed = Program::parse(options.str(name)?, names);
        parsed.map_err(|error| wrong.push(no_code(options, name, &error.to_string()))).ok()
    };
    let code = program("code", Names { map: true });
    let timeout_code = program("timeout_code", Names::default());
    let timeout = options.number("timeout").unwrap_or(TIMEOUT);
    let inactivity = options.number("inactivity_timeout").unwrap_or(timeout);
    if inactivity > timeout {
        let message = format!("`inactivity_timeout` ({inactivity}) must be at most `timeout` ({timeout})");
        wrong.push(Diagnostic::error(code::VALUE, options.place_of("inactivity_timeout"), message));
    }
    let timeouts = Timeouts {
        timeout,
        inactivity,
        code: timeout_code,
        push_map: options.bool("push_map_as_event_on_timeout", false),
        push_previous: options.bool("push_previous_map_as_event", false),
        time: options.field("timeout_timestamp_field"),
        task: options.field("timeout_task_id_field"),
        tags: options.strings("timeout_tags"),
    };
    let owner = options
        .settings
        .iter()
        .any(|(name, ..)| name.starts_with("timeout") || name == "inactivity_timeout" || name.starts_with("push_"));
    let shared = Shared::of(&context.pipeline);
    let path = options.str("aggregate_maps_path").map(PathBuf::from);
    if let Some(path) = path.as_ref().filter(|path| path.exists() && !context.check_only && wrong.is_empty())
        && let Err(cause) = shared.load(path)
    {
        let message = format!("cannot read `{}`: {cause}", path.display());
        wrong.push(Diagnostic::error(code::FILE, options.place_of("aggregate_maps_path"), message));
    }
    let Some(code) = code.filter(|_| wrong.is_empty()) else { return Err(wrong) };
    let plan = Plan {
        pattern,
        task,
        code,
        action: match options.str("map_action") {
            Some("create") => Action::Create,
            Some("update") => Action::Update,
            _ => Action::Both,
        },
        end_of_task: options.bool("end_of_task", false),
        timeouts: Arc::new(timeouts),
        owner,
        path,
        warn_from: options.number("map_count_warning_threshold").unwrap_or(5000.0) as usize,
    };
    Ok(Box::new(Aggregate { plan: Arc::new(plan), shared, scratch: Vec::new() }))
}

fn no_code(options: &Options, name: &str, error: &str) -> Diagnostic {
    let note = "it is Ruby, of which this filter knows a part; the whole comes with the filter `ruby`";
    Diagnostic::error(code::VALUE, options.place_of(name), format!("`{name}`, {error}")).note(note)
}

impl Filter for Aggregate {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let (plan, shared) = (self.plan.clone(), self.shared.clone());
        shared.with(&plan.pattern, |maps| {
            plan.own(maps);
            for &event in run.events {
                self.scratch.clear();
                plan.task.render(batch, event, &mut self.scratch);
                let task = String::from_utf8_lossy(&self.scratch);
                // Nothing was found for the references.
                if task != plan.pattern {
                    plan.one(maps, &task, batch, event, run);
                }
            }
        });
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }

    fn flushes(&self) -> bool {
        true
    }

    fn flush(&mut self, batch: &mut Batch, run: &mut Run, last: bool) {
        let plan = &self.plan;
        self.shared.with(&plan.pattern, |maps| {
            plan.own(maps);
            if plan.owner || maps.timeouts.is_none() {
                plan.expire(maps, batch, run, last);
            }
        });
        if let Some(path) = plan.path.as_ref().filter(|_| last)
            && let Err(error) = self.shared.save(path)
        {
            tracing::error!(path = %path.display(), %error, "cannot write the maps of aggregate: they are lost");
        }
    }
}

impl Plan {
    /// Enters the time-outs of this filter, once it runs: a configuration that is only built, and then
    /// refused, changes nothing for the one that runs.
    fn own(&self, maps: &mut Maps) {
        if self.owner && maps.timeouts.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &self.timeouts)) {
            maps.timeouts = Some(self.timeouts.clone());
        }
    }

    fn one(&self, maps: &mut Maps, task: &str, batch: &mut Batch, event: EventId, run: &mut Run) {
        let now = run.now.millis();
        let at = self.time(batch, event, run.now);
        self.warn(maps);
        let mut expired = None;
        if self.timeouts.time.is_some() && maps.get(task).is_some_and(|element| element.expired_at(at, &self.timeouts))
        {
            expired = maps.remove(task);
            expired = expired.filter(|_| self.timeouts.push_map || self.timeouts.push_previous);
        }
        let mut made: Vec<(String, Element)> = expired.map(|element| (task.to_owned(), element)).into_iter().collect();
        match maps.get(task) {
            None if self.action == Action::Update => return,
            Some(_) if self.action == Action::Create => return,
            Some(_) => {}
            None => {
                if self.timeouts.push_previous {
                    made.extend(maps.shift());
                }
                if maps.len() >= MAPS_MAX {
                    tracing::warn!(maps = MAPS_MAX, "aggregate: too many maps, a new task gets none");
                    return batch.tag(event, FAILURE);
                }
                maps.insert(task, Element::new(at, now));
            }
        }
        let Some(element) = maps.get_mut(task) else { return };
        (element.last, element.last_behind) = (at, now.saturating_sub(at));
        let (timeout, inactivity) = (&mut element.timeout, &mut element.inactivity);
        let mut target = Target {
            batch: &mut *batch,
            event,
            created: &mut *run.created,
            now: run.now,
            meta: Some((timeout, inactivity)),
        };
        let done = self.code.run(&element.map, &mut target);
        let over = element.timeout == Some(0.0) || element.inactivity == Some(0.0);
        if over || self.end_of_task {
            let element = maps.remove(task);
            let push = maps.timeouts.as_ref().is_some_and(|timeouts| timeouts.push_map);
            made.extend(element.filter(|_| over && push).map(|element| (task.to_owned(), element)));
        }
        match done {
            Ok(_) => run.matched.push(event),
            Err(cause) => {
                tracing::debug!(cause, "the code of aggregate failed");
                batch.tag(event, FAILURE);
            }
        }
        for (task, element) in made {
            let made = self.timeouts.event(&task, &element, batch, run.now);
            run.created.push(made);
        }
    }

    /// The time of an event, as far as time-outs go by it, in milliseconds.
    fn time(&self, batch: &Batch, event: EventId, now: Timestamp) -> i64 {
        match self.timeouts.time.as_ref().and_then(|field| batch.get(event, field)) {
            Some(Value::Time(at)) => at.millis(),
            _ => now.millis(),
        }
    }

    fn warn(&self, maps: &mut Maps) {
        if self.warn_from == 0 || maps.len() < self.warn_from {
            maps.events_since_warning = 0;
            return;
        }
        if maps.events_since_warning == 0 {
            tracing::warn!(
                task_id = self.pattern,
                maps = maps.len(),
                "aggregate: many maps are held, is end_of_task or a time-out missing?"
            );
        }
        maps.events_since_warning = (maps.events_since_warning + 1) % (self.warn_from / 5).max(1);
    }

    /// Lets go of maps whose time is over; at the end, of the previous one.
    fn expire(&self, maps: &mut Maps, batch: &mut Batch, run: &mut Run, last: bool) {
        let push = self.timeouts.push_map || self.timeouts.push_previous;
        let mut made = maps.expired(run.now.millis(), &self.timeouts);
        if !push {
            made.clear();
        }
        if last && self.timeouts.push_previous {
            made.extend(maps.shift());
        }
        for (task, element) in made {
            let event = self.timeouts.event(&task, &element, batch, run.now);
            if last {
                batch.tag(event, "_aggregatefinalflush");
            }
            run.created.push(event);
        }
    }
}

impl Timeouts {
    /// The event that a map becomes.
    fn event(&self, task: &str, element: &Element, batch: &mut Batch, now: Timestamp) -> EventId {
        let event = convert::event(&element.map, batch, now);
        if let Some(field) = &self.task {
            let task = batch.str(task);
            super::common::set(batch, event, field, task);
        }
        let mut text = Vec::new();
        for tag in &self.tags {
            text.clear();
            Template::parse(tag).render(batch, event, &mut text);
            batch.tag(event, &String::from_utf8_lossy(&text));
        }
        if let Some(code) = &self.code {
            let mut created = Vec::new();
            let mut target = Target { batch: &mut *batch, event, created: &mut created, now, meta: None };
            if let Err(cause) = code.run(&crate::script::Value::Nil, &mut target) {
                tracing::debug!(cause, "the timeout_code of aggregate failed");
                batch.tag(event, FAILURE);
            }
        }
        event
    }
}
