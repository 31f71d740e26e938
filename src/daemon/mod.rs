//! Start, reload, drain, stop: the order of things, on one page.
//!
//! Everything is checked and built before anything runs: a configuration with a mistake starts
//! nothing, and changes nothing where one runs. Pipelines run before the APIs listen, so that the
//! first event waits for nobody. At the end the order is the events': inputs, workers, outputs, the
//! last epoch, the APIs.

mod apis;
mod fleet;
mod graph;
mod outlets;
mod prepare;
mod rules;

pub use prepare::{Configured, derive_defaults};

use crate::index::Index;
use crate::lock::{FolderLock, LockError};
use crate::metric::{Registry, Sampler};
use crate::pipeline::checkpoint::Checkpoints;
use crate::pipeline::{Bell, INDEX_BOOK, Links, Standing, book_of};
use crate::series::window::Store;
use crate::settings::{Settings, secrets};
use crate::telemetry;
use anyhow::{Context as _, anyhow};
use apis::{Apis, Bound};
use crossbeam::channel::{Receiver, Sender, select, unbounded};
use fleet::{Change, Fleet};
use outlets::{Outlets, Wanted};
use prepare::{Compiled, Refusal, Surroundings, compile, together};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often pipelines are looked at while parts of them are on their way out.
const TEND_INTERVAL: Duration = Duration::from_millis(50);

pub use crate::settings::secrets::variable;

/// Runs until the inputs end or a signal comes. `Ok(false)`: a mistake in the configuration, which
/// was said, or events that could not be made durable; the exit code is then Logstash's 1.
pub fn run(settings: &Settings) -> anyhow::Result<bool> {
    telemetry::start(settings.log_level(), settings.log_json());
    let pipelines = Configured::all(settings)?;
    warn(settings, &pipelines);
    if settings.check_only() {
        return Ok(check(settings, &pipelines));
    }
    // Before anybody can see that it runs.
    let signals = Signals::obey()?;
    let Some(daemon) = Daemon::start_with(settings, &pipelines, signals)? else { return Ok(false) };
    Ok(daemon.join())
}

/// Says which settings have no effect.
fn warn(settings: &Settings, pipelines: &[Configured]) {
    let known = settings.warnings();
    known.iter().for_each(|warning| tracing::warn!("{warning}"));
    for pipeline in pipelines {
        for warning in pipeline.settings.warnings().iter().filter(|warning| !known.contains(warning)) {
            tracing::warn!(pipeline.id = pipeline.settings.pipeline_id(), "{warning}");
        }
    }
}

/// Only looks whether it would start.
fn check(settings: &Settings, pipelines: &[Configured]) -> bool {
    let (links, derived) = (Arc::default(), Arc::default());
    if settings.flag("derive.defaults") {
        derive_defaults(&derived);
    }
    let surroundings = Surroundings { settings, index: None, links: &links, derived: &derived };
    let outlets = Wanted::read(settings).map(|_| ()).map_err(|mistakes| Refusal::plain(mistakes.join("\n") + "\n"));
    let rules = rules::Prepared::read(settings).map(|_| ()).map_err(Refusal::plain);
    let outcome = outlets.and(rules).and_then(|()| compile(pipelines)).and_then(|compiled| {
        eprint!("{}", compiled.warnings);
        let build = |planned| surroundings.build(planned, &Standing::default()).err();
        together(compiled.pipelines.iter().filter_map(build).collect())
    });
    match outcome {
        Ok(()) => {
            println!("Configuration OK");
            true
        }
        Err(refusal) => {
            eprint!("{}", refusal.report);
            false
        }
    }
}

/// What a running process can be asked for.
enum Command {
    Stop,
    Reload,
}

/// Where a process is told what to do.
pub struct Signals {
    commands: (Sender<Command>, Receiver<Command>),
}

impl Signals {
    /// For a process in which somebody else obeys signals.
    pub fn none() -> Signals {
        Signals { commands: unbounded() }
    }

    /// From now on SIGINT and SIGTERM end the inputs; a second one ends the process at once. SIGHUP
    /// reads the configuration again. Handlers are installed also where the shell left SIGINT ignored.
    pub fn obey() -> std::io::Result<Signals> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let (send, receive) = unbounded();
        let (commands, mut stopping) = (send.clone(), false);
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    let _ending = commands.send(Command::Reload);
                } else if std::mem::replace(&mut stopping, true) {
                    tracing::warn!("a second signal: leaving at once, what is not durable will be read again");
                    // 128 + signal, as a shell reports a process that a signal ended.
                    std::process::exit(128 + signal);
                } else {
                    tracing::info!("stopping: what was read is delivered first, another signal leaves at once");
                    let _ending = commands.send(Command::Stop);
                }
            }
        })?;
        Ok(Signals { commands: (send, receive) })
    }
}

/// A running process: its pipelines, index and APIs.
pub struct Daemon {
    settings: Settings,
    fleet: Fleet,
    registry: Arc<Registry>,
    links: Arc<Links>,
    index: Option<Arc<Index>>,
    apis: Apis,
    /// Keeps the series of all metrics, unless the settings say otherwise.
    sampler: Option<Arc<Sampler>>,
    outlets: Option<Outlets>,
    /// Evaluates rules, where there are any or may come.
    rules: Option<rules::Rules>,
    commands: (Sender<Command>, Receiver<Command>),
    bell: Receiver<()>,
    /// What the files said when they were last taken.
    written: Vec<u64>,
    /// Why they were last refused, so that it is not said again and again.
    refused: Option<Refusal>,
    /// Held as long as the process uses `path.data`.
    _lock: FolderLock,
}

impl Daemon {
    /// Compiles and starts pipelines; `None` after mistakes, which are said on standard error.
    pub fn start(settings: &Settings, pipelines: &[Configured]) -> anyhow::Result<Option<Daemon>> {
        Daemon::start_with(settings, pipelines, Signals::none())
    }

    /// The same, to be told by signals.
    pub fn start_with(
        settings: &Settings,
        pipelines: &[Configured],
        signals: Signals,
    ) -> anyhow::Result<Option<Daemon>> {
        let refuse = |refusal: Refusal| {
            eprint!("{}", refusal.report);
            Ok(None)
        };
        let compiled = match compile(pipelines) {
            Ok(compiled) => compiled,
            Err(refusal) => return refuse(refusal),
        };
        let rules = match rules::Prepared::read(settings) {
            Ok(rules) => rules,
            Err(report) => return refuse(Refusal::plain(report)),
        };
        eprint!("{}", compiled.warnings);
        let wanted = Wanted::read(settings).map_err(|mistakes| anyhow!(mistakes.join("\n")))?;
        let lock = lock(settings.data())?;
        let registry = Registry::new();
        for (histogram, bound) in rules.bounds() {
            let _none_is_registered_yet = registry.derived().ask_bound(&histogram, bound);
        }
        if settings.flag("derive.defaults") {
            derive_defaults(registry.derived());
        }
        let (bell, heard) = Bell::new();
        let links: Arc<Links> = Arc::default();
        let mut daemon = Daemon {
            fleet: Fleet::new(&registry, &links, bell, settings.data().to_owned()),
            apis: Apis::new(settings, &registry)?,
            sampler: sampler(settings, &registry)?,
            outlets: None,
            settings: settings.clone(),
            registry,
            links,
            index: None,
            rules: None,
            commands: signals.commands,
            bell: heard,
            written: pipelines.iter().map(Configured::written).collect(),
            refused: None,
            _lock: lock,
        };
        let search = daemon.open_index(&compiled)?;
        let changes = match daemon.build(&compiled, true) {
            Ok(changes) => changes,
            Err(refusal) => return refuse(refusal),
        };
        let api = settings.api().map(|address| address.bind()).transpose()?;
        daemon.open_books(&compiled)?;
        for change in changes {
            daemon.fleet.change(change, daemon.index.as_ref())?;
        }
        if let Some(bound) = api {
            daemon.apis.serve_node(bound, &daemon.registry, daemon.sampler.as_ref(), settings)?;
        }
        daemon.serve_search(search)?;
        daemon.outlets = Some(wanted.start(settings, &daemon.registry, daemon.sampler.as_ref())?);
        if let Some(sampler) = daemon.sampler.clone() {
            sampler.start()?;
            daemon.start_rules(rules, sampler)?;
        }
        Ok(Some(daemon))
    }

    fn start_rules(&mut self, rules: rules::Prepared, sampler: Arc<Sampler>) -> anyhow::Result<()> {
        let (registry, api, search) = (self.registry.clone(), self.apis.api, self.apis.search);
        let place = rules::Place { sampler, registry, api, search };
        let rules = rules::Rules::start(rules, &self.settings, place)?;
        self.apis.answer_rules(rules.source());
        self.rules = Some(rules);
        Ok(())
    }

    /// Opens the index with the first pipeline that uses it, and a socket for its API.
    fn open_index(&mut self, compiled: &Compiled) -> anyhow::Result<Option<Bound>> {
        if self.apis.search.is_some() || !compiled.pipelines.iter().any(|planned| planned.into_index) {
            return Ok(None);
        }
        let bound = self.settings.search().bind()?;
        if self.index.is_none() {
            let (index, derived) = (Index::open(self.settings.index())?, self.registry.derived().clone());
            index.before_epoch(Box::new(move |ends, positions| {
                if let Some(Err(error)) = derived.book(INDEX_BOOK).map(|book| book.close(ends, positions)) {
                    tracing::error!(%error, "cannot write a book of derived metrics: after a crash counts may be off");
                }
            }));
            self.index = Some(index);
        }
        Ok(Some(bound))
    }

    /// Takes the derived series as they were when the positions became durable from which the inputs go
    /// on, and holds them until they reach what was shown last.
    fn open_books(&self, compiled: &Compiled) -> anyhow::Result<()> {
        let Some(sampler) = &self.sampler else { return Ok(()) };
        let mut keepers = Vec::new();
        if let Some(index) = &self.index {
            let positions = index.positions().into_iter().map(|at| (at.source.to_string(), at.value.to_string()));
            keepers.push((INDEX_BOOK.to_owned(), positions.collect()));
        }
        for planned in compiled.pipelines.iter().filter(|planned| !planned.into_index) {
            let positions = Checkpoints::open(self.settings.data(), planned.id())?.positions("");
            keepers.push((book_of(planned.id()), positions.into_iter().collect()));
        }
        let (folder, now_ms) = (self.settings.data().join("derived"), jiff::Timestamp::now().as_millisecond());
        let derived = self.registry.derived();
        derived
            .open_books(&folder, &keepers, now_ms)
            .with_context(|| format!("cannot open the books of derived metrics in {}", folder.display()))?;
        derived.hold(|metric| sampler.store.short().last_of(metric), now_ms);
        Ok(())
    }

    fn serve_search(&mut self, bound: Option<Bound>) -> std::io::Result<()> {
        match (bound, &self.index) {
            (Some(bound), Some(index)) => self.apis.serve_search(bound, index, &self.registry),
            _ => Ok(()),
        }
    }

    /// Builds the pipelines that are not as they shall be; with `all`, every one that runs, since
    /// files that its plugins read may have changed.
    fn build(&self, compiled: &Compiled, all: bool) -> Result<Vec<Change>, Refusal> {
        let surroundings = Surroundings {
            settings: &self.settings,
            index: self.index.as_ref(),
            links: &self.links,
            derived: self.registry.derived(),
        };
        let (mut changes, mut refusals) = (Vec::new(), Vec::new());
        for planned in &compiled.pipelines {
            let (id, hash) = (planned.id().to_owned(), planned.hash);
            if self.fleet.hash(&id) == Some(hash) && !(all && self.fleet.runs(&id)) {
                continue;
            }
            match surroundings.build(planned, &self.fleet.standing(&id, planned.into_index)) {
                Ok(blueprint) => changes.push(Change { id, hash, blueprint }),
                Err(refusal) => refusals.push(refusal),
            }
        }
        together(refusals).map(|()| changes)
    }

    /// Where the management API listens.
    pub fn api(&self) -> Option<SocketAddr> {
        self.apis.api
    }

    /// Where the search API listens.
    pub fn search(&self) -> Option<SocketAddr> {
        self.apis.search
    }

    /// Tells the inputs to end.
    pub fn stop(&self) {
        let _ending = self.commands.0.send(Command::Stop);
    }

    /// Waits until the inputs have ended and everything is durable; returns whether all of it is.
    /// With `config.reload.automatic` only a stop ends it.
    pub fn join(mut self) -> bool {
        let automatic = self.settings.flag("config.reload.automatic");
        let interval = self.settings.time("config.reload.interval").unwrap_or(Duration::from_secs(3));
        let mut due = Instant::now() + interval;
        let mut stopped = false;
        loop {
            self.fleet.tend(self.index.as_ref());
            if self.fleet.over() && (stopped || !automatic) {
                break;
            }
            if !stopped && !automatic && self.fleet.is_drying_up() {
                stopped = true;
                self.fleet.stop();
            }
            let mut patience = if automatic && !stopped {
                due.saturating_duration_since(Instant::now())
            } else {
                Duration::from_secs(3600)
            };
            if self.fleet.is_changing() {
                patience = patience.min(TEND_INTERVAL);
            }
            let commands = self.commands.1.clone();
            select! {
                recv(commands) -> command => match command {
                    Ok(Command::Stop) => {
                        stopped = true;
                        self.fleet.stop();
                    }
                    Ok(Command::Reload) if !stopped => {
                        tracing::info!("reading the configuration again");
                        self.reload(true);
                    }
                    Ok(Command::Reload) | Err(_) => {}
                },
                recv(self.bell) -> _ => {}
                default(patience) => {}
            }
            if automatic && !stopped && Instant::now() >= due {
                self.reload(false);
                due = Instant::now() + interval;
            }
        }
        self.end()
    }

    fn end(self) -> bool {
        let clean = self.fleet.clean();
        if let Some(index) = &self.index {
            index.close();
        }
        if let Some(rules) = &self.rules {
            rules.end();
        }
        if let Some(sampler) = &self.sampler {
            sampler.end();
        }
        if let Some(outlets) = &self.outlets {
            outlets.end();
        }
        self.apis.end();
        if !clean {
            tracing::error!("some events are not durable: inputs that can will read them again at the next start");
        }
        clean
    }

    /// Reads the configuration again and goes on by it, if all of it is right. `asked`: also where no
    /// file has changed, since files that plugins read may have.
    fn reload(&mut self, asked: bool) {
        if let Some(rules) = &mut self.rules {
            rules.reload(&self.settings);
            self.apis.answer_rules(rules.source());
        }
        match self.try_reload(asked) {
            Ok(changed) => {
                self.refused = None;
                if !changed.is_empty() {
                    self.registry.reloads().succeeded();
                    tracing::info!(pipelines = changed.join(", "), "going on by the new configuration");
                }
                for pipeline in self.registry.pipelines().iter().filter(|p| changed.iter().any(|id| **id == *p.id)) {
                    pipeline.reloads.succeeded();
                }
            }
            Err(refusal) if !asked && self.refused.as_ref() == Some(&refusal) => {}
            Err(refusal) => {
                tracing::error!("the new configuration is refused, the running one goes on:\n{}", refusal.report);
                self.registry.reloads().failed(&refusal.report);
                let failed = |id: &str| refusal.pipelines.iter().any(|failed| failed == id);
                for pipeline in self.registry.pipelines().iter().filter(|p| failed(&p.id)) {
                    pipeline.reloads.failed(&refusal.report);
                }
                self.refused = Some(refusal);
            }
        }
    }

    /// The pipelines that were changed, added or removed.
    fn try_reload(&mut self, asked: bool) -> Result<Vec<String>, Refusal> {
        secrets::reopen().map_err(Refusal::plain)?;
        let pipelines = Configured::all(&self.settings).map_err(Refusal::plain)?;
        let written: Vec<u64> = pipelines.iter().map(Configured::written).collect();
        if !asked && written == self.written {
            return Ok(Vec::new());
        }
        let compiled = compile(&pipelines)?;
        let search = self.open_index(&compiled).map_err(|error| Refusal::plain(format!("{error:#}")))?;
        let changes = self.build(&compiled, asked)?;
        self.check_reloadable(&compiled, &changes)?;
        if !compiled.warnings.is_empty() {
            tracing::warn!("about the new configuration:\n{}", compiled.warnings);
        }
        let mut changed = Vec::new();
        let ids: Vec<&str> = compiled.pipelines.iter().map(|planned| planned.id()).collect();
        for id in self.fleet.ids().into_iter().filter(|id| !ids.contains(&id.as_str())) {
            self.fleet.remove(&id);
            changed.push(id);
        }
        for change in changes {
            let id = change.id.clone();
            if let Err(error) = self.fleet.change(change, self.index.as_ref()) {
                tracing::error!(pipeline.id = id, "cannot change a pipeline: {error:#}");
            }
            changed.push(id);
        }
        if let Err(error) = self.serve_search(search) {
            tracing::error!(%error, "cannot answer searches");
        }
        self.written = written;
        Ok(changed)
    }

    /// `pipeline.reloadable: false` keeps a pipeline as it is.
    fn check_reloadable(&self, compiled: &Compiled, changes: &[Change]) -> Result<(), Refusal> {
        let fixed = compiled.pipelines.iter().filter(|planned| {
            let id = planned.id();
            let changes = changes.iter().any(|change| change.id == id) && self.fleet.hash(id) != Some(planned.hash);
            changes && self.fleet.hash(id).is_some() && !planned.configured.settings.flag("pipeline.reloadable")
        });
        let refusal = |planned: &prepare::Planned| Refusal {
            report: format!("pipeline `{}` has changed, but says `pipeline.reloadable: false`\n", planned.id()),
            pipelines: vec![planned.id().to_owned()],
        };
        together(fixed.map(refusal).collect())
    }
}

/// What keeps the series of all metrics; it does not run yet.
fn sampler(settings: &Settings, registry: &Arc<Registry>) -> anyhow::Result<Option<Arc<Sampler>>> {
    if !settings.flag("series.enabled") {
        return Ok(None);
    }
    let folder = settings.data().join("series");
    let store = Store::open(Some(&folder), &settings.series())
        .with_context(|| format!("cannot open the series in {}", folder.display()))?;
    let interval = settings.time("series.interval").unwrap_or(Duration::from_secs(15));
    let sampler = Sampler::new(registry.clone(), Arc::new(store), interval);
    registry.add_host(settings.data().to_owned());
    registry.add_series(&sampler);
    Ok(Some(sampler))
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
