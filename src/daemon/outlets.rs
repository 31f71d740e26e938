//! Where metrics go by themselves: remote write, Pushgateways, an OpenTelemetry collector.

use crate::endpoint::{Endpoint, members};
use crate::metric::push::{self, Push, Pushers};
use crate::metric::remote::{RemoteWrite, Target};
use crate::metric::{Registry, Sampler, identity};
use crate::settings::Settings;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long the end waits for what is under way.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everything that the settings name, read but not started.
pub struct Wanted {
    targets: Vec<Target>,
    external: Vec<(String, String)>,
    pushes: Vec<(Push, Endpoint, Duration)>,
}

/// What runs.
pub struct Outlets {
    remote: Option<Arc<RemoteWrite>>,
    pushers: Pushers,
}

impl Wanted {
    /// Reads the settings; every mistake at once.
    pub fn read(settings: &Settings) -> Result<Wanted, Vec<String>> {
        let mut mistakes = Vec::new();
        let mut wanted = Wanted { targets: Vec::new(), external: Vec::new(), pushes: Vec::new() };
        for text in settings.list("remote_write.urls") {
            match Target::parse(text) {
                Ok(target) => wanted.targets.push(target),
                Err(cause) => mistakes.push(format!("cannot use `remote_write.urls`: {cause}")),
            }
        }
        for text in settings.list("remote_write.external_labels") {
            match text.split_once('=') {
                Some((name, value)) if crate::series::is_label_name(name.trim()) => {
                    wanted.external.push((name.trim().to_owned(), value.trim().to_owned()));
                }
                _ => mistakes.push(format!("`remote_write.external_labels` needs `name=value`, not `{text}`")),
            }
        }
        let instance = settings.text("node.name").map_or_else(identity::hostname, str::to_owned);
        let job = settings.text("pushgateway.job").unwrap_or("logboom");
        let interval = settings.time("pushgateway.interval").unwrap_or(Duration::from_secs(15));
        for text in settings.list("pushgateway.urls") {
            match push::pushgateway(text, job, &instance) {
                Ok(endpoint) => wanted.pushes.push((Push::Pushgateway, endpoint, interval)),
                Err(cause) => mistakes.push(format!("cannot use `pushgateway.urls`: {cause}")),
            }
        }
        if settings.flag("otel.metrics.enabled") {
            match collector(settings, &instance) {
                Ok(push) => wanted.pushes.push(push),
                Err(cause) => mistakes.push(format!("cannot use `otel.exporter.otlp.endpoint`: {cause}")),
            }
        }
        if mistakes.is_empty() { Ok(wanted) } else { Err(mistakes) }
    }

    /// Starts all of it.
    pub fn start(
        self,
        settings: &Settings,
        registry: &Arc<Registry>,
        sampler: Option<&Arc<Sampler>>,
    ) -> std::io::Result<Outlets> {
        let mut outlets = Outlets { remote: None, pushers: Pushers::default() };
        match sampler {
            Some(sampler) if !self.targets.is_empty() => {
                let folder = settings.data().join("remote-write");
                outlets.remote = Some(RemoteWrite::start(self.targets, self.external, &folder, sampler, registry)?);
            }
            None if !self.targets.is_empty() => {
                tracing::warn!("`remote_write.urls` has no effect with `series.enabled: false`");
            }
            _ => {}
        }
        for (push, endpoint, interval) in self.pushes {
            outlets.pushers.start(push, endpoint, interval, registry)?;
        }
        Ok(outlets)
    }
}

impl Outlets {
    /// Sends what is under way and ends; what remote write has left stays in its queues.
    pub fn end(&self) {
        self.pushers.end(PATIENCE);
        if let Some(remote) = &self.remote {
            remote.end(PATIENCE);
        }
    }
}

fn collector(settings: &Settings, instance: &str) -> Result<(Push, Endpoint, Duration), String> {
    let mut object = members(settings.text("otel.exporter.otlp.endpoint").unwrap_or_default())?;
    let headers = push::pairs(settings.text("otel.exporter.otlp.headers").unwrap_or_default());
    let headers: Map<String, Value> = headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    object.insert("headers".to_owned(), Value::Object(headers));
    let mut tls = Map::new();
    for (member, setting) in [
        ("ca_file", "otel.exporter.otlp.certificate"),
        ("cert_file", "otel.exporter.otlp.client.certificate"),
        ("key_file", "otel.exporter.otlp.client.key"),
    ] {
        if let Some(path) = settings.text(setting) {
            tls.insert(member.to_owned(), json!(path));
        }
    }
    if !tls.is_empty() {
        object.insert("tls_config".to_owned(), Value::Object(tls));
    }
    let endpoint = push::collector(&mut object)?;
    let name = settings.text("otel.service.name").unwrap_or("logboom");
    let mut attributes =
        vec![("service.name".to_owned(), name.to_owned()), ("service.instance.id".to_owned(), instance.to_owned())];
    attributes.extend(push::pairs(settings.text("otel.resource.attributes").unwrap_or_default()));
    let interval = settings.time("otel.metric.export.interval").unwrap_or(Duration::from_secs(10));
    Ok((Push::Otlp(attributes), endpoint, interval))
}
