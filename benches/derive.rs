//! What does deriving metrics cost? Pipelines with and without it, in turn: JSON decoded and thrown
//! away, access logs through grok and date, JSON into the index; one worker each.
//!
//! Measured is processor time of the whole process (all threads), so that what deriving does beside
//! the worker counts too, of a sample less that of its first sixteenth, so that beginning and ending
//! do not count. `built-in` are the metrics of `config/derive.conf`; `own` are a counter by two labels
//! and a histogram of classic and native buckets, as filters. Each run is divided by the one without
//! metrics beside it, since what else happens on the machine makes neighbours slower alike: the median
//! of these ratios says what throughput is lost, and the range beside it where the true one is with
//! 95 % confidence. Run: `cargo bench --bench derive`.

mod clock;

use logboom::cli::generate::{DEFAULT_START_MS, Format, Generator};
use logboom::daemon::{Configured, Daemon};
use logboom::diagnostic::Sources;
use logboom::settings::Settings;
use std::path::Path;

/// The same pipeline, with metrics of different origin.
struct Pipeline {
    name: &'static str,
    format: Format,
    bytes: usize,
    rounds: usize,
    codec: &'static str,
    filter: &'static str,
    output: &'static str,
    own: &'static str,
}

const PIPELINES: [Pipeline; 3] = [
    Pipeline {
        name: "JSON → decode → one conditional → null",
        format: Format::Json,
        bytes: 192 << 20,
        rounds: 121,
        codec: "json",
        filter: r#"if [level] == "DEBUG" { drop { } }"#,
        output: "null { }",
        own: OF_JSON,
    },
    Pipeline {
        name: "Apache combined → grok + date → null",
        format: Format::Apache,
        bytes: 192 << 20,
        rounds: 121,
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
        rounds: 31,
        codec: "json",
        filter: "",
        output: r#"index { stream => "bench" }"#,
        own: OF_JSON,
    },
];

const OF_JSON: &str = r#"
    derive { counter => "hits_total" labels => { service => "%{service}" action => "%{action}" } }
    derive { histogram => "took_seconds" field => "duration" scale => 0.001 labels => { service => "%{service}" } }"#;

/// Processor time in seconds that a pipeline takes for a file in `folder`.
fn run(folder: &Path, file: &str, pipeline: &Pipeline, defaults: bool, own: &str) -> f64 {
    let data = folder.join("data");
    std::fs::remove_dir_all(&data).ok();
    let text = format!(
        "input {{ file {{ path => \"{}\" mode => read exit_after_read => true codec => {}
                         sincedb_path => \"/dev/null\" file_completed_action => log
                         file_completed_log_path => \"/dev/null\" }} }}
         filter {{ {} {own} }} output {{ {} }}",
        folder.join(file).display(),
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
    (clock::process() - before).as_secs_f64()
}

fn main() {
    // As the binary runs.
    logboom::memory::small_pages(true);
    PIPELINES.iter().for_each(measure);
}

/// Writes a pipeline's sample, and its first sixteenth; how many events the rest has.
fn sample(folder: &Path, pipeline: &Pipeline) -> usize {
    let mut generator = Generator::new(pipeline.format, 1, DEFAULT_START_MS);
    let (mut text, mut start, mut events) = (Vec::new(), false, 0);
    while text.len() < pipeline.bytes {
        generator.event(&mut text);
        events += 1;
        if !start && text.len() >= pipeline.bytes / 16 {
            (start, events) = (true, 0);
            std::fs::write(folder.join("start"), &text).expect("room for the sample");
        }
    }
    std::fs::write(folder.join("sample"), &text).expect("room for the sample");
    events
}

fn measure(pipeline: &Pipeline) {
    let folder = tempfile::tempdir().expect("a folder for the sample");
    let events = sample(folder.path(), pipeline);
    let sides = [("nothing derived", false, ""), ("built-in", true, ""), ("own", false, pipeline.own)];
    let mut times = sides.map(|_| Vec::new());
    for round in 0..pipeline.rounds {
        // Each side is as often first, so that nothing which comes before weighs on one of them.
        for at in (0..sides.len()).map(|n| (n + round) % sides.len()) {
            let (_, defaults, own) = sides[at];
            let time = |file| run(folder.path(), file, pipeline, defaults, own);
            times[at].push(time("sample") - time("start"));
        }
    }
    println!("{}", pipeline.name);
    for ((side, ..), own) in sides.iter().zip(&times) {
        let mut lost: Vec<f64> = times[0].iter().zip(own).map(|(base, own)| (1.0 - base / own) * 100.0).collect();
        let mut own = own.clone();
        own.sort_by(f64::total_cmp);
        lost.sort_by(f64::total_cmp);
        let middle = own.len() / 2;
        // Ranks of a binomial distribution: half of all ratios are above the true median.
        let off = (0.98 * (own.len() as f64).sqrt()).ceil() as usize;
        let ns = own[middle] * 1e9 / events as f64;
        let [low, lost, high] = [middle - off, middle, middle + off].map(|at| lost[at]);
        println!("  {side:16} {ns:5.0} ns an event, {lost:4.1} % of throughput lost ({low:.1} to {high:.1})");
    }
}
