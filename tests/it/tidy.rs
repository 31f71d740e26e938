//! The style as tests: what ARCHITECTURE.md says is absent is absent, files and functions keep
//! their sizes, registries agree with their folders, and every page and setting is documented.

use crate::program::run;
use logboom::plugin::{Kind, Spec};
use logboom::{codec, filter, input, output};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file of the tree.
struct File {
    /// From the top of the tree.
    path: String,
    text: String,
}

impl File {
    /// Its lines with their numbers, without the tests at its foot and without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        let lines = self.text[..end].lines().zip(1..).map(|(line, number)| (number, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("tests.rs") || self.path.ends_with("harness.rs")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folders: &[&str]) -> Vec<File> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| walk(&root().join(folder), &mut paths));
    paths.sort();
    let read = |path: PathBuf| File {
        text: std::fs::read_to_string(&path).expect("a source file can be read"),
        path: path.strip_prefix(root()).expect("it is in the tree").to_string_lossy().into_owned(),
    };
    paths.into_iter().map(read).collect()
}

/// Fails with all of them at once.
fn none(what: &str, mut found: Vec<String>) {
    found.sort();
    assert!(found.is_empty(), "{what}:\n  {}\n", found.join("\n  "));
}

/// Lines of code below `folders` that hold one of `words`.
fn lines_with(folders: &[&str], except: &[&str], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(folders) {
        if file.is_test() || except.iter().any(|e| file.path.starts_with(e)) {
            continue;
        }
        for (number, line) in file.code() {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                found.push(format!("{}:{number}: {word}", file.path));
            }
        }
    }
    found
}

#[test]
fn the_inner_rooms_do_no_io_and_know_no_clock() {
    let words = ["tokio", "std::fs", "File::open", "std::net", "Instant::now", "SystemTime::now", "Timestamp::now()"];
    let folders = [
        "src/event",
        "src/codec",
        "src/language",
        "src/promql",
        "src/series",
        "src/search/query",
        "src/search/aggregation",
    ];
    // Where the one function that reads the wall clock is defined.
    // And the window, which rests on disk.
    let except = ["src/event/timestamp.rs", "src/series/window/"];
    none("input, output or a clock in a room without", lines_with(&folders, &except, &words));
    none("tokio in filters", lines_with(&["src/filter", "src/grok", "src/pipeline"], &[], &["tokio"]));
}

#[test]
fn big_libraries_have_one_home() {
    let check = |library: &str, homes: &[&str]| {
        none(&format!("{library} away from home"), lines_with(&["src"], homes, &[library]));
    };
    check("tantivy::", &["src/index/"]);
    check("axum::", &["src/api/"]);
    check("simd_json::", &["src/event/json"]);
    check("pcre2::", &["src/regexp"]);
    check("unicode_width::", &["src/diagnostic.rs"]);
    check("serde_yaml_ng::", &["src/settings", "src/resource/"]);
    check("saphyr_parser::", &["src/rule/", "src/event/yaml.rs", "src/cli/test/update.rs"]);
    check("hdrhistogram::", &["src/metric/"]);
}

#[test]
fn the_language_names_no_plugin_and_plugins_name_no_syntax() {
    let registries = ["::FILTERS", "::INPUTS", "::OUTPUTS", "::CODECS", "crate::filter::", "crate::output::"];
    none("a plugin named by the language", lines_with(&["src/language"], &[], &registries));
    let folders = ["src/filter", "src/input", "src/output", "src/codec"];
    none("syntax named by a plugin", lines_with(&folders, &[], &["crate::language", "crate::search"]));
}

#[test]
fn files_say_what_they_are_and_stay_small() {
    let mut found = Vec::new();
    for file in files(&["src", "tests", "benches"]) {
        if !file.text.starts_with("//!") {
            found.push(format!("{}: does not begin with `//!`", file.path));
        }
        // A file may be longer where its head says why.
        let head: String = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
        if head.contains("Longer than") {
            continue;
        }
        let (all, code) = (file.text.lines().count(), file.code().count());
        if all > 800 || (code > 500 && !file.is_test()) {
            found.push(format!("{}: {all} lines, {code} of code", file.path));
        }
    }
    none("files to mend", found);
}

#[test]
fn functions_stay_small() {
    let mut found = Vec::new();
    for file in files(&["src"]) {
        let lines: Vec<(usize, &str)> = file.code().collect();
        for (at, (number, line)) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let words = line.trim_start();
            let starts =
                ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn ", "const fn "];
            if !starts.iter().any(|s| words.starts_with(s)) || words.ends_with([';', '}']) {
                continue;
            }
            let close = format!("{}}}", " ".repeat(indent));
            let length = lines[at..].iter().take_while(|(_, l)| *l != close).count() + 1;
            if length > 70 {
                found.push(format!("{}:{number}: {length} lines", file.path));
            }
        }
    }
    none("functions of more than 70 lines", found);
}

#[test]
fn nothing_pretends() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", "(to be written)"];
    none("a stub", lines_with(&["src", "benches"], &[], &words));
}

#[test]
fn unsafe_says_why_it_is_safe() {
    let mut found = Vec::new();
    for file in files(&["src", "tests", "benches"]) {
        let lines: Vec<&str> = file.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let is =
                ["unsafe {", "unsafe impl", "unsafe fn"].iter().any(|word| code.contains(word)) && !code.contains('"');
            let said = lines[at.saturating_sub(8)..=at].iter().any(|l| l.contains("SAFETY") || l.contains("# Safety"));
            if is && !said {
                found.push(format!("{}:{}", file.path, at + 1));
            }
        }
    }
    none("unsafe without a SAFETY comment", found);
}

fn registries() -> [(Kind, &'static str, &'static [&'static Spec]); 4] {
    [
        (Kind::Input, "src/input", input::INPUTS),
        (Kind::Codec, "src/codec", codec::CODECS),
        (Kind::Filter, "src/filter", filter::FILTERS),
        (Kind::Output, "src/output", output::OUTPUTS),
    ]
}

#[test]
fn registries_agree_with_their_folders() {
    let mut found = Vec::new();
    for (kind, folder, specs) in registries() {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
        if !names.is_sorted_by(|a, b| a < b) {
            found.push(format!("{folder}: not in alphabetical order: {names:?}"));
        }
        for spec in specs {
            let at = root().join(folder).join(spec.name);
            if spec.kind() != kind || !(at.is_dir() || at.with_extension("rs").is_file()) {
                found.push(format!("{folder}: {} has another kind, or no file of its name", spec.name));
            }
        }
        for file in files(&[folder]) {
            let stem = file.path[folder.len() + 1..].split(['/', '.']).next().unwrap_or("");
            if file.text.contains("static SPEC: Spec") && !names.contains(&stem) {
                found.push(format!("{}: not in the registry", file.path));
            }
        }
    }
    none("registries to mend", found);
}

#[test]
fn every_plugin_and_option_is_documented() {
    let mut found = Vec::new();
    let sentence = |text: &str| text.len() > 3 && text.ends_with('.');
    for (kind, _, specs) in registries() {
        for spec in specs {
            if !sentence(spec.summary) {
                found.push(format!("{kind:?} {}: the summary is no sentence", spec.name));
            }
            if !spec.options.is_sorted_by(|a, b| a.name < b.name) {
                found.push(format!("{kind:?} {}: its options are not in alphabetical order", spec.name));
            }
            for option in spec.options.iter().chain(spec.common()).filter(|option| !sentence(option.doc)) {
                found.push(format!("{kind:?} {}: the option {} has no sentence", spec.name, option.name));
            }
        }
    }
    none("descriptions to mend", found);
}

#[test]
fn the_reference_is_what_plugins_and_settings_say() {
    let check = |path: &str, want: String, command: &str| {
        let page = std::fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(page == want, "{path} is not what `{command} > {path}` prints");
    };
    check("docs/plugins.md", logboom::cli::docs::plugins(), "logboom docs");
    check("config/logboom.yml", logboom::cli::docs::settings(), "logboom docs settings");
}

#[test]
fn every_setting_stands_in_the_shipped_file() {
    let text = std::fs::read_to_string(root().join("config/logboom.yml")).unwrap_or_default();
    let missing = |name: &&str| !text.lines().any(|line| line.starts_with(&format!("# {name}:")));
    let names = logboom::settings::table::SETTINGS.iter().map(|def| def.name);
    none("settings that config/logboom.yml lacks", names.filter(missing).map(str::to_owned).collect());
}

/// Whether `event` has all that `want` names.
fn holds(want: &Value, event: &Value) -> bool {
    match (want, event) {
        (Value::Object(want), Value::Object(event)) => {
            want.iter().all(|(key, want)| event.get(key).is_some_and(|event| holds(want, event)))
        }
        _ => want == event,
    }
}

#[test]
fn every_example_runs_and_holds() {
    let mut found = Vec::new();
    for spec in filter::FILTERS {
        for example in spec.examples {
            let lines = example.then.lines().filter(|line| !line.trim().is_empty());
            let want: Vec<Value> =
                lines.map(|line| serde_json::from_str(line).expect("an example's events are JSON")).collect();
            let filters = format!("filter {{\n{}\n}}", example.config);
            let settings = ["--pipeline.ecs_compatibility=disabled"];
            let given = format!("{}\n", example.given.trim());
            match run("json_lines {}", &filters, &settings, given.as_bytes()) {
                Ok(got) if got.len() == want.len() && want.iter().zip(&got).all(|(w, g)| holds(w, g)) => {}
                Ok(got) => found.push(format!("{}: {}: got {}", spec.name, example.title, Value::from(got))),
                Err(error) => found.push(format!("{}: {}: {error}", spec.name, example.title)),
            }
        }
    }
    none("examples that do not hold", found);
}
