//! How a running worker is told to go on by another configuration, or to end.

use super::worker::Kit;
use crossbeam::channel::Receiver;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a worker shall do next.
pub(super) enum Order {
    /// Go on by another configuration.
    Use(Kit),
    /// End.
    End,
}

/// How a worker is told to change. A newer order takes the place of one that it has not seen yet,
/// so that a worker that is held up by an output keeps no line of configurations waiting.
pub(super) struct Command {
    order: Mutex<Option<Order>>,
    given: AtomicBool,
    wake: crossbeam::channel::Sender<()>,
}

impl Command {
    /// A command, and what wakes its worker.
    pub(super) fn new() -> (Arc<Command>, Receiver<()>) {
        let (wake, woken) = crossbeam::channel::bounded(1);
        (Arc::new(Command { order: Mutex::new(None), given: AtomicBool::new(false), wake }), woken)
    }

    /// Gives an order.
    pub(super) fn give(&self, order: Order) {
        let old = self.order.lock().replace(order);
        self.given.store(true, Ordering::Release);
        let _awake = self.wake.try_send(());
        drop(old);
    }

    pub(super) fn take(&self) -> Option<Order> {
        if !self.given.load(Ordering::Acquire) {
            return None;
        }
        let mut order = self.order.lock();
        self.given.store(false, Ordering::Release);
        order.take()
    }
}
