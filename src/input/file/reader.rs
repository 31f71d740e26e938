//! Reads one file: chunks straight into the batch's arena, cut into lines there.
//!
//! A line that is not finished is not kept: its bytes are read again when there is more, so that a
//! thousand files cost no buffers. Only where it is long already are the new bytes searched for a
//! delimiter first.

use super::super::cut::{Cut, Cutter, Delimiter, FRAME_BYTES_MAX, TRUNCATED};
use super::super::stream::{push_frame, read_at};
use super::identity::{Id, Mark, Print};
use super::source::{Packing, Source};
use crate::codec::Joiner;
use crate::event::{Batch, Origin, Span, Timestamp};
use crate::pipeline::{Feed, Position};
use std::fs::Metadata;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

const READ_MIN: usize = 8 << 10;
const READ_MAX: usize = 256 << 10;
/// An unfinished line of more bytes is not read again before its delimiter has come.
const PROBE_BYTES: u64 = 64 << 10;

/// The batch that is being filled, from many files.
pub(super) struct Outgoing<'a> {
    pub feed: &'a Feed,
    pub batch: Batch,
    /// What moves with the batch.
    pub positions: Vec<Position>,
    /// Whether positions are kept at all.
    pub keep: bool,
    /// The number of the last batch sent.
    pub sent: Option<u64>,
    /// What joiners read from, and what is searched for delimiters.
    scratch: Vec<u8>,
}

impl<'a> Outgoing<'a> {
    pub fn new(feed: &'a Feed, keep: bool) -> Outgoing<'a> {
        Outgoing { feed, batch: feed.batch(), positions: Vec::new(), keep, sent: None, scratch: Vec::new() }
    }

    pub fn full(&mut self) -> bool {
        self.batch.frames.len() >= self.feed.batch_events || self.batch.bytes_mut().len() >= self.feed.batch_bytes
    }

    /// Lets a position move with the batch.
    pub fn note(&mut self, position: Position) {
        if self.keep {
            self.positions.push(position);
        }
    }

    /// Sends what there is.
    pub fn send(&mut self) {
        if self.batch.frames.is_empty() && self.positions.is_empty() {
            return;
        }
        self.batch.read_at.get_or_insert_with(Timestamp::now);
        let batch = std::mem::replace(&mut self.batch, self.feed.batch());
        self.sent = Some(self.feed.send(batch, std::mem::take(&mut self.positions)));
    }
}

/// What a turn came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// The limit of the turn; there is more to read.
    More,
    /// The end of the file, for now.
    End,
}

/// What is to be done with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Read it when there is more.
    Watched,
    /// It was read to its end in `read` mode; the batches before the number must become durable
    /// before it may be deleted. The number is known once the batch was sent.
    Read(Option<u64>),
    /// Nothing, unless it changes.
    Over,
}

/// One file and how far it was read.
pub(super) struct Reader {
    pub id: Id,
    pub path: PathBuf,
    pub packing: Packing,
    /// Open or not: closed files are opened again when they have more.
    pub source: Option<Source>,
    pub mark: Mark,
    /// Whether the path still names this file.
    pub attached: bool,
    /// There may be more to read.
    pub ready: bool,
    /// Size and time of change when it was last looked at.
    pub size: u64,
    pub changed: Option<std::time::SystemTime>,
    /// When something was last read.
    pub read: Instant,
    /// Trouble with it was logged.
    pub failed: bool,
    pub state: State,
    /// It may be a copy of another: since when it has which size.
    pub unproven: Option<(Instant, u64)>,
    origin: Arc<Origin>,
    cutter: Cutter,
    joiner: Option<Box<dyn Joiner>>,
    /// Where the event begins of which the joiner holds a part.
    held: Option<u64>,
    /// No delimiter ends between the offset and here.
    probed: u64,
    /// Bytes of a line, on average.
    line_bytes: usize,
    /// The end of the name of the position: the same for ever.
    key: Arc<str>,
}

impl Reader {
    pub fn new(feed: &Feed, path: PathBuf, meta: &Metadata, origin: Arc<Origin>, delimiter: Delimiter) -> Reader {
        let id = Id::of(meta);
        Reader {
            id,
            packing: Packing::of(&path),
            path,
            source: None,
            mark: Mark::default(),
            attached: true,
            ready: true,
            size: meta.len(),
            changed: meta.modified().ok(),
            read: Instant::now(),
            failed: false,
            state: State::Watched,
            unproven: None,
            origin,
            cutter: Cutter::new(delimiter, FRAME_BYTES_MAX),
            joiner: feed.joiner.as_ref().map(|make| make()),
            held: None,
            probed: 0,
            line_bytes: 256,
            key: format!("{}/{id}", feed.key).into(),
        }
    }

    /// Its position, as things stand.
    pub fn position(&mut self) -> Position {
        if !self.mark.head.full()
            && let Some(source) = &self.source
        {
            let read = match self.packing {
                Packing::Plain => self.mark.offset,
                _ => self.size,
            };
            self.mark.head = Print::head(source.file(), read).unwrap_or_default();
        }
        let value = serde_json::to_string(&self.mark_to_keep()).expect("BUG: a mark that is not JSON");
        Position { source: self.key.clone(), value: value.into() }
    }

    /// How far it was read, without what the joiner holds.
    pub fn mark_to_keep(&self) -> Mark {
        Mark {
            offset: self.held.unwrap_or(self.mark.offset),
            path: self.path.to_string_lossy().into_owned(),
            size: self.size,
            seen: Timestamp::now().seconds(),
            ..self.mark.clone()
        }
    }

    /// What makes its position be forgotten.
    pub fn forgotten(&self) -> Position {
        Position { source: self.key.clone(), value: "".into() }
    }

    /// Opens the file, if it is not.
    pub fn open(&mut self) -> io::Result<&mut Source> {
        if self.source.is_none() {
            let source = Source::open(&self.path, self.packing, self.mark.offset)?;
            let id = Id::of(&source.file().metadata()?);
            if id != self.id {
                return Err(io::Error::new(io::ErrorKind::NotFound, "another file has its path now"));
            }
            self.source = Some(source);
        }
        Ok(self.source.as_mut().expect("BUG: just opened"))
    }

    /// Goes on from a position that was kept.
    pub fn resume(&mut self, mark: Mark) {
        self.probed = mark.offset;
        self.mark = mark;
    }

    /// Whether the file was truncated or written anew since it was read.
    pub fn is_truncated(&self) -> bool {
        if self.packing != Packing::Plain {
            return false;
        }
        if self.size < self.mark.offset {
            return true;
        }
        let tail = self.mark.tail;
        match &self.source {
            _ if tail.len == 0 => false,
            Some(source) => !tail.holds(source.file()),
            None => std::fs::File::open(&self.path).is_ok_and(|file| !tail.holds(&file)),
        }
    }

    /// Begins anew: the file was truncated. What the joiner holds is complete.
    pub fn restart(&mut self, out: &mut Outgoing) {
        self.flush(out);
        self.mark = Mark { generation: self.mark.generation + 1, ..Mark::default() };
        self.probed = 0;
        self.ready = true;
    }

    /// Reads about `limit` bytes. At the end of a file that is `complete`, what has no delimiter
    /// is its last line.
    pub fn turn(&mut self, out: &mut Outgoing, limit: u64, complete: bool) -> io::Result<Turn> {
        let stop = self.mark.offset.saturating_add(limit);
        self.open()?;
        if !complete && !self.worth_reading(out)? {
            return Ok(Turn::End);
        }
        let before = self.mark.offset;
        let result = loop {
            if out.feed.stopped() {
                break Ok(Turn::More);
            }
            match self.chunk(out, complete) {
                Ok(true) => break Ok(Turn::End),
                Ok(false) => {}
                Err(e) => break Err(e),
            }
            if out.full() {
                let position = self.position();
                out.note(position);
                out.send();
            }
            if self.mark.offset >= stop {
                break Ok(Turn::More);
            }
        };
        let ended = complete && matches!(result, Ok(Turn::End));
        if ended {
            self.flush(out);
            self.mark.done = true;
        }
        if self.mark.offset != before {
            self.read = Instant::now();
        }
        if self.mark.offset != before || ended {
            let position = self.position();
            out.note(position);
        }
        result
    }

    /// Whether an unfinished line that is long already has its delimiter by now.
    fn worth_reading(&mut self, out: &mut Outgoing) -> io::Result<bool> {
        let Some(Source::Plain(file)) = &self.source else { return Ok(true) };
        if self.probed < self.mark.offset + PROBE_BYTES || self.mark.skipping {
            return Ok(true);
        }
        let delimiter = self.cutter.delimiter();
        while self.probed - self.mark.offset <= FRAME_BYTES_MAX as u64 {
            out.scratch.clear();
            let from = self.probed + 1 - delimiter.len() as u64;
            let n = read_at(file.as_fd(), &mut out.scratch, READ_MAX, from)?;
            if delimiter.find(&out.scratch).is_some() {
                return Ok(true);
            }
            if n < delimiter.len() {
                return Ok(false);
            }
            self.probed = from + n as u64;
        }
        Ok(true)
    }

    /// Reads and cuts until there is a line at least; true at the end of the file.
    fn chunk(&mut self, out: &mut Outgoing, complete: bool) -> io::Result<bool> {
        let joins = self.joiner.is_some();
        let mut buffer = std::mem::take(if joins { &mut out.scratch } else { out.batch.bytes_mut() });
        if joins {
            buffer.clear();
        }
        let result = self.fill(out, &mut buffer, complete);
        if joins {
            out.scratch = buffer;
        } else {
            *out.batch.bytes_mut() = buffer;
        }
        result
    }

    fn fill(&mut self, out: &mut Outgoing, buffer: &mut Vec<u8>, complete: bool) -> io::Result<bool> {
        let from = buffer.len();
        self.cutter.restart(from, self.mark.skipping);
        // Where the byte at `from` stands in the file, or would without what was dropped.
        let mut base = self.mark.offset;
        let wanted = out.feed.batch_events.saturating_sub(out.batch.frames.len()) * self.line_bytes;
        let mut lines = 0;
        let result = loop {
            let source = self.source.as_mut().expect("BUG: read from a closed file");
            match source.append(buffer, base + (buffer.len() - from) as u64, wanted.clamp(READ_MIN, READ_MAX)) {
                Err(e) => break Err(e),
                Ok(0) if complete => {
                    if let Some(cut) = self.cutter.finish(buffer) {
                        self.take(out, buffer, cut, base, from);
                    }
                    break Ok(true);
                }
                Ok(0) => break Ok(true),
                Ok(_) => {}
            }
            let before = buffer.len();
            while out.batch.frames.len() < out.feed.batch_events {
                let Some(cut) = self.cutter.next(buffer) else { break };
                self.take(out, buffer, cut, base, from);
                lines += 1;
            }
            base += (before - buffer.len()) as u64;
            if lines > 0 || self.cutter.skipping() {
                break Ok(false);
            }
        };
        let start = self.cutter.start();
        self.mark.offset = base + (start - from) as u64;
        self.mark.skipping = self.cutter.skipping();
        self.probed = base + (buffer.len() - from) as u64;
        if self.packing == Packing::Plain && start > from {
            self.mark.tail = match &self.source {
                // The last bytes are no more in the buffer.
                Some(source) if self.mark.skipping => Print::tail_of(source.file(), self.mark.offset)?,
                _ => Print::tail(&buffer[from..start], self.mark.offset),
            };
        }
        if let Some(average) = (start - from).checked_div(lines) {
            self.line_bytes = (self.line_bytes + average) / 2 + 1;
        }
        if let Some(source) = &mut self.source {
            source.give_back(&buffer[start..]);
        }
        buffer.truncate(start);
        result
    }

    /// Makes a line a frame, or gives it to the joiner.
    fn take(&mut self, out: &mut Outgoing, buffer: &[u8], cut: Cut, base: u64, from: usize) {
        out.batch.read_at.get_or_insert_with(Timestamp::now);
        let (start, mut end) = (cut.range.start, cut.range.end);
        if self.packing != Packing::Plain && end > start && buffer[end - 1] == b'\r' {
            end -= 1;
        }
        let (batch, origin) = (&mut out.batch, &self.origin);
        let Some(joiner) = &mut self.joiner else {
            let tags: &[&str] = if cut.truncated { &[TRUNCATED] } else { &[] };
            return push_frame(batch, origin, Span::new(start, end), tags);
        };
        let held = joiner.holds();
        let mut given = false;
        joiner.push(&buffer[start..end], &mut |bytes, tags| {
            given = true;
            let span = batch.push_bytes(bytes);
            push_frame(batch, origin, span, tags);
        });
        // What is held begins with this line, unless it began before and nothing was given out.
        self.held = match joiner.holds() {
            false => None,
            true if held && !given => self.held,
            true => Some(base + (start - from) as u64),
        };
    }

    /// Gives out what the joiner holds.
    pub fn flush(&mut self, out: &mut Outgoing) {
        let (batch, origin) = (&mut out.batch, &self.origin);
        let Some(joiner) = self.joiner.as_mut().filter(|j| j.holds()) else { return };
        joiner.flush(&mut |bytes, tags| {
            let span = batch.push_bytes(bytes);
            push_frame(batch, origin, span, tags);
        });
        self.held = None;
        let position = self.position();
        out.note(position);
    }

    /// When the joiner wants to be flushed, if it does.
    pub fn flush_at(&self) -> Option<Instant> {
        let joiner = self.joiner.as_ref().filter(|j| j.holds())?;
        Some(self.read + joiner.flush_after()?)
    }
}
