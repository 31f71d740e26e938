//! A view: the whole index at one point in time, and how it follows what arrives.
//!
//! Durable rows are read from packs. Rows that wait are read from small segments in memory, built
//! when somebody looks, at most every second; an epoch writes those out as they are. A row changes
//! from one to the other in one step, under one lock: a view has it once, always.

use super::IndexError;
use super::build;
use super::directory::{Place, SegmentPlaces, Segments};
use super::intake::Held;
use super::manifest::Key;
use super::mapping::Mapping;
use super::partition::Partition;
use super::segment::Built;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The index at a point in time. Holding one keeps its documents readable, whatever is merged,
/// written or dropped meanwhile.
#[derive(Default)]
pub struct View {
    /// Every partition, by stream, day and tier.
    pub partitions: Vec<Arc<Partition>>,
    /// Every stream with its fields, also one without documents.
    pub streams: BTreeMap<Arc<str>, Arc<Mapping>>,
}

/// Rows that are read from memory.
pub(super) struct Chunk {
    pub held: Vec<Arc<Held>>,
    pub built: Vec<(Key, Built)>,
    partitions: Vec<Arc<Partition>>,
}

impl Chunk {
    /// Makes the rows of some deliveries readable.
    pub fn build(held: Vec<Arc<Held>>, threads: usize) -> Result<Chunk, IndexError> {
        let built = build::build(&held, threads)?;
        let stream = |key: &Key| held.iter().find(|held| held.stream.name == key.stream).map(|held| &held.stream);
        let partition = |(key, built): &(Key, Built)| {
            let mapping = stream(key).map(|stream| stream.mapping()).unwrap_or_default();
            let files = built.files.iter().map(|(ext, bytes)| (ext.clone(), Place::Memory(bytes.clone())));
            let places = SegmentPlaces { id: built.id.clone(), docs: built.docs, files: files.collect() };
            Arc::new(Partition {
                stream: key.stream.clone(),
                tier: key.tier,
                day: key.day,
                mapping,
                min_time: built.min_time,
                max_time: built.max_time,
                docs: built.docs as u64,
                bytes: built.bytes(),
                segments: Segments(vec![places]),
                searcher: Default::default(),
            })
        };
        let partitions = built.iter().map(partition).collect();
        held.iter().for_each(|held| held.shown.store(true, Ordering::Release));
        Ok(Chunk { held, built, partitions })
    }
}

/// How long a refresh is put off after the last one, as a multiple of what that one took.
const GAP_PER_COST: u32 = 10;
/// No refresh is put off longer.
const GAP_MAX: Duration = Duration::from_millis(900);
const GAP_MIN: Duration = Duration::from_millis(50);
/// More chunks than this are built again as one.
const CHUNKS_MAX: usize = 16;

/// The newest view and what it is made of.
#[derive(Default)]
pub(super) struct Shown {
    pub durable: BTreeMap<Key, Arc<Partition>>,
    pub chunks: Vec<Chunk>,
    pub current: Arc<View>,
    /// The intake's version that `current` shows.
    pub version: u64,
    refreshed: Option<(Instant, Duration)>,
}

impl Shown {
    /// Whether a search that does not insist gets the view as it is.
    pub fn fresh_enough(&self) -> bool {
        let Some((at, cost)) = self.refreshed else { return false };
        let crowd = 1 + self.chunks.len() as u32;
        at.elapsed() < (cost * GAP_PER_COST).max(GAP_MIN * crowd).min(GAP_MAX)
    }

    /// Shows waiting rows too; `held` are all that wait.
    pub fn show(&mut self, held: Vec<Arc<Held>>, threads: usize) -> Result<(), IndexError> {
        let begun = Instant::now();
        let mut hidden: Vec<Arc<Held>> =
            held.into_iter().filter(|held| !held.shown.load(Ordering::Acquire) && !held.is_durable()).collect();
        if !hidden.is_empty() {
            if self.chunks.len() >= CHUNKS_MAX {
                let mut all: Vec<Arc<Held>> = self.chunks.iter().flat_map(|chunk| chunk.held.iter().cloned()).collect();
                all.append(&mut hidden);
                self.chunks = vec![Chunk::build(all, threads)?];
            } else {
                self.chunks.push(Chunk::build(hidden, threads)?);
            }
        }
        self.refreshed = Some((Instant::now(), begun.elapsed()));
        Ok(())
    }

    /// Drops the chunks whose rows became durable; rows of others stay shown.
    pub fn settle(&mut self, threads: usize) {
        for chunk in std::mem::take(&mut self.chunks) {
            let open: Vec<Arc<Held>> = chunk.held.iter().filter(|held| !held.is_durable()).cloned().collect();
            if open.len() == chunk.held.len() {
                self.chunks.push(chunk);
            } else if !open.is_empty() {
                match Chunk::build(open.clone(), threads) {
                    Ok(chunk) => self.chunks.push(chunk),
                    Err(error) => {
                        tracing::warn!(%error, "cannot show rows that wait");
                        open.iter().for_each(|held| held.shown.store(false, Ordering::Release));
                    }
                }
            }
        }
    }

    /// Makes the view anew of its parts.
    pub fn compose(&mut self, streams: BTreeMap<Arc<str>, Arc<Mapping>>, version: u64) {
        let mut partitions: Vec<Arc<Partition>> = self.durable.values().cloned().collect();
        partitions.extend(self.chunks.iter().flat_map(|chunk| chunk.partitions.iter().cloned()));
        partitions.sort_by(|a, b| (&a.stream, a.day, a.tier).cmp(&(&b.stream, b.day, b.tier)));
        self.current = Arc::new(View { partitions, streams });
        self.version = version;
    }
}
