//! What the codecs of MessagePack share: messages out of a stream, values both ways.
//!
//! The events' own rules (`@timestamp`, tags) are the codecs'; this file knows bytes and values.

use super::Joiner;
use super::charset::Charset;
use crate::event::{Batch, Entry, EventId, FieldId, Timestamp, Value, joda};
use rmpv::ValueRef;

/// Bytes of one message at the most; a longer one leaves as it is and fails to decode.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// How deep arrays and hashes may be nested.
const DEPTH_MAX: usize = 256;

/// The first message in `bytes` and how many bytes it takes; `None` where it is none, or not whole.
pub(super) fn read(bytes: &[u8]) -> Option<(ValueRef<'_>, usize)> {
    // A cursor gives no borrowed values, a slice does.
    let mut rest = bytes;
    let value = rmpv::decode::value_ref::read_value_ref_with_max_depth(&mut rest, DEPTH_MAX).ok()?;
    Some((value, bytes.len() - rest.len()))
}

/// A value of the batch. Binary data is text, with U+FFFD for what is no UTF-8; a time is one;
/// any other extension becomes a hash of its type and its bytes in Base64.
pub(super) fn value(batch: &mut Batch, packed: &ValueRef) -> Value {
    match packed {
        ValueRef::Nil => Value::Null,
        ValueRef::Boolean(b) => Value::Bool(*b),
        ValueRef::Integer(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Value::Int(n),
            (None, Some(n)) => Value::Uint(n),
            (None, None) => Value::Null,
        },
        ValueRef::F32(n) => Value::Float(f64::from(*n)),
        ValueRef::F64(n) => Value::Float(*n),
        ValueRef::String(text) => batch.str(&Charset::Utf8.decode(text.as_bytes())),
        ValueRef::Binary(bytes) => batch.str(&Charset::Utf8.decode(bytes)),
        ValueRef::Array(elements) => {
            let entries: Vec<Entry> = elements.iter().map(|e| Entry::element(value(batch, e))).collect();
            Value::Array(batch.list(&entries))
        }
        ValueRef::Map(members) => {
            let mut entries: Vec<Entry> = Vec::with_capacity(members.len());
            let mut places = rustc_hash::FxHashMap::default();
            for (name, member) in members {
                let entry = Entry::new(key(batch, name), value(batch, member));
                // A name that stands there twice has its last value, as in a Ruby hash.
                match places.insert(entry.key, entries.len()) {
                    Some(at) => {
                        places.insert(entry.key, at);
                        entries[at] = entry;
                    }
                    None => entries.push(entry),
                }
            }
            Value::Object(batch.list(&entries))
        }
        ValueRef::Ext(kind, bytes) => match time(*kind, bytes) {
            Some(at) => Value::Time(at),
            None => {
                let bytes = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
                let data = batch.str(&bytes);
                let entries =
                    [("type", Value::Int(i64::from(*kind))), ("data", data)].map(|(n, v)| Entry::new(batch.key(n), v));
                Value::Object(batch.list(&entries))
            }
        },
    }
}

/// A name; one that is no text is shown as JSON shows it.
fn key(batch: &mut Batch, name: &ValueRef) -> FieldId {
    match name {
        ValueRef::String(text) => batch.key(&Charset::Utf8.decode(text.as_bytes())),
        ValueRef::Binary(bytes) => batch.key(&Charset::Utf8.decode(bytes)),
        other => batch.key(&other.to_string()),
    }
}

/// Fluentd's event time (type 0) and MessagePack's own (type -1).
pub(super) fn time(kind: i8, bytes: &[u8]) -> Option<Timestamp> {
    let u32_at = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (seconds, nanos) = match (kind, bytes.len()) {
        (0, 8) => (i64::from(u32_at(0)?), u32_at(4)?),
        (-1, 4) => (i64::from(u32_at(0)?), 0),
        (-1, 8) => {
            let both = u64::from_be_bytes(bytes.try_into().ok()?);
            ((both & 0x3_FFFF_FFFF) as i64, (both >> 34) as u32)
        }
        (-1, 12) => (i64::from_be_bytes(bytes[4..].try_into().ok()?), u32_at(0)?),
        _ => return None,
    };
    (nanos < 1_000_000_000).then(|| Timestamp::new(seconds, nanos))
}

/// Writes an event's hash, times as ISO 8601 texts, without `@metadata`.
pub(super) fn write_event(batch: &Batch, event: EventId, out: &mut Vec<u8>) {
    let fields = || batch.fields(event).iter().filter(|e| e.key != FieldId::METADATA);
    write_length(fields().count(), 0x80, 0xde, out);
    for entry in fields() {
        write_text(batch.name(entry.key), out);
        write(batch, entry.value, out);
    }
}

fn write(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(b) => out.push(0xc2 + u8::from(b)),
        Value::Int(n) => write_int(n, out),
        Value::Uint(n) => {
            out.push(0xcf);
            out.extend_from_slice(&n.to_be_bytes());
        }
        // MessagePack has no whole numbers beyond 64 bits.
        Value::Float(_) | Value::Big(_) => {
            out.push(0xcb);
            out.extend_from_slice(&batch.number(value).unwrap_or(f64::NAN).to_be_bytes());
        }
        Value::Str(span) => write_text(batch.text(span), out),
        Value::Time(at) => {
            let mut text = Vec::with_capacity(32);
            joda::write_iso8601(at, &mut text);
            write_text(&String::from_utf8_lossy(&text), out);
        }
        Value::Array(list) => {
            write_length(list.len(), 0x90, 0xdc, out);
            batch.entries(list).iter().for_each(|e| write(batch, e.value, out));
        }
        Value::Object(list) => {
            write_length(list.len(), 0x80, 0xde, out);
            for entry in batch.entries(list) {
                write_text(batch.name(entry.key), out);
                write(batch, entry.value, out);
            }
        }
    }
}

/// The head of an array: in the byte that begins with `small`, or behind `wide` or the byte after.
pub(super) fn write_array(length: usize, out: &mut Vec<u8>) {
    write_length(length, 0x90, 0xdc, out);
}

fn write_length(length: usize, small: u8, wide: u8, out: &mut Vec<u8>) {
    match length {
        0..16 => out.push(small | length as u8),
        16..0x1_0000 => {
            out.push(wide);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(wide + 1);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

/// Writes a text.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    match text.len() {
        length @ 0..32 => out.push(0xa0 | length as u8),
        length @ 32..0x100 => out.extend_from_slice(&[0xd9, length as u8]),
        length @ 0x100..0x1_0000 => {
            out.push(0xda);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0xdb);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// Writes a whole number in as few bytes as it takes.
pub(super) fn write_int(n: i64, out: &mut Vec<u8>) {
    let mut put = |head: u8, bytes: &[u8]| {
        out.push(head);
        out.extend_from_slice(bytes);
    };
    match n {
        0..0x80 => put(n as u8, &[]),
        0x80..0x100 => put(0xcc, &[n as u8]),
        0x100..0x1_0000 => put(0xcd, &(n as u16).to_be_bytes()),
        0x1_0000..0x1_0000_0000 => put(0xce, &(n as u32).to_be_bytes()),
        0x1_0000_0000.. => put(0xcf, &(n as u64).to_be_bytes()),
        -32..0 => put(n as u8, &[]),
        -0x80..-32 => put(0xd0, &[n as u8]),
        -0x8000..-0x80 => put(0xd1, &(n as i16).to_be_bytes()),
        -0x8000_0000..-0x8000 => put(0xd2, &(n as i32).to_be_bytes()),
        _ => put(0xd3, &n.to_be_bytes()),
    }
}

/// What a message must begin with; bytes that don't are no messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Map,
    Array,
}

impl Head {
    fn begins(self, byte: u8) -> bool {
        match self {
            Head::Map => matches!(byte, 0x80..=0x8f | 0xde | 0xdf),
            Head::Array => matches!(byte, 0x90..=0x9f | 0xdc | 0xdd),
        }
    }
}

/// Cuts a stream into messages, however it comes in pieces. Bytes that can't be a message leave
/// as one frame with all that was read behind them.
pub(super) struct Messages {
    head: Head,
    held: Vec<u8>,
    /// Up to here `held` was walked; may lie behind its end, inside of a text.
    at: usize,
    /// Values that the message still lacks.
    open: u64,
}

impl Messages {
    pub(super) fn new(head: Head) -> Messages {
        Messages { head, held: Vec::new(), at: 0, open: 1 }
    }

    /// Walks to the end of the message; `Some(true)` there, `None` where bytes lack, and
    /// `Some(false)` for bytes that are no message.
    fn walk(&mut self) -> Option<bool> {
        while self.open > 0 {
            let rest = self.held.get(self.at..).filter(|rest| !rest.is_empty())?;
            if self.at == 0 && !self.head.begins(rest[0]) {
                return Some(false);
            }
            let number = |bytes: usize| {
                let digits = rest.get(1..1 + bytes)?;
                Some(digits.iter().fold(0u64, |n, &b| n << 8 | u64::from(b)))
            };
            // Bytes of this value, and how many values follow inside of it.
            let (bytes, values) = match rest[0] {
                0xc1 => return Some(false),
                0x80..=0x8f => (1, 2 * u64::from(rest[0] & 15)),
                0x90..=0x9f => (1, u64::from(rest[0] & 15)),
                0xa0..=0xbf => (1 + u64::from(rest[0] & 31), 0),
                0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (1, 0),
                0xcc | 0xd0 => (2, 0),
                0xcd | 0xd1 => (3, 0),
                0xca | 0xce | 0xd2 => (5, 0),
                0xcb | 0xcf | 0xd3 => (9, 0),
                0xc4 | 0xd9 => (2 + number(1)?, 0),
                0xc5 | 0xda => (3 + number(2)?, 0),
                0xc6 | 0xdb => (5 + number(4)?, 0),
                0xc7 => (3 + number(1)?, 0),
                0xc8 => (4 + number(2)?, 0),
                0xc9 => (6 + number(4)?, 0),
                0xd4..=0xd8 => (2 + (1 << (rest[0] - 0xd4)), 0),
                0xdc => (3, number(2)?),
                0xdd => (5, number(4)?),
                0xde => (3, 2 * number(2)?),
                0xdf => (5, 2 * number(4)?),
            };
            self.at += bytes as usize;
            self.open = self.open - 1 + values;
        }
        (self.at <= self.held.len()).then_some(true)
    }

    fn restart(&mut self) {
        (self.at, self.open) = (0, 1);
    }
}

impl Joiner for Messages {
    fn push(&mut self, frame: &[u8], out: &mut dyn FnMut(&[u8], &[&'static str])) {
        self.held.extend_from_slice(frame);
        loop {
            match self.walk() {
                Some(true) => {
                    out(&self.held[..self.at], &[]);
                    self.held.drain(..self.at);
                    self.restart();
                }
                None if self.held.len() <= MESSAGE_BYTES_MAX => return,
                None | Some(false) => return self.flush(out),
            }
        }
    }

    fn flush(&mut self, out: &mut dyn FnMut(&[u8], &[&'static str])) {
        if !self.held.is_empty() {
            out(&self.held, &[]);
        }
        self.held.clear();
        self.held.shrink_to(1 << 20);
        self.restart();
    }

    fn holds(&self) -> bool {
        !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json;
    use proptest::prelude::*;

    fn shown(bytes: &[u8]) -> String {
        let mut batch = Batch::new();
        let (packed, _) = read(bytes).expect("a message");
        let value = value(&mut batch, &packed);
        let mut out = Vec::new();
        json::write_value(&batch, value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values() {
        let check = |bytes: &[u8], want: &str| assert_eq!(shown(bytes), want, "{bytes:x?}");
        check(b"\xc0", "null");
        check(b"\xff", "-1");
        check(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615");
        check(b"\x82\xa1a\x01\xa1a\xcb\x3f\xf8\0\0\0\0\0\0", r#"{"a":1.5}"#);
        check(b"\x81\x05\xc4\x02x\xff", "{\"5\":\"x\u{FFFD}\"}");
        check(b"\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02", r#""1970-01-01T00:00:01.000000002Z""#);
        check(b"\xd6\xff\x00\x00\x00\x01", r#""1970-01-01T00:00:01.000Z""#);
        check(b"\xd4\x07a", r#"{"type":7,"data":"YQ=="}"#);
        assert!(read(b"\xa5abc").is_none() && read(b"").is_none());
        assert!(read(&[0x91; 1000]).is_none(), "nested too deep");
    }

    fn cut(bytes: &[u8], head: Head, ends: &[usize]) -> Vec<Vec<u8>> {
        let (mut joiner, mut frames) = (Messages::new(head), Vec::new());
        let mut from = 0;
        for end in ends.iter().copied().chain([bytes.len()]) {
            joiner.push(&bytes[from..end], &mut |frame, _| frames.push(frame.to_vec()));
            from = end;
        }
        joiner.flush(&mut |frame, _| frames.push(frame.to_vec()));
        assert!(!joiner.holds());
        frames
    }

    #[test]
    fn what_is_no_message_is_kept() {
        assert_eq!(cut(b"\x81\xa1a\x01hello", Head::Map, &[]), [&b"\x81\xa1a\x01"[..], b"hello"]);
        assert_eq!(cut(b"\x91\x01", Head::Map, &[]), [b"\x91\x01"]);
        assert_eq!(cut(b"\x81\xa1a", Head::Map, &[]), [b"\x81\xa1a"]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            numbers in prop::collection::vec(any::<i64>(), 1..8),
            text in "[a-z]{0,300}",
            ends in prop::collection::vec(0usize..2000, 0..6),
        ) {
            let mut messages = Vec::new();
            for number in numbers {
                let mut message = Vec::new();
                write_array(3, &mut message);
                write_int(number, &mut message);
                write_text(&text, &mut message);
                write_array(0, &mut message);
                messages.push(message);
            }
            let whole = messages.concat();
            let mut ends: Vec<usize> = ends.into_iter().map(|e| e.min(whole.len())).collect();
            ends.sort_unstable();
            prop_assert_eq!(cut(&whole, Head::Array, &ends), messages);
        }

        #[test]
        fn numbers_come_back(n in any::<i64>()) {
            let mut out = Vec::new();
            write_int(n, &mut out);
            prop_assert_eq!(shown(&out), n.to_string());
        }
    }
}
