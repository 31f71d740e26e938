//! What does deriving metrics cost? The same pipeline with and without, in turn: file → decode →
//! one conditional → null, one worker.
//!
//! Measured is processor time of the whole process (all threads), so that what deriving does beside
//! the worker counts too. `built-in` are the metrics of `config/derive.conf`; `own` are a counter by
//! two labels and a histogram of classic and native buckets, as filters. Run: `cargo bench --bench
//! derive`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logboom::cli::generate::{DEFAULT_START_MS, Format, Generator};
use logboom::daemon::{Configured, Daemon};
use logboom::diagnostic::Sources;
use logboom::settings::Settings;
use std::path::Path;
use std::time::Duration;

const BYTES: usize = 32 << 20;

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

fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for the sample");
    let mut generator = Generator::new(Format::Json, 1, DEFAULT_START_MS);
    let mut text = Vec::with_capacity(BYTES + 4096);
    while text.len() < BYTES {
        generator.event(&mut text);
    }
    std::fs::write(folder.path().join("app.log"), &text).expect("room for the sample");
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(20);
    for (name, defaults, filters) in [("nothing derived", false, ""), ("built-in", true, ""), ("own", false, OWN)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| run(folder.path(), defaults, filters)).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
