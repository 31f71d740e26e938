//! A partition as a search sees it: the documents of one (stream, tier, day) at a point in time.

use super::mapping::Mapping;
use super::tier::{Day, Tier};
use super::{IndexError, directory};
use std::sync::{Arc, OnceLock};
use tantivy::Searcher;

/// Some documents of one (stream, tier, day), never changing. A view may hold several of the
/// same name: one with the durable documents, others with those that wait in memory.
pub struct Partition {
    /// The stream.
    pub stream: Arc<str>,
    /// The level tier of all its documents.
    pub tier: Tier,
    /// The day of `@timestamp` of all its documents, in UTC.
    pub day: Day,
    /// The fields of the stream when this was opened; no document here has others.
    pub mapping: Arc<Mapping>,
    /// The smallest `@timestamp` in milliseconds since 1970.
    pub min_time: i64,
    /// The greatest `@timestamp` in milliseconds since 1970.
    pub max_time: i64,
    /// The number of documents.
    pub docs: u64,
    /// Bytes on disk (or in memory, for those that wait).
    pub bytes: u64,
    pub(super) segments: directory::Segments,
    pub(super) searcher: OnceLock<Searcher>,
}

impl Partition {
    /// Opens the partition, once; later calls only clone a handle.
    pub fn searcher(&self) -> Result<Searcher, IndexError> {
        if let Some(searcher) = self.searcher.get() {
            return Ok(searcher.clone());
        }
        let opened = self.segments.open(&self.mapping)?;
        Ok(self.searcher.get_or_init(|| opened).clone())
    }
}
