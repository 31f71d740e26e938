//! What an input sees of its pipeline: where to send batches, when to stop, where it was.

use super::ack::{Ack, Pool, Position, Tracker};
use crate::codec::Joiner;
use crate::event::Batch;
use crate::metric::{PipelineStats, PluginStats};
use crossbeam::channel::{SendTimeoutError, Sender, TrySendError};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often an input that waits for room looks whether it shall make way for another.
const RETIRE_CHECK: Duration = Duration::from_millis(20);

/// A batch on its way to a worker.
pub struct Work {
    /// The batch: frames not decoded, or events from another pipeline.
    pub batch: Batch,
    /// Which of the pipeline's inputs it comes from.
    pub input: u64,
    /// Held open once for the worker.
    pub ack: Arc<Ack>,
}

/// A flag that ends inputs, with a wait that it cuts short.
#[derive(Default)]
pub struct Stop {
    end: Mutex<End>,
    change: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    #[default]
    Not,
    /// With everything else: what was read is delivered first.
    Stopped,
    /// Alone: another configuration goes on without it, so it must not wait for room.
    Retired,
}

impl Stop {
    /// Raises the flag.
    pub fn stop(&self) {
        self.raise(End::Stopped);
    }

    /// Raises the flag for an input that the configuration no longer has.
    pub fn retire(&self) {
        self.raise(End::Retired);
    }

    fn raise(&self, to: End) {
        let mut end = self.end.lock();
        *end = to.max(*end);
        self.change.notify_all();
    }

    /// Whether the flag is up.
    pub fn stopped(&self) -> bool {
        *self.end.lock() != End::Not
    }

    /// Whether the configuration no longer has the input.
    pub fn retired(&self) -> bool {
        *self.end.lock() == End::Retired
    }

    /// Sleeps for `time` or until the flag goes up; returns whether it is up.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut end = self.end.lock();
        while *end == End::Not && !self.change.wait_until(&mut end, until).timed_out() {}
        *end != End::Not
    }
}

/// The way into a pipeline's queue for one input.
#[derive(Clone)]
pub struct Entrance {
    /// The input's number in its pipeline, never used twice.
    pub(super) input: u64,
    pub(super) queue: Sender<Work>,
    /// For the last batches of inputs that make way for others while the queue is full.
    pub(super) late: Sender<Work>,
    /// Batches of the input that wait.
    pub(super) queued: Arc<AtomicUsize>,
    pub(super) pool: Pool,
    pub(super) stop: Arc<Stop>,
    pub(super) stats: Arc<PipelineStats>,
    pub(super) plugin: Arc<PluginStats>,
}

impl Entrance {
    /// An empty batch, with the memory of an earlier one where possible.
    pub fn batch(&self) -> Batch {
        self.pool.pop().unwrap_or_default()
    }

    /// Puts a batch into the queue; blocks while it is full.
    pub fn push(&self, batch: Batch, ack: Arc<Ack>) {
        let mut work = self.count(batch, ack);
        work = match self.queue.try_send(work) {
            Ok(()) => return,
            Err(TrySendError::Full(work) | TrySendError::Disconnected(work)) => work,
        };
        let mut waited = Instant::now();
        loop {
            // Little by little, so that one who waits for long is seen.
            self.waited(waited.elapsed());
            waited = Instant::now();
            work = match self.queue.send_timeout(work, RETIRE_CHECK) {
                Ok(()) => break,
                Err(SendTimeoutError::Timeout(work)) => work,
                Err(SendTimeoutError::Disconnected(_)) => unreachable!("BUG: the queue closed before its inputs"),
            };
            if self.stop.retired() {
                let sent = self.late.send(work);
                debug_assert!(sent.is_ok(), "BUG: the queue closed before its inputs");
                break;
            }
        }
        self.waited(waited.elapsed());
    }

    /// Puts a batch into the queue; if there is no room within `limit` it comes back.
    pub(super) fn try_push(&self, batch: Batch, ack: Arc<Ack>, limit: Duration) -> Option<(Batch, Arc<Ack>)> {
        let began = Instant::now();
        let back = match self.queue.send_timeout(self.count(batch, ack), limit) {
            Ok(()) => None,
            Err(SendTimeoutError::Timeout(work) | SendTimeoutError::Disconnected(work)) => {
                self.uncount(&work.batch);
                Some((work.batch, work.ack))
            }
        };
        self.waited(began.elapsed());
        back
    }

    fn count(&self, batch: Batch, ack: Arc<Ack>) -> Work {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.stats.queue.add(1);
        self.stats.queue_events.add(batch.waiting() as i64);
        Work { batch, input: self.input, ack }
    }

    fn uncount(&self, batch: &Batch) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        self.stats.queue.add(-1);
        self.stats.queue_events.add(-(batch.waiting() as i64));
    }

    fn waited(&self, time: Duration) {
        self.stats.queue_push_ns.add_time(time);
        self.plugin.duration_ns.add_time(time);
    }
}

/// Makes a joiner for one stream.
pub type MakeJoiner = Option<Arc<dyn Fn() -> Box<dyn Joiner> + Send + Sync>>;

/// What an input sees of its pipeline.
pub struct Feed {
    /// The key under which the input keeps positions: `PIPELINE/INPUT-ID`.
    pub key: String,
    /// What ends a frame, where the codec says.
    pub delimiter: Option<Vec<u8>>,
    /// Makes a joiner for one stream, where the codec has one.
    pub joiner: MakeJoiner,
    /// `pipeline.batch.size`: events in a batch at the most.
    pub batch_events: usize,
    /// Bytes of input in a batch at the most (one frame may be larger).
    pub batch_bytes: usize,
    /// Positions of earlier runs whose source begins with `key`, as they were at start.
    pub positions: HashMap<String, String>,
    pub(super) tracker: Arc<Tracker>,
    pub(super) entrance: Entrance,
}

impl Feed {
    /// An empty batch, with the memory of an earlier one where possible.
    pub fn batch(&self) -> Batch {
        self.entrance.batch()
    }

    /// The way into the queue, for events that others acknowledge.
    pub fn entrance(&self) -> Entrance {
        self.entrance.clone()
    }

    /// Sends a batch with the positions behind it; blocks while the pipeline is full. Returns
    /// the batch's number: once [`Feed::durable_until`] is greater, all of it is durable.
    pub fn send(&self, batch: Batch, positions: Vec<Position>) -> u64 {
        while !self.tracker.wait_for_room(RETIRE_CHECK) && !self.entrance.stop.stopped() {}
        let number = self.tracker.issue(positions);
        self.entrance.push(batch, Ack::new(self.tracker.clone(), number));
        number
    }

    /// The number of the first batch that is not durable yet.
    pub fn durable_until(&self) -> u64 {
        self.tracker.durable_until()
    }

    /// Whether the input shall end.
    pub fn stopped(&self) -> bool {
        self.entrance.stop.stopped()
    }

    /// Whether it shall end because the configuration no longer has it, while the others go on.
    pub fn retired(&self) -> bool {
        self.entrance.stop.retired()
    }

    /// Sleeps, but not past a stop; returns [`Feed::stopped`].
    pub fn wait(&self, time: Duration) -> bool {
        self.entrance.stop.wait(time)
    }
}

#[cfg(test)]
impl Feed {
    /// A feed of its own, to test an input, and the end of its queue. `done` on a work's ack and
    /// [`Feed::settle`] do what outputs and the checkpoint thread do.
    pub(crate) fn for_test(
        batch_events: usize,
        positions: HashMap<String, String>,
    ) -> (Feed, crossbeam::channel::Receiver<Work>) {
        let (queue, works) = crossbeam::channel::unbounded();
        let feed = Feed {
            key: "main/in".to_owned(),
            delimiter: Some(b"\n".to_vec()),
            joiner: None,
            batch_events,
            batch_bytes: 1 << 20,
            positions,
            tracker: Arc::default(),
            entrance: Entrance {
                input: 0,
                queue: queue.clone(),
                late: queue,
                queued: Arc::default(),
                pool: Arc::new(crossbeam::queue::ArrayQueue::new(4)),
                stop: Arc::default(),
                stats: Arc::new(PipelineStats::new("main")),
                plugin: PluginStats::new("in", "in", crate::plugin::Kind::Input),
            },
        };
        (feed, works)
    }

    /// Makes the batches that are done durable; returns their positions.
    pub(crate) fn settle(&self) -> Vec<Position> {
        let end = self.tracker.ready();
        let positions = self.tracker.take(end);
        self.tracker.durable(end);
        positions
    }

    /// What stops the input.
    pub(crate) fn stop(&self) -> Arc<Stop> {
        self.entrance.stop.clone()
    }
}
