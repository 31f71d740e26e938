//! A commit is one epoch over all partitions: new segments, merges, drops, mappings and source
//! positions become durable in one step.
//!
//! ```text
//!   segments of all partitions ──► one pack ──► sync ──► sync the folder
//!                                                            │
//!   what changed + positions  ─────────────► one record ──► sync ──► acknowledge
//! ```
//!
//! Three syncs, however many partitions (and four more when a new manifest is begun).
//!
//! **Crash argument.** Before the record is whole on the disk the manifest says what it said
//! before: the pack is an orphan, its events were acknowledged to nobody, and the inputs go on
//! from the positions of the record before: nothing is lost, nothing doubled. After it, segments
//! and positions are both there. There is no moment in between, so it does not matter to which
//! partition a replayed event goes.
//!
//! **When the disk refuses.** A pack that could not be written is removed and written again under
//! another name. Once it is durable it is kept as it is and only the record is tried again
//! (see `manifest` for why that can't double it). Whoever called keeps rows and positions until
//! the commit succeeds.
//!
//! A file goes when no record names it any more and no reader holds it. At start every file that
//! the manifest does not name is removed.

use super::IndexError;
use super::directory::{PackFile, Segments};
use super::disk::Disk;
use super::manifest::{self, Added, Key, Manifest, Record, SegmentRecord, State};
use super::merge::{Merged, Output};
use super::pack;
use super::segment::Built;
use super::stream::Stream;
use super::tier::Day;
use crate::pipeline::Position;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;

/// What one commit makes durable.
#[derive(Default)]
pub(super) struct Epoch {
    pub built: Vec<(Key, Built)>,
    pub merged: Vec<Merged>,
    pub dropped: Vec<Key>,
    pub positions: Vec<Position>,
    /// The pack, once it is durable: the records of `built`, then of the merges in memory.
    pub packed: Option<Vec<SegmentRecord>>,
}

impl Epoch {
    /// Whether there is nothing to write, but for mappings.
    pub fn is_empty(&self) -> bool {
        self.built.is_empty() && self.merged.is_empty() && self.dropped.is_empty() && self.positions.is_empty()
    }
}

/// Writes epochs, one after the other.
pub(super) struct Committer {
    disk: Arc<dyn Disk>,
    manifest: Manifest,
    pub state: State,
    packs: HashMap<String, Arc<PackFile>>,
    next_file: u64,
}

impl Committer {
    /// Opens what is on the disk and removes what the manifest does not name.
    pub fn open(disk: Arc<dyn Disk>) -> Result<Committer, IndexError> {
        let (manifest, state) = Manifest::open(disk.clone())?;
        let names: HashSet<String> =
            disk.list().map_err(|cause| IndexError::Io("list the index folder", cause))?.into_iter().collect();
        let wanted: HashSet<&str> = state.files().collect();
        if let Some(missing) = wanted.iter().find(|name| !names.contains(**name)) {
            let cause = "the manifest names it but it isn't there".to_owned();
            return Err(IndexError::Corrupt { file: missing.to_string(), cause });
        }
        for name in &names {
            let orphan = pack::is_data(name) && !wanted.contains(name.as_str())
                || manifest::is_manifest(name) && !manifest.is_current(name);
            if orphan {
                // It costs room, not truth.
                let _stays = disk.remove(name);
            }
        }
        let open = |name: &&str| (name.to_string(), PackFile::new(disk.clone(), name.to_string()));
        let packs = wanted.iter().map(open).collect();
        let next_file = state.next_file.max(1);
        Ok(Committer { disk, manifest, state, packs, next_file })
    }

    /// Makes an epoch durable; gives the partitions that changed. After an error the same epoch
    /// may be tried again.
    pub fn commit(
        &mut self,
        epoch: &mut Epoch,
        streams: &[Arc<Stream>],
        next_seq: u64,
        today: Day,
    ) -> io::Result<BTreeSet<Key>> {
        self.discard_stale(epoch);
        if epoch.packed.is_none() {
            epoch.packed = Some(self.write_pack(epoch)?);
        }
        let mut record = Record {
            epoch: self.state.epoch + 1,
            next_seq,
            next_file: self.next_file,
            dropped: epoch.dropped.clone(),
            positions: epoch.positions.iter().map(|p| (Box::from(&*p.source), p.value.clone())).collect(),
            ..Record::default()
        };
        self.fill(&mut record, epoch, today);
        let mut lens = Vec::new();
        for stream in streams {
            let (mapping, durable) = (stream.mapping(), *stream.durable_fields.lock());
            if mapping.fields().len() > durable {
                record.fields.push((Box::from(&*stream.name), mapping.records(durable)));
                lens.push((stream, mapping.fields().len()));
            }
        }
        self.manifest.append(&record, &self.state)?;
        self.state.apply(&record).map_err(|cause| io::Error::other(format!("BUG: {cause}")))?;
        lens.into_iter().for_each(|(stream, len)| *stream.durable_fields.lock() = len);
        self.settle_packs();
        let added = record.added.iter().map(|added| added.key.clone());
        Ok(added.chain(record.removed.iter().map(|r| r.0.clone())).chain(record.dropped).collect())
    }

    /// Merges of segments that were dropped meanwhile are dropped too.
    fn discard_stale(&self, epoch: &mut Epoch) {
        epoch.dropped.retain(|key| self.state.partitions.contains_key(key));
        let dropped = std::mem::take(&mut epoch.dropped);
        epoch.merged.retain(|merged| {
            let partition = self.state.partitions.get(&merged.key).filter(|_| !dropped.contains(&merged.key));
            let has = |id: &String| partition.is_some_and(|p| p.segments.iter().any(|segment| segment.id == *id));
            // A pack that names a merge's place among its segments must not change any more.
            epoch.packed.is_some() || merged.inputs.iter().all(has)
        });
        epoch.dropped = dropped;
    }

    fn write_pack(&mut self, epoch: &Epoch) -> io::Result<Vec<SegmentRecord>> {
        let merged = epoch.merged.iter().filter_map(|merged| match &merged.output {
            Output::Memory(built) => Some(built),
            Output::Files(_) => None,
        });
        let mut segments = epoch.built.iter().map(|(_, built)| built).chain(merged).peekable();
        if segments.peek().is_none() {
            return Ok(Vec::new());
        }
        let name = pack::name_of(self.next_file);
        self.next_file += 1;
        pack::write(&*self.disk, &name, segments).inspect_err(|_| {
            // A full disk needs the room; nothing names the file.
            let _orphan = self.disk.remove(&name);
        })
    }

    fn fill(&self, record: &mut Record, epoch: &Epoch, today: Day) {
        let mut packed = epoch.packed.iter().flatten().cloned();
        for (key, _) in &epoch.built {
            let Some(segment) = packed.next() else { return };
            match record.added.iter_mut().find(|added| added.key == *key) {
                Some(added) => added.segments.push(segment),
                None => record.added.push(Added { key: key.clone(), segments: vec![segment], written: today }),
            }
        }
        for merged in &epoch.merged {
            let segment = match &merged.output {
                Output::Memory(_) => packed.next(),
                Output::Files(segment) => Some(segment.clone()),
            };
            // A merge is no write: the partition keeps its day.
            let written = self.state.partitions.get(&merged.key).map_or(today, |partition| partition.written);
            record.removed.push((merged.key.clone(), merged.inputs.clone()));
            record.added.push(Added { key: merged.key.clone(), segments: segment.into_iter().collect(), written });
        }
    }

    /// Opens the packs that are new, lets go of those that nothing names any more.
    fn settle_packs(&mut self) {
        let wanted: HashSet<String> = self.state.files().map(str::to_owned).collect();
        self.packs.retain(|name, pack| {
            let keep = wanted.contains(name);
            if !keep {
                pack.unwant();
            }
            keep
        });
        for name in wanted {
            let disk = &self.disk;
            self.packs.entry(name.clone()).or_insert_with(|| PackFile::new(disk.clone(), name));
        }
    }

    /// Where the segments of a partition lie.
    pub fn segments(&self, segments: &[SegmentRecord]) -> Result<Segments, IndexError> {
        let places = segments.iter().map(|segment| pack::places(segment, |name| self.packs.get(name).cloned()));
        Ok(Segments(places.collect::<Result<_, _>>()?))
    }
}
