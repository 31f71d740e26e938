//! Exactly once: what of the derived series is as durable as the positions of the inputs.
//!
//! An input that can replay goes on, after a crash, from its last durable position. So what was
//! counted of later events must be forgotten, or they count twice. Whoever makes positions durable (an
//! epoch of the index, or the checkpoint file of a pipeline) has a book here:
//!
//! ```text
//!  worker ── changes of a batch ──► pending, by input and batch ──┐ the positions of the batch become durable
//!                                                                 ▼
//!  PATH_DATA/derived/NAME-0.book, NAME-1.book in turn ◄── sums of all batches up to there + positions
//!                       written and synced BEFORE the positions are
//! ```
//!
//! A cut costs what has changed since the one before: its record has the sums of those series alone,
//! behind a first one that has all of them ([`super::ledger`], where the files are drawn). Once the
//! changes take more room than that, the next cut is a first one again, in the other file.
//!
//! Crash argument: one of the records has exactly the positions that are durable: the last one if the
//! process died after the positions were written, the one before if before; and where the last one is
//! the first of its file, the one before it stands in the other file, which nobody touches until the
//! next turn. That record is taken at the start; the inputs replay from there, and the sums are those
//! of an undisturbed run.
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
//!
//! **Room.** A series takes about 100 bytes in memory beside its label set, which it shares, and on
//! disk its label set once, and 5 to 12 bytes for each cut that a counter changed in, up to twice a
//! whole book (1 MiB at the least). What waits for a cut takes 32 bytes for each series that a batch
//! touched, more for histograms.

use super::ledger::{Kept, Ledger};
use super::series::{Change, Cumulative, Series};
use crate::durable;
use crate::pipeline::{Position, Tracker};
use crate::series::Labels;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How long a series waits for what was shown to be reached again.
pub(super) const HOLD_MS: i64 = 600_000;

/// What one batch added.
pub(super) type Added = Vec<(Arc<Series>, Change)>;

/// The book of one keeper of positions.
pub struct Book {
    folder: PathBuf,
    name: String,
    /// Taken before `inner`, and held while a record is written: workers wait for `inner` alone.
    ledger: Mutex<Ledger>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What batches added whose positions are not durable: by input and number of the batch.
    pending: Vec<(Arc<Tracker>, u64, Added)>,
    sums: Sums,
    positions: BTreeMap<String, String>,
    /// Sources whose positions no record has yet.
    moved: Vec<String>,
    /// It is on disk that an input of this book can replay.
    marked: bool,
}

/// The sums, each under a number that it keeps.
#[derive(Default)]
pub(super) struct Sums {
    numbers: FxHashMap<Labels, u32>,
    sums: Vec<Option<Sum>>,
    /// Numbers that are free.
    free: Vec<u32>,
    /// Numbers of sums that no record has as they are.
    pub(super) dirty: Vec<u32>,
    /// Numbers that the file has and that are none any more.
    pub(super) gone: Vec<u32>,
}

/// What is counted of one series.
pub(super) struct Sum {
    pub(super) labels: Labels,
    pub(super) created_ms: i64,
    pub(super) value: Cumulative,
    /// Whether the present file has its label set.
    pub(super) written: bool,
    dirty: bool,
}

impl Sum {
    /// One that no record has.
    pub(super) fn new(labels: Labels, created_ms: i64, value: Cumulative) -> Sum {
        Sum { labels, created_ms, value, written: false, dirty: true }
    }
}

impl Sums {
    pub(super) fn insert(&mut self, labels: Labels, created_ms: i64, value: Cumulative) -> u32 {
        let number = self.free.pop().unwrap_or(self.sums.len() as u32);
        if number as usize == self.sums.len() {
            self.sums.push(None);
        }
        self.numbers.insert(labels.clone(), number);
        self.sums[number as usize] = Some(Sum::new(labels, created_ms, value));
        self.dirty.push(number);
        number
    }

    fn fold(&mut self, added: Added) {
        for (series, change) in added {
            let number = match self.numbers.get(&series.labels) {
                Some(&number) => number,
                None => self.insert(series.labels.clone(), series.created_ms, Cumulative::new(&series.family)),
            };
            let Some(sum) = &mut self.sums[number as usize] else { continue };
            change.enter(&mut sum.value);
            if !std::mem::replace(&mut sum.dirty, true) {
                self.dirty.push(number);
            }
        }
    }

    fn retain(&mut self, alive: impl Fn(&Labels) -> bool) {
        for (number, place) in self.sums.iter_mut().enumerate() {
            let Some(sum) = place.as_ref().filter(|sum| !alive(&sum.labels)) else { continue };
            self.numbers.remove(&sum.labels);
            if sum.written {
                self.gone.push(number as u32);
            }
            *place = None;
            self.free.push(number as u32);
        }
    }

    /// A sum by its number.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Sum> {
        self.sums.get_mut(number as usize)?.as_mut()
    }

    /// The numbers in use.
    pub(super) fn numbers(&self) -> Vec<u32> {
        (0..self.sums.len() as u32).filter(|&number| self.sums[number as usize].is_some()).collect()
    }

    /// Says that a record has all of it.
    pub(super) fn clean(&mut self) {
        for number in self.dirty.drain(..) {
            if let Some(sum) = &mut self.sums[number as usize] {
                sum.dirty = false;
            }
        }
        self.gone.clear();
    }
}

impl Book {
    /// An empty book, or what is known under this name: its last record that has `positions`, else its
    /// last one.
    pub(super) fn open(
        folder: &Path,
        name: &str,
        positions: Option<&BTreeMap<String, String>>,
    ) -> io::Result<(Book, Vec<Kept>)> {
        let (ledger, found) = Ledger::open([0, 1].map(|at| folder.join(file_name(name, at))), positions)?;
        if let (false, Some(wanted)) = (found.fits, positions) {
            tracing::warn!(
                book = name,
                sources = wanted.len(),
                "cannot find the derived metrics of the inputs' positions: counts may be off by the last moments before the crash"
            );
        }
        let marked = marker(folder, name).exists();
        let inner = Inner { positions: found.positions, marked, ..Inner::default() };
        Ok((Book::of(folder, name, ledger, inner), found.kept))
    }

    fn of(folder: &Path, name: &str, ledger: Ledger, inner: Inner) -> Book {
        let (ledger, inner) = (Mutex::new(ledger), Mutex::new(inner));
        Book { folder: folder.to_owned(), name: name.to_owned(), ledger, inner }
    }

    /// An empty book in the same folder.
    pub(super) fn beside(&self, name: &str) -> io::Result<Book> {
        let files = [0, 1].map(|at| self.folder.join(file_name(name, at)));
        // Files of that name from before count as older.
        let (ledger, _) = Ledger::open(files, Some(&BTreeMap::new()))?;
        Ok(Book::of(&self.folder, name, ledger, Inner::default()))
    }

    /// Whether any of its inputs can replay, as far as that is known from before.
    pub(super) fn replays(&self) -> bool {
        let inner = self.inner.lock();
        inner.marked || !inner.positions.is_empty()
    }

    /// Enters what a series had when the process began.
    pub(super) fn enter(&self, labels: Labels, created_ms: i64, value: Cumulative) {
        let mut inner = self.inner.lock();
        inner.sums.insert(labels, created_ms, value);
        // It is on disk already.
        inner.sums.clean();
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
            None => inner.sums.fold(added),
        }
    }

    /// Writes the book as it will be once these positions are durable: all batches of an input before
    /// its end are in it. Must come before the positions are written.
    pub fn close(&self, ends: &[(Arc<Tracker>, u64)], positions: &[Position]) -> io::Result<()> {
        let mut ledger = self.ledger.lock();
        let mut inner = self.inner.lock();
        let pending = std::mem::take(&mut inner.pending);
        let done = |tracker: &Arc<Tracker>, number: u64| {
            ends.iter().any(|(known, end)| Arc::ptr_eq(known, tracker) && number < *end)
        };
        for (tracker, number, added) in pending {
            match done(&tracker, number) {
                true => inner.sums.fold(added),
                false => inner.pending.push((tracker, number, added)),
            }
        }
        for Position { source, value } in positions {
            inner.moved.push(source.to_string());
            match value.is_empty() {
                true => inner.positions.remove(&**source),
                false => inner.positions.insert(source.to_string(), value.to_string()),
            };
        }
        let Inner { sums, positions, moved, .. } = &mut *inner;
        if moved.is_empty() && sums.dirty.is_empty() && sums.gone.is_empty() && !ledger.is_behind() {
            return Ok(());
        }
        let record = ledger.record(sums, positions, moved);
        moved.clear();
        drop(inner);
        ledger.write(record)
    }

    /// Forgets series that have expired.
    pub(super) fn retain(&self, alive: impl Fn(&Labels) -> bool) {
        self.inner.lock().sums.retain(alive);
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
    durable::sync_folder_of(path)
}

#[cfg(test)]
mod tests {
    use super::super::tests::counter_family;
    use super::*;
    use proptest::prelude::*;

    fn position(value: &str) -> Position {
        Position { source: "main/in/a".into(), value: value.into() }
    }

    fn durable(value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("main/in/a".to_owned(), value.to_owned())])
    }

    fn open(folder: &Path, positions: &BTreeMap<String, String>) -> (Book, BTreeMap<String, f64>) {
        let (book, kept) = Book::open(folder, "index", Some(positions)).expect("a book");
        let mut sums = BTreeMap::new();
        for Kept { labels, created_ms, value } in kept {
            let Cumulative::Counter(sum) = value else { panic!() };
            sums.insert(labels.get("n").to_owned(), sum);
            book.enter(labels, created_ms, value);
        }
        (book, sums)
    }

    /// Adds to a counter, as a batch of an input that can't replay would.
    fn count(book: &Book, n: usize, more: f64) {
        book.add(vec![(series(n), Change::Counter(more))], None);
    }

    fn series(n: usize) -> Arc<Series> {
        let labels = Labels::new([("__name__", "a"), ("n", &n.to_string())]);
        Arc::new(Series::new(counter_family(), labels, 0))
    }

    /// Killed between the book and the positions, twice in a row: the record that fits stays.
    #[test]
    fn the_record_of_the_durable_positions_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (book, _) = open(folder.path(), &BTreeMap::new());
        count(&book, 1, 1.0);
        book.close(&[], &[position("1")]).unwrap();
        for lost in ["2", "3", "4"] {
            let (book, sums) = open(folder.path(), &durable("1"));
            assert_eq!(sums, BTreeMap::from([("1".to_owned(), 1.0)]), "before {lost}");
            count(&book, 1, 1.0);
            book.close(&[], &[position(lost)]).unwrap();
        }
        let (_, sums) = open(folder.path(), &durable("4"));
        assert_eq!(sums["1"], 2.0);
    }

    /// Killed between the first book and the first positions, so that all is read again.
    #[test]
    fn a_book_of_no_durable_position_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            let (book, sums) = open(folder.path(), &BTreeMap::new());
            assert!(sums.is_empty());
            count(&book, 1, 1.0);
            book.close(&[], &[position("1")]).unwrap();
        }
        assert_eq!(open(folder.path(), &durable("1")).1.len(), 1);
    }

    /// A cut costs what has changed, and the files don't grow for ever.
    #[test]
    fn a_cut_writes_what_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (book, _) = open(folder.path(), &BTreeMap::new());
        let bytes = || -> u64 {
            let files = std::fs::read_dir(folder.path()).unwrap();
            files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
        };
        book.ledger.lock().changes_min = 0;
        let all: Vec<Arc<Series>> = (0..2_000).map(series).collect();
        let count_all = || book.add(all.iter().map(|one| (one.clone(), Change::Counter(1.0))).collect(), None);
        count_all();
        book.close(&[], &[position("0")]).unwrap();
        let whole = bytes();
        for at in 1..=10 {
            count(&book, at, 1.0);
            book.close(&[], &[position(&at.to_string())]).unwrap();
        }
        assert!(bytes() - whole < 1_000, "{} after {whole}", bytes());
        for at in 11..100 {
            count_all();
            book.close(&[], &[position(&at.to_string())]).unwrap();
        }
        assert!(bytes() < 5 * whole, "{} after {whole}", bytes());
        let (_, sums) = open(folder.path(), &durable("99"));
        assert_eq!((sums.len(), sums["5"], sums["1500"]), (2_000, 91.0, 90.0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// Whatever happens, and wherever the process dies: the sums are those of the durable positions.
        #[test]
        fn any_history_comes_back(
            steps in prop::collection::vec((0..6_u8, 0..5_usize, any::<bool>()), 1..60), least in 0..3_u64
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut durable_at = BTreeMap::new();
            let (mut book, _) = open(folder.path(), &durable_at);
            book.ledger.lock().changes_min = least * 60;
            // The sums now, those of the last cut, and those of the durable positions.
            let mut now = BTreeMap::<String, f64>::new();
            let mut kept = now.clone();
            for (at, (step, n, died)) in steps.into_iter().enumerate() {
                match step {
                    0..=2 => {
                        count(&book, n, (at + 1) as f64);
                        *now.entry(n.to_string()).or_default() += (at + 1) as f64;
                    }
                    3 => {
                        book.retain(|labels| labels.get("n") != n.to_string());
                        now.remove(&n.to_string());
                    }
                    4 => {
                        book.close(&[], &[position(&at.to_string())]).unwrap();
                        if !died {
                            (durable_at, kept) = (durable(&at.to_string()), now.clone());
                            continue;
                        }
                        // Before the positions were written.
                        let sums;
                        (book, sums) = open(folder.path(), &durable_at);
                        book.ledger.lock().changes_min = least * 60;
                        prop_assert_eq!(&sums, &kept);
                        now = kept.clone();
                    }
                    _ => {
                        let sums;
                        (book, sums) = open(folder.path(), &durable_at);
                        book.ledger.lock().changes_min = least * 60;
                        prop_assert_eq!(&sums, &kept);
                        now = kept.clone();
                    }
                }
            }
        }
    }
}
