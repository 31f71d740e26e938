//! When filters that hold something back are flushed, and by which worker.

use super::step::Step;
use crate::filter::FLUSH_INTERVAL;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Whose turn it is to flush the filters: the workers of a configuration share it.
pub(super) struct Flushes {
    /// When the next one is due, whatever the configuration; `None` where no filter has anything to
    /// flush.
    next: Option<Arc<Mutex<Instant>>>,
    /// The workers that work by this configuration.
    workers: AtomicUsize,
}

impl Flushes {
    /// For workers that run these steps.
    pub(super) fn new(steps: &[Step], timer: &Arc<Mutex<Instant>>) -> Flushes {
        Flushes { next: flushes(steps).then(|| timer.clone()), workers: AtomicUsize::new(0) }
    }

    /// A timer that begins now.
    pub(super) fn timer() -> Arc<Mutex<Instant>> {
        Arc::new(Mutex::new(Instant::now() + FLUSH_INTERVAL))
    }

    /// Counts a worker.
    pub(super) fn join(&self) {
        self.workers.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a worker that goes on by something else, or ends; whether it is the last, and there is
    /// something to flush.
    pub(super) fn leave(&self) -> bool {
        self.workers.fetch_sub(1, Ordering::AcqRel) == 1 && self.next.is_some()
    }

    /// Whether it is time, and this worker is the one.
    pub(super) fn due(&self) -> bool {
        let Some(mut next) = self.next.as_ref().and_then(|next| next.try_lock()) else { return false };
        let now = Instant::now();
        let due = *next <= now;
        if due {
            *next = now + FLUSH_INTERVAL;
        }
        due
    }

    /// How long until the next one.
    pub(super) fn patience(&self) -> Duration {
        match &self.next {
            Some(next) => next.lock().saturating_duration_since(Instant::now()),
            None => Duration::from_secs(3600),
        }
    }
}

fn flushes(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Filter { filter, .. } => filter.flushes(),
        Step::If { branches, otherwise } => branches.iter().any(|(_, steps)| flushes(steps)) || flushes(otherwise),
    })
}
