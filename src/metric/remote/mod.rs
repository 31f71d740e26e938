//! Remote write: what the sampler takes goes to every configured endpoint, in order, over restarts.
//!
//! ```text
//!  sampler ── Tick ──► relabel ► shard by series ► encode ──► queue on disk ──► sender thread ──► endpoint
//! ```
//!
//! A series always takes the same shard, and a shard sends one request after the other, so samples
//! of a series arrive in order. What stands in a queue is what will be sent, byte for byte.
//!
//! **An endpoint in trouble.** 429, 5xx and no answer: sent again after a pause that grows from
//! [`PAUSE_MIN`] to [`PAUSE_MAX`], or as long as `Retry-After` asks. Any other 4xx: the request is
//! dropped and counted, since it would be refused for ever. A Prometheus whose native histograms are
//! not switched on gets the rest. The queue is bounded; beyond, the oldest
//! requests are dropped and counted. Endpoints don't wait for each other, and the sampler for none.

mod encode;
mod message;
mod queue;
pub mod relabel;
mod sender;

pub use encode::{Outgoing, Protocol, encode};

use super::Registry;
use super::pipeline::{Counter, Gauge};
use super::sampler::{Sampler, Tick, with_external};
use crate::endpoint::{self, Endpoint};
use crate::series::{Labels, Sample};
use parking_lot::Mutex;
use queue::Queue;
use relabel::Relabel;
use rustc_hash::{FxHashMap, FxHashSet};
use sender::Sender;
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(30);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Bytes that one endpoint's queue may take where nothing is said.
const QUEUE_BYTES: u64 = 512 << 20;
/// Samples in a request at the most where nothing is said.
const SAMPLES_PER_REQUEST: usize = 2_000;
/// Shards where nothing is said.
const SHARDS: usize = 4;
/// How often 1.0 is told what metrics are.
const METADATA_MS: i64 = 60_000;

/// One endpoint as configured.
pub struct Target {
    endpoint: Endpoint,
    protocol: Protocol,
    relabel: Vec<Relabel>,
    shards: usize,
    queue_bytes: u64,
    samples_max: usize,
    native: bool,
    exemplars: bool,
    metadata: bool,
}

/// What one endpoint did.
pub struct Counts {
    /// Samples that the endpoint took.
    pub sent: Arc<Counter>,
    /// Requests that were sent again.
    pub retried: Arc<Counter>,
    /// Samples that it refused for good.
    pub failed: Arc<Counter>,
    /// Samples dropped since the queue was full.
    pub dropped: Arc<Counter>,
    /// Bytes that wait.
    pub waiting: Arc<Gauge>,
}

/// An endpoint with its queues.
struct Remote {
    target: Target,
    shards: Vec<Arc<Sender>>,
    state: Mutex<State>,
    external: Vec<(String, String)>,
}

#[derive(Default)]
struct State {
    /// The series of the last tick, and whether they are histograms.
    present: FxHashMap<Labels, bool>,
    /// Series that ended a moment ago, and the times of their markers.
    ended: FxHashMap<Labels, i64>,
    /// What relabelling made of a series.
    relabelled: FxHashMap<Labels, Option<Labels>>,
    metadata_ms: Option<i64>,
}

/// Sends to all endpoints.
pub struct RemoteWrite {
    remotes: Vec<Arc<Remote>>,
}

impl Target {
    /// Reads an element of `remote_write.urls`.
    pub fn parse(text: &str) -> Result<Target, String> {
        let mut members = endpoint::members(text)?;
        let endpoint = Endpoint::take(&mut members)?;
        let take = |members: &mut Map<String, Value>, name: &str| endpoint::text(members, name);
        let protocol = match take(&mut members, "protobuf_message").or_else(|| take(&mut members, "protocol_version")) {
            None => Protocol::V1,
            Some(text) => match text.as_str() {
                "1" | "1.0" | "prometheus.WriteRequest" => Protocol::V1,
                "2" | "2.0" | "io.prometheus.write.v2.Request" => Protocol::V2,
                other => return Err(format!("unknown protocol `{other}`: there are `1.0` and `2.0`")),
            },
        };
        let relabel = relabel::steps(members.remove("write_relabel_configs"))?;
        let flag = |members: &mut Map<String, Value>, name: &str| take(members, name).as_deref() != Some("false");
        let native = flag(&mut members, "send_native_histograms");
        let exemplars = flag(&mut members, "send_exemplars");
        let mut metadata = true;
        if let Some(mut config) = endpoint::object(&mut members, "metadata_config")? {
            metadata = flag(&mut config, "send");
        }
        let mut queue = endpoint::object(&mut members, "queue_config")?.unwrap_or_default();
        let mut number = |name: &str, default: u64, least: u64| match take(&mut queue, name) {
            None => Ok(default),
            Some(text) => match crate::settings::unit::bytes(&text) {
                Some(number) if number >= least => Ok(number),
                _ => Err(format!("`{name}` is a number from {least} on, not `{text}`")),
            },
        };
        let shards = number("max_shards", SHARDS as u64, 1)?.min(64) as usize;
        let samples_max = number("max_samples_per_send", SAMPLES_PER_REQUEST as u64, 1)? as usize;
        let queue_bytes = number("max_bytes", QUEUE_BYTES, 1 << 20)?;
        // Of Prometheus, without a meaning here: its queue is in memory.
        for name in [
            "capacity",
            "min_shards",
            "batch_send_deadline",
            "min_backoff",
            "max_backoff",
            "sample_age_limit",
            "retry_on_http_429",
        ] {
            queue.remove(name);
        }
        endpoint::nothing_left(&queue, "`queue_config`")?;
        members.remove("name");
        endpoint::nothing_left(&members, "`remote_write.urls`")?;
        Ok(Target { endpoint, protocol, relabel, shards, queue_bytes, samples_max, native, exemplars, metadata })
    }
}

impl Counts {
    fn new(registry: &Registry, url: &str) -> Counts {
        let labels = [("url", url)];
        let counter = |name, help| registry.counter(name, help, &labels);
        Counts {
            sent: counter("logboom_remote_write_samples", "Samples that an endpoint took."),
            retried: counter("logboom_remote_write_retries", "Requests that had to be sent again."),
            failed: counter("logboom_remote_write_samples_failed", "Samples that an endpoint refused for good."),
            dropped: counter("logboom_remote_write_samples_dropped", "Samples dropped since the queue was full."),
            waiting: registry.gauge("logboom_remote_write_queue_bytes", "Bytes that wait to be sent.", &labels),
        }
    }
}

impl RemoteWrite {
    /// Opens the queues below `folder` and starts sending what they hold; everything that the sampler
    /// takes and rules record from now on follows.
    pub fn start(
        targets: Vec<Target>,
        external: Vec<(String, String)>,
        folder: &Path,
        sampler: &Sampler,
        registry: &Registry,
    ) -> std::io::Result<Arc<RemoteWrite>> {
        let mut remotes = Vec::new();
        for target in targets {
            let counts = Arc::new(Counts::new(registry, &target.endpoint.url));
            let hash = xxhash_rust::xxh3::xxh3_64(target.endpoint.url.as_bytes());
            let folder = folder.join(format!("{hash:016x}-{:?}", target.protocol).to_lowercase());
            let mut shards = Vec::new();
            for shard in 0..target.shards {
                let bytes = target.queue_bytes / target.shards as u64;
                let queue = Queue::open(&folder.join(shard.to_string()), bytes)?;
                shards.push(Sender::start(queue, target.endpoint.clone(), target.protocol, counts.clone())?);
            }
            let (state, external) = (Mutex::default(), external.clone());
            remotes.push(Arc::new(Remote { target, shards, state, external }));
        }
        let all = Arc::new(RemoteWrite { remotes });
        let (ticks, appends) = (all.clone(), all.clone());
        sampler.listen(Box::new(move |tick| ticks.remotes.iter().for_each(|remote| remote.tick(tick))));
        sampler.store.on_append(Box::new(move |samples| {
            appends.remotes.iter().for_each(|remote| remote.append(samples));
        }));
        Ok(all)
    }

    /// Sends what waits for a moment longer, then ends; the rest stays in the queues.
    pub fn end(&self, patience: Duration) {
        let until = std::time::Instant::now() + patience;
        for shard in self.remotes.iter().flat_map(|remote| &remote.shards) {
            shard.end(until);
        }
    }
}

impl Remote {
    fn tick(&self, tick: &Tick) {
        let mut state = self.state.lock();
        let mut outgoing = Vec::with_capacity(tick.series.len());
        let mut present = FxHashMap::default();
        present.reserve(tick.series.len());
        for taken in &tick.series {
            let labels = &taken.written.labels;
            let histogram = taken.written.value.as_ref().is_some_and(|value| value.histogram().is_some());
            if histogram && !self.target.native {
                continue;
            }
            let Some(labels) = self.labels(&mut state, labels) else { continue };
            present.insert(labels.clone(), histogram);
            let Some(value) = taken.written.value.clone() else { continue };
            let mut samples = Vec::with_capacity(2);
            let birth_ms = tick.at_ms - tick.interval_ms.max(1);
            // One that comes back at once has its marker there: another sample at this time would be
            // refused, and with it all that the request holds.
            let free = state.ended.get(&labels).is_none_or(|&ended_ms| ended_ms < birth_ms);
            if taken.written.born && free && !state.present.contains_key(&labels) {
                samples.push((birth_ms, crate::series::window::zero(&value)));
            }
            samples.push((tick.at_ms, value));
            let exemplars = if self.target.exemplars { taken.exemplars.clone() } else { Vec::new() };
            // 1.0 hears of it in requests of their own.
            let said = self.target.protocol == Protocol::V2;
            let about = said.then(|| tick.metadata.get(&*taken.family)).flatten();
            let about = about.map(|about| (taken.family.to_string(), about.kind, about.help.clone()));
            outgoing.push(Outgoing {
                labels,
                samples,
                exemplars,
                about,
                created_ms: taken.created_ms,
                fractions: false,
            });
        }
        let State { present: before, ended, .. } = &mut *state;
        ended.retain(|_, ended_ms| *ended_ms >= tick.at_ms - tick.interval_ms.max(1));
        for (labels, histogram) in before.iter().filter(|(labels, _)| !present.contains_key(*labels)) {
            outgoing.push(Outgoing::ended(labels.clone(), *histogram, tick.at_ms));
            ended.insert(labels.clone(), tick.at_ms);
        }
        if present.len() != state.present.len() {
            // What relabelling made of series that are gone is not needed any more.
            let alive: FxHashSet<&Labels> = tick.series.iter().map(|taken| &taken.written.labels).collect();
            state.relabelled.retain(|labels, _| alive.contains(labels));
        }
        state.present = present;
        self.push(outgoing);
        let due = state.metadata_ms.is_none_or(|last| tick.at_ms - last >= METADATA_MS);
        if due && self.target.metadata && self.target.protocol == Protocol::V1 {
            state.metadata_ms = Some(tick.at_ms);
            let all = tick.metadata.iter().map(|(name, about)| (name.as_str(), about.kind, about.help.as_str()));
            self.shards[0].push(0, &encode::metadata(all));
        }
    }

    /// What rules recorded.
    fn append(&self, samples: &[(Labels, Sample)]) {
        let mut outgoing = Vec::with_capacity(samples.len());
        for (labels, sample) in samples {
            let labels = with_external(labels, &self.external);
            if let Some(labels) = relabel::apply(&self.target.relabel, &labels) {
                let samples = vec![(sample.t, sample.value.clone())];
                outgoing.push(Outgoing {
                    labels,
                    samples,
                    exemplars: Vec::new(),
                    about: None,
                    created_ms: None,
                    fractions: true,
                });
            }
        }
        self.push(outgoing);
    }

    fn labels(&self, state: &mut State, labels: &Labels) -> Option<Labels> {
        if self.target.relabel.is_empty() && self.external.is_empty() {
            return Some(labels.clone());
        }
        let make = || {
            let labels = relabel::apply(&self.target.relabel, &with_external(labels, &self.external))?;
            (!labels.is_empty()).then_some(labels)
        };
        state.relabelled.entry(labels.clone()).or_insert_with(make).clone()
    }

    fn push(&self, outgoing: Vec<Outgoing>) {
        let mut parts: Vec<Vec<Outgoing>> = self.shards.iter().map(|_| Vec::new()).collect();
        for one in outgoing {
            let shard = (one.labels.hash() % self.shards.len() as u64) as usize;
            parts[shard].push(one);
        }
        for (shard, part) in self.shards.iter().zip(parts) {
            for chunk in part.chunks(self.target.samples_max) {
                let (body, samples) = encode(self.target.protocol, chunk);
                shard.push(samples, &body);
            }
        }
    }
}

#[cfg(test)]
mod tests;
