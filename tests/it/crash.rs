//! kill -9 at random moments: what was acknowledged is there, and nothing is there twice.

use crate::harness::Daemon;
use crate::program::{logboom, until};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LINES: usize = 200_000;
const KILLS: usize = 50;

/// The sample lines; without dates of their own if `dateless`, so that the clock decides the day.
fn lines(dateless: bool) -> Vec<String> {
    let out = logboom()
        .args(["generate", "--format", "json", "--count", &LINES.to_string(), "--seed", "7"])
        .output()
        .unwrap();
    assert!(out.status.success());
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines()
        .map(|line| if dateless { line.replacen("\"timestamp\"", "\"logged\"", 1) } else { line.to_owned() })
        .collect()
}

fn pipeline(file: &Path) -> String {
    format!(
        r#"input {{ file {{ path => "{}" codec => json start_position => beginning }} }}
           filter {{ if [timestamp] {{ date {{ match => ["timestamp", "ISO8601"] }} }} }}
           output {{ index {{ stream => "crash" }} }}"#,
        file.display()
    )
}

/// Whether an epoch is durable: the manifest has grown past its first record.
fn durable_epochs(data: &Path) -> bool {
    let size = |entry: std::fs::DirEntry| entry.metadata().map_or(0, |m| m.len());
    std::fs::read_dir(data.join("index"))
        .is_ok_and(|dir| dir.flatten().any(|e| e.file_name().to_string_lossy().starts_with('p') && size(e) > 0))
}

/// Writes the lines over about `time`, a little at a time, as an application does.
fn write_slowly(file: &Path, lines: &[String], time: Duration, written: &AtomicBool) {
    let mut out = File::create(file).unwrap();
    let began = Instant::now();
    for (at, chunk) in lines.chunks(500).enumerate() {
        let due = time.mul_f64((at * 500) as f64 / lines.len() as f64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let mut text = chunk.join("\n");
        text.push('\n');
        out.write_all(text.as_bytes()).unwrap();
    }
    written.store(true, Ordering::Release);
}

fn trace_ids(daemon: &Daemon) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let mut body = json!({"size": 10_000, "_source": ["traceId"], "sort": [{"traceId.keyword": "asc"}],
                              "track_total_hits": false});
        if let Some(after) = after {
            body["search_after"] = after;
        }
        let answer = daemon.search("crash", &body);
        let hits = answer["hits"]["hits"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let Some(last) = hits.last() else { return ids };
        after = Some(last["sort"].clone());
        ids.extend(hits.iter().map(|hit| hit["_source"]["traceId"].as_str().unwrap().to_owned()));
    }
}

/// Kills the daemon `KILLS` times while the lines come in, then lets it finish, and compares.
fn kill_and_compare(seed: u64, dateless: bool, clock: impl Fn(usize) -> Vec<(&'static str, String)>) {
    println!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("app.log"));
    let lines = lines(dateless);
    let written = AtomicBool::new(false);
    let mut in_between = 0;
    let start = |run: usize| {
        let env = clock(run);
        let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (*k, v.as_str())).collect();
        Daemon::start_with(&data, &pipeline(&file), &["--index.epoch.interval=50ms"], &env)
    };
    std::thread::scope(|scope| {
        scope.spawn(|| write_slowly(&file, &lines, Duration::from_secs(18), &written));
        for run in 0..KILLS {
            let mut daemon = start(run);
            std::thread::sleep(Duration::from_millis(rng.random_range(20..450)));
            assert!(daemon.runs(), "it ended by itself: {}", daemon.log());
            in_between += usize::from(durable_epochs(&data) && !written.load(Ordering::Acquire));
            daemon.kill();
        }
    });
    assert!(in_between >= KILLS / 2, "only {in_between} kills fell between the first epoch and the end");
    let mut daemon = start(KILLS);
    daemon.ready();
    let full = until(Duration::from_secs(60), || (daemon.count("crash") >= LINES as u64).then_some(()));
    assert!(full.is_some(), "{} of {LINES} documents: {}", daemon.count("crash"), daemon.log());
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
    // Once more from the disk alone.
    let mut daemon = start(KILLS + 1);
    daemon.ready();
    assert_eq!(daemon.count("crash"), LINES as u64);
    let ids = trace_ids(&daemon);
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (LINES, LINES));
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}

#[test]
fn kills_lose_and_double_nothing() {
    kill_and_compare(rand::random(), false, |_| Vec::new());
}

/// Events without a date get the day of the clock: a replayed one may go to another partition.
#[test]
fn kills_with_the_clock_stepped_across_midnight() {
    let library =
        ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"];
    let Some(library) = library.into_iter().find(|path| Path::new(path).exists()) else {
        println!("left out: the package `faketime` is not installed");
        return;
    };
    kill_and_compare(rand::random(), true, |run| {
        let day = if run.is_multiple_of(2) { "@2026-03-01 23:59:50" } else { "@2026-03-02 00:00:10" };
        vec![
            ("LD_PRELOAD", library.to_owned()),
            ("FAKETIME", day.to_owned()),
            ("TZ", "UTC".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    });
}
