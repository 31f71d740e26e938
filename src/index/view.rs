//! A view: the whole index at one point in time.

use super::mapping::Mapping;
use super::partition::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The index at a point in time. Holding one keeps its documents readable, whatever is merged,
/// written or dropped meanwhile.
#[derive(Default)]
pub struct View {
    /// Every partition, by stream, day and tier.
    pub partitions: Vec<Arc<Partition>>,
    /// Every stream with its fields, also one without documents.
    pub streams: BTreeMap<Arc<str>, Arc<Mapping>>,
}
