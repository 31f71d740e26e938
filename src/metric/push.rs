//! Pushes all metrics at intervals: to Pushgateways, and to an OpenTelemetry collector by OTLP.
//!
//! One thread for each receiver. What can't be pushed is not kept: the next push says it all again.

use super::Registry;
use super::exposition::{Format, otlp};
use crate::endpoint::{self, Endpoint};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is sent.
pub enum Push {
    /// The text format, in place of what the group had.
    Pushgateway,
    /// OTLP's protocol buffers, with the attributes of this process.
    Otlp(Vec<(String, String)>),
}

/// Everything that is pushed.
#[derive(Default)]
pub struct Pushers {
    stop: Arc<(Mutex<bool>, Condvar)>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

/// The endpoint of a Pushgateway: `text` is an element of `pushgateway.urls`.
pub fn pushgateway(text: &str, job: &str, instance: &str) -> Result<Endpoint, String> {
    let mut members = endpoint::members(text)?;
    let mut endpoint = Endpoint::take(&mut members)?;
    endpoint::nothing_left(&members, "`pushgateway.urls`")?;
    if !endpoint.url.contains("/metrics/job") {
        let base = endpoint.url.trim_end_matches('/');
        endpoint.url = format!("{base}/metrics/job{}/instance{}", segment(job), segment(instance));
    }
    Ok(endpoint)
}

/// The endpoint of a collector.
pub fn collector(members: &mut serde_json::Map<String, serde_json::Value>) -> Result<Endpoint, String> {
    let mut endpoint = Endpoint::take(members)?;
    let path = endpoint.url.splitn(4, '/').nth(3).unwrap_or("");
    if path.is_empty() {
        endpoint.url = format!("{}/v1/metrics", endpoint.url.trim_end_matches('/'));
    }
    Ok(endpoint)
}

/// `name=value,name=value`, as OpenTelemetry's variables hold it.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    text.split(',').filter_map(pair).filter(|(name, _)| !name.is_empty()).collect()
}

/// A part of a path; what a path can't hold goes as base64, as Pushgateways want it.
fn segment(text: &str) -> String {
    use base64::Engine;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return format!("/{text}");
    }
    let coded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("@base64/{}", if coded.is_empty() { "=" } else { &coded })
}

impl Pushers {
    /// Pushes to one more receiver.
    pub fn start(
        &self,
        what: Push,
        endpoint: Endpoint,
        interval: Duration,
        registry: &Arc<Registry>,
    ) -> std::io::Result<()> {
        let (registry, stop) = (registry.clone(), self.stop.clone());
        let labels = [("url", endpoint.url.as_str())];
        let failures = registry.counter("logboom_push_failures", "Pushes of metrics that failed.", &labels);
        let pushes = registry.counter("logboom_pushes", "Pushes of metrics that were taken.", &labels);
        let thread = std::thread::Builder::new().name("push".into()).spawn(move || {
            let mut failing = false;
            loop {
                let last = wait(&stop, interval);
                match what.push(&endpoint, &registry) {
                    Ok(()) => {
                        pushes.add(1);
                        failing = false;
                    }
                    Err(reason) => {
                        failures.add(1);
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(url = endpoint.url, reason, "cannot push metrics; it is tried again");
                        }
                    }
                }
                if last {
                    return;
                }
            }
        })?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Pushes a last time and ends.
    pub fn end(&self, patience: Duration) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        let until = Instant::now() + patience;
        // One that waits for an answer is left behind.
        while Instant::now() < until && !self.threads.lock().iter().all(|thread| thread.is_finished()) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Sleeps; returns whether it is the end.
fn wait(stop: &(Mutex<bool>, Condvar), interval: Duration) -> bool {
    let until = Instant::now() + interval;
    let mut stopped = stop.0.lock();
    while !*stopped && !stop.1.wait_until(&mut stopped, until).timed_out() {}
    *stopped
}

impl Push {
    fn push(&self, endpoint: &Endpoint, registry: &Registry) -> Result<(), String> {
        let families = registry.gather();
        let answer = match self {
            Push::Pushgateway => {
                let body = Format::Text.render(&families);
                endpoint.send("PUT", &endpoint.url, &[("Content-Type", Format::Text.content_type())], &body)?
            }
            Push::Otlp(attributes) => {
                let now_ms = jiff::Timestamp::now().as_millisecond();
                let body = otlp::render(&families, attributes, now_ms);
                endpoint.post(&[("Content-Type", "application/x-protobuf")], &body)?
            }
        };
        match answer.status {
            200..=299 => Ok(()),
            status => Err(format!("{status} {}", answer.body.trim())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, want: &str| assert_eq!(pushgateway(text, "log boom", "h-1").unwrap().url, want);
        check("http://p:9091/", "http://p:9091/metrics/job@base64/bG9nIGJvb20/instance/h-1");
        check(r#"{"url":"http://p/metrics/job/x"}"#, "http://p/metrics/job/x");
        let check = |url: &str, want: &str| {
            let mut members = endpoint::members(url).unwrap();
            assert_eq!(collector(&mut members).unwrap().url, want);
        };
        check("http://c:4318", "http://c:4318/v1/metrics");
        check("http://c:4318/", "http://c:4318/v1/metrics");
        check("http://c/own", "http://c/own");
        assert_eq!(pairs("a=1, b = 2,c,=3"), [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
    }
}
