//! Filters that ask servers: over TLS, and our own search API.

use crate::harness::Daemon;
use crate::program::{logboom, until};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The certificates of the tests; valid for a hundred years, for `localhost` and 127.0.0.1.
fn tls(name: &str) -> String {
    format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server that speaks TLS and knows one user. It wants no certificate of its clients.
fn serve() -> SocketAddr {
    let chain = CertificateDer::pem_file_iter(tls("server.pem")).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(tls("server.key")).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(connection, stream.unwrap()));
            let mut line = String::new();
            // A client that does not trust us goes away.
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let body = r#"{"user":"kim"}"#;
            let reply = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _gone = stream.get_mut().write_all(reply.as_bytes());
            stream.get_mut().conn.send_close_notify();
            let _gone = stream.get_mut().flush();
        }
    });
    address
}

/// The events that come of JSON lines through filters.
fn through(lines: &[Value], filters: &str, folder: &Path) -> Vec<Value> {
    let lines: Vec<String> = lines.iter().map(|line| format!("'{line}'")).collect();
    let pipeline = format!(
        "input {{ generator {{ lines => [{}] count => 1 codec => json }} }} filter {{ {filters} }} output {{ stdout {{ codec => json_lines }} }}",
        lines.join(", ")
    );
    let data = format!("--path.data={}", folder.join("asking").display());
    let run = logboom().args([&data, "--api.enabled=false", "-w", "1", "-e", &pipeline]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8_lossy(&run.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_server_is_trusted_only_if_its_certificate_is() {
    let (server, folder) = (serve(), tempfile::tempdir().unwrap());
    let ask = |host: &str, more: &str| {
        let url = format!("https://{host}:{}/users/%{{id}}", server.port());
        let filter = format!("http {{ url => '{url}' target_body => answer automatic_retries => 0 {more} }}");
        through(&[json!({ "id": 7 })], &filter, folder.path()).remove(0)
    };
    let authorities = format!("ssl_certificate_authorities => ['{}']", tls("ca.pem"));
    for (host, more, trusted) in [
        ("127.0.0.1", authorities.as_str(), true),
        ("localhost", authorities.as_str(), true),
        // Nobody who is known to everybody vouches for it, …
        ("127.0.0.1", "", false),
        // … and it does not vouch for itself.
        (
            "127.0.0.1",
            &format!("ssl_certificate_authorities => '{}' cacert => '{}'", tls("server.pem"), tls("server.pem")),
            false,
        ),
        ("127.0.0.1", "ssl_verification_mode => none", true),
    ] {
        let event = ask(host, more);
        let (answer, tags) = (&event["answer"]["user"], &event["tags"]);
        let want = if trusted { (json!("kim"), Value::Null) } else { (Value::Null, json!(["_httprequestfailure"])) };
        assert_eq!((answer.clone(), tags.clone()), want, "{host} {more}");
    }
}

#[test]
fn earlier_documents_are_found_in_our_own_index() {
    let dir = tempfile::tempdir().unwrap();
    let users = r#"
        input { generator { lines => [
            '{"id":"a","name":"Kim","deep":{"n":[1,2]},"@timestamp":"2025-01-01T00:00:00Z"}',
            '{"id":"a","name":"Kim the second","deep":{"n":[3]},"@timestamp":"2025-01-02T00:00:00Z"}',
            '{"id":"b","name":"Lee","@timestamp":"2025-01-03T00:00:00Z"}'
        ] count => 1 codec => json } file { path => "/nonexistent/*" } }
        output { index { stream => users } }"#;
    let mut daemon = Daemon::start(&dir.path().join("data"), users, &[]);
    daemon.ready();
    let there = until(Duration::from_secs(20), || (daemon.count("users") == 3).then_some(()));
    assert!(there.is_some(), "{}", daemon.log());
    let template = dir.path().join("template.json");
    let search = r#"{"size":1,"sort":[{"@timestamp":"asc"}],"query":{"query_string":{"query":"id:%{[key]}"}},
        "aggs":{"many":{"value_count":{"field":"id.keyword"}}}}"#;
    std::fs::write(&template, search).unwrap();
    let ask = |more: &str| {
        let filter =
            format!("elasticsearch {{ hosts => ['127.0.0.1:{}'] index => users {more} }}", daemon.search.port());
        through(&[json!({ "key": "a" }), json!({ "key": "none" })], &filter, dir.path())
    };
    // The newest comes first unless told otherwise.
    let found = ask(
        r#"query => "id:%{[key]}" fields => { "name" => "user" "[deep][n]" => "[user_n]" } docinfo_fields => { "_index" => "index" "_id" => "[doc][id]" }"#,
    );
    assert_eq!((&found[0]["user"], &found[0]["user_n"]), (&json!("Kim the second"), &json!([3])), "{found:?}");
    assert!(found[0]["index"].as_str().is_some_and(|name| name.contains("users")), "{found:?}");
    assert!(found[0]["doc"]["id"].as_str().is_some_and(|id| !id.is_empty()), "{found:?}");
    assert!(found[1].get("user").is_none() && found[1].get("tags").is_none(), "nothing found is no failure: {found:?}");
    let found = ask(&format!(
        "query_template => '{}' fields => {{ name => user }} aggregation_fields => {{ many => many }}",
        template.display()
    ));
    assert_eq!((&found[0]["user"], &found[0]["many"]["value"]), (&json!("Kim"), &json!(2)), "{found:?}");
    let found = ask(
        r#"query => "id:%{[key]}" result_size => 2 sort => "@timestamp:asc" fields => [["name", "users"]] target => "[it]""#,
    );
    assert_eq!(found[0]["it"]["users"], json!(["Kim", "Kim the second"]), "{found:?}");
    let found = ask(r#"query => "id:(" fields => { "name" => "user" }"#);
    assert_eq!(found[0]["tags"], json!(["_elasticsearch_lookup_failure"]), "{found:?}");
    assert_eq!(daemon.stop(), Some(0), "{}", daemon.log());
}
