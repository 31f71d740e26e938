//! The search API over HTTP, on an index of its own: scenarios in `tests/es`, the guide's queries
//! against a plain scan, and random queries against a plain scan.

use logboom::api::es::Es;
use logboom::index::{Index, IndexSettings};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A server on a port of its own; it ends with the test.
struct Server {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            IndexSettings { epoch_interval: Duration::from_millis(100), ..IndexSettings::new(folder.path()) };
        let index = Index::open(settings).unwrap();
        let router = Es::new(index, "test", "uuid").router();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(logboom::api::listen::serve(listener, router, std::future::pending()));
        Server { address, runtime: Some(runtime), _folder: folder }
    }

    /// Status and body.
    fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(!head.contains("transfer-encoding"), "{head}");
        (status, body.to_owned())
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Value {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.call(method, path, &text);
        assert!(status < 300, "{method} {path} {body}: {status} {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    fn bulk(&self, index: &str, documents: &[Value]) {
        let mut body = String::new();
        for document in documents {
            body.push_str(&format!("{{\"index\":{{}}}}\n{document}\n"));
        }
        let (status, answer) = self.call("POST", &format!("/{index}/_bulk"), &body);
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains("\"errors\":false"), "{answer}");
    }

    fn count(&self, index: &str, query: &Value) -> u64 {
        self.json("POST", &format!("/{index}/_count"), &json!({"query": query}))["count"].as_u64().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

/// Whether `found` has all that `expected` says; objects may have more.
fn holds(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().all(|(key, expected)| match found.get(key) {
                Some(found) => holds(expected, found),
                None => expected.as_str() == Some("(absent)"),
            })
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(e, f)| holds(e, f))
        }
        (expected, found) => expected == found,
    }
}

#[test]
fn scenarios() {
    let mut files: Vec<_> = std::fs::read_dir("tests/es").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = Vec::new();
    for file in files {
        let server = Server::start();
        let text = std::fs::read_to_string(&file).unwrap();
        let steps: Vec<Value> = serde_yaml_ng::from_str(&text).unwrap();
        for (at, step) in steps.iter().enumerate() {
            let (method, path) = step["request"].as_str().unwrap().split_once(' ').unwrap();
            let body = match &step["body"] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                body => body.to_string(),
            };
            let (status, answer) = server.call(method, path, &body);
            let wanted = step["status"].as_u64().unwrap_or(200);
            let found: Value = serde_json::from_str(&answer).unwrap_or(Value::String(answer));
            if u64::from(status) != wanted || !holds(&step["answer"], &found) && !step["answer"].is_null() {
                failures.push(format!(
                    "{} step {} {method} {path}\n  expected {wanted} {}\n  found    {status} {found}",
                    file.display(),
                    at + 1,
                    step["answer"]
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Documents like the guide's.
fn guide_documents(now: jiff::Timestamp) -> Vec<Value> {
    let levels = ["ERROR", "WARN", "INFO", "DEBUG"];
    let actions = [Some("login"), Some("upload"), None, Some("view")];
    (0..400)
        .map(|n: i64| {
            let at = now - jiff::SignedDuration::from_secs(n * 30);
            let mut document = json!({
                "@timestamp": at.to_string(),
                "level": levels[n as usize % 4],
                "service": if n % 3 == 0 { "safevideo-api" } else { "safevideo-worker" },
                "traceId": format!("{n:032x}"),
                "userId": if n % 5 == 0 { "user123".to_owned() } else { format!("user{n}") },
                "message": if n % 7 == 0 { "ログイン失敗: パスワード" } else { "ログイン成功" },
                "duration": n * 13 % 3000,
            });
            if let Some(action) = actions[n as usize / 2 % 4] {
                document["action"] = json!(action);
                document["status"] = json!(if n % 7 == 0 { "failed" } else { "success" });
            }
            document
        })
        .collect()
}

#[test]
fn the_guides_queries_equal_a_scan() {
    let server = Server::start();
    let now = jiff::Timestamp::now();
    let documents = guide_documents(now);
    server.bulk("safevideo", &documents);
    let check = |query: &str, test: &dyn Fn(&Value) -> bool| {
        let expected = documents.iter().filter(|document| test(document)).count() as u64;
        assert!(expected > 0, "{query}");
        assert_eq!(server.count("safevideo", &json!({"query_string": {"query": query}})), expected, "{query}");
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let found = server.json("GET", &format!("/safevideo/_search?q={encoded}&size=0"), &Value::Null);
        assert_eq!(found["hits"]["total"]["value"], json!(expected), "{query}");
    };
    let hour_ago = now - jiff::SignedDuration::from_hours(1);
    let recent = |document: &Value| {
        let at: jiff::Timestamp = document["@timestamp"].as_str().unwrap().parse().unwrap();
        at >= hour_ago + jiff::SignedDuration::from_secs(20)
    };
    check("level:ERROR AND @timestamp:[now-1h TO now]", &|d| d["level"] == "ERROR" && recent(d));
    check(r#"userId:"user123" AND action:*"#, &|d| d["userId"] == "user123" && !d["action"].is_null());
    check("action:login AND status:failed", &|d| d["action"] == "login" && d["status"] == "failed");
    check(r#"duration:>1000 AND service:"safevideo-api""#, &|d| {
        d["duration"].as_i64() > Some(1000) && d["service"] == "safevideo-api"
    });
    check(r#"message:"ログイン失敗""#, &|d| d["message"].as_str().unwrap().starts_with("ログイン失敗"));
    check("message:失", &|d| d["message"].as_str().unwrap().contains('失'));
}

const WORDS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

fn leaf() -> impl Strategy<Value = Value> {
    let word = || (0usize..4).prop_map(|at| WORDS[at]);
    prop_oneof![
        (0i64..20, 0i64..20).prop_map(|(a, b)| json!({"range": {"n": {"gte": a, "lt": b}}})),
        word().prop_map(|word| json!({"term": {"k.keyword": word}})),
        (word(), word(), any::<bool>()).prop_map(|(a, b, all)| {
            let operator = if all { "and" } else { "or" };
            json!({"match": {"s": {"query": format!("{} {b}", a.to_uppercase()), "operator": operator}}})
        }),
        (word(), word()).prop_map(|(a, b)| json!({"match_phrase": {"message": format!("{a} {b}")}})),
        Just(json!({"exists": {"field": "k"}})),
        any::<bool>().prop_map(|b| json!({"term": {"b": b}})),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let list = || proptest::collection::vec(inner.clone(), 0..3);
        (list(), list(), list())
            .prop_map(|(must, should, not)| json!({"bool": {"filter": must, "should": should, "must_not": not}}))
    })
}

/// The plain scan: whether a document matches a query of [`tree`].
fn matches(query: &Value, d: &Value) -> bool {
    let (kind, body) = query.as_object().unwrap().iter().next().unwrap();
    let words = |text: &Value| text.as_str().unwrap_or_default().to_lowercase();
    match kind.as_str() {
        "range" => (body["n"]["gte"].as_i64()..body["n"]["lt"].as_i64()).contains(&d["n"].as_i64()),
        "term" if body.get("b").is_some() => d["b"] == body["b"],
        "term" => has(&d["k"], body["k.keyword"].as_str().unwrap()),
        "match" => {
            let (text, wanted) = (words(&d["s"]), words(&body["s"]["query"]));
            let mut found = wanted.split(' ').map(|wanted| text.split(' ').any(|word| word == wanted));
            if body["s"]["operator"] == "and" { found.all(|b| b) } else { found.any(|b| b) }
        }
        "match_phrase" => words(&d["message"]).contains(&words(&body["message"])),
        "exists" => !d["k"].is_null(),
        _ => {
            let list = |name: &str| body[name].as_array().unwrap().clone();
            let (must, should) = (list("filter"), list("should"));
            must.iter().all(|query| matches(query, d))
                && (!must.is_empty() || should.is_empty() || should.iter().any(|query| matches(query, d)))
                && !list("must_not").iter().any(|query| matches(query, d))
        }
    }
}

fn has(value: &Value, word: &str) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|value| value == word),
        value => value == word,
    }
}

fn document() -> impl Strategy<Value = Value> {
    let words = || proptest::collection::vec(0usize..4, 0..4);
    let join = |words: Vec<usize>| words.into_iter().map(|at| WORDS[at]).collect::<Vec<_>>().join(" ");
    (0i64..20, proptest::option::of(words()), words(), words(), any::<bool>(), 0i64..5).prop_map(
        move |(n, k, s, m, b, day)| {
            let mut document = json!({
                "@timestamp": format!("2024-01-{:02}T10:00:00Z", day + 1),
                "n": n, "s": join(s), "message": join(m), "b": b,
            });
            if let Some(k) = k.filter(|k| !k.is_empty()) {
                document["k"] = match k.as_slice() {
                    [one] => json!(WORDS[*one]),
                    many => json!(many.iter().map(|at| WORDS[*at]).collect::<Vec<_>>()),
                };
            }
            document
        },
    )
}

#[test]
fn random_queries_equal_a_scan() {
    let mut runner = TestRunner::new(Config { cases: 1, ..Config::default() });
    let documents = proptest::collection::vec(document(), 300).new_tree(&mut runner).unwrap().current();
    let server = Server::start();
    // Several segments: some durable, some waiting.
    for part in documents.chunks(77) {
        server.bulk("laws", part);
    }
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let law = runner.run(&tree(), |body| {
        let expected: Vec<&Value> = documents.iter().filter(|d| matches(&body, d)).collect();
        prop_assert_eq!(server.count("laws", &body), expected.len() as u64, "{}", body);
        let request = json!({
            "query": body, "size": 0,
            "aggs": {
                "k": {"terms": {"field": "k.keyword"}},
                "n": {"stats": {"field": "n"}},
                "d": {"date_histogram": {"field": "@timestamp", "calendar_interval": "day", "min_doc_count": 1}}
            }
        });
        let found = &server.json("POST", "/laws/_search", &request)["aggregations"];
        for word in WORDS {
            let count = expected.iter().filter(|d| has(&d["k"], word)).count() as u64;
            let buckets = found["k"]["buckets"].as_array().unwrap();
            let bucket = buckets.iter().find(|b| b["key"] == word).map_or(0, |b| b["doc_count"].as_u64().unwrap());
            prop_assert_eq!(bucket, count, "{} {}", word, body);
        }
        let sum: i64 = expected.iter().map(|d| d["n"].as_i64().unwrap()).sum();
        prop_assert_eq!(found["n"]["sum"].as_f64().unwrap(), sum as f64);
        let days: u64 =
            found["d"]["buckets"].as_array().unwrap().iter().map(|b| b["doc_count"].as_u64().unwrap()).sum();
        prop_assert_eq!(days, expected.len() as u64);
        Ok(())
    });
    if let Err(error) = law {
        panic!("{error}");
    }
}

#[test]
fn pages_by_search_after_give_each_document_once() {
    let server = Server::start();
    let documents: Vec<Value> =
        (0..50).map(|n| json!({"@timestamp": format!("2024-01-01T00:00:{:02}Z", n / 10), "n": n})).collect();
    server.bulk("pages", &documents);
    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut body = json!({"size": 7, "sort": [{"@timestamp": "desc"}, {"_doc": "desc"}]});
        if !after.is_null() {
            body["search_after"] = after.clone();
        }
        let found = server.json("POST", "/pages/_search", &body);
        let hits = found["hits"]["hits"].as_array().unwrap().clone();
        let Some(last) = hits.last() else { break };
        after = last["sort"].clone();
        seen.extend(hits.iter().map(|hit| hit["_source"]["n"].as_i64().unwrap()));
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    assert_eq!(seen, (0..50).rev().collect::<Vec<_>>());
}
