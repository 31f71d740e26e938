//! The manifest: which segments exist, where they lie, the mappings, and how far the inputs have
//! come. What it does not name does not exist.
//!
//! ```text
//! manifest-0000000000000007        only the highest number counts
//!   "LBMANIF1"                     8 bytes
//!   record 0                       everything, as it was when the file was begun
//!   record 1…                      what each epoch changed
//! record
//!   length u32 LE │ crc32 u32 LE │ JSON
//! ```
//!
//! **Crash argument.** An epoch is durable when its record is: the record is appended and synced
//! after the pack that it names (`epoch`), and a record is whole or, by its checksum, not there.
//! Records are synced one by one, so only the last append can be torn; at open the file is cut
//! where the first record that is not whole begins. A new file is written under another name,
//! synced, renamed, and the folder synced before the old file goes: at any moment the highest
//! number is a whole file whose state is at least the last acknowledged one.
//!
//! When an append fails nobody can say whether the record will be found after a crash. Then the
//! file is given up: the next attempt begins a new one without it. Should the old file come back
//! instead, with the record, that is as consistent: segments and positions are in one record.

use super::IndexError;
use super::disk::{Disk, DiskFile};
use super::mapping::{FieldRecord, Mapping};
use super::tier::{Day, Tier};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"LBMANIF1";
const PREFIX: &str = "manifest-";
/// Once changes are this many bytes, and four times the state itself, a new file is begun.
const CHANGES_BYTES_MAX: u64 = 1 << 20;

/// Names a partition; ordered by stream, then day.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Key {
    #[serde(with = "shared_text")]
    pub stream: Arc<str>,
    #[serde(with = "day_number")]
    pub day: Day,
    #[serde(with = "tier_name")]
    pub tier: Tier,
}

/// A segment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct SegmentRecord {
    pub id: String,
    pub docs: u32,
    pub min_time: i64,
    pub max_time: i64,
    /// Extension, file, offset, length.
    pub files: Vec<(String, String, u64, u64)>,
}

impl SegmentRecord {
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.3).sum()
    }
}

/// New segments of a partition, and the day on which they were written.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Added {
    pub key: Key,
    pub segments: Vec<SegmentRecord>,
    #[serde(with = "day_number")]
    pub written: Day,
}

/// One change, or everything.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub epoch: u64,
    pub next_seq: u64,
    pub next_file: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(Box<str>, Vec<FieldRecord>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Added>,
    /// Segments that a merge replaced: ids by partition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<(Key, Vec<String>)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Key>,
    /// Source and value; an empty value forgets the source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<(Box<str>, Box<str>)>,
}

/// A partition in the state.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct PartitionState {
    pub segments: Vec<SegmentRecord>,
    pub written: Day,
}

/// What the manifest says.
#[derive(Clone, Default, Debug)]
pub(super) struct State {
    pub epoch: u64,
    pub next_seq: u64,
    pub next_file: u64,
    pub streams: BTreeMap<Box<str>, Mapping>,
    pub partitions: BTreeMap<Key, PartitionState>,
    pub positions: BTreeMap<Box<str>, Box<str>>,
}

impl State {
    /// Applies a record; an error says what does not fit.
    pub fn apply(&mut self, record: &Record) -> Result<(), String> {
        (self.epoch, self.next_seq, self.next_file) = (record.epoch, record.next_seq, record.next_file);
        for (stream, fields) in &record.fields {
            let mapping = self.streams.entry(stream.clone()).or_default();
            for field in fields {
                mapping.restore(field).ok_or_else(|| format!("field `{}` of `{stream}`", field.path))?;
            }
        }
        for (key, ids) in &record.removed {
            let partition = self.partitions.get_mut(key).ok_or_else(|| format!("segments of no partition {key:?}"))?;
            partition.segments.retain(|segment| !ids.contains(&segment.id));
        }
        for added in &record.added {
            let empty = || PartitionState { segments: Vec::new(), written: added.written };
            let partition = self.partitions.entry(added.key.clone()).or_insert_with(empty);
            partition.segments.extend(added.segments.iter().cloned());
            partition.written = partition.written.max(added.written);
        }
        for key in &record.dropped {
            self.partitions.remove(key);
        }
        for (source, value) in &record.positions {
            match value.is_empty() {
                true => self.positions.remove(source),
                false => self.positions.insert(source.clone(), value.clone()),
            };
        }
        Ok(())
    }

    /// The record that makes this state of nothing.
    pub fn snapshot(&self) -> Record {
        let added = |(key, partition): (&Key, &PartitionState)| Added {
            key: key.clone(),
            segments: partition.segments.clone(),
            written: partition.written,
        };
        Record {
            epoch: self.epoch,
            next_seq: self.next_seq,
            next_file: self.next_file,
            fields: self.streams.iter().map(|(name, mapping)| (name.clone(), mapping.records(0))).collect(),
            added: self.partitions.iter().map(added).collect(),
            positions: self.positions.iter().map(|(s, v)| (s.clone(), v.clone())).collect(),
            ..Record::default()
        }
    }

    /// Every file that a segment lies in.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let segments = self.partitions.values().flat_map(|partition| &partition.segments);
        segments.flat_map(|segment| segment.files.iter().map(|file| file.1.as_str()))
    }
}

/// The manifest, open for writing.
pub(super) struct Manifest {
    disk: Arc<dyn Disk>,
    number: u64,
    file: Option<Box<dyn DiskFile>>,
    /// Bytes of the first record and of the changes behind it.
    base_bytes: u64,
    change_bytes: u64,
}

impl Manifest {
    /// Reads the newest manifest, or begins the first one.
    pub fn open(disk: Arc<dyn Disk>) -> Result<(Manifest, State), IndexError> {
        let names = disk.list().map_err(|cause| IndexError::Io("list the index folder", cause))?;
        let newest = names.iter().filter_map(|name| number_of(name)).max();
        let mut manifest = Manifest { disk, number: newest.unwrap_or(0), file: None, base_bytes: 0, change_bytes: 0 };
        let Some(number) = newest else {
            let state = State { next_file: 1, ..State::default() };
            manifest.begin(&state).map_err(|cause| IndexError::Io("begin the manifest", cause))?;
            return Ok((manifest, state));
        };
        let state = manifest.load(&name_of(number))?;
        Ok((manifest, state))
    }

    fn load(&mut self, name: &str) -> Result<State, IndexError> {
        let read = |cause| IndexError::Io("read the manifest", cause);
        let corrupt = |cause: String| IndexError::Corrupt { file: name.to_owned(), cause };
        let bytes = self.disk.map(name).map_err(read)?;
        if bytes.get(..8) != Some(MAGIC) {
            return Err(corrupt("it does not begin as a manifest".to_owned()));
        }
        let mut state = State::default();
        let mut at = 8;
        while let Some((record, len)) = read_record(&bytes[at..]) {
            let record: Record = serde_json::from_slice(record).map_err(|cause| corrupt(cause.to_string()))?;
            if at > 8 && record.epoch != state.epoch + 1 {
                return Err(corrupt(format!("epoch {} follows {}", record.epoch, state.epoch)));
            }
            state.apply(&record).map_err(corrupt)?;
            match at {
                8 => self.base_bytes = len as u64,
                _ => self.change_bytes += len as u64,
            }
            at += len;
        }
        if at == 8 {
            return Err(corrupt("its first record is not whole".to_owned()));
        }
        if at < bytes.len() {
            tracing::warn!(file = name, bytes = bytes.len() - at, "cutting a torn record off the manifest");
            drop(bytes);
            self.disk.truncate(name, at as u64).map_err(|cause| IndexError::Io("cut the manifest", cause))?;
        }
        self.file = Some(self.disk.append(name).map_err(read)?);
        Ok(state)
    }

    /// Makes a record durable that changes `state` (which does not have it yet).
    pub fn append(&mut self, record: &Record, state: &State) -> io::Result<()> {
        if self.file.is_none() || self.is_long() {
            self.begin(state)?;
        }
        let bytes = write_record(record)?;
        // Taken out: after an error the file is not used again.
        let mut file = self.file.take().ok_or(io::ErrorKind::NotFound)?;
        file.write_all(&bytes)?;
        file.sync()?;
        self.file = Some(file);
        self.change_bytes += bytes.len() as u64;
        Ok(())
    }

    fn is_long(&self) -> bool {
        self.change_bytes > CHANGES_BYTES_MAX.max(4 * self.base_bytes)
    }

    /// Begins a new file with a state.
    fn begin(&mut self, state: &State) -> io::Result<()> {
        let number = self.number + 1;
        let (name, temporary) = (name_of(number), format!("{}.tmp", name_of(number)));
        // Left over where an earlier attempt failed.
        let _absent = self.disk.remove(&temporary);
        let record = write_record(&state.snapshot())?;
        let mut file = self.disk.create(&temporary)?;
        file.write_all(MAGIC)?;
        file.write_all(&record)?;
        file.sync()?;
        self.disk.rename(&temporary, &name)?;
        self.disk.sync_names()?;
        if self.number > 0 {
            // What stays is never read again, and collected at the next start.
            let _orphan = self.disk.remove(&name_of(self.number));
        }
        (self.number, self.file) = (number, Some(file));
        (self.base_bytes, self.change_bytes) = (record.len() as u64, 0);
        Ok(())
    }

    /// Whether a file is the manifest in use.
    pub fn is_current(&self, name: &str) -> bool {
        name == name_of(self.number)
    }
}

fn name_of(number: u64) -> String {
    format!("{PREFIX}{number:016x}")
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

/// Whether a file's name says that it is a manifest, whole or not.
pub(super) fn is_manifest(name: &str) -> bool {
    name.starts_with(PREFIX)
}

fn write_record(record: &Record) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 8];
    serde_json::to_writer(&mut bytes, record)?;
    let len = u32::try_from(bytes.len() - 8).map_err(io::Error::other)?;
    let crc = crc32fast::hash(&bytes[8..]);
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

/// The payload of the record at the start, and the length of all of it; `None` if not whole.
fn read_record(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let len = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let payload = bytes.get(8..8usize.checked_add(len)?)?;
    (len > 0 && crc32fast::hash(payload) == crc).then_some((payload, 8 + len))
}

mod shared_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub fn serialize<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
        str::serialize(text, to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

mod day_number {
    use super::Day;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(day: &Day, to: S) -> Result<S::Ok, S::Error> {
        day.0.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Day, D::Error> {
        i32::deserialize(from).map(Day)
    }
}

mod tier_name {
    use super::Tier;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(tier: &Tier, to: S) -> Result<S::Ok, S::Error> {
        tier.name().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tier, D::Error> {
        let name = String::deserialize(from)?;
        Tier::from_name(&name).ok_or_else(|| D::Error::custom(format!("unknown tier `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::losing::LosingDisk;
    use super::*;
    use proptest::prelude::*;

    fn key(stream: &str, day: i32) -> Key {
        Key { stream: stream.into(), day: Day(day), tier: Tier::Warn }
    }

    fn record(epoch: u64) -> Record {
        let segment = |id: u64| SegmentRecord {
            id: format!("{id:032x}"),
            docs: 3,
            min_time: -5,
            max_time: 7,
            files: vec![("idx".into(), format!("p{id:012x}"), 8, 100)],
        };
        let added = Added { key: key("s", epoch as i32 % 3), segments: vec![segment(epoch)], written: Day(9) };
        let mut fields = Vec::new();
        if epoch == 1 {
            fields.push(("s".into(), Mapping::new(&[]).records(0)));
        }
        Record {
            epoch,
            next_seq: epoch * 10,
            next_file: epoch + 1,
            fields,
            added: vec![added],
            positions: vec![("a/b".into(), epoch.to_string().into())],
            ..Record::default()
        }
    }

    fn same(a: &State, b: &State) -> bool {
        a.snapshot() == b.snapshot()
    }

    #[test]
    fn a_state_comes_back() {
        let disk: Arc<dyn Disk> = Arc::new(LosingDisk::default());
        let (mut manifest, mut state) = Manifest::open(disk.clone()).unwrap();
        for epoch in 1..=9 {
            let record = record(epoch);
            manifest.append(&record, &state).unwrap();
            state.apply(&record).unwrap();
        }
        let merged = Record {
            epoch: 10,
            removed: vec![(key("s", 0), vec![format!("{:032x}", 3)])],
            dropped: vec![key("s", 1)],
            positions: vec![("a/b".into(), "".into())],
            ..record(10)
        };
        manifest.append(&merged, &state).unwrap();
        state.apply(&merged).unwrap();
        drop(manifest);
        let (mut manifest, again) = Manifest::open(disk.clone()).unwrap();
        assert!(same(&again, &state));
        assert!(again.positions.is_empty());
        assert_eq!(again.partitions[&key("s", 0)].segments.len(), 2);
        manifest.begin(&again).unwrap();
        assert_eq!(disk.list().unwrap(), [name_of(2)]);
        assert!(same(&Manifest::open(disk).unwrap().1, &state));
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_cut() {
        let disk = LosingDisk::default();
        let (mut manifest, mut state) = Manifest::open(Arc::new(disk.clone())).unwrap();
        manifest.append(&record(1), &state).unwrap();
        state.apply(&record(1)).unwrap();
        let whole = disk.map(&name_of(1)).unwrap();
        let mut last = write_record(&record(2)).unwrap();
        for garbage in [false, true] {
            for len in 0..last.len() {
                let disk = LosingDisk::default();
                let mut file = disk.create(&name_of(1)).unwrap();
                file.write_all(&whole).unwrap();
                file.write_all(&last[..len]).unwrap();
                if garbage {
                    file.write_all(&[0; 40]).unwrap();
                }
                let (mut manifest, found) = Manifest::open(Arc::new(disk.clone())).unwrap();
                assert!(same(&found, &state), "cut at {len}");
                manifest.append(&record(2), &found).unwrap();
                let (_, found) = Manifest::open(Arc::new(disk)).unwrap();
                assert_eq!(found.epoch, 2);
            }
            last[20] ^= 1;
        }
    }

    #[test]
    fn after_a_failed_append_a_new_file_is_begun() {
        let disk = LosingDisk::default();
        let (mut manifest, mut state) = Manifest::open(Arc::new(disk.clone())).unwrap();
        disk.set_full(true);
        assert!(manifest.append(&record(1), &state).is_err());
        assert!(manifest.append(&record(1), &state).is_err());
        disk.set_full(false);
        manifest.append(&record(1), &state).unwrap();
        state.apply(&record(1)).unwrap();
        assert!(same(&Manifest::open(Arc::new(disk)).unwrap().1, &state));
    }

    proptest! {
        #[test]
        fn any_bytes_open_or_give_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let disk = LosingDisk::default();
            let mut file = disk.create(&name_of(1)).unwrap();
            file.write_all(MAGIC).unwrap();
            file.write_all(&bytes).unwrap();
            prop_assert!(Manifest::open(Arc::new(disk)).is_err());
        }
    }
}
