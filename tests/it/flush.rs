//! Filters that hold something back: they let go at intervals while nothing comes in, and at the end.

use crate::program::{data_in, logboom};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

#[test]
fn filters_let_go_while_nothing_comes_and_at_the_end() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    // What a filter in a branch lets go passes the filters behind it, there and further on.
    let pipeline = r#"
        input { stdin { codec => json_lines {} } }
        filter {
            if [kind] == "counted" {
                metrics { meter => ["seen"] rates => [] add_tag => ["report"] }
                mutate { add_field => { "branch" => "yes" } }
            }
            mutate { remove_field => ["host", "event", "message"] add_field => { "behind" => "yes" } }
        }
        output { stdout { codec => json_lines {} } }"#;
    let mut program = logboom()
        .arg(data_in(folder.path()))
        .args(["-w", "2", "-e", pipeline])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = program.stdin.take().expect("it has a standard input");
    let mut lines = BufReader::new(program.stdout.take().expect("it has a standard output")).lines();
    let mut next = || -> Value {
        let line = lines.next().expect("another event").expect("a line");
        serde_json::from_str(&line).expect("JSON")
    };
    stdin.write_all(b"{\"kind\":\"counted\"}\n{\"kind\":\"other\"}\n").expect("it reads");
    let mut kinds = [next()["kind"].clone(), next()["kind"].clone()];
    kinds.sort_by_key(Value::to_string);
    assert_eq!(kinds, ["counted", "other"]);
    // Standard input stays open: this one comes by itself.
    let report = next();
    assert_eq!(report["seen"]["count"], 1, "{report}");
    assert_eq!(
        (&report["tags"][0], &report["branch"], &report["behind"]),
        (&"report".into(), &"yes".into(), &"yes".into())
    );
    stdin.write_all(b"{\"kind\":\"counted\"}\n").expect("it reads");
    drop(stdin);
    assert_eq!(next()["kind"], "counted");
    let last = next();
    assert_eq!(last["seen"]["count"], 2, "{last}");
    assert!(program.wait().expect("it ends").success());
    assert!(lines.next().is_none());
}
