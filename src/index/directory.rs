//! tantivy's view of segments that lie in slices of pack files or in memory.
//!
//! A read-only `Directory`: its `meta.json` is made up here from the manifest's segment list, and
//! nothing of what tantivy would write to manage files of its own ever reaches a disk.

use super::IndexError;
use super::disk::Disk;
use super::mapping::Mapping;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{DirectoryLock, FileHandle, Lock, OwnedBytes, WatchCallback, WatchHandle, WritePtr};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{Directory, ReloadPolicy, Searcher};

/// Compressed blocks of stored documents that a reader keeps open.
const STORE_CACHE_BLOCKS: usize = 16;

/// The settings of all our segments; why these numbers: benches/README.md.
pub(super) fn tantivy_settings() -> tantivy::IndexSettings {
    tantivy::IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(STORE_LEVEL) }),
        docstore_blocksize: STORE_BLOCK_BYTES,
        docstore_compress_dedicated_thread: false,
        ..tantivy::IndexSettings::default()
    }
}

const STORE_LEVEL: i32 = 1;
const STORE_BLOCK_BYTES: usize = 64 << 10;

/// A pack file, mapped when first read, and removed with its last user once nobody needs it.
pub(super) struct PackFile {
    name: String,
    disk: Arc<dyn Disk>,
    bytes: OnceLock<OwnedBytes>,
    unwanted: AtomicBool,
}

impl PackFile {
    pub(super) fn new(disk: Arc<dyn Disk>, name: String) -> Arc<PackFile> {
        Arc::new(PackFile { name, disk, bytes: OnceLock::new(), unwanted: AtomicBool::new(false) })
    }

    /// The manifest does not name the file any more, durably: it goes with its last reader.
    pub(super) fn unwant(&self) {
        self.unwanted.store(true, Ordering::Release);
    }

    fn slice(&self, offset: u64, len: u64) -> io::Result<OwnedBytes> {
        let bytes = match self.bytes.get() {
            Some(bytes) => bytes,
            None => {
                let mapped = self.disk.map(&self.name)?;
                self.bytes.get_or_init(|| mapped)
            }
        };
        let range = offset as usize..offset.saturating_add(len) as usize;
        if range.end > bytes.len() {
            let text = format!("`{}` ends at {}, expected {}", self.name, bytes.len(), range.end);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(bytes.slice(range))
    }
}

impl Drop for PackFile {
    fn drop(&mut self) {
        if self.unwanted.load(Ordering::Acquire) {
            // What can't be removed now is an orphan, collected at the next start.
            let _orphan = self.disk.remove(&self.name);
        }
    }
}

impl fmt::Debug for PackFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Where one of a segment's files lies.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In a pack: offset and length.
    Packed(Arc<PackFile>, u64, u64),
    /// In memory.
    Memory(OwnedBytes),
}

impl Place {
    pub(super) fn bytes(&self) -> io::Result<OwnedBytes> {
        match self {
            Place::Packed(pack, offset, len) => pack.slice(*offset, *len),
            Place::Memory(bytes) => Ok(bytes.clone()),
        }
    }
}

/// A segment: its id, its size, and where its files lie, by extension.
#[derive(Clone, Debug)]
pub(super) struct SegmentPlaces {
    /// 32 hex digits.
    pub id: String,
    pub docs: u32,
    pub files: Vec<(String, Place)>,
}

/// The segments of a partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments(pub Vec<SegmentPlaces>);

impl Segments {
    /// Opens the segments as one tantivy index.
    pub(super) fn open_index(&self, mapping: &Mapping) -> Result<tantivy::Index, IndexError> {
        let mut files = HashMap::new();
        for segment in &self.0 {
            for (ext, place) in &segment.files {
                let bytes = place.bytes().map_err(|cause| IndexError::Io("read a segment", cause))?;
                files.insert(PathBuf::from(format!("{}.{ext}", segment.id)), bytes);
            }
        }
        let meta = serde_json::json!({
            "index_settings": tantivy_settings(),
            "segments": self.0.iter().map(|segment| serde_json::json!({
                "segment_id": hyphenated(&segment.id), "max_doc": segment.docs, "deletes": null,
            })).collect::<Vec<_>>(),
            "schema": mapping.schema(),
            "opstamp": 0,
        });
        let directory = ReadDirectory(Arc::new(Files { files, meta: meta.to_string().into_bytes() }));
        Ok(tantivy::Index::open(directory)?)
    }

    /// Opens the segments for searching. Starts no thread.
    pub(super) fn open(&self, mapping: &Mapping) -> Result<Searcher, IndexError> {
        let index = self.open_index(mapping)?;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(STORE_CACHE_BLOCKS)
            .try_into()?;
        Ok(reader.searcher())
    }
}

fn hyphenated(id: &str) -> String {
    match id.len() {
        32 => format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]),
        _ => id.to_owned(),
    }
}

struct Files {
    files: HashMap<PathBuf, OwnedBytes>,
    meta: Vec<u8>,
}

#[derive(Clone)]
struct ReadDirectory(Arc<Files>);

impl fmt::Debug for ReadDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadDirectory({} files)", self.0.files.len())
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "segments are written by the index alone")
}

impl Directory for ReadDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        match self.0.files.get(path) {
            Some(bytes) => Ok(Arc::new(bytes.clone())),
            None => Err(OpenReadError::FileDoesNotExist(path.to_owned())),
        }
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.0.files.contains_key(path) || path == Path::new("meta.json"))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        match path == Path::new("meta.json") {
            true => Ok(self.0.meta.clone()),
            false => Err(OpenReadError::FileDoesNotExist(path.to_owned())),
        }
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(read_only()), filepath: path.to_owned() })
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(read_only(), path.to_owned()))
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        // The files never change, so there is nothing to lock.
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
