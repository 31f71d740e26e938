//! Exactly once: what of the derived series is as durable as the positions of the inputs.
//!
//! An input that can replay goes on, after a crash, from its last durable position. So what was
//! counted of later events must be forgotten, or they count twice. Whoever makes positions durable (an
//! epoch of the index, or the checkpoint file of a pipeline) has a book here:
//!
//! ```text
//!  worker ── deltas of a batch ──► pending, by input and batch ──┐ the positions of the batch become durable
//!                                                                ▼
//!  PATH_DATA/derived/NAME-0.book, NAME-1.book in turn ◄── sums of all batches up to there + positions
//!                       written and synced BEFORE the positions are
//! ```
//!
//! Crash argument: of the last two books, one has exactly the positions that are durable: the newer
//! one if the process died after the positions were written, the older one if before. That one is
//! taken at the start; the inputs replay from there, and the sums are those of an undisturbed run.
//!
//! What had been *shown* may be more than that: samples are taken between two epochs. The window
//! remembers the last sample of each series. Until the replayed sums reach it, the series is **held**:
//! `/metrics` shows what was shown last, and rules and remote write hear nothing. So no counter goes
//! back, and none counts twice. What is not reached within [`HOLD_MS`] (the configuration has
//! changed, lines are gone) goes on from what was shown.
//!
//! A book says in a file of its own that an input of it can replay, before anything that it counted is
//! shown: a crash may come before the first position is durable.
//!
//! Inputs that can't replay have no positions: what they brought is entered at once, and after a
//! crash their series go on from what was shown last.

use super::exponential::Counts;
use super::series::{Cumulative, Delta, Histogram, Series};
use crate::pipeline::{Position, Tracker};
use crate::series::Labels;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long a series waits for what was shown to be reached again.
pub(super) const HOLD_MS: i64 = 600_000;

/// What one batch added.
type Added = Vec<(Arc<Series>, Delta)>;

/// The book of one keeper of positions.
pub struct Book {
    folder: PathBuf,
    name: String,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What batches added whose positions are not durable: by input and number of the batch.
    pending: Vec<(Arc<Tracker>, u64, Added)>,
    sums: FxHashMap<Labels, Sum>,
    positions: BTreeMap<String, String>,
    generation: u64,
    changed: bool,
    /// It is on disk that an input of this book can replay.
    marked: bool,
}

struct Sum {
    created_ms: i64,
    value: Cumulative,
}

/// A series as a book remembers it.
pub(super) struct Kept {
    pub(super) labels: Labels,
    pub(super) created_ms: i64,
    /// `None` for a value of another form than the family has now.
    pub(super) value: Value,
}

impl Book {
    /// An empty book, or what is known under this name: that of its last two versions which has
    /// `positions`, else the newer.
    pub(super) fn open(folder: &Path, name: &str, positions: Option<&BTreeMap<String, String>>) -> (Book, Vec<Kept>) {
        let mut versions: Vec<(u64, BTreeMap<String, String>, Vec<Kept>)> =
            (0..2).filter_map(|at| read(&folder.join(file_name(name, at)))).collect();
        versions.sort_by_key(|(generation, ..)| std::cmp::Reverse(*generation));
        let at = positions.and_then(|wanted| versions.iter().position(|(_, found, _)| found == wanted));
        // Nothing is durable, so all is read again: what a book says was counted before that.
        let fresh = at.is_none() && positions.is_some_and(BTreeMap::is_empty);
        if let (None, Some(wanted), false) = (at, positions, versions.is_empty() || fresh) {
            tracing::warn!(
                book = name,
                sources = wanted.len(),
                "cannot find the derived metrics of the inputs' positions: counts may be off by the last moments before the crash"
            );
        }
        // The next version takes the place of the other one: that which is taken now stays until then.
        let (generation, positions, kept) = match versions.first() {
            None => (0, positions.cloned().unwrap_or_default(), Vec::new()),
            Some((newest, ..)) if fresh => (*newest, BTreeMap::new(), Vec::new()),
            Some(_) => versions.swap_remove(at.unwrap_or(0)),
        };
        let marked = marker(folder, name).exists();
        let inner = Inner { positions, generation, marked, ..Inner::default() };
        let book = Book { folder: folder.to_owned(), name: name.to_owned(), inner: Mutex::new(inner) };
        (book, kept)
    }

    /// An empty book in the same folder.
    pub(super) fn beside(&self, name: &str) -> Book {
        Book { folder: self.folder.clone(), name: name.to_owned(), inner: Mutex::default() }
    }

    /// Whether any of its inputs can replay, as far as that is known from before.
    pub(super) fn replays(&self) -> bool {
        let inner = self.inner.lock();
        inner.marked || !inner.positions.is_empty()
    }

    /// Enters what a series had when the process began.
    pub(super) fn enter(&self, labels: Labels, created_ms: i64, value: Cumulative) {
        self.inner.lock().sums.insert(labels, Sum { created_ms, value });
    }

    /// Enters what a batch added; it counts once the batch's positions are durable, or now where
    /// there are none.
    pub(super) fn add(&self, added: Added, of: Option<(Arc<Tracker>, u64)>) {
        let mut inner = self.inner.lock();
        match of {
            Some((tracker, number)) => {
                if !inner.marked && tracker.replays() {
                    // Before anything of it is shown, and once: a crash may come before the first
                    // positions are durable.
                    match mark(&marker(&self.folder, &self.name)) {
                        Ok(()) => inner.marked = true,
                        Err(error) => tracing::error!(%error, "cannot write to the books of derived metrics"),
                    }
                }
                inner.pending.push((tracker, number, added));
            }
            None => inner.fold(added),
        }
    }

    /// Writes the book as it will be once these positions are durable: all batches of an input before
    /// its end are in it. Must come before the positions are written.
    pub fn close(&self, ends: &[(Arc<Tracker>, u64)], positions: &[Position]) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let pending = std::mem::take(&mut inner.pending);
        let done = |tracker: &Arc<Tracker>, number: u64| {
            ends.iter().any(|(known, end)| Arc::ptr_eq(known, tracker) && number < *end)
        };
        for (tracker, number, added) in pending {
            match done(&tracker, number) {
                true => inner.fold(added),
                false => inner.pending.push((tracker, number, added)),
            }
        }
        for Position { source, value } in positions {
            inner.changed = true;
            match value.is_empty() {
                true => inner.positions.remove(&**source),
                false => inner.positions.insert(source.to_string(), value.to_string()),
            };
        }
        if !inner.changed {
            return Ok(());
        }
        inner.generation += 1;
        let body = inner.body();
        let path = self.folder.join(file_name(&self.name, inner.generation % 2));
        write(&path, &body)?;
        inner.changed = false;
        Ok(())
    }

    /// Forgets series that have expired.
    pub(super) fn retain(&self, alive: impl Fn(&Labels) -> bool) {
        let mut inner = self.inner.lock();
        let before = inner.sums.len();
        inner.sums.retain(|labels, _| alive(labels));
        inner.changed |= inner.sums.len() != before;
    }
}

impl Inner {
    fn fold(&mut self, added: Added) {
        for (series, delta) in added {
            let new = || Sum { created_ms: series.created_ms, value: Cumulative::new(&series.family) };
            let sum = self.sums.entry(series.labels.clone()).or_insert_with(new);
            sum.value.add(&delta, delta.at_ms);
            self.changed = true;
        }
    }

    fn body(&self) -> Vec<u8> {
        let series: Vec<Value> = self
            .sums
            .iter()
            .filter_map(|(labels, sum)| {
                let pairs: Vec<[&str; 2]> = labels.iter().map(|(name, value)| [name, value]).collect();
                Some(json!({ "labels": pairs, "created": sum.created_ms, "value": written(&sum.value)? }))
            })
            .collect();
        let all = json!({ "generation": self.generation, "positions": self.positions, "series": series });
        all.to_string().into_bytes()
    }
}

fn file_name(name: &str, version: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '%' };
    let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
    let readable: String = name.chars().take(40).map(plain).collect();
    format!("{readable}-{hash:016x}-{version}.book")
}

/// The empty file that says that an input of a book can replay.
fn marker(folder: &Path, name: &str) -> PathBuf {
    folder.join(file_name(name, 0)).with_extension("replays")
}

fn mark(path: &Path) -> io::Result<()> {
    File::create(path)?.sync_all()?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// A line with the checksum of what follows, then JSON.
fn write(path: &Path, body: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    writeln!(file, "logboom book 1 {:08x}", crc32fast::hash(body))?;
    file.write_all(body)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

fn read(path: &Path) -> Option<(u64, BTreeMap<String, String>, Vec<Kept>)> {
    let bytes = fs::read(path).ok()?;
    let line = bytes.iter().position(|&byte| byte == b'\n')?;
    let head = std::str::from_utf8(&bytes[..line]).ok()?.strip_prefix("logboom book 1 ")?;
    let body = &bytes[line + 1..];
    if u32::from_str_radix(head, 16).ok()? != crc32fast::hash(body) {
        tracing::warn!(path = %path.display(), "a book of derived metrics is broken: the other version is taken");
        return None;
    }
    let mut all: Value = serde_json::from_slice(body).ok()?;
    let positions = serde_json::from_value(all["positions"].take()).ok()?;
    let kept = all["series"].as_array_mut()?.iter_mut().filter_map(|one| {
        let pairs: Vec<[String; 2]> = serde_json::from_value(one["labels"].take()).ok()?;
        let labels = Labels::new(pairs.iter().map(|[name, value]| (name, value)));
        Some(Kept { labels, created_ms: one["created"].as_i64()?, value: one["value"].take() })
    });
    let kept = kept.collect();
    Some((all["generation"].as_u64()?, positions, kept))
}

/// A value for the book; means over the last minutes are not kept.
fn written(value: &Cumulative) -> Option<Value> {
    Some(match value {
        Cumulative::Counter(sum) => json!({ "counter": sum }),
        Cumulative::Gauge(value, at_ms) => json!({ "gauge": [value, at_ms] }),
        Cumulative::Mean(_) => return None,
        Cumulative::Histogram(histogram) => {
            let native = histogram.native.as_ref().map(Counts::parts);
            json!({ "histogram": [histogram.classic, histogram.sum, histogram.count, native] })
        }
    })
}

/// The value of a book, if it has the form of `like`.
pub(super) fn value(kept: &Value, like: &Cumulative) -> Option<Cumulative> {
    match like {
        Cumulative::Counter(_) => kept["counter"].as_f64().map(Cumulative::Counter),
        Cumulative::Gauge(..) => Some(Cumulative::Gauge(kept["gauge"][0].as_f64()?, kept["gauge"][1].as_i64()?)),
        Cumulative::Mean(_) => None,
        Cumulative::Histogram(form) => {
            type Parts = (i8, u64, Vec<(i32, u64)>, Vec<(i32, u64)>);
            type Whole = (Vec<u64>, f64, u64, Option<Parts>);
            let (classic, sum, count, native): Whole = serde_json::from_value(kept["histogram"].clone()).ok()?;
            if classic.len() != form.classic.len() || native.is_some() != form.native.is_some() {
                return None;
            }
            let native = native.map(|(schema, zero, above, below)| Counts::of_parts(schema, zero, above, below));
            Some(Cumulative::Histogram(Box::new(Histogram { classic, native, sum, count })))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(value: &str) -> Position {
        Position { source: "main/in/a".into(), value: value.into() }
    }

    fn durable(value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("main/in/a".to_owned(), value.to_owned())])
    }

    /// Killed between the book and the positions, twice in a row: the version that fits stays.
    #[test]
    fn the_version_of_the_durable_positions_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (book, _) = Book::open(folder.path(), "index", Some(&BTreeMap::new()));
        book.enter(Labels::new([("__name__", "a")]), 0, Cumulative::Counter(1.0));
        book.close(&[], &[position("1")]).unwrap();
        for lost in ["2", "3", "4"] {
            let (book, kept) = Book::open(folder.path(), "index", Some(&durable("1")));
            assert_eq!(kept.len(), 1, "before {lost}");
            assert_eq!(book.inner.lock().positions, durable("1"), "before {lost}");
            book.close(&[], &[position(lost)]).unwrap();
        }
        let (book, _) = Book::open(folder.path(), "index", Some(&durable("4")));
        assert_eq!(book.inner.lock().positions, durable("4"));
    }

    /// Killed between the first book and the first positions, so that all is read again.
    #[test]
    fn a_book_of_no_durable_position_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            let (book, kept) = Book::open(folder.path(), "index", Some(&BTreeMap::new()));
            assert!(kept.is_empty());
            book.enter(Labels::new([("__name__", "a")]), 0, Cumulative::Counter(1.0));
            book.close(&[], &[position("1")]).unwrap();
        }
        let (_, kept) = Book::open(folder.path(), "index", Some(&durable("1")));
        assert_eq!(kept.len(), 1);
    }
}
