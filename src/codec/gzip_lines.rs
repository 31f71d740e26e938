//! The `gzip_lines` codec: gzip-compressed text, one event a line.
//!
//! `codec => gzip_lines { }`, as Logstash's: a line keeps its newline. A stream is unpacked as it
//! comes, in the input's thread; what an input takes for a whole message is unpacked in a worker.
//! Bytes that are no gzip become an event with the tag `_gzipfailure` (Logstash stops there).

use super::charset::Charset;
use super::json::failed;
use super::text::{TextDecoder, TextEncoder};
use super::{CHARSET, Codec, Decoder, Joiner};
use crate::event::{Batch, EventId, Frame, Span};
use crate::plugin::{Build, Built, Context, Options, Spec};
use flate2::write::MultiGzDecoder;
use std::io::Write;
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "gzip_lines",
    summary: "Gzip-compressed text, one event a line.",
    options: &[CHARSET],
    examples: &[],
    build: Build::Codec(build),
};

/// Bytes of one line at the most; longer ones are cut there.
const LINE_BYTES_MAX: usize = 100 << 20;
/// Bytes that are unpacked at a time.
const PIECE_BYTES: usize = 16 << 10;
const FAILED: &str = "_gzipfailure";
const MAGIC: [u8; 2] = [0x1f, 0x8b];

fn build(options: &Options, context: &Context) -> Built<Codec> {
    let charset = Charset::build(options)?;
    let text = TextDecoder::new(charset, &Context { ecs: false, ..context.clone() });
    Ok(Codec {
        delimiter: None,
        joiner: Some(Arc::new(|| Box::new(Lines::default()))),
        decoder: Box::new(Unpack { charset, text: Box::new(text) }),
        encoder: Box::new(TextEncoder { format: None, delimiter: b"\n".to_vec() }),
    })
}

/// Unpacks one stream.
#[derive(Default)]
struct Lines {
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    /// The first byte, where it is all that came so far.
    head: Vec<u8>,
    /// The unfinished line.
    line: Vec<u8>,
    broken: bool,
}

impl Lines {
    fn lines(&mut self, text: &[u8], out: &mut dyn FnMut(&[u8], &[&'static str])) {
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            self.line.extend_from_slice(&rest[..=at]);
            out(&self.line, &[]);
            self.line.clear();
            rest = &rest[at + 1..];
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > LINE_BYTES_MAX {
            out(&self.line, &[]);
            self.line = Vec::new();
        }
    }

    /// Takes what is unpacked out of the decompressor.
    fn unpacked(&mut self, out: &mut dyn FnMut(&[u8], &[&'static str])) {
        if let Some(gzip) = &mut self.gzip {
            let text = std::mem::take(gzip.get_mut());
            self.lines(&text, out);
        }
    }
}

impl Joiner for Lines {
    fn push(&mut self, frame: &[u8], out: &mut dyn FnMut(&[u8], &[&'static str])) {
        if self.gzip.is_none() && !self.broken {
            self.head.extend_from_slice(frame);
            if self.head.len() < MAGIC.len() {
                return;
            }
            let head = std::mem::take(&mut self.head);
            self.broken = !head.starts_with(&MAGIC);
            if !self.broken {
                self.gzip = Some(MultiGzDecoder::new(Vec::new()));
            }
            return self.push(&head, out);
        }
        if self.broken {
            return out(frame, &[FAILED]);
        }
        // In small pieces, so that a little input can't fill the memory.
        for (at, piece) in frame.chunks(PIECE_BYTES / 16).enumerate() {
            let Some(gzip) = &mut self.gzip else { return };
            let written = gzip.write_all(piece).and_then(|()| gzip.flush());
            self.unpacked(out);
            if written.is_err() {
                self.broken = true;
                return out(&frame[at * (PIECE_BYTES / 16)..], &[FAILED]);
            }
        }
    }

    fn flush(&mut self, out: &mut dyn FnMut(&[u8], &[&'static str])) {
        let whole = self.gzip.as_mut().is_none_or(|gzip| gzip.try_finish().is_ok());
        self.unpacked(out);
        (self.gzip, self.broken) = (None, false);
        if !self.head.is_empty() {
            out(&std::mem::take(&mut self.head), &[FAILED]);
        }
        if !self.line.is_empty() || !whole {
            out(&self.line, if whole { &[] } else { &[FAILED] });
            self.line.clear();
        }
    }

    fn holds(&self) -> bool {
        self.gzip.is_some() || !self.head.is_empty()
    }
}

/// Makes events of lines, or of a whole message that is still packed.
struct Unpack {
    charset: Charset,
    text: Box<dyn Decoder>,
}

impl Decoder for Unpack {
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>) {
        if !batch.bytes(frame.bytes).starts_with(&MAGIC) {
            return self.text.decode(batch, frame, out);
        }
        let packed = batch.bytes(frame.bytes).to_vec();
        let (mut lines, mut spans) = (Lines::default(), Vec::<(Span, bool)>::new());
        let mut take = |line: &[u8], tags: &[&'static str]| spans.push((batch.push_bytes(line), !tags.is_empty()));
        lines.push(&packed, &mut take);
        lines.flush(&mut take);
        for (bytes, bad) in spans {
            if bad {
                let text = self.charset.text(batch, bytes);
                out.push(failed(batch, text, FAILED));
            } else {
                self.text.decode(batch, Frame { bytes, ..frame }, out);
            }
        }
    }

    fn fork(&self) -> Box<dyn Decoder> {
        Box::new(Unpack { charset: self.charset, text: self.text.fork() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::harness::{codec, decode};
    use flate2::{Compression, write::GzEncoder};

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    fn unpack(bytes: &[u8], piece: usize) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let mut take = |line: &[u8], tags: &[&'static str]| {
            found.push(format!("{}{}", String::from_utf8_lossy(line), tags.join("")));
        };
        bytes.chunks(piece).for_each(|chunk| lines.push(chunk, &mut take));
        lines.flush(&mut take);
        assert!(!lines.holds());
        found
    }

    #[test]
    fn streams_are_unpacked_however_they_come() {
        let bytes = [packed(b"one\ntwo\nth"), packed(b"ree\n")].concat();
        for piece in [1, 7, 1000] {
            assert_eq!(unpack(&bytes, piece), ["one\n", "two\n", "three\n"], "{piece}");
        }
        assert_eq!(unpack(b"", 1), [""; 0]);
    }

    #[test]
    fn what_is_no_gzip_is_told() {
        let bytes = packed(b"one\ntwo\n");
        assert!(unpack(&bytes[..bytes.len() - 6], 5).last().unwrap().ends_with(FAILED));
        assert_eq!(unpack(b"hello", 5), ["hello_gzipfailure"]);
    }

    #[test]
    fn messages_are_unpacked_whole() {
        let mut gzip = codec("gzip_lines", "charset=ISO-8859-1", false);
        let frame = packed(b"caf\xe9\nb");
        assert_eq!(
            decode(&mut gzip, &[&frame, b"plain"]),
            ["{\"message\":\"café\\n\"}", r#"{"message":"b"}"#, r#"{"message":"plain"}"#]
        );
    }
}
