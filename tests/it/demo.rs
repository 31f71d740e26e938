//! The demo starts, answers, stops, and goes on where it was.

use crate::program::{Running, count, get, logboom, wait_for};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const BACKLOG: u64 = 2_000;

struct Demo {
    program: Running,
    search: SocketAddr,
    api: SocketAddr,
    /// What it printed.
    banner: String,
}

fn start(folder: &Path) -> Demo {
    let mut program = Running::start(
        logboom()
            .args(["demo", "--rate=100", &format!("--backlog={BACKLOG}"), &format!("--path.data={}", folder.display())])
            .args(["-S", "search.http.port=19200-19599", "-S", "api.http.port=19600-19999"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    );
    let mut banner = String::new();
    for line in BufReader::new(program.stdout()).lines() {
        let line = line.expect("it prints text");
        banner.push_str(&line);
        banner.push('\n');
        if line.starts_with("Ctrl-C") {
            break;
        }
    }
    let address = |path: &str| {
        let (before, _) = banner.split_once(path).unwrap_or_else(|| panic!("no {path} in {banner}"));
        before.rsplit_once("http://").unwrap().1.parse().unwrap()
    };
    Demo { search: address("/_cat/indices"), api: address("/metrics"), program, banner }
}

/// Lines of the application log, rotated ones included.
fn lines(folder: &Path) -> u64 {
    let read = |name: &str| std::fs::read_to_string(folder.join("logs").join(name)).unwrap_or_default();
    ["safevideo.json", "safevideo.json.1"].iter().map(|name| read(name).lines().count() as u64).sum()
}

#[test]
fn it_starts_stops_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path());
    for query in ["level:ERROR AND @timestamp:[now-1h TO now]", "action:login AND status:failed"] {
        assert!(first.banner.contains(query), "{query} is missing in {}", first.banner);
    }
    let search = first.search;
    let more = wait_for(|| count(search, "safevideo", "*").filter(|&n| n > BACKLOG));
    assert!(more.is_some(), "no live lines: {:?}", count(search, "safevideo", "*"));
    assert!(wait_for(|| count(search, "apache", "*").filter(|&n| n >= BACKLOG / 10)).is_some());
    assert!(wait_for(|| count(search, "safevideo", "action:login AND status:failed").filter(|&n| n > 0)).is_some());
    let (status, metrics) = get(first.api, "/metrics").unwrap();
    assert_eq!(status, 200);
    for name in [
        "log_events_total{level=\"INFO\",service=\"safevideo-api\"",
        "log_error_ratio{",
        "log_duration_seconds_bucket{",
    ] {
        assert!(metrics.contains(name), "{name} is missing in\n{metrics}");
    }
    let (status, stats) = get(first.api, "/_node/stats/pipelines/safevideo").unwrap();
    assert!(status == 200 && stats.contains("\"inputs\""), "{stats}");
    assert_eq!(get(first.api, "/health").unwrap().0, 200);
    assert_eq!(first.program.stop(libc::SIGINT, Duration::from_secs(20)), Some(0), "it did not stop cleanly");

    let written = lines(folder.path());
    let second = start(folder.path());
    let search = second.search;
    let more = wait_for(|| count(search, "safevideo", "*").filter(|&n| n > written));
    assert!(more.is_some(), "it did not go on: {:?} of {written}", count(search, "safevideo", "*"));
    assert_eq!(second.program.stop(libc::SIGINT, Duration::from_secs(20)), Some(0));
    let third = start(folder.path());
    let search = third.search;
    // Never more documents than lines, however often it was stopped: nothing is read twice.
    assert!(wait_for(|| count(search, "safevideo", "*").filter(|&n| n > written)).is_some());
    let found = count(search, "safevideo", "*").unwrap();
    assert!(found <= lines(folder.path()), "{found} documents of fewer lines");
    assert_eq!(third.program.stop(libc::SIGINT, Duration::from_secs(20)), Some(0));
}
