//! Which file is which: a file is its device and inode, and what its bytes say.
//!
//! Inodes are used again, and copies have new ones, so a position also holds two fingerprints of
//! bytes that were read: the head (up to [`HEAD_BYTES`]; it grows while the file is short, and never
//! covers bytes that were not read) and the tail (the last bytes before the position). A file goes
//! on at a position only if both are still true. That tells a file that was truncated and written
//! again from one that grew, and finds a file again that was copied before it was truncated.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes at the beginning of a file that identify it.
const HEAD_BYTES: u64 = 1024;
/// Bytes before a position that identify it.
const TAIL_BYTES: usize = 64;

/// Device and inode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Id {
    pub device: u64,
    pub inode: u64,
}

impl Id {
    pub fn of(meta: &Metadata) -> Id {
        Id { device: meta.dev(), inode: meta.ino() }
    }

    pub fn parse(text: &str) -> Option<Id> {
        let (device, inode) = text.split_once('-')?;
        Some(Id { device: device.parse().ok()?, inode: inode.parse().ok()? })
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.device, self.inode)
    }
}

/// The hash of the `len` bytes before `end`; of nothing where `len` is 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Print {
    pub end: u64,
    pub len: u64,
    pub hash: u64,
}

impl Print {
    /// Of the first bytes of a file of which `read` bytes were read.
    pub fn head(file: &File, read: u64) -> io::Result<Print> {
        Print::read(file, read.min(HEAD_BYTES), read.min(HEAD_BYTES))
    }

    /// Whether it can't grow any more.
    pub fn full(&self) -> bool {
        self.len >= HEAD_BYTES
    }

    /// Of the last of `bytes`, which end at offset `end` of the file.
    pub fn tail(bytes: &[u8], end: u64) -> Print {
        let bytes = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        Print { end, len: bytes.len() as u64, hash: xxh3_64(bytes) }
    }

    /// Of the bytes before offset `end` of a file.
    pub fn tail_of(file: &File, end: u64) -> io::Result<Print> {
        Print::read(file, end, end.min(TAIL_BYTES as u64))
    }

    /// Whether the file still says so.
    pub fn holds(&self, file: &File) -> bool {
        self.len == 0 || Print::read(file, self.end, self.len).is_ok_and(|now| now == *self)
    }

    fn read(file: &File, end: u64, len: u64) -> io::Result<Print> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < len {
            let missing = len as usize - bytes.len();
            let at = end - missing as u64;
            if super::super::stream::read_at(file.as_fd(), &mut bytes, missing, at)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Print { end, len, hash: xxh3_64(&bytes) })
    }
}

/// Compares the head of one file with many, reading it once for each length.
pub(super) struct Heads<'a> {
    file: &'a File,
    read: FxHashMap<u64, Option<Print>>,
}

impl<'a> Heads<'a> {
    pub fn new(file: &'a File) -> Heads<'a> {
        Heads { file, read: FxHashMap::default() }
    }

    /// Whether the file is the one of the mark; `false` also where the mark says too little.
    pub fn belong_to(&mut self, mark: &Mark) -> bool {
        self.begin_as(mark) && mark.tail.len > 0 && mark.tail.holds(self.file)
    }

    /// Whether the file begins as the one of the mark.
    pub fn begin_as(&mut self, mark: &Mark) -> bool {
        let read = || Print::head(self.file, mark.head.len).ok();
        mark.head.len > 0 && *self.read.entry(mark.head.len).or_insert_with(read) == Some(mark.head)
    }
}

/// How far a file was read: the value of its position.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Mark {
    /// The first byte that is to be read: of what a compressed file unpacks to, for one.
    pub offset: u64,
    /// Where it was last seen.
    pub path: String,
    /// Of the file's bytes as they lie on disk.
    pub size: u64,
    pub head: Print,
    pub tail: Print,
    /// How often it began anew.
    pub generation: u64,
    /// When it last moved, in seconds since 1970.
    pub seen: i64,
    /// The offset is inside a line that was too long, whose rest is dropped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipping: bool,
    /// Read to its end in `read` mode.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
}

impl Mark {
    /// Whether `file` is the one that it was made of, so that reading may go on at the offset.
    pub fn holds(&self, file: &File) -> bool {
        self.head.holds(file) && self.tail.holds(file)
    }
}
