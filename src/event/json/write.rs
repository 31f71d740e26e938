//! Values to bytes, in the form of Logstash's `to_json`, and events to the bytes that they came
//! with where nobody changed them.

use crate::event::batch::Raw;
use crate::event::{Batch, Entry, EventId, FieldId, Value, joda};

/// Appends an event as a JSON object, without `@metadata`.
///
/// Members that are still what the raw bytes say are copied from there, spelling and all.
pub fn write_event(batch: &Batch, event: EventId, out: &mut Vec<u8>) {
    let fields = batch.fields(event);
    let Some(raw) = batch.raw(event) else { return write_members(batch, fields, out) };
    let kept = fields.iter().zip(1..).take_while(|(e, place)| e.raw == *place).count();
    if kept as u32 == raw.members {
        write_with_additions(batch, raw, &fields[kept..], out);
    } else {
        write_spliced(batch, raw, fields, out);
    }
}

/// Appends a value as JSON.
pub fn write_value(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Value::Uint(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
        Value::Big(digits) => out.extend_from_slice(batch.bytes(digits)),
        Value::Float(n) => write_float(n, out),
        // The text is valid UTF-8; writing works on bytes.
        Value::Str(span) => write_bytes(batch.bytes(span), out),
        Value::Time(at) => {
            out.push(b'"');
            joda::write_iso8601(at, out);
            out.push(b'"');
        }
        Value::Array(list) => {
            out.push(b'[');
            for (at, entry) in batch.entries(list).iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(batch, entry.value, out);
            }
            out.push(b']');
        }
        Value::Object(list) => {
            out.push(b'{');
            for (at, entry) in batch.entries(list).iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_member(batch, entry, out);
            }
            out.push(b'}');
        }
    }
}

/// Appends a text as a JSON string.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    write_bytes(text.as_bytes(), out);
}

/// Appends a number as Java writes a double, which is what Logstash's JSON has: `1.0`, `1.0E20`,
/// `1.0E-5`; what JSON has no number for is a text.
pub fn write_float(n: f64, out: &mut Vec<u8>) {
    if !n.is_finite() {
        let text = if n.is_nan() {
            "\"NaN\""
        } else if n > 0.0 {
            "\"Infinity\""
        } else {
            "\"-Infinity\""
        };
        return out.extend_from_slice(text.as_bytes());
    }
    if n == 0.0 || (1e-3..1e7).contains(&n.abs()) {
        return out.extend_from_slice(ryu::Buffer::new().format_finite(n).as_bytes());
    }
    let digits = Digits::of(n);
    digits.write_scientific(out);
    out.push(b'E');
    out.extend_from_slice(itoa::Buffer::new().format(digits.point - 1).as_bytes());
}

/// Appends a number as Ruby's `Float#to_s` has it: `1.0`, `1.0e+20`, `1.0e-05`.
pub fn write_ruby_float(n: f64, out: &mut Vec<u8>) {
    if !n.is_finite() {
        let text = if n.is_nan() {
            "NaN"
        } else if n > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return out.extend_from_slice(text.as_bytes());
    }
    if n == 0.0 || (1e-4..1e16).contains(&n.abs()) {
        return out.extend_from_slice(ryu::Buffer::new().format_finite(n).as_bytes());
    }
    let digits = Digits::of(n);
    digits.write_scientific(out);
    let exponent = digits.point - 1;
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.abs() < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(exponent.abs()).as_bytes());
}

/// The shortest decimal digits that give a number.
struct Digits {
    negative: bool,
    digits: [u8; 32],
    len: usize,
    /// How many digits stand before the decimal point.
    point: i32,
}

impl Digits {
    fn of(n: f64) -> Digits {
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(n);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let point = exponent.parse().expect("BUG: an exponent that is no number");
        let mut all = Digits { negative: false, digits: [0; 32], len: 0, point };
        let mut behind_point = false;
        for &byte in mantissa.as_bytes() {
            match byte {
                b'-' => all.negative = true,
                b'.' => behind_point = true,
                b'0' if all.len == 0 => all.point -= behind_point as i32,
                digit => {
                    all.digits[all.len] = digit;
                    all.len += 1;
                    all.point += !behind_point as i32;
                }
            }
        }
        while all.len > 1 && all.digits[all.len - 1] == b'0' {
            all.len -= 1;
        }
        all
    }

    fn write_scientific(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        out.extend_from_slice(&[self.digits[0], b'.']);
        out.extend_from_slice(if self.len > 1 { &self.digits[1..self.len] } else { b"0" });
    }
}

fn write_members(batch: &Batch, fields: &[Entry], out: &mut Vec<u8>) {
    let mut separator = b'{';
    for entry in fields.iter().filter(|e| e.key != FieldId::METADATA) {
        out.push(separator);
        separator = b',';
        write_member(batch, entry, out);
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

fn write_member(batch: &Batch, entry: &Entry, out: &mut Vec<u8>) {
    write_text(batch.name(entry.key), out);
    out.push(b':');
    write_value(batch, entry.value, out);
}

/// All raw members are there and unchanged: the bytes as they are, up to the closing brace.
fn write_with_additions(batch: &Batch, raw: Raw, added: &[Entry], out: &mut Vec<u8>) {
    let bytes = batch.bytes(raw.span);
    if added.iter().all(|e| e.key == FieldId::METADATA) {
        return out.extend_from_slice(bytes);
    }
    let inner = bytes[..bytes.len() - 1].trim_ascii_end();
    out.extend_from_slice(inner);
    let mut first = raw.members == 0;
    for entry in added.iter().filter(|e| e.key != FieldId::METADATA) {
        if !first {
            out.push(b',');
        }
        first = false;
        write_member(batch, entry, out);
    }
    out.push(b'}');
}

/// Walks the raw members in step with the fields and copies those that are unchanged.
fn write_spliced(batch: &Batch, raw: Raw, fields: &[Entry], out: &mut Vec<u8>) {
    let bytes = batch.bytes(raw.span);
    let mut members = Members::new(bytes);
    let mut separator = b'{';
    let mut rest = fields;
    while let Some((entry, behind)) = rest.split_first() {
        rest = behind;
        if entry.key == FieldId::METADATA {
            continue;
        }
        out.push(separator);
        separator = b',';
        if entry.raw == 0 {
            write_member(batch, entry, out);
            continue;
        }
        if entry.raw <= members.place {
            members = Members::new(bytes);
        }
        // Members that follow each other in both are copied in one go.
        let run = rest.iter().zip(entry.raw + 1..).take_while(|(e, place)| e.raw == *place).count();
        let start = members.start_of(entry.raw);
        // A text that lies in the raw bytes says where its member ends: no need to walk there.
        let known = std::iter::once(entry).chain(&rest[..run]).rev().find_map(|e| match e.value {
            Value::Str(text) if raw.span.range().contains(&text.range().end) => {
                Some((text.range().end - raw.span.range().start + 1, e.raw))
            }
            _ => None,
        });
        if let Some((end, place)) = known {
            (members.at, members.end, members.place) = (end, end, place);
        }
        let end = members.end_of(entry.raw + run as u32);
        out.extend_from_slice(&bytes[start..end]);
        rest = &rest[run..];
    }
    if separator == b'{' {
        out.push(b'{');
    }
    out.push(b'}');
}

/// The members of a raw object, which is known to be valid.
struct Members<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Behind the member at `place`, without the white space that may follow.
    end: usize,
    /// The place of the member that we are behind, from 1 on.
    place: u32,
}

impl<'a> Members<'a> {
    fn new(bytes: &'a [u8]) -> Members<'a> {
        Members { bytes, at: 1, end: 1, place: 0 }
    }

    /// Where the member at `place` begins, which is one that we are not behind yet.
    fn start_of(&mut self, place: u32) -> usize {
        self.end_of(place - 1);
        self.skip_until(|b| b == b'"');
        self.at
    }

    /// Where the member at `place` ends, which is not before the one that we are behind.
    fn end_of(&mut self, place: u32) -> usize {
        while self.place < place {
            self.skip_until(|b| b == b'"');
            self.text();
            let mut depth = 0;
            loop {
                match self.bytes[self.at] {
                    b'"' => {
                        self.text();
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' if depth > 0 => depth -= 1,
                    b'}' | b',' if depth == 0 => break,
                    _ => {}
                }
                self.at += 1;
            }
            self.end = self.bytes[..self.at].trim_ascii_end().len();
            self.place += 1;
        }
        self.end
    }

    fn skip_until(&mut self, is: impl Fn(u8) -> bool) {
        while !is(self.bytes[self.at]) {
            self.at += 1;
        }
    }

    /// Steps over a string, from its opening quote to behind its closing one.
    fn text(&mut self) {
        self.at += 1;
        loop {
            let next = memchr::memchr2(b'"', b'\\', &self.bytes[self.at..]).expect("BUG: a string without end");
            self.at += next + 1;
            if self.bytes[self.at - 1] == b'"' {
                return;
            }
            self.at += 1;
        }
    }
}

/// How many bytes are looked at together.
const STEP: usize = 16;

fn write_bytes(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = first_special(rest) {
        out.extend_from_slice(&rest[..at]);
        write_escape(rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The first byte that can't stand in a JSON string.
#[inline]
fn first_special(text: &[u8]) -> Option<usize> {
    let mut chunks = text.chunks_exact(STEP);
    let mut at = 0;
    for chunk in &mut chunks {
        // Without a branch in it, the compiler makes this a few vector instructions.
        if chunk.iter().fold(false, |any, &byte| any | is_special(byte)) {
            return chunk.iter().position(|&b| is_special(b)).map(|i| at + i);
        }
        at += STEP;
    }
    chunks.remainder().iter().position(|&b| is_special(b)).map(|i| at + i)
}

#[inline]
fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let escape = [b'\\', b'u', b'0', b'0', HEX[byte as usize >> 4], HEX[byte as usize & 15]];
            return out.extend_from_slice(&escape);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
