//! A pipeline: inputs, a bounded queue, workers that run to completion, outputs.
//!
//! ```text
//!  input thread ─┐ Work (frames)  ┌─ worker: decode ► filter ► route ─┐ Delivery  ┌─ output thread
//!  input thread ─┼──────────────► ┼─ worker                           ┼─────────► ┼─ output thread
//!                ┘ bounded queue  └─ worker                           ┘ bounded    └─ …
//!        ▲                                                                            │
//!        └────────── positions move ◄─────── Tracker ◄────────────────── Ack ◄────────┘
//! ```
//!
//! Every arrow is bounded: a slow output fills its queue, then the workers wait, then the inputs.
//! One pipeline's trouble is its own, since pipelines share no queue.
//! Reloads change workers between batches and replace only what differs: see [`reload`].

mod ack;
mod build;
pub mod checkpoint;
mod command;
mod defaults;
mod feed;
mod fingerprint;
mod flush;
mod keeper;
mod link;
mod outlet;
mod reload;
mod repeated;
pub mod route;
mod step;
mod thread;
mod trial;
mod worker;

pub use ack::{Ack, Delivery, Position, Shared, Tracker};
pub use build::{Blueprint, Sizes, Standing};
pub use feed::{Entrance, Feed, MakeJoiner, Stop, Work};
pub use link::{Links, Sender};
pub use thread::{Bell, Thread};
pub use trial::Trial;

use crate::index::Index;
use crate::input::Input;
use crate::metric::pipeline::PipelineStats;
use crate::metric::{PluginStats, Registry};
use crate::output::Output;
use ack::Pool;
use build::{BuiltInput, PlannedOutput};
use checkpoint::Checkpoints;
use command::Command;
use crossbeam::channel::{Receiver, bounded};
use crossbeam::queue::ArrayQueue;
use flush::Flushes;
use keeper::Keeper;
pub use keeper::book_of;
use outlet::{Found, Mailbox, Outlet};
use parking_lot::Mutex;
use repeated::Repeated;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use step::Step;
use worker::{Kit, Route, Source, Worker};

/// The name of the book of derived metrics that goes with the index's epochs.
pub const INDEX_BOOK: &str = "index";
/// How long an input that failed waits before it is started again (Logstash's one second).
const RESTART_DELAY: Duration = Duration::from_secs(1);
/// Bytes of input in a batch at the most: large enough to hide the hand-over, small enough
/// that a full queue stays bounded in memory.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Batches waiting in each queue, for each worker.
const QUEUE_BATCHES_PER_WORKER: usize = 2;
/// Last batches of inputs that made way for others while the queue was full.
const LATE_BATCHES: usize = 16;

/// A running pipeline.
pub struct Pipeline {
    /// Its counters.
    pub stats: Arc<PipelineStats>,
    registry: Arc<Registry>,
    bell: Bell,
    /// The two ways into it: see [`Entrance`].
    queue: (crossbeam::channel::Sender<Work>, Receiver<Work>),
    late: (crossbeam::channel::Sender<Work>, Receiver<Work>),
    pool: Pool,
    workers: Vec<(Arc<Command>, Thread<()>)>,
    inputs: Vec<RunningInput>,
    /// Inputs that the configuration no longer has.
    leaving: Vec<RunningInput>,
    outputs: Vec<RunningOutput>,
    /// Outputs that the configuration no longer has and that are not done yet.
    retired: Vec<RunningOutput>,
    /// What workers get their filters from.
    filters: Vec<Step>,
    routes: Vec<Route>,
    ordered: bool,
    observe: bool,
    /// When filters are flushed next.
    timer: Arc<Mutex<Instant>>,
    /// Conditions that lost their events.
    lost: Arc<Repeated>,
    trackers: HashMap<String, Arc<Tracker>>,
    /// The number of the next input.
    next_input: u64,
    keeper: Keeper,
    /// Its inputs are told to end, and its outputs will be.
    clearing: bool,
    /// No thread has panicked.
    sound: bool,
}

/// An input and its thread.
struct RunningInput {
    id: String,
    key: String,
    print: u64,
    source: Source,
    stop: Arc<Stop>,
    tracker: Arc<Tracker>,
    state: InputState,
}

/// How far an input has come.
enum InputState {
    /// Another one with its key has not ended yet.
    Waiting(Box<Ready>),
    Running(Thread<Box<dyn Input>>),
    /// It has sent the batches before this number.
    Ended(Option<Box<dyn Input>>, u64),
}

/// An input that is ready to start.
struct Ready {
    input: Box<dyn Input>,
    delimiter: Option<Vec<u8>>,
    joiner: MakeJoiner,
}

/// An output and its thread.
struct RunningOutput {
    print: u64,
    stats: Arc<PluginStats>,
    mailbox: Arc<Mailbox>,
    /// Where workers get theirs from; `None` once it is retired.
    outlet: Option<Outlet>,
    thread: Thread<()>,
}

impl Pipeline {
    /// Starts the threads of a pipeline. `checkpoints` are those of this pipeline; its counters
    /// and what its events say are entered in `registry`; `bell` rings when one of its threads ends.
    pub fn start(
        blueprint: Blueprint,
        mut checkpoints: Checkpoints,
        registry: &Arc<Registry>,
        bell: &Bell,
        index: Option<&Index>,
    ) -> std::io::Result<Pipeline> {
        let id = blueprint.id.clone();
        if let (Some(index), false) = (index, blueprint.into_index()) {
            keeper::take_over(&id, &mut checkpoints, index)?;
        }
        let keeper = Keeper::start(&id, checkpoints, blueprint.index.clone(), registry.derived(), bell)?;
        let stats = registry.pipeline(&id);
        let pool = 4 * QUEUE_BATCHES_PER_WORKER * blueprint.shape.workers + blueprint.outputs.len();
        let mut pipeline = Pipeline {
            stats,
            registry: registry.clone(),
            bell: bell.clone(),
            queue: bounded(blueprint.shape.queue_capacity),
            late: bounded(LATE_BATCHES),
            pool: Arc::new(ArrayQueue::new(pool)),
            workers: Vec::new(),
            inputs: Vec::new(),
            leaving: Vec::new(),
            outputs: Vec::new(),
            retired: Vec::new(),
            filters: Vec::new(),
            routes: Vec::new(),
            ordered: false,
            observe: true,
            timer: Flushes::timer(),
            lost: Arc::default(),
            trackers: HashMap::new(),
            next_input: 0,
            keeper,
            clearing: false,
            sound: true,
        };
        pipeline.change(blueprint)?;
        Ok(pipeline)
    }

    /// Tells the inputs to end; [`Pipeline::join`] waits for the rest.
    pub fn stop(&mut self) {
        self.inputs.retain(|input| !matches!(input.state, InputState::Waiting(_)));
        self.inputs.iter().for_each(|input| input.stop.stop());
    }

    /// Whether all its events come from other pipelines.
    pub fn is_inner(&self) -> bool {
        !self.inputs.is_empty() && self.inputs.iter().all(|input| input.source.stats.name == "pipeline")
    }

    /// Whether all inputs have ended, by themselves or by a stop.
    pub fn ended(&self) -> bool {
        let inputs = self.inputs.iter().chain(&self.leaving);
        inputs.into_iter().all(|input| matches!(input.state, InputState::Ended(..)))
    }

    /// Waits until everything that the inputs read is delivered and durable. Returns whether it is.
    pub fn join(mut self) -> bool {
        for input in self.inputs.iter_mut().chain(&mut self.leaving) {
            self.sound &= input.settle(true);
        }
        let Pipeline { inputs, leaving, keeper, queue, late, workers, outputs, retired, sound, lost, .. } = self;
        drop((queue, late));
        let mut clean = sound;
        for (_, worker) in workers {
            clean &= worker.join().is_ok();
        }
        worker::warn_of_lost(lost.rest(Instant::now()));
        for RunningOutput { outlet, thread, .. } in outputs.into_iter().chain(retired) {
            drop(outlet);
            clean &= thread.join().is_ok();
        }
        // Other pipelines may still work on what this one sent them.
        self.trackers.values().for_each(|tracker| tracker.wait_for_acks());
        clean &= keeper.end();
        clean &= self.trackers.values().all(|tracker| tracker.idle());
        if clean {
            for input in inputs.into_iter().chain(leaving) {
                if let InputState::Ended(Some(mut input), _) = input.state {
                    input.settled();
                }
            }
        }
        clean
    }

    /// Starts an output's thread.
    fn start_output(
        &self,
        plan: PlannedOutput,
        output: Box<dyn Output>,
        workers: usize,
    ) -> std::io::Result<RunningOutput> {
        let (mailbox, outlet) = Mailbox::new(QUEUE_BATCHES_PER_WORKER * workers.max(1));
        let PlannedOutput { print, stats, .. } = plan;
        let (deliveries, counters) = (mailbox.clone(), stats.clone());
        let name = format!("output-{}", stats.name);
        let thread = Thread::spawn(name, &self.bell, move || deliver(output, &deliveries, &counters))?;
        Ok(RunningOutput { print, stats, mailbox, outlet: Some(outlet), thread })
    }

    /// Enters an input, to be started by [`Pipeline::tend`].
    fn add_input(&mut self, id: String, key: String, print: u64, built: BuiltInput) {
        let BuiltInput { input, delimiter, joiner, mut source } = built;
        source.input = self.next_input;
        self.next_input += 1;
        let tracker = self.trackers.entry(key.clone()).or_insert_with(|| {
            let tracker = Arc::new(Tracker::default());
            let book = if self.keeper.is_index() { INDEX_BOOK.to_owned() } else { book_of(&self.stats.id) };
            self.registry.derived().keep(&tracker, &book);
            self.keeper.add(&tracker);
            tracker
        });
        let tracker = tracker.clone();
        let state = InputState::Waiting(Box::new(Ready { input, delimiter, joiner }));
        self.inputs.push(RunningInput { id, key, print, source, stop: Arc::default(), tracker, state });
    }

    /// Starts an input's thread.
    fn start_input(&self, input: &RunningInput, ready: Ready) -> std::io::Result<Thread<Box<dyn Input>>> {
        let batch_events = self.stats.shape.load().batch_size;
        let feed = Feed {
            positions: self.keeper.positions(&input.key, &input.tracker),
            key: input.key.clone(),
            delimiter: ready.delimiter,
            joiner: ready.joiner,
            batch_events,
            batch_bytes: BATCH_BYTES_MAX,
            tracker: input.tracker.clone(),
            entrance: Entrance {
                input: input.source.input,
                queue: self.queue.0.clone(),
                late: self.late.0.clone(),
                queued: input.source.queued.clone(),
                pool: self.pool.clone(),
                stop: input.stop.clone(),
                stats: self.stats.clone(),
                plugin: input.source.stats.clone(),
            },
        };
        let (mut plugin, id) = (ready.input, input.id.clone());
        Thread::spawn(format!("input-{id}"), &self.bell, move || {
            receive(plugin.as_mut(), &feed, &id);
            plugin
        })
    }

    /// What a worker works by; `flushes` is shared by all workers of the configuration.
    fn kit(&self, flushes: &Arc<Flushes>) -> Kit {
        let leaving = self.leaving.iter().filter(|input| !input.is_through());
        let sources = self.inputs.iter().chain(leaving).map(|input| input.source.fork()).collect();
        let outlet = |output: &RunningOutput| {
            let outlet = output.outlet.as_ref().expect("BUG: a retired output in use");
            (outlet.clone(), output.stats.clone())
        };
        let mut filters: Vec<Step> = self.filters.iter().map(Step::fork).collect();
        Step::join(&mut filters);
        Kit {
            sources,
            filters,
            routes: self.routes.clone(),
            outputs: self.outputs.iter().map(outlet).collect(),
            ordered: self.ordered,
            observe: self.observe,
            flushes: flushes.clone(),
        }
    }

    fn start_worker(&self, at: usize, flushes: &Arc<Flushes>) -> std::io::Result<(Arc<Command>, Thread<()>)> {
        flushes.join();
        let (command, woken) = Command::new();
        let worker = Worker {
            queue: self.queue.1.clone(),
            late: self.late.1.clone(),
            command: command.clone(),
            woken,
            lost: self.lost.clone(),
            kit: self.kit(flushes),
            pool: self.pool.clone(),
            stats: self.stats.clone(),
            deriver: self.registry.derived().deriver(),
            spare: worker::Spare::default(),
            clock: self.stats.clock(),
        };
        Ok((command, Thread::spawn(format!("worker-{at}"), &self.bell, move || worker.run())?))
    }
}

impl RunningInput {
    /// Takes the plugin back from a thread that has ended, or, if told to, waits for the end.
    /// False if the thread panicked.
    fn settle(&mut self, wait: bool) -> bool {
        let ended = match &self.state {
            InputState::Running(thread) => wait || thread.ended(),
            InputState::Waiting(_) => wait,
            InputState::Ended(..) => false,
        };
        if !ended {
            return true;
        }
        let end = self.tracker.issued();
        match std::mem::replace(&mut self.state, InputState::Ended(None, end)) {
            InputState::Running(thread) => match thread.join() {
                Ok(input) => self.state = InputState::Ended(Some(input), self.tracker.issued()),
                Err(_) => {
                    tracing::error!(plugin.id = self.id, "the input's thread panicked");
                    return false;
                }
            },
            InputState::Waiting(_) | InputState::Ended(..) => {}
        }
        true
    }

    /// Whether it has ended and all its batches are decoded.
    fn is_through(&self) -> bool {
        matches!(self.state, InputState::Ended(..)) && self.source.queued.load(Ordering::Acquire) == 0
    }
}

/// An input's thread.
fn receive(input: &mut dyn Input, feed: &Feed, id: &str) {
    while let Err(error) = input.run(feed) {
        tracing::error!(plugin.id = id, "input failed, starting it again: {error:#}");
        if feed.wait(RESTART_DELAY) {
            return;
        }
    }
}

/// An output's thread.
fn deliver(mut output: Box<dyn Output>, deliveries: &Mailbox, stats: &PluginStats) {
    loop {
        let found = match deliveries.look() {
            Found::Empty => {
                output.flush();
                deliveries.wait()
            }
            found => found,
        };
        let Found::Delivery(delivery) = found else { break };
        let (count, began) = (delivery.events.len() as u64, std::time::Instant::now());
        output.write(delivery);
        stats.events_out.add(count);
        stats.duration_ns.add_time(began.elapsed());
    }
    output.close();
}
