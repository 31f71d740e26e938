//! The `http` filter: asks a server for each event, and puts the answer into it.
//!
//! `http { url => "http://users/%{id}" target_body => "user" }`, as Logstash's. Asking is its job: it
//! blocks its worker until the answer is there or a time-out has passed.

use super::client::{Client, Defaults, Reply, parameter};
use super::common::{set, tags};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::json::{self, Parser};
use crate::event::{Batch, Entry, EventId, FieldRef, Template, Value};
use crate::plugin::{Build, Built, Context, Example, Literal, Opt, Options, Setting, Spec, Type};
use crate::resource::tls;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "http",
    summary: "Asks a server for each event, and puts the answer into it.",
    options: &[
        Opt::new("automatic_retries", Type::Number, Some("1"), "How often a request that failed is sent again."),
        Opt::new("body", Type::Any, None, "The body: a text, or an array or hash that is sent as JSON."),
        Opt::new(
            "body_format",
            Type::Enum(&["json", "text"]),
            Some("text"),
            "What the body is, for the header Content-Type.",
        ),
        Opt::new("cacert", Type::Path, None, "The old name of `ssl_certificate_authorities`."),
        Opt::new("connect_timeout", Type::Number, Some("10"), "How many seconds connecting may take."),
        Opt::idle("cookies", Type::Boolean, Some("true"), "cookies are not kept."),
        Opt::new("follow_redirects", Type::Boolean, Some("true"), "Whether it follows redirections."),
        Opt::new("headers", Type::Hash, Some("{}"), "Headers to send; names and values may refer to fields."),
        Opt::new("keepalive", Type::Boolean, Some("true"), "Whether connections are used again."),
        Opt::new("password", Type::Password, None, "The password for `user`."),
        Opt::new("pool_max", Type::Number, Some("50"), "Connections that are kept at the most."),
        Opt::new(
            "pool_max_per_route",
            Type::Number,
            Some("25"),
            "Connections to one server that are kept at the most.",
        ),
        Opt::new("proxy", Type::Any, None, "A proxy: its address, or a hash of host, port, scheme, user and password."),
        Opt::new("query", Type::Hash, Some("{}"), "Parameters of the URL; names and values may refer to fields."),
        Opt::new("request_timeout", Type::Number, Some("60"), "How many seconds the whole may take."),
        Opt::new("retry_non_idempotent", Type::Boolean, Some("false"), "Whether POST and PATCH are sent again, too."),
        Opt::new("socket_timeout", Type::Number, Some("10"), "How many seconds may pass without data."),
        tls::CERTIFICATE,
        tls::CERTIFICATE_AUTHORITIES,
        tls::CIPHER_SUITES,
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
            "tag_on_json_failure",
            Type::Array,
            Some(r#"["_jsonparsefailure"]"#),
            "Tags for events whose answer says that it is JSON and is none.",
        ),
        Opt::new(
            "tag_on_request_failure",
            Type::Array,
            Some(r#"["_httprequestfailure"]"#),
            "Tags for events without an answer, or whose answer has another status than 2xx.",
        ),
        Opt::new(
            "target_body",
            Type::Field,
            None,
            "The field for the body of the answer, parsed if it is JSON. Where fields are named as in ECS it must be \
             given; else it is `[body]`.",
        ),
        Opt::new(
            "target_headers",
            Type::Field,
            None,
            "The field for the headers of the answer; without it `[@metadata][filter][http][response][headers]`, or \
             `[headers]` where fields are not named as in ECS.",
        ),
        Opt::required("url", Type::String, "What to ask for, such as `http://host/%{id}`."),
        Opt::new("user", Type::String, None, "A user for basic authentication."),
        Opt::idle(
            "validate_after_inactivity",
            Type::Number,
            Some("200"),
            "connections are looked at whenever they are used.",
        ),
        Opt::new("verb", Type::Enum(&["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"]), Some("GET"), "How to ask."),
    ],
    examples: &[Example {
        title: "Nobody answers",
        config: r#"http { url => "http://127.0.0.1:9/%{id}" target_body => "user" automatic_retries => 0 }"#,
        given: r#"{"id":7}"#,
        then: r#"{"id":7,"tags":["_httprequestfailure"]}"#,
    }],
    build: Build::Filter(build),
};

/// A value whose texts are templates.
enum Shape {
    Text(Template),
    /// A number as written.
    Number(String),
    Array(Vec<Shape>),
    Hash(Vec<(Template, Shape)>),
}

struct Plan {
    client: Client,
    verb: String,
    url: Template,
    headers: Vec<(Template, Template)>,
    query: Vec<(Template, Vec<Template>)>,
    body: Option<Shape>,
    json: bool,
    target_body: FieldRef,
    target_headers: FieldRef,
    request_failure: Vec<String>,
    json_failure: Vec<String>,
}

struct Http {
    plan: Arc<Plan>,
    parser: Parser,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let target_body = match options.field("target_body") {
        Some(field) => field,
        None if !context.ecs => FieldRef::of("body"),
        None => {
            let message = "the filter `http` needs the setting `target_body`, since fields are named as in ECS";
            let error = Diagnostic::error(code::REQUIRED, options.place, message);
            return Err(vec![error.note("such as target_body => \"[answer]\"; or ecs_compatibility => disabled")]);
        }
    };
    let template = |setting: &Setting| Template::parse(setting.as_str().unwrap_or_default());
    let defaults = Defaults { retries: ("automatic_retries", 1), retry_status: Vec::new(), timeout: 60.0 };
    let plan = Plan {
        client: Client::new(options, context, &defaults)?,
        verb: options.str("verb").unwrap_or("GET").to_owned(),
        url: options.template("url").unwrap_or_else(|| Template::parse("")),
        headers: options.hash("headers").iter().map(|(name, value)| (template(name), template(value))).collect(),
        query: options
            .hash("query")
            .iter()
            .map(|(name, value)| (template(name), value.elements().iter().map(template).collect()))
            .collect(),
        body: options.get("body").map(Shape::of),
        json: options.str("body_format") == Some("json"),
        target_body,
        target_headers: options.field("target_headers").unwrap_or_else(|| match context.ecs {
            true => FieldRef::path(&["@metadata", "filter", "http", "response", "headers"]),
            false => FieldRef::of("headers"),
        }),
        request_failure: tags(options, "tag_on_request_failure", &["_httprequestfailure"]),
        json_failure: tags(options, "tag_on_json_failure", &["_jsonparsefailure"]),
    };
    Ok(Box::new(Http { plan: Arc::new(plan), parser: Parser::default() }))
}

impl Shape {
    fn of(setting: &Setting) -> Shape {
        match &setting.value {
            Literal::Number(_, text) => Shape::Number(text.clone()),
            Literal::Array(elements) => Shape::Array(elements.iter().map(Shape::of).collect()),
            Literal::Hash(pairs) => {
                let name = |key: &Setting| Template::parse(key.as_str().unwrap_or_default());
                Shape::Hash(pairs.iter().map(|(key, value)| (name(key), Shape::of(value))).collect())
            }
            _ => Shape::Text(Template::parse(setting.as_str().unwrap_or_default())),
        }
    }

    fn write_json(&self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        match self {
            Shape::Text(template) => json::write_text(&render(template, batch, event), out),
            Shape::Number(text) => out.extend_from_slice(text.as_bytes()),
            Shape::Array(elements) => {
                out.push(b'[');
                for (at, element) in elements.iter().enumerate() {
                    out.extend_from_slice(if at > 0 { b"," } else { b"" });
                    element.write_json(batch, event, out);
                }
                out.push(b']');
            }
            Shape::Hash(pairs) => {
                out.push(b'{');
                for (at, (name, value)) in pairs.iter().enumerate() {
                    out.extend_from_slice(if at > 0 { b"," } else { b"" });
                    json::write_text(&render(name, batch, event), out);
                    out.push(b':');
                    value.write_json(batch, event, out);
                }
                out.push(b'}');
            }
        }
    }
}

fn render(template: &Template, batch: &Batch, event: EventId) -> String {
    let mut out = Vec::new();
    template.render(batch, event, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

impl Filter for Http {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        for &event in run.events {
            match plan.ask(batch, event) {
                Ok(reply) if (200..300).contains(&reply.status) => {
                    self.put(&plan, batch, event, &reply);
                    run.matched.push(event);
                }
                answer => {
                    let cause = answer.map_or_else(|cause| cause, |reply| format!("status {}", reply.status));
                    tracing::debug!(cause, "a request failed");
                    plan.request_failure.iter().for_each(|tag| batch.tag(event, tag));
                }
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(Http { plan: self.plan.clone(), parser: Parser::default() })
    }
}

impl Plan {
    fn ask(&self, batch: &Batch, event: EventId) -> Result<Reply, String> {
        let mut url = render(&self.url, batch, event);
        for (name, values) in &self.query {
            let name = render(name, batch, event);
            values.iter().for_each(|value| parameter(&mut url, &name, &render(value, batch, event)));
        }
        let pair = |(name, value): &(Template, Template)| (render(name, batch, event), render(value, batch, event));
        let mut headers: Vec<(String, String)> = self.headers.iter().map(pair).collect();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            let kind = if self.json { "application/json" } else { "text/plain" };
            headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        let mut body = Vec::new();
        match &self.body {
            Some(Shape::Text(text)) => text.render(batch, event, &mut body),
            Some(shape) => shape.write_json(batch, event, &mut body),
            None => {}
        }
        self.client.send(&self.verb, &url, &headers, &body)
    }
}

impl Http {
    fn put(&mut self, plan: &Plan, batch: &mut Batch, event: EventId, reply: &Reply) {
        let headers = headers(batch, reply);
        set(batch, event, &plan.target_headers, headers);
        if plan.verb == "HEAD" || reply.body.is_empty() {
            return;
        }
        let kind = reply.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let text = String::from_utf8_lossy(&reply.body);
        let value = if kind.split(';').any(|part| part.trim() == "application/json") {
            let span = batch.push_text(&text);
            match self.parser.parse(batch, span) {
                Ok(value) => value,
                Err(_) => return plan.json_failure.iter().for_each(|tag| batch.tag(event, tag)),
            }
        } else {
            batch.str(text.trim())
        };
        set(batch, event, &plan.target_body, value);
    }
}

/// Headers as a hash; those that come more than once as arrays.
fn headers(batch: &mut Batch, reply: &Reply) -> Value {
    let mut members = Vec::new();
    for name in reply.headers.keys() {
        let mut values = Vec::new();
        for value in reply.headers.get_all(name) {
            values.push(Entry::element(batch.str(&String::from_utf8_lossy(value.as_bytes()))));
        }
        let value = match values[..] {
            [one] => one.value,
            _ => Value::Array(batch.list(&values)),
        };
        members.push(Entry::new(batch.key(name.as_str()), value));
    }
    Value::Object(batch.list(&members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::client::stub;
    use crate::filter::common::tests::{context, event, options, run, shown};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A server that says what it was asked.
    fn echo() -> String {
        let address = stub::serve(|head, body| {
            let first = head.lines().next().unwrap_or_default().to_owned();
            let wanted = ["authorization", "content-type", "x-id"];
            let mut headers: Vec<String> = head.lines().skip(1).map(str::to_ascii_lowercase).collect();
            headers.retain(|line| wanted.iter().any(|name| line.starts_with(name)));
            headers.sort();
            match first.split(' ').nth(1).unwrap_or_default() {
                path if path.starts_with("/json") => {
                    (200, "application/json; charset=utf-8", r#"{"a":[1]}"#.to_owned())
                }
                path if path.starts_with("/bad") => (200, "application/json", "{".to_owned()),
                path if path.starts_with("/404") => (404, "text/plain", "no".to_owned()),
                path if path.starts_with("/none") => (204, "text/plain", String::new()),
                _ => (200, "text/plain", format!(" {first}|{}|{body} ", headers.join("|"))),
            }
        });
        format!("http://{address}")
    }

    fn ask(url: &str, more: &str, before: &str) -> (String, bool) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        let settings = format!(r#"{{"url":"{url}","target_body":"b"{more}}}"#);
        let matched = run(build, &settings, &mut batch, event);
        (shown(&batch, event), matched)
    }

    #[test]
    fn requests() {
        let server = echo();
        let check = |path: &str, more: &str, want: &str| {
            let (found, matched) = ask(&format!("{server}{path}"), more, r#"{"id":7,"t":"a b&c"}"#);
            assert!(matched, "{found}");
            assert_eq!(found, format!(r#"{{"id":7,"t":"a b&c","b":"{want}"}}"#));
        };
        check("/x/%{id}", "", "GET /x/7 HTTP/1.1|content-type: text/plain|");
        check(
            "/x?y=1",
            r#","query":{"q":"%{t}","%{id}":["1","2"]}"#,
            "GET /x?y=1&q=a%20b%26c&7=1&7=2 HTTP/1.1|content-type: text/plain|",
        );
        check(
            "/",
            r#","verb":"POST","body":{"n":1,"%{id}":["%{t}"]},"body_format":"json","headers":{"X-Id":"%{id}"}"#,
            r#"POST / HTTP/1.1|content-type: application/json|x-id: 7|{\"n\":1,\"7\":[\"a b&c\"]}"#,
        );
        check(
            "/",
            r#","verb":"PUT","body":"is %{t}","headers":{"Content-Type":"x/y"}"#,
            "PUT / HTTP/1.1|content-type: x/y|is a b&c",
        );
        check(
            "/",
            r#","user":"u","password":"p""#,
            "GET / HTTP/1.1|authorization: basic dtpw|content-type: text/plain|",
        );
    }

    #[test]
    fn answers() {
        let server = echo();
        let check = |path: &str, more: &str, after: &str, matched: bool| {
            assert_eq!(ask(&format!("{server}{path}"), more, "{}"), (after.to_owned(), matched), "{path}");
        };
        check("/json", "", r#"{"b":{"a":[1]}}"#, true);
        check("/bad", "", r#"{"tags":["_jsonparsefailure"]}"#, true);
        check("/404", "", r#"{"tags":["_httprequestfailure"]}"#, false);
        check("/none", "", "{}", true);
        check("/json", r#","verb":"HEAD""#, "{}", true);
        check("/404", r#","tag_on_request_failure":["a","b"]"#, r#"{"tags":["a","b"]}"#, false);
        let headers =
            r#"{"h":{"content-type":"text/plain","x-a":["1","2"],"content-length":"0","connection":"close"}}"#;
        check("/none", r#","target_headers":"h""#, headers, true);
        assert_eq!(ask("no url at all", "", "{}"), (r#"{"tags":["_httprequestfailure"]}"#.to_owned(), false));
    }

    #[test]
    fn requests_are_sent_again() {
        let count = Arc::new(AtomicUsize::new(0));
        let seen = count.clone();
        let address = stub::serve(move |_, _| match seen.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => (0, "", String::new()),
            _ => (200, "text/plain", "ok".to_owned()),
        });
        let ask = |more: &str| ask(&format!("http://{address}"), more, "{}").1;
        assert!(ask(""), "the second try");
        assert!(!ask(r#","automatic_retries":0"#));
        count.store(0, Ordering::SeqCst);
        assert!(!ask(r#","verb":"POST","body":"x""#), "a POST may have done something");
        count.store(0, Ordering::SeqCst);
        assert!(ask(r#","verb":"POST","body":"x","retry_non_idempotent":true"#));
    }

    #[test]
    fn mistakes() {
        for bad in [
            r#"{"url":"http://x"}"#,
            r#"{"url":"http://x","target_body":"b","ssl_keystore_path":"x.jks"}"#,
            r#"{"url":"http://x","target_body":"b","ssl_key":"k.pem"}"#,
            r#"{"url":"http://x","target_body":"b","ssl_certificate_authorities":["/no/such"]}"#,
            r#"{"url":"http://x","target_body":"b","proxy":"::"}"#,
        ] {
            assert!(build(&options(bad), &context()).is_err(), "{bad}");
        }
        let legacy = Context { ecs: false, ..context() };
        assert!(build(&options(r#"{"url":"http://x"}"#), &legacy).is_ok());
    }
}
