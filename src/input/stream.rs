//! Reads one stream of bytes into batches: standard input, and what else is one endless read.
//!
//! Bytes go straight into the arena of the batch and are cut there. A batch leaves when it is full
//! or when no more bytes are ready, so that a line that was written is never held back. With a
//! joiner (`multiline`) the bytes go through a buffer instead, since joining copies anyway.

use super::cut::{Cut, Cutter, Delimiter, FRAME_BYTES_MAX, TRUNCATED};
use crate::codec::Joiner;
use crate::event::{Batch, Frame, Origin, Span, Timestamp};
use crate::pipeline::Feed;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a blocked read looks whether the pipeline stops.
const STOP_CHECK: Duration = Duration::from_millis(50);
/// Bytes of one read.
const READ_MIN: usize = 8 << 10;
const READ_MAX: usize = 256 << 10;

/// One stream and its unfinished batch.
pub(super) struct Stream<'a> {
    feed: &'a Feed,
    origin: Arc<Origin>,
    cutter: Cutter,
    joiner: Option<Box<dyn Joiner>>,
    /// What a joiner reads from; unused without.
    buffer: Vec<u8>,
    batch: Batch,
    /// Bytes of a frame, on average: a read asks for about as many as fill the batch.
    frame_bytes: usize,
    last_read: Instant,
}

impl<'a> Stream<'a> {
    /// A stream whose events get the fields of `origin`.
    pub fn new(feed: &'a Feed, origin: Arc<Origin>) -> Stream<'a> {
        let delimiter = feed.delimiter.as_deref().map_or_else(Delimiter::none, |bytes| Delimiter::new(Some(bytes)));
        Stream {
            cutter: Cutter::new(delimiter, FRAME_BYTES_MAX),
            joiner: feed.joiner.as_ref().map(|make| make()),
            buffer: Vec::new(),
            batch: feed.batch(),
            frame_bytes: 256,
            last_read: Instant::now(),
            feed,
            origin,
        }
    }

    /// Reads to the end of the stream or until the pipeline stops. What was read is sent in both
    /// cases, the unfinished frame too, since nobody can read it again.
    pub fn run(mut self, fd: BorrowedFd) -> io::Result<()> {
        let result = self.read_all(fd);
        let buffer = if self.joiner.is_some() { &mut self.buffer } else { self.batch.bytes_mut() };
        if let Some(cut) = self.cutter.finish(buffer) {
            self.take(cut);
        }
        self.flush_joiner();
        self.send();
        result
    }

    fn read_all(&mut self, fd: BorrowedFd) -> io::Result<()> {
        while !self.feed.stopped() {
            if !ready(fd, self.patience())? {
                if self.joiner_is_due() {
                    self.flush_joiner();
                }
                self.send();
                continue;
            }
            let wanted = self.feed.batch_events.saturating_sub(self.batch.frames.len()) * self.frame_bytes;
            let buffer = if self.joiner.is_some() { &mut self.buffer } else { self.batch.bytes_mut() };
            match read(fd, buffer, wanted.clamp(READ_MIN, READ_MAX)) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
                Err(e) => return Err(e),
            }
            self.last_read = Instant::now();
            self.batch.read_at.get_or_insert_with(Timestamp::now);
            self.cut();
        }
        Ok(())
    }

    /// How long to wait for bytes: not at all while frames wait to be sent.
    fn patience(&self) -> Duration {
        if !self.batch.frames.is_empty() {
            return Duration::ZERO;
        }
        match self.joiner.as_ref().filter(|j| j.holds()).and_then(|j| j.flush_after()) {
            Some(after) => after.saturating_sub(self.last_read.elapsed()).min(STOP_CHECK),
            None => STOP_CHECK,
        }
    }

    fn cut(&mut self) {
        loop {
            let buffer = if self.joiner.is_some() { &mut self.buffer } else { self.batch.bytes_mut() };
            let Some(cut) = self.cutter.next(buffer) else { break };
            self.take(cut);
            if self.batch.frames.len() >= self.feed.batch_events {
                self.send();
            }
        }
        if self.joiner.is_some() {
            self.buffer.drain(..self.cutter.start());
            self.cutter.rebase();
        }
        if self.batch.bytes_mut().len() >= self.feed.batch_bytes {
            self.send();
        }
    }

    fn take(&mut self, cut: Cut) {
        let (batch, origin) = (&mut self.batch, &self.origin);
        match &mut self.joiner {
            None => {
                let tags: &[&str] = if cut.truncated { &[TRUNCATED] } else { &[] };
                push_frame(batch, origin, Span::new(cut.range.start, cut.range.end), tags);
            }
            Some(joiner) => joiner.push(&self.buffer[cut.range], &mut |bytes, tags| {
                let span = batch.push_bytes(bytes);
                push_frame(batch, origin, span, tags);
            }),
        }
    }

    fn joiner_is_due(&self) -> bool {
        let after = self.joiner.as_ref().filter(|j| j.holds()).and_then(|j| j.flush_after());
        after.is_some_and(|after| self.last_read.elapsed() >= after)
    }

    fn flush_joiner(&mut self) {
        let (batch, origin) = (&mut self.batch, &self.origin);
        if let Some(joiner) = &mut self.joiner {
            joiner.flush(&mut |bytes, tags| {
                let span = batch.push_bytes(bytes);
                push_frame(batch, origin, span, tags);
            });
        }
    }

    /// Sends the frames; the unfinished one moves to the next batch.
    fn send(&mut self) {
        let frames = self.batch.frames.len();
        if frames == 0 {
            return;
        }
        let mut next = self.feed.batch();
        let bytes = self.batch.bytes_mut();
        if self.joiner.is_none() {
            let start = self.cutter.start();
            next.bytes_mut().extend_from_slice(&bytes[start..]);
            bytes.truncate(start);
            self.cutter.rebase();
        }
        self.frame_bytes = (self.frame_bytes + bytes.len() / frames) / 2 + 1;
        // The rest was read by now, if there is one.
        let read_at = Timestamp::now();
        self.batch.read_at.get_or_insert(read_at);
        next.read_at = self.cutter.unfinished(next.bytes_mut()).then_some(read_at);
        self.feed.send(std::mem::replace(&mut self.batch, next), Vec::new());
    }
}

/// Adds a frame to a batch.
pub(super) fn push_frame(batch: &mut Batch, origin: &Arc<Origin>, bytes: Span, tags: &[&'static str]) {
    if !batch.origins.last().is_some_and(|last| Arc::ptr_eq(last, origin)) {
        batch.origins.push(origin.clone());
    }
    let tags = match tags {
        [] => 0,
        tags => match batch.frame_tags.iter().position(|t| **t == *tags) {
            Some(at) => at + 1,
            None => {
                batch.frame_tags.push(tags.into());
                batch.frame_tags.len()
            }
        },
    };
    let origin = batch.origins.len() as u32 - 1;
    batch.frames.push(Frame { bytes, origin, tags: tags as u32 });
}

/// Waits until a read would not block.
fn ready(fd: BorrowedFd, patience: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let millis = patience.as_micros().div_ceil(1000) as libc::c_int;
    // SAFETY: `poll` is one valid pollfd.
    match unsafe { libc::poll(&mut poll, 1, millis) } {
        -1 => match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => Ok(false),
            e => Err(e),
        },
        n => Ok(n > 0),
    }
}

/// Appends what one read gives, `max` bytes at the most; 0 at the end of the stream.
fn read(fd: BorrowedFd, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    // SAFETY: the pointer and the length describe memory that nobody else uses.
    append(buffer, max, |at, len| unsafe { libc::read(fd.as_raw_fd(), at, len) })
}

/// The same from a place in a file, whose own position stays.
pub(super) fn read_at(fd: BorrowedFd, buffer: &mut Vec<u8>, max: usize, offset: u64) -> io::Result<usize> {
    let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: the pointer and the length describe memory that nobody else uses.
    append(buffer, max, |at, len| unsafe { libc::pread(fd.as_raw_fd(), at, len, offset) })
}

/// Lets `call` fill up to `max` bytes behind the buffer's end, without zeroing them first.
fn append(
    buffer: &mut Vec<u8>,
    max: usize,
    call: impl Fn(*mut libc::c_void, usize) -> libc::ssize_t,
) -> io::Result<usize> {
    buffer.reserve(max);
    loop {
        let spare = &mut buffer.spare_capacity_mut()[..max];
        let n = call(spare.as_mut_ptr().cast(), max);
        if n >= 0 {
            // SAFETY: the kernel has filled `n` bytes behind the old length, within the capacity.
            unsafe { buffer.set_len(buffer.len() + n as usize) };
            return Ok(n as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Work;
    use std::io::Write;
    use std::os::fd::AsFd;

    fn lines(works: impl Iterator<Item = Work>) -> Vec<String> {
        let text = |work: Work| {
            let frames = work.batch.frames.clone();
            frames.into_iter().map(move |f| String::from_utf8_lossy(work.batch.bytes(f.bytes)).into_owned())
        };
        works.flat_map(text).collect()
    }

    #[test]
    fn every_line_arrives_once_however_it_is_written() {
        for (events, piece) in [(1, 1), (3, 7), (1000, 1000), (2, 100_000)] {
            let (feed, works) = Feed::for_test(events, Default::default());
            let (read, mut write) = io::pipe().unwrap();
            let text: String = (0..2000).map(|n| format!("line {n}\n")).chain(["last".to_owned()]).collect();
            let writer =
                std::thread::spawn(move || text.as_bytes().chunks(piece).for_each(|c| write.write_all(c).unwrap()));
            Stream::new(&feed, Arc::default()).run(read.as_fd()).unwrap();
            writer.join().unwrap();
            drop(feed);
            let expected: Vec<String> = (0..2000).map(|n| format!("line {n}")).chain(["last".to_owned()]).collect();
            assert_eq!(lines(works.into_iter()), expected, "{events} {piece}");
        }
    }

    #[test]
    fn a_line_is_handed_over_when_no_more_are_ready() {
        let (feed, works) = Feed::for_test(1000, Default::default());
        let (read, mut write) = io::pipe().unwrap();
        let stop = feed.stop();
        let reader = std::thread::spawn(move || Stream::new(&feed, Arc::default()).run(read.as_fd()));
        write.write_all(b"one\ntw").unwrap();
        let work = works.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(lines([work].into_iter()), ["one"]);
        stop.stop();
        reader.join().unwrap().unwrap();
        assert_eq!(lines(works.into_iter()), ["tw"], "what was read goes out at a stop");
    }
}
