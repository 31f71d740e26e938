//! Everything that is counted in this process, put together when somebody asks.

use super::derive::Derived;
use super::exposition::{Family, Kind, Value};
use super::flow::Flows;
use super::histogram::Histogram;
use super::pipeline::{Counter, Gauge, PipelineStats, PluginStats, Reloads, State};
use super::process;
use crate::plugin;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Series that one name may have. What comes past it shares one series whose label values are
/// all `other`.
pub const SERIES_MAX: usize = 1_000;

/// A function that appends the metrics of one part of the process.
type Source = Box<dyn Fn(&mut Vec<Family>) + Send + Sync>;

/// Everything that is counted.
#[derive(Default)]
pub struct Registry {
    pipelines: RwLock<Vec<Arc<PipelineStats>>>,
    derived: Arc<Derived>,
    named: RwLock<BTreeMap<&'static str, Named>>,
    sources: RwLock<Vec<Source>>,
    reloads: Reloads,
    flows: Flows,
}

/// The series of one name.
struct Named {
    help: &'static str,
    labels: Vec<&'static str>,
    series: BTreeMap<Vec<String>, Series>,
}

#[derive(Clone)]
enum Series {
    Counter(Arc<Counter>),
    Gauge(Arc<Gauge>),
    Histogram(Arc<Mutex<Histogram>>),
}

/// Labels of a series: always the same names, in the same order, for one metric.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

impl Registry {
    /// Nothing counted yet.
    pub fn new() -> Arc<Registry> {
        std::sync::LazyLock::force(&process::START_SECONDS);
        Arc::new(Registry::default())
    }

    /// Shows a pipeline from now on; one of the same id gives way to it.
    pub fn add_pipeline(&self, stats: Arc<PipelineStats>) {
        let mut pipelines = self.pipelines.write();
        match pipelines.iter_mut().find(|p| p.id == stats.id) {
            Some(old) => *old = stats,
            None => pipelines.push(stats),
        }
    }

    /// The counters of a pipeline, which it shows from now on: those of an earlier run of it, or
    /// new ones.
    pub fn pipeline(&self, id: &str) -> Arc<PipelineStats> {
        let mut pipelines = self.pipelines.write();
        match pipelines.iter().find(|p| *p.id == *id) {
            Some(stats) => stats.clone(),
            None => {
                let stats = Arc::new(PipelineStats::new(id));
                pipelines.push(stats.clone());
                stats
            }
        }
    }

    /// Rates over windows of time.
    pub fn flows(&self) -> &Flows {
        &self.flows
    }

    /// How often the configuration was changed.
    pub fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// Shows a pipeline no more.
    pub fn remove_pipeline(&self, id: &str) {
        self.pipelines.write().retain(|p| *p.id != *id);
    }

    /// The pipelines that run.
    pub fn pipelines(&self) -> Vec<Arc<PipelineStats>> {
        self.pipelines.read().clone()
    }

    /// The metrics derived from events.
    pub fn derived(&self) -> &Arc<Derived> {
        &self.derived
    }

    /// Asks this function too whenever somebody asks.
    pub fn add_source(&self, source: impl Fn(&mut Vec<Family>) + Send + Sync + 'static) {
        self.sources.write().push(Box::new(source));
    }

    /// A counter by name (without `_total`) and labels: the same one for the same labels. Look it
    /// up once and keep it.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: Labels) -> Arc<Counter> {
        match self.series(name, help, labels, || Series::Counter(Arc::default())) {
            Series::Counter(counter) => counter,
            _ => panic!("BUG: the metric {name} is no counter"),
        }
    }

    /// A gauge by name and labels.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: Labels) -> Arc<Gauge> {
        match self.series(name, help, labels, || Series::Gauge(Arc::default())) {
            Series::Gauge(gauge) => gauge,
            _ => panic!("BUG: the metric {name} is no gauge"),
        }
    }

    /// A histogram by name and labels, for what happens a few times a second (a commit, a
    /// request): it has a lock.
    pub fn histogram(&self, name: &'static str, help: &'static str, labels: Labels) -> Arc<Mutex<Histogram>> {
        match self.series(name, help, labels, || Series::Histogram(Arc::default())) {
            Series::Histogram(histogram) => histogram,
            _ => panic!("BUG: the metric {name} is no histogram"),
        }
    }

    fn series(&self, name: &'static str, help: &'static str, labels: Labels, new: fn() -> Series) -> Series {
        let mut named = self.named.write();
        let names: Vec<_> = labels.iter().map(|(name, _)| *name).collect();
        let metric = named.entry(name).or_insert_with(|| Named { help, labels: names, series: BTreeMap::new() });
        debug_assert!(metric.labels.iter().eq(labels.iter().map(|(n, _)| n)), "BUG: other labels for {name}");
        let mut values: Vec<_> = labels.iter().map(|(_, value)| (*value).to_owned()).collect();
        if metric.series.len() >= SERIES_MAX && !metric.series.contains_key(&values) {
            values.fill("other".to_owned());
        }
        metric.series.entry(values).or_insert_with(new).clone()
    }

    /// Everything as metrics.
    pub fn gather(&self) -> Vec<Family> {
        let mut out = Vec::new();
        let mut build = Family::new(Kind::Gauge, "logboom_build_info", "Which program this is.");
        build.whole(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        out.push(build);
        process::Usage::now().collect(&mut out);
        let pipelines = self.pipelines();
        collect_pipelines(&pipelines, &mut out);
        collect_plugins(&pipelines, &mut out);
        self.collect_reloads(&mut out);
        self.derived.collect(now_ms(), &mut out);
        self.collect_named(&mut out);
        self.sources.read().iter().for_each(|source| source(&mut out));
        out
    }

    fn collect_reloads(&self, out: &mut Vec<Family>) {
        let mut family = Family::new(Kind::Counter, "logboom_reloads", "Changes of the configuration while it ran.");
        family.whole(&[("result", "success")], self.reloads.successes.get());
        family.whole(&[("result", "failure")], self.reloads.failures.get());
        out.push(family);
    }

    fn collect_named(&self, out: &mut Vec<Family>) {
        for (name, metric) in self.named.read().iter() {
            let mut family: Option<Family> = None;
            for (values, series) in &metric.series {
                let (kind, value) = match series {
                    Series::Counter(counter) => (Kind::Counter, Value::Whole(counter.get().into())),
                    Series::Gauge(gauge) => (Kind::Gauge, Value::Whole(gauge.get().into())),
                    Series::Histogram(histogram) => (Kind::Histogram, Value::Buckets(histogram.lock().classic())),
                };
                let labels: Vec<_> = metric.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
                family.get_or_insert_with(|| Family::new(kind, name, metric.help)).push(&labels, value);
            }
            out.extend(family);
        }
    }
}

fn collect_pipelines(pipelines: &[Arc<PipelineStats>], out: &mut Vec<Family>) {
    let mut whole = |kind, name, help, get: fn(&PipelineStats) -> i128| {
        let mut family = Family::new(kind, name, help);
        pipelines.iter().for_each(|p| family.whole(&[("pipeline", &p.id)], get(p)));
        out.push(family);
    };
    use Kind::{Counter, Gauge};
    whole(Counter, "logboom_pipeline_events_in", "Events decoded.", |p| p.events_in.get().into());
    whole(Counter, "logboom_pipeline_events_created", "Events that filters made of others.", |p| {
        p.created.get().into()
    });
    whole(Counter, "logboom_pipeline_events_filtered", "Events that came out of the filters.", |p| {
        p.events_filtered.get().into()
    });
    whole(Counter, "logboom_pipeline_events_out", "Events handed to outputs.", |p| p.events_out.get().into());
    whole(Counter, "logboom_pipeline_events_dropped", "Events that filters cancelled.", |p| p.dropped.get().into());
    whole(Counter, "logboom_pipeline_events_dead", "Events that could not be processed.", |p| p.dead.get().into());
    whole(Gauge, "logboom_pipeline_events_in_flight", "Events that workers hold.", |p| p.in_flight.get().into());
    whole(
        Gauge,
        "logboom_pipeline_ledger_imbalance",
        "In and created less out, dropped, dead and in flight: 0 at rest.",
        |p| p.imbalance().into(),
    );
    whole(Gauge, "logboom_pipeline_queue_batches", "Batches waiting for a worker.", |p| p.queue.get().into());
    whole(Gauge, "logboom_pipeline_queue_events", "Events waiting for a worker.", |p| p.queue_events.get().into());
    whole(Counter, "logboom_pipeline_reloads", "Changes of its configuration that were taken.", |p| {
        p.reloads.successes.get().into()
    });
    whole(Counter, "logboom_pipeline_reload_failures", "Changes of its configuration that were refused.", |p| {
        p.reloads.failures.get().into()
    });
    whole(Gauge, "logboom_pipeline_up", "1 while it runs.", |p| (p.state() == State::Running).into());
    whole(Gauge, "logboom_pipeline_queue_batches_max", "Batches that may wait.", |p| {
        p.shape.load().queue_capacity as i128
    });
    whole(Gauge, "logboom_pipeline_workers", "Workers.", |p| p.shape.load().workers as i128);
    let mut seconds = |name, help, get: fn(&PipelineStats) -> u64| {
        let mut family = Family::new(Counter, name, help);
        pipelines.iter().for_each(|p| family.number(&[("pipeline", &p.id)], get(p) as f64 / 1e9));
        out.push(family);
    };
    seconds("logboom_pipeline_duration_seconds", "Time spent on batches, all workers.", |p| p.busy_ns());
    seconds("logboom_pipeline_queue_push_seconds", "Time that inputs waited for room.", |p| p.queue_push_ns.get());
}

fn collect_plugins(pipelines: &[Arc<PipelineStats>], out: &mut Vec<Family>) {
    let mut family = |name, help, get: fn(&PluginStats) -> Value| {
        let mut family = Family::new(Kind::Counter, name, help);
        for pipeline in pipelines {
            let shape = pipeline.shape.load();
            let codecs: Vec<_> = shape.plugins.iter().filter_map(|plugin| plugin.codec()).collect();
            for plugin in shape.plugins.iter().chain(&codecs) {
                let labels = [
                    ("pipeline", &*pipeline.id),
                    ("plugin", &*plugin.id),
                    ("kind", kind(plugin.kind)),
                    ("name", plugin.name),
                ];
                family.push(&labels, get(plugin));
            }
        }
        out.push(family);
    };
    family("logboom_plugin_events_in", "Events that a plugin got.", |p| Value::Whole(p.events_in.get().into()));
    family("logboom_plugin_events_out", "Events that a plugin gave on; an output: made durable.", |p| {
        Value::Whole(p.events_out.get().into())
    });
    family("logboom_plugin_failures", "Events on which a plugin failed.", |p| Value::Whole(p.failures.get().into()));
    family("logboom_plugin_duration_seconds", "Time spent in a plugin.", |p| {
        Value::Number(p.duration_ns.get() as f64 / 1e9)
    });
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn kind(kind: plugin::Kind) -> &'static str {
    match kind {
        plugin::Kind::Input => "input",
        plugin::Kind::Codec => "codec",
        plugin::Kind::Filter => "filter",
        plugin::Kind::Output => "output",
    }
}

#[cfg(test)]
mod tests {
    use super::super::exposition::Format;
    use super::super::pipeline::Shape;
    use super::*;

    #[test]
    fn everything_is_gathered() {
        let registry = Registry::new();
        let stats = PipelineStats::new("main");
        let plugin = PluginStats::new("grok_1", "grok", plugin::Kind::Filter);
        plugin.failures.add(2);
        stats.shape.store(Arc::new(Shape { plugins: vec![plugin], ..Shape::default() }));
        stats.events_in.add(5);
        registry.add_pipeline(Arc::new(stats));
        registry.counter("epochs", "Epochs.", &[("index", "a")]).add(3);
        registry.gauge("waiting_rows", "Rows.", &[]).set(-1);
        registry.histogram("commit_seconds", "Commits.", &[]).lock().record_ms(20.0);
        registry.add_source(|out| {
            let mut family = Family::new(Kind::Gauge, "from_elsewhere", "Other.");
            family.whole(&[], 7);
            out.push(family);
        });
        let text = Format::Text.text(&registry.gather());
        for line in [
            "logboom_build_info{version=",
            "process_resident_memory_bytes ",
            "logboom_pipeline_events_in_total{pipeline=\"main\"} 5\n",
            "logboom_pipeline_ledger_imbalance{pipeline=\"main\"} 5\n",
            "logboom_plugin_failures_total{pipeline=\"main\",plugin=\"grok_1\",kind=\"filter\",name=\"grok\"} 2\n",
            "epochs_total{index=\"a\"} 3\n",
            "waiting_rows -1\n",
            "commit_seconds_bucket{le=\"0.025\"} 1\n",
            "from_elsewhere 7\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        registry.remove_pipeline("main");
        assert!(!Format::Text.text(&registry.gather()).contains("main"));
    }

    #[test]
    fn series_are_capped() {
        let registry = Registry::new();
        for n in 0..SERIES_MAX + 10 {
            registry.counter("c", "C.", &[("n", &n.to_string())]).add(1);
        }
        assert_eq!(registry.counter("c", "C.", &[("n", "5")]).get(), 1);
        assert_eq!(registry.counter("c", "C.", &[("n", "other")]).get(), 10);
    }
}
