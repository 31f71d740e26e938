//! Requests to servers: what the filters that look something up by HTTP share.
//!
//! No filter. A request blocks its worker, within the time-outs of the options.

use crate::diagnostic::{Diagnostic, code};
use crate::plugin::{Context, Literal, Options};
use crate::resource::tls;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;
use ureq::http::{HeaderMap, Request};
use ureq::{Agent, Proxy};

/// Bytes of a response at the most; a larger one is a failure.
pub(super) const RESPONSE_BYTES_MAX: u64 = 64 << 20;

/// A client with the options of one filter.
pub(super) struct Client {
    agent: Agent,
    retries: u32,
    retry_all: bool,
    retry_status: Vec<u16>,
    /// Headers that each request gets unless it has them.
    headers: Vec<(String, String)>,
}

/// What a server says.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// How a client differs from filter to filter.
pub(super) struct Defaults {
    /// The options for how often a request that failed is sent again, and the default.
    pub(super) retries: (&'static str, u32),
    /// Statuses after which it is sent again.
    pub(super) retry_status: Vec<u16>,
    /// The default of `request_timeout` in seconds.
    pub(super) timeout: f64,
}

impl Client {
    /// Reads the options: `user`, `password`, `proxy`, `…_timeout`, `follow_redirects`, `ssl_…`.
    pub(super) fn new(options: &Options, context: &Context, defaults: &Defaults) -> Result<Client, Vec<Diagnostic>> {
        let mut wrong = tls::mistakes(options);
        let number = |name, default| options.number(name).unwrap_or(default);
        let seconds = |name, default| Duration::try_from_secs_f64(number(name, default)).ok().filter(|t| !t.is_zero());
        let redirects = if options.bool("follow_redirects", true) { 10 } else { 0 };
        let idle = if options.bool("keepalive", true) { number("pool_max_per_route", 25.0) as usize } else { 0 };
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(redirects)
            .max_redirects_will_error(false)
            .max_idle_connections(number("pool_max", 50.0) as usize)
            .max_idle_connections_per_host(idle)
            .timeout_connect(seconds("connect_timeout", 10.0))
            .timeout_per_read(seconds("socket_timeout", 10.0))
            .timeout_global(seconds("request_timeout", defaults.timeout))
            .user_agent(concat!("logboom/", env!("CARGO_PKG_VERSION")));
        match tls::config(options) {
            Ok(tls) => config = config.tls_config(tls),
            Err(error) if context.check_only => tracing::warn!("cannot read a certificate: {error:#}"),
            Err(error) => {
                let message = format!("cannot read a certificate: {error:#}");
                wrong.push(Diagnostic::error(code::FILE, options.place, message));
            }
        }
        match proxy(options).map(|uri| Proxy::new(&uri)) {
            Some(Ok(proxy)) => config = config.proxy(Some(proxy)),
            Some(Err(error)) => {
                let message = format!("bad proxy: {error}");
                wrong.push(Diagnostic::error(code::VALUE, options.place_of("proxy"), message));
            }
            None => {}
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut headers = Vec::new();
        if let Some(user) = options.str("user") {
            let both = format!("{user}:{}", options.str("password").unwrap_or_default());
            headers.push(("authorization".to_owned(), format!("Basic {}", STANDARD.encode(both))));
        }
        Ok(Client {
            agent: config.build().into(),
            retries: number(defaults.retries.0, defaults.retries.1.into()) as u32,
            retry_all: options.bool("retry_non_idempotent", false),
            retry_status: defaults.retry_status.clone(),
            headers,
        })
    }

    /// Adds a header to every request that has none of its name.
    pub(super) fn header(&mut self, name: &str, value: String) {
        self.headers.push((name.to_ascii_lowercase(), value));
    }

    /// Sends a request, again if need be, and waits for the whole reply.
    pub(super) fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Reply, String> {
        let again = self.retry_all || !matches!(method, "POST" | "PATCH");
        let mut tries = 0;
        loop {
            let reply = self.once(method, url, headers, body);
            let failed = match &reply {
                Ok(reply) => self.retry_status.contains(&reply.status),
                Err(_) => true,
            };
            if !failed || !again || tries >= self.retries {
                return reply;
            }
            tries += 1;
        }
    }

    fn once(&self, method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Result<Reply, String> {
        let mut request = Request::builder().method(method).uri(url);
        let own = self.headers.iter().filter(|(name, _)| !headers.iter().any(|(h, _)| h.eq_ignore_ascii_case(name)));
        for (name, value) in headers.iter().chain(own) {
            request = request.header(name, value);
        }
        let reply = if body.is_empty() {
            self.agent.run(request.body(()).map_err(|error| error.to_string())?)
        } else {
            self.agent.run(request.body(body).map_err(|error| error.to_string())?)
        };
        let mut reply = reply.map_err(|error| error.to_string())?;
        let read = reply.body_mut().with_config().limit(RESPONSE_BYTES_MAX).read_to_vec();
        let body = read.map_err(|error| error.to_string())?;
        Ok(Reply { status: reply.status().as_u16(), headers: reply.headers().clone(), body })
    }
}

/// The proxy, given as an address or as a hash of its parts.
fn proxy(options: &Options) -> Option<String> {
    let setting = options.get("proxy")?;
    let Literal::Hash(pairs) = &setting.value else {
        return setting.as_str().filter(|uri| !uri.is_empty()).map(str::to_owned);
    };
    let part =
        |name: &str| pairs.iter().find(|(key, _)| key.as_str() == Some(name)).and_then(|(_, value)| value.as_str());
    let user = part("user").map(|user| format!("{user}:{}@", part("password").unwrap_or_default())).unwrap_or_default();
    let (scheme, host, port) =
        (part("scheme").unwrap_or("http"), part("host").unwrap_or_default(), part("port").unwrap_or("80"));
    Some(format!("{scheme}://{user}{host}:{port}"))
}

/// Appends a text to a URL as part of a query.
pub(super) fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// Appends a parameter to a URL.
pub(super) fn parameter(url: &mut String, name: &str, value: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    encode(name, url);
    url.push('=');
    encode(value, url);
}

/// A server for tests: answers requests in turn by `answer`, which gets the head and the body.
#[cfg(test)]
pub(super) mod stub {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener};

    pub(crate) fn serve(answer: impl Fn(&str, &str) -> (u16, &'static str, String) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head += &line;
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let (status, kind, text) = answer(&head, &String::from_utf8(body).unwrap());
                // Status 0 stands for a server that goes away without an answer.
                if status > 0 {
                    let size = text.len();
                    let text = if head.starts_with("HEAD") { "" } else { &text };
                    let reply = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n{text}"
                    );
                    stream.get_mut().write_all(reply.as_bytes()).unwrap();
                }
            }
        });
        address
    }
}
