//! Rules from outside: the commands, alerts on their way to an Alertmanager, restarts and crashes.

use crate::program::{Running, data_in, free_port, get, logboom, until, wait_for};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn rules(folder: &Path) -> String {
    folder.join("rules.yml").display().to_string()
}

/// A rule that fires after `hold` while `holds`.
fn write_rule(folder: &Path, holds: bool, hold: &str) {
    let text = format!(
        "groups:\n- name: g\n  interval: 1s\n  rules:\n  - record: a:b\n    expr: vector(7)\n  - alert: Always\n    \
         expr: vector({}) > 0\n    for: {hold}\n    labels: {{severity: critical}}\n    \
         annotations: {{summary: \"value {{{{ $value }}}}\"}}\n",
        u8::from(holds)
    );
    std::fs::write(rules(folder), text).expect("the rule file can be written");
}

/// Starts the program with rules and nothing to do.
fn start(folder: &Path, more: &[String]) -> (Running, SocketAddr) {
    let port = free_port();
    let mut program = logboom();
    program.arg(data_in(folder)).arg(format!("--api.http.port={port}")).arg(format!("--rules.files={}", rules(folder)));
    program.args(["-S", "rules.resend_delay=2s", "-w", "1"]).args(more);
    program.args(["-e", "input { stdin { } } output { null { } }"]);
    let running = Running::start(program.stdin(Stdio::piped()).stderr(Stdio::null()).stdout(Stdio::null()));
    (running, SocketAddr::from(([127, 0, 0, 1], port)))
}

fn json(address: SocketAddr, path: &str) -> Option<Value> {
    serde_json::from_str(&get(address, path).ok()?.1).ok()
}

/// The only alert, once it is in a state.
fn alert_in(address: SocketAddr, state: &str) -> Option<Value> {
    wait_for(|| {
        let answer = json(address, "/api/v1/alerts")?;
        let alert = answer["data"]["alerts"].get(0)?.clone();
        (alert["state"] == state).then_some(alert)
    })
}

#[test]
fn unit_tests_and_checks_of_rules_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let run = |what: &[&str], file: &Path| {
        let output = logboom().args(what).arg(file).output().expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    };
    let (well, text) = run(&["test", "rules"], &root.join("guide.slo.test.yml"));
    assert!(well, "{text}");
    let (well, text) = run(&["check", "rules"], &root.join("guide.slo.yml"));
    assert!(well && text.contains("rules found"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.yml");
    std::fs::write(&bad, "groups:\n- name: g\n  rules:\n  - alert: A\n    exr: up\n  - record: b\n    expr: sum(\n")
        .unwrap();
    let (well, text) = run(&["check", "rules"], &bad);
    assert!(!well && text.contains("did you mean `expr`?") && text.contains("bad.yml:7:15"), "{text}");
    // The daemon does not start with them either, and `-t` says so.
    let output = logboom()
        .args(["-t", "-e", "input { stdin { } }", &format!("--rules.files={}", bad.display())])
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_is_pending_goes_on_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    write_rule(folder.path(), true, "6s");
    let (mut program, address) = start(folder.path(), &[]);
    let pending = alert_in(address, "pending").expect("the alert is pending");
    // What can be seen is on disk.
    program.end(libc::SIGKILL, Duration::from_secs(10));
    let (program, address) = start(folder.path(), &[]);
    let firing = alert_in(address, "firing").expect("the alert fires");
    assert_eq!(firing["activeAt"], pending["activeAt"], "`for` went on");
    let recorded = wait_for(|| {
        let answer = json(address, "/api/v1/query?query=a:b")?;
        answer["data"]["result"].get(0).cloned()
    });
    assert_eq!(recorded.expect("the rule is recorded")["value"][1], "7");
    // Another rule without a restart.
    write_rule(folder.path(), false, "6s");
    program.signal(libc::SIGHUP);
    let gone = wait_for(|| {
        let answer = json(address, "/api/v1/alerts")?;
        answer["data"]["alerts"].as_array()?.is_empty().then_some(())
    });
    assert!(gone.is_some(), "the alert ends with its condition");
}

/// With the settings that everybody has, all that is shipped in `config/rules` runs.
#[test]
fn the_shipped_rules_run() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules/*.yml");
    let mut program = logboom();
    program.arg(data_in(folder.path())).arg(format!("--api.http.port={port}"));
    program.arg(format!("--rules.files={}", shipped.display()));
    program.args(["-e", "input { stdin { } } output { null { } }"]);
    let _running = Running::start(program.stdin(Stdio::piped()).stderr(Stdio::null()).stdout(Stdio::null()));
    let healths = || {
        let groups = json(address, "/api/v1/rules")?["data"]["groups"].as_array()?.clone();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        let healths: Vec<(String, String)> =
            rules.map(|rule| (rule["name"].to_string(), rule["health"].to_string())).collect();
        healths.iter().all(|(_, health)| health != "\"unknown\"").then_some(healths)
    };
    let healths = wait_for(healths).expect("the rules are evaluated");
    assert!(healths.iter().any(|(name, _)| name == "\"KYCApplications\""), "{healths:?}");
    assert!(healths.iter().all(|(_, health)| health == "\"ok\""), "{healths:?}");
}

#[test]
fn rules_come_by_a_reload_where_there_were_none() {
    let folder = tempfile::tempdir().unwrap();
    write_rule(folder.path(), true, "0s");
    let settings = |text: String| std::fs::write(folder.path().join("logboom.yml"), text).unwrap();
    settings("rules.evaluation_interval: 1s\n".to_owned());
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut program = logboom();
    program.arg(data_in(folder.path())).arg(format!("--api.http.port={port}"));
    program.arg(format!("--path.settings={}", folder.path().display()));
    program.args(["-e", "input { stdin { } } output { null { } }"]);
    let program = Running::start(program.stdin(Stdio::piped()).stderr(Stdio::null()).stdout(Stdio::null()));
    let groups = || Some(json(address, "/api/v1/rules")?["data"]["groups"].as_array()?.len());
    assert_eq!(wait_for(groups), Some(0));
    settings(format!("rules.files: [\"{}\"]\n", rules(folder.path())));
    program.signal(libc::SIGHUP);
    alert_in(address, "firing").expect("the rules run");
    settings(String::new());
    program.signal(libc::SIGHUP);
    assert!(wait_for(|| groups().filter(|count| *count == 0)).is_some(), "the rules are gone");
    let text = get(address, "/metrics").unwrap().1;
    assert!(text.contains("\n# TYPE logboom_notifications_sent_total counter\n") || !text.contains("notifications"));
}

/// From an alert to its documents and traces, with Debian's Alertmanager where it is installed.
#[test]
fn an_alert_leads_to_its_documents() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("app.json");
    std::fs::write(&log, "").unwrap();
    let expr = "sum by (service) (increase(log_events_total{level=\\\"ERROR\\\"}[1m])) > 0";
    let text = format!(
        "groups: [{{name: g, interval: 1s, rules: [{{alert: Errors, expr: \"{expr}\", labels: {{severity: x}}}}]}}]"
    );
    std::fs::write(rules(folder.path()), text).unwrap();
    let free = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (api, search, hook) = (free(), free(), free());
    let receiver = Receiver::start(hook);
    let manager = alertmanager(folder.path());
    let mut program = logboom();
    program.arg(data_in(folder.path())).arg(format!("--rules.files={}", rules(folder.path())));
    program.args([format!("--api.http.port={}", api.port()), format!("--search.http.port={}", search.port())]);
    program.args([format!("--alertmanager.webhooks=http://{hook}/"), "--series.interval=1s".to_owned()]);
    program.args(manager.iter().map(|(_, address)| format!("--alertmanager.urls=http://{address}")));
    let pipeline = format!(
        "input {{ file {{ path => \"{}\" start_position => beginning codec => json stat_interval => 0.1 }} }}
         output {{ index {{ stream => shop }} }}",
        log.display()
    );
    program.args(["-e", &pipeline]).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::null());
    let program = Running::start(&mut program);
    wait_for(|| json(api, "/api/v1/query?query=up")).expect("the API answers");
    let line = |level: &str, service: &str, trace: &str| {
        format!("{{\"level\":\"{level}\",\"service\":\"{service}\",\"traceId\":\"{trace}\",\"message\":\"m\"}}\n")
    };
    let lines = [line("ERROR", "till", "t1"), line("INFO", "till", "t2"), line("ERROR", "shelf", "t3")];
    std::fs::write(&log, lines.concat()).unwrap();
    let alert = wait_for(|| {
        let answer = json(api, "/api/v1/alerts")?;
        let alerts = answer["data"]["alerts"].as_array()?;
        alerts.iter().find(|alert| alert["labels"]["service"] == "till").cloned()
    });
    let alert = alert.expect("the alert fires");
    assert_eq!(alert["exemplars"][0]["labels"]["trace_id"], "t1", "{alert}");
    let link = alert["annotations"]["logs_url"].as_str().expect("it has a link").to_owned();
    let path = link.strip_prefix(&format!("http://{search}")).expect("it leads to the search").to_owned();
    let found = wait_for(|| json(search, &path).filter(|answer| answer["hits"]["total"]["value"] == 1));
    let found = found.unwrap_or_else(|| panic!("{path}: {:?}", json(search, &path)));
    assert_eq!(found["hits"]["hits"][0]["_source"]["traceId"], "t1");
    let told = receiver.wait(|posted| posted["alerts"].to_string().contains("till")).expect("the webhook hears of it");
    let of_till = |alerts: &Value| {
        let alerts = alerts.as_array()?;
        alerts.iter().find(|alert| alert["labels"]["service"] == "till").map(|one| one["annotations"].clone())
    };
    assert_eq!(of_till(&told["alerts"]).unwrap()["logs_url"], link);
    if let Some((_, address)) = &manager {
        let annotations = wait_for(|| of_till(&json(*address, "/api/v2/alerts?active=true")?));
        assert_eq!(annotations.expect("Alertmanager has it")["logs_url"], link);
    }
    let sent = wait_for(|| {
        let text = get(api, "/metrics").ok()?.1;
        let line = format!("logboom_notifications_sent_total{{url=\"http://{hook}/\"}} ");
        text.lines().find_map(|known| known.strip_prefix(&line)?.parse::<u64>().ok()).filter(|count| *count >= 2)
    });
    assert!(sent.is_some(), "{}", get(api, "/metrics").unwrap().1);
    drop(program);
}

/// Debian's Alertmanager, ready, and where it listens; `None` where it is not installed.
fn alertmanager(folder: &Path) -> Option<(Running, SocketAddr)> {
    if Command::new("prometheus-alertmanager").arg("--version").output().is_err() {
        eprintln!("left out: prometheus-alertmanager is not installed");
        return None;
    }
    let config = folder.join("alertmanager.yml");
    std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n").unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut manager = Command::new("prometheus-alertmanager");
    manager.arg(format!("--config.file={}", config.display()));
    manager.arg(format!("--storage.path={}", folder.join("am").display()));
    manager.args([format!("--web.listen-address={address}"), "--cluster.listen-address=".to_owned()]);
    let manager = Running::start(manager.stderr(Stdio::null()).stdout(Stdio::null()));
    wait_for(|| get(address, "/-/ready").ok().filter(|(status, _)| *status == 200)).expect("Alertmanager is ready");
    Some((manager, address))
}

/// Takes what is posted to it.
struct Receiver {
    address: SocketAddr,
    posted: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    fn start(address: SocketAddr) -> Receiver {
        let listener = TcpListener::bind(address).expect("the port is free");
        let posted: Arc<Mutex<Vec<Value>>> = Arc::default();
        let into = posted.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                loop {
                    let (mut line, mut length, mut first) = (String::new(), 0, true);
                    while reader.read_line(&mut line).is_ok_and(|read| read > 0) && line.trim() != "" {
                        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap_or(0);
                        }
                        (line, first) = (String::new(), false);
                    }
                    let mut body = vec![0; length];
                    if first || reader.read_exact(&mut body).is_err() {
                        break;
                    }
                    into.lock().unwrap().extend(serde_json::from_slice::<Value>(&body));
                    if reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        break;
                    }
                }
            }
        });
        Receiver { address, posted }
    }

    /// The first posted document that `wanted` takes.
    fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        until(Duration::from_secs(30), || self.posted.lock().unwrap().iter().find(|posted| wanted(posted)).cloned())
    }
}

#[test]
fn alerts_wait_for_receivers_that_are_down() {
    let folder = tempfile::tempdir().unwrap();
    write_rule(folder.path(), true, "0s");
    let free = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (manager, hook) = (free(), free());
    let object = format!("{{\"url\": \"http://{manager}\", \"path_prefix\": \"/am\"}}");
    let more = [
        format!("--alertmanager.urls={object}"),
        format!("--alertmanager.webhooks=http://{hook}/hook"),
        "--rules.external_labels=cluster=c1".to_owned(),
    ];
    let (program, address) = start(folder.path(), &more);
    alert_in(address, "firing").expect("the alert fires");
    let (manager, hook) = (Receiver::start(manager), Receiver::start(hook));
    let fires = manager.wait(|posted| posted[0]["labels"]["alertname"] == "Always").expect("the alert arrives");
    assert_eq!(fires[0]["labels"]["cluster"], "c1");
    assert_eq!(fires[0]["annotations"]["summary"], "value 1");
    assert!(
        hook.wait(|posted| posted["status"] == "firing" && posted["alerts"][0]["labels"]["severity"] == "critical")
            .is_some()
    );
    write_rule(folder.path(), false, "0s");
    program.signal(libc::SIGHUP);
    let ended = hook.wait(|posted| posted["status"] == "resolved").expect("its end arrives");
    assert_eq!(ended["alerts"][0]["startsAt"], fires[0]["startsAt"]);
    assert_ne!(manager.address, hook.address);
}

/// With Debian's Alertmanager, where it is installed.
#[test]
fn a_real_alertmanager_sees_alerts_begin_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let Some((manager, address)) = alertmanager(folder.path()) else { return };
    write_rule(folder.path(), true, "1s");
    let (program, _) = start(folder.path(), &[format!("--alertmanager.urls=http://{address}")]);
    let active = || {
        let alerts = json(address, "/api/v2/alerts?active=true")?;
        Some(alerts.as_array()?.iter().filter(|alert| alert["labels"]["alertname"] == "Always").count())
    };
    assert!(wait_for(|| active().filter(|count| *count == 1)).is_some(), "the alert is active");
    write_rule(folder.path(), false, "1s");
    program.signal(libc::SIGHUP);
    assert!(wait_for(|| active().filter(|count| *count == 0)).is_some(), "the alert is resolved");
    drop(program);
    manager.stop(libc::SIGTERM, Duration::from_secs(10));
}
