//! Rules in the daemon: read and checked before anything starts, run over the series' window.

use crate::api::prometheus::RuleSource;
use crate::metric::Sampler;
use crate::rule::group::Recorder;
use crate::rule::load::{Loaded, load};
use crate::rule::manager::{self, Manager};
use crate::rule::notify::{Protocol, Receiver, Sender};
use crate::rule::slo;
use crate::rule::state::StateFile;
use crate::series::window::Store;
use crate::series::{Labels, Sample};
use crate::settings::Settings;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Rules and receivers, read and checked.
pub struct Prepared {
    loaded: Loaded,
    receivers: Vec<Receiver>,
    external_labels: Labels,
}

/// Rules that run.
pub struct Rules {
    manager: Arc<Manager>,
    sampler: Arc<Sampler>,
    /// What the files said when they were last taken.
    written: u64,
    /// Why they were last refused, so that it is not said again and again.
    refused: Option<String>,
}

/// Takes the results of rules into the window.
struct IntoStore(Arc<Store>);

impl Recorder for IntoStore {
    fn record(&self, samples: Vec<(Labels, Sample)>) {
        self.0.append(&samples);
    }
}

/// How far back series are kept: those of metrics, and those that rules record.
fn kept(settings: &Settings) -> (i64, i64) {
    let series = settings.series();
    (series.retention_ms, series.long_retention_ms)
}

impl Prepared {
    /// Reads rule files and receivers; the error is the picture of all mistakes.
    pub fn read(settings: &Settings) -> Result<Prepared, String> {
        let mut mistakes = Vec::new();
        let loaded = load(settings.list("rules.files"), Some(kept(settings))).unwrap_or_else(|picture| {
            mistakes.push(picture);
            Loaded::default()
        });
        let mut receivers = Vec::new();
        for (name, protocol) in
            [("alertmanager.urls", Protocol::Alertmanager), ("alertmanager.webhooks", Protocol::Webhook)]
        {
            for text in settings.list(name) {
                match Receiver::parse(text, protocol) {
                    Ok(receiver) => receivers.push(receiver),
                    Err(reason) => mistakes.push(format!("`{name}`: {reason}\n")),
                }
            }
        }
        let mut external_labels = Vec::new();
        for pair in settings.list("rules.external_labels") {
            match pair.split_once('=') {
                Some((name, value)) if crate::series::is_label_name(name.trim()) => {
                    external_labels.push((name.trim(), value.trim()));
                }
                _ => mistakes.push(format!("`rules.external_labels` needs NAME=VALUE, not `{pair}`\n")),
            }
        }
        if !settings.flag("series.enabled") && !settings.list("rules.files").is_empty() {
            mistakes.push(
                "`rules.files` needs `series.enabled: true`: rules work on the series that are kept\n".to_owned(),
            );
        }
        if !mistakes.is_empty() {
            return Err(mistakes.concat());
        }
        Ok(Prepared { loaded, receivers, external_labels: Labels::new(external_labels) })
    }

    /// Histograms and the bounds that objectives need of them.
    pub fn bounds(&self) -> Vec<(String, f64)> {
        slo::bounds(&self.loaded.groups)
    }

    /// Starts them, if there are any. `api`: where the management API listens.
    pub fn start(
        self,
        settings: &Settings,
        sampler: &Arc<Sampler>,
        api: Option<SocketAddr>,
    ) -> anyhow::Result<Option<Rules>> {
        if settings.list("rules.files").is_empty() {
            return Ok(None);
        }
        let millis = |name: &str| settings.time(name).map_or(0, |time| time.as_millis() as i64);
        let external_url = match (settings.text("rules.external_url").unwrap_or_default(), api) {
            ("", Some(address)) => format!("http://{address}"),
            (url, _) => url.to_owned(),
        };
        let run = manager::Settings {
            evaluation_interval: millis("rules.evaluation_interval").max(1000),
            query_offset: millis("rules.query_offset"),
            resend_delay: millis("rules.resend_delay").max(1000),
            external_labels: self.external_labels,
            external_url,
        };
        let state = StateFile::open(settings.data()).context("cannot keep the state of alerts")?;
        let senders = self.receivers.into_iter().map(Sender::start).collect::<std::io::Result<Vec<_>>>()?;
        let store = sampler.store.clone();
        let ends = (store.clone() as Arc<_>, Arc::new(IntoStore(store)) as Arc<_>);
        let manager = Arc::new(Manager::start(run, self.loaded.groups, ends, senders, Some(state))?);
        let rules = Rules { manager, sampler: sampler.clone(), written: self.loaded.written, refused: None };
        rules.sample_as_often();
        Ok(Some(rules))
    }
}

impl Rules {
    /// What they say of themselves.
    pub fn source(&self) -> Arc<dyn RuleSource> {
        self.manager.clone()
    }

    /// Metrics are sampled at least as often as rules look.
    fn sample_as_often(&self) {
        if let Some(interval) = self.manager.interval_min() {
            self.sampler.want_interval(Duration::from_millis(interval as u64));
        }
    }

    /// Reads the rule files again and goes on by them, if all of them are right.
    pub fn reload(&mut self, settings: &Settings) {
        match load(settings.list("rules.files"), Some(kept(settings))) {
            Ok(loaded) => {
                self.refused = None;
                if loaded.written != self.written {
                    let rules: usize = loaded.groups.iter().map(|group| group.rules.len()).sum();
                    tracing::info!(groups = loaded.groups.len(), rules, "going on by the new rules");
                    self.written = loaded.written;
                    self.manager.reload(loaded.groups);
                    self.sample_as_often();
                }
            }
            Err(picture) if self.refused.as_ref() == Some(&picture) => {}
            Err(picture) => {
                tracing::error!("the new rules are refused, the running ones go on:\n{picture}");
                self.refused = Some(picture);
            }
        }
    }

    /// Ends them.
    pub fn end(&self) {
        self.manager.end();
    }
}
