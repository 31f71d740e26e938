//! What is derived from logs, end to end: the shipped pipelines' metrics equal a scan of the lines,
//! rules and dashboards speak of series that there are, and what is wrong in a block is told.

use crate::program::{Running, data_in, free_port, get, logboom, run, wait_for};
use logboom::cli::generate::{Format, Generator};
use logboom::promql;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const LINES: usize = 3_000;

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Starts a shipped pipeline on a file.
fn start(pipeline: &str, variable: &str, file: &Path, folder: &Path, more: &[&str]) -> (Running, SocketAddr) {
    let api = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let program = Running::start(
        logboom()
            .arg(data_in(folder))
            .arg("-f")
            .arg(shipped(pipeline))
            .args([format!("--api.http.port={}", api.port()), "--search.http.port=19200-19399".to_owned()])
            .args(["--series.interval=1s"])
            .args(more)
            .env(variable, file)
            .stdin(Stdio::null()),
    );
    (program, api)
}

/// The answer of an instant query, by labels.
fn query(api: SocketAddr, expr: &str) -> Option<BTreeMap<String, f64>> {
    let encoded: String = expr.bytes().map(|b| format!("%{b:02X}")).collect();
    let (_, body) = get(api, &format!("/api/v1/query?query={encoded}")).ok()?;
    let body: Value = serde_json::from_str(&body).ok()?;
    let result = body["data"]["result"].as_array()?;
    let pair = |one: &Value| Some((one["metric"].to_string(), one["value"][1].as_str()?.parse().ok()?));
    result.iter().map(pair).collect()
}

fn total(api: SocketAddr, expr: &str) -> Option<f64> {
    query(api, expr)?.into_values().next()
}

#[test]
fn requests_of_the_guide_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let text = String::from_utf8(Generator::text(Format::Json, 5, LINES)).unwrap();
    let file = folder.path().join("app.json");
    std::fs::write(&file, &text).unwrap();
    let (program, api) = start("pipelines/safevideo.conf", "SAFEVIDEO_LOG", &file, folder.path(), &[]);

    let mut requests: BTreeMap<(String, String, String), f64> = BTreeMap::new();
    let (mut slow, mut seconds, mut count) = (0.0, 0.0, 0.0);
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let of = |key: &str| event[key].as_str().unwrap_or("").to_owned();
        if event["action"].is_null() {
            continue;
        }
        let status = match (of("level").as_str(), of("status").as_str(), of("action").as_str()) {
            ("ERROR" | "FATAL", ..) => "500",
            (_, "failed", "login") => "401",
            (_, "failed", _) => "400",
            _ => "200",
        };
        *requests.entry((of("service"), of("action"), status.to_owned())).or_default() += 1.0;
        if let Some(ms) = event["duration"].as_f64() {
            (count, seconds) = (count + 1.0, seconds + ms / 1000.0);
            slow += f64::from(ms > 500.0);
        }
    }
    let all: f64 = requests.values().sum();
    assert!(requests.len() > 20 && slow > 0.0);
    let seen = wait_for(|| total(api, "sum(http_requests_total)").filter(|&n| n >= all));
    assert_eq!(seen, Some(all));
    for ((service, action, status), want) in &requests {
        let expr = format!("http_requests_total{{service=\"{service}\",action=\"{action}\",status=\"{status}\"}}");
        assert_eq!(total(api, &expr), Some(*want), "{expr}");
    }
    let sum = total(api, "sum(http_request_duration_seconds_sum)").unwrap();
    assert!((sum - seconds).abs() < 1e-6 * seconds, "{sum} instead of {seconds}");
    let fast = total(api, "sum(http_request_duration_seconds_bucket{le=\"0.5\"})");
    assert_eq!(fast, Some(count - slow));
    assert_eq!(total(api, "histogram_count(sum(http_request_duration_seconds))"), Some(count));
    assert_eq!(program.stop(libc::SIGTERM, Duration::from_secs(20)), Some(0), "it did not stop cleanly");
}

/// Samples of a counter, oldest first.
fn samples(api: SocketAddr, metric: &str) -> Vec<f64> {
    let expr: String = format!("{metric}[1h]").bytes().map(|b| format!("%{b:02X}")).collect();
    let (_, body) = get(api, &format!("/api/v1/query?query={expr}")).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    let all = body["data"]["result"].as_array().unwrap();
    assert!(all.len() <= 1, "{body}");
    let values = all.iter().flat_map(|series| series["values"].as_array().unwrap());
    values.map(|value| value[1].as_str().unwrap().parse().unwrap()).collect()
}

/// Kills the program again and again while its file grows: what is counted is what is there, and no
/// sample is below the one before it.
fn killed_again_and_again(output: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.json");
    let append = |lines: u64| {
        let line = "{\"service\":\"api\",\"level\":\"INFO\",\"duration\":120}\n";
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(&file).unwrap();
        std::io::Write::write_all(&mut log, line.repeat(lines as usize).as_bytes()).unwrap();
    };
    let pipeline = format!(
        "input {{ file {{ path => \"{}\" start_position => beginning codec => json stat_interval => 0.05 }} }}
         filter {{ derive {{ counter => \"own_total\" labels => {{ \"a\" => \"%{{service}}\" }} }} }}
         output {{ {output} }}",
        file.display()
    );
    let api = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let start = || {
        Running::start(
            logboom()
                .arg(data_in(folder.path()))
                .args(["-e", &pipeline])
                .args([format!("--api.http.port={}", api.port()), "--search.http.port=19200-19399".to_owned()])
                .args(["--series.interval=1s", "--index.epoch.interval=900ms", "--log.level=error"])
                .stdin(Stdio::null()),
        )
    };
    let mut lines = 0;
    for round in 0..6_u64 {
        append(700);
        let program = start();
        let seen = wait_for(|| total(api, "sum(log_events_total)").filter(|&n| n > lines as f64));
        assert!(seen.is_some(), "nothing was counted");
        append(300);
        lines += 1_000;
        // At another moment between two epochs and samples each time.
        std::thread::sleep(Duration::from_millis(150 + 370 * round % 1_100));
        assert_eq!(program.stop(libc::SIGKILL, Duration::from_secs(20)), None);
    }
    let program = start();
    let all = wait_for(|| total(api, "log_events_total").filter(|&n| n >= lines as f64));
    assert_eq!(all, Some(lines as f64));
    append(10);
    lines += 10;
    for expr in
        ["own_total", "log_events_total", "log_duration_seconds_count", "log_duration_seconds_bucket{le=\"0.25\"}"]
    {
        let all = wait_for(|| total(api, expr).filter(|&n| n >= lines as f64));
        assert_eq!(all, Some(lines as f64), "{expr}");
        let samples = samples(api, expr);
        assert!(samples.is_sorted() && samples.len() > 6, "{expr} fell: {samples:?}");
    }
    assert_eq!(program.stop(libc::SIGTERM, Duration::from_secs(20)), Some(0), "it did not stop cleanly");
}

#[test]
fn killed_again_and_again_with_the_index() {
    killed_again_and_again("index { stream => xx }");
}

#[test]
fn killed_again_and_again_without_the_index() {
    killed_again_and_again("null { }");
}

const SLOW_LOG: &str = r"/usr/sbin/mysqld, Version: 8.0.36 (MySQL Community Server - GPL). started with:
Tcp port: 3306  Unix socket: /var/run/mysqld/mysqld.sock
Time                 Id Command    Argument
# Time: 2024-01-21T10:30:45.123456Z
# User@Host: app[app] @ web-1 [10.0.0.5]  Id:  1234
# Query_time: 2.345678  Lock_time: 0.000123 Rows_sent: 10  Rows_examined: 100000
use safevideo;
SET timestamp=1705833045;
SELECT *
FROM performers
WHERE name LIKE '%x%';
# Time: 2024-01-21T10:31:00.000001Z
# User@Host: root[root] @ localhost []  Id:  8
# Query_time: 11.000000  Lock_time: 0.000000 Rows_sent: 0  Rows_examined: 7
SET timestamp=1705833060;
update videos set seen = seen + 1;
";

#[test]
fn slow_queries_of_mysql_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slow.log");
    std::fs::write(&file, SLOW_LOG).unwrap();
    let (program, api) = start("pipelines/mysql-slow.conf", "MYSQL_SLOW_LOG", &file, folder.path(), &[]);
    let seen = wait_for(|| total(api, "sum(mysql_slow_queries_total)").filter(|&n| n >= 2.0));
    assert_eq!(seen, Some(2.0));
    let of = |expr: &str| total(api, expr);
    assert_eq!(of("mysql_slow_queries_total{database=\"safevideo\",user=\"app\",command=\"SELECT\"}"), Some(1.0));
    assert_eq!(of("mysql_slow_queries_total{database=\"\",user=\"root\",command=\"UPDATE\"}"), Some(1.0));
    assert_eq!(of("sum(mysql_slow_query_seconds_sum)"), Some(13.345678));
    assert_eq!(of("sum(mysql_slow_rows_examined_total)"), Some(100_007.0));
    assert_eq!(program.stop(libc::SIGTERM, Duration::from_secs(20)), Some(0), "it did not stop cleanly");
}

#[test]
fn every_mistake_of_a_block_is_told() {
    let filters = r#"filter {
        derive { }
        derive { counter => "a" gauge => "b" }
        derive { gauge => "b" }
        derive { counter => "logboom_x" labels => { "le" => "x" "1a" => "x" } }
        derive { histogram => "h" field => "f" buckets => [2, 1, "x"] over => 3 }
        derive { counter => "same_total" }
        derive { gauge => "same_total" field => "x" }
    }"#;
    let error = run("plain", filters, &[], b"").unwrap_err();
    for part in [
        "needs one of `counter`, `gauge` and `histogram`",
        "takes only one of",
        "a gauge needs `field`",
        "`logboom_…` are metrics of this program",
        "cannot name a label `le`",
        "cannot name a label `1a`",
        "the bounds of `buckets` must rise",
        "`x` is no upper bound",
        "`over` is for a gauge only",
        "`same_total` is a counter in pipeline `main`, ",
        ":8, which was the first to define it",
        "(it stays so until a restart); here it is a gauge",
    ] {
        assert!(error.contains(part), "{part} is missing in\n{error}");
    }
}

/// A label that explodes and numbers that are none: bounded, counted, and nothing else suffers.
#[test]
fn bad_input_is_bounded_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.json");
    let odd = ["\"NaN\"", "\"inf\"", "\"-Infinity\"", "\"1e999\"", "\"x\"", "2.5"];
    let line = |n: usize| format!("{{\"user\":\"u{n}\",\"took\":{}}}\n", odd[n % odd.len()]);
    std::fs::write(&file, (0..1_200).map(line).collect::<String>()).unwrap();
    let pipeline = format!(
        "input {{ file {{ path => \"{}\" start_position => beginning codec => json }} }}
         filter {{
           derive {{ counter => \"users_total\" labels => {{ \"user\" => \"%{{user}}\" }} max_series => 50 }}
           derive {{ histogram => \"took_seconds\" field => \"took\" }}
         }}
         output {{ null {{ }} }}",
        file.display()
    );
    let api = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut program = logboom();
    program.arg(data_in(folder.path())).args(["-w", "2", "-e", &pipeline]);
    program.args([format!("--api.http.port={}", api.port()), "--series.interval=1s".to_owned()]);
    let program = Running::start(program.stdin(Stdio::null()).stderr(Stdio::null()));
    let all = wait_for(|| total(api, "sum(users_total)").filter(|&n| n >= 1_200.0));
    assert_eq!(all, Some(1_200.0), "no event is lost");
    assert_eq!(total(api, "count(users_total)"), Some(51.0));
    assert_eq!(total(api, "users_total{user=\"other\"}"), Some(1_150.0));
    assert_eq!(total(api, "logboom_derive_overflow_total{metric=\"users_total\"}"), Some(1_150.0));
    let (count, sum) = (total(api, "took_seconds_count").unwrap(), total(api, "took_seconds_sum").unwrap());
    assert_eq!((count, sum), (200.0, 500.0));
    let ignored = total(api, "logboom_derive_ignored_total{metric=\"took_seconds\"}");
    assert_eq!(ignored, Some(800.0));
    assert_eq!(program.stop(libc::SIGTERM, Duration::from_secs(20)), Some(0), "it did not stop cleanly");
}

/// Filters that follow each other are counted in one pass: each as it stands, with what the one
/// before adds, and with figures of its own.
#[test]
fn neighbours_count_as_if_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.json");
    let line = |n: usize| format!("{{\"user\":\"u{}\",\"took\":{n}}}\n", n % 3);
    std::fs::write(&file, (0..900).map(line).collect::<String>()).unwrap();
    let pipeline = format!(
        "input {{ file {{ path => \"{}\" start_position => beginning codec => json }} }}
         filter {{
           derive {{ id => first counter => \"first_total\" labels => {{ \"user\" => \"%{{user}}\" }} }}
           derive {{ id => second gauge => \"second\" field => took add_field => {{ mark => \"m\" }} }}
           derive {{ id => third counter => \"third_total\" labels => {{ \"mark\" => \"%{{mark}}\" }} }}
           if [user] == \"u1\" {{
             derive {{ id => fourth counter => \"fourth_total\" }}
             derive {{ id => fifth histogram => \"fifth\" field => took labels => {{ \"user\" => \"%{{user}}\" }} }}
           }}
         }}
         output {{ null {{ }} }}",
        file.display()
    );
    let api = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut program = logboom();
    program.arg(data_in(folder.path())).args(["-w", "1", "-e", &pipeline]);
    program.args([format!("--api.http.port={}", api.port()), "--series.interval=1s".to_owned()]);
    let program = Running::start(program.stdin(Stdio::null()).stderr(Stdio::null()));
    assert_eq!(wait_for(|| total(api, "third_total{mark=\"m\"}").filter(|&n| n >= 900.0)), Some(900.0));
    for (expr, want) in [
        ("first_total{user=\"u2\"}", 300.0),
        ("second", 899.0),
        ("count(third_total)", 1.0),
        ("fourth_total", 300.0),
        ("fifth_count{user=\"u1\"}", 300.0),
        ("fifth_sum{user=\"u1\"}", (0..900).filter(|n| n % 3 == 1).sum::<usize>() as f64),
    ] {
        assert_eq!(wait_for(|| total(api, expr).filter(|&n| n == want)), Some(want), "{expr}");
    }
    let stats: Value = serde_json::from_str(&get(api, "/_node/stats/pipelines").unwrap().1).unwrap();
    let filters = stats["pipelines"]["main"]["plugins"]["filters"].as_array().unwrap();
    let through: Vec<(&str, Option<u64>)> =
        filters.iter().map(|filter| (filter["id"].as_str().unwrap(), filter["events"]["out"].as_u64())).collect();
    let want = [("first", 900), ("second", 900), ("third", 900), ("fourth", 300), ("fifth", 300)];
    assert_eq!(through, want.map(|(id, events)| (id, Some(events))));
    assert_eq!(program.stop(libc::SIGTERM, Duration::from_secs(20)), Some(0), "it did not stop cleanly");
}

/// What a metric is, it stays until a restart: another kind is refused, with both places.
#[test]
fn a_metric_keeps_its_kind_through_reloads() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("a.conf");
    let write = |kind: &str| {
        let text = format!(
            "input {{ generator {{ lines => ['{{\"n\":1}}'] count => 5 codec => json }} stdin {{ }} }}
             filter {{ derive {{ {kind} => \"own_total\" field => \"n\" }} }} output {{ null {{ }} }}"
        );
        std::fs::write(&conf, text).unwrap();
    };
    write("counter");
    let api = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut program = logboom();
    program.arg(data_in(folder.path())).arg("-f").arg(&conf).arg(format!("--api.http.port={}", api.port()));
    program.args(["--series.interval=1s", "--pipeline.ecs_compatibility=disabled"]);
    let program = Running::start(program.stdin(Stdio::piped()).stderr(Stdio::null()));
    assert_eq!(wait_for(|| total(api, "own_total").filter(|n| *n == 5.0)), Some(5.0));
    write("gauge");
    program.signal(libc::SIGHUP);
    let refused = wait_for(|| {
        let (_, body) = get(api, "/_node/stats/pipelines").ok()?;
        let body: Value = serde_json::from_str(&body).ok()?;
        Some(body["pipelines"]["main"]["reloads"]["last_error"]["message"].as_str()?.to_owned())
    });
    let refused = refused.expect("the change is refused");
    for part in ["a.conf:2:", "`own_total` is a counter in pipeline `main`, ", "a.conf:2, which", "here it is a gauge"]
    {
        assert!(refused.contains(part), "{part} is missing in {refused}");
    }
    assert_eq!(total(api, "own_total"), Some(5.0), "the running configuration goes on");
}

#[test]
fn dashboards_are_right() {
    for name in ["overview", "business", "database", "security"] {
        let text = std::fs::read_to_string(shipped(&format!("config/grafana/{name}.json"))).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        assert!(panels.len() >= 6, "{name}");
        for target in panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
            let expr = target["expr"].as_str().unwrap();
            promql::parse(expr).unwrap_or_else(|wrong| panic!("{name}: {expr}: {}", promql::describe(&wrong, expr)));
        }
    }
}

#[test]
fn every_alert_has_its_runbook() {
    for file in ["safevideo", "logboom"] {
        let text = std::fs::read_to_string(shipped(&format!("config/rules/{file}.yml"))).unwrap();
        let alerts: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
        assert!(alerts.len() >= 5);
        for alert in alerts {
            let page = std::fs::read_to_string(shipped(&format!("docs/runbooks/{alert}.md"))).unwrap_or_default();
            assert!(page.starts_with(&format!("# {alert}\n")), "{alert} has no runbook");
            assert!(text.contains(&format!("docs/runbooks/{alert}.md")), "{alert} does not name its runbook");
        }
    }
}
