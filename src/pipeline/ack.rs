//! Acknowledgements: counts a batch down over its outputs, then frees the input's checkpoint.
//!
//! An input numbers its batches. A batch is done when every output that got a part of it has
//! made that part durable. Positions move only over an unbroken run of done batches, since a
//! position says that everything before it is done.
//!
//! Where a pipeline has an `index` output, the index's epochs take the positions and write them
//! in the same record as the segments; `done` then means for the index output that it holds the
//! events, and the epoch takes exactly the events of the unbroken run. Elsewhere the checkpoint
//! thread takes them.

use crate::event::{Batch, EventId};
use crossbeam::queue::ArrayQueue;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How far an input has come in one of its sources.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Names the source for ever: `PIPELINE/INPUT/…`.
    pub source: Arc<str>,
    /// What the input needs to go on there; empty to forget the source.
    pub value: Box<str>,
}

/// The batches of one input that are not durable yet.
#[derive(Default)]
pub struct Tracker {
    /// A batch came with positions: its input can replay.
    replays: AtomicBool,
    slots: Mutex<Slots>,
    moved: Condvar,
    /// The number of the next batch that is not durable.
    durable: AtomicU64,
}

#[derive(Default)]
struct Slots {
    base: u64,
    open: VecDeque<Slot>,
    /// What was taken and is not durable yet, by the end that was taken.
    taken: Vec<(u64, Vec<Position>)>,
    /// Somebody waits for the last batches.
    watched: bool,
}

/// Batches of one input that may come after one that is not done: where an output that the
/// configuration no longer has keeps a batch for long, others go on up to here, then the input waits.
pub(super) const WINDOW_BATCHES: u64 = 8_192;

struct Slot {
    done: bool,
    /// Nobody can say any more that it is done.
    lost: bool,
    positions: Vec<Position>,
}

impl Tracker {
    /// Numbers a batch.
    pub fn issue(&self, positions: Vec<Position>) -> u64 {
        if !positions.is_empty() {
            self.replays.store(true, Ordering::Relaxed);
        }
        let mut slots = self.slots.lock();
        slots.open.push_back(Slot { done: false, lost: false, positions });
        slots.base + slots.open.len() as u64 - 1
    }

    /// Whether a batch has come with positions.
    pub fn replays(&self) -> bool {
        self.replays.load(Ordering::Relaxed)
    }

    fn complete(&self, number: u64) {
        let mut slots = self.slots.lock();
        let at = number.checked_sub(slots.base).expect("BUG: a batch was done twice");
        slots.open[at as usize].done = true;
        if slots.watched || slots.open.len() as u64 >= WINDOW_BATCHES {
            self.moved.notify_all();
        }
    }

    /// An output gave a batch up.
    fn lose(&self, number: u64) {
        let mut slots = self.slots.lock();
        if let Some(at) = number.checked_sub(slots.base) {
            slots.open[at as usize].lost = true;
            self.moved.notify_all();
        }
    }

    /// Waits until every batch issued so far is done, or can't become so any more.
    pub(super) fn wait_for_acks(&self) {
        let mut slots = self.slots.lock();
        slots.watched = true;
        while slots.open.iter().any(|slot| !slot.done && !slot.lost) {
            self.moved.wait(&mut slots);
        }
    }

    /// The number that the next batch gets.
    pub fn issued(&self) -> u64 {
        let slots = self.slots.lock();
        slots.base + slots.open.len() as u64
    }

    /// Waits while too many batches came after one that is not done, or until `limit` has passed;
    /// returns whether there is room.
    pub(super) fn wait_for_room(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut slots = self.slots.lock();
        loop {
            if (slots.open.len() as u64) < WINDOW_BATCHES {
                return true;
            }
            let done = slots.open.iter().take_while(|slot| slot.done).count() as u64;
            if (slots.open.len() as u64) - done < WINDOW_BATCHES {
                return true;
            }
            if self.moved.wait_until(&mut slots, until).timed_out() {
                return false;
            }
        }
    }

    /// Where the input will be once everything that it sent is durable: the newest position of
    /// each source that is not durable yet. To be read before what is durable, so that nothing
    /// is missed between the two.
    pub(super) fn ahead(&self) -> Vec<Position> {
        let slots = self.slots.lock();
        let taken = slots.taken.iter().flat_map(|(_, positions)| positions);
        taken.chain(slots.open.iter().flat_map(|slot| &slot.positions)).cloned().collect()
    }

    /// The end of the unbroken run of done batches: all with smaller numbers are done.
    pub fn ready(&self) -> u64 {
        let slots = self.slots.lock();
        slots.base + slots.open.iter().take_while(|slot| slot.done).count() as u64
    }

    /// Takes the positions of the batches before `end`, which must come from
    /// [`Tracker::ready`]: the newest of each source, in order of first appearance.
    pub fn take(&self, end: u64) -> Vec<Position> {
        let mut slots = self.slots.lock();
        let mut positions: Vec<Position> = Vec::new();
        let mut at = rustc_hash::FxHashMap::default();
        while slots.base < end {
            let slot = slots.open.pop_front().expect("BUG: taken past the last batch");
            debug_assert!(slot.done);
            slots.base += 1;
            for position in slot.positions {
                let next = positions.len();
                match at.entry(position.source.clone()).or_insert(next) {
                    &mut i if i < next => positions[i] = position,
                    _ => positions.push(position),
                }
            }
        }
        if !positions.is_empty() {
            slots.taken.push((end, positions.clone()));
        }
        positions
    }

    /// Says that all batches before `end` are durable, positions included.
    pub fn durable(&self, end: u64) {
        let mut slots = self.slots.lock();
        slots.taken.retain(|(taken, _)| *taken > end);
        self.durable.fetch_max(end, Ordering::Release);
        self.moved.notify_all();
    }

    /// The number of the first batch that is not durable.
    pub fn durable_until(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Whether every batch issued so far is durable.
    pub fn idle(&self) -> bool {
        let slots = self.slots.lock();
        self.durable_until() == slots.base + slots.open.len() as u64
    }

    /// Waits until [`Tracker::durable_until`] reaches `end`; false if `limit` passed first.
    pub fn wait(&self, end: u64, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut slots = self.slots.lock();
        while self.durable_until() < end {
            if self.moved.wait_until(&mut slots, until).timed_out() {
                return self.durable_until() >= end;
            }
        }
        true
    }
}

/// Counts one batch down over its outputs.
pub struct Ack {
    tells: Tells,
    remaining: AtomicU32,
}

/// Whom an acknowledgement tells.
enum Tells {
    Nobody,
    /// The input's tracker, and the batch's number there.
    Input((Arc<Tracker>, u64)),
    /// The batch in another pipeline from which this one was made.
    Upstream(Arc<Ack>),
}

impl Ack {
    /// For batch `number` of `tracker`, held open once by the caller until it calls
    /// [`Ack::done`] itself.
    pub fn new(tracker: Arc<Tracker>, number: u64) -> Arc<Ack> {
        Arc::new(Ack { tells: Tells::Input((tracker, number)), remaining: AtomicU32::new(1) })
    }

    /// For a batch made from one of another pipeline, which is held once more for it.
    pub fn after(upstream: &Arc<Ack>) -> Arc<Ack> {
        upstream.hold();
        Arc::new(Ack { tells: Tells::Upstream(upstream.clone()), remaining: AtomicU32::new(1) })
    }

    /// For events that nobody can replay and nobody waits for.
    pub fn none() -> Arc<Ack> {
        Arc::new(Ack { tells: Tells::Nobody, remaining: AtomicU32::new(1) })
    }

    /// One more to wait for.
    pub fn hold(&self) {
        self.remaining.fetch_add(1, Ordering::Relaxed);
    }

    /// One less to wait for.
    pub fn done(&self) {
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            match &self.tells {
                Tells::Nobody => {}
                Tells::Input((tracker, number)) => tracker.complete(*number),
                Tells::Upstream(ack) => ack.done(),
            }
        }
    }

    /// The tracker of the input that read the events, and the batch's number in it; also where
    /// they came through other pipelines.
    pub fn tracker(&self) -> Option<&(Arc<Tracker>, u64)> {
        match &self.tells {
            Tells::Nobody => None,
            Tells::Input(tracker) => Some(tracker),
            Tells::Upstream(ack) => ack.tracker(),
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        if *self.remaining.get_mut() > 0
            && let Tells::Input((tracker, number)) = &self.tells
        {
            tracker.lose(*number);
        }
    }
}

/// Where emptied batches wait to be used again.
pub(crate) type Pool = Arc<ArrayQueue<Batch>>;

/// A batch behind the filters: nobody changes it any more, and several outputs may read it.
/// Its memory goes back to the pool with the last of them.
pub struct Shared {
    batch: Batch,
    pool: Option<Pool>,
}

impl Shared {
    /// A batch that returns to `pool`.
    pub(crate) fn new(batch: Batch, pool: Option<Pool>) -> Arc<Shared> {
        Arc::new(Shared { batch, pool })
    }
}

impl Deref for Shared {
    type Target = Batch;
    fn deref(&self) -> &Batch {
        &self.batch
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            let mut batch = std::mem::take(&mut self.batch);
            batch.recycle();
            let _full = pool.push(batch);
        }
    }
}

/// The events of one batch that one output gets, in order.
pub struct Delivery {
    /// The batch.
    pub batch: Arc<Shared>,
    /// Which of its events.
    pub events: Vec<EventId>,
    /// To be told when they are durable.
    pub ack: Arc<Ack>,
}

impl Delivery {
    /// Wraps events; `ack` is held once more for it.
    pub fn new(batch: Arc<Shared>, events: Vec<EventId>, ack: Arc<Ack>) -> Delivery {
        ack.hold();
        Delivery { batch, events, ack }
    }

    /// Wraps a batch of one's own, for whose events nobody waits; its memory goes back to `pool`.
    pub fn own(batch: Batch, events: Vec<EventId>, pool: Option<Arc<ArrayQueue<Batch>>>) -> Delivery {
        Delivery::new(Shared::new(batch, pool), events, Ack::none())
    }

    /// Says that the events are durable.
    pub fn done(self) {
        self.ack.done();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(source: &str, value: &str) -> Position {
        Position { source: source.into(), value: value.into() }
    }

    #[test]
    fn positions_move_over_unbroken_runs_only() {
        let tracker = Arc::new(Tracker::default());
        let acks: Vec<_> =
            (0..3).map(|n| Ack::new(tracker.clone(), tracker.issue(vec![position("a", &n.to_string())]))).collect();
        acks[1].done();
        assert_eq!(tracker.ready(), 0);
        acks[0].hold();
        acks[0].done();
        assert_eq!(tracker.ready(), 0, "an output still holds it");
        acks[0].done();
        assert_eq!(tracker.ready(), 2);
        assert_eq!(tracker.take(2), vec![position("a", "1")]);
        assert!(!tracker.idle());
        acks[2].done();
        let end = tracker.ready();
        assert_eq!(tracker.take(end), vec![position("a", "2")]);
        tracker.durable(end);
        assert!(tracker.idle());
        assert!(tracker.wait(3, Duration::ZERO));
    }

    #[test]
    fn a_batch_in_another_pipeline_holds_the_one_it_came_from() {
        let tracker = Arc::new(Tracker::default());
        let first = Ack::new(tracker.clone(), tracker.issue(vec![position("a", "1")]));
        let (second, third) = (Ack::after(&first), Ack::after(&first));
        first.done();
        second.done();
        assert_eq!(tracker.ready(), 0);
        assert_eq!(third.tracker().map(|(_, number)| *number), Some(0));
        third.done();
        assert_eq!(tracker.ready(), 1);
        tracker.wait_for_acks();
        let first = Ack::new(tracker.clone(), tracker.issue(Vec::new()));
        let second = Ack::after(&first);
        first.done();
        drop((first, second));
        tracker.wait_for_acks();
        assert_eq!(tracker.ready(), 1, "given up is not done");
    }

    #[test]
    fn where_an_input_will_be_is_known_until_it_is_durable() {
        let tracker = Arc::new(Tracker::default());
        let ack = Ack::new(tracker.clone(), tracker.issue(vec![position("a", "1")]));
        tracker.issue(vec![position("a", "2")]);
        ack.done();
        tracker.take(1);
        assert_eq!(tracker.ahead(), vec![position("a", "1"), position("a", "2")]);
        tracker.durable(1);
        assert_eq!(tracker.ahead(), vec![position("a", "2")]);
        assert_eq!(tracker.issued(), 2);
    }

    #[test]
    fn an_input_waits_where_too_much_comes_after_a_batch_that_is_not_done() {
        let tracker = Arc::new(Tracker::default());
        let acks: Vec<_> = (0..WINDOW_BATCHES).map(|_| Ack::new(tracker.clone(), tracker.issue(Vec::new()))).collect();
        acks[1..].iter().for_each(|ack| ack.done());
        assert!(!tracker.wait_for_room(Duration::ZERO));
        acks[0].done();
        assert!(tracker.wait_for_room(Duration::ZERO));
    }
}
