//! The tools for those who write pipelines, as a user calls them.

use crate::program::logboom;
use std::path::Path;
use std::process::Output;

fn tool(arguments: &[&str]) -> Output {
    logboom().args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("the program starts")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The pipelines that are shipped, with their own tests, in their own form, without warnings.
#[test]
fn shipped_pipelines() {
    let tests = tool(&["test", "pipelines/tests"]);
    assert!(tests.status.success() && out(&tests).ends_with(" 0 failed\n"), "{}", out(&tests));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(path) = path.to_str().filter(|path| path.ends_with(".conf")) else { continue };
        let test = path.replace("/pipelines/", "/pipelines/tests/").replace(".conf", ".test.yml");
        assert!(Path::new(&test).is_file(), "{path} has no tests");
        let format = tool(&["fmt", "--check", path]);
        assert!(format.status.success(), "{path} is not as `logboom fmt` writes it");
        let explained = tool(&["explain", path]);
        assert!(explained.status.success() && out(&explained).ends_with("\n0 warnings\n"), "{}", out(&explained));
    }
}

#[test]
fn tests_that_fail_say_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.test.yml");
    let text = r#"
text: |
  input { no_such_input { } }
  filter {
    if [message] == "drop" { drop { } }
    mutate { add_field => { "[a][b]" => "${WHO}" } add_tag => ["t"] }
    grok { match => { "message" => "%{INT:n:int}" } }
  }
variables: { WHO: me }
settings: { pipeline.ecs_compatibility: disabled }
tests:
  - { name: passes, given: ["1", drop], expect: [{ n: 1, "[a][b]": me, $tags: [t] }] }
  - { name: differs, given: ["2"], expect: [{ n: 1, a: { b: me } }] }
  - { name: is exact, exact: true, given: [{ message: "3" }], expect: [{ message: "3", n: 3, tags: [t] }] }
  - { name: is dropped, given: [drop], expect: [{}] }
"#;
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let failed = tool(&["test", path]);
    assert_eq!(failed.status.code(), Some(1));
    let shown = out(&failed);
    for part in [
        "x.test.yml: differs\n  event 1:\n    n: expected 1, got 2\n    the event is {\n",
        "x.test.yml: is exact\n  event 1:\n    a: expected nothing, got {\"b\":\"me\"}\n",
        "x.test.yml: is dropped\n  expected 1 event, got 0 events\n",
        "\n1 passed, 3 failed\n",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    assert_eq!(out(&tool(&["test", path, "--only", "passes"])), "1 passed, 0 failed\n");
    let updated = tool(&["test", path, "--update"]);
    assert!(out(&updated).ends_with("\n3 updated, 1 passed, 0 failed\n"), "{}", out(&updated));
    assert!(out(&updated).contains("UPDATED ") && out(&updated).contains("n: expected 1, got 2"), "{}", out(&updated));
    let new = std::fs::read_to_string(&file).unwrap();
    let line = "  - { name: differs, given: [\"2\"], expect: [{ n: 2, a: { b: \"me\" } }] }\n";
    assert!(new.contains(line) && new.starts_with(&text[..text.find("  - { name: differs").unwrap()]), "{new}");
    assert_eq!(out(&tool(&["test", path])), "4 passed, 0 failed\n");
    std::fs::write(&file, text.replace("add_field", "ad_field")).unwrap();
    let wrong = out(&tool(&["test", path]));
    assert!(wrong.contains("unknown setting `ad_field`") && wrong.contains("text:4:"), "{wrong}");
    std::fs::write(&file, text.replace("given", "gven")).unwrap();
    assert!(out(&tool(&["test", path])).contains("test 1: `given` is missing or empty"));
}

#[test]
fn formatting_in_place_keeps_comments() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.conf");
    std::fs::write(&file, "input{stdin{}} # in\noutput{stdout{}}").unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(tool(&["fmt", "--check", path]).status.code(), Some(1));
    assert!(tool(&["fmt", path]).status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, "input {\n  stdin { }\n} # in\n\noutput {\n  stdout { }\n}\n");
    assert_eq!(out(&tool(&["fmt", "--check", path])), "");
    std::fs::write(&file, "input {").unwrap();
    let wrong = tool(&["fmt", path]);
    assert!(!wrong.status.success() && err(&wrong).contains("C006"), "{}", err(&wrong));
}

#[test]
fn plans_are_explained() {
    let text = r#"
input { stdin { } }
filter {
  if [a] == 1 and "x" in [b] { grok { id => "g" match => { "message" => ["%{GREEDYDATA:x}", "^%{INT:n}$"] } } }
}
output { stdout { } }"#;
    let explained = out(&tool(&["explain", "-e", text]));
    for part in [
        "input\n  stdin  [",
        "  if [a] == 1 and \"x\" in [b]\n    grok  [g]\n      message ~ %{GREEDYDATA:x}\n        engine: scanner",
        "captures n\n        warning: ^%{INT:n}$: it is never tried: %{GREEDYDATA:x} before it matches all that it does\n",
        "conditions read a, b\n1 warning\n",
    ] {
        assert!(explained.contains(part), "{explained}");
    }
    let wrong = tool(&["explain", "-e", "filter { grk { } }"]);
    assert!(!wrong.status.success() && err(&wrong).contains("did you mean `grok`?"), "{}", err(&wrong));
}

#[test]
fn one_plugins_page() {
    let page = out(&tool(&["docs", "json"]));
    assert!(page.contains("# The codec `json`") && page.contains("# The filter `json`"), "{page}");
    assert!(page.contains("| `skip_on_invalid_json`") && page.contains("| `add_field`"), "{page}");
    assert!(err(&tool(&["docs", "jsn"])).contains("did you mean `json`?"));
}
