//! What does deriving metrics cost? The same pipeline with and without, in turn: file → decode →
//! one conditional → null, one worker.
//!
//! Measured is processor time of the whole process (all threads), so that what deriving does beside
//! the worker counts too. `built-in` are the metrics of `config/derive.conf`; `own` are a counter by
//! two labels and a histogram of classic and native buckets, as filters. Run: `cargo bench --bench
//! derive`.

use logboom::cli::generate::{DEFAULT_START_MS, Format, Generator};
use logboom::daemon::{Configured, Daemon};
use logboom::diagnostic::Sources;
use logboom::settings::Settings;
use std::path::Path;
use std::time::Duration;

const ROUNDS: usize = 15;
const BYTES: usize = 96 << 20;

const OWN: &str = r#"
    derive { counter => "hits_total" labels => { service => "%{service}" action => "%{action}" } }
    derive { histogram => "took_seconds" field => "duration" scale => 0.001 labels => { service => "%{service}" } }"#;

fn run(folder: &Path, defaults: bool, filters: &str) -> Duration {
    let data = folder.join("data");
    std::fs::remove_dir_all(&data).ok();
    let text = format!(
        "input {{ file {{ path => \"{}\" mode => read exit_after_read => true codec => json
                         sincedb_path => \"/dev/null\" file_completed_action => log
                         file_completed_log_path => \"/dev/null\" }} }}
         filter {{ if [level] == \"DEBUG\" {{ drop {{ }} }} {filters} }} output {{ null {{ }} }}",
        folder.join("app.log").display()
    );
    let defaults = defaults.to_string();
    let mut settings = Settings::new(&|_| None);
    settings.set("path.data", &data.to_string_lossy()).expect("a folder");
    for (name, value) in [
        ("pipeline.workers", "1"),
        ("api.enabled", "false"),
        ("pipeline.ecs_compatibility", "disabled"),
        ("derive.defaults", &defaults),
    ] {
        settings.set(name, value).expect("a setting");
    }
    let sources = Sources { files: vec![("bench".to_owned(), text)] };
    let configured = [Configured { settings: settings.clone(), sources }];
    let before = used();
    let daemon = Daemon::start(&settings, &configured).expect("it starts").expect("the pipeline is right");
    assert!(daemon.join(), "everything is delivered");
    used() - before
}

/// Processor time that this process has used.
fn used() -> Duration {
    // SAFETY: getrusage fills the struct that it is given.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

fn main() {
    // As the binary runs.
    logboom::memory::small_pages(true);
    let folder = tempfile::tempdir().expect("a folder for the sample");
    let mut generator = Generator::new(Format::Json, 1, DEFAULT_START_MS);
    let mut text = Vec::with_capacity(BYTES + 4096);
    let mut events = 0;
    while text.len() < BYTES {
        generator.event(&mut text);
        events += 1;
    }
    std::fs::write(folder.path().join("app.log"), &text).expect("room for the sample");
    let sides = [("nothing derived", false, ""), ("built-in", true, ""), ("own", false, OWN)];
    let mut times = sides.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, defaults, filters), times) in sides.iter().zip(&mut times) {
            times.push(run(folder.path(), *defaults, filters));
        }
    }
    let medians = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    for ((name, ..), time) in sides.iter().zip(medians) {
        let (nanos, more) = (time.as_nanos() / events, time.as_secs_f64() / medians[0].as_secs_f64() - 1.0);
        println!("{name:16} {:5.0} MB/s, {nanos} ns an event, {:+.1} %", megabytes(&text, time), more * 100.0);
    }
}

fn megabytes(text: &[u8], time: Duration) -> f64 {
    text.len() as f64 / 1e6 / time.as_secs_f64()
}
