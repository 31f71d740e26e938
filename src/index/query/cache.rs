//! Dictionary scans, kept: a dashboard asks the same of the same segments again and again, and
//! segments never change.

use super::strings::Ordinals;
use crate::search::error::SearchError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use tantivy::SegmentReader;
use tantivy::index::SegmentId;

/// Bytes kept at the most; then all is forgotten and gathered again.
const BYTES_MAX: usize = 64 << 20;
/// What one entry costs beside its bits, roughly.
const ENTRY_BYTES: usize = 256;

#[derive(Default)]
struct Cache {
    entries: HashMap<(SegmentId, String), Arc<Vec<Ordinals>>>,
    bytes: usize,
}

static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

/// What `make` made for this key of this segment, now or before.
pub(super) fn get_or(
    reader: &SegmentReader,
    key: impl FnOnce() -> String,
    make: impl FnOnce() -> Result<Vec<Ordinals>, SearchError>,
) -> Result<Arc<Vec<Ordinals>>, SearchError> {
    let key = (reader.segment_id(), key());
    if let Some(found) = CACHE.lock().entries.get(&key) {
        return Ok(found.clone());
    }
    let made = Arc::new(make()?);
    let memory = |ordinals: &Ordinals| match ordinals {
        Ordinals::Run(_) => 0,
        Ordinals::Bits(bits) => bits.memory(),
    };
    let bytes = ENTRY_BYTES + key.1.len() + made.iter().map(memory).sum::<usize>();
    if bytes > BYTES_MAX / 4 {
        return Ok(made);
    }
    let mut cache = CACHE.lock();
    if cache.bytes + bytes > BYTES_MAX {
        *cache = Cache::default();
    }
    if cache.entries.insert(key, made.clone()).is_none() {
        cache.bytes += bytes;
    }
    Ok(made)
}
