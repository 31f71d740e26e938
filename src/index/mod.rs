//! Where events rest: the embedded index, one partition per (stream, tier, day).
//!
//! Events arrive from the `index` output ([`Index::submit`]) and wait as rows in their batches
//! (`intake`). An epoch builds segments of them (`build`, `segment`), makes all of it durable,
//! whatever partitions it goes to, in one atomic step together with how far the inputs have come
//! (`commit`, which has the crash argument), shows it to searches (`view`) and lets the inputs
//! forget it (`writer`). A search reads a [`View`]. Only this folder names tantivy.
//!
//! On disk: `manifest` says what exists, `pack` how segments lie in files.

pub(crate) mod aggregate;
pub mod analyzer;
mod build;
mod bulk;
mod commit;
mod date;
mod directory;
mod disk;
mod document;
pub(crate) mod engine;
pub(crate) mod hits;
mod intake;
mod manifest;
pub mod mapping;
mod merge;
mod name;
mod pack;
mod partition;
mod postings;
pub(crate) mod query;
mod retention;
mod segment;
mod settings;
mod stats;
mod stream;
mod tier;
mod view;
mod writer;

pub use bulk::{BulkItem, BulkOutcome};
pub use mapping::{Explicit, FieldInfo, Kind, Mapping};
pub use name::{StreamNameError, check_stream_name};
pub use partition::Partition;
pub use settings::{Clock, IndexSettings, Retention};
pub use stats::{Stats, StreamStats};
pub use tier::{Day, Tier};
pub use view::View;

use crate::lock::{FolderLock, LockError};
use crate::pipeline::{Delivery, Position, Tracker};
use commit::Committer;
use disk::{Disk, Folder};
use intake::{Held, HeldBatch, Intake, Waiting};
use merge::Merged;
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;
use stream::Stream;
use view::Shown;

/// Why the index could not do something.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The operating system refused.
    #[error("cannot {0}: {1}")]
    Io(&'static str, #[source] std::io::Error),
    /// The folder is used by another process.
    #[error("cannot open the index in `{path}`: another process uses it{holder}")]
    InUse {
        /// The folder.
        path: String,
        /// ` (pid 123)`, where known.
        holder: String,
    },
    /// What lies on disk is not what was written.
    #[error("cannot read `{file}`: {cause}")]
    Corrupt {
        /// The file.
        file: String,
        /// What is wrong.
        cause: String,
    },
    /// tantivy failed.
    #[error("cannot use a segment: {0}")]
    Tantivy(#[from] tantivy::TantivyError),
    /// The disk refuses, or is too slow.
    #[error("cannot make events durable yet: {0}")]
    NotDurable(String),
    /// The index is closing.
    #[error("cannot take events: the index is closed")]
    Closed,
}

/// The index. Closed when dropped.
pub struct Index {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Inner {
    settings: IndexSettings,
    disk: Arc<dyn Disk>,
    text_fields: Arc<[String]>,
    streams: RwLock<BTreeMap<Arc<str>, Arc<Stream>>>,
    intake: Intake,
    // Locks are taken in this order: `shown`, `committer`, `merged`, the intake's, `streams`.
    shown: Mutex<Shown>,
    committer: Mutex<Committer>,
    /// Merges that take effect with the next epoch.
    merged: Mutex<Vec<Merged>>,
    /// Held while a client's ids are looked up and put among those that wait.
    id_lock: Mutex<()>,
    counters: stats::Counters,
    /// Told what an epoch will make durable, before it is written.
    before_epoch: RwLock<Option<BeforeEpoch>>,
    _lock: Option<FolderLock>,
}

/// Gets the inputs with the number of their first batch that is not in the epoch, and the positions
/// that the epoch writes.
pub type BeforeEpoch = Box<dyn Fn(&[(Arc<Tracker>, u64)], &[Position]) + Send + Sync>;

impl Index {
    /// Opens the index in a folder, or makes it; at most one process at a time.
    pub fn open(settings: IndexSettings) -> Result<Arc<Index>, IndexError> {
        std::fs::create_dir_all(&settings.path).map_err(|cause| IndexError::Io("make the index folder", cause))?;
        let lock = FolderLock::take(&settings.path.join("lock")).map_err(|error| match error {
            LockError::InUse { holder } => IndexError::InUse { path: settings.path.display().to_string(), holder },
            LockError::Io(cause) => IndexError::Io("lock the index folder", cause),
        })?;
        let disk: Arc<dyn Disk> = Arc::new(Folder::new(settings.path.clone()));
        Index::open_on(disk, settings, Some(lock))
    }

    fn open_on(
        disk: Arc<dyn Disk>,
        settings: IndexSettings,
        lock: Option<FolderLock>,
    ) -> Result<Arc<Index>, IndexError> {
        let committer = Committer::open(disk.clone())?;
        let text_fields: Arc<[String]> = settings.text_fields.clone().into();
        let mut streams = BTreeMap::new();
        for (name, mapping) in &committer.state.streams {
            let (name, durable): (Arc<str>, _) = (Arc::from(&**name), mapping.fields().len());
            let stream = Stream::restored(name.clone(), text_fields.clone(), mapping.clone(), durable);
            streams.insert(name, Arc::new(stream));
        }
        let waiting = Waiting { next_seq: committer.state.next_seq, ..Waiting::default() };
        let inner = Arc::new(Inner {
            settings,
            disk,
            text_fields: text_fields.clone(),
            streams: RwLock::new(streams),
            intake: Intake { waiting: Mutex::new(waiting), ..Intake::default() },
            shown: Mutex::default(),
            committer: Mutex::new(committer),
            merged: Mutex::default(),
            id_lock: Mutex::new(()),
            counters: stats::Counters::default(),
            before_epoch: RwLock::default(),
            _lock: lock,
        });
        inner.show_all();
        let threads = spawn(&inner).map_err(|cause| IndexError::Io("start the index's threads", cause))?;
        Ok(Arc::new(Index { inner, threads: Mutex::new(threads) }))
    }

    /// Takes events for a stream. When it returns the index holds them and the delivery is done:
    /// inputs learn from [`Tracker::durable`] when they are on the disk. Blocks while too much
    /// waits already.
    pub fn submit(&self, stream: &str, delivery: Delivery) {
        let stream = self.inner.stream(stream);
        let Delivery { batch, events, ack } = delivery;
        let bytes = batch.memory();
        match self.inner.admit(bytes) {
            Ok(mut waiting) => {
                let held = Held {
                    stream,
                    first_seq: waiting.next_seq,
                    clients: None,
                    tracker: ack.tracker().cloned(),
                    bytes,
                    arrived: batch.read_at.unwrap_or_else(crate::event::Timestamp::now),
                    batch: HeldBatch::Shared(batch),
                    events,
                    shown: Default::default(),
                    durable: Default::default(),
                };
                waiting.next_seq += held.events.len() as u64;
                self.inner.counters.arrived.fetch_add(held.events.len() as u64, Ordering::Relaxed);
                waiting.push(Arc::new(held));
                if waiting.bytes >= self.inner.settings.epoch_bytes || waiting.held.len() == 1 {
                    self.inner.intake.work.notify_one();
                }
            }
            // Not done: the input will read it again.
            Err(_closed) => return,
        }
        ack.done();
    }

    /// Calls `tell` before each epoch that moves positions is written.
    pub fn before_epoch(&self, tell: BeforeEpoch) {
        *self.inner.before_epoch.write() = Some(tell);
    }

    /// Makes epochs write the positions of an input, for pipelines with an `index` output.
    pub fn register(&self, tracker: Arc<Tracker>) {
        self.inner.intake.waiting.lock().trackers.push(tracker);
    }

    /// How far the inputs had come when the last epoch was written.
    pub fn positions(&self) -> Vec<Position> {
        let committer = self.inner.committer.lock();
        let positions = committer.state.positions.iter();
        positions.map(|(source, value)| Position { source: Arc::from(&**source), value: value.clone() }).collect()
    }

    /// The index at this point in time. What arrived a second ago is in it.
    pub fn view(&self) -> Arc<View> {
        self.inner.view(false)
    }

    /// The index at this point in time, with everything that arrived.
    pub fn refresh(&self) -> Arc<View> {
        self.inner.view(true)
    }

    /// Maps fields of a stream, which it makes where it is new. All or none.
    pub fn put_mapping(&self, stream: &str, fields: &[(String, Explicit)]) -> Result<(), String> {
        let stream = self.inner.stream(stream);
        for (path, explicit) in fields {
            stream.map(path, *explicit)?;
        }
        self.inner.intake.waiting.lock().version += 1;
        Ok(())
    }

    /// Makes what is held durable now, and waits for it.
    pub fn flush(&self) -> Result<(), IndexError> {
        let mut waiting = self.inner.intake.waiting.lock();
        waiting.flushes += 1;
        let mine = waiting.flushes;
        self.inner.intake.work.notify_one();
        while waiting.flushed < mine {
            if waiting.closed {
                return Err(IndexError::Closed);
            }
            if let Some(cause) = &waiting.failing {
                return Err(IndexError::NotDurable(cause.clone()));
            }
            self.inner.intake.over.wait(&mut waiting);
        }
        Ok(())
    }

    /// Makes what is held durable and ends the index's threads. Events that come later are not
    /// taken, those whose batches other outputs still hold are left to be read again.
    pub fn close(&self) {
        self.inner.intake.waiting.lock().closing = true;
        self.inner.intake.work.notify_all();
        self.inner.intake.over.notify_all();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the index panicked");
            }
        }
    }

    /// The index in numbers.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(inner: &Arc<Inner>) -> std::io::Result<Vec<JoinHandle<()>>> {
    let (send, receive) = crossbeam::channel::bounded(1);
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let (epochs, merges) = (inner.clone(), inner.clone());
    let merges = thread("index-merge").spawn(move || writer::run_merges(&merges, &receive))?;
    // The merge thread ends with the sender.
    let epochs = thread("index-epoch").spawn(move || {
        let run = std::panic::AssertUnwindSafe(|| writer::run(&epochs, &send));
        let panicked = std::panic::catch_unwind(run).is_err();
        // Nobody may wait for ever for a thread that is gone; inputs will read its events again.
        let mut waiting = epochs.intake.waiting.lock();
        (waiting.closing, waiting.closed) = (true, true);
        epochs.intake.over.notify_all();
        if panicked {
            tracing::error!("the index takes no more events: its epoch thread panicked");
        }
    })?;
    Ok(vec![epochs, merges])
}

impl Waiting {
    fn push(&mut self, held: Arc<Held>) {
        self.bytes += held.bytes;
        self.held.push(held);
        self.oldest.get_or_insert_with(Instant::now);
        self.stuck = false;
        self.version += 1;
    }
}

impl Inner {
    /// The stream of that name, which it makes where it is new.
    fn stream(&self, name: &str) -> Arc<Stream> {
        if let Some(stream) = self.streams.read().get(name) {
            return stream.clone();
        }
        let mut streams = self.streams.write();
        let make = || Arc::new(Stream::new(name.into(), self.text_fields.clone()));
        streams.entry(name.into()).or_insert_with(make).clone()
    }

    /// Waits until there is room for more; an error once the index closes.
    fn admit(&self, bytes: usize) -> Result<MutexGuard<'_, Waiting>, IndexError> {
        let mut waiting = self.intake.waiting.lock();
        loop {
            if waiting.closing {
                return Err(IndexError::Closed);
            }
            // A batch larger than the bound comes in alone.
            let room = waiting.bytes == 0 || waiting.bytes + bytes <= self.settings.pending_bytes_max;
            if room || (waiting.stuck && waiting.taken.is_empty() && waiting.failing.is_none()) {
                return Ok(waiting);
            }
            self.intake.work.notify_one();
            self.intake.over.wait_for(&mut waiting, std::time::Duration::from_millis(100));
        }
    }

    fn mappings(&self) -> BTreeMap<Arc<str>, Arc<Mapping>> {
        self.streams.read().iter().map(|(name, stream)| (name.clone(), stream.mapping())).collect()
    }

    fn has_new_fields(&self) -> bool {
        let streams = self.streams.read();
        streams.values().any(|stream| stream.mapping().fields().len() > *stream.durable_fields.lock())
    }

    fn show_all(&self) {
        let mut shown = self.shown.lock();
        let keys: Vec<_> = self.committer.lock().state.partitions.keys().cloned().collect();
        for key in keys {
            if let Some(partition) = writer::open_partition(self, &key) {
                shown.durable.insert(key, partition);
            }
        }
        shown.compose(self.mappings(), 0);
    }

    fn view(&self, insist: bool) -> Arc<View> {
        let mut shown = self.shown.lock();
        let (version, held) = {
            let waiting = self.intake.waiting.lock();
            if waiting.version == shown.version || (!insist && shown.fresh_enough()) {
                return shown.current.clone();
            }
            (waiting.version, waiting.taken.iter().chain(&waiting.held).cloned().collect())
        };
        if let Err(error) = shown.show(held, self.settings.threads) {
            tracing::warn!(%error, "cannot show rows that wait");
        }
        shown.compose(self.mappings(), version);
        shown.current.clone()
    }

    /// Whether a durable document of the stream has the id.
    fn has_durable_id(&self, stream: &Arc<str>, id: &str) -> bool {
        let view = self.shown.lock().current.clone();
        let of_stream = view.partitions.iter().filter(|partition| partition.stream == *stream);
        of_stream.filter_map(|partition| partition.searcher().ok()).any(|searcher| {
            searcher.segment_readers().iter().any(|reader| {
                let column = reader.fast_fields().str("_id").ok().flatten();
                column.is_some_and(|column| column.dictionary().term_ord(id).ok().flatten().is_some())
            })
        })
    }

    fn stats(&self) -> Stats {
        let mut streams: BTreeMap<Arc<str>, StreamStats> = BTreeMap::new();
        for (name, stream) in &*self.streams.read() {
            let stats = streams.entry(name.clone()).or_default();
            stats.fields = stream.mapping().fields().len() as u64;
            stats.unmapped = stream.unmapped.load(Ordering::Relaxed);
        }
        for (key, partition) in &self.shown.lock().durable {
            let stats = streams.entry(key.stream.clone()).or_default();
            stats.docs += partition.docs;
            stats.docs_by_tier[key.tier as usize] += partition.docs;
            stats.bytes += partition.bytes;
            stats.partitions += 1;
            stats.segments += partition.segments.0.len() as u64;
        }
        let waiting = self.intake.waiting.lock();
        let counters = &self.counters;
        let pending = waiting.held.iter().chain(&waiting.taken);
        Stats {
            streams,
            epochs: counters.epochs.load(Ordering::Relaxed),
            syncs: self.disk.syncs(),
            epoch_syncs: counters.epoch_syncs.load(Ordering::Relaxed),
            merges: counters.merges.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
            failures: counters.failures.load(Ordering::Relaxed),
            failing: waiting.failing.clone(),
            arrived: counters.arrived.load(Ordering::Relaxed),
            pending_events: pending.map(|held| held.events.len() as u64).sum(),
            pending_bytes: waiting.bytes as u64,
        }
    }
}

/// The id of a document to which no client gave one, made of its `_seq`.
pub fn document_id(seq: u64) -> String {
    format!("{seq:016x}")
}

/// The `_seq` of a document with a made id, if it is one.
pub fn seq_of_id(id: &str) -> Option<u64> {
    let is_hex = id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u64::from_str_radix(id, 16).ok())?
}

#[cfg(test)]
mod tests;
