//! The fast way through a document: one pass from its text to entries, without a tape between.
//!
//! It leans on what log lines are like: the same names in the same order, short texts, few
//! escapes. It accepts valid JSON only, and declines on any doubt (a mistake, a depth or a
//! number out of bounds); then simd-json decides. A law in `laws.rs` holds it to simd-json's
//! answers.

use super::DEPTH_MAX;
use super::names::Names;
use super::parse::keep_last;
use crate::event::batch::LocalNames;
use crate::event::{Entry, FieldId, List, Span, Value};
use rustc_hash::FxHashSet;

/// Bytes that are looked at together. The text must be followed by as many.
const STEP: usize = 16;

/// The memory of a scan, kept from document to document.
#[derive(Default)]
pub(super) struct Scratch {
    /// The entries of the lists that are not complete, the innermost last.
    pending: Vec<Entry>,
    open: Vec<Level>,
    /// Texts that had escapes, without them. They go behind the arena.
    pub(super) unescaped: Vec<u8>,
    pub(super) seen: FxHashSet<FieldId>,
}

/// A list that is not complete.
#[derive(Clone, Copy)]
struct Level {
    /// Where its entries begin among the pending.
    base: usize,
    hash: bool,
    /// Ids seen in this hash, folded to 64 bits: a bit set twice may be a name set twice.
    seen: u64,
    /// Whether a name may stand there twice.
    doubled: bool,
}

/// What a scan found.
pub(super) struct Found {
    /// The array or hash at the top.
    pub(super) value: Value,
    /// Whether each name stands in its hash once.
    pub(super) once: bool,
    /// Whether the document goes over several lines.
    pub(super) lines: bool,
}

/// A document and where to put what is found.
pub(super) struct Input<'a> {
    /// The document and at least [`STEP`] bytes more.
    pub(super) text: &'a [u8],
    /// The length of the document.
    pub(super) len: usize,
    /// Where the document stands in the arena.
    pub(super) start: u32,
    /// Where the unescaped texts will stand in the arena.
    pub(super) unescaped: u32,
    pub(super) entries: &'a mut Vec<Entry>,
    pub(super) names: &'a mut Names,
    pub(super) local: &'a mut LocalNames,
    pub(super) scratch: &'a mut Scratch,
}

struct Scan<'a> {
    input: Input<'a>,
    at: usize,
    /// Not zero once a byte above 127 was seen in a text.
    high: u32,
    lines: bool,
    once: bool,
}

/// Scans a document that is an array or a hash; leaves `room` blank entries behind a hash.
pub(super) fn scan(input: Input<'_>, room: u32) -> Option<Found> {
    let before = input.entries.len();
    let mut scan = Scan { input, at: 0, high: 0, lines: false, once: true };
    let found = scan.document(room);
    if found.is_none() {
        scan.input.entries.truncate(before);
        scan.input.scratch.unescaped.clear();
    }
    found
}

impl Scan<'_> {
    fn document(&mut self, room: u32) -> Option<Found> {
        self.input.names.begin();
        self.input.scratch.open.clear();
        self.input.scratch.pending.clear();
        self.input.scratch.unescaped.clear();
        self.space()?;
        let mut level = match self.peek()? {
            b'{' => Level { base: 0, hash: true, seen: 0, doubled: false },
            b'[' => Level { base: 0, hash: false, seen: 0, doubled: false },
            _ => return None,
        };
        self.at += 1;
        let mut complete = self.is_empty(level.hash)?;
        loop {
            while complete {
                let value = self.close(level, room);
                match self.input.scratch.open.pop() {
                    None => return self.finish(value),
                    Some(outer) => level = outer,
                }
                self.input.scratch.pending.last_mut().expect("BUG: a list without its entry").value = value;
                complete = self.is_last(level.hash)?;
            }
            let key = if level.hash { self.key(&mut level)? } else { FieldId::EMPTY };
            let raw = if room > 0 && self.input.scratch.open.is_empty() {
                (self.input.scratch.pending.len() + 1) as u32
            } else {
                0
            };
            let first = self.peek()?;
            // Each kind pushes by itself: a value that travels through memory on its way costs
            // more than all the rest.
            match first {
                b'"' => {
                    let text = self.string()?;
                    self.push(key, raw, Value::Str(text));
                }
                b'-' | b'0'..=b'9' => match self.whole_number()? {
                    Ok(number) => self.push(key, raw, Value::Int(number)),
                    Err(from) => {
                        let number = self.long_number(from)?;
                        self.push(key, raw, number);
                    }
                },
                b'{' | b'[' => {
                    if self.input.scratch.open.len() + 1 >= DEPTH_MAX {
                        return None;
                    }
                    self.at += 1;
                    self.push(key, raw, Value::Null);
                    self.input.scratch.open.push(level);
                    let base = self.input.scratch.pending.len();
                    level = Level { base, hash: first == b'{', seen: 0, doubled: false };
                    complete = self.is_empty(level.hash)?;
                    continue;
                }
                b't' => self.word(b"true").map(|()| self.push(key, raw, Value::Bool(true)))?,
                b'f' => self.word(b"false").map(|()| self.push(key, raw, Value::Bool(false)))?,
                b'n' => self.word(b"null").map(|()| self.push(key, raw, Value::Null))?,
                _ => return None,
            }
            complete = self.is_last(level.hash)?;
        }
    }

    #[inline]
    fn push(&mut self, key: FieldId, raw: u32, value: Value) {
        self.input.scratch.pending.push(Entry { key, raw, value });
    }

    fn finish(&mut self, value: Value) -> Option<Found> {
        self.space_to_end()?;
        if self.high != 0 {
            simdutf8::basic::from_utf8(&self.input.text[..self.input.len]).ok()?;
        }
        Some(Found { value, once: self.once, lines: self.lines })
    }

    /// Moves the entries of a list that is complete to where they stay.
    #[inline]
    fn close(&mut self, level: Level, room: u32) -> Value {
        let start = self.input.entries.len();
        self.input.entries.extend_from_slice(&self.input.scratch.pending[level.base..]);
        self.input.scratch.pending.truncate(level.base);
        if level.doubled
            && let Some(len) = keep_last(&mut self.input.entries[start..], &mut self.input.scratch.seen)
        {
            self.input.entries.truncate(start + len);
            self.once = false;
        }
        let list = List { start: start as u32, len: (self.input.entries.len() - start) as u32 };
        if !level.hash {
            return Value::Array(list);
        }
        if self.input.scratch.open.is_empty() {
            let blank = Entry::new(FieldId::EMPTY, Value::Null);
            self.input.entries.resize(self.input.entries.len() + room as usize, blank);
        }
        Value::Object(list)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        if self.at < self.input.len { Some(self.input.text[self.at]) } else { None }
    }

    /// Steps over white space, of which there mostly is none; something must follow.
    #[inline]
    fn space(&mut self) -> Option<()> {
        if self.peek()? > b' ' {
            return Some(());
        }
        self.skip_space();
        if self.at < self.input.len { Some(()) } else { None }
    }

    fn space_to_end(&mut self) -> Option<()> {
        self.skip_space();
        (self.at == self.input.len).then_some(())
    }

    fn skip_space(&mut self) {
        while let Some(byte @ (b' ' | b'\t' | b'\r' | b'\n')) = self.peek() {
            self.lines |= byte == b'\n';
            self.at += 1;
        }
    }

    /// Behind an opening bracket: whether the list ends here.
    #[inline]
    fn is_empty(&mut self, hash: bool) -> Option<bool> {
        self.space()?;
        let empty = self.input.text[self.at] == if hash { b'}' } else { b']' };
        self.at += empty as usize;
        Some(empty)
    }

    /// Behind a value: whether the list ends here. Where not, steps to the next member.
    #[inline]
    fn is_last(&mut self, hash: bool) -> Option<bool> {
        self.space()?;
        let byte = self.input.text[self.at];
        self.at += 1;
        if byte == b',' {
            self.space()?;
            return Some(false);
        }
        (byte == if hash { b'}' } else { b']' }).then_some(true)
    }

    /// A name and its colon; stands at the value then.
    #[inline]
    fn key(&mut self, level: &mut Level) -> Option<FieldId> {
        let key = match self.input.names.guess(&self.input.text[self.at..]) {
            Some((key, len)) if self.at + len < self.input.len => {
                self.at += len;
                key
            }
            _ => self.new_key()?,
        };
        let bit = 1 << (key.0 & 63);
        level.doubled |= level.seen & bit != 0;
        level.seen |= bit;
        self.space()?;
        if self.input.text[self.at] != b':' {
            return None;
        }
        self.at += 1;
        self.space()?;
        Some(key)
    }

    #[cold]
    fn new_key(&mut self) -> Option<FieldId> {
        if self.peek()? != b'"' {
            return None;
        }
        let before = self.input.scratch.unescaped.len();
        let span = self.string()?;
        let name = if span.start >= self.input.unescaped {
            &self.input.scratch.unescaped[before..]
        } else {
            &self.input.text[(span.start - self.input.start) as usize..][..span.len as usize]
        };
        // It may have been half of a character; nothing is known to be UTF-8 before the end.
        Some(self.input.names.id(std::str::from_utf8(name).ok()?, self.input.local))
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let end = self.at + word.len();
        if end > self.input.len || &self.input.text[self.at..end] != word {
            return None;
        }
        self.at = end;
        Some(())
    }

    /// A text, from its opening quote on.
    #[inline(always)]
    fn string(&mut self) -> Option<Span> {
        self.at += 1;
        let from = self.at;
        let stop = self.stop()?;
        if self.input.text[stop] != b'"' {
            return self.escaped(from, stop);
        }
        self.at = stop + 1;
        Some(Span { start: self.input.start + from as u32, len: (stop - from) as u32 })
    }

    /// Where the next quote, backslash or control character stands.
    #[inline]
    fn stop(&mut self) -> Option<usize> {
        let mut at = self.at;
        loop {
            let chunk = self.input.text.get(at..at + STEP)?.try_into().expect("BUG: a step of bytes");
            let (stops, high) = look(chunk);
            if stops != 0 {
                let stop = stops.trailing_zeros();
                self.high |= high & ((1 << stop) - 1);
                at += stop as usize;
                return if at < self.input.len { Some(at) } else { None };
            }
            self.high |= high;
            at += STEP;
        }
    }

    /// The rest of a text that has an escape, which stands at `stop`.
    #[inline(never)]
    fn escaped(&mut self, from: usize, mut stop: usize) -> Option<Span> {
        let before = self.input.scratch.unescaped.len();
        let mut copied = from;
        while self.input.text[stop] != b'"' {
            if self.input.text[stop] != b'\\' {
                return None;
            }
            self.input.scratch.unescaped.extend_from_slice(&self.input.text[copied..stop]);
            self.at = stop + 1;
            self.escape()?;
            copied = self.at;
            stop = self.stop()?;
        }
        self.input.scratch.unescaped.extend_from_slice(&self.input.text[copied..stop]);
        self.at = stop + 1;
        let len = self.input.scratch.unescaped.len() - before;
        Some(Span { start: self.input.unescaped + before as u32, len: len as u32 })
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Option<()> {
        let byte = match self.peek()? {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 0x08,
            b'f' => 0x0c,
            b'u' => return self.unicode(),
            _ => return None,
        };
        self.at += 1;
        self.input.scratch.unescaped.push(byte);
        Some(())
    }

    /// `u` and four digits, twice where they are half of a character.
    fn unicode(&mut self) -> Option<()> {
        let mut code = self.unit()?;
        if (0xD800..0xDC00).contains(&code) {
            if self.peek()? != b'\\' {
                return None;
            }
            self.at += 1;
            let low = self.unit()?;
            if !(0xDC00..0xE000).contains(&low) {
                return None;
            }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        let mut buffer = [0; 4];
        self.input.scratch.unescaped.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
        Some(())
    }

    fn unit(&mut self) -> Option<u32> {
        if self.peek()? != b'u' || self.at + 5 > self.input.len {
            return None;
        }
        let mut code = 0;
        for &digit in &self.input.text[self.at + 1..self.at + 5] {
            code = code << 4 | (digit as char).to_digit(16)?;
        }
        self.at += 5;
        Some(code)
    }

    /// A number up to 18 digits; else where it begins, for [`Scan::long_number`].
    #[inline]
    fn whole_number(&mut self) -> Option<Result<i64, usize>> {
        let from = self.at;
        let negative = self.input.text[from] == b'-';
        self.at += negative as usize;
        let first = self.at;
        let mut number: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.wrapping_mul(10).wrapping_add((digit - b'0') as i64);
            self.at += 1;
        }
        let digits = self.at - first;
        if digits == 0 || digits > 1 && self.input.text[first] == b'0' {
            return None;
        }
        if digits > 18 || matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            return Some(Err(from));
        }
        Some(Ok(if negative { -number } else { number }))
    }

    /// A number with a fraction or an exponent, or of many digits; the whole part is behind us.
    fn long_number(&mut self, from: usize) -> Option<Value> {
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            whole = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = std::str::from_utf8(&self.input.text[from..self.at]).ok()?;
        if whole && let Ok(number) = text.parse() {
            return Some(Value::Int(number));
        }
        if whole && let Ok(number) = text.parse() {
            return Some(Value::Uint(number));
        }
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float)
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }
}

/// Which of the bytes are quotes, backslashes or control characters, and which are above 127:
/// a bit each, the first byte's lowest.
#[cfg(target_arch = "x86_64")]
#[inline]
fn look(chunk: &[u8; STEP]) -> (u32, u32) {
    use std::arch::x86_64::*;
    // SAFETY: SSE2 is part of x86-64, and the load reads the 16 bytes of `chunk` alone.
    unsafe {
        let bytes = _mm_loadu_si128(chunk.as_ptr().cast());
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        let stops = _mm_or_si128(_mm_or_si128(quote, backslash), control);
        (_mm_movemask_epi8(stops) as u32, _mm_movemask_epi8(bytes) as u32)
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn look(chunk: &[u8; STEP]) -> (u32, u32) {
    let (mut stops, mut high) = (0, 0);
    for (at, &byte) in chunk.iter().enumerate() {
        stops |= ((byte < 0x20 || byte == b'"' || byte == b'\\') as u32) << at;
        high |= ((byte >> 7) as u32) << at;
    }
    (stops, high)
}
