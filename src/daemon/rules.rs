//! Rules in the daemon: read and checked before anything starts, run over the series' window.

use crate::api::prometheus::RuleSource;
use crate::metric::derive::{Exemplar, Origin};
use crate::metric::{Registry, Sampler};
use crate::rule::evidence::{Evidence, Origins, Target};
use crate::rule::group::Recorder;
use crate::rule::load::{Loaded, load};
use crate::rule::manager::{self, Manager};
use crate::rule::notify::{Protocol, Receiver, Sender};
use crate::rule::slo;
use crate::rule::state::StateFile;
use crate::series::window::Store;
use crate::series::{Labels, Sample};
use crate::settings::Settings;
use crate::settings::secrets::variable;
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

/// What rules need of the process around them.
pub struct Place {
    /// What samples metrics and keeps them.
    pub sampler: Arc<Sampler>,
    /// Everything that is counted.
    pub registry: Arc<Registry>,
    /// Where the management API listens.
    pub api: Option<SocketAddr>,
    /// Where the search API listens.
    pub search: Option<SocketAddr>,
}

/// Rules that run, or may come.
pub struct Rules {
    running: Option<Running>,
    place: Place,
    /// Why they were last refused, so that it is not said again and again.
    refused: Option<String>,
}

struct Running {
    manager: Arc<Manager>,
    /// What the files said when they were last taken.
    written: u64,
}

/// Settings that are read anew with the rule files: all of them where the first rules come, later
/// `rules.files` alone, since receivers and the state of alerts stay.
const REREAD: &[&str] = &[
    "alertmanager.urls",
    "alertmanager.webhooks",
    "rules.evaluation_interval",
    "rules.external_labels",
    "rules.external_url",
    "rules.files",
    "rules.kibana_url",
    "rules.query_offset",
    "rules.resend_delay",
    "rules.search_url",
];

/// What is known of the events behind series.
struct Events {
    registry: Arc<Registry>,
    sampler: Arc<Sampler>,
}

impl Origins for Events {
    fn origin(&self, metric: &str) -> Option<Origin> {
        self.registry.derived().origin(metric)
    }

    fn exemplars(&self, start_ms: i64, end_ms: i64, wanted: &dyn Fn(&Labels) -> bool) -> Vec<Exemplar> {
        self.sampler.exemplars(start_ms, end_ms, wanted).into_iter().flat_map(|(_, list)| list).collect()
    }
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
}

impl Rules {
    /// Starts the rules, if there are any; else they may come by a reload.
    pub fn start(prepared: Prepared, settings: &Settings, place: Place) -> anyhow::Result<Rules> {
        let mut rules = Rules { running: None, place, refused: None };
        if !settings.list("rules.files").is_empty() {
            rules.run(prepared, settings)?;
        }
        Ok(rules)
    }

    fn run(&mut self, prepared: Prepared, settings: &Settings) -> anyhow::Result<()> {
        let Prepared { loaded, receivers, external_labels } = prepared;
        let millis = |name: &str| settings.time(name).map_or(0, |time| time.as_millis() as i64);
        let run = manager::Settings {
            evaluation_interval: evaluation_interval(settings),
            query_offset: millis("rules.query_offset"),
            resend_delay: millis("rules.resend_delay").max(1000),
            external_labels,
            external_url: url(settings, "rules.external_url", self.place.api).unwrap_or_default(),
        };
        let kibana = url(settings, "rules.kibana_url", None).map(Target::Kibana);
        let search = || url(settings, "rules.search_url", self.place.search).map(Target::Search);
        let origins = Arc::new(Events { registry: self.place.registry.clone(), sampler: self.place.sampler.clone() });
        let evidence = Evidence { origins, target: kibana.or_else(search) };
        let state = StateFile::open(settings.data()).context("cannot keep the state of alerts")?;
        let senders = receivers.into_iter().map(Sender::start).collect::<std::io::Result<Vec<_>>>()?;
        let store = self.place.sampler.store.clone();
        self.take_up(&loaded, settings);
        let ends = (store.clone() as Arc<_>, Arc::new(IntoStore(store)) as Arc<_>);
        let manager = Arc::new(Manager::start(run, loaded.groups, ends, senders, (Some(state), Some(evidence)))?);
        let shown = Arc::downgrade(&manager);
        self.place.registry.add_source(move |out| {
            if let Some(manager) = shown.upgrade() {
                manager.collect(out);
            }
        });
        self.running = Some(Running { manager, written: loaded.written });
        self.sample_as_often();
        Ok(())
    }

    /// What must be so before the rules of these files run.
    fn take_up(&self, loaded: &Loaded, settings: &Settings) {
        self.place.sampler.store.keep_long(slo::counters(&loaded.groups, evaluation_interval(settings)));
        for (histogram, bound) in slo::bounds(&loaded.groups) {
            if !self.place.registry.derived().ask_bound(&histogram, bound) {
                tracing::warn!(
                    histogram,
                    bound,
                    "an objective counts up to a bound that this histogram gets at the next start: until then the share is estimated between its buckets"
                );
            }
        }
    }

    /// What they say of themselves, once there are any.
    pub fn source(&self) -> Option<Arc<dyn RuleSource>> {
        self.running.as_ref().map(|running| running.manager.clone() as Arc<_>)
    }

    /// Metrics are sampled at least as often as rules look.
    fn sample_as_often(&self) {
        if let Some(interval) = self.running.as_ref().and_then(|running| running.manager.interval_min()) {
            self.place.sampler.want_interval(Duration::from_millis(interval as u64));
        }
    }

    /// Reads the rule files again, also which there are, and goes on by them, if all of them are right.
    pub fn reload(&mut self, settings: &Settings) {
        match self.try_reload(settings) {
            Ok(()) => self.refused = None,
            Err(picture) if self.refused.as_ref() == Some(&picture) => {}
            Err(picture) => {
                tracing::error!("the new rules are refused, the running ones go on:\n{picture}");
                self.refused = Some(picture);
            }
        }
    }

    fn try_reload(&mut self, settings: &Settings) -> Result<(), String> {
        let settings = settings.reread(REREAD, &variable).map_err(|error| error.to_string())?;
        let Some(running) = &self.running else {
            if settings.list("rules.files").is_empty() {
                return Ok(());
            }
            let prepared = Prepared::read(&settings)?;
            said(&prepared.loaded);
            return self.run(prepared, &settings).map_err(|error| format!("{error:#}"));
        };
        let loaded = load(settings.list("rules.files"), Some(kept(&settings)))?;
        if loaded.written != running.written {
            said(&loaded);
            self.take_up(&loaded, &settings);
            if let Some(running) = &mut self.running {
                running.written = loaded.written;
                running.manager.reload(loaded.groups);
            }
            self.sample_as_often();
        }
        Ok(())
    }

    /// Ends them.
    pub fn end(&self) {
        if let Some(running) = &self.running {
            running.manager.end();
        }
    }
}

fn said(loaded: &Loaded) {
    let rules: usize = loaded.groups.iter().map(|group| group.rules.len()).sum();
    tracing::info!(groups = loaded.groups.len(), rules, "going on by the new rules");
}

fn evaluation_interval(settings: &Settings) -> i64 {
    settings.time("rules.evaluation_interval").map_or(0, |time| time.as_millis() as i64).max(1000)
}

/// An URL from the settings, else that of a server of ours; without a slash at its end.
fn url(settings: &Settings, name: &str, own: Option<SocketAddr>) -> Option<String> {
    match settings.text(name).unwrap_or_default() {
        "" => own.map(|address| format!("http://{address}")),
        url => Some(url.trim_end_matches('/').to_owned()),
    }
}
