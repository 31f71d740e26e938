//! Start, drain, stop: the order of things, on one page.
//!
//! Everything is checked and built before anything runs: a configuration with a mistake starts
//! nothing. Pipelines run before the APIs listen, so that the first event waits for nobody. At
//! the end the order is the events': inputs, workers, outputs, the last epoch, the APIs.

use crate::api::es::Es;
use crate::api::{self, node::Node};
use crate::diagnostic::{Diagnostic, Sources, render};
use crate::index::Index;
use crate::language::{self, Language, plan::Plan};
use crate::lock::{FolderLock, LockError};
use crate::metric::Registry;
use crate::metric::health::Health;
use crate::metric::identity;
use crate::pipeline::checkpoint::Checkpoints;
use crate::pipeline::{Blueprint, Pipeline, Sizes, Stop};
use crate::plugin::{Catalogue, Context};
use crate::settings::{self, Settings};
use crate::telemetry;
use anyhow::{Context as _, anyhow};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Runtime;

/// One pipeline as configured.
pub struct Configured {
    /// The settings as they hold for it.
    pub settings: Settings,
    /// Its files.
    pub sources: Sources,
}

impl Configured {
    /// Every pipeline that the settings name: on the command line, in `path.config`, or in
    /// `pipelines.yml`.
    pub fn all(settings: &Settings) -> Result<Vec<Configured>, settings::SettingsError> {
        let pipelines = settings::pipelines(settings, &variable)?;
        let read = |settings: Settings| Ok(Configured { sources: settings::sources(&settings)?, settings });
        pipelines.into_iter().map(read).collect()
    }
}

/// Where `${NAME}` comes from.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Runs until the inputs end or a signal comes. `Ok(false)`: a mistake in the configuration, which
/// was said, or events that could not be made durable; the exit code is then Logstash's 1.
pub fn run(settings: &Settings) -> anyhow::Result<bool> {
    telemetry::start(settings.log_level(), settings.log_json());
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    let pipelines = Configured::all(settings)?;
    let plans = match compile(&pipelines) {
        Ok(plans) => plans,
        Err(report) => return Ok(refuse(&report)),
    };
    if settings.check_only() {
        return Ok(match build(settings, &pipelines, &plans, None) {
            Ok(_) => {
                println!("Configuration OK");
                true
            }
            Err(report) => refuse(&report),
        });
    }
    let Some(daemon) = Daemon::start_plans(settings, &pipelines, &plans)? else { return Ok(false) };
    daemon.obey_signals()?;
    Ok(daemon.join())
}

/// Says what is wrong on standard error.
fn refuse(report: &str) -> bool {
    eprint!("{report}");
    false
}

/// Compiles every pipeline; with a mistake anywhere, the report of all mistakes.
fn compile(pipelines: &[Configured]) -> Result<Vec<Plan>, String> {
    let catalogue = Catalogue::built_in();
    let (mut plans, mut report, mut failed) = (Vec::new(), String::new(), false);
    for pipeline in pipelines {
        let language = Language {
            catalogue: &catalogue,
            support_escapes: pipeline.settings.support_escapes(),
            environment: &variable,
        };
        let outcome = language::compile(&pipeline.sources, &language);
        report += &shown(&outcome.diagnostics, &pipeline.sources);
        failed |= outcome.plan.is_none();
        plans.extend(outcome.plan);
    }
    if failed {
        return Err(report);
    }
    eprint!("{report}");
    Ok(plans)
}

fn shown(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    render(diagnostics, sources, std::io::stderr().is_terminal())
}

/// Builds every pipeline; with a mistake anywhere, the report of all mistakes.
fn build(
    settings: &Settings,
    pipelines: &[Configured],
    plans: &[Plan],
    index: Option<&Arc<Index>>,
) -> Result<Vec<Blueprint>, String> {
    let (mut built, mut report) = (Vec::new(), String::new());
    for (pipeline, plan) in pipelines.iter().zip(plans) {
        let own = &pipeline.settings;
        let context = Context {
            pipeline: own.pipeline_id().to_owned(),
            id: String::new(),
            ecs: own.ecs(),
            data: settings.data().to_owned(),
            check_only: settings.check_only(),
            index: index.cloned(),
        };
        let sizes = Sizes {
            workers: own.workers(),
            batch_events: own.batch_size(),
            batch_delay: own.batch_delay(),
            ordered: own.ordered(),
        };
        match Blueprint::build(plan, &context, &sizes) {
            Ok(blueprint) => built.push(blueprint),
            Err(mistakes) => report += &shown(&mistakes, &pipeline.sources),
        }
    }
    if report.is_empty() { Ok(built) } else { Err(report) }
}

/// A running process: its pipelines, index and APIs.
pub struct Daemon {
    pipelines: Vec<Pipeline>,
    index: Option<Arc<Index>>,
    apis: Option<Apis>,
    stopping: Arc<AtomicBool>,
    /// Held as long as the process uses `path.data`.
    _lock: FolderLock,
}

/// The HTTP servers.
struct Apis {
    runtime: Runtime,
    stop: tokio::sync::watch::Sender<bool>,
    /// Where the management API listens.
    api: Option<SocketAddr>,
    /// Where the search API listens.
    search: Option<SocketAddr>,
}

impl Daemon {
    /// Compiles and starts pipelines; `None` after mistakes, which are said on standard error.
    pub fn start(settings: &Settings, pipelines: &[Configured]) -> anyhow::Result<Option<Daemon>> {
        match compile(pipelines) {
            Ok(plans) => Daemon::start_plans(settings, pipelines, &plans),
            Err(report) => {
                refuse(&report);
                Ok(None)
            }
        }
    }

    fn start_plans(settings: &Settings, pipelines: &[Configured], plans: &[Plan]) -> anyhow::Result<Option<Daemon>> {
        let lock = lock(settings.data())?;
        let index = if plans.iter().any(uses_index) { Some(Index::open(settings.index())?) } else { None };
        let blueprints = match build(settings, pipelines, plans, index.as_ref()) {
            Ok(blueprints) => blueprints,
            Err(report) => {
                refuse(&report);
                return Ok(None);
            }
        };
        let registry = Registry::new();
        let listeners = Listeners::bind(settings, index.is_some())?;
        let mut started = Vec::new();
        for (blueprint, pipeline) in blueprints.into_iter().zip(pipelines) {
            let checkpoints = Checkpoints::open(settings.data(), pipeline.settings.pipeline_id())?;
            started.push(Pipeline::start(blueprint, checkpoints, &registry).context("cannot start a thread")?);
        }
        let apis = listeners.serve(settings, &registry, index.as_ref())?;
        let stopping = Arc::new(AtomicBool::new(false));
        Ok(Some(Daemon { pipelines: started, index, apis, stopping, _lock: lock }))
    }

    /// Where the management API listens.
    pub fn api(&self) -> Option<SocketAddr> {
        self.apis.as_ref()?.api
    }

    /// Where the search API listens.
    pub fn search(&self) -> Option<SocketAddr> {
        self.apis.as_ref()?.search
    }

    /// SIGINT and SIGTERM end the inputs; a second one ends the process at once. Handlers are
    /// installed also where the shell left SIGINT ignored.
    pub fn obey_signals(&self) -> std::io::Result<()> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let stops: Vec<Arc<Stop>> = self.pipelines.iter().map(Pipeline::stopper).collect();
        let stopping = self.stopping.clone();
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    tracing::warn!("SIGHUP is ignored: this version does not reload its configuration");
                } else if stopping.swap(true, Ordering::AcqRel) {
                    tracing::warn!("a second signal: leaving at once, what is not durable will be read again");
                    // 128 + signal, as a shell reports a process that a signal ended.
                    std::process::exit(128 + signal);
                } else {
                    tracing::info!("stopping: what was read is delivered first, another signal leaves at once");
                    stops.iter().for_each(|stop| stop.stop());
                }
            }
        })?;
        Ok(())
    }

    /// Tells the inputs to end.
    pub fn stop(&self) {
        self.pipelines.iter().for_each(|pipeline| pipeline.stopper().stop());
    }

    /// Waits until the inputs have ended and everything is durable; returns whether all of it is.
    pub fn join(self) -> bool {
        let ends: Vec<bool> = self.pipelines.into_iter().map(Pipeline::join).collect();
        let clean = ends.iter().all(|&clean| clean);
        if let Some(index) = &self.index {
            index.close();
        }
        if let Some(apis) = self.apis {
            apis.stop.send_replace(true);
            apis.runtime.shutdown_background();
        }
        if !clean {
            tracing::error!("some events are not durable: inputs that can will read them again at the next start");
        }
        clean
    }
}

fn uses_index(plan: &Plan) -> bool {
    let mut uses = false;
    plan.outputs.iter().for_each(|step| step.each_call(&mut |call| uses |= call.name == "index"));
    uses
}

/// Takes `path.data` for this process alone.
fn lock(data: &Path) -> anyhow::Result<FolderLock> {
    std::fs::create_dir_all(data).with_context(|| format!("cannot create path.data {}", data.display()))?;
    FolderLock::take(&data.join(".lock")).map_err(|error| match error {
        LockError::InUse { .. } => anyhow!(
            "cannot use path.data {}: {error}; give this one a folder of its own with --path.data",
            data.display()
        ),
        LockError::Io(_) => anyhow!("cannot lock path.data {}: {error}", data.display()),
    })
}

/// Sockets that listen but are not answered yet: a taken port must stop the start, and answering
/// must not hold it up.
struct Listeners {
    api: Option<(std::net::TcpListener, SocketAddr)>,
    search: Option<(std::net::TcpListener, SocketAddr)>,
}

impl Listeners {
    fn bind(settings: &Settings, index: bool) -> anyhow::Result<Listeners> {
        let api = settings.api().map(|address| address.bind()).transpose()?;
        let search = index.then(|| settings.search().bind()).transpose()?;
        Ok(Listeners { api, search })
    }

    fn serve(
        self,
        settings: &Settings,
        registry: &Arc<Registry>,
        index: Option<&Arc<Index>>,
    ) -> anyhow::Result<Option<Apis>> {
        if self.api.is_none() && self.search.is_none() {
            return Ok(None);
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("api").enable_all().build()?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let ended = move || {
            let mut stopped = stopped.clone();
            async move {
                let _gone = stopped.wait_for(|&stop| stop).await;
            }
        };
        let (api, search) = (self.api.as_ref().map(|a| a.1), self.search.as_ref().map(|s| s.1));
        let name = settings.text("node.name").map_or_else(identity::hostname, str::to_owned);
        let id = identity::node_id(settings.data())?;
        if let Some((listener, address)) = self.api {
            let health = Health::new();
            health.add_pipelines(registry.clone());
            health.add_disk(settings.data().to_owned());
            if let Some(index) = index {
                registry.add_index(index);
                health.add_index(index);
            }
            let node = Node::new(&name, &id, address, registry.clone(), health);
            runtime.spawn(api::listen::serve(listener, api::node::router(Arc::new(node)), ended()));
        }
        if let (Some((listener, _)), Some(index)) = (self.search, index) {
            let es = Es::new(index.clone(), &name, &id);
            runtime.spawn(api::listen::serve(listener, es.router(), ended()));
        }
        Ok(Some(Apis { runtime, stop, api, search }))
    }
}
