//! What leaves the program arrives at real peers as it is: remote write of both protocols at
//! Prometheus, pushes at a Pushgateway and by OTLP, over TLS and with passwords. The tools that come
//! with the peers find nothing to object to, and take the program for a Prometheus.

use crate::harness::Daemon;
use crate::peer::{Peer, free_address, installed, json, left_out, number, of_prometheus, query};
use crate::program::{get, until, wait_for};
use logboom::endpoint::{Endpoint, members};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A pipeline from a file to metrics of each kind.
fn pipeline(file: &Path) -> String {
    format!(
        "input {{ file {{ path => \"{}\" start_position => beginning codec => json stat_interval => 0.05 }} }}
         filter {{
           derive {{ counter => \"own_total\" help => \"Own things.\" labels => {{ service => \"%{{service}}\" }} }}
           if [service] == \"brief\" {{ derive {{ counter => \"brief_total\" expire => 2 }} }}
           derive {{ gauge => \"own_level\" field => \"level\" labels => {{ service => \"%{{service}}\" }} }}
           derive {{ histogram => \"own_seconds\" field => \"took\" native => true }}
           derive {{ histogram => \"own_classic_seconds\" field => \"took\" buckets => [0.1, 1, 10] }}
         }}
         output {{ null {{ }} }}",
        file.display()
    )
}

/// Lines `from` to `to` of the log; each with a trace.
fn write_lines(file: &Path, from: u32, to: u32) {
    let mut text = String::new();
    for n in from..to {
        let (service, took) = (["api", "web", "brief"][n as usize % 3], f64::from(n % 700) * 0.013 + 0.001);
        let level = f64::from(n % 17) - 4.5;
        text += &format!("{{\"service\":\"{service}\",\"took\":{took},\"level\":{level},\"traceId\":\"t{n}\"}}\n");
    }
    let mut log = std::fs::File::options().create(true).append(true).open(file).unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

/// The program on such a pipeline, sampled each second.
fn start(folder: &Path, more: &[String]) -> (Daemon, PathBuf) {
    let file = folder.join("app.json");
    write_lines(&file, 0, 900);
    let mut all = vec!["--series.interval=1s", "--log.level=warn"];
    all.extend(more.iter().map(String::as_str));
    (Daemon::start(&folder.join("data"), &pipeline(&file), &all), file)
}

/// Waits until all lines of [`start`] are counted.
fn all_counted(program: &Daemon) {
    let seen = wait_for(|| number(program.api, "sum(own_total)").filter(|n| *n == 900.0));
    assert!(seen.is_some(), "not all is counted: {}", program.log());
}

fn now() -> f64 {
    jiff::Timestamp::now().as_millisecond() as f64 / 1e3
}

/// All samples of all series until a time, by labels, as the API gives them.
fn samples(address: SocketAddr, expr: &str, until: f64) -> Option<BTreeMap<String, String>> {
    let all = query(address, &format!("{expr}[10m]"), Some(until))?;
    let one = |series: &Value| (series["metric"].to_string(), format!("{} {}", series["values"], series["histograms"]));
    Some(all.iter().map(one).collect())
}

/// Writes to a Prometheus for some seconds, a series that ends within them, and compares all that
/// both have.
fn same_series(prometheus: &Peer, protocol: &str) -> (Daemon, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{{\"url\":\"http://{}/api/v1/write\",\"protocol_version\":\"{protocol}\"}}", prometheus.address);
    let (program, file) = start(folder.path(), &[format!("--remote_write.urls={url}")]);
    let arrived = |expr: &str, at_least: f64| {
        let seen = wait_for(|| number(prometheus.address, expr).filter(|n| *n >= at_least));
        assert!(seen.is_some(), "{expr} does not arrive: {}{}", program.log(), prometheus.log());
    };
    arrived("sum(own_total)", 900.0);
    arrived("brief_total", 300.0);
    // A marker ends `brief_total`; series that are looked for each ten seconds.
    let gone = wait_for(|| query(prometheus.address, "brief_total", None).filter(Vec::is_empty));
    assert!(gone.is_some(), "no marker ends the series: {:?}", query(program.api, "brief_total", None));
    write_lines(&file, 900, 1_500);
    arrived("sum(own_total)", 1_500.0);
    let end = now();
    arrived("timestamp(own_total{service=\"api\"})", end);
    let selector = "{__name__=~\".+\"}";
    let (ours, theirs) = (samples(program.api, selector, end), samples(prometheus.address, selector, end));
    let (ours, theirs) = (ours.expect("we answer"), theirs.expect("Prometheus answers"));
    assert!(ours.len() > 50 && ours.keys().eq(theirs.keys()), "{:?}\n{:?}", ours.keys(), theirs.keys());
    for (labels, want) in &ours {
        assert_eq!(&theirs[labels], want, "{labels}: {}{}", program.log(), prometheus.log());
    }
    // What both make of the end of a series, at the same times.
    for back in 0..40 {
        for expr in ["brief_total", "own_seconds", "sum(rate(own_total[5s]))"] {
            let at = Some((end - f64::from(back) * 0.5).floor() + 0.4);
            assert_eq!(query(prometheus.address, expr, at), query(program.api, expr, at), "{expr} at {at:?}");
        }
    }
    assert_eq!(number(prometheus.address, "histogram_count(own_seconds)"), Some(1_500.0));
    assert_eq!(number(prometheus.address, "own_classic_seconds_count"), Some(1_500.0));
    let failed = number(program.api, "sum(logboom_remote_write_samples_failed_total)");
    assert_eq!(failed, Some(0.0), "{}", program.log());
    (program, folder)
}

/// Exemplars of a metric: series, trace, value and time.
fn exemplars(address: SocketAddr, metric: &str) -> Option<Vec<String>> {
    let answer = json(address, &format!("/api/v1/query_exemplars?query={metric}&start=0&end={}", now() + 60.0))?;
    let mut all = Vec::new();
    for series in answer["data"].as_array()? {
        all.extend(
            series["exemplars"].as_array()?.iter().map(|exemplar| format!("{} {exemplar}", series["seriesLabels"])),
        );
    }
    all.sort();
    Some(all)
}

#[test]
fn remote_write_1_brings_our_series_to_prometheus_2() {
    let Some(binary) = of_prometheus("prometheus", 2) else { return left_out("Prometheus 2") };
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--enable-feature=native-histograms,exemplar-storage"];
    let prometheus = Peer::prometheus(&binary, folder.path(), free_address(), &flags).ready();
    let (program, _folder) = same_series(&prometheus, "1.0");
    let theirs = exemplars(prometheus.address, "own_classic_seconds_bucket").unwrap();
    assert!(!theirs.is_empty(), "no exemplars");
    assert_eq!(theirs, exemplars(program.api, "own_classic_seconds_bucket").unwrap());
    prometheus.stop();
}

/// Native histograms are off in Prometheus 2 where nobody switches them on: it gets the rest.
#[test]
fn a_prometheus_without_native_histograms_gets_the_rest() {
    let Some(binary) = of_prometheus("prometheus", 2) else { return left_out("Prometheus 2") };
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Peer::prometheus(&binary, folder.path(), free_address(), &[]).ready();
    let own = tempfile::tempdir().unwrap();
    let (program, _) = start(own.path(), &[format!("--remote_write.urls=http://{}/api/v1/write", prometheus.address)]);
    let all = "{__name__=~\"own_.*\"}";
    let count = |address, expr: &str| query(address, expr, None).map(|found| found.len());
    let floats = "{__name__=~\"own_.*\", __name__!=\"own_seconds\"}";
    all_counted(&program);
    let counts = || (count(program.api, floats), count(prometheus.address, all));
    let same = wait_for(|| Some(counts()).filter(|(ours, theirs)| ours == theirs && ours.is_some_and(|n| n > 10)));
    assert!(same.is_some(), "{:?}: {}{}", counts(), program.log(), prometheus.log());
    let failed = wait_for(|| number(program.api, "logboom_remote_write_samples_failed_total").filter(|n| *n > 0.0));
    assert!(failed.is_some() && program.log().contains("takes no native histograms"), "{}", program.log());
    prometheus.stop();
}

#[test]
fn remote_write_2_brings_our_series_to_prometheus_3() {
    let Some(binary) = of_prometheus("prometheus", 3) else { return left_out("Prometheus 3") };
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--enable-feature=exemplar-storage"];
    let prometheus = Peer::prometheus(&binary, folder.path(), free_address(), &flags).ready();
    let (program, _folder) = same_series(&prometheus, "2.0");
    for metric in ["own_classic_seconds_bucket", "own_seconds", "own_total"] {
        let theirs = exemplars(prometheus.address, metric).unwrap();
        assert!(!theirs.is_empty(), "no exemplars of {metric}");
        assert_eq!(theirs, exemplars(program.api, metric).unwrap(), "{metric}");
    }
    let (_, text) = get(prometheus.address, "/metrics").unwrap();
    let line = text.lines().find(|line| line.starts_with("prometheus_api_remote_write_invalid_labels_samples_total"));
    assert_eq!(line.and_then(|line| line.split(' ').nth(1)), Some("0"), "{line:?}");
    prometheus.stop();
}

/// Prometheus shows what it was told of metrics by labels, and of births by zeros of its own.
#[test]
fn remote_write_2_says_what_metrics_are_and_when_they_began() {
    let Some(binary) = of_prometheus("prometheus", 3) else { return left_out("Prometheus 3") };
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--enable-feature=type-and-unit-labels,created-timestamp-zero-ingestion"];
    let prometheus = Peer::prometheus(&binary, folder.path(), free_address(), &flags).ready();
    let url = format!("{{\"url\":\"http://{}/api/v1/write\",\"protocol_version\":\"2.0\"}}", prometheus.address);
    let own = tempfile::tempdir().unwrap();
    let (program, _) = start(own.path(), &[format!("--remote_write.urls={url}")]);
    for (expr, want) in [
        ("sum(own_total{__type__=\"counter\"})", 900.0),
        ("count(own_level{__type__=\"gauge\"})", 3.0),
        ("histogram_count(own_seconds{__type__=\"histogram\"})", 900.0),
        ("own_classic_seconds_count{__type__=\"histogram\"}", 900.0),
        // From the zero at their birth on, all is growth.
        ("sum(increase(own_total[1m])) > bool 899", 1.0),
        ("histogram_count(sum(increase(own_seconds[1m]))) > bool 899", 1.0),
    ] {
        let seen = wait_for(|| number(prometheus.address, expr).filter(|n| *n == want));
        let got = query(prometheus.address, expr, None);
        assert_eq!(seen, Some(want), "{expr}: {got:?} {}{}", program.log(), prometheus.log());
    }
    prometheus.stop();
}

#[test]
fn a_pushgateway_shows_what_we_show() {
    if !installed("prometheus-pushgateway") {
        return left_out("prometheus-pushgateway");
    }
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut command = Command::new("prometheus-pushgateway");
    command.arg(format!("--web.listen-address={address}"));
    let gateway = Peer::start(&mut command, address, folder.path().join("gateway.log")).ready();
    let more = [
        format!("--pushgateway.urls=http://{address}"),
        "--pushgateway.interval=1s".to_owned(),
        "--pushgateway.job=the logs".to_owned(),
        "--node.name=n1".to_owned(),
    ];
    let (program, file) = start(folder.path(), &more);
    let lines = |address: SocketAddr, metric: &str| {
        let (_, text) = get(address, "/metrics").ok()?;
        // Without the labels of the group.
        let plain = |line: &str| {
            let line = line.replace("instance=\"n1\"", "").replace("job=\"the logs\"", "").replace(",,", ",");
            line.replace("{,", "{").replace(",}", "}").replace("{}", "")
        };
        let mut values: Vec<String> = text.lines().filter(|line| line.starts_with(metric)).map(plain).collect();
        values.sort();
        Some(values)
    };
    for (from, to) in [(900, 1_000), (1_000, 1_300)] {
        write_lines(&file, from, to);
        // What we show is read again each time: a first look may fall between two metrics of a batch.
        let equal = wait_for(|| {
            let (own, seen) = (lines(program.api, "own_")?, lines(address, "own_")?);
            (own == seen && own.iter().any(|line| line.ends_with(&format!(" {to}")))).then_some(())
        });
        let now = [program.api, address].map(|address| lines(address, "own_"));
        assert!(equal.is_some(), "{now:?}\n{}", program.log());
    }
    gateway.stop();
}

/// Prometheus 3 takes OTLP as a collector does.
#[test]
fn otlp_brings_our_metrics_to_prometheus_3() {
    let Some(binary) = of_prometheus("prometheus", 3) else { return left_out("Prometheus 3") };
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Peer::prometheus(&binary, folder.path(), free_address(), &["--web.enable-otlp-receiver"]).ready();
    let more = [
        "--otel.metrics.enabled=true".to_owned(),
        format!("--otel.exporter.otlp.endpoint=http://{}/api/v1/otlp/v1/metrics", prometheus.address),
        "--otel.metric.export.interval=1s".to_owned(),
    ];
    let (program, _) = start(folder.path(), &more);
    for (expr, want) in [
        ("sum(own_total{job=\"logboom\"})", 900.0),
        ("own_total{service=\"api\"}", 300.0),
        ("own_classic_seconds_count", 900.0),
        ("own_classic_seconds_bucket{le=~\"1|1.0\"}", 154.0),
        ("histogram_count(own_seconds)", 900.0),
    ] {
        let seen = wait_for(|| number(prometheus.address, expr).filter(|n| *n == want));
        let got = query(prometheus.address, expr, None);
        assert_eq!(seen, Some(want), "{expr}: {got:?} {}{}", program.log(), prometheus.log());
    }
    // The same quantile as from the histogram that we show.
    let quantile = "histogram_quantile(0.9, sum(own_seconds))";
    let (want, got) = (number(program.api, quantile).unwrap(), number(prometheus.address, quantile).unwrap());
    assert!((want - got).abs() < 1e-9 * want, "{got} instead of {want}");
    prometheus.stop();
}

/// A certificate authority, and what it signed for a server on this machine and for a client.
fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    std::fs::write(folder.join("server.ext"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n").unwrap();
    std::fs::write(folder.join("client.ext"), "subjectAltName=DNS:client\nextendedKeyUsage=clientAuth\n").unwrap();
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority");
    for name in ["server", "client"] {
        openssl(&format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile {name}.ext"
        ));
    }
    let config = "tls_server_config: {cert_file: server.pem, key_file: server.key, client_ca_file: ca.pem, \
                  client_auth_type: RequireAndVerifyClientCert}\n\
                  basic_auth_users: {user: $2b$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu}\n";
    std::fs::write(folder.join("web.yml"), config).unwrap();
}

/// The members of an endpoint behind such a server; the password is in a file.
fn behind_tls(folder: &Path, url: &str, password_file: &str) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    format!(
        "{{\"url\":\"{url}\",\"tls_config\":{{\"ca_file\":\"{}\",\"cert_file\":\"{}\",\"key_file\":\"{}\"}},\
         \"basic_auth\":{{\"username\":\"user\",\"password_file\":\"{}\"}}}}",
        path("ca.pem"),
        path("client.pem"),
        path("client.key"),
        path(password_file)
    )
}

/// What an endpoint answers to a GET, in JSON.
fn ask(endpoint: &Endpoint, path: &str) -> Option<Value> {
    let answer = endpoint.send("GET", &format!("{}{path}", endpoint.url), &[], b"").ok()?;
    serde_json::from_str(&answer.body).ok()
}

#[test]
fn peers_behind_tls_and_passwords_are_reached() {
    let Some(binary) = of_prometheus("prometheus", 2).or_else(|| of_prometheus("prometheus", 3)) else {
        return left_out("Prometheus");
    };
    if !installed("prometheus-alertmanager") || Command::new("openssl").arg("version").output().is_err() {
        return left_out("prometheus-alertmanager or openssl");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    certificates(path);
    std::fs::write(path.join("password"), "geheim\n").unwrap();
    std::fs::write(path.join("wrong"), "geheimer\n").unwrap();
    let web = format!("--web.config.file={}", path.join("web.yml").display());
    let (metrics, alerts) = (free_address(), free_address());
    let prometheus = Peer::prometheus(&binary, path, metrics, &[&web, "--enable-feature=native-histograms"]);
    let manager = Peer::alertmanager(path, alerts, &[&web]);
    let reach = |address: SocketAddr| {
        let text = behind_tls(path, &format!("https://{address}"), "password");
        Endpoint::take(&mut members(&text).unwrap()).unwrap()
    };
    let (reader, alert_reader) = (reach(metrics), reach(alerts));
    let ready = |endpoint: &Endpoint| {
        let url = format!("{}/-/ready", endpoint.url);
        wait_for(|| endpoint.send("GET", &url, &[], b"").ok().filter(|answer| answer.status == 200))
    };
    assert!(ready(&reader).is_some(), "{}", prometheus.log());
    assert!(ready(&alert_reader).is_some(), "{}", manager.log());
    let rules = path.join("rules.yml");
    let text = "groups:\n- name: g\n  interval: 1s\n  rules:\n  - alert: Seen\n    expr: sum(own_total) > 0\n";
    std::fs::write(&rules, text).unwrap();
    let write = format!("https://{metrics}/api/v1/write");
    let more = [
        format!("--rules.files={}", rules.display()),
        format!("--alertmanager.urls={}", behind_tls(path, &format!("https://{alerts}"), "password")),
        format!("--remote_write.urls={}", behind_tls(path, &write, "password")),
    ];
    let (program, _) = start(path, &more);
    let sum = || {
        let answer = ask(&reader, "/api/v1/query?query=sum(own_total)")?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    let seen = wait_for(|| sum().filter(|n| n == "900"));
    assert!(seen.is_some(), "{:?}: {}{}", sum(), program.log(), prometheus.log());
    let alert = wait_for(|| {
        let all = ask(&alert_reader, "/api/v2/alerts")?;
        all.as_array()?.iter().find(|alert| alert["labels"]["alertname"] == "Seen").cloned()
    });
    assert!(alert.is_some(), "no alert arrives: {}{}", program.log(), manager.log());
    drop(program);

    // A wrong password is refused for good, an unknown authority is tried again; both are counted.
    let unknown = format!("{{\"url\":\"{write}\"}}");
    for (target, counter) in [
        (behind_tls(path, &write, "wrong"), "logboom_remote_write_samples_failed_total"),
        (unknown, "logboom_remote_write_retries_total"),
    ] {
        let own = tempfile::tempdir().unwrap();
        let (program, _) = start(own.path(), &[format!("--remote_write.urls={target}")]);
        let counted = wait_for(|| number(program.api, counter).filter(|n| *n > 0.0));
        assert!(counted.is_some(), "{counter}: {}", program.log());
    }
    prometheus.stop();
    manager.stop();
}

fn shipped(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

/// Runs a tool with this on its standard input; whether it went well, and what it said.
fn tool(command: &Path, arguments: &[&str], input: &[u8]) -> (bool, String) {
    use std::process::Stdio;
    let mut child = Command::new(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a tool runs");
    child.stdin.take().expect("it has a standard input").write_all(input).expect("it reads its input");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// The promtools that are there.
fn promtools() -> Vec<PathBuf> {
    [2, 3].into_iter().filter_map(|major| of_prometheus("promtool", major)).collect()
}

#[test]
fn tools_of_the_peers_find_nothing_wrong() {
    if promtools().is_empty() {
        return left_out("promtool");
    }
    let folder = tempfile::tempdir().unwrap();
    let rules = ["config/rules/safevideo.yml", "config/rules/logboom.yml"].map(shipped);
    let (program, _) = start(folder.path(), &[]);
    all_counted(&program);
    for promtool in promtools() {
        for file in &rules {
            let (well, text) = tool(&promtool, &["check", "rules", file], b"");
            assert!(well && text.contains("SUCCESS"), "{file}: {text}");
        }
        let (well, text) = tool(&promtool, &["check", "config", &shipped("config/prometheus.yml")], b"");
        assert!(well, "{text}");
        let (_, metrics) = get(program.api, "/metrics").unwrap();
        let (well, text) = tool(&promtool, &["check", "metrics"], metrics.as_bytes());
        assert!(well && text.is_empty(), "{text}");
    }
    if !installed("amtool") {
        return left_out("amtool");
    }
    let (well, text) = tool(Path::new("amtool"), &["check-config", &shipped("config/alertmanager.yml")], b"");
    assert!(well && text.contains("SUCCESS"), "{text}");
}

/// `promtool query` asks what Grafana asks.
#[test]
fn promtool_takes_us_for_a_prometheus() {
    if promtools().is_empty() {
        return left_out("promtool");
    }
    let folder = tempfile::tempdir().unwrap();
    let (program, _) = start(folder.path(), &[]);
    all_counted(&program);
    let server = format!("http://{}", program.api);
    let (start, end) = (format!("{:.0}", now() - 30.0), format!("{:.0}", now() + 5.0));
    for promtool in promtools() {
        let check = |arguments: &[&str], parts: &[&str]| {
            let arguments: Vec<&str> = ["query"].iter().chain(arguments).copied().collect();
            let (well, text) = tool(&promtool, &arguments, b"");
            assert!(well && parts.iter().all(|part| text.contains(part)), "{arguments:?}: {text}");
        };
        check(&["instant", &server, "own_total"], &["own_total{service=\"api\"} => 300 @["]);
        check(&["instant", &server, "sum(own_total)"], &["{} => 900 @["]);
        check(&["instant", &server, "1 + 1"], &["scalar: 2 @["]);
        if Some(&promtool) == of_prometheus("promtool", 3).as_ref() {
            // The older one knows no native histograms.
            check(&["instant", &server, "own_seconds"], &["own_seconds => Count: 900.000000, Sum: 3440.05"]);
        }
        check(&["instant", &server, "own_total[5s]"], &["own_total{service=\"web\"} =>\n", "\n300 @["]);
        let span = [format!("--start={start}"), format!("--end={end}")];
        let range = ["range", &span[0], &span[1], "--step=5s", &server, "sum(own_total)"];
        check(&range, &["{} =>\n", "900 @["]);
        check(
            &["series", &span[0], &span[1], "--match=own_total", &server],
            &["{__name__=\"own_total\", service=\"web\"}"],
        );
        check(&["labels", &span[0], &span[1], &server, "service"], &["api\nbrief\nweb\n"]);
        let (well, text) = tool(&promtool, &["query", "instant", &server, "sum("], b"");
        assert!(!well && text.contains("bad_data"), "{text}");
    }
}

/// The text of chapter 6.2 of the operations guide, requests that spend its budgets, and the alerts
/// at a real Alertmanager.
#[test]
fn a_spent_budget_is_an_alert_at_alertmanager() {
    if !installed("prometheus-alertmanager") {
        return left_out("prometheus-alertmanager");
    }
    let folder = tempfile::tempdir().unwrap();
    let manager = Peer::alertmanager(folder.path(), free_address(), &[]).ready();
    let file = folder.path().join("app.json");
    let requests = |count: usize, level: &str, duration: u32| {
        let line =
            format!("{{\"service\":\"api\",\"action\":\"upload\",\"level\":\"{level}\",\"duration\":{duration}}}\n");
        let mut log = std::fs::File::options().create(true).append(true).open(&file).unwrap();
        log.write_all(line.repeat(count).as_bytes()).unwrap();
    };
    requests(900, "INFO", 120);
    let rules = shipped("tests/rules/guide.slo.yml");
    let shipped_pipeline = shipped("pipelines/safevideo.conf");
    let arguments = [
        "--series.interval=1s",
        "--rules.evaluation_interval=1s",
        &format!("--rules.files={rules}"),
        &format!("--alertmanager.urls=http://{}", manager.address),
        "-f",
        &shipped_pipeline,
    ];
    let variable = [("SAFEVIDEO_LOG", file.to_str().unwrap())];
    let program = Daemon::start_as(&folder.path().join("data"), &arguments, &variable);
    let remaining = |slo: &str| number(program.api, &format!("slo:error_budget:remaining{{slo=\"{slo}\"}}"));
    let untouched = wait_for(|| remaining("availability").filter(|share| *share == 1.0));
    assert_eq!(untouched, Some(1.0), "{}", program.log());
    let active = |slo: &str| {
        let all = json(manager.address, "/api/v2/alerts?active=true")?;
        let of = |alert: &&Value| alert["labels"]["alertname"] == "SLOBudgetBurn" && alert["labels"]["slo"] == slo;
        let found: Vec<Value> = all.as_array()?.iter().filter(of).cloned().collect();
        (!found.is_empty()).then_some(found)
    };
    assert_eq!(active("availability"), None);
    // One in ten fails, and is slow.
    let spent = until(Duration::from_secs(90), || {
        requests(9, "INFO", 120);
        requests(1, "ERROR", 800);
        std::thread::sleep(Duration::from_millis(100));
        active("availability")
    });
    let alerts = spent.unwrap_or_else(|| panic!("no alert: {:?} {}", remaining("availability"), program.log()));
    let critical = alerts.iter().find(|alert| alert["labels"]["severity"] == "critical");
    let critical = critical.unwrap_or_else(|| panic!("none is critical: {alerts:?}"));
    assert_eq!(critical["labels"]["sli"], "availability");
    // What is left of a budget is looked at once in a minute.
    for (slo, at_most) in [("availability", 0.0), ("latency", 0.9)] {
        let left = until(Duration::from_secs(90), || remaining(slo).filter(|share| *share < at_most));
        assert!(left.is_some(), "{slo}: {:?}", remaining(slo));
    }
    drop(program);
    manager.stop();
}
