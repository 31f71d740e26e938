//! Pack files: all files of all new segments of an epoch, one after the other.
//!
//! ```text
//! p00000000002a
//!   "LBPACK01"                     8 bytes
//!   files of segments              back to back; where each begins and ends is in the manifest
//! ```
//!
//! A pack is written once, synced together with its name, and only then named in the manifest; one
//! that no manifest names is an orphan, whatever is in it. Each file in it ends with tantivy's own
//! checksummed footer.

use super::IndexError;
use super::directory::{PackFile, Place, SegmentPlaces};
use super::disk::Disk;
use super::manifest::SegmentRecord;
use super::segment::Built;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"LBPACK01";

/// The name of a pack.
pub(super) fn name_of(number: u64) -> String {
    format!("p{number:012x}")
}

/// Whether a file in the folder is one that segments lie in: a pack, or a file of a large merge.
pub(super) fn is_data(name: &str) -> bool {
    let hex = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
    name.strip_prefix('p').is_some_and(|digits| hex(digits, 12))
        || name.split_once('.').is_some_and(|(id, ext)| hex(id, 32) && super::segment::EXTENSIONS.contains(&ext))
}

/// Writes segments to a new pack and makes it durable: two syncs.
pub(super) fn write<'a>(
    disk: &dyn Disk,
    name: &str,
    segments: impl Iterator<Item = &'a Built>,
) -> io::Result<Vec<SegmentRecord>> {
    let mut file = BufWriter::with_capacity(1 << 20, disk.create(name)?);
    file.write_all(MAGIC)?;
    let mut at = MAGIC.len() as u64;
    let mut records = Vec::new();
    for segment in segments {
        let mut files = Vec::new();
        for (ext, bytes) in &segment.files {
            file.write_all(bytes)?;
            files.push((ext.clone(), name.to_owned(), at, bytes.len() as u64));
            at += bytes.len() as u64;
        }
        records.push(SegmentRecord {
            id: segment.id.clone(),
            docs: segment.docs,
            min_time: segment.min_time,
            max_time: segment.max_time,
            files,
        });
    }
    let mut file = file.into_inner().map_err(|error| error.into_error())?;
    file.sync()?;
    disk.sync_names()?;
    Ok(records)
}

/// Where the files of a segment lie, given the packs.
pub(super) fn places(
    segment: &SegmentRecord,
    mut pack: impl FnMut(&str) -> Option<Arc<PackFile>>,
) -> Result<SegmentPlaces, IndexError> {
    let mut files = Vec::new();
    for (ext, name, offset, len) in &segment.files {
        let file = pack(name).ok_or_else(|| IndexError::Corrupt {
            file: name.clone(),
            cause: format!("it holds a part of segment {} but isn't there", segment.id),
        })?;
        files.push((ext.clone(), Place::Packed(file, *offset, *len)));
    }
    Ok(SegmentPlaces { id: segment.id.clone(), docs: segment.docs, files })
}
