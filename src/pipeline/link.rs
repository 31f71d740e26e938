//! How pipelines reach each other: addresses, under which `pipeline` inputs listen and to which
//! `pipeline` outputs send.
//!
//! Events are copied into a batch of the receiving pipeline and wait in its bounded queue; a full
//! one holds the sender back. The acknowledgement of the sender's batch waits for those of the
//! copies, so that a position moves only when the last pipeline's outputs are done.
//!
//! When everything stops, an address stays open as long as somebody may send to it: pipelines end
//! in the order of the events. An address that a reload takes away closes at once, and senders that
//! insist wait for it to come back.

use super::ack::{Ack, Delivery};
use super::feed::Entrance;
use crate::event::Batch;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a sender that waits looks whether its receiver is still there.
const LOOK: Duration = Duration::from_millis(50);

/// The addresses of one process.
#[derive(Default)]
pub struct Links {
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Default)]
struct State {
    receivers: HashMap<String, Entrance>,
    /// How many outputs may send to an address.
    senders: HashMap<String, usize>,
    /// Everything stops: no address comes back.
    closing: bool,
}

/// Keeps an address open for one output.
pub struct Sender {
    links: Arc<Links>,
    address: String,
    /// Whether the address was there when it was last needed.
    there: bool,
}

impl Links {
    /// Listens under an address until [`Links::close`]; false where somebody does already.
    pub fn open(&self, address: &str, entrance: Entrance) -> bool {
        let mut state = self.state.lock();
        if state.receivers.contains_key(address) {
            return false;
        }
        state.receivers.insert(address.to_owned(), entrance);
        self.change.notify_all();
        true
    }

    /// Listens no more.
    pub fn close(&self, address: &str) {
        self.state.lock().receivers.remove(address);
        self.change.notify_all();
    }

    /// Waits until nobody may send to an address any more, at most for `limit`; whether it is so.
    pub fn unused(&self, address: &str, limit: Duration) -> bool {
        let mut state = self.state.lock();
        let unused = |state: &State| state.senders.get(address).is_none_or(|senders| *senders == 0);
        if !unused(&state) {
            self.change.wait_for(&mut state, limit);
        }
        unused(&state)
    }

    /// Everything stops.
    pub fn stop(&self) {
        self.state.lock().closing = true;
        self.change.notify_all();
    }

    /// A sender to an address.
    pub fn sender(self: &Arc<Links>, address: &str) -> Sender {
        *self.state.lock().senders.entry(address.to_owned()).or_default() += 1;
        Sender { links: self.clone(), address: address.to_owned(), there: true }
    }
}

impl Sender {
    /// Sends copies of the events of a delivery. Where nobody listens it waits for somebody
    /// (`insist`), or lets them go. False where they could not be sent before everything stops:
    /// the delivery is then not to be acknowledged.
    pub fn send(&mut self, delivery: &Delivery, insist: bool) -> bool {
        let mut made: Option<(Batch, Arc<Ack>)> = None;
        loop {
            let Some(entrance) = self.receiver(insist) else {
                if insist {
                    return false;
                }
                made.into_iter().for_each(|(_, ack)| ack.done());
                return true;
            };
            let (batch, ack) = made.take().unwrap_or_else(|| {
                let mut batch = entrance.batch();
                for &event in &delivery.events {
                    batch.copy_event(&delivery.batch, event);
                }
                batch.read_at = delivery.batch.read_at;
                (batch, Ack::after(&delivery.ack))
            });
            made = entrance.try_push(batch, ack, LOOK);
            entrance.queued.fetch_sub(1, Ordering::Release);
            // Else it is full: it is looked whether this receiver is still the one.
            if made.is_none() {
                return true;
            }
        }
    }

    /// The way to the receiver, marked as in use: it counts as one batch that waits, so that its
    /// pipeline keeps what it needs to take another.
    fn receiver(&mut self, insist: bool) -> Option<Entrance> {
        let mut state = self.links.state.lock();
        loop {
            if let Some(entrance) = state.receivers.get(&self.address) {
                self.there = true;
                entrance.queued.fetch_add(1, Ordering::Relaxed);
                return Some(entrance.clone());
            }
            if std::mem::replace(&mut self.there, false) && !state.closing {
                let then = if insist { "waiting for it" } else { "its events are discarded until it is there" };
                tracing::warn!(address = self.address, "no pipeline listens under the address: {then}");
            }
            if !insist || state.closing {
                return None;
            }
            self.links.change.wait_for(&mut state, LOOK);
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut state = self.links.state.lock();
        if let Some(senders) = state.senders.get_mut(&self.address) {
            *senders -= 1;
            if *senders == 0 {
                state.senders.remove(&self.address);
            }
        }
        self.links.change.notify_all();
    }
}
