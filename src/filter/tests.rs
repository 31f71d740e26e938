//! Whole configurations of filters: the examples of the specs, and the conformance cases where
//! they lie beside this repository.

use super::common::Common;
use super::{FILTERS, Filter, Run};
use crate::diagnostic::Sources;
use crate::event::joda::parse_iso8601;
use crate::event::json::{self, Decoded, Parser};
use crate::event::{Batch, EventId, FieldId, Timestamp, Value};
use crate::language::{Cond, Language, Step, compile};
use crate::pipeline::route::split;
use crate::plugin::{Build, Catalogue, Context};
use serde_json::Value as Json;

enum Node {
    Filter(Box<dyn Filter>, Common),
    If(Vec<(Cond, Vec<Node>)>, Vec<Node>),
}

fn build(steps: &[Step], catalogue: &Catalogue, context: &Context) -> Result<Vec<Node>, String> {
    let node = |step: &Step| match step {
        Step::Plugin(call) => {
            let spec = catalogue.filters.iter().find(|spec| spec.name == call.name).expect("BUG: checked");
            let Build::Filter(build) = spec.build else { panic!("{} is no filter", call.name) };
            let filter =
                build(&call.options, &context.plugin(&call.id, &call.options)).map_err(|wrong| format!("{wrong:?}"))?;
            Ok(Node::Filter(filter, Common::from(&call.options)))
        }
        Step::If { branches, otherwise } => {
            let branches = branches
                .iter()
                .map(|(cond, steps)| Ok((cond.clone(), build(steps, catalogue, context)?)))
                .collect::<Result<_, String>>()?;
            Ok(Node::If(branches, build(otherwise, catalogue, context)?))
        }
    };
    steps.iter().map(node).collect()
}

/// Runs filters over events; the last time, they also let go of what they hold back.
fn run(nodes: &mut [Node], batch: &mut Batch, events: &mut Vec<EventId>, now: Timestamp, last: bool) {
    for node in nodes {
        match node {
            Node::Filter(filter, common) => {
                let (mut matched, mut created) = (Vec::new(), Vec::new());
                let mut run = Run { events, matched: &mut matched, created: &mut created, now };
                filter.run(batch, &mut run);
                if last && filter.flushes() {
                    run.events = &[];
                    filter.flush(batch, &mut run, true);
                }
                common.apply(batch, &matched);
                events.retain(|&event| !batch.cancelled(event));
                events.extend(created);
            }
            Node::If(branches, otherwise) => {
                let mut parts = vec![Vec::new(); branches.len() + 1];
                split(branches, batch, events, &mut parts, &mut |_, _| {});
                events.clear();
                let bodies = branches.iter_mut().map(|(_, nodes)| nodes).chain(std::iter::once(otherwise));
                for (mut part, nodes) in parts.into_iter().zip(bodies) {
                    run(nodes, batch, &mut part, now, last);
                    events.extend(part);
                }
            }
        }
    }
}

/// Runs the filters of a configuration on events, one JSON document each; gives the events that
/// come out, or what is wrong with the configuration.
fn through(config: &str, given: &[String], case: &Json, ecs: bool) -> Result<Vec<Json>, String> {
    let catalogue = Catalogue::built_in();
    let sources = Sources { files: vec![("test.conf".to_owned(), config.to_owned())] };
    let environment = |name: &str| case["env"][name].as_str().map(str::to_owned);
    let support_escapes = case["files"].to_string().contains("support_escapes: true");
    let outcome = compile(&sources, &Language { catalogue: &catalogue, support_escapes, environment: &environment });
    let plan = outcome.plan.ok_or_else(|| format!("{:?}", outcome.diagnostics))?;
    let (pipeline, id) = ("main".to_owned(), "test".to_owned());
    let context = Context {
        pipeline,
        id,
        ecs,
        data: Default::default(),
        check_only: false,
        index: None,
        stats: None,
        derived: Default::default(),
        links: Default::default(),
    };
    let mut nodes = build(&plan.filters, &catalogue, &context)?;
    let (mut batch, mut events) = (Batch::new(), Vec::new());
    let now = Timestamp::new(1_466_000_000, 0);
    for document in given {
        let span = batch.push_text(document);
        match Parser::default().parse_event(&mut batch, span) {
            Ok(Decoded::Event(event)) => events.push(event),
            other => return Err(format!("{document}: {other:?}")),
        }
    }
    for &event in &events {
        if batch.get_key(event, FieldId::TIMESTAMP).is_none() {
            batch.set_key(event, FieldId::TIMESTAMP, Value::Time(now));
        }
    }
    // One by one, as Logstash does where `pipeline.ordered` holds, so that branches don't change
    // the order of the input.
    let mut out = Vec::new();
    for event in events {
        let mut one = vec![event];
        run(&mut nodes, &mut batch, &mut one, now, false);
        out.extend(one);
    }
    let mut held = Vec::new();
    run(&mut nodes, &mut batch, &mut held, now, true);
    out.extend(held);
    let shown = |&event: &EventId| {
        let mut out = Vec::new();
        json::write_event(&batch, event, &mut out);
        serde_json::from_slice(&out).map_err(|error| error.to_string())
    };
    out.iter().map(shown).collect()
}

/// The value at a field reference.
fn at<'a>(event: &'a Json, reference: &str) -> Option<&'a Json> {
    let inner = reference.strip_prefix('[').and_then(|r| r.strip_suffix(']')).unwrap_or(reference);
    inner.split("][").try_fold(event, |value, step| match value {
        Json::Array(_) => value.get(step.parse::<usize>().ok()?),
        _ => value.get(step),
    })
}

fn same(found: &Json, wanted: &Json) -> bool {
    match (found, wanted) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::String(a), Json::String(b)) => a == b || parse_iso8601(a).is_some_and(|at| parse_iso8601(b) == Some(at)),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => found == wanted,
    }
}

#[test]
fn every_example_holds() {
    for spec in FILTERS {
        for example in spec.examples {
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            let config = format!("filter {{ {} }}", example.config);
            let found = through(&config, &lines(example.given), &Json::Null, true);
            let found = found.unwrap_or_else(|wrong| panic!("{} {}: {wrong}", spec.name, example.title));
            let wanted: Vec<Json> =
                lines(example.then).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            assert_eq!(found.len(), wanted.len(), "{} {}: {found:?}", spec.name, example.title);
            for (found, wanted) in found.iter().zip(&wanted) {
                for (name, value) in wanted.as_object().expect("an object") {
                    let found = found.get(name);
                    assert!(found.is_some_and(|f| same(f, value)), "{} {}: {found:?}", spec.name, example.title);
                }
            }
        }
    }
}

fn mistakes(case: &Json) -> Vec<String> {
    let ecs = case["settings"]["pipeline.ecs_compatibility"] != "disabled";
    let given: Vec<String> = case["events"].as_array().into_iter().flatten().map(Json::to_string).collect();
    let result = through(case["filter"].as_str().unwrap_or_default(), &given, case, ecs);
    if case["expect_config_error"] == true {
        return if result.is_ok() { vec!["the configuration was taken".to_owned()] } else { Vec::new() };
    }
    let found = match result {
        Ok(found) => found,
        Err(wrong) => return vec![wrong],
    };
    let wanted = case["expect"].as_array().cloned().unwrap_or_default();
    let mut wrong = Vec::new();
    if found.len() != wanted.len() {
        wrong.push(format!("{} events instead of {}", found.len(), wanted.len()));
    }
    for (event, wanted) in found.iter().zip(&wanted) {
        for (reference, value) in wanted["equals"].as_object().into_iter().flatten() {
            if !at(event, reference).is_some_and(|found| same(found, value)) {
                wrong.push(format!("{reference} is {:?} instead of {value}", at(event, reference)));
            }
        }
        let names = |key: &str| wanted[key].as_array().cloned().unwrap_or_default();
        let tags = event.get("tags").map(|tags| tags.as_array().cloned().unwrap_or(vec![tags.clone()]));
        let has = |tag: &Json| tags.as_ref().is_some_and(|tags| tags.contains(tag));
        wrong.extend(
            names("present")
                .iter()
                .filter(|r| at(event, r.as_str().unwrap_or_default()).is_none())
                .map(|r| format!("{r} is missing")),
        );
        wrong.extend(
            names("absent")
                .iter()
                .filter(|r| at(event, r.as_str().unwrap_or_default()).is_some())
                .map(|r| format!("{r} is there: {event}")),
        );
        wrong.extend(names("tags_include").iter().filter(|tag| !has(tag)).map(|tag| format!("no tag {tag}: {event}")));
        wrong.extend(names("tags_exclude").iter().filter(|tag| has(tag)).map(|tag| format!("tag {tag}: {event}")));
    }
    wrong
}

/// The cases are not part of this repository; without them there is nothing to check.
#[test]
fn conformance() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance/logstash");
    let folder = std::env::var("LOGBOOM_CONFORMANCE").unwrap_or_else(|_| beside.to_owned());
    let mut failed = Vec::new();
    let mut count = 0;
    for spec in FILTERS.iter().map(|spec| spec.name).chain(["language"]) {
        let Ok(text) = std::fs::read_to_string(format!("{folder}/{spec}.json")) else { continue };
        let cases: Vec<Json> = serde_json::from_str(&text).expect("a list of cases");
        for case in cases {
            // Inputs, codecs and files are not looked at here, nor filters that are not there yet.
            let config = case["filter"].as_str().unwrap_or_default();
            let later = ["kv"]
                .iter()
                .any(|name| !FILTERS.iter().any(|spec| spec.name == *name) && config.contains(&format!("{name} {{")));
            if case.get("stdin").is_some() || later || config.contains("@TMP@") {
                continue;
            }
            count += 1;
            let wrong = mistakes(&case);
            if !wrong.is_empty() {
                failed.push(format!("{} ({}): {}\n  {config}", case["id"], case["about"], wrong.join("; ")));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {count}:\n{}", failed.len(), failed.join("\n"));
}
