//! Who makes the positions of inputs durable: the index's epochs, where events of the pipeline reach
//! the index, else a thread that writes the checkpoint file.
//!
//! A configuration may change from one to the other. What the checkpoint file holds is then the newer:
//! a pipeline whose positions go to the index empties its file once the index has them.

use super::ack::{Ack, Position, Tracker};
use super::checkpoint::Checkpoints;
use super::feed::Stop;
use super::repeated::{Repeated, Said};
use super::thread::{Bell, Thread};
use crate::index::Index;
use crate::metric::Derived;
use crate::metric::derive::Book;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often positions of pipelines without an index output are written.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);

const BOOK_FAILED: &str = "cannot write a book of derived metrics: after a crash counts may be off";
const WRITE_FAILED: &str = "cannot write checkpoints: free space or fix the folder, they are written again soon";

/// Who makes positions durable.
pub(super) enum Keeper {
    /// The index's epochs.
    Index(Arc<Index>),
    /// A thread that writes the checkpoint file.
    File { file: Arc<File>, thread: Thread<()>, stop: Arc<Stop> },
}

/// The name of the book of derived metrics that goes with a pipeline's checkpoint file.
pub fn book_of(id: &str) -> String {
    format!("file-{id}")
}

/// What the thread works on.
pub(super) struct File {
    checkpoints: Mutex<Checkpoints>,
    /// The derived metrics of what is done, written before the positions.
    book: Option<Arc<Book>>,
    trackers: Mutex<Vec<Arc<Tracker>>>,
    /// Writes that failed: of books, and of the file.
    failures: [Repeated; 2],
}

impl Keeper {
    /// The keeper of pipeline `id`; `index` is given where events reach it.
    pub fn start(
        id: &str,
        mut checkpoints: Checkpoints,
        index: Option<Arc<Index>>,
        derived: &Derived,
        bell: &Bell,
    ) -> std::io::Result<Keeper> {
        if let Some(index) = index {
            hand_over(&mut checkpoints, &index)?;
            return Ok(Keeper::Index(index));
        }
        let file = Arc::new(File {
            checkpoints: Mutex::new(checkpoints),
            book: derived.book(&book_of(id)),
            trackers: Mutex::default(),
            failures: Default::default(),
        });
        let stop = Arc::new(Stop::default());
        let (stopped, work) = (stop.clone(), file.clone());
        let thread = Thread::spawn(format!("checkpoints-{id}"), bell, move || {
            while !stopped.wait(CHECKPOINT_INTERVAL) {
                work.save();
            }
        })?;
        Ok(Keeper::File { file, thread, stop })
    }

    /// Whether it is the index.
    pub fn is_index(&self) -> bool {
        matches!(self, Keeper::Index(_))
    }

    /// Keeps the positions of one more input.
    pub fn add(&self, tracker: &Arc<Tracker>) {
        match self {
            Keeper::Index(index) => index.register(tracker.clone()),
            Keeper::File { file, .. } => file.trackers.lock().push(tracker.clone()),
        }
    }

    /// Forgets an input that has nothing open.
    pub fn remove(&self, tracker: &Arc<Tracker>) {
        if let Keeper::File { file, .. } = self {
            file.trackers.lock().retain(|known| !Arc::ptr_eq(known, tracker));
        }
    }

    /// Where an input is: what is durable, and what it has sent since.
    pub fn positions(&self, key: &str, tracker: &Tracker) -> HashMap<String, String> {
        let prefix = format!("{key}/");
        let ahead = tracker.ahead();
        let mut positions = match self {
            Keeper::File { file, .. } => file.checkpoints.lock().positions(&prefix),
            Keeper::Index(index) => of_index(index, &prefix),
        };
        for Position { source, value } in ahead {
            match value.is_empty() {
                true => positions.remove(&*source),
                false => positions.insert(source.to_string(), value.into()),
            };
        }
        positions
    }

    /// Writes the last positions; whether that worked.
    pub fn end(self) -> bool {
        match self {
            Keeper::Index(index) => match index.flush() {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(%error, "cannot make the last events durable: they will be read again");
                    false
                }
            },
            Keeper::File { file, thread, stop } => {
                stop.stop();
                let clean = thread.join().is_ok();
                file.save();
                let [books, writes] = &file.failures;
                warn(books.rest(Instant::now()), BOOK_FAILED);
                warn(writes.rest(Instant::now()), WRITE_FAILED);
                clean
            }
        }
    }
}

impl File {
    /// Writes the positions of what is done.
    fn save(&self) {
        let trackers = self.trackers.lock().clone();
        let ends: Vec<u64> = trackers.iter().map(|tracker| tracker.ready()).collect();
        let positions: Vec<Position> =
            trackers.iter().zip(&ends).flat_map(|(tracker, &end)| tracker.take(end)).collect();
        let closed: Vec<(Arc<Tracker>, u64)> = trackers.iter().cloned().zip(ends.iter().copied()).collect();
        if let Some(Err(error)) = self.book.as_ref().map(|book| book.close(&closed, &positions)) {
            let said = self.failures[0].happened(1, &error, Instant::now());
            warn(said, BOOK_FAILED);
        }
        if let Err(error) = self.checkpoints.lock().write(&positions) {
            // What is not written is in the checkpoints' memory and goes with the next write;
            // until then the inputs would read those events again after a crash.
            let said = self.failures[1].happened(1, &error, Instant::now());
            warn(said, WRITE_FAILED);
            return;
        }
        for (tracker, end) in trackers.iter().zip(ends) {
            tracker.durable(end);
        }
    }
}

/// Says that a write failed, if it is to be said.
fn warn(said: Option<Said>, what: &str) {
    let Some(Said { times, seconds, cause }) = said else { return };
    match seconds {
        None => tracing::error!(error = cause, "{what}"),
        Some(seconds) => tracing::error!(error = cause, times, seconds, "{what}"),
    }
}

/// Gives the index the positions that a checkpoint file holds from a time when the pipeline had no
/// way into it. Only when the index has made them durable the file is emptied.
fn hand_over(checkpoints: &mut Checkpoints, index: &Index) -> std::io::Result<()> {
    let held = checkpoints.positions("");
    if held.is_empty() {
        return Ok(());
    }
    let position =
        |(source, value): (&String, &String)| Position { source: (**source).into(), value: (**value).into() };
    let tracker = Arc::new(Tracker::default());
    Ack::new(tracker.clone(), tracker.issue(held.iter().map(position).collect())).done();
    index.register(tracker);
    let forgotten: Vec<Position> =
        held.keys().map(|source| Position { source: (**source).into(), value: "".into() }).collect();
    index.flush().map_err(std::io::Error::other)?;
    checkpoints.write(&forgotten)
}

/// The positions of a source that the index holds.
fn of_index(index: &Index, prefix: &str) -> HashMap<String, String> {
    let positions = index.positions().into_iter().filter(|at| at.source.starts_with(prefix));
    positions.map(|at| (at.source.to_string(), at.value.to_string())).collect()
}

/// For a pipeline whose events reach the index no more, while the index is open: takes the positions
/// over that it holds, where the file has none.
pub(super) fn take_over(id: &str, checkpoints: &mut Checkpoints, index: &Index) -> std::io::Result<()> {
    if !checkpoints.positions("").is_empty() {
        return Ok(());
    }
    let held = of_index(index, &format!("{id}/"));
    let positions: Vec<Position> =
        held.iter().map(|(source, value)| Position { source: (**source).into(), value: (**value).into() }).collect();
    checkpoints.write(&positions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_again_and_again_is_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoints = Mutex::new(Checkpoints::open(dir.path(), "main").unwrap());
        // A folder stands where the file belongs.
        let blocked = dir.path().join("checkpoints/main.checkpoint");
        std::fs::create_dir(&blocked).unwrap();
        let tracker = Arc::new(Tracker::default());
        let position = Position { source: "main/in/x".into(), value: "7".into() };
        Ack::new(tracker.clone(), tracker.issue(vec![position])).done();
        let file =
            File { checkpoints, book: None, trackers: Mutex::new(vec![tracker.clone()]), failures: Default::default() };
        (0..10).for_each(|_| file.save());
        let left = file.failures[1].rest(Instant::now()).expect("all but the first wait to be summed up");
        assert_eq!((left.times, left.seconds), (9, Some(0)), "{left:?}");
        assert!(!tracker.idle(), "nothing is durable");
        std::fs::remove_dir(&blocked).unwrap();
        file.save();
        assert_eq!(file.failures[1].rest(Instant::now()), None);
        assert!(tracker.idle());
        assert_eq!(Checkpoints::open(dir.path(), "main").unwrap().positions("main/").len(), 1);
    }
}
