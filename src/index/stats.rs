//! What the index says of itself, for metrics and `_cat/indices`.

use super::tier::Tier;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The state of the index in numbers.
#[derive(Clone, Default, Debug)]
pub struct Stats {
    /// By stream.
    pub streams: BTreeMap<Arc<str>, StreamStats>,
    /// Epochs written since the start.
    pub epochs: u64,
    /// Syncs of files and of the folder since the start.
    pub syncs: u64,
    /// Syncs of the last epoch.
    pub epoch_syncs: u64,
    /// Merges done since the start.
    pub merges: u64,
    /// Partitions dropped by retention since the start.
    pub dropped: u64,
    /// Attempts to write an epoch that failed since the start.
    pub failures: u64,
    /// Why epochs can't be written at present.
    pub failing: Option<String>,
    /// Events that arrived since the start.
    pub arrived: u64,
    /// Events that wait to become durable.
    pub pending_events: u64,
    /// Bytes of batches that wait.
    pub pending_bytes: u64,
}

/// One stream in numbers. Only what is durable counts.
#[derive(Clone, Default, Debug)]
pub struct StreamStats {
    /// Documents, all tiers.
    pub docs: u64,
    /// Documents by tier, in the order of [`Tier::ALL`].
    pub docs_by_tier: [u64; Tier::ALL.len()],
    /// Bytes on disk.
    pub bytes: u64,
    /// Partitions.
    pub partitions: u64,
    /// Segments.
    pub segments: u64,
    /// Fields in the mapping.
    pub fields: u64,
    /// Values that stayed in `_source` alone, because of a limit, since the start.
    pub unmapped: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub epochs: AtomicU64,
    pub epoch_syncs: AtomicU64,
    pub merges: AtomicU64,
    pub dropped: AtomicU64,
    pub failures: AtomicU64,
    pub arrived: AtomicU64,
}
