//! The daemon from outside: what it refuses, what it counts, how it ends.

use crate::harness::Daemon;
use crate::program::{get, logboom, until};
use serde_json::{Value, json};
use std::time::Duration;

fn pipeline(file: &std::path::Path) -> String {
    format!(
        r#"input {{ file {{ path => "{}" codec => json_lines start_position => beginning }} }}
           filter {{ if [level] == "DEBUG" {{ drop {{ }} }} }}
           output {{ index {{ stream => "bad" }} }}"#,
        file.display()
    )
}

/// The value of a series whose name and labels begin so.
fn metric(text: &str, series: &str) -> Option<f64> {
    text.lines().find(|line| line.starts_with(series))?.rsplit(' ').next()?.parse().ok()
}

#[test]
fn bad_input_is_tagged_and_the_ledger_balances() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.log");
    let mut bytes = Vec::new();
    bytes.extend_from_slice(b"{\"level\":\"ERROR\",\"message\":\"fine\"}\n{\"level\":\"DEBUG\"}\n{\"broken\":\n");
    bytes.extend_from_slice(b"\xff\xfe not text\n");
    bytes.extend_from_slice("[".repeat(100_000).as_bytes());
    bytes.extend_from_slice(b"\n{\"level\":\"INFO\",\"message\":\"the last\"}\n");
    std::fs::write(&file, bytes).unwrap();
    let mut daemon = Daemon::start(&dir.path().join("data"), &pipeline(&file), &[]);
    daemon.ready();
    let all = until(Duration::from_secs(20), || (daemon.count("bad") == 5).then_some(()));
    assert!(all.is_some(), "{} documents: {}", daemon.count("bad"), daemon.log());
    let failed = json!({"size": 0, "track_total_hits": true, "query": {"term": {"tags.keyword": "_jsonparsefailure"}}});
    assert_eq!(daemon.search("bad", &failed)["hits"]["total"]["value"], 3);

    let (_, stats) = get(daemon.api, "/_node/stats/pipelines/main").unwrap();
    let stats: Value = serde_json::from_str(&stats).unwrap();
    let events = &stats["pipelines"]["main"]["events"];
    assert_eq!((&events["in"], &events["filtered"], &events["out"]), (&json!(6), &json!(5), &json!(5)), "{stats}");
    let (_, text) = get(daemon.api, "/metrics").unwrap();
    let errors = text.lines().find(|l| l.starts_with("log_events_total{") && l.contains("level=\"ERROR\""));
    assert_eq!(errors.and_then(|line| metric(line, "log_events_total")), Some(1.0), "{text}");
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}

/// What goes wrong with every event fills no log: it is said at once, and what came behind it at the
/// end (or every half a minute).
#[test]
fn conditions_that_fail_are_said_once_and_summed_up() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = "input { generator { count => 20000 } } filter { if [none] > 1 { drop { } } } output { null { } }";
    let data = format!("--path.data={}", dir.path().join("data").display());
    let run = logboom().args([&data, "--api.enabled=false", "-w", "2", "-e", pipeline]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("cannot evaluate")).collect();
    let events = |line: &str| line.split("events=").nth(1)?.split_whitespace().next()?.parse::<u64>().ok();
    assert!(lines.len() >= 2 && lines.len() < 8, "{said}");
    assert_eq!(lines.iter().filter_map(|line| events(line)).sum::<u64>(), 20_000, "{said}");
    assert!(lines[0].contains("cannot compare a missing field with a number"), "{said}");
}

#[test]
fn a_folder_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut first =
        Daemon::start(&data, "input { generator { count => 1 } file { path => '/none' } } output { null { } }", &[]);
    let up = until(Duration::from_secs(20), || get(first.api, "/").ok());
    assert!(up.is_some(), "{}", first.log());
    let path = format!("--path.data={}", data.display());
    let second =
        logboom().args([&path, "-e", "input { generator { count => 1 } } output { null { } }"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another process uses it"), "{said}");
    assert!(first.runs());
    assert_eq!(first.stop(), Some(0), "{}", first.log());
}
