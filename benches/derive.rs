//! What does deriving metrics cost? Pipelines with and without it, in turn: JSON decoded and thrown
//! away, access logs through grok and date, JSON into the index; one worker each.
//!
//! Measured is processor time of the whole process (all threads), so that what deriving does beside
//! the worker counts too. `built-in` are the metrics of `config/derive.conf`; `own` are a counter by
//! two labels and a histogram of classic and native buckets, as filters. The best of many rounds in
//! turn counts: what else runs on the machine makes rounds slower, never faster; the median is beside
//! it. Run: `cargo bench --bench derive`.

mod clock;

use logboom::cli::generate::{DEFAULT_START_MS, Format, Generator};
use logboom::daemon::{Configured, Daemon};
use logboom::diagnostic::Sources;
use logboom::settings::Settings;
use std::path::Path;
use std::time::Duration;

const ROUNDS: usize = 15;

/// The same pipeline, with metrics of different origin.
struct Pipeline {
    name: &'static str,
    format: Format,
    bytes: usize,
    codec: &'static str,
    filter: &'static str,
    output: &'static str,
    own: &'static str,
}

const PIPELINES: [Pipeline; 3] = [
    Pipeline {
        name: "JSON → decode → one conditional → null",
        format: Format::Json,
        bytes: 384 << 20,
        codec: "json",
        filter: r#"if [level] == "DEBUG" { drop { } }"#,
        output: "null { }",
        own: OF_JSON,
    },
    Pipeline {
        name: "Apache combined → grok + date → null",
        format: Format::Apache,
        bytes: 384 << 20,
        codec: "plain",
        filter: r#"grok { match => { "message" => "%{COMBINEDAPACHELOG}" } }
                   date { match => ["timestamp", "dd/MMM/yyyy:HH:mm:ss Z"] }"#,
        output: "null { }",
        own: r#"
            derive { counter => "hits_total" labels => { verb => "%{verb}" status => "%{response}" } }
            derive { histogram => "sent_bytes" field => "bytes" labels => { verb => "%{verb}" } }"#,
    },
    Pipeline {
        name: "JSON → decode → index",
        format: Format::Json,
        bytes: 48 << 20,
        codec: "json",
        filter: "",
        output: r#"index { stream => "bench" }"#,
        own: OF_JSON,
    },
];

const OF_JSON: &str = r#"
    derive { counter => "hits_total" labels => { service => "%{service}" action => "%{action}" } }
    derive { histogram => "took_seconds" field => "duration" scale => 0.001 labels => { service => "%{service}" } }"#;

fn run(folder: &Path, pipeline: &Pipeline, defaults: bool, own: &str) -> Duration {
    let data = folder.join("data");
    std::fs::remove_dir_all(&data).ok();
    let text = format!(
        "input {{ file {{ path => \"{}\" mode => read exit_after_read => true codec => {}
                         sincedb_path => \"/dev/null\" file_completed_action => log
                         file_completed_log_path => \"/dev/null\" }} }}
         filter {{ {} {own} }} output {{ {} }}",
        folder.join("sample").display(),
        pipeline.codec,
        pipeline.filter,
        pipeline.output
    );
    let defaults = defaults.to_string();
    let mut settings = Settings::new(&|_| None);
    settings.set("path.data", &data.to_string_lossy()).expect("a folder");
    for (name, value) in [
        ("pipeline.workers", "1"),
        ("api.enabled", "false"),
        ("search.http.port", "0"),
        ("pipeline.ecs_compatibility", "disabled"),
        ("derive.defaults", &defaults),
    ] {
        settings.set(name, value).expect("a setting");
    }
    let sources = Sources { files: vec![("bench".to_owned(), text)] };
    let configured = [Configured { settings: settings.clone(), sources }];
    let before = clock::process();
    let daemon = Daemon::start(&settings, &configured).expect("it starts").expect("the pipeline is right");
    assert!(daemon.join(), "everything is delivered");
    clock::process() - before
}

fn main() {
    // As the binary runs.
    logboom::memory::small_pages(true);
    PIPELINES.iter().for_each(measure);
}

fn measure(pipeline: &Pipeline) {
    let folder = tempfile::tempdir().expect("a folder for the sample");
    let mut generator = Generator::new(pipeline.format, 1, DEFAULT_START_MS);
    let mut text = Vec::with_capacity(pipeline.bytes + 4096);
    let mut events = 0;
    while text.len() < pipeline.bytes {
        generator.event(&mut text);
        events += 1;
    }
    std::fs::write(folder.path().join("sample"), &text).expect("room for the sample");
    let sides = [("nothing derived", false, ""), ("built-in", true, ""), ("own", false, pipeline.own)];
    let mut times = sides.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, defaults, own), times) in sides.iter().zip(&mut times) {
            times.push(run(folder.path(), pipeline, *defaults, own));
        }
    }
    times.iter_mut().for_each(|times| times.sort());
    let least = times[0][0];
    println!("{}", pipeline.name);
    for ((side, ..), times) in sides.iter().zip(&times) {
        let (best, median) = (times[0], times[times.len() / 2]);
        let speed = text.len() as f64 / 1e6 / best.as_secs_f64();
        let more = (best.as_secs_f64() / least.as_secs_f64() - 1.0) * 100.0;
        let ns = |time: Duration| time.as_nanos() / events;
        println!("  {side:16} {speed:5.0} MB/s, {:5} ns an event, {more:+.1} % (median {} ns)", ns(best), ns(median));
    }
}
