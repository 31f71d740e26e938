//! Servers that this process posts to, as settings describe them: an URL, or an object with `url`
//! and what `prometheus.yml` calls `basic_auth`, `authorization`, `tls_config`, `headers` and so on.
//!
//! Secrets in files are read anew for each request, so that they can be changed without a restart.
//! Blocking: nothing here belongs on a thread that serves sockets.

use serde_json::{Map, Value};
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

/// How long a server may take to answer where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// A secret, given as such or by its file.
#[derive(Clone)]
enum Secret {
    Text(String),
    File(String),
}

#[derive(Clone)]
enum Auth {
    None,
    Basic(String, Option<Secret>),
    /// The scheme and the credentials.
    Token(String, Secret),
}

/// A server to post to.
#[derive(Clone)]
pub struct Endpoint {
    /// Where it is.
    pub url: String,
    auth: Auth,
    headers: Vec<(String, String)>,
    agent: ureq::Agent,
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The beginning of its body.
    pub body: String,
}

/// An element of a list of endpoints: an URL, or an object in JSON. Members that are not of an
/// endpoint are given back, to be read by whoever knows them.
pub fn members(text: &str) -> Result<Map<String, Value>, String> {
    if !text.trim_start().starts_with('{') {
        let url = Value::String(text.trim().to_owned());
        return Ok(Map::from_iter([("url".to_owned(), url)]));
    }
    serde_json::from_str(text).map_err(|error| format!("cannot read `{text}`: {error}"))
}

/// Takes a text out of an object; numbers and truth values count as texts.
pub fn text(from: &mut Map<String, Value>, name: &str) -> Option<String> {
    match from.remove(name)? {
        Value::String(text) => Some(text),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// Takes an object out of an object.
pub fn object(from: &mut Map<String, Value>, name: &str) -> Result<Option<Map<String, Value>>, String> {
    match from.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(other) => Err(format!("`{name}` is an object, not `{other}`")),
    }
}

/// Says which members nobody took.
pub fn nothing_left(from: &Map<String, Value>, within: &str) -> Result<(), String> {
    match from.keys().next() {
        Some(name) => Err(format!("unknown member `{name}` of {within}")),
        None => Ok(()),
    }
}

impl Endpoint {
    /// Takes the members of an endpoint out of an object.
    pub fn take(from: &mut Map<String, Value>) -> Result<Endpoint, String> {
        let url = text(from, "url").ok_or("an endpoint needs `url`")?;
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(format!("`{url}` is no URL: it begins with http:// or https://"));
        }
        let auth = auth(from)?;
        let mut headers = Vec::new();
        for (name, value) in object(from, "headers")?.into_iter().flatten() {
            let value = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            headers.push((name, value));
        }
        let timeout = match text(from, "remote_timeout").or_else(|| text(from, "timeout")) {
            None => TIMEOUT,
            Some(text) => crate::promql::duration::parse(&text).map(|ms| Duration::from_millis(ms as u64))?,
        };
        let tls = match object(from, "tls_config")? {
            Some(tls) => tls_config(tls)?,
            None => TlsConfig::builder().build(),
        };
        let redirects = if text(from, "follow_redirects").as_deref() == Some("false") { 0 } else { 5 };
        let proxy = match text(from, "proxy_url") {
            Some(url) => {
                Some(ureq::Proxy::new(&url).map_err(|error| format!("cannot use the proxy `{url}`: {error}"))?)
            }
            None => None,
        };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(redirects)
            .max_redirects_will_error(false)
            .user_agent(concat!("logboom/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .proxy(proxy)
            .build();
        Ok(Endpoint { url, auth, headers, agent: config.new_agent() })
    }

    /// An endpoint that is no more than its URL.
    pub fn plain(url: &str) -> Result<Endpoint, String> {
        Endpoint::take(&mut members(url)?)
    }

    /// Sends a body; an error where there was no answer.
    pub fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, String> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        if let Some(value) = self.authorization()? {
            request = request.header("Authorization", value);
        }
        // Before those of the protocol, which win.
        for (name, value) in &self.headers {
            if !headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(|error| error.to_string())?;
        let mut answer = self.agent.run(request).map_err(|error| error.to_string())?;
        let retry_after = answer.headers().get("Retry-After").and_then(|value| retry_after(value.to_str().ok()?));
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().unwrap_or_default();
        Ok(Answer { status: answer.status().as_u16(), retry_after, body: text })
    }

    /// Posts a body to its own URL.
    pub fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, String> {
        self.send("POST", &self.url, headers, body)
    }

    fn authorization(&self) -> Result<Option<String>, String> {
        use base64::Engine;
        Ok(match &self.auth {
            Auth::None => None,
            Auth::Basic(user, password) => {
                let password = password.as_ref().map(Secret::read).transpose()?.unwrap_or_default();
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {pair}"))
            }
            Auth::Token(scheme, secret) => Some(format!("{scheme} {}", secret.read()?)),
        })
    }
}

impl Secret {
    fn read(&self) -> Result<String, String> {
        match self {
            Secret::Text(text) => Ok(text.clone()),
            Secret::File(path) => std::fs::read_to_string(path)
                .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
                .map_err(|error| format!("cannot read the secret in {path}: {error}")),
        }
    }

    fn take(from: &mut Map<String, Value>, name: &str) -> Result<Option<Secret>, String> {
        match (text(from, name), text(from, &format!("{name}_file"))) {
            (Some(_), Some(_)) => Err(format!("give one of `{name}` and `{name}_file`")),
            (Some(text), None) => Ok(Some(Secret::Text(text))),
            (None, file) => Ok(file.map(Secret::File)),
        }
    }
}

fn auth(from: &mut Map<String, Value>) -> Result<Auth, String> {
    let mut found = Vec::new();
    if let Some(mut basic) = object(from, "basic_auth")? {
        let user = match Secret::take(&mut basic, "username")? {
            Some(secret) => secret.read()?,
            None => String::new(),
        };
        found.push(Auth::Basic(user, Secret::take(&mut basic, "password")?));
        nothing_left(&basic, "`basic_auth`")?;
    }
    if let Some(mut own) = object(from, "authorization")? {
        let scheme = text(&mut own, "type").unwrap_or_else(|| "Bearer".to_owned());
        let secret = Secret::take(&mut own, "credentials")?.ok_or("`authorization` needs `credentials`")?;
        nothing_left(&own, "`authorization`")?;
        found.push(Auth::Token(scheme, secret));
    }
    if let Some(secret) = Secret::take(from, "bearer_token")? {
        found.push(Auth::Token("Bearer".to_owned(), secret));
    }
    match found.len() {
        0 => Ok(Auth::None),
        1 => Ok(found.remove(0)),
        _ => Err("give at most one of `basic_auth`, `authorization` and `bearer_token`".to_owned()),
    }
}

fn tls_config(mut from: Map<String, Value>) -> Result<TlsConfig, String> {
    let mut tls = TlsConfig::builder();
    if let Some(path) = text(&mut from, "ca_file") {
        tls = tls.root_certs(RootCerts::new_with_certs(&certificates(&path)?));
    }
    match (text(&mut from, "cert_file"), text(&mut from, "key_file")) {
        (None, None) => {}
        (Some(chain), Some(key)) => {
            let pem = read(&key)?;
            let key = PrivateKey::from_pem(&pem).map_err(|error| format!("cannot use the key in {key}: {error}"))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&certificates(&chain)?, key)));
        }
        _ => return Err("`cert_file` and `key_file` belong together".to_owned()),
    }
    if text(&mut from, "insecure_skip_verify").as_deref() == Some("true") {
        tls = tls.disable_verification(true);
    }
    nothing_left(&from, "`tls_config`")?;
    Ok(tls.build())
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {path}: {error}"))
}

fn certificates(path: &str) -> Result<Vec<Certificate<'static>>, String> {
    let pem = read(path)?;
    let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { Err(format!("there is no certificate in {path}")) } else { Ok(certificates) }
}

/// Seconds, or a date of HTTP.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    let left = at.duration_since(jiff::Timestamp::now());
    Some(Duration::from_secs(left.as_secs().max(0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: Result<Option<&str>, &str>) {
        let mut members = members(json).unwrap();
        let got = Endpoint::take(&mut members).and_then(|endpoint| {
            nothing_left(&members, "an endpoint")?;
            endpoint.authorization()
        });
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got.as_deref(), want, "{json}"),
            (Err(got), Err(want)) => assert!(got.contains(want), "{json}: {got}"),
            (got, want) => panic!("{json}: {got:?} instead of {want:?}"),
        }
    }

    #[test]
    fn endpoints_are_read() {
        check("http://h:1/x", Ok(None));
        check(r#"{"url":"https://h","basic_auth":{"username":"u","password":"p"}}"#, Ok(Some("Basic dTpw")));
        check(r#"{"url":"http://h","bearer_token":"t"}"#, Ok(Some("Bearer t")));
        check(r#"{"url":"http://h","authorization":{"type":"Token","credentials":"t"}}"#, Ok(Some("Token t")));
        check(r#"{"url":"http://h","tls_config":{"insecure_skip_verify":true},"headers":{"X-A":1}}"#, Ok(None));
        check("ftp://h", Err("`ftp://h` is no URL"));
        check(r#"{"url":"http://h","basic_auth":{"user":"u"}}"#, Err("unknown member `user` of `basic_auth`"));
        check(r#"{"url":"http://h","x":1}"#, Err("unknown member `x` of an endpoint"));
        check(r#"{"url":"http://h","bearer_token":"a","bearer_token_file":"b"}"#, Err("give one of"));
        check(r#"{"url":"http://h","bearer_token_file":"/no/such"}"#, Err("cannot read the secret in /no/such"));
        check(r#"{"url":"http://h","tls_config":{"cert_file":"x"}}"#, Err("belong together"));
        check(r#"{"url":"http://h","remote_timeout":"x"}"#, Err("no duration"));
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }
}
