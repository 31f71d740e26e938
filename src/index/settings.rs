//! What the index is told at start.

use super::tier::Tier;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of an index; `logboom.yml` calls them `index.*`.
#[derive(Clone, Debug)]
pub struct IndexSettings {
    /// The folder that is the index's alone.
    pub path: PathBuf,
    /// `index.epoch.interval`: how long events wait at the most before they are made durable.
    pub epoch_interval: Duration,
    /// `index.epoch.bytes`: how many bytes of events wait at the most before an epoch begins.
    pub epoch_bytes: usize,
    /// How many bytes of events may wait in all; at that point inputs are held back.
    pub pending_bytes_max: usize,
    /// `index.text_fields`: dotted paths, besides `message`, `event.original` and `error.*`, that
    /// get a full text index. A trailing `*` stands for the rest of a path.
    pub text_fields: Vec<String>,
    /// How long partitions stay.
    pub retention: Retention,
    /// How many segments are built at the same time.
    pub threads: usize,
}

impl IndexSettings {
    /// The defaults for a folder.
    pub fn new(path: impl Into<PathBuf>) -> IndexSettings {
        IndexSettings {
            path: path.into(),
            epoch_interval: Duration::from_secs(10),
            epoch_bytes: 64 << 20,
            pending_bytes_max: 256 << 20,
            text_fields: Vec::new(),
            retention: Retention::default(),
            threads: std::thread::available_parallelism().map_or(1, |n| n.get()),
        }
    }
}

/// How long partitions stay, by tier.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Days by tier, in the order of [`Tier::ALL`]; `None` for ever.
    pub days: [Option<u32>; 4],
    /// `index.retention.clock`.
    pub clock: Clock,
}

impl Retention {
    /// The days of a tier.
    pub fn days_of(&self, tier: Tier) -> Option<u32> {
        self.days[tier as usize]
    }
}

impl Default for Retention {
    /// ERROR 90, WARN 30, INFO 14, DEBUG 7 days, by arrival.
    fn default() -> Retention {
        Retention { days: [Some(90), Some(30), Some(14), Some(7)], clock: Clock::Arrival }
    }
}

/// What a partition's age counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// From the later of its day and the day of its last write, so that a backfill of old logs
    /// isn't dropped on arrival.
    Arrival,
    /// From its day.
    Event,
}
