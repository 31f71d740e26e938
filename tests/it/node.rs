//! The management API of a running daemon.

use crate::harness::Daemon;
use crate::program::{get, request, until};
use serde_json::{Value, json};
use std::time::Duration;

const PIPELINE: &str = "
input { generator { lines => ['{\"n\":1}'] count => 2000 } file { path => '/nonexistent/*' } }
filter {
  if [message] =~ /n/ { json { id => parse source => message } } else { drop { } }
}
output { null { id => sink } }";

fn daemon(dir: &tempfile::TempDir, more: &[&str]) -> Daemon {
    let daemon = Daemon::start(&dir.path().join("data"), PIPELINE, more);
    let through = until(Duration::from_secs(20), || {
        let stats = get(daemon.api, "/_node/stats/pipelines/main").ok()?.1;
        let stats: Value = serde_json::from_str(&stats).ok()?;
        (stats["pipelines"]["main"]["events"]["out"] == 2000).then_some(())
    });
    assert!(through.is_some(), "{}", daemon.log());
    daemon
}

/// Every path that `shape` has is there, with a value of the same kind.
fn has(shape: &Value, value: &Value, path: &str) {
    match (shape, value) {
        (Value::Object(shape), Value::Object(value)) => {
            for (key, shape) in shape {
                let inner = value.get(key).unwrap_or_else(|| panic!("{path}.{key} is missing in {value:?}"));
                has(shape, inner, &format!("{path}.{key}"));
            }
        }
        (Value::Array(shape), Value::Array(value)) => {
            assert!(value.len() >= shape.len(), "{path}: {value:?}");
            shape.iter().zip(value).for_each(|(shape, value)| has(shape, value, path));
        }
        (Value::Number(_), Value::Number(_)) | (Value::String(_), Value::String(_)) => {}
        _ => assert_eq!(shape, value, "{path}"),
    }
}

#[test]
fn answers_have_logstash_s_shapes() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = daemon(&dir, &[]);
    let head = json!({ "host": "", "version": "", "http_address": "", "id": "", "name": "", "ephemeral_id": "",
        "snapshot": false, "status": "green", "pipeline": { "workers": 0, "batch_size": 0, "batch_delay": 0 } });
    for path in ["/", "/_node", "/_node/stats", "/_node/plugins", "/_node/hot_threads", "/_node/logging"] {
        has(&head, &daemon.node(path), path);
    }
    let rates = json!({ "current": 0.0, "lifetime": 0.0 });
    let pipeline_flow = json!({ "input_throughput": rates, "filter_throughput": rates, "output_throughput": rates,
        "queue_backpressure": rates, "worker_concurrency": rates, "worker_utilization": rates });
    let events =
        json!({ "in": 0, "filtered": 0, "out": 0, "duration_in_millis": 0, "queue_push_duration_in_millis": 0 });
    let stats = daemon.node("/_node/stats");
    has(
        &json!({
            "jvm": { "threads": { "count": 0, "peak_count": 0 }, "uptime_in_millis": 0,
                "mem": { "heap_used_percent": 0, "heap_used_in_bytes": 0, "heap_max_in_bytes": 0, "pools": { "old": { "used_in_bytes": 0 } } },
                "gc": { "collectors": { "old": { "collection_count": 0 }, "young": { "collection_time_in_millis": 0 } } } },
            "process": { "open_file_descriptors": 0, "peak_open_file_descriptors": 0, "max_file_descriptors": 0,
                "mem": { "total_virtual_in_bytes": 0 }, "cpu": { "total_in_millis": 0, "percent": 0, "load_average": { "1m": 0.0 } } },
            "events": events, "reloads": { "successes": 0, "failures": 0 }, "os": {}, "queue": { "events_count": 0 },
            "flow": { "input_throughput": rates, "queue_backpressure": rates, "worker_concurrency": rates },
            "pipelines": { "main": {
                "events": events, "flow": pipeline_flow,
                "plugins": {
                    "inputs": [{ "id": "", "name": "", "flow": { "throughput": rates }, "events": { "out": 0, "queue_push_duration_in_millis": 0 } }],
                    "codecs": [{ "id": "", "name": "plain", "decode": { "writes_in": 0, "out": 0, "duration_in_millis": 0 },
                        "encode": { "writes_in": 0, "duration_in_millis": 0 } }],
                    "filters": [{ "id": "parse", "name": "json", "flow": { "worker_utilization": rates, "worker_millis_per_event": rates },
                        "events": { "in": 0, "out": 0, "duration_in_millis": 0 } }],
                    "outputs": [{ "id": "sink", "name": "null", "events": { "in": 0, "out": 0, "duration_in_millis": 0 } }],
                },
                "reloads": { "last_error": null, "successes": 0, "failures": 0, "last_success_timestamp": null, "last_failure_timestamp": null },
                "queue": { "type": "memory", "events_count": 0, "queue_size_in_bytes": 0, "max_queue_size_in_bytes": 0 },
                "hash": "", "ephemeral_id": "",
            } },
        }),
        &stats,
        "",
    );
    let main = &stats["pipelines"]["main"];
    assert_eq!(main["plugins"]["filters"][0]["events"]["in"], 2000, "{main}");
    assert!(main["flow"]["input_throughput"]["current"].as_f64().unwrap() > 0.0, "{main}");
    let two = daemon.node("/_node/stats/events,flow");
    assert!(two.get("events").is_some() && two.get("flow").is_some() && two.get("jvm").is_none(), "{two}");
    let node = daemon.node("/_node/os,jvm");
    has(
        &json!({ "os": { "name": "", "arch": "", "version": "", "available_processors": 0 },
        "jvm": { "pid": 0, "version": "", "vm_name": "", "start_time_in_millis": 0, "mem": { "heap_max_in_bytes": 0 }, "gc_collectors": [] } }),
        &node,
        "",
    );
    let plugins = daemon.node("/_node/plugins");
    let names: Vec<&str> = plugins["plugins"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"logstash-filter-grok") && plugins["total"] == names.len());
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}

/// Counted are what inputs decode and outputs encode; a codec keeps its counts over reloads.
#[test]
fn codecs_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let pipeline = format!(
        "input {{ generator {{ id => gen lines => ['[{{\"n\":1}},{{\"n\":2}}]'] count => 500 codec => json {{ id => reads }} }} file {{ path => '/nonexistent/*' }} }}
         output {{ null {{ }} file {{ id => sink path => '{}' codec => json_lines }} }}",
        out.display()
    );
    let mut daemon = Daemon::start(&dir.path().join("data"), &pipeline, &[]);
    let counted = until(Duration::from_secs(20), || {
        let stats = daemon.node("/_node/stats/pipelines/main");
        let codecs = stats["pipelines"]["main"]["plugins"]["codecs"].clone();
        let of = |id: &str| codecs.as_array()?.iter().find(|codec| codec["id"] == id).cloned();
        let (reads, writes) = (of("reads")?, of("json_lines_sink")?);
        let there = reads["decode"]["out"] == 1000 && writes["encode"]["writes_in"] == 1000;
        there.then_some((reads, writes, codecs))
    });
    let (reads, writes, codecs) = counted.unwrap_or_else(|| panic!("{}", daemon.log()));
    assert_eq!((&reads["name"], &reads["decode"]["writes_in"]), (&json!("json"), &json!(500)), "{codecs}");
    assert_eq!((&reads["encode"]["writes_in"], &writes["decode"]["writes_in"]), (&json!(0), &json!(0)), "{codecs}");
    // The input file has one, too; the output null does not use its own.
    assert_eq!(codecs.as_array().unwrap().len(), 3, "{codecs}");
    let (_, text) = get(daemon.api, "/metrics").unwrap();
    let series =
        "logboom_plugin_events_out_total{pipeline=\"main\",plugin=\"reads\",kind=\"codec\",name=\"json\"} 1000";
    assert!(text.contains(series), "{text}");
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}

#[test]
fn the_graph_health_and_errors() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = daemon(&dir, &["--pipeline.workers=1"]);
    assert!(daemon.node("/_node/pipelines/main")["pipelines"]["main"].get("graph").is_none());
    let graph = daemon.node("/_node/pipelines/main?graph=true")["pipelines"]["main"]["graph"]["graph"].clone();
    let vertices = graph["vertices"].as_array().unwrap();
    let of = |kind: &str| vertices.iter().filter(|v| v["type"] == kind).count();
    assert_eq!((of("plugin"), of("if"), of("queue")), (5, 1, 1), "{graph}");
    let json = vertices.iter().find(|v| v["id"] == "parse").unwrap();
    assert_eq!(
        (&json["plugin_type"], &json["explicit_id"], &json["meta"]["source"]["line"]),
        (&json!("filter"), &json!(true), &json!(4))
    );
    let condition = vertices.iter().find(|v| v["type"] == "if").unwrap();
    assert_eq!(condition["condition"], "[message] =~ /n/");
    let boolean = graph["edges"].as_array().unwrap().iter().filter(|e| e["type"] == "boolean").count();
    assert_eq!(boolean, 2, "{graph}");

    let report = daemon.node("/_health_report");
    has(
        &json!({ "status": "green", "symptom": "", "indicators": { "pipelines": { "status": "green", "symptom": "",
        "indicators": { "main": { "status": "green", "symptom": "The pipeline is healthy", "details": { "status": { "state": "RUNNING" } } } } } } }),
        &report,
        "",
    );
    for (path, code) in [
        ("/nothing", 404),
        ("/_node/nothing", 404),
        ("/_node/pipelines/nothing", 404),
        ("/_node/stats/nothing", 404),
        ("/?wait_for_status=blue&timeout=1s", 400),
        ("/?wait_for_status=green", 400),
        ("/?wait_for_status=red&timeout=1s", 200),
        ("/_node/hot_threads?ordered_by=luck", 400),
    ] {
        let (status, body) = get(daemon.api, path).unwrap();
        assert_eq!(status, code, "{path}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        if code == 404 {
            assert_eq!(body, json!({ "path": path, "status": 404, "error": { "message": "Not Found" } }));
        }
    }
    let (_, pretty) = get(daemon.api, "/_node/stats/events?pretty").unwrap();
    assert!(pretty.contains("\n  \"events\": {\n"), "{pretty}");
    let (_, text) = get(daemon.api, "/_node/hot_threads?human&ignore_idle_threads=false&threads=3").unwrap();
    assert!(text.starts_with("::: {") && text.matches("% of cpu usage").count() == 3, "{text}");
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}

#[test]
fn levels_of_the_log_change_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut daemon = daemon(&dir, &["--config.debug"]);
    let hup = |daemon: &mut Daemon, reloads: u64| {
        daemon.signal(libc::SIGHUP);
        let done = until(Duration::from_secs(20), || {
            (daemon.node("/_node/stats/reloads")["reloads"]["successes"] == reloads).then_some(())
        });
        assert!(done.is_some(), "{}", daemon.log());
    };
    hup(&mut daemon, 1);
    assert!(!daemon.log().contains("as it is read"), "{}", daemon.log());
    let put = |body: &str| request(daemon.api, "PUT", "/_node/logging", body).unwrap();
    assert!(put(r#"{"logger.logstash.agent":"DEBUG"}"#).1.contains("\"acknowledged\":true"));
    assert_eq!(daemon.node("/_node/logging")["loggers"]["logstash.agent"], "DEBUG");
    for (body, want) in [
        (r#"{"logger.logstash.agent":"loud"}"#, "invalid level[loud] for logger[logstash.agent]"),
        (r#"{"agent":"INFO"}"#, "unrecognized option [agent]"),
        ("[]", "expected an object"),
    ] {
        let (status, answer) = put(body);
        assert!(status == 400 && answer.contains(want), "{status} {answer}");
    }
    hup(&mut daemon, 2);
    assert!(daemon.log().contains("as it is read"), "{}", daemon.log());
    assert_eq!(request(daemon.api, "PUT", "/_node/logging/reset", "").unwrap().0, 200);
    assert_eq!(daemon.node("/_node/logging")["loggers"], json!({ "logstash": "INFO" }));
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}

#[test]
fn a_password_keeps_strangers_out() {
    use std::io::{Read, Write};
    let dir = tempfile::tempdir().unwrap();
    let auth = ["--api.auth.type=basic", "--api.auth.basic.username=u", "--api.auth.basic.password=Secret123"];
    let mut daemon = Daemon::start(&dir.path().join("data"), PIPELINE, &auth);
    let refused = until(Duration::from_secs(20), || get(daemon.api, "/").ok());
    assert_eq!(refused.map(|(status, _)| status), Some(401), "{}", daemon.log());
    let mut stream = std::net::TcpStream::connect(daemon.api).unwrap();
    // u:Secret123
    write!(stream, "GET /_node HTTP/1.0\r\nAuthorization: Basic dTpTZWNyZXQxMjM=\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}

#[test]
fn a_tap_shows_events_before_and_after_a_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let pipeline = "input { generator { id => gen lines => ['{\"n\":1}', 'no json'] } }
        filter { json { id => parse source => message remove_field => message } if \"_jsonparsefailure\" in [tags] { drop { } } }
        output { null { id => sink } }";
    let mut daemon = Daemon::start(&dir.path().join("data"), pipeline, &["--pipeline.workers=1"]);
    daemon.node("/");
    let tap = |more: &[&str]| {
        let api = format!("--api=http://{}", daemon.api);
        let output = crate::program::logboom().args(["tap", "main", &api]).args(more).output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let lines = |text: &str| text.lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<Value>>();
    let (out, said) = tap(&["--plugin", "parse", "--json", "-n", "6", "--rate", "50"]);
    let events = lines(&out);
    assert_eq!(events.len(), 6, "{out} {said}");
    for event in &events {
        assert_eq!(event["plugin"], json!({ "id": "parse", "name": "json", "kind": "filter" }));
        let fine = event["before"]["message"] == "{\"n\":1}";
        let (n, message) = (&event["after"]["n"], event["after"].get("message"));
        assert!(if fine { n == 1 && message.is_none() } else { message.is_some() }, "{event}");
    }
    let whole = lines(&tap(&["--json", "-n", "20", "--rate", "100"]).0);
    assert!(whole.iter().any(|event| event["after"].is_null()), "half of them are dropped");
    let ends = lines(&tap(&["--json", "-n", "1", "--plugin", "gen"]).0)[0].clone();
    assert!(ends.get("before").is_none() && ends["after"]["message"].is_string(), "{ends}");
    let ends = lines(&tap(&["--json", "-n", "1", "--plugin", "sink"]).0)[0].clone();
    assert!(ends.get("after").is_none() && ends["before"]["n"] == 1, "{ends}");
    let (text, _) = tap(&["--plugin", "parse", "-n", "1"]);
    assert!(text.starts_with("── filter parse (json)\n"), "{text}");
    assert!(tap(&["--plugin", "nothing"]).1.contains("has no plugin `nothing`; it has gen, parse"));
    // A bound on the rate holds however many events there are.
    let began = std::time::Instant::now();
    tap(&["--json", "-n", "25", "--rate", "10"]);
    assert!(began.elapsed() >= Duration::from_millis(1400), "{:?}", began.elapsed());
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}
