//! The epoch thread: waits until an epoch is worth writing, takes the rows, builds, commits, shows,
//! acknowledges. And the merge thread beside it.
//!
//! An epoch closes after `index.epoch.interval`, at `index.epoch.bytes`, within milliseconds when
//! a client waits, at once when asked or at the end. An idle index writes nothing. When the disk
//! refuses, rows and positions stay here and the same epoch is tried again, ever more slowly; the
//! bound on waiting bytes then holds the inputs back.

use super::Inner;
use super::build;
use super::commit::Epoch;
use super::intake::{Held, Taken};
use super::manifest::Key;
use super::merge::{self, Merged};
use super::partition::Partition;
use super::retention;
use super::tier::Day;
use crate::event::Timestamp;
use crossbeam::channel::{Receiver, Sender};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the first waiting client waits for others to share its epoch.
const GROUP_TIME: Duration = Duration::from_millis(5);
/// How often retention is looked at.
const RETENTION_TIME: Duration = Duration::from_secs(300);
/// Waits between attempts at a disk that refuses.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Merges that wait in memory for the next epoch hold no more than about this.
const MERGED_BYTES_MAX: u64 = 64 << 20;

/// Runs epochs until the index closes.
pub(super) fn run(inner: &Inner, merges: &Sender<()>) {
    let mut retention_at = Instant::now();
    loop {
        let closing = wait(inner);
        let taken = inner.intake.take();
        if !taken.positions.is_empty()
            && let Some(tell) = &*inner.before_epoch.read()
        {
            tell(&taken.ends, &taken.positions);
        }
        let mut epoch = Epoch { positions: taken.positions.clone(), ..Epoch::default() };
        epoch.merged = std::mem::take(&mut *inner.merged.lock());
        if Instant::now() >= retention_at {
            retention_at = Instant::now() + RETENTION_TIME;
            let today = Day::of(Timestamp::now());
            epoch.dropped = retention::expired(&inner.committer.lock().state, &inner.settings.retention, today);
        }
        let idle = taken.held.is_empty() && epoch.is_empty() && !inner.has_new_fields();
        let done = idle || write(inner, &taken, epoch);
        if idle {
            release(inner, &taken);
        }
        if !done || (closing && idle) {
            break;
        }
        // Full means that it is about to look anyway.
        let _told = merges.try_send(());
    }
}

/// Waits for a reason to write; returns whether the index closes.
fn wait(inner: &Inner) -> bool {
    let settings = &inner.settings;
    let tick = Instant::now() + settings.epoch_interval;
    let mut waiting = inner.intake.waiting.lock();
    loop {
        let now = Instant::now();
        let full = waiting.bytes >= settings.epoch_bytes.min(settings.pending_bytes_max / 2) && !waiting.stuck;
        if waiting.closing || waiting.flushes > waiting.flushed || full {
            return waiting.closing;
        }
        let group = waiting.clients_since.map(|since| since + GROUP_TIME);
        let oldest = waiting.oldest.map(|since| since + settings.epoch_interval);
        let until = [Some(tick), group, oldest].into_iter().flatten().min().unwrap_or(tick);
        if until <= now {
            return false;
        }
        inner.intake.work.wait_until(&mut waiting, until);
    }
}

/// Builds and commits until it is done; false if the index closed on a disk that refuses.
fn write(inner: &Inner, taken: &Taken, mut epoch: Epoch) -> bool {
    let mut pause = RETRY_MIN;
    let mut built = false;
    loop {
        let outcome = if built { Ok(()) } else { fill(inner, taken, &mut epoch) };
        built = outcome.is_ok();
        let outcome = outcome.and_then(|()| attempt(inner, &mut epoch));
        let cause = match outcome {
            Ok(changed) => {
                publish(inner, taken, changed);
                return true;
            }
            Err(cause) => cause,
        };
        inner.counters.failures.fetch_add(1, Ordering::Relaxed);
        let mut waiting = inner.intake.waiting.lock();
        if waiting.failing.is_none() {
            tracing::error!(%cause, path = %inner.settings.path.display(), events = taken.held.iter()
                .map(|h| h.events.len()).sum::<usize>(), "cannot write an epoch: events are kept and it is tried again");
        }
        waiting.failing = Some(cause);
        inner.intake.over.notify_all();
        let until = Instant::now() + pause;
        while !waiting.closing && !inner.intake.work.wait_until(&mut waiting, until).timed_out() {}
        if waiting.closing && pause > RETRY_MIN {
            let events: usize = taken.held.iter().map(|held| held.events.len()).sum();
            tracing::error!(events, "closing with events that could not be written: inputs will read them again");
            return false;
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// Builds the segments of what was taken; those that searches made already serve again.
fn fill(inner: &Inner, taken: &Taken, epoch: &mut Epoch) -> Result<(), String> {
    let is_taken: BTreeSet<u64> = taken.held.iter().map(|held| held.first_seq).collect();
    let mut reused = BTreeSet::new();
    epoch.built.clear();
    for chunk in &inner.shown.lock().chunks {
        if chunk.held.iter().all(|held| is_taken.contains(&held.first_seq)) {
            epoch.built.extend(chunk.built.iter().cloned());
            reused.extend(chunk.held.iter().map(|held| held.first_seq));
        }
    }
    let rest: Vec<Arc<Held>> = taken.held.iter().filter(|h| !reused.contains(&h.first_seq)).cloned().collect();
    epoch.built.extend(build::build(&rest, inner.settings.threads).map_err(|error| error.to_string())?);
    // What is written now is not dropped now.
    let built: BTreeSet<&Key> = epoch.built.iter().map(|(key, _)| key).collect();
    epoch.dropped.retain(|key| !built.contains(key));
    Ok(())
}

fn attempt(inner: &Inner, epoch: &mut Epoch) -> Result<BTreeSet<Key>, String> {
    let next_seq = inner.intake.waiting.lock().next_seq;
    let streams: Vec<_> = inner.streams.read().values().cloned().collect();
    let syncs = inner.disk.syncs();
    let today = Day::of(Timestamp::now());
    let changed = inner.committer.lock().commit(epoch, &streams, next_seq, today).map_err(|cause| cause.to_string())?;
    let counters = &inner.counters;
    counters.epochs.fetch_add(1, Ordering::Relaxed);
    counters.epoch_syncs.store(inner.disk.syncs() - syncs, Ordering::Relaxed);
    counters.merges.fetch_add(epoch.merged.len() as u64, Ordering::Relaxed);
    counters.dropped.fetch_add(epoch.dropped.len() as u64, Ordering::Relaxed);
    Ok(changed)
}

/// Moves the rows from those that wait to those on the disk, for searches and for inputs.
fn publish(inner: &Inner, taken: &Taken, changed: BTreeSet<Key>) {
    let mut shown = inner.shown.lock();
    for key in changed {
        match open_partition(inner, &key) {
            Some(partition) => shown.durable.insert(key, partition),
            None => shown.durable.remove(&key),
        };
    }
    taken.held.iter().for_each(|held| held.durable.store(true, Ordering::Release));
    shown.settle(inner.settings.threads);
    let version = shown.version;
    shown.compose(inner.mappings(), version);
    drop(shown);
    release(inner, taken);
}

fn release(inner: &Inner, taken: &Taken) {
    for (tracker, end) in &taken.ends {
        tracker.durable(*end);
    }
    let mut waiting = inner.intake.waiting.lock();
    waiting.taken.clear();
    waiting.bytes -= taken.held.iter().map(|held| held.bytes).sum::<usize>();
    for held in &taken.held {
        for client in held.clients.iter().flatten() {
            if let Some(id) = &client.id {
                waiting.ids.remove(&(held.stream.name.clone(), id.clone()));
            }
        }
    }
    waiting.flushed = waiting.flushed.max(taken.flush);
    if waiting.failing.take().is_some() {
        tracing::info!("epochs are written again");
    }
    inner.intake.over.notify_all();
}

/// The durable segments of a partition as a search reads them.
pub(super) fn open_partition(inner: &Inner, key: &Key) -> Option<Arc<Partition>> {
    let committer = inner.committer.lock();
    let segments = &committer.state.partitions.get(key)?.segments;
    if segments.is_empty() {
        return None;
    }
    let mapping = inner.streams.read().get(&key.stream)?.mapping();
    let places = match committer.segments(segments) {
        Ok(places) => places,
        Err(error) => {
            tracing::error!(%error, stream = &*key.stream, day = %key.day, tier = %key.tier, "cannot show a partition");
            return None;
        }
    };
    Some(Arc::new(Partition {
        stream: key.stream.clone(),
        tier: key.tier,
        day: key.day,
        mapping,
        min_time: segments.iter().map(|s| s.min_time).min()?,
        max_time: segments.iter().map(|s| s.max_time).max()?,
        docs: segments.iter().map(|s| s.docs as u64).sum(),
        bytes: segments.iter().map(|s| s.bytes()).sum(),
        segments: places,
        searcher: Default::default(),
    }))
}

/// Merges while there is something to merge, each time that an epoch was written, until the epoch
/// thread is gone.
pub(super) fn run_merges(inner: &Inner, wake: &Receiver<()>) {
    for () in wake {
        while let Some(job) = next_merge(inner) {
            match merge::run(job, &inner.disk) {
                Ok(merged) => inner.merged.lock().push(merged),
                Err(error) => {
                    // The segments stay as they are, and are looked at again after the next epoch.
                    tracing::warn!(%error, "a merge failed");
                    break;
                }
            }
            if inner.intake.waiting.lock().closing {
                return;
            }
        }
    }
}

fn next_merge(inner: &Inner) -> Option<merge::Job> {
    let mapping = |stream: &str| inner.streams.read().get(stream).map(|stream| stream.mapping());
    let committer = inner.committer.lock();
    let done = inner.merged.lock();
    if done.iter().map(Merged::memory).sum::<u64>() > MERGED_BYTES_MAX {
        return None;
    }
    merge::choose(&committer, &done, mapping)
}
