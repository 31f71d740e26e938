//! The bounded queue before an output, shared by workers of several configurations.
//!
//! Closed when the last worker has let go of it. An output that the configuration no longer has is
//! *retired*: its queue then takes what workers still bring, without making them wait, so that a
//! blocked output can't hold up the ones that stay. That is bounded: a worker brings at most the
//! batch that it was about to deliver.

use super::ack::Delivery;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;

/// The queue, as its output sees it.
pub(super) struct Mailbox {
    state: Mutex<State>,
    room: Condvar,
    more: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Delivery>,
    /// Workers (and configurations) that may bring more.
    outlets: usize,
    retired: bool,
}

/// The queue, as a worker sees it.
pub(super) struct Outlet(Arc<Mailbox>);

/// What an output finds.
pub(super) enum Found {
    Delivery(Delivery),
    /// Nothing now.
    Empty,
    /// Nothing any more.
    Closed,
}

impl Mailbox {
    /// A queue of `capacity` deliveries, and the first way into it.
    pub fn new(capacity: usize) -> (Arc<Mailbox>, Outlet) {
        let state = Mutex::new(State { outlets: 1, ..State::default() });
        let mailbox = Arc::new(Mailbox { state, room: Condvar::new(), more: Condvar::new(), capacity });
        (mailbox.clone(), Outlet(mailbox))
    }

    /// The next delivery, if there is one.
    pub fn look(&self) -> Found {
        let mut state = self.state.lock();
        self.pop(&mut state)
    }

    /// Waits for the next delivery, or for the end.
    pub fn wait(&self) -> Found {
        let mut state = self.state.lock();
        loop {
            match self.pop(&mut state) {
                Found::Empty => self.more.wait(&mut state),
                found => return found,
            }
        }
    }

    fn pop(&self, state: &mut State) -> Found {
        match state.waiting.pop_front() {
            Some(delivery) => {
                self.room.notify_one();
                Found::Delivery(delivery)
            }
            None if state.outlets == 0 => Found::Closed,
            None => Found::Empty,
        }
    }

    /// Lets workers go that wait for room, and every one that comes.
    pub fn retire(&self) {
        self.state.lock().retired = true;
        self.room.notify_all();
    }
}

impl Outlet {
    /// Brings a delivery; waits while the queue is full.
    pub fn send(&self, delivery: Delivery) {
        let mut state = self.0.state.lock();
        while state.waiting.len() >= self.0.capacity && !state.retired {
            self.0.room.wait(&mut state);
        }
        state.waiting.push_back(delivery);
        self.0.more.notify_one();
    }
}

impl Clone for Outlet {
    fn clone(&self) -> Outlet {
        self.0.state.lock().outlets += 1;
        Outlet(self.0.clone())
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.0.state.lock().outlets -= 1;
        self.0.more.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Batch;
    use std::time::Duration;

    fn delivery() -> Delivery {
        Delivery::own(Batch::new(), Vec::new(), None)
    }

    #[test]
    fn a_full_queue_holds_its_worker_until_it_is_retired() {
        let (mailbox, outlet) = Mailbox::new(1);
        outlet.send(delivery());
        let blocked = std::thread::spawn(move || outlet.send(delivery()));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!blocked.is_finished());
        mailbox.retire();
        blocked.join().unwrap();
        for _ in 0..2 {
            assert!(matches!(mailbox.wait(), Found::Delivery(_)));
        }
        assert!(matches!(mailbox.wait(), Found::Closed), "its only worker has gone");
    }

    #[test]
    fn it_is_open_as_long_as_somebody_may_bring_more() {
        let (mailbox, outlet) = Mailbox::new(1);
        let other = outlet.clone();
        drop(outlet);
        assert!(matches!(mailbox.look(), Found::Empty));
        drop(other);
        assert!(matches!(mailbox.look(), Found::Closed));
    }
}
