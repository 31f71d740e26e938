//! What was written to the window, on disk, so that a restart finds it again.
//!
//! ```text
//! FOLDER/00000007.log
//!   logboom series 1\n
//!   record…        length u32 · crc32 of what follows u32 · packed u8 · payload
//! payload (zstd if packed):
//!   time · interval · source · new label sets · order · changes
//!     label sets   count, each: pairs, each: name, value; numbered from 0 on within the file
//!     order        0: the series of the source's last record, else their count + 1 and numbers
//!     changes      a bit for each series, then for each that is set: what and value
//! ```
//!
//! Crash argument: records are appended and never changed; a new process begins a new file. A
//! record counts only if it is whole and its checksum holds, so a torn tail is left out, and with it
//! at most the last write (the page cache keeps what a killed process wrote; after a power cut what
//! came since the last sync is missing, up to [`SYNC_TIME`]). Each file stands for itself: numbers
//! and last values begin anew, so that old files are deleted one by one as they leave the window.

use super::Written;
use super::chunk::{put_histogram, read_histogram};
use super::order::Follow;
use crate::series::bytes::{Reader, put, put_number, put_signed, put_text};
use crate::series::{Labels, Value};
use rustc_hash::FxHashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const HEADER: &[u8] = b"logboom series 1\n";
/// Payloads from this length on are packed.
const PACK_BYTES: usize = 256;
/// A record that says that it is longer is no record.
const RECORD_BYTES_MAX: u32 = 1 << 30;
/// A file that is longer is followed by a new one.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// How often what was written is made safe against a power cut.
const SYNC_TIME: Duration = Duration::from_secs(10);

const FLOAT: u8 = 0;
const HISTOGRAM: u8 = 1;
const SILENT: u8 = 2;
const BORN: u8 = 4;

/// One write, as it was given to the window.
pub(super) struct Entry {
    pub(super) source: String,
    pub(super) at_ms: i64,
    pub(super) interval_ms: i64,
    pub(super) samples: Vec<Written>,
}

/// The label sets, orders and last values of one file, which both sides keep alike.
#[derive(Default)]
struct Dictionary {
    labels: Vec<Labels>,
    last: Vec<Option<Value>>,
    orders: FxHashMap<String, Vec<u32>>,
}

/// The file that is written.
pub(super) struct Log {
    folder: PathBuf,
    file: File,
    number: u64,
    length: u64,
    first_ms: Option<i64>,
    /// How much time one file takes in.
    span_ms: i64,
    dictionary: Dictionary,
    ids: FxHashMap<Labels, u32>,
    synced: Instant,
    /// Older files, with the time of their last record.
    old: Vec<(PathBuf, i64)>,
}

impl Log {
    /// Gives every entry of the files in `folder`, then begins a new file there.
    pub(super) fn open(folder: &Path, retention_ms: i64, mut each: impl FnMut(Entry)) -> io::Result<Log> {
        fs::create_dir_all(folder)?;
        let mut files: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
            if let Ok(number) = stem.parse() {
                files.push((number, path));
            }
        }
        files.sort();
        let number = files.last().map_or(0, |(number, _)| number + 1);
        let mut old = Vec::new();
        for (_, path) in files {
            let mut last_ms = i64::MIN;
            replay(&path, |entry| {
                last_ms = last_ms.max(entry.at_ms);
                each(entry);
            })?;
            old.push((path, last_ms));
        }
        let file = begin(folder, number)?;
        Ok(Log {
            folder: folder.to_owned(),
            file,
            number,
            length: 0,
            first_ms: None,
            span_ms: (retention_ms / 8).max(1),
            dictionary: Dictionary::default(),
            ids: FxHashMap::default(),
            synced: Instant::now(),
            old,
        })
    }

    /// Appends an entry.
    pub(super) fn append(&mut self, source: &str, at_ms: i64, interval_ms: i64, samples: &[Written]) -> io::Result<()> {
        let first = *self.first_ms.get_or_insert(at_ms);
        if at_ms - first >= self.span_ms || self.length >= FILE_BYTES_MAX {
            self.turn(at_ms)?;
        }
        let payload = self.payload(source, at_ms, interval_ms, samples);
        let packed = payload.len() >= PACK_BYTES;
        let payload = if packed { zstd::bulk::compress(&payload, 1)? } else { payload };
        let mut record = Vec::with_capacity(payload.len() + 9);
        record.extend_from_slice(&(payload.len() as u32 + 1).to_le_bytes());
        record.extend_from_slice(&[0; 4]);
        record.push(packed.into());
        record.extend_from_slice(&payload);
        let sum = crc32fast::hash(&record[8..]);
        record[4..8].copy_from_slice(&sum.to_le_bytes());
        self.file.write_all(&record)?;
        self.length += record.len() as u64;
        if self.synced.elapsed() >= SYNC_TIME {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes what was written safe against a power cut.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.synced = Instant::now();
        self.file.sync_data()
    }

    /// Deletes files that hold nothing newer than `least_ms`.
    pub(super) fn trim(&mut self, least_ms: i64) {
        self.old.retain(|(path, last_ms)| {
            // One that can't be deleted is tried again.
            *last_ms >= least_ms || fs::remove_file(path).is_err()
        });
    }

    /// Begins a new file: after a failed write, nothing can stand behind what may be torn.
    pub(super) fn turn(&mut self, at_ms: i64) -> io::Result<()> {
        let file = begin(&self.folder, self.number + 1)?;
        let before = std::mem::replace(&mut self.file, file);
        self.old.push((self.folder.join(name(self.number)), at_ms));
        self.number += 1;
        (self.length, self.first_ms) = (0, Some(at_ms));
        self.dictionary = Dictionary::default();
        self.ids.clear();
        before.sync_data()
    }

    fn payload(&mut self, source: &str, at_ms: i64, interval_ms: i64, samples: &[Written]) -> Vec<u8> {
        let (mut out, mut new, mut fresh) = (Vec::new(), Vec::new(), 0);
        let mut order = Vec::with_capacity(samples.len());
        let before = self.dictionary.orders.remove(source).unwrap_or_default();
        let mut follow = Follow::new(&before);
        for Written { labels, .. } in samples {
            let next = self.dictionary.labels.len() as u32;
            let id = match follow.next(|id| self.dictionary.labels[id as usize] == *labels) {
                Some(id) => id,
                None => *self.ids.entry(labels.clone()).or_insert(next),
            };
            if id == next {
                self.dictionary.add(labels.clone());
                fresh += 1;
                put(&mut new, labels.len() as u64);
                for (name, value) in labels.iter() {
                    put_text(&mut new, name);
                    put_text(&mut new, value);
                }
            }
            order.push(id);
        }
        put_signed(&mut out, at_ms);
        put_signed(&mut out, interval_ms);
        put_text(&mut out, source);
        put(&mut out, fresh);
        out.extend_from_slice(&new);
        if !before.is_empty() && before == order {
            out.push(0);
        } else {
            put(&mut out, order.len() as u64 + 1);
            let mut before = 0;
            for &id in &order {
                put_signed(&mut out, i64::from(id) - before);
                before = i64::from(id) + 1;
            }
        }
        self.changes(&order, samples, &mut out);
        self.dictionary.orders.insert(source.to_owned(), order);
        out
    }

    fn changes(&mut self, order: &[u32], samples: &[Written], out: &mut Vec<u8>) {
        let last = &mut self.dictionary.last;
        let same = |last: &Option<Value>, sample: &Written| {
            !sample.born && matches!((last, &sample.value), (Some(a), Some(b)) if same(a, b))
        };
        for (ids, samples) in order.chunks(8).zip(samples.chunks(8)) {
            let changed = ids.iter().zip(samples).enumerate().filter(|(_, (id, s))| !same(&last[**id as usize], s));
            out.push(changed.fold(0, |byte, (at, _)| byte | 1 << at));
        }
        for (&id, sample) in order.iter().zip(samples) {
            let last = &mut last[id as usize];
            if same(last, sample) {
                continue;
            }
            let born = if sample.born { BORN } else { 0 };
            match &sample.value {
                None => out.push(SILENT),
                Some(Value::Float(value)) => {
                    out.push(FLOAT | born);
                    put_number(out, 0, last.as_ref().and_then(Value::float).unwrap_or(0.0), *value);
                }
                Some(Value::Histogram(histogram)) => {
                    out.push(HISTOGRAM | born);
                    put_histogram(out, histogram);
                }
            }
            if sample.value.is_some() {
                last.clone_from(&sample.value);
            }
        }
    }
}

impl Dictionary {
    fn add(&mut self, labels: Labels) {
        self.labels.push(labels);
        self.last.push(None);
    }

    fn read(&mut self, payload: &[u8]) -> Option<Entry> {
        let mut reader = Reader(payload);
        let (at_ms, interval_ms) = (reader.signed()?, reader.signed()?);
        let source = reader.text()?.to_owned();
        for _ in 0..reader.get()? {
            let pairs: Option<Vec<(&str, &str)>> =
                (0..reader.get()?).map(|_| Some((reader.text()?, reader.text()?))).collect();
            self.add(Labels::new(pairs?));
        }
        let count = reader.get()?;
        if count > 0 {
            let (mut order, mut before) = (Vec::new(), 0);
            for _ in 1..count {
                let id =
                    u32::try_from(before + reader.signed()?).ok().filter(|&id| (id as usize) < self.labels.len())?;
                order.push(id);
                before = i64::from(id) + 1;
            }
            self.orders.insert(source.clone(), order);
        }
        let order = self.orders.get(&source)?;
        let bits = reader.take(order.len().div_ceil(8))?;
        let mut samples = Vec::with_capacity(order.len());
        for (at, &id) in order.iter().enumerate() {
            let last = &mut self.last[id as usize];
            let (mut born, mut silent) = (false, false);
            if bits[at / 8] >> (at % 8) & 1 == 1 {
                let what = reader.byte()?;
                born = what & BORN != 0;
                match what & !BORN {
                    FLOAT => {
                        let before = last.as_ref().and_then(Value::float).unwrap_or(0.0);
                        *last = Some(crate::series::bytes::number(&mut reader, before)?.1.into());
                    }
                    HISTOGRAM => *last = Some(read_histogram(&mut reader)?.into()),
                    _ => silent = true,
                }
            }
            let value = if silent { None } else { last.clone() };
            samples.push(Written { labels: self.labels[id as usize].clone(), value, born });
        }
        Some(Entry { source, at_ms, interval_ms, samples })
    }
}

fn name(number: u64) -> String {
    format!("{number:08}.log")
}

fn begin(folder: &Path, number: u64) -> io::Result<File> {
    let mut file = File::create(folder.join(name(number)))?;
    file.write_all(HEADER)?;
    Ok(file)
}

/// Gives the entries of a file up to the first that is not whole.
fn replay(path: &Path, mut each: impl FnMut(Entry)) -> io::Result<()> {
    let mut file = io::BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut header = [0; HEADER.len()];
    if file.read_exact(&mut header).is_err() || header != HEADER {
        tracing::warn!(path = %path.display(), "cannot read a file of the series' window: it is left out");
        return Ok(());
    }
    let mut dictionary = Dictionary::default();
    let mut head = [0; 8];
    while file.read_exact(&mut head).is_ok() {
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, sum) = (word(0), word(4));
        let entry = (1..=RECORD_BYTES_MAX).contains(&length).then(|| {
            let mut record = Vec::new();
            (&mut file).take(length.into()).read_to_end(&mut record).ok()?;
            if record.len() != length as usize || crc32fast::hash(&record) != sum {
                return None;
            }
            match record[0] {
                0 => dictionary.read(&record[1..]),
                _ => dictionary.read(&zstd::decode_all(&record[1..]).ok()?),
            }
        });
        match entry.flatten() {
            Some(entry) => each(entry),
            None => {
                tracing::info!(path = %path.display(), "a file of the series' window ends in the middle of a record");
                break;
            }
        }
    }
    Ok(())
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Histogram(a), Value::Histogram(b)) => {
            let counts = |a: &[(i32, f64)], b: &[(i32, f64)]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && a.1.to_bits() == b.1.to_bits())
            };
            a.count.to_bits() == b.count.to_bits()
                && a.sum.to_bits() == b.sum.to_bits()
                && a.zero_count.to_bits() == b.zero_count.to_bits()
                && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
                && (a.schema, a.reset_hint) == (b.schema, b.reset_hint)
                && counts(&a.positive, &b.positive)
                && counts(&a.negative, &b.negative)
                && a.custom_values == b.custom_values
        }
        _ => false,
    }
}
