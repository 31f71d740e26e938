//! What arrived and is not durable yet: deliveries as they came, rows still in their batches.

use super::stream::Stream;
use crate::event::{Batch, EventId, Span, Timestamp};
use crate::pipeline::{Position, Shared, Tracker};
use parking_lot::{Condvar, Mutex};
use std::collections::HashSet;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A batch, the pipeline's or one of our own.
pub(super) enum HeldBatch {
    Shared(Arc<Shared>),
    Own(Arc<Batch>),
}

impl Deref for HeldBatch {
    type Target = Batch;
    fn deref(&self) -> &Batch {
        match self {
            HeldBatch::Shared(batch) => batch,
            HeldBatch::Own(batch) => batch,
        }
    }
}

/// What a client said of a row.
pub(super) struct ClientRow {
    pub id: Option<Box<str>>,
    pub source: Span,
}

/// A delivery that waits. Its rows go to the disk together.
pub(super) struct Held {
    pub stream: Arc<Stream>,
    pub batch: HeldBatch,
    pub events: Vec<EventId>,
    /// The numbers of the rows begin here.
    pub first_seq: u64,
    /// One per event, for rows that a client sent.
    pub clients: Option<Vec<ClientRow>>,
    /// The input's count of batches, and this one's number there.
    pub tracker: Option<(Arc<Tracker>, u64)>,
    pub bytes: usize,
    /// The day of events without a time of their own.
    pub arrived: Timestamp,
    /// Whether the view shows the rows, from memory.
    pub shown: AtomicBool,
    /// Whether the rows are durable.
    pub durable: AtomicBool,
}

impl Held {
    pub fn is_durable(&self) -> bool {
        self.durable.load(Ordering::Acquire)
    }
}

/// Everything that waits, under one lock that is never held while something is written.
#[derive(Default)]
pub(super) struct Waiting {
    /// In order of arrival.
    pub held: Vec<Arc<Held>>,
    /// Taken by the epoch that is being written.
    pub taken: Vec<Arc<Held>>,
    /// Bytes of both.
    pub bytes: usize,
    /// When the oldest of `held` came.
    pub oldest: Option<Instant>,
    pub next_seq: u64,
    /// Ids that clients gave to rows that wait, by stream.
    pub ids: HashSet<(Arc<str>, Box<str>)>,
    /// Since when a client waits for the next epoch.
    pub clients_since: Option<Instant>,
    /// The last epoch could take nothing: the batches that would complete it are behind the one
    /// that waits to get in, which therefore may.
    pub stuck: bool,
    /// The inputs whose positions epochs write.
    pub trackers: Vec<Arc<Tracker>>,
    /// Flushes asked for, and done.
    pub flushes: u64,
    pub flushed: u64,
    /// The cause of the last failed epoch, while they fail.
    pub failing: Option<String>,
    pub closing: bool,
    pub closed: bool,
    /// Goes up with whatever a view should show.
    pub version: u64,
}

/// The lock, and what to wait for.
#[derive(Default)]
pub(super) struct Intake {
    pub waiting: Mutex<Waiting>,
    /// Something to do for the epoch thread.
    pub work: Condvar,
    /// An epoch is over, well or not.
    pub over: Condvar,
}

/// What an epoch takes.
#[derive(Default)]
pub(super) struct Taken {
    pub held: Vec<Arc<Held>>,
    pub positions: Vec<Position>,
    pub ends: Vec<(Arc<Tracker>, u64)>,
    /// The flush that it answers.
    pub flush: u64,
}

impl Intake {
    /// Takes what the next epoch writes: of each input exactly the unbroken run of batches that
    /// every output is done with, so that positions and rows say the same.
    pub fn take(&self) -> Taken {
        let mut waiting = self.waiting.lock();
        let trackers = waiting.trackers.clone();
        // The ends are read first: a batch is done only after all its rows are held here.
        waiting.clients_since = None;
        let ends: Vec<(Arc<Tracker>, u64)> = trackers.into_iter().map(|t| (t.clone(), t.ready())).collect();
        let due = |held: &Arc<Held>| match &held.tracker {
            None => true,
            Some((tracker, number)) => {
                let end = ends.iter().find(|(t, _)| Arc::ptr_eq(t, tracker)).map(|e| e.1);
                end.is_none_or(|end| *number < end)
            }
        };
        let (taken, held): (Vec<_>, Vec<_>) = std::mem::take(&mut waiting.held).into_iter().partition(due);
        waiting.held = held;
        waiting.stuck = taken.is_empty();
        waiting.taken = taken.clone();
        waiting.oldest = (!waiting.held.is_empty()).then(Instant::now);
        let flush = waiting.flushes;
        // An input that ended and has nothing open needs no place here any more.
        waiting.trackers.retain(|tracker| Arc::strong_count(tracker) > 2 || !tracker.idle());
        drop(waiting);
        let ends: Vec<_> = ends.into_iter().filter(|(tracker, end)| *end > tracker.durable_until()).collect();
        let positions = ends.iter().flat_map(|(tracker, end)| tracker.take(*end)).collect();
        Taken { held: taken, positions, ends, flush }
    }
}
