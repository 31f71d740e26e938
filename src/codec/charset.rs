//! Character sets: bytes as they came to text.
//!
//! Names are those of Ruby's `Encoding.name_list` as far as the data behind them is known here.

use crate::diagnostic::Diagnostic;
use crate::event::{Batch, Span};
use crate::plugin::{Built, Options};
use encoding_rs::Encoding;
use std::borrow::Cow;

/// How to make text of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Charset {
    Utf8,
    /// What has the eighth bit becomes U+FFFD.
    Ascii,
    /// Each byte is the character of its number.
    Latin1,
    Other(&'static Encoding),
}

impl Charset {
    /// That of the option `charset`.
    pub(crate) fn build(options: &Options) -> Built<Charset> {
        let Some(name) = options.str("charset") else { return Ok(Charset::Utf8) };
        Charset::of(name).ok_or_else(|| {
            let place = options.place_of("charset");
            let note = "it takes UTF-8, UTF-16LE, UTF-16BE, US-ASCII, ISO-8859-1 to -16, Windows-1250 to -1258, \
                        Windows-874, CP866, KOI8-R, KOI8-U, Shift_JIS, EUC-JP, ISO-2022-JP, GBK, GB18030, Big5, EUC-KR";
            vec![Diagnostic::error("C060", place, format!("unknown charset `{name}`")).note(note)]
        })
    }

    fn of(name: &str) -> Option<Charset> {
        let lower = name.to_ascii_lowercase().replace('_', "-");
        Some(match lower.as_str() {
            "utf-8" | "utf8" | "cp65001" | "utf8-mac" | "utf-8-mac" => Charset::Utf8,
            "us-ascii" | "ascii" | "ansi-x3.4-1968" | "646" | "ascii-8bit" | "binary" => Charset::Ascii,
            "iso-8859-1" | "iso8859-1" => Charset::Latin1,
            // The standard of the web took these two numbers for supersets of what they are.
            "windows-31j" | "cp932" | "csshiftjis" | "sjis" | "shift-jis" | "pck" => {
                Charset::Other(encoding_rs::SHIFT_JIS)
            }
            "cp949" => Charset::Other(encoding_rs::EUC_KR),
            "cp936" => Charset::Other(encoding_rs::GBK),
            "eucjp" | "eucjp-ms" | "cp51932" => Charset::Other(encoding_rs::EUC_JP),
            "utf-16" => Charset::Other(encoding_rs::UTF_16BE),
            label => {
                let label = match label.strip_prefix("cp") {
                    Some(
                        number @ ("874" | "1250" | "1251" | "1252" | "1253" | "1254" | "1255" | "1256" | "1257"
                        | "1258"),
                    ) => format!("windows-{number}"),
                    _ => label.to_owned(),
                };
                Charset::Other(Encoding::for_label_no_replacement(label.as_bytes())?)
            }
        })
    }

    /// Whether texts that are valid stay where they lie.
    pub(crate) fn is_utf8(self) -> bool {
        self == Charset::Utf8
    }

    /// The bytes at a span as text, which is the span itself where nothing needs to change.
    pub(super) fn text(self, batch: &mut Batch, span: Span) -> Span {
        let text = match self.decode(batch.bytes(span)) {
            Cow::Borrowed(_) => return span,
            Cow::Owned(text) => text,
        };
        batch.push_text(&text)
    }

    /// The bytes as text.
    pub(crate) fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Charset::Utf8 => match simdutf8::basic::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(bytes),
            },
            Charset::Ascii => match std::str::from_utf8(bytes) {
                Ok(text) if text.is_ascii() => Cow::Borrowed(text),
                _ => bytes.iter().map(|&b| if b < 0x80 { b as char } else { '\u{FFFD}' }).collect(),
            },
            Charset::Latin1 => encoding_rs::mem::decode_latin1(bytes),
            Charset::Other(encoding) => encoding.decode_without_bom_handling(bytes).0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_text() {
        let check = |charset: &str, bytes: &[u8], expected: &str| {
            let charset = Charset::of(charset).unwrap_or_else(|| panic!("unknown: {charset}"));
            assert_eq!(charset.decode(bytes), expected);
        };
        check("UTF-8", "é€".as_bytes(), "é€");
        check("UTF-8", b"caf\xe9 \xf0\x9f\x98 x", "caf\u{FFFD} \u{FFFD} x");
        check("US-ASCII", b"caf\xe9", "caf\u{FFFD}");
        check("ASCII-8BIT", "é".as_bytes(), "\u{FFFD}\u{FFFD}");
        check("ISO-8859-1", b"caf\xe9\x80", "caf\u{e9}\u{80}");
        check("ISO-8859-15", b"\xa4", "€");
        check("CP1252", b"caf\xe9\x80", "café€");
        check("Windows-1251", b"\xc0", "А");
        check("Shift_JIS", b"\x83\x8d\x83O", "ログ");
        check("Windows-31J", b"\x83\x8d\x83O", "ログ");
        check("EUC-JP", b"\xa5\xed\xa5\xb0", "ログ");
        check("GBK", b"\xc4\xe3", "你");
        check("UTF-16LE", b"a\0\xe9\0", "aé");
        assert_eq!(Charset::of("EBCDIC-CP-US"), None);
    }
}
