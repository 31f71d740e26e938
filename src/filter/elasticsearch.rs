//! The `elasticsearch` filter: looks up earlier documents, and copies fields of theirs.
//!
//! `elasticsearch { hosts => ["localhost:9200"] index => "logs" query => "type:start AND id:%{id}" fields => { "@timestamp" => "started" } }`,
//! as Logstash's. It speaks to our own search API or to another server of its form. Waiting for the
//! answer is its job: it blocks its worker.

use super::client::{Client, Defaults, encode, parameter};
use super::common::{set, tags};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::json::Parser;
use crate::event::{Batch, Entry, EventId, FieldRef, Template, Value};
use crate::plugin::{Build, Built, Context, Example, Literal, Opt, Options, Setting, Spec, Type};
use crate::resource::tls;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) static SPEC: Spec = Spec {
    name: "elasticsearch",
    summary: "Looks up earlier documents, here or on another server, and copies fields of theirs.",
    options: &[
        Opt::new("aggregation_fields", Type::Hash, Some("{}"), "Names of aggregations, and fields for their results."),
        Opt::new("api_key", Type::Password, None, "An API key, `id:key` or in base 64."),
        Opt::new("ca_file", Type::Path, None, "The old name of `ssl_certificate_authorities`."),
        Opt::new("ca_trusted_fingerprint", Type::Array, None, NO_FINGERPRINT),
        Opt::new("cloud_auth", Type::Password, None, "`user:password`, instead of `user` and `password`."),
        Opt::new(
            "cloud_id",
            Type::String,
            None,
            "Where the server is, as Elastic's cloud writes it; instead of `hosts`.",
        ),
        Opt::new("custom_headers", Type::Hash, Some("{}"), "Headers to send with each request."),
        Opt::new(
            "docinfo_fields",
            Type::Hash,
            Some("{}"),
            "What to copy of the documents' descriptions, such as `_id`, and the fields for it.",
        ),
        Opt::new("enable_sort", Type::Boolean, Some("true"), "Whether `sort` is sent."),
        Opt::new("fields", Type::Any, Some("{}"), "Fields of the documents, and the fields for their values."),
        Opt::new(
            "hosts",
            Type::Array,
            Some(r#"["localhost:9200"]"#),
            "The servers; where one fails the next is asked.",
        ),
        Opt::new("index", Type::String, Some(r#""""#), "The indices to search, such as `logs-%{app}`."),
        Opt::new("password", Type::Password, None, "The password for `user`."),
        Opt::new("proxy", Type::Any, None, "The address of a proxy."),
        Opt::new("query", Type::String, None, "What to look for, as a query string: `type:start AND id:%{id}`."),
        Opt::new("query_params", Type::Array, None, "For ES|QL, which is not spoken."),
        Opt::new("query_template", Type::Path, None, "A file with a search as JSON, instead of `query`."),
        Opt::new(
            "query_type",
            Type::Enum(&["dsl", "esql"]),
            Some("dsl"),
            "The language of `query`; ES|QL is not spoken.",
        ),
        Opt::new("result_size", Type::Number, Some("1"), "How many documents; of several, fields become arrays."),
        Opt::new("retry_on_failure", Type::Number, Some("0"), "How often a request that failed is sent again."),
        Opt::new(
            "retry_on_status",
            Type::Array,
            Some("[500, 502, 503, 504]"),
            "The statuses after which a request is sent again.",
        ),
        Opt::new("sort", Type::String, Some(r#""@timestamp:desc""#), "Which documents come first."),
        Opt::new("ssl", Type::Boolean, None, "The old name of `ssl_enabled`."),
        tls::CERTIFICATE,
        tls::CERTIFICATE_AUTHORITIES,
        tls::CIPHER_SUITES,
        Opt::new("ssl_enabled", Type::Boolean, None, "Whether to speak TLS; without it, as the addresses say."),
        tls::KEY,
        tls::KEYSTORE_PASSWORD,
        tls::KEYSTORE_PATH,
        tls::KEYSTORE_TYPE,
        tls::SUPPORTED_PROTOCOLS,
        tls::TRUSTSTORE_PASSWORD,
        tls::TRUSTSTORE_PATH,
        tls::TRUSTSTORE_TYPE,
        tls::VERIFICATION_MODE,
        Opt::new(
            "tag_on_failure",
            Type::Array,
            Some(r#"["_elasticsearch_lookup_failure"]"#),
            "Tags for events whose look-up failed.",
        ),
        Opt::new("target", Type::Field, None, "The field below which everything is put."),
        Opt::new("user", Type::String, None, "A user for basic authentication."),
    ],
    examples: &[Example {
        title: "Nobody answers",
        config: r#"elasticsearch { hosts => ["127.0.0.1:9"] query => "id:%{id}" fields => { "user" => "user" } }"#,
        given: r#"{"id":7}"#,
        then: r#"{"id":7,"tags":["_elasticsearch_lookup_failure"]}"#,
    }],
    build: Build::Filter(build),
};

const NO_FINGERPRINT: &str = "Not known here: name the certificate in `ssl_certificate_authorities`.";

/// What to copy: the names from the outside in, and the field for it.
type Copies = Vec<(Vec<String>, FieldRef)>;

struct Plan {
    client: Client,
    /// Addresses without a slash at the end.
    hosts: Vec<String>,
    /// The host that answered last.
    host: AtomicUsize,
    index: Template,
    query: Query,
    fields: Copies,
    docinfo: Copies,
    aggregations: Vec<(String, FieldRef)>,
    failure: Vec<String>,
}

enum Query {
    /// A query string, with the rest of the parameters.
    Text { query: Template, size: String, sort: Option<String> },
    /// A body.
    Body(Template),
}

struct Elasticsearch {
    plan: Arc<Plan>,
    parser: Parser,
}

/// Collects mistakes.
struct Mistakes<'a> {
    options: &'a Options,
    wrong: Vec<Diagnostic>,
}

impl Mistakes<'_> {
    fn add(&mut self, option: &str, message: impl Into<String>) {
        self.wrong.push(Diagnostic::error(code::VALUE, self.options.place_of(option), message));
    }
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let mut mistakes = Mistakes { options, wrong: Vec::new() };
    if options.str("query_type") == Some("esql") {
        mistakes.add("query_type", "ES|QL is not spoken yet: write the search as a query string or a template");
    }
    if options.has("ca_trusted_fingerprint") {
        mistakes.add("ca_trusted_fingerprint", "certificates can't be trusted by their fingerprint: name the file");
    }
    let query = query(options, context, &mut mistakes);
    let hosts = hosts(options, &mut mistakes);
    let target = options.str("target").unwrap_or_default();
    let fields = copies(options.get("fields"), target, &mut mistakes);
    let docinfo = copies(options.get("docinfo_fields"), target, &mut mistakes);
    let aggregations = copies(options.get("aggregation_fields"), target, &mut mistakes);
    let statuses = options.list("retry_on_status").iter().filter_map(|status| status.as_str()?.parse().ok()).collect();
    let defaults = Defaults {
        retries: ("retry_on_failure", 0),
        retry_status: if options.has("retry_on_status") { statuses } else { vec![500, 502, 503, 504] },
        timeout: 60.0,
    };
    let mut client = Client::new(options, context, &defaults).map_err(|more| mistakes.wrong.extend(more)).ok();
    authenticate(options, client.as_mut(), &mut mistakes);
    let (Some(client), Some(query), true) = (client, query, mistakes.wrong.is_empty()) else {
        return Err(mistakes.wrong);
    };
    let plan = Plan {
        client,
        hosts,
        host: AtomicUsize::new(0),
        index: Template::parse(options.str("index").unwrap_or_default()),
        query,
        fields,
        docinfo,
        aggregations: aggregations.into_iter().map(|(path, field)| (path.concat(), field)).collect(),
        failure: tags(options, "tag_on_failure", &["_elasticsearch_lookup_failure"]),
    };
    Ok(Box::new(Elasticsearch { plan: Arc::new(plan), parser: Parser::default() }))
}

fn query(options: &Options, context: &Context, mistakes: &mut Mistakes) -> Option<Query> {
    match (options.template("query"), options.has("query_template")) {
        (Some(query), false) => {
            let sort = options.str("sort").unwrap_or("@timestamp:desc");
            Some(Query::Text {
                query,
                size: options.str("result_size").unwrap_or("1").to_owned(),
                sort: options.bool("enable_sort", true).then(|| sort.to_owned()),
            })
        }
        (None, true) => match crate::resource::file(options, "query_template", context) {
            Ok(Some(text)) if text.is_empty() => {
                mistakes.add("query_template", "the template is empty");
                None
            }
            Ok(text) => Some(Query::Body(Template::parse(&text.unwrap_or_default()))),
            Err(mistake) => {
                mistakes.wrong.push(mistake);
                None
            }
        },
        (Some(_), true) => {
            mistakes.add("query_template", "`query` and `query_template` exclude each other");
            None
        }
        (None, false) => {
            let message = "the filter `elasticsearch` needs the setting `query` or `query_template`";
            mistakes.wrong.push(Diagnostic::error(code::REQUIRED, options.place, message));
            None
        }
    }
}

/// The servers as addresses.
fn hosts(options: &Options, mistakes: &mut Mistakes) -> Vec<String> {
    let mut hosts = options.strings("hosts");
    if let Some(id) = options.str("cloud_id") {
        if !hosts.is_empty() {
            mistakes.add("cloud_id", "`cloud_id` and `hosts` exclude each other");
        }
        match cloud(id) {
            Some(host) => hosts = vec![host],
            None => mistakes.add("cloud_id", "this is no id of a cloud"),
        }
    }
    if hosts.is_empty() {
        hosts.push("localhost:9200".to_owned());
    }
    let secure = options.bool("ssl_enabled", options.bool("ssl", false));
    let scheme = if secure { "https" } else { "http" };
    let whole = |host: String| match host.contains("://") {
        true => host.trim_end_matches('/').to_owned(),
        false if host.contains(':') => format!("{scheme}://{host}"),
        false => format!("{scheme}://{host}:9200"),
    };
    hosts.into_iter().map(whole).collect()
}

/// `LABEL:` and, in base 64, `HOST[:PORT]$ID$…`.
fn cloud(id: &str) -> Option<String> {
    let decoded = STANDARD.decode(id.rsplit_once(':').map_or(id, |(_, rest)| rest)).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let mut parts = text.split('$');
    let (host, id) = (parts.next()?, parts.next().filter(|id| !id.is_empty())?);
    let (host, port) = host.split_once(':').unwrap_or((host, "443"));
    let (id, port) = id.split_once(':').unwrap_or((id, port));
    Some(format!("https://{id}.{host}:{port}"))
}

/// Enters who we are into the client.
fn authenticate(options: &Options, client: Option<&mut Client>, mistakes: &mut Mistakes) {
    let ways = ["user", "cloud_auth", "api_key"].into_iter().filter(|name| options.has(name)).count();
    if ways > 1 {
        let message = "only one of `user`, `cloud_auth` and `api_key` can be given";
        mistakes.wrong.push(Diagnostic::error(code::VALUE, options.place, message));
    }
    let Some(client) = client else { return };
    if let Some(both) = options.str("cloud_auth") {
        client.header("authorization", format!("Basic {}", STANDARD.encode(both)));
    }
    if let Some(key) = options.str("api_key") {
        let encoded = STANDARD.decode(key).is_ok_and(|bytes| STANDARD.encode(bytes) == key);
        let key = if encoded { key.to_owned() } else { STANDARD.encode(key) };
        client.header("authorization", format!("ApiKey {key}"));
    }
    for (name, value) in options.hash("custom_headers") {
        client.header(name.as_str().unwrap_or_default(), value.as_str().unwrap_or_default().to_owned());
    }
}

/// Reads pairs of a hash, or of an array of pairs.
fn copies(setting: Option<&Setting>, target: &str, mistakes: &mut Mistakes) -> Copies {
    let mut copies = Copies::new();
    let mut add = |old: &Setting, new: &Setting| {
        let old = old.as_str().unwrap_or_default();
        let path = match old.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => inner.split("][").map(str::to_owned).collect(),
            None => vec![old.to_owned()],
        };
        let new_name = new.as_str().unwrap_or_default();
        let whole = match (target, new_name.starts_with('[')) {
            ("", _) => new_name.to_owned(),
            (target, true) => format!("{}{new_name}", bracketed(target)),
            (target, false) => format!("{}[{new_name}]", bracketed(target)),
        };
        match FieldRef::parse(&whole) {
            Ok(field) => copies.push((path, field)),
            Err(error) => mistakes.wrong.push(Diagnostic::error(code::FIELD, new.place, error.to_string())),
        }
    };
    let mut bad = None;
    match setting.map(|setting| &setting.value) {
        None => {}
        Some(Literal::Hash(pairs)) => pairs.iter().for_each(|(old, new)| add(old, new)),
        Some(Literal::Array(pairs)) => {
            for pair in pairs {
                match &pair.value {
                    Literal::Hash(pairs) => pairs.iter().for_each(|(old, new)| add(old, new)),
                    Literal::Array(two) if two.len() == 2 => add(&two[0], &two[1]),
                    _ => bad = Some(pair.place),
                }
            }
        }
        Some(_) => bad = setting.map(|setting| setting.place),
    }
    if let Some(place) = bad {
        let message = "expected a hash of fields of documents and fields of events";
        mistakes.wrong.push(Diagnostic::error(code::TYPE, place, message));
    }
    copies
}

fn bracketed(name: &str) -> String {
    if name.starts_with('[') { name.to_owned() } else { format!("[{name}]") }
}

impl Filter for Elasticsearch {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            match self.one(&plan, batch, event) {
                Ok(true) => run.matched.push(event),
                Ok(false) => {}
                Err(cause) => {
                    tracing::debug!(cause, "a look-up failed");
                    plan.failure.iter().for_each(|tag| batch.tag(event, tag));
                }
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Elasticsearch { plan: self.plan.clone(), parser: Parser::default() })
    }
}

impl Plan {
    /// Searches; gives the answer's JSON.
    fn search(&self, batch: &Batch, event: EventId) -> Result<Vec<u8>, String> {
        let text = |template: &Template| {
            let mut out = Vec::new();
            template.render(batch, event, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        let mut path = String::new();
        let index = text(&self.index);
        if !index.is_empty() {
            path.push('/');
            for (at, part) in index.split(',').enumerate() {
                path.push_str(if at > 0 { "," } else { "" });
                encode(part.trim(), &mut path);
            }
        }
        path.push_str("/_search");
        let (method, body) = match &self.query {
            Query::Text { query, size, sort } => {
                parameter(&mut path, "q", &text(query));
                parameter(&mut path, "size", size);
                if let Some(sort) = sort {
                    parameter(&mut path, "sort", sort);
                }
                ("GET", String::new())
            }
            Query::Body(template) => ("POST", text(template)),
        };
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let headers = if body.is_empty() { &[][..] } else { &headers[..] };
        let first = self.host.load(Ordering::Relaxed);
        let mut answer = Err(String::new());
        for at in first..first + self.hosts.len() {
            let host = &self.hosts[at % self.hosts.len()];
            answer = self.client.send(method, &format!("{host}{path}"), headers, body.as_bytes());
            if answer.is_ok() {
                self.host.store(at % self.hosts.len(), Ordering::Relaxed);
                break;
            }
        }
        let reply = answer?;
        if !(200..300).contains(&reply.status) {
            let shown: String = String::from_utf8_lossy(&reply.body).chars().take(300).collect();
            return Err(format!("status {}: {shown}", reply.status));
        }
        Ok(reply.body)
    }
}

impl Elasticsearch {
    /// Whether there was anything.
    fn one(&mut self, plan: &Plan, batch: &mut Batch, event: EventId) -> Result<bool, String> {
        let answer = plan.search(batch, event)?;
        let answer = batch.push_text(&String::from_utf8_lossy(&answer));
        let answer = self.parser.parse(batch, answer).map_err(|error| error.to_string())?;
        if at(batch, answer, &["_shards", "failures"]).is_some() {
            return Err("shards failed".to_owned());
        }
        let total = at(batch, answer, &["hits", "total", "value"]).or_else(|| at(batch, answer, &["hits", "total"]));
        set(batch, event, &FieldRef::path(&["@metadata", "total_hits"]), total.unwrap_or(Value::Null));
        let mut any = false;
        if let Some(Value::Array(hits)) = at(batch, answer, &["hits", "hits"]).filter(|hits| !empty(*hits)) {
            any = true;
            let hits: Vec<Value> = batch.entries(hits).iter().map(|hit| hit.value).collect();
            for (path, field) in &plan.fields {
                let source = |hit| at(batch, hit, &["_source"]);
                let sources: Vec<Option<Value>> = hits.iter().map(|&hit| source(hit)).collect();
                copy(batch, event, &sources, path, field)?;
            }
            let hits: Vec<Option<Value>> = hits.into_iter().map(Some).collect();
            for (path, field) in &plan.docinfo {
                copy(batch, event, &hits, path, field)?;
            }
        }
        if let Some(results) = at(batch, answer, &["aggregations"]).filter(|results| !empty(*results)) {
            any = true;
            for (name, field) in &plan.aggregations {
                let value = at(batch, results, &[name]).unwrap_or(Value::Null);
                put(batch, event, field, value)?;
            }
        }
        Ok(any)
    }
}

fn empty(value: Value) -> bool {
    match value {
        Value::Array(list) | Value::Object(list) => list.is_empty(),
        _ => true,
    }
}

/// The value of each document at a path: as it is where there is one document, else as an array.
fn copy(
    batch: &mut Batch,
    event: EventId,
    from: &[Option<Value>],
    path: &[String],
    to: &FieldRef,
) -> Result<(), String> {
    let value = |document: &Option<Value>| document.and_then(|value| at(batch, value, path)).unwrap_or(Value::Null);
    let value = match from {
        [one] => value(one),
        several => {
            let elements: Vec<Entry> = several.iter().map(|document| Entry::element(value(document))).collect();
            Value::Array(batch.list(&elements))
        }
    };
    put(batch, event, to, value)
}

fn put(batch: &mut Batch, event: EventId, field: &FieldRef, value: Value) -> Result<(), String> {
    if set(batch, event, field, value) { Ok(()) } else { Err(format!("cannot set {field}")) }
}

/// The value at names, from the outside in.
fn at<S: AsRef<str>>(batch: &Batch, value: Value, path: &[S]) -> Option<Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Object(list) => {
            batch.entries(list).iter().find(|entry| batch.name(entry.key) == name.as_ref()).map(|entry| entry.value)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::client::stub;
    use crate::filter::common::tests::{context, event, options, run, shown};
    use std::sync::Mutex;

    const HITS: &str = r#"{"_shards":{"total":1},"hits":{"total":{"value":2},"hits":[
        {"_id":"1","_source":{"user":"kim","n":{"x":[1]}}},{"_id":"2","_source":{"user":"lee"}}]},
        "aggregations":{"avg":{"value":1.5}}}"#;

    /// A server with one answer, and what it was asked.
    fn serve(status: u16, answer: &'static str) -> (String, Arc<Mutex<String>>) {
        let asked = Arc::new(Mutex::new(String::new()));
        let seen = asked.clone();
        let address = stub::serve(move |head, body| {
            let auth =
                head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization")).unwrap_or_default();
            *seen.lock().unwrap() = format!("{}|{auth}|{body}", head.lines().next().unwrap_or_default());
            (status, "application/json", answer.to_owned())
        });
        (address.to_string(), asked)
    }

    fn look_up(host: &str, more: &str, before: &str) -> (String, bool) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        let matched = run(build, &format!(r#"{{"hosts":["127.0.0.1:1","{host}"]{more}}}"#), &mut batch, event);
        let total = batch.get(event, &FieldRef::path(&["@metadata", "total_hits"]));
        assert_eq!(total.is_some(), !shown(&batch, event).contains("failure"));
        (shown(&batch, event), matched)
    }

    #[test]
    fn documents_are_looked_up() {
        let (host, asked) = serve(200, HITS);
        let check = |more: &str, request: &str, after: &str| {
            let found = look_up(&host, more, r#"{"id":"a b"}"#);
            assert_eq!(found, (after.to_owned(), true), "{more}");
            assert_eq!(*asked.lock().unwrap(), request, "{more}");
        };
        check(
            r#","index":"logs-%{id},x*","query":"id:%{id}","fields":{"user":"u","[n][x]":"[m][x]"},"docinfo_fields":{"_id":"i"}"#,
            "GET /logs-a%20b,x%2A/_search?q=id%3Aa%20b&size=1&sort=%40timestamp%3Adesc HTTP/1.1||",
            r#"{"id":"a b","u":["kim","lee"],"m":{"x":[[1],null]},"i":["1","2"]}"#,
        );
        check(
            r#","query":"x","enable_sort":false,"result_size":3,"user":"u","password":"p","fields":[["user","u"]],"target":"t""#,
            "GET /_search?q=x&size=3 HTTP/1.1|authorization: Basic dTpw|",
            r#"{"id":"a b","t":{"u":["kim","lee"]}}"#,
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.json");
        std::fs::write(&path, r#"{"query":{"term":{"id":"%{id}"}}}"#).unwrap();
        check(
            &format!(r#","query_template":{path:?},"aggregation_fields":{{"avg":"a"}},"api_key":"id:key""#),
            r#"POST /_search HTTP/1.1|authorization: ApiKey aWQ6a2V5|{"query":{"term":{"id":"a b"}}}"#,
            r#"{"id":"a b","a":{"value":1.5}}"#,
        );
    }

    #[test]
    fn failures_and_nothing_found() {
        let failed = (r#"{"tags":["_elasticsearch_lookup_failure"]}"#.to_owned(), false);
        let query = r#","query":"x","fields":{"a":"b"}"#;
        for (status, answer) in [(404, "{}"), (200, "no json"), (200, r#"{"_shards":{"failures":[]}}"#)] {
            let (host, _) = serve(status, answer);
            assert_eq!(look_up(&host, query, "{}"), failed, "{answer}");
        }
        let (host, _) = serve(200, r#"{"hits":{"total":0,"hits":[]}}"#);
        assert_eq!(look_up(&host, query, "{}"), ("{}".to_owned(), false));
    }

    #[test]
    fn clouds() {
        let id = format!("name:{}", STANDARD.encode("eu.cloud.es.io$abc$def"));
        assert_eq!(cloud(&id).as_deref(), Some("https://abc.eu.cloud.es.io:443"));
        assert_eq!(cloud("x"), None);
    }

    #[test]
    fn mistakes() {
        for bad in [
            "{}",
            r#"{"query":"x","query_template":"/no"}"#,
            r#"{"query_template":"/no/such"}"#,
            r#"{"query":"x","fields":"a"}"#,
            r#"{"query":"x","fields":{"a":"[b"}}"#,
            r#"{"query":"x","query_type":"esql"}"#,
            r#"{"query":"x","user":"u","api_key":"k"}"#,
            r#"{"query":"x","hosts":["a"],"cloud_id":"x"}"#,
        ] {
            assert!(build(&options(bad), &context()).is_err(), "{bad}");
        }
    }
}
