//! The embedded index in numbers, and whether it can write.

use super::exposition::{Family, Kind};
use super::health::{Finding, Health, Status};
use super::registry::Registry;
use crate::index::{Index, Stats, StreamStats, Tier};
use std::sync::Arc;

impl Registry {
    /// Shows an index as long as it lives.
    pub fn add_index(&self, index: &Arc<Index>) {
        let index = Arc::downgrade(index);
        self.add_source(move |out| {
            if let Some(index) = index.upgrade() {
                collect(&index.stats(), out);
            }
        });
    }
}

impl Health {
    /// Whether epochs of an index can be written: red if not, since inputs will be held back.
    pub fn add_index(&self, index: &Arc<Index>) {
        let index = Arc::downgrade(index);
        self.add(move |out| {
            if let Some(reason) = index.upgrade().and_then(|index| index.stats().failing) {
                out.push(Finding { check: "index", status: Status::Red, reason });
            }
        });
    }
}

fn collect(stats: &Stats, out: &mut Vec<Family>) {
    let mut one = |kind, name, help, value: u64| {
        let mut family = Family::new(kind, name, help);
        family.whole(&[], value);
        out.push(family);
    };
    use Kind::{Counter, Gauge};
    one(Counter, "logboom_index_epochs", "Epochs written.", stats.epochs);
    one(Counter, "logboom_index_epoch_failures", "Attempts to write an epoch that failed.", stats.failures);
    one(Counter, "logboom_index_syncs", "Syncs of files and of the folder.", stats.syncs);
    one(Counter, "logboom_index_merges", "Merges of segments.", stats.merges);
    one(Counter, "logboom_index_partitions_dropped", "Partitions that retention dropped.", stats.dropped);
    one(Counter, "logboom_index_events_arrived", "Events that arrived.", stats.arrived);
    one(Gauge, "logboom_index_events_pending", "Events that wait to become durable.", stats.pending_events);
    one(Gauge, "logboom_index_bytes_pending", "Bytes of batches that wait.", stats.pending_bytes);
    let mut streams = |kind, name, help, get: fn(&StreamStats) -> u64| {
        let mut family = Family::new(kind, name, help);
        stats.streams.iter().for_each(|(stream, of)| family.whole(&[("stream", stream)], get(of)));
        out.push(family);
    };
    streams(Gauge, "logboom_index_size_bytes", "Bytes on disk.", |s| s.bytes);
    streams(Gauge, "logboom_index_partitions", "Partitions.", |s| s.partitions);
    streams(Gauge, "logboom_index_segments", "Segments.", |s| s.segments);
    streams(Gauge, "logboom_index_fields", "Fields in the mapping.", |s| s.fields);
    streams(Counter, "logboom_index_values_unmapped", "Values kept in `_source` alone, because of a limit.", |s| {
        s.unmapped
    });
    let mut documents = Family::new(Gauge, "logboom_index_documents", "Durable documents by tier.");
    for (stream, of) in &stats.streams {
        for (tier, &count) in Tier::ALL.iter().zip(&of.docs_by_tier) {
            documents.whole(&[("stream", stream), ("tier", tier.name())], count);
        }
    }
    out.push(documents);
}

#[cfg(test)]
mod tests {
    use super::super::exposition::Format;
    use super::*;

    #[test]
    fn an_index_is_shown() {
        let mut stats = Stats { epochs: 3, ..Stats::default() };
        let stream = StreamStats { bytes: 10, docs_by_tier: [1, 0, 5, 0], ..StreamStats::default() };
        stats.streams.insert("app".into(), stream);
        let mut families = Vec::new();
        collect(&stats, &mut families);
        let text = Format::Text.text(&families);
        for line in [
            "logboom_index_epochs_total 3\n",
            "logboom_index_size_bytes{stream=\"app\"} 10\n",
            "logboom_index_documents{stream=\"app\",tier=\"info\"} 5\n",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
