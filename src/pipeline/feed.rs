//! What an input sees of its pipeline: where to send batches, when to stop, where it was.

use super::ack::{Ack, Pool, Position, Tracker};
use crate::codec::Joiner;
use crate::event::Batch;
use crossbeam::channel::Sender;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A batch on its way to a worker.
pub struct Work {
    /// The batch, frames not decoded.
    pub batch: Batch,
    /// Which of the pipeline's inputs it comes from.
    pub input: usize,
    /// Held open once for the worker.
    pub ack: Arc<Ack>,
}

/// A flag that ends inputs, with a wait that it cuts short.
#[derive(Default)]
pub struct Stop {
    stopped: Mutex<bool>,
    change: Condvar,
}

impl Stop {
    /// Raises the flag.
    pub fn stop(&self) {
        *self.stopped.lock() = true;
        self.change.notify_all();
    }

    /// Whether the flag is up.
    pub fn stopped(&self) -> bool {
        *self.stopped.lock()
    }

    /// Sleeps for `time` or until the flag goes up; returns whether it is up.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut stopped = self.stopped.lock();
        while !*stopped && !self.change.wait_until(&mut stopped, until).timed_out() {}
        *stopped
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
    pub(super) input: usize,
    pub(super) queue: Sender<Work>,
    pub(super) pool: Pool,
    pub(super) stop: Arc<Stop>,
}

impl Feed {
    /// An empty batch, with the memory of an earlier one where possible.
    pub fn batch(&self) -> Batch {
        self.pool.pop().unwrap_or_default()
    }

    /// Sends a batch with the positions behind it; blocks while the pipeline is full. Returns
    /// the batch's number: once [`Feed::durable_until`] is greater, all of it is durable.
    pub fn send(&self, batch: Batch, positions: Vec<Position>) -> u64 {
        let number = self.tracker.issue(positions);
        let ack = Ack::new(self.tracker.clone(), number);
        // The queue closes only after the inputs have ended.
        let sent = self.queue.send(Work { batch, input: self.input, ack });
        debug_assert!(sent.is_ok(), "BUG: the queue closed before its inputs");
        number
    }

    /// The number of the first batch that is not durable yet.
    pub fn durable_until(&self) -> u64 {
        self.tracker.durable_until()
    }

    /// Whether the input shall end.
    pub fn stopped(&self) -> bool {
        self.stop.stopped()
    }

    /// Sleeps, but not past a stop; returns [`Feed::stopped`].
    pub fn wait(&self, time: Duration) -> bool {
        self.stop.wait(time)
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
            input: 0,
            queue,
            pool: Arc::new(crossbeam::queue::ArrayQueue::new(4)),
            stop: Arc::default(),
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
        self.stop.clone()
    }
}
