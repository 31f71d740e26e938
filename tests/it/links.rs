//! Pipelines that send to each other: what arrives where, acknowledgements through several of them,
//! and the order of the end.

use crate::harness::Daemon;
use crate::program::{logboom, until};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// A folder with a `pipelines.yml` of these pipelines.
fn config(dir: &Path, pipelines: &[(&str, String)]) -> String {
    let text: String = pipelines
        .iter()
        .map(|(id, text)| format!("- pipeline.id: {id}\n  config.string: {}\n", Value::from(text.as_str())))
        .collect();
    let config = dir.join("config");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("pipelines.yml"), text).unwrap();
    format!("--path.settings={}", config.display())
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_fan_out_come_together_and_all_end_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let out = |name: &str| dir.path().join(name);
    let file = |name: &str| format!("file {{ path => '{}' codec => json_lines }}", out(name).display());
    let config = config(
        dir.path(),
        &[
            // The end comes first in the file: the order there means nothing.
            ("all", format!("input {{ pipeline {{ address => all tags => ['seen'] }} }} output {{ {} }}", file("all"))),
            (
                "odd",
                format!(
                    "input {{ pipeline {{ address => odd }} }} filter {{ mutate {{ add_field => {{ odd => yes }} }} }}
                     output {{ {} pipeline {{ send_to => all }} }}",
                    file("odd")
                ),
            ),
            (
                "main",
                "input { generator { lines => ['a', 'b'] count => 5000 } }
                 filter { mutate { add_field => { '[deep][field]' => 'ログ' } } }
                 output { if [message] == 'a' { pipeline { send_to => ['odd', 'all'] } } else { pipeline { send_to => all } } }"
                    .to_owned(),
            ),
        ],
    );
    let data = format!("--path.data={}", out("data").display());
    let run = logboom().args([&config, &data, "--api.enabled=false", "-w", "2"]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let (odd, all) = (lines(&out("odd")), lines(&out("all")));
    assert_eq!((odd.len(), all.len()), (5000, 15_000), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(odd.iter().all(|event| event["odd"] == "yes" && event["deep"]["field"] == "ログ"));
    assert_eq!(all.iter().filter(|event| event["odd"] == "yes").count(), 5000);
    assert!(all.iter().all(|event| event["tags"] == serde_json::json!(["seen"])));
}

#[test]
fn a_position_moves_only_when_the_last_pipeline_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let [log, other, fifo] = ["app.log", "other", "fifo"].map(|name| dir.path().join(name));
    let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
    // SAFETY: the name is a C string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let pipelines = |output: String| {
        [
            (
                "first",
                format!(
                    "input {{
                        file {{ id => log path => '{}' start_position => beginning }}
                        file {{ id => aside path => '{}' start_position => beginning add_field => {{ aside => yes }} }}
                     }}
                     output {{ if [aside] {{ null {{ }} }} else {{ pipeline {{ send_to => last }} }} }}",
                    log.display(),
                    other.display()
                ),
            ),
            ("last", format!("input {{ pipeline {{ address => last }} }} output {{ {output} }}")),
        ]
    };
    let mut writer = std::fs::File::create(&log).unwrap();
    writeln!(writer, "one").unwrap();
    let (blocked, data) = (format!("file {{ path => '{}' }}", fifo.display()), dir.path().join("data"));
    let daemon = Daemon::start_as(&data, &[&config(dir.path(), &pipelines(blocked))], &[]);
    let arrived = until(Duration::from_secs(20), || {
        let stats = daemon.node("/_node/stats/pipelines/last");
        (stats["pipelines"]["last"]["events"]["out"] == 1).then_some(())
    });
    assert!(arrived.is_some(), "{}", daemon.log());
    // Positions are written all the same: those of another input of the pipeline, which arrive later.
    std::fs::write(&other, "x\n").unwrap();
    let kept = dir.path().join("data/checkpoints/first.checkpoint");
    let written = until(Duration::from_secs(20), || {
        std::fs::read_to_string(&kept).is_ok_and(|text| text.contains("/aside/")).then_some(())
    });
    assert!(written.is_some(), "{}", daemon.log());
    assert!(!std::fs::read_to_string(&kept).unwrap().contains("/log/"), "what is not durable has no position");
    daemon.kill();
    // Nothing was durable: it comes again.
    let mut daemon =
        Daemon::start_as(&data, &[&config(dir.path(), &pipelines("index { stream => linked }".to_owned()))], &[]);
    daemon.ready();
    let there = until(Duration::from_secs(20), || (daemon.count("linked") == 1).then_some(()));
    assert!(there.is_some(), "{}", daemon.log());
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
    // The index has kept the position of the first pipeline: it does not come again.
    writeln!(writer, "two").unwrap();
    let mut daemon =
        Daemon::start_as(&data, &[&config(dir.path(), &pipelines("index { stream => linked }".to_owned()))], &[]);
    daemon.ready();
    let there = until(Duration::from_secs(20), || (daemon.count("linked") == 2).then_some(()));
    assert!(there.is_some(), "{} documents: {}", daemon.count("linked"), daemon.log());
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}

#[test]
fn what_does_not_fit_together_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let check = |pipelines: &[(&str, &str)], want: &[&str]| {
        let pipelines: Vec<(&str, String)> = pipelines.iter().map(|(id, text)| (*id, (*text).to_owned())).collect();
        let data = format!("--path.data={}", dir.path().join("data").display());
        let run = logboom().args([&config(dir.path(), &pipelines), &data, "-t"]).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.success(), !said.contains("error["), "{said}");
        want.iter().for_each(|want| assert!(said.contains(want), "{want} is missing in {said}"));
    };
    check(
        &[
            ("a", "input { pipeline { address => 'a' } } output { pipeline { send_to => 'b' } }"),
            ("b", "input { pipeline { address => 'b' } } output { pipeline { send_to => 'a' } }"),
        ],
        &["error[C028]: events sent to `b` come back to this pipeline", "events sent to `a` come back"],
    );
    check(
        &[
            ("a", "input { pipeline { address => 'x' } } output { null { } }"),
            ("b", "input { pipeline { address => 'x' } } output { pipeline { send_to => stroage } }"),
            ("c", "input { pipeline { address => storage } } output { null { } }"),
        ],
        &["two inputs listen under the address `x`", "warning[C027]", "did you mean `storage`?"],
    );
}

#[test]
fn events_for_nobody_are_discarded_only_where_one_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        &[(
            "main",
            "input { generator { count => 10 } } output { pipeline { send_to => nobody ensure_delivery => false } }"
                .to_owned(),
        )],
    );
    let data = format!("--path.data={}", dir.path().join("data").display());
    let run = logboom().args([&config, &data, "--api.enabled=false"]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
