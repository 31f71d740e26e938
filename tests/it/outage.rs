//! From a burst of errors in a log file to an alert at Alertmanager and counters at Prometheus, with
//! all three processes killed on the way: nothing is lost, nothing is doubled, `for` goes on.

use crate::peer::{Peer, free_address, installed, json, left_out, number, of_prometheus, query};
use crate::program::{Running, data_in, free_port, logboom, until, wait_for};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the condition holds before the alert fires.
const HOLD: Duration = Duration::from_secs(6);
/// How much later than that it may be active at Alertmanager: two seconds at the most on a quiet
/// machine (they are printed), though all three start anew in between; far more where others work too.
const LATE_MAX: Duration = Duration::from_secs(10);

/// Addresses and folders that all runs of the three share.
struct World {
    folder: tempfile::TempDir,
    prometheus: PathBuf,
    api: SocketAddr,
    metrics: SocketAddr,
    alerts: SocketAddr,
}

/// The three processes.
struct Three {
    program: Running,
    prometheus: Peer,
    manager: Peer,
}

impl World {
    fn new(prometheus: PathBuf) -> World {
        let api = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let folder = tempfile::tempdir().unwrap();
        let rules = format!(
            "groups:\n- name: g\n  interval: 1s\n  rules:\n  - alert: Burst\n    \
             expr: sum(increase(app_errors_total[5s])) > 5\n    for: {}s\n",
            HOLD.as_secs()
        );
        std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
        World { folder, prometheus, api, metrics: free_address(), alerts: free_address() }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("app.json")
    }

    fn start(&self, protocol: &str) -> Three {
        let path = self.folder.path();
        let prometheus =
            Peer::prometheus(&self.prometheus, path, self.metrics, &["--enable-feature=native-histograms"]);
        let manager = Peer::alertmanager(path, self.alerts, &[]);
        let pipeline = format!(
            "input {{ file {{ path => \"{}\" start_position => beginning codec => json stat_interval => 0.05 }} }}
             filter {{
               derive {{ counter => \"app_lines_total\" labels => {{ level => \"%{{level}}\" }} }}
               if [level] == \"ERROR\" {{ derive {{ counter => \"app_errors_total\" }} }}
               derive {{ histogram => \"app_seconds\" field => \"took\" native => true }}
             }}
             output {{ null {{ }} }}",
            self.log().display()
        );
        let errors = std::fs::File::options().create(true).append(true).open(path.join("stderr")).unwrap();
        let write = format!("http://{}/api/v1/write", self.metrics);
        let program = Running::start(
            logboom()
                .arg(data_in(path))
                .args(["-e", &pipeline])
                .args([format!("--api.http.port={}", self.api.port()), "--series.interval=1s".to_owned()])
                .arg(format!("--rules.files={}", path.join("rules.yml").display()))
                .arg(format!("--alertmanager.urls=http://{}", self.alerts))
                .arg(format!("--remote_write.urls={{\"url\":\"{write}\",\"protocol_version\":\"{protocol}\"}}"))
                .args(["-S", "rules.resend_delay=2s", "-w", "1", "--log.level=warn"])
                .stdin(Stdio::null())
                .stderr(errors),
        );
        Three { program, prometheus, manager }
    }

    /// The alert as Logboom has it.
    fn own_alert(&self) -> Option<Value> {
        json(self.api, "/api/v1/alerts")?["data"]["alerts"].get(0).cloned()
    }

    /// The active alerts at Alertmanager.
    fn active(&self) -> Option<Vec<Value>> {
        Some(json(self.alerts, "/api/v2/alerts?active=true")?.as_array()?.clone())
    }

    fn said(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("stderr") + &read("prometheus.log") + &read("alertmanager.log")
    }
}

impl Three {
    /// kill -9 for all.
    fn kill(mut self) {
        self.program.signal(libc::SIGKILL);
        self.prometheus.kill();
        self.manager.kill();
        self.program.end(libc::SIGKILL, Duration::from_secs(10));
    }
}

/// Appends lines of a level.
fn append(log: &Path, level: &str, count: u64) {
    let mut text = String::new();
    for n in 0..count {
        let _ = writeln!(text, "{{\"level\":\"{level}\",\"took\":{}}}", n as f64 * 0.1 + 0.05);
    }
    let mut file = std::fs::File::options().create(true).append(true).open(log).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn all_three_are_killed_and_nothing_is_lost_or_doubled() {
    let found = of_prometheus("prometheus", 3).map(|path| (path, "2.0"));
    let Some((prometheus, protocol)) = found.or_else(|| of_prometheus("prometheus", 2).map(|path| (path, "1.0")))
    else {
        return left_out("Prometheus");
    };
    if !installed("prometheus-alertmanager") {
        return left_out("prometheus-alertmanager");
    }
    let world = World::new(prometheus);
    append(&world.log(), "INFO", 500);
    let three = world.start(protocol);
    let quiet = wait_for(|| number(world.metrics, "app_lines_total").filter(|n| *n == 500.0));
    assert_eq!(quiet, Some(500.0), "{}", world.said());

    let (bursting, errors) = (AtomicBool::new(true), AtomicU64::new(0));
    let mut three = Some(three);
    std::thread::scope(|scope| {
        let begin = Instant::now();
        scope.spawn(|| {
            while bursting.load(Ordering::Acquire) {
                append(&world.log(), "ERROR", 10);
                errors.fetch_add(10, Ordering::AcqRel);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        // Ends the burst also where this thread panics, so that the scope ends.
        let _end = End(&bursting);
        let pending = wait_for(|| world.own_alert().filter(|alert| alert["state"] == "pending"));
        let pending = pending.unwrap_or_else(|| panic!("the alert is not pending: {}", world.said()));
        std::thread::sleep(Duration::from_millis(700));
        three.take().expect("they run").kill();
        three = Some(world.start(protocol));
        let active = wait_for(|| world.active().filter(|alerts| !alerts.is_empty()));
        let late = begin.elapsed().saturating_sub(HOLD);
        let active = active.unwrap_or_else(|| panic!("the alert does not arrive: {}", world.said()));
        assert!(late < LATE_MAX, "the alert is active {late:?} past its `for`");
        let own = world.own_alert().expect("we have it too");
        assert_eq!(own["activeAt"], pending["activeAt"], "`for` began anew");
        assert_eq!(active.len(), 1, "{active:?}");
        eprintln!("active {:.2} s past `for`, with all three killed while it was pending", late.as_secs_f64());

        // Killed again while it fires, each time at another moment between two samples: no second
        // alert, and no other beginning.
        for round in 0..4_u64 {
            std::thread::sleep(Duration::from_millis(130 + 370 * round % 1_100));
            three.take().expect("they run").kill();
            three = Some(world.start(protocol));
            let again = wait_for(|| world.active().filter(|alerts| !alerts.is_empty())).expect("it is sent again");
            assert_eq!(again.len(), 1, "{again:?}");
            assert_eq!((&again[0]["labels"], &again[0]["startsAt"]), (&active[0]["labels"], &active[0]["startsAt"]));
        }
    });
    let errors = errors.load(Ordering::Acquire);
    let resolved = until(Duration::from_secs(30), || world.active().filter(Vec::is_empty));
    assert!(resolved.is_some(), "the alert does not end: {:?}", world.active());
    append(&world.log(), "INFO", 250);

    for (expr, want) in [
        ("app_errors_total", errors as f64),
        ("app_lines_total{level=\"INFO\"}", 750.0),
        ("app_lines_total{level=\"ERROR\"}", errors as f64),
        ("histogram_count(app_seconds)", errors as f64 + 750.0),
    ] {
        for (whose, address) in [("ours", world.api), ("Prometheus", world.metrics)] {
            let seen = wait_for(|| number(address, expr).filter(|n| *n == want));
            assert_eq!(seen, Some(want), "{whose}: {expr}: {:?} {}", number(address, expr), world.said());
        }
    }
    the_same_samples(&world);
    let three = three.expect("they run");
    assert_eq!(three.program.stop(libc::SIGTERM, Duration::from_secs(20)), Some(0), "it did not stop cleanly");
    three.prometheus.stop();
    three.manager.stop();
}

/// What Prometheus has is what we have, and never falls.
fn the_same_samples(world: &World) {
    let end = jiff::Timestamp::now().as_millisecond() as f64 / 1e3 - 2.0;
    for metric in ["app_errors_total", "app_lines_total"] {
        let expr = format!("{metric}[10m]");
        let samples = |address| {
            let mut all = query(address, &expr, Some(end)).expect("it answers");
            all.sort_by_key(|series| series["metric"].to_string());
            all
        };
        let (ours, theirs) = (samples(world.api), samples(world.metrics));
        assert_eq!(ours.len(), theirs.len(), "{ours:?}\n{theirs:?}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours["metric"], theirs["metric"]);
            assert_eq!(ours["values"], theirs["values"], "{}", ours["metric"]);
            let values = theirs["values"].as_array().expect("it has values");
            let values: Vec<f64> = values.iter().filter_map(|pair| pair[1].as_str()?.parse().ok()).collect();
            assert!(values.is_sorted() && values.len() > 8, "{metric} fell: {values:?}");
        }
    }
}

/// Ends the burst when dropped.
struct End<'b>(&'b AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
