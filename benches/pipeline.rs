//! Whole pipelines, file to null, against the limit of their kind, in the same run.
//!
//! Both sides are measured in CPU seconds of the whole process (user and system, all threads), so
//! that "per core" means what it says and a second core hides nothing. The sides take turns;
//! printed are the medians and the ratio. Run: `cargo bench --bench pipeline`.

mod clock;

use logboom::cli::generate::{DEFAULT_START_MS, Format, Generator};
use logboom::daemon::{Configured, Daemon};
use logboom::diagnostic::Sources;
use logboom::grok::{Library, Set};
use logboom::regexp::{Flags, Regexp};
use logboom::settings::Settings;
use std::hint::black_box;
use std::path::Path;

const ROUNDS: usize = 7;
/// Enough for what a start costs (threads, first pages) not to count.
const BYTES: usize = 384 << 20;

fn main() {
    // As the binary runs.
    logboom::memory::small_pages(true);
    let dir = tempfile::tempdir().expect("a folder for the samples");
    let json = sample(&dir.path().join("app.log"), Format::Json);
    compare(
        "JSON lines → decode → one conditional → null, limit: simd-json's tape alone",
        &json,
        tape_alone,
        &pipeline(dir.path(), "app.log", "json", "if [level] == \"DEBUG\" { drop { } }"),
    );
    let apache = sample(&dir.path().join("access.log"), Format::Apache);
    compare(
        "Apache combined → grok + date → null, limit: PCRE2 JIT captures alone",
        &apache,
        pcre_alone,
        &pipeline(
            dir.path(),
            "access.log",
            "plain",
            r#"grok { match => { "message" => "%{COMBINEDAPACHELOG}" } }
               date { match => ["timestamp", "dd/MMM/yyyy:HH:mm:ss Z"] }"#,
        ),
    );
}

/// Writes generated lines to a file and returns them.
fn sample(path: &Path, format: Format) -> Vec<u8> {
    let mut generator = Generator::new(format, 1, DEFAULT_START_MS);
    let mut text = Vec::with_capacity(BYTES + 4096);
    while text.len() < BYTES {
        generator.event(&mut text);
    }
    std::fs::write(path, &text).expect("room for the sample");
    text
}

fn pipeline(dir: &Path, file: &str, codec: &str, filter: &str) -> impl Fn() {
    let (data, path) = (dir.join("data"), dir.join(file));
    let text = format!(
        "input {{ file {{ path => \"{}\" mode => read exit_after_read => true codec => {codec}
                         sincedb_path => \"/dev/null\" file_completed_action => log
                         file_completed_log_path => \"/dev/null\" }} }}
         filter {{ {filter} }} output {{ null {{ }} }}",
        path.display()
    );
    move || {
        std::fs::remove_dir_all(&data).ok();
        let args = [("pipeline.workers", "1"), ("api.enabled", "false"), ("pipeline.ecs_compatibility", "disabled")];
        let mut settings = Settings::new(&|_| None);
        settings.set("path.data", &data.to_string_lossy()).expect("a folder");
        for (name, value) in args {
            settings.set(name, value).expect("a setting");
        }
        let sources = Sources { files: vec![("bench".to_owned(), text.clone())] };
        let configured = [Configured { settings: settings.clone(), sources }];
        let daemon = Daemon::start(&settings, &configured).expect("it starts").expect("the pipeline is right");
        assert!(daemon.join(), "everything is delivered");
    }
}

fn compare(what: &str, text: &[u8], limit: fn(&mut [u8]), ours: &dyn Fn()) {
    let (mut limits, mut own) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // simd-json unescapes in place, so each round has bytes of its own.
        let mut copy = text.to_vec();
        limits.push(cpu_seconds(|| limit(&mut copy)));
        own.push(cpu_seconds(ours));
    }
    let megabytes = text.len() as f64 / 1e6;
    let (limit, own) = (median(&mut limits), median(&mut own));
    println!(
        "{what}\n  limit {:.0} MB/s, pipeline {:.0} MB/s per core: {:.2} of the limit",
        megabytes / limit,
        megabytes / own,
        limit / own
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu_seconds(mut run: impl FnMut()) -> f64 {
    let before = clock::process();
    run();
    (clock::process() - before).as_secs_f64()
}

fn tape_alone(text: &mut [u8]) {
    let mut buffers = simd_json::Buffers::new(1024);
    let mut tape = Some(simd_json::Tape::null());
    for line in text.split_mut(|&b| b == b'\n').filter(|line| !line.is_empty()) {
        let mut filled = tape.take().expect("it is put back").reset();
        simd_json::fill_tape(line, &mut buffers, &mut filled).expect("the lines are JSON");
        black_box(filled.0.len());
        tape = Some(filled.reset());
    }
}

fn pcre_alone(text: &mut [u8]) {
    let expanded = Library::new(Set::Legacy).expand("%{COMBINEDAPACHELOG}").expect("a built-in pattern");
    // The thin face of PCRE2 that grok stands on: the names of fields are no names of groups to
    // the `pcre2` crate.
    let regexp = Regexp::with_flags(&expanded, Flags { dot_all: true, ..Flags::default() }).expect("it compiles");
    let mut slots = Vec::new();
    let text = std::str::from_utf8(text).expect("the lines are text");
    for line in text.lines() {
        black_box(regexp.captures(line, &mut slots).expect("no limit is met"));
    }
}
