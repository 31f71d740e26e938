//! The bytes of one file: as they lie there, or unpacked.
//!
//! Files are read, not mapped. Measured on one core over 400 MB of lines of 375 bytes in the page
//! cache, newlines searched: 4.6 GB/s with reads of 256 KiB, 5.3 GB/s copied from a map, 5.7 GB/s
//! in the map. A pipeline decodes far below that, and a file that is truncated under its map, which is
//! how many logs are rotated, ends the process with SIGBUS.

use super::super::stream::read_at;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;

/// How a file is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// By the end of the name, as Logstash does.
    pub fn of(path: &Path) -> Packing {
        match path.extension().and_then(|e| e.to_str()) {
            Some("gz" | "gzip") => Packing::Gzip,
            Some("zst" | "zstd") => Packing::Zstd,
            _ => Packing::Plain,
        }
    }
}

/// An open file.
pub(super) enum Source {
    /// Read at any offset: bytes that were not used are simply read again.
    Plain(File),
    /// Unpacked in one go.
    Packed {
        file: File,
        stream: Box<dyn Read + Send>,
        /// Bytes that were unpacked and not used.
        rest: Vec<u8>,
        /// What went wrong behind the bytes given out last.
        failed: Option<io::Error>,
    },
}

impl Source {
    /// Opens a file; a packed one goes forward to `offset` of its unpacked bytes.
    pub fn open(path: &Path, packing: Packing, offset: u64) -> io::Result<Source> {
        let file = File::open(path)?;
        if packing == Packing::Plain {
            return Ok(Source::Plain(file));
        }
        let mut stream = unpack(file.try_clone()?, packing)?;
        let skipped = io::copy(&mut stream.by_ref().take(offset), &mut io::sink())?;
        if skipped < offset {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Source::Packed { file, stream, rest: Vec::new(), failed: None })
    }

    /// The file as it lies there.
    pub fn file(&self) -> &File {
        match self {
            Source::Plain(file) | Source::Packed { file, .. } => file,
        }
    }

    /// Appends up to `max` bytes from `offset` on, which for a packed file must be where it stands;
    /// 0 at the end.
    pub fn append(&mut self, buffer: &mut Vec<u8>, offset: u64, max: usize) -> io::Result<usize> {
        match self {
            Source::Plain(file) => read_at(file.as_fd(), buffer, max, offset),
            Source::Packed { rest, .. } if !rest.is_empty() => {
                let n = rest.len();
                buffer.append(rest);
                Ok(n)
            }
            Source::Packed { stream, failed, .. } => {
                if let Some(error) = failed.take() {
                    return Err(error);
                }
                let before = buffer.len();
                match stream.by_ref().take(max as u64).read_to_end(buffer) {
                    // What stands before the damage is good.
                    Err(error) if buffer.len() > before => {
                        *failed = Some(error);
                        Ok(buffer.len() - before)
                    }
                    result => result,
                }
            }
        }
    }

    /// Takes bytes back that were appended and not used.
    pub fn give_back(&mut self, unused: &[u8]) {
        if let Source::Packed { rest, .. } = self {
            rest.splice(..0, unused.iter().copied());
        }
    }
}

/// Whether all of a packed file unpacks.
pub(super) fn check(path: &Path, packing: Packing) -> io::Result<()> {
    io::copy(&mut unpack(File::open(path)?, packing)?, &mut io::sink())?;
    Ok(())
}

fn unpack(file: File, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
    Ok(match packing {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(BufReader::with_capacity(64 << 10, file))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(file)?),
    })
}
