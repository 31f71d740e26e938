//! Tasks, their maps and time-outs.

use super::*;
use crate::event::FieldId;
use crate::filter::common::tests::{context, event, options, shown};

/// Filters of one pipeline of their own.
struct Pipeline {
    filters: Vec<Box<dyn Filter>>,
    batch: Batch,
}

impl Pipeline {
    fn new(name: &str, settings: &[&str]) -> Pipeline {
        let context = Context { pipeline: format!("aggregate-{name}"), ..context() };
        let filter = |settings: &&str| {
            let settings = format!(r#"{{"task_id":"%{{id}}",{settings}}}"#);
            build(&options(&settings), &context).unwrap_or_else(|wrong| panic!("{settings}: {wrong:?}"))
        };
        Pipeline { filters: settings.iter().map(filter).collect(), batch: Batch::new() }
    }

    /// Runs a filter over one event at a second; what comes out.
    fn pass(&mut self, filter: usize, second: i64, json: &str) -> Vec<String> {
        let made = event(&mut self.batch, json);
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::new(second, 0);
        let mut run = Run { events: &[made], matched: &mut matched, created: &mut created, now };
        self.filters[filter].run(&mut self.batch, &mut run);
        let left = (!self.batch.cancelled(made)).then_some(made);
        left.into_iter().chain(created).map(|event| self.bare(event)).collect()
    }

    fn flush(&mut self, filter: usize, second: i64, last: bool) -> Vec<String> {
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::new(second, 0);
        let mut run = Run { events: &[], matched: &mut matched, created: &mut created, now };
        self.filters[filter].flush(&mut self.batch, &mut run, last);
        assert!(matched.is_empty());
        created.into_iter().map(|event| self.bare(event)).collect()
    }

    fn bare(&mut self, event: EventId) -> String {
        self.batch.remove_key(event, FieldId::TIMESTAMP);
        self.batch.remove_key(event, FieldId::VERSION);
        shown(&self.batch, event)
    }
}

#[test]
fn filters_share_their_maps() {
    let mut pipeline = Pipeline::new(
        "share",
        &[
            r#""code":"map['n'] = 0","map_action":"create""#,
            r#""code":"map['n'] += event.get('ms')","map_action":"update""#,
            r#""code":"event.set('n', map['n'])","map_action":"update","end_of_task":true"#,
        ],
    );
    let one = r#"{"id":1,"ms":5}"#;
    assert_eq!(pipeline.pass(1, 0, one), [one], "no map yet");
    pipeline.pass(0, 0, one);
    pipeline.pass(1, 0, one);
    pipeline.pass(0, 0, one);
    pipeline.pass(1, 0, one);
    assert_eq!(pipeline.pass(1, 0, r#"{"id":1}"#), [r#"{"id":1,"tags":["_aggregateexception"]}"#]);
    assert_eq!(pipeline.pass(2, 0, r#"{"id":1}"#), [r#"{"id":1,"n":10}"#]);
    assert_eq!(pipeline.pass(2, 0, r#"{"id":1}"#), [r#"{"id":1}"#], "the map is gone");
    assert_eq!(pipeline.pass(2, 0, "{}"), ["{}"], "no task");
}

#[test]
fn maps_time_out() {
    let mut pipeline = Pipeline::new(
        "time",
        &[
            r#""code":"map['n'] ||= 0; map['n'] += 1; map['last'] = event.get('x')","timeout":60,"inactivity_timeout":10,
            "push_map_as_event_on_timeout":true,"timeout_task_id_field":"task","timeout_tags":["t","n-%{n}"],
            "timeout_code":"event.set('many', event.get('n') > 1)""#,
        ],
    );
    pipeline.pass(0, 0, r#"{"id":"a"}"#);
    pipeline.pass(0, 5, r#"{"id":"a","x":[1]}"#);
    pipeline.pass(0, 5, r#"{"id":"b"}"#);
    assert!(pipeline.flush(0, 15, false).is_empty());
    pipeline.pass(0, 14, r#"{"id":"b"}"#);
    let want = r#"{"n":2,"last":[1],"task":"a","tags":["t","n-2"],"many":true}"#;
    assert_eq!(pipeline.flush(0, 16, false), [want]);
    assert!(pipeline.flush(0, 24, true).is_empty(), "the end is no time-out");
    assert_eq!(pipeline.flush(0, 25, true).len(), 1);
}

#[test]
fn previous_maps_become_events() {
    let mut pipeline = Pipeline::new(
        "previous",
        &[r#""code":"map['id'] = event.get('id'); event.cancel()","push_previous_map_as_event":true,"timeout":3"#],
    );
    assert!(pipeline.pass(0, 0, r#"{"id":"a"}"#).is_empty());
    assert!(pipeline.pass(0, 0, r#"{"id":"a"}"#).is_empty());
    assert_eq!(pipeline.pass(0, 0, r#"{"id":"b"}"#), [r#"{"id":"a"}"#]);
    assert_eq!(pipeline.flush(0, 1, true), [r#"{"id":"b","tags":["_aggregatefinalflush"]}"#]);
    assert!(pipeline.flush(0, 1, true).is_empty());
}

#[test]
fn code_ends_tasks_and_makes_events() {
    let mut pipeline = Pipeline::new(
        "meta",
        &[
            r#""code":"map['l'] ||= []; map['l'] << event.get('v'); map_meta.timeout = 0 if event.get('v') == 3; new_event_block.call(LogStash::Event.new({'made' => map['l'].length})) if event.get('v') == 2","push_map_as_event_on_timeout":true"#,
        ],
    );
    pipeline.pass(0, 0, r#"{"id":1,"v":1}"#);
    assert_eq!(pipeline.pass(0, 0, r#"{"id":1,"v":2}"#), [r#"{"id":1,"v":2}"#, r#"{"made":2}"#]);
    assert_eq!(pipeline.pass(0, 0, r#"{"id":1,"v":3}"#), [r#"{"id":1,"v":3}"#, r#"{"l":[1,2,3]}"#]);
    assert_eq!(pipeline.pass(0, 0, r#"{"id":1,"v":3}"#)[1], r#"{"l":[3]}"#);
}

#[test]
fn time_is_that_of_a_field() {
    let mut pipeline = Pipeline::new(
        "field",
        &[r#""code":"map['n'] ||= 0; map['n'] += 1","timeout":60,"push_map_as_event_on_timeout":true,
            "timeout_timestamp_field":"@timestamp""#],
    );
    let at = |second: i64| format!(r#"{{"id":1,"@timestamp":"1970-01-01T00:{:02}:{:02}Z"}}"#, second / 60, second % 60);
    pipeline.pass(0, 1000, &at(0));
    assert_eq!(pipeline.pass(0, 1000, &at(59)).len(), 1);
    assert_eq!(pipeline.pass(0, 1000, &at(61))[1], r#"{"n":2}"#);
    // By the clock, it began when its first event came.
    assert!(pipeline.flush(0, 1059, false).is_empty());
    assert_eq!(pipeline.flush(0, 1061, false), [r#"{"n":1}"#]);
}

#[test]
fn maps_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maps");
    let settings = format!(r#""code":"map['n'] ||= []; map['n'] << event.get('v')","aggregate_maps_path":{path:?}"#);
    let mut pipeline = Pipeline::new("file", &[&settings]);
    pipeline.pass(0, 0, r#"{"id":1,"v":{"x":1.5}}"#);
    pipeline.flush(0, 0, true);
    drop(pipeline);
    assert!(path.exists());
    let show = r#""code":"event.set('n', map['n'])""#;
    let mut pipeline = Pipeline::new("file", &[&settings, show]);
    assert!(!path.exists());
    assert_eq!(pipeline.pass(1, 0, r#"{"id":1}"#), [r#"{"id":1,"n":[{"x":1.5}]}"#]);
}

#[test]
fn mistakes() {
    for bad in [
        r#"{"task_id":"x","code":"1"}"#,
        r#"{"task_id":"%{x}","code":"require 'date'"}"#,
        r#"{"task_id":"%{x}","code":"1","timeout_code":"map['a']"}"#,
        r#"{"task_id":"%{x}","code":"1","timeout":5,"inactivity_timeout":6}"#,
    ] {
        assert!(build(&options(bad), &context()).is_err(), "{bad}");
    }
}
