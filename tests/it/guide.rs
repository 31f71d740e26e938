//! The operations guide's queries work as written, and find what a plain scan of the file finds.

use crate::program::{Running, count, data_in, free_port, logboom, wait_for};
use logboom::cli::generate::{Format, Generator};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

const LINES: u64 = 20_000;
const HOUR_MS: i64 = 3_600_000;

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Lines of the last two hours.
fn log(now: i64) -> Vec<u8> {
    let mut generator = Generator::new(Format::Json, now as u64, now);
    let mut lines = Vec::new();
    for n in 0..LINES {
        generator.event_at(now - 2 * HOUR_MS + n as i64 * (2 * HOUR_MS / LINES as i64), &mut lines);
    }
    lines
}

#[test]
fn the_queries_of_the_guide_find_what_a_scan_finds() {
    let folder = tempfile::tempdir().unwrap();
    let lines = log(now_ms());
    let file = folder.path().join("app.json");
    std::fs::write(&file, &lines).unwrap();
    let events: Vec<Value> =
        String::from_utf8(lines).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();

    let search = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let program = Running::start(
        logboom()
            .arg(data_in(folder.path()))
            .args(["-f", &format!("{}/pipelines/safevideo.conf", env!("CARGO_MANIFEST_DIR"))])
            .args([format!("--search.http.port={}", search.port()), "--api.http.port=19600-19999".to_owned()])
            .env("SAFEVIDEO_LOG", &file)
            .stdin(Stdio::null()),
    );
    let all = wait_for(|| count(search, "safevideo", "*").filter(|&n| n >= LINES));
    assert_eq!(all, Some(LINES), "not all lines were indexed: {:?}", count(search, "safevideo", "*"));

    let check = |query: &str, holds: &dyn Fn(&Value) -> bool| {
        let want = events.iter().filter(|e| holds(e)).count() as u64;
        assert!(want > 0, "{query}: nothing to find");
        assert_eq!(count(search, "safevideo", query), Some(want), "{query}");
    };
    check("userId:\"user123\" AND action:*", &|e| e["userId"] == "user123" && e["action"].is_string());
    check("action:login AND status:failed", &|e| e["action"] == "login" && e["status"] == "failed");
    check("duration:>1000 AND service:\"safevideo-api\"", &|e| {
        e["duration"].as_i64().is_some_and(|ms| ms > 1000) && e["service"] == "safevideo-api"
    });
    check("message:\"ログイン失敗\"", &|e| e["message"].as_str().unwrap().contains("ログイン失敗"));

    // "Now" moves on between our scan and the query: what lies between is allowed for.
    let errors_since = |from: i64| {
        let time = |e: &Value| e["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
        events.iter().filter(|e| e["level"] == "ERROR" && time(e) >= from).count() as u64
    };
    let most = errors_since(now_ms() - HOUR_MS);
    let got = count(search, "safevideo", "level:ERROR AND @timestamp:[now-1h TO now]").unwrap();
    let least = errors_since(now_ms() - HOUR_MS);
    assert!(least > 0 && (least..=most).contains(&got), "{got} of {least} to {most}");

    assert_eq!(program.stop(libc::SIGTERM, Duration::from_secs(20)), Some(0), "it did not stop cleanly");
}
