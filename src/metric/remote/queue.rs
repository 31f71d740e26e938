//! Requests that wait to be sent, on disk: a restart goes on with them.
//!
//! ```text
//! FOLDER/00000003.queue   record…: length u32 · crc32 of what follows u32 · samples u32 · request
//! FOLDER/done             the number of the file and the offset behind the last request that is done
//! ```
//!
//! Crash argument: a record counts only if it is whole and its checksum holds; `done` is replaced by
//! a rename. If the process dies between an answer and `done`, that one request is sent again, which
//! changes nothing: the receiver knows these samples of these times. A new process begins a new file,
//! so nothing stands behind a torn record.
//!
//! At [`Queue::bytes_max`] the oldest file goes, and its samples are counted as dropped: what is new
//! is worth more than what is old.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file of this length is followed by a new one.
const FILE_BYTES: u64 = 8 << 20;
/// A longer request is none.
const REQUEST_BYTES_MAX: u32 = 64 << 20;
const HEAD: usize = 12;

/// Requests in order.
pub(super) struct Queue {
    folder: PathBuf,
    bytes_max: u64,
    /// The files, oldest first, with their lengths.
    files: Vec<(u64, u64)>,
    write: File,
    /// Where the next request is read.
    read: (u64, u64),
    reader: Option<(u64, File)>,
    /// Samples that had to go.
    pub(super) dropped: u64,
}

/// A request that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub(super) samples: u32,
    pub(super) body: Vec<u8>,
    end: (u64, u64),
}

impl Queue {
    pub(super) fn open(folder: &Path, bytes_max: u64) -> io::Result<Queue> {
        fs::create_dir_all(folder)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
            if let (Some(number), Some("queue")) = (stem, path.extension().and_then(|e| e.to_str())) {
                files.push((number, entry.metadata()?.len()));
            }
        }
        files.sort_unstable();
        let next = files.last().map_or(1, |(number, _)| number + 1);
        let done = fs::read_to_string(folder.join("done")).ok().and_then(|text| {
            let (number, offset) = text.trim().split_once(' ')?;
            Some((number.parse().ok()?, offset.parse().ok()?))
        });
        let read = done.unwrap_or((files.first().map_or(next, |(number, _)| *number), 0));
        let write = File::create(folder.join(name(next)))?;
        files.push((next, 0));
        let mut queue = Queue { folder: folder.to_owned(), bytes_max, files, write, read, reader: None, dropped: 0 };
        queue.forget_read();
        Ok(queue)
    }

    /// Appends a request; what is oldest gives way where there is no room.
    pub(super) fn push(&mut self, samples: u32, body: &[u8]) -> io::Result<()> {
        let last = self.files.last().expect("BUG: a queue without a file").1;
        if last >= FILE_BYTES.min(self.bytes_max / 4).max(1) {
            let next = self.files.last().map_or(1, |(number, _)| number + 1);
            self.write = File::create(self.folder.join(name(next)))?;
            self.files.push((next, 0));
        }
        while self.bytes() + (HEAD + body.len()) as u64 > self.bytes_max && self.files.len() > 1 {
            self.drop_oldest();
        }
        let mut record = Vec::with_capacity(HEAD + body.len());
        record.extend_from_slice(&(body.len() as u32 + 4).to_le_bytes());
        record.extend_from_slice(&[0; 4]);
        record.extend_from_slice(&samples.to_le_bytes());
        record.extend_from_slice(body);
        let sum = crc32fast::hash(&record[8..]);
        record[4..8].copy_from_slice(&sum.to_le_bytes());
        let outcome = self.write.write_all(&record);
        if let Some(file) = self.files.last_mut() {
            // After a failed write, a part may be there: nothing may follow it.
            file.1 += if outcome.is_ok() { record.len() as u64 } else { FILE_BYTES };
        }
        outcome
    }

    /// The oldest request that is not done.
    pub(super) fn next(&mut self) -> Option<Request> {
        loop {
            let (number, offset) = self.read;
            if let Some(request) = self.read_at(number, offset) {
                return Some(request);
            }
            let newer = self.files.iter().map(|(number, _)| *number).find(|&other| other > number)?;
            // The file is through, or torn: on with the next.
            self.read = (newer, 0);
            self.forget_read();
        }
    }

    fn read_at(&mut self, number: u64, offset: u64) -> Option<Request> {
        if self.reader.as_ref().is_none_or(|(open, _)| *open != number) {
            self.reader = Some((number, File::open(self.folder.join(name(number))).ok()?));
        }
        let (_, file) = self.reader.as_mut()?;
        file.seek(SeekFrom::Start(offset)).ok()?;
        let mut head = [0; HEAD];
        file.read_exact(&mut head).ok()?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (length, sum, samples) = (word(0), word(4), word(8));
        if !(4..=REQUEST_BYTES_MAX).contains(&length) {
            return None;
        }
        let mut body = vec![0; length as usize - 4];
        file.read_exact(&mut body).ok()?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&head[8..]);
        hasher.update(&body);
        let end = (number, offset + u64::from(length) + 8);
        (hasher.finalize() == sum).then_some(Request { samples, body, end })
    }

    /// Says that a request need not be sent again.
    pub(super) fn done(&mut self, request: &Request) -> io::Result<()> {
        // It may have been dropped meanwhile.
        self.read = self.read.max(request.end);
        let new = self.folder.join("done.new");
        fs::write(&new, format!("{} {}\n", self.read.0, self.read.1))?;
        fs::rename(&new, self.folder.join("done"))?;
        self.forget_read();
        Ok(())
    }

    /// Deletes files before the one that is read.
    fn forget_read(&mut self) {
        let (folder, read) = (&self.folder, self.read.0);
        self.files.retain(|(number, _)| *number >= read || fs::remove_file(folder.join(name(*number))).is_err());
    }

    fn drop_oldest(&mut self) {
        let (number, _) = self.files[0];
        let mut offset = if self.read.0 == number { self.read.1 } else { 0 };
        while let Some(request) = self.read_at(number, offset) {
            self.dropped += u64::from(request.samples);
            offset = request.end.1;
        }
        self.reader = None;
        self.read = self.read.max((number + 1, 0));
        self.files.remove(0);
        let _gone = fs::remove_file(self.folder.join(name(number)));
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> u64 {
        let done = if self.files.first().is_some_and(|(number, _)| *number == self.read.0) { self.read.1 } else { 0 };
        self.bytes().saturating_sub(done)
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, length)| length).sum()
    }
}

fn name(number: u64) -> String {
    format!("{number:08}.queue")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_oldest_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(folder.path(), 4_000).unwrap();
        for n in 0..100_u8 {
            queue.push(2, &[n; 88]).unwrap();
        }
        assert!(queue.bytes() <= 4_000);
        let first = queue.next().unwrap();
        assert_eq!(queue.dropped, 2 * u64::from(first.body[0]));
        let mut seen = 0;
        while let Some(request) = queue.next() {
            seen = request.body[0];
            queue.done(&request).unwrap();
        }
        assert_eq!(seen, 99);
        assert!(queue.bytes() < 1_100, "files that were read are gone");
    }

    #[test]
    fn a_torn_record_ends_its_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        Queue::open(folder.path(), 1 << 20).unwrap().push(1, b"one").unwrap();
        let path = folder.path().join(name(1));
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&[9, 0, 0, 0, 1, 2]);
        fs::write(&path, bytes).unwrap();
        let mut queue = Queue::open(folder.path(), 1 << 20).unwrap();
        queue.push(1, b"two").unwrap();
        for want in [b"one", b"two"] {
            let request = queue.next().unwrap();
            assert_eq!(request.body, want);
            queue.done(&request).unwrap();
        }
        assert_eq!(queue.next(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn agrees_with_a_list_over_restarts(steps in prop::collection::vec(0..4_u8, 0..40)) {
            let folder = tempfile::tempdir().unwrap();
            let mut queue = Queue::open(folder.path(), 1 << 20).unwrap();
            let mut model = std::collections::VecDeque::new();
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => {
                        queue.push(1, &n.to_le_bytes()).unwrap();
                        model.push_back(n);
                    }
                    2 => {
                        let request = queue.next();
                        prop_assert_eq!(request.as_ref().map(|r| r.body.clone()), model.pop_front().map(|n| n.to_le_bytes().to_vec()));
                        if let Some(request) = request {
                            queue.done(&request).unwrap();
                        }
                    }
                    _ => queue = Queue::open(folder.path(), 1 << 20).unwrap(),
                }
            }
        }
    }
}
