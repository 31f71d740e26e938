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

mod ack;
mod build;
pub mod checkpoint;
mod defaults;
mod feed;
pub mod route;
mod worker;

pub use ack::{Ack, Delivery, Position, Shared, Tracker};
pub use build::{Blueprint, Sizes};
pub use feed::{Feed, MakeJoiner, Stop, Work};

use crate::index::Index;
use crate::input::Input;
use crate::metric::Registry;
use crate::metric::pipeline::{PipelineStats, PluginStats};
use crate::output::Output;
use checkpoint::Checkpoints;
use crossbeam::channel::{Receiver, TryRecvError, bounded};
use crossbeam::queue::ArrayQueue;
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often positions of pipelines without an index output are written.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);
/// How long an input that failed waits before it is started again (Logstash's one second).
const RESTART_DELAY: Duration = Duration::from_secs(1);
/// Bytes of input in a batch at the most: large enough to hide the hand-over, small enough
/// that a full queue stays bounded in memory.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Batches waiting in each queue, for each worker.
const QUEUE_BATCHES_PER_WORKER: usize = 2;

/// A running pipeline.
pub struct Pipeline {
    /// Its counters.
    pub stats: Arc<PipelineStats>,
    stop: Arc<Stop>,
    inputs: Vec<JoinHandle<Box<dyn Input>>>,
    workers: Vec<JoinHandle<()>>,
    outputs: Vec<JoinHandle<()>>,
    trackers: Vec<Arc<Tracker>>,
    keeper: Keeper,
}

/// Who makes positions durable.
enum Keeper {
    /// The index's epochs.
    Index(Arc<Index>),
    /// A thread that writes the checkpoint file.
    File { thread: JoinHandle<Checkpoints>, stop: Arc<Stop> },
}

impl Pipeline {
    /// Starts the threads of a pipeline. `checkpoints` are those of this pipeline; its counters
    /// and what its events say are entered in `registry`.
    pub fn start(blueprint: Blueprint, checkpoints: Checkpoints, registry: &Registry) -> std::io::Result<Pipeline> {
        let Blueprint { stats, inputs, sources, filters, routes, outputs, index, ordered } = blueprint;
        registry.add_pipeline(stats.clone());
        let stop = Arc::new(Stop::default());
        let workers_wanted = stats.workers;
        let pool = Arc::new(ArrayQueue::new(4 * QUEUE_BATCHES_PER_WORKER * workers_wanted + outputs.len()));
        let (queue, work) = bounded(stats.queue_capacity);
        let mut senders = Vec::new();
        let mut output_threads = Vec::new();
        for (output, plugin) in outputs {
            let (sender, deliveries) = bounded(QUEUE_BATCHES_PER_WORKER * workers_wanted);
            senders.push((sender, plugin.clone()));
            output_threads
                .push(spawn(format!("output-{}", plugin.name), move || deliver(output, &deliveries, &plugin))?);
        }
        let flushes = Arc::new(worker::Flushes::new(&filters, workers_wanted));
        let mut workers = Vec::new();
        for at in 0..workers_wanted {
            let worker = worker::Worker {
                queue: work.clone(),
                sources: sources.iter().map(worker::Source::fork).collect(),
                filters: filters.iter().map(worker::Step::fork).collect(),
                routes: routes.clone(),
                outputs: senders.clone(),
                pool: pool.clone(),
                stats: stats.clone(),
                recorder: registry.recorder(),
                ordered,
                flushes: flushes.clone(),
                spare: worker::Spare::default(),
            };
            workers.push(spawn(format!("worker-{at}"), move || worker.run())?);
        }
        let mut trackers = Vec::new();
        let mut input_threads = Vec::new();
        for (at, input) in inputs.into_iter().enumerate() {
            let tracker = Arc::new(Tracker::default());
            trackers.push(tracker.clone());
            if let Some(index) = &index {
                index.register(tracker.clone());
            }
            let feed = Feed {
                positions: positions(&input.key, &checkpoints, index.as_deref()),
                key: input.key,
                delimiter: input.delimiter,
                joiner: input.joiner,
                batch_events: stats.batch_size,
                batch_bytes: BATCH_BYTES_MAX,
                tracker,
                input: at,
                queue: queue.clone(),
                pool: pool.clone(),
                stop: stop.clone(),
            };
            let (mut plugin, id) = (input.input, input.id);
            input_threads.push(spawn(format!("input-{id}"), move || {
                receive(plugin.as_mut(), &feed, &id);
                plugin
            })?);
        }
        let keeper = match index {
            Some(index) => Keeper::Index(index),
            None => Keeper::file(checkpoints, trackers.clone())?,
        };
        Ok(Pipeline { stats, stop, inputs: input_threads, workers, outputs: output_threads, trackers, keeper })
    }

    /// Tells the inputs to end; [`Pipeline::join`] waits for the rest.
    pub fn stopper(&self) -> Arc<Stop> {
        self.stop.clone()
    }

    /// Waits until the inputs have ended, by themselves or by a stop, and everything that they
    /// read is delivered and durable. Returns whether it is.
    pub fn join(self) -> bool {
        let mut clean = true;
        let mut inputs = Vec::new();
        for thread in self.inputs {
            match thread.join() {
                Ok(input) => inputs.push(input),
                Err(_) => clean = false,
            }
        }
        for thread in self.workers.into_iter().chain(self.outputs) {
            clean &= thread.join().is_ok();
        }
        match self.keeper {
            Keeper::Index(index) => {
                if let Err(error) = index.flush() {
                    tracing::error!(%error, "cannot make the last events durable: they will be read again");
                    clean = false;
                }
            }
            Keeper::File { thread, stop } => {
                stop.stop();
                match thread.join() {
                    Ok(mut checkpoints) => save(&mut checkpoints, &self.trackers),
                    Err(_) => clean = false,
                }
            }
        }
        clean &= self.trackers.iter().all(|tracker| tracker.idle());
        if clean {
            inputs.iter_mut().for_each(|input| input.settled());
        }
        clean
    }
}

impl Keeper {
    fn file(mut checkpoints: Checkpoints, trackers: Vec<Arc<Tracker>>) -> std::io::Result<Keeper> {
        let stop = Arc::new(Stop::default());
        let stopped = stop.clone();
        let thread = spawn("checkpoints".into(), move || {
            while !stopped.wait(CHECKPOINT_INTERVAL) {
                save(&mut checkpoints, &trackers);
            }
            checkpoints
        })?;
        Ok(Keeper::File { thread, stop })
    }
}

/// Writes the positions of what is done.
fn save(checkpoints: &mut Checkpoints, trackers: &[Arc<Tracker>]) {
    let ends: Vec<u64> = trackers.iter().map(|tracker| tracker.ready()).collect();
    let positions: Vec<Position> = trackers.iter().zip(&ends).flat_map(|(tracker, &end)| tracker.take(end)).collect();
    if let Err(error) = checkpoints.write(&positions) {
        // What is not written is in the checkpoints' memory and goes with the next write;
        // until then the inputs would read those events again after a crash.
        tracing::error!(%error, "cannot write checkpoints: free space or fix the folder, they are written again soon");
        return;
    }
    for (tracker, end) in trackers.iter().zip(ends) {
        tracker.durable(end);
    }
}

/// Where an input was: the newest of what the checkpoint file and the index know.
fn positions(key: &str, checkpoints: &Checkpoints, index: Option<&Index>) -> HashMap<String, String> {
    let prefix = format!("{key}/");
    let mut positions = checkpoints.positions(&prefix);
    if let Some(index) = index {
        // A pipeline with an index output writes no checkpoint file, so the index is newer.
        positions.extend(
            index
                .positions()
                .into_iter()
                .filter(|at| at.source.starts_with(&prefix))
                .map(|at| (at.source.to_string(), at.value.to_string())),
        );
    }
    positions
}

fn spawn<T: Send + 'static>(name: String, run: impl FnOnce() -> T + Send + 'static) -> std::io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name).spawn(run)
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
fn deliver(mut output: Box<dyn Output>, deliveries: &Receiver<Delivery>, stats: &PluginStats) {
    loop {
        let delivery = match deliveries.try_recv() {
            Ok(delivery) => delivery,
            Err(TryRecvError::Empty) => {
                output.flush();
                match deliveries.recv() {
                    Ok(delivery) => delivery,
                    Err(_) => break,
                }
            }
            Err(TryRecvError::Disconnected) => break,
        };
        let (count, began) = (delivery.events.len() as u64, std::time::Instant::now());
        output.write(delivery);
        stats.events_out.add(count);
        stats.duration_ns.add_time(began.elapsed());
    }
    output.close();
}
