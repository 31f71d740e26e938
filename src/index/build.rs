//! From waiting rows to segments: sorts rows by partition, then builds segments on several
//! threads, one at a time each, so that memory does not grow with the number of partitions.

use super::IndexError;
use super::document::time_of;
use super::intake::Held;
use super::manifest::Key;
use super::segment::{Built, Row, SegmentBuilder};
use super::stream::Stream;
use super::tier::{Day, Tier};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A builder that holds this much is finished, and another begun.
const SEGMENT_MEMORY_MAX: usize = 192 << 20;
/// More rows of one partition than this are shared between threads.
const ROWS_PER_THREAD_MIN: usize = 8_192;

/// Rows of one partition, in order: the held delivery and the row in it.
struct Task {
    key: Key,
    stream: Arc<Stream>,
    rows: Vec<(u32, u32)>,
}

/// Builds segments of all rows of some deliveries.
pub(super) fn build(held: &[Arc<Held>], threads: usize) -> Result<Vec<(Key, Built)>, IndexError> {
    let tasks = split(sort(held), threads);
    let threads = threads.clamp(1, tasks.len().max(1));
    let (next, built, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(None));
    let work = || {
        while failed.lock().is_none() {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(at) else { break };
            match run(task, held) {
                Ok(segments) => built.lock().extend(segments.into_iter().map(|s| (at, task.key.clone(), s))),
                Err(error) => *failed.lock() = Some(error),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let spawned = std::thread::Builder::new().name("index-build".to_owned()).spawn_scoped(scope, work);
            // Without another thread this one does all.
            if spawned.is_err() {
                break;
            }
        }
        work();
    });
    if let Some(error) = failed.into_inner() {
        return Err(error);
    }
    let mut built = built.into_inner();
    built.sort_by_key(|(at, _, _)| *at);
    Ok(built.into_iter().map(|(_, key, segment)| (key, segment)).collect())
}

fn sort(held: &[Arc<Held>]) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    let mut by_key: HashMap<(usize, Day, Tier), usize> = HashMap::new();
    for (delivery, held) in held.iter().enumerate() {
        let stream = Arc::as_ptr(&held.stream) as usize;
        for (row, &event) in held.events.iter().enumerate() {
            let day = Day::of(time_of(&held.batch, event).unwrap_or(held.arrived));
            let tier = Tier::of_event(&held.batch, event);
            let at = *by_key.entry((stream, day, tier)).or_insert_with(|| {
                let key = Key { stream: held.stream.name.clone(), day, tier };
                tasks.push(Task { key, stream: held.stream.clone(), rows: Vec::new() });
                tasks.len() - 1
            });
            tasks[at].rows.push((delivery as u32, row as u32));
        }
    }
    tasks
}

/// Shares large tasks between threads; the largest come first.
fn split(tasks: Vec<Task>, threads: usize) -> Vec<Task> {
    let mut pieces = Vec::new();
    for task in tasks {
        let size = task.rows.len().div_ceil(threads.max(1)).max(ROWS_PER_THREAD_MIN);
        let piece =
            |rows: &[(u32, u32)]| Task { key: task.key.clone(), stream: task.stream.clone(), rows: rows.to_vec() };
        pieces.extend(task.rows.chunks(size).map(piece));
    }
    pieces.sort_by_key(|task| std::cmp::Reverse(task.rows.len()));
    pieces
}

fn run(task: &Task, held: &[Arc<Held>]) -> Result<Vec<Built>, IndexError> {
    let mut built = Vec::new();
    let mut builder = SegmentBuilder::new(&task.stream)?;
    for (count, &(delivery, row)) in task.rows.iter().enumerate() {
        let held = &held[delivery as usize];
        let (id, source) = match &held.clients {
            Some(clients) => (clients[row as usize].id.as_deref(), Some(clients[row as usize].source)),
            None => (None, None),
        };
        let event = held.events[row as usize];
        builder.add(Row { batch: &held.batch, event, seq: held.first_seq + row as u64, id, source })?;
        if count % 1024 == 1023 && builder.memory() > SEGMENT_MEMORY_MAX {
            built.extend(std::mem::replace(&mut builder, SegmentBuilder::new(&task.stream)?).finish()?);
        }
    }
    built.extend(builder.finish()?);
    Ok(built)
}
