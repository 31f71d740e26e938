//! The files of a book: a first record of everything, then one of what has changed for each cut.
//!
//! ```text
//! NAME-0.book, NAME-1.book
//!   logboom book 2\n
//!   record…   length u32 · crc32 of what follows u32 · payload
//! payload:
//!   generation      rises with each record, over both files
//!   positions       count, each: source, value; empty: it has none any more
//!   gone            count, numbers of series that are no more
//!   series          count, each: number (the difference to the one before) · what · value
//!     what          NEW: the label set and since when; then the kind of value
//! ```
//!
//! The first record of a file has all positions and all series, so that each file stands for itself.
//! Values are sums, not differences: reading a record twice changes nothing, and one that is torn ends
//! its file. A new process begins with a first record in the file that it has not read from.

use super::books::{Sum, Sums};
use super::exponential::Counts;
use super::series::{Cumulative, Histogram};
use crate::durable;
use crate::series::Labels;
use crate::series::bytes::{Reader, number, put, put_number, put_signed, put_text};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

const HEADER: &[u8] = b"logboom book 2\n";
/// A file whose changes take less than this is not followed by another.
const CHANGES_MIN: u64 = 1 << 20;

const COUNTER: u8 = 0;
const GAUGE: u8 = 1;
const HISTOGRAM: u8 = 2;
const KIND: u8 = 3;
const NATIVE: u8 = 4;
const NEW: u8 = 8;

/// A series as a book remembers it.
pub(super) struct Kept {
    pub(super) labels: Labels,
    pub(super) created_ms: i64,
    pub(super) value: Cumulative,
}

/// What was found in the files of a book.
pub(super) struct Found {
    pub(super) positions: BTreeMap<String, String>,
    pub(super) kept: Vec<Kept>,
    /// Whether these are the positions that were asked for, or there is nothing.
    pub(super) fits: bool,
}

/// The files of a book.
pub(super) struct Ledger {
    files: [PathBuf; 2],
    /// Which of both is written.
    at: usize,
    /// The file while records can be appended to it.
    file: Option<File>,
    generation: u64,
    /// Bytes of the first record, and of those behind it.
    first: u64,
    changes: u64,
    pub(super) changes_min: u64,
    /// What was to be written last is not.
    behind: bool,
}

/// A record that is not written yet.
pub(super) struct Record {
    bytes: Vec<u8>,
    first: bool,
}

impl Ledger {
    /// Without anything in its files that matters.
    pub(super) fn new(files: [PathBuf; 2]) -> Ledger {
        Ledger {
            files,
            at: 1,
            file: None,
            generation: 0,
            first: 0,
            changes: 0,
            changes_min: CHANGES_MIN,
            behind: false,
        }
    }

    /// Takes the newest record that has `positions`, else the newest; nothing where no position is
    /// durable, since then all is read again. A file that is there and can't be read is an error:
    /// what it holds would count as nothing, and be overwritten.
    pub(super) fn open(
        files: [PathBuf; 2],
        positions: Option<&BTreeMap<String, String>>,
    ) -> io::Result<(Ledger, Found)> {
        let read = [Records::read(&files[0], positions)?, Records::read(&files[1], positions)?];
        let mut ledger = Ledger::new(files);
        let newest = |exact: bool| {
            let all = read.iter().enumerate().flat_map(|(at, records)| records.all.iter().map(move |one| (at, one)));
            let fits = all.filter(|(_, (_, fits, _))| *fits || !exact);
            fits.map(|(at, (generation, ..))| (*generation, at)).max()
        };
        let (last, exact) = (newest(false), newest(true));
        ledger.generation = last.map_or(0, |(generation, _)| generation);
        let nothing = positions.is_some_and(BTreeMap::is_empty);
        let Some((generation, at)) = exact.or(last.filter(|_| !nothing)) else {
            let positions = if last.is_none() { positions.cloned().unwrap_or_default() } else { BTreeMap::new() };
            return Ok((ledger, Found { positions, kept: Vec::new(), fits: true }));
        };
        ledger.at = at;
        let (positions, kept) = read[at].at(generation);
        Ok((ledger, Found { positions, kept, fits: exact.is_some() }))
    }

    /// Whether the last write failed, so that there is something to write.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// The next record: of everything where a file begins, else of what has changed.
    pub(super) fn record(&mut self, sums: &mut Sums, positions: &BTreeMap<String, String>, moved: &[String]) -> Record {
        let first = self.file.is_none() || self.changes > self.first.max(self.changes_min);
        self.generation += 1;
        let mut out = vec![0; 8];
        put(&mut out, self.generation);
        let numbers = if first {
            put(&mut out, positions.len() as u64);
            for (source, value) in positions {
                put_text(&mut out, source);
                put_text(&mut out, value);
            }
            put(&mut out, 0);
            sums.numbers()
        } else {
            put(&mut out, moved.len() as u64);
            for source in moved {
                put_text(&mut out, source);
                put_text(&mut out, positions.get(source).map_or("", String::as_str));
            }
            put(&mut out, sums.gone.len() as u64);
            sums.gone.iter().for_each(|&number| put(&mut out, number.into()));
            let mut dirty = sums.dirty.clone();
            dirty.sort_unstable();
            // One that went and whose number is taken again may stand there twice.
            dirty.dedup();
            dirty.retain(|&number| sums.get_mut(number).is_some());
            dirty
        };
        put(&mut out, numbers.len() as u64);
        let mut before = 0;
        for number in numbers {
            let Some(sum) = sums.get_mut(number) else { continue };
            put(&mut out, u64::from(number - before));
            before = number;
            put_sum(&mut out, sum, first || !sum.written);
            sum.written = true;
        }
        sums.clean();
        let length = (out.len() - 8) as u32;
        let checksum = crc32fast::hash(&out[8..]);
        out[..4].copy_from_slice(&length.to_le_bytes());
        out[4..8].copy_from_slice(&checksum.to_le_bytes());
        Record { bytes: out, first }
    }

    /// Writes and syncs a record. After an error the next one is a first one: nothing may stand behind
    /// what may be torn.
    pub(super) fn write(&mut self, record: Record) -> io::Result<()> {
        let outcome = self.try_write(&record);
        self.behind = outcome.is_err();
        if self.behind {
            self.file = None;
        }
        outcome
    }

    fn try_write(&mut self, record: &Record) -> io::Result<()> {
        let length = record.bytes.len() as u64;
        if !record.first {
            let Some(file) = &mut self.file else { return Err(io::Error::other("the book has no file")) };
            file.write_all(&record.bytes)?;
            file.sync_data()?;
            self.changes += length;
            return Ok(());
        }
        let at = 1 - self.at;
        let mut file = File::create(&self.files[at])?;
        file.write_all(HEADER)?;
        file.write_all(&record.bytes)?;
        file.sync_all()?;
        durable::sync_folder_of(&self.files[at])?;
        // Only now: after an error the same file is tried again, not the one that is whole.
        (self.at, self.file, self.first, self.changes) = (at, Some(file), length, 0);
        Ok(())
    }
}

fn put_sum(out: &mut Vec<u8>, sum: &Sum, new: bool) {
    let kind = match &sum.value {
        Cumulative::Counter(_) => COUNTER,
        Cumulative::Gauge(..) | Cumulative::Mean(_) => GAUGE,
        Cumulative::Histogram(histogram) if histogram.native.is_some() => HISTOGRAM | NATIVE,
        Cumulative::Histogram(_) => HISTOGRAM,
    };
    out.push(kind | if new { NEW } else { 0 });
    if new {
        put(out, sum.labels.len() as u64);
        for (name, value) in sum.labels.iter() {
            put_text(out, name);
            put_text(out, value);
        }
        put_signed(out, sum.created_ms);
    }
    match &sum.value {
        Cumulative::Counter(sum) => put_number(out, 0, 0.0, *sum),
        Cumulative::Gauge(value, at_ms) => {
            put_number(out, 0, 0.0, *value);
            put_signed(out, *at_ms);
        }
        // Means over the last minutes are not kept; deriving does not journal them either.
        Cumulative::Mean(_) => {
            put_number(out, 0, 0.0, 0.0);
            put_signed(out, i64::MIN);
        }
        Cumulative::Histogram(histogram) => {
            put(out, histogram.classic.len() as u64);
            histogram.classic.iter().for_each(|&count| put(out, count));
            put_number(out, 0, 0.0, histogram.sum);
            put(out, histogram.count);
            if let Some(native) = &histogram.native {
                let (schema, zero, positive, negative) = native.parts();
                put_signed(out, schema.into());
                put(out, zero);
                for side in [positive, negative] {
                    put(out, side.len() as u64);
                    let mut before = 0;
                    for (index, count) in side {
                        put_signed(out, i64::from(index) - before);
                        before = index.into();
                        put(out, count);
                    }
                }
            }
        }
    }
}

fn read_value(reader: &mut Reader, what: u8) -> Option<Cumulative> {
    Some(match what & KIND {
        COUNTER => Cumulative::Counter(number(reader, 0.0)?.1),
        GAUGE => Cumulative::Gauge(number(reader, 0.0)?.1, reader.signed()?),
        HISTOGRAM => {
            let classic: Option<Vec<u64>> = (0..reader.get()?).map(|_| reader.get()).collect();
            let (classic, sum, count) = (classic?, number(reader, 0.0)?.1, reader.get()?);
            let native = match what & NATIVE {
                0 => None,
                _ => {
                    let (schema, zero) = (i8::try_from(reader.signed()?).ok()?, reader.get()?);
                    let (positive, negative) = (read_side(reader)?, read_side(reader)?);
                    Some(Counts::of_parts(schema, zero, positive, negative))
                }
            };
            Cumulative::Histogram(Box::new(Histogram { classic, native, sum, count }))
        }
        _ => return None,
    })
}

fn read_side(reader: &mut Reader) -> Option<Vec<(i32, u64)>> {
    let mut before = 0_i64;
    let one = |reader: &mut Reader, before: &mut i64| {
        *before = before.checked_add(reader.signed()?)?;
        Some((i32::try_from(*before).ok()?, reader.get()?))
    };
    (0..reader.get()?).map(|_| one(reader, &mut before)).collect()
}

/// The records of one file, in memory.
struct Records {
    bytes: Vec<u8>,
    /// Of each record: its generation, whether the positions are then those that are wanted, and where
    /// its payload stands.
    all: Vec<(u64, bool, Range<usize>)>,
}

impl Records {
    fn read(path: &Path, wanted: Option<&BTreeMap<String, String>>) -> io::Result<Records> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        };
        let mut records = Records { bytes, all: Vec::new() };
        if !records.bytes.is_empty() && !records.bytes.starts_with(HEADER) {
            tracing::warn!(path = %path.display(), "a book of derived metrics is none of this version: it is left out");
            return Ok(records);
        }
        let (mut at, mut positions) = (HEADER.len(), BTreeMap::new());
        while at < records.bytes.len() {
            let Some(payload) = payload(&records.bytes, at) else {
                tracing::info!(path = %path.display(), "a book of derived metrics ends in the middle of a record");
                break;
            };
            let mut reader = Reader(&records.bytes[payload.clone()]);
            let Some(generation) = reader.get().filter(|_| read_positions(&mut reader, &mut positions).is_some())
            else {
                break;
            };
            at = payload.end;
            records.all.push((generation, wanted.is_none_or(|wanted| positions == *wanted), payload));
        }
        Ok(records)
    }

    /// Positions and series as of a generation.
    fn at(&self, generation: u64) -> (BTreeMap<String, String>, Vec<Kept>) {
        let (mut positions, mut all) = (BTreeMap::new(), BTreeMap::new());
        for (_, _, payload) in self.all.iter().take_while(|(at, ..)| *at <= generation) {
            let mut reader = Reader(&self.bytes[payload.clone()]);
            let whole = reader.get().and_then(|_| read_positions(&mut reader, &mut positions));
            if whole.and_then(|()| read_series(&mut reader, &mut all)).is_none() {
                // Its checksum holds, so only a mistake of ours can come here.
                tracing::error!("BUG: a record of a book of derived metrics can't be read");
                break;
            }
        }
        (positions, all.into_values().collect())
    }
}

/// Where the payload of the record at `at` stands, if it is whole.
fn payload(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let head = bytes.get(at..at + 8)?;
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let payload = at + 8..(at + 8).checked_add(word(0) as usize)?;
    (crc32fast::hash(bytes.get(payload.clone())?) == word(4)).then_some(payload)
}

fn read_positions(reader: &mut Reader, positions: &mut BTreeMap<String, String>) -> Option<()> {
    for _ in 0..reader.get()? {
        let (source, value) = (reader.text()?, reader.text()?);
        match value.is_empty() {
            true => positions.remove(source),
            false => positions.insert(source.to_owned(), value.to_owned()),
        };
    }
    Some(())
}

fn read_series(reader: &mut Reader, all: &mut BTreeMap<u32, Kept>) -> Option<()> {
    for _ in 0..reader.get()? {
        all.remove(&u32::try_from(reader.get()?).ok()?);
    }
    let mut at = 0_u64;
    for _ in 0..reader.get()? {
        at = at.checked_add(reader.get()?)?;
        let number = u32::try_from(at).ok()?;
        let what = reader.byte()?;
        if what & NEW == 0 {
            let value = read_value(reader, what)?;
            all.get_mut(&number)?.value = value;
            continue;
        }
        let pairs: Option<Vec<(&str, &str)>> =
            (0..reader.get()?).map(|_| Some((reader.text()?, reader.text()?))).collect();
        let (labels, created_ms) = (Labels::new(pairs?), reader.signed()?);
        all.insert(number, Kept { labels, created_ms, value: read_value(reader, what)? });
    }
    Some(())
}

/// A value that was kept, if it has the form of `like`, a new one of the family as it is now.
pub(super) fn fits(value: Cumulative, like: &Cumulative) -> Option<Cumulative> {
    let same = match (&value, like) {
        (Cumulative::Counter(_), Cumulative::Counter(_)) | (Cumulative::Gauge(..), Cumulative::Gauge(..)) => true,
        (Cumulative::Histogram(kept), Cumulative::Histogram(form)) => {
            kept.classic.len() == form.classic.len() && kept.native.is_some() == form.native.is_some()
        }
        _ => false,
    };
    same.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::super::exponential::Tally;
    use super::*;

    fn round(value: Cumulative) {
        let labels = Labels::new([("__name__", "a"), ("b", "c")]);
        let sum = Sum::new(labels.clone(), -5, value.clone());
        let mut out = Vec::new();
        put_sum(&mut out, &sum, false);
        let mut reader = Reader(&out);
        let what = reader.byte().unwrap();
        assert_eq!(read_value(&mut reader, what), Some(value));
        assert!(reader.0.is_empty());
    }

    #[test]
    fn values_come_back() {
        round(Cumulative::Counter(0.1 + 0.2));
        round(Cumulative::Counter(12_345.0));
        round(Cumulative::Gauge(-0.5, 1_700_000_000_000));
        round(Cumulative::Gauge(f64::NEG_INFINITY, i64::MIN));
        let mut native = Counts::default();
        native.add(&Tally { positive: vec![(5, 2), (-1_000, 1)], negative: vec![(7, 1)], zero: 3, coarser: 0 });
        let histogram = Histogram { classic: vec![0, 3, 1], native: Some(native), sum: 4.75, count: 4 };
        round(Cumulative::Histogram(Box::new(histogram.clone())));
        round(Cumulative::Histogram(Box::new(Histogram { native: None, ..histogram })));
    }

    /// Cut off or changed anywhere: what is before it stays, and nothing panics.
    #[test]
    fn what_cannot_be_read_is_not_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = [0, 1].map(|at| folder.path().join(at.to_string()));
        fs::create_dir(&files[1]).unwrap();
        let error = Ledger::open(files.clone(), None).err().expect("a folder is no book");
        assert!(error.to_string().contains(&*files[1].to_string_lossy()), "{error}");
    }

    #[test]
    fn a_torn_file_gives_its_whole_records() {
        let folder = tempfile::tempdir().unwrap();
        let files = [0, 1].map(|at| folder.path().join(at.to_string()));
        let mut ledger = Ledger::new(files.clone());
        let (mut sums, mut positions) = (Sums::default(), BTreeMap::new());
        let mut ends = Vec::new();
        for n in 0..4 {
            sums.insert(Labels::new([("n", &n.to_string())]), n, Cumulative::Counter(n as f64));
            positions.insert("s".to_owned(), n.to_string());
            let record = ledger.record(&mut sums, &positions, &["s".to_owned()]);
            ledger.write(record).unwrap();
            ends.push(fs::metadata(&files[0]).unwrap().len() as usize);
        }
        let whole = fs::read(&files[0]).unwrap();
        for cut in 0..whole.len() {
            let mut bytes = whole[..cut].to_vec();
            let records = ends.iter().filter(|end| **end <= cut).count();
            fs::write(&files[0], &bytes).unwrap();
            assert_eq!(Records::read(&files[0], None).unwrap().all.len(), records, "cut at {cut}");
            let wanted = BTreeMap::from([("s".to_owned(), "1".to_owned())]);
            let (_, found) = Ledger::open(files.clone(), Some(&wanted)).unwrap();
            assert_eq!(found.fits, records == 0 || records >= 2, "cut at {cut}");
            assert_eq!(found.kept.len(), records.min(2), "cut at {cut}");
            if let Some(last) = bytes.last_mut() {
                *last ^= 0x40;
                fs::write(&files[0], &bytes).unwrap();
                let _does_not_panic = Ledger::open(files.clone(), None);
            }
        }
    }
}
