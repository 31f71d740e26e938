//! Cuts a growing buffer at a delimiter. It copies nothing, and bytes are searched once, however
//! they arrive.
//!
//! A frame longer than the limit is cut off there, its rest dropped up to the next delimiter, and
//! the event tagged with [`TRUNCATED`]: no writer can make us hold more than that.

use memchr::memmem;
use std::ops::Range;

/// Bytes of one frame at the most; tests need not write that many.
pub(super) const FRAME_BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 100 << 20 };
/// The tag of an event that lost the end of its frame.
pub(super) const TRUNCATED: &str = "_linetruncated";

/// What ends a frame.
#[derive(Clone)]
pub(super) struct Delimiter {
    bytes: Box<[u8]>,
    finder: memmem::Finder<'static>,
}

impl Delimiter {
    /// None: whatever was read is a frame.
    pub fn none() -> Delimiter {
        Delimiter { bytes: Box::default(), finder: memmem::Finder::new(b"").into_owned() }
    }

    /// `bytes`, or a newline where they are missing or empty.
    pub fn new(bytes: Option<&[u8]>) -> Delimiter {
        let bytes = bytes.filter(|b| !b.is_empty()).unwrap_or(b"\n");
        Delimiter { bytes: bytes.into(), finder: memmem::Finder::new(bytes).into_owned() }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The place of the first one in `bytes`.
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        match *self.bytes {
            [byte] => memchr::memchr(byte, bytes),
            _ => self.finder.find(bytes),
        }
    }
}

/// Where the cutting of one buffer stands.
pub(super) struct Cutter {
    delimiter: Delimiter,
    limit: usize,
    /// Where the unfinished frame begins.
    start: usize,
    /// No delimiter begins between `start` and here.
    searched: usize,
    /// Inside the dropped rest of a frame that was too long.
    skipping: bool,
}

/// A frame's place in the buffer.
#[derive(Debug, PartialEq, Clone)]
pub(super) struct Cut {
    pub range: Range<usize>,
    /// Its end was dropped.
    pub truncated: bool,
}

impl Cutter {
    /// For frames of `limit` bytes at the most.
    pub fn new(delimiter: Delimiter, limit: usize) -> Cutter {
        Cutter { delimiter, limit, start: 0, searched: 0, skipping: false }
    }

    /// Goes on in a buffer whose next frame begins at `start`.
    pub fn restart(&mut self, start: usize, skipping: bool) {
        (self.start, self.searched, self.skipping) = (start, start, skipping);
    }

    /// Whether it is inside the dropped rest of a frame that was too long.
    pub fn skipping(&self) -> bool {
        self.skipping
    }

    /// What it cuts at.
    pub fn delimiter(&self) -> &Delimiter {
        &self.delimiter
    }

    /// Where the unfinished frame begins: all before it was cut.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Whether bytes are left that are no whole frame. Right after a `None` of [`Cutter::next`].
    pub fn unfinished(&self, buffer: &[u8]) -> bool {
        !self.skipping && self.start < buffer.len()
    }

    /// The next whole frame; `None` when more bytes are needed. May shorten the buffer behind
    /// [`Cutter::start`].
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> Option<Cut> {
        if self.delimiter.len() == 0 {
            return self.finish(buffer);
        }
        loop {
            if let Some(at) = self.delimiter.find(&buffer[self.searched..]) {
                let (from, end) = (self.start, self.searched + at);
                self.start = end + self.delimiter.len();
                self.searched = self.start;
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Some(self.limited(from, end));
            }
            // The first bytes of a delimiter may stand at the end.
            let keep = (self.delimiter.len() - 1).min(buffer.len() - self.searched);
            self.searched = buffer.len() - keep;
            if self.skipping {
                buffer.drain(self.start..self.searched);
                self.searched = self.start;
            } else if self.searched - self.start > self.limit {
                let cut = self.limited(self.start, self.searched);
                self.start = cut.range.end;
                self.skipping = true;
                return Some(cut);
            }
            return None;
        }
    }

    /// The last frame, at the end of the stream, where it has no delimiter.
    pub fn finish(&mut self, buffer: &[u8]) -> Option<Cut> {
        let from = self.start;
        let unfinished = self.unfinished(buffer);
        (self.start, self.searched, self.skipping) = (buffer.len(), buffer.len(), false);
        unfinished.then(|| self.limited(from, buffer.len()))
    }

    /// Says that everything before [`Cutter::start`] was taken from the buffer.
    pub fn rebase(&mut self) {
        self.searched -= self.start;
        self.start = 0;
    }

    fn limited(&self, from: usize, end: usize) -> Cut {
        Cut { range: from..end.min(from + self.limit), truncated: end - from > self.limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Frames of `text` fed in pieces that end at `ends`; each as text, with `+` where truncated.
    fn frames(text: &[u8], delimiter: &[u8], limit: usize, ends: &[usize]) -> Vec<String> {
        let mut cutter = Cutter::new(Delimiter::new(Some(delimiter)), limit);
        let (mut buffer, mut out) = (Vec::new(), Vec::new());
        let show = |buffer: &[u8], cut: Cut| {
            String::from_utf8_lossy(&buffer[cut.range]).into_owned() + if cut.truncated { "+" } else { "" }
        };
        let mut from = 0;
        for end in ends.iter().copied().chain([text.len()]) {
            buffer.extend_from_slice(&text[from..end]);
            from = end;
            while let Some(cut) = cutter.next(&mut buffer) {
                out.push(show(&buffer, cut));
            }
            buffer.drain(..cutter.start());
            cutter.rebase();
        }
        out.extend(cutter.finish(&buffer).map(|cut| show(&buffer, cut)));
        out
    }

    #[test]
    fn cuts_at_delimiters() {
        let check = |text: &str, delimiter: &str, limit: usize, expected: &[&str]| {
            assert_eq!(frames(text.as_bytes(), delimiter.as_bytes(), limit, &[]), expected, "{text:?}");
        };
        check("", "\n", 9, &[]);
        check("a\nb\n", "\n", 9, &["a", "b"]);
        check("a\n\nb", "\n", 9, &["a", "", "b"]);
        check("a\r\nb\nc\r\n", "\r\n", 9, &["a", "b\nc"]);
        check("abcdef\nghi\n", "\n", 3, &["abc+", "ghi"]);
        check("abc\nabcd", "\n", 3, &["abc", "abc+"]);
        check("abcd", "\n", 3, &["abc+"]);
    }

    #[test]
    fn without_a_delimiter_each_read_is_a_frame() {
        let mut cutter = Cutter::new(Delimiter::none(), 9);
        let mut buffer = b"a\nb".to_vec();
        assert_eq!(cutter.next(&mut buffer), Some(Cut { range: 0..3, truncated: false }));
        assert_eq!(cutter.next(&mut buffer), None);
        buffer.extend_from_slice(b"c");
        assert_eq!(cutter.next(&mut buffer), Some(Cut { range: 3..4, truncated: false }));
        assert_eq!(cutter.finish(&buffer), None);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            text in "[ab|]{0,40}",
            delimiter in prop::sample::select(vec!["|", "||", "a|"]),
            limit in 1usize..6,
            ends in prop::collection::vec(0usize..40, 0..6),
        ) {
            let mut ends: Vec<usize> = ends.into_iter().map(|e| e.min(text.len())).collect();
            ends.sort_unstable();
            let whole = frames(text.as_bytes(), delimiter.as_bytes(), limit, &[]);
            prop_assert_eq!(frames(text.as_bytes(), delimiter.as_bytes(), limit, &ends), whole);
        }
    }
}
