//! Merges: many small segments of a partition become one. One thread, one merge at a time, never
//! across partitions; what comes out takes effect with the next epoch.

use super::IndexError;
use super::commit::Committer;
use super::directory::{Segments, tantivy_settings};
use super::disk::{Disk, DiskFile};
use super::manifest::{Key, SegmentRecord};
use super::mapping::Mapping;
use super::segment::{Built, EXTENSIONS, MemoryDirectory};
use std::collections::HashSet;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, TerminatingWrite, WatchCallback, WatchHandle, WritePtr,
};
use tantivy::indexer::merge_filtered_segments;

/// So many segments of about the same size are merged.
const SEGMENTS_MIN: usize = 8;
/// At most so many at once.
const SEGMENTS_MAX: usize = 32;
/// Segments of sizes within this factor are about the same.
const FACTOR: f64 = 8.0;
/// Segments smaller than this are all about the same.
const DOCS_MIN: f64 = 4_096.0;
/// A segment of this many bytes is not merged any more.
const BYTES_MAX: u64 = 1 << 30;
/// What comes out of more bytes than this goes to files of its own, else to the next pack.
const MEMORY_BYTES_MAX: u64 = 32 << 20;

/// A merge to do.
pub(super) struct Job {
    key: Key,
    records: Vec<SegmentRecord>,
    segments: Segments,
    mapping: Arc<Mapping>,
}

/// A merge that was done.
pub(super) struct Merged {
    pub key: Key,
    /// The ids of the segments that it replaces.
    pub inputs: Vec<String>,
    pub output: Output,
}

impl Merged {
    /// Bytes of memory that it holds until it takes effect.
    pub fn memory(&self) -> u64 {
        match &self.output {
            Output::Memory(built) => built.bytes(),
            Output::Files(_) => 0,
        }
    }
}

/// Where the merged segment is.
pub(super) enum Output {
    Memory(Built),
    /// In files of its own, durable.
    Files(SegmentRecord),
}

/// The most useful merge at present beside those that are `done` but not yet in effect; `mapping`
/// gives a stream's.
pub(super) fn choose(
    committer: &Committer,
    done: &[Merged],
    mapping: impl Fn(&str) -> Option<Arc<Mapping>>,
) -> Option<Job> {
    let done: HashSet<&str> = done.iter().flat_map(|merged| &merged.inputs).map(String::as_str).collect();
    let partitions = committer.state.partitions.iter();
    let candidates = partitions.filter_map(|(key, partition)| {
        let open = partition.segments.iter().filter(|segment| !done.contains(segment.id.as_str()));
        Some((key, candidate(open)?))
    });
    let (key, records) = candidates.max_by_key(|(_, segments)| segments.len())?;
    let segments = committer.segments(&records).ok()?;
    Some(Job { key: key.clone(), segments, records, mapping: mapping(&key.stream)? })
}

/// The segments of one partition that are worth a merge: the smallest size of which there are many.
fn candidate<'a>(segments: impl Iterator<Item = &'a SegmentRecord>) -> Option<Vec<SegmentRecord>> {
    let level = |segment: &SegmentRecord| (segment.docs as f64 / DOCS_MIN).max(1.0).log(FACTOR) as u32;
    let mut sorted: Vec<&SegmentRecord> = segments.filter(|segment| segment.bytes() < BYTES_MAX).collect();
    sorted.sort_by_key(|segment| segment.docs);
    let group = sorted.chunk_by(|a, b| level(a) == level(b)).find(|group| group.len() >= SEGMENTS_MIN)?;
    Some(group.iter().take(SEGMENTS_MAX).map(|segment| (*segment).clone()).collect())
}

/// Does a merge.
pub(super) fn run(job: Job, disk: &Arc<dyn Disk>) -> Result<Merged, IndexError> {
    let index = job.segments.open_index(&job.mapping)?;
    let segments = index.searchable_segments()?;
    let none = segments.iter().map(|_| None).collect();
    let bytes: u64 = job.records.iter().map(SegmentRecord::bytes).sum();
    let min_time = job.records.iter().map(|r| r.min_time).min().unwrap_or(i64::MAX);
    let max_time = job.records.iter().map(|r| r.max_time).max().unwrap_or(i64::MIN);
    let output = if bytes <= MEMORY_BYTES_MAX {
        let memory = MemoryDirectory::default();
        let (id, docs) = describe(&merge_filtered_segments(&segments, tantivy_settings(), none, memory.clone())?)?;
        let file = |ext: &&str| Ok((ext.to_string(), memory.take(&PathBuf::from(format!("{id}.{ext}")))?));
        let files = EXTENSIONS.iter().map(file).collect::<io::Result<_>>().map_err(failed)?;
        Output::Memory(Built { id, docs, min_time, max_time, files })
    } else {
        let directory = FilesDirectory(disk.clone());
        let (id, docs) = describe(&merge_filtered_segments(&segments, tantivy_settings(), none, directory)?)?;
        let file = |ext: &&str| {
            let name = format!("{id}.{ext}");
            let len = disk.map(&name)?.len() as u64;
            Ok((ext.to_string(), name, 0, len))
        };
        let files = EXTENSIONS.iter().map(file).collect::<io::Result<_>>().map_err(failed)?;
        disk.sync_names().map_err(failed)?;
        Output::Files(SegmentRecord { id, docs, min_time, max_time, files })
    };
    Ok(Merged { key: job.key, inputs: job.records.into_iter().map(|r| r.id).collect(), output })
}

fn describe(merged: &tantivy::Index) -> Result<(String, u32), IndexError> {
    let metas = merged.searchable_segment_metas()?;
    let meta = metas.first().ok_or_else(|| failed(io::Error::other("nothing came out")))?;
    Ok((meta.id().uuid_string(), meta.max_doc()))
}

fn failed(cause: io::Error) -> IndexError {
    IndexError::Io("merge segments", cause)
}

/// Lets tantivy write a merged segment to files of its own, each synced when it is finished.
/// What tantivy keeps beside them (`meta.json` …) is nobody's and goes nowhere.
#[derive(Clone)]
struct FilesDirectory(Arc<dyn Disk>);

struct SyncedFile(Box<dyn DiskFile>);

impl Write for SyncedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl TerminatingWrite for SyncedFile {
    fn terminate_ref(&mut self, _: AntiCallToken) -> io::Result<()> {
        self.0.sync()
    }
}

impl fmt::Debug for FilesDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FilesDirectory")
    }
}

fn name_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Directory for FilesDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        match self.0.map(&name_of(path)) {
            Ok(bytes) => Ok(Arc::new(bytes)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                Err(OpenReadError::FileDoesNotExist(path.to_owned()))
            }
            Err(cause) => Err(OpenReadError::wrap_io_error(cause, path.to_owned())),
        }
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.0.remove(&name_of(path)).map_err(|_| DeleteError::FileDoesNotExist(path.to_owned()))
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.0.map(&name_of(path)).is_ok())
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        match self.0.create(&name_of(path)) {
            Ok(file) => Ok(BufWriter::new(Box::new(SyncedFile(file)))),
            Err(cause) => Err(OpenWriteError::wrap_io_error(cause, path.to_owned())),
        }
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        Err(OpenReadError::FileDoesNotExist(path.to_owned()))
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_segments_of_a_size_are_merged() {
        let check = |docs: &[u32], want: usize| {
            let segment =
                |&docs: &u32| SegmentRecord { id: docs.to_string(), docs, min_time: 0, max_time: 0, files: Vec::new() };
            let segments: Vec<_> = docs.iter().map(segment).collect();
            assert_eq!(candidate(segments.iter()).map_or(0, |c| c.len()), want, "{docs:?}");
        };
        check(&[], 0);
        check(&[10; 7], 0);
        check(&[10; 8], 8);
        check(&[10; 100], 32);
        check(&[10, 4000, 10, 10, 100, 10, 1, 1, 1_000_000], 8);
        check(&[40_000, 50_000, 60_000, 70_000, 80_000, 90_000, 100_000, 1], 0);
        check(&[40_000, 50_000, 60_000, 70_000, 80_000, 90_000, 100_000, 110_000], 8);
    }
}
