//! The management API, asked over a socket as a client would.

use super::*;
use crate::api::listen::{Address, serve};
use crate::metric::PluginStats;
use crate::metric::health::Finding;
use crate::metric::pipeline::Shape;
use crate::plugin::Kind;
use std::io::{Read, Write};
use std::net::TcpStream;

struct Server {
    _runtime: tokio::runtime::Runtime,
    address: SocketAddr,
}

/// Status line and headers, and the body.
struct Answer {
    head: String,
    body: String,
}

impl Server {
    fn start(node: impl FnOnce(SocketAddr) -> Node) -> Server {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address =
            Address { setting: "api", host: "127.0.0.1".to_owned(), ports: 0..=0, allow_unauthenticated: false };
        let (listener, address) = address.bind().unwrap();
        let router = router(Arc::new(node(address)));
        runtime.spawn(serve(listener, router, std::future::pending()));
        Server { _runtime: runtime, address }
    }

    fn get(&self, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer { head: head.to_owned(), body: body.to_owned() }
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path, "").body).unwrap()
    }
}

fn node(address: SocketAddr) -> Node {
    let registry = Registry::new();
    let stats = PipelineStats::new("main");
    let mut shape = Shape { workers: 3, ..Shape::default() };
    for (id, name, kind) in [("in", "stdin", Kind::Input), ("g", "grok", Kind::Filter), ("out", "index", Kind::Output)]
    {
        let plugin = PluginStats::new(id, name, kind);
        plugin.events_in.add(10);
        plugin.events_out.add(9);
        plugin.duration_ns.add(5_000_000);
        shape.plugins.push(plugin);
    }
    stats.shape.store(Arc::new(shape));
    stats.events_in.add(10);
    stats.events_out.add(9);
    stats.dropped.add(1);
    registry.add_pipeline(Arc::new(stats));
    Node::new("n1", "the-id", address, registry, Health::new())
}

#[test]
fn answers_have_logstash_s_shapes() {
    let server = Server::start(node);
    let root = server.json("/");
    assert_eq!(root["name"], "n1");
    assert_eq!(root["status"], "green");
    assert_eq!(root["http_address"], server.address.to_string());
    assert_eq!(root["pipeline"], json!({ "workers": 3, "batch_size": 125, "batch_delay": 50 }));
    let all = server.json("/_node/stats");
    assert_eq!(all["id"], "the-id");
    assert_eq!(all["events"]["in"], 10);
    assert!(all["process"]["open_file_descriptors"].as_u64() > Some(0));
    let main = &all["pipelines"]["main"];
    assert_eq!(main["events"]["out"], 9);
    assert_eq!(main["ledger"]["dropped"], 1);
    let input = &main["plugins"]["inputs"][0];
    let events = json!({ "out": 9, "queue_push_duration_in_millis": 5 });
    assert_eq!((&input["id"], &input["name"], &input["events"]), (&json!("in"), &json!("stdin"), &events));
    let events = json!({ "in": 10, "out": 9, "duration_in_millis": 5 });
    let filter = &main["plugins"]["filters"][0];
    assert_eq!((&filter["id"], &filter["name"], &filter["events"]), (&json!("g"), &json!("grok"), &events));
    assert_eq!(filter["flow"]["worker_millis_per_event"]["lifetime"], 0.5);
    assert_eq!(main["plugins"]["outputs"][0]["events"], events);
    for path in ["/_node/stats/pipelines", "/_node/stats/pipelines/main"] {
        assert_eq!(server.json(path)["pipelines"]["main"]["ledger"], main["ledger"]);
    }
    assert_eq!(server.json("/_node/pipelines")["pipelines"]["main"]["workers"], 3);
    assert!(server.get("/?pretty", "").body.contains("\n  \"host\": "));
}

#[test]
fn what_is_not_there_is_404() {
    let server = Server::start(node);
    for path in ["/nothing", "/_node/stats/nothing", "/_node/stats/pipelines/nothing"] {
        let answer = server.get(path, "");
        assert!(answer.head.starts_with("HTTP/1.1 404 "), "{path}: {}", answer.head);
        let want = json!({ "path": path, "status": 404, "error": { "message": "Not Found" } });
        assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), want);
    }
}

#[test]
fn metrics_come_in_the_format_asked_for() {
    let server = Server::start(node);
    let text = server.get("/metrics", "");
    assert!(text.head.contains("content-type: text/plain; version=0.0.4"), "{}", text.head);
    assert!(text.body.contains("logboom_pipeline_events_in_total{pipeline=\"main\"} 10\n"), "{}", text.body);
    let open = server.get("/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    assert!(open.head.contains("content-type: application/openmetrics-text"), "{}", open.head);
    assert!(open.body.trim_end_matches(['\r', '\n', '0']).ends_with("# EOF"), "{}", open.body);
}

#[test]
fn health_is_503_when_red() {
    let server = Server::start(|address| {
        let node = node(address);
        node.health.add(|out| {
            out.push(Finding { check: "disk", status: Status::Red, reason: "the disk is full".to_owned() });
        });
        node
    });
    let answer = server.get("/health", "");
    assert!(answer.head.starts_with("HTTP/1.1 503 "), "{}", answer.head);
    let want =
        json!({ "status": "red", "reasons": [{ "check": "disk", "status": "red", "reason": "the disk is full" }] });
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), want);
    let server = Server::start(node);
    assert!(server.get("/health", "").head.starts_with("HTTP/1.1 200 "));
    assert_eq!(server.json("/health"), json!({ "status": "green", "reasons": [] }));
}
