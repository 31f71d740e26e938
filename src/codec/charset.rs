//! Character sets: bytes as they came to text.
//!
//! Names are those of Ruby's `Encoding.name_list` as far as the data behind them is known here.

use crate::diagnostic::{Diagnostic, code};
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
    /// As the byte order mark says, else big-endian.
    Utf16,
    /// Whether it is big-endian; `None`: as the byte order mark says, else big-endian.
    Utf32(Option<bool>),
    Other(&'static Encoding),
}

impl Charset {
    /// That of the option `charset`.
    pub(crate) fn build(options: &Options) -> Built<Charset> {
        let Some(name) = options.str("charset") else { return Ok(Charset::Utf8) };
        Charset::of(name).ok_or_else(|| {
            let place = options.place_of("charset");
            let note = "it takes UTF-8, UTF-16, UTF-16LE, UTF-16BE, UTF-32, UTF-32LE, UTF-32BE, US-ASCII, \
                        ISO-8859-1 to -16, Windows-1250 to -1258, Windows-874, Windows-31J, CP866, KOI8-R, KOI8-U, \
                        macRoman, macCyrillic, Shift_JIS, EUC-JP, ISO-2022-JP, GBK, GB18030, Big5, EUC-KR";
            vec![Diagnostic::error(code::CHOICE, place, format!("unknown charset `{name}`")).note(note)]
        })
    }

    fn of(name: &str) -> Option<Charset> {
        let lower = name.to_ascii_lowercase().replace('_', "-");
        Some(match lower.as_str() {
            "utf-8" | "utf8" | "cp65001" | "utf8-mac" | "utf-8-mac" => Charset::Utf8,
            "us-ascii" | "ascii" | "ansi-x3.4-1968" | "646" | "ascii-8bit" | "binary" => Charset::Ascii,
            "iso-8859-1" | "iso8859-1" => Charset::Latin1,
            "utf-16" => Charset::Utf16,
            "utf-32" => Charset::Utf32(None),
            "utf-32be" | "ucs-4be" | "ucs-4" => Charset::Utf32(Some(true)),
            "utf-32le" | "ucs-4le" => Charset::Utf32(Some(false)),
            "ucs-2be" => Charset::Other(encoding_rs::UTF_16BE),
            // Ruby's names for what the standard of the web calls otherwise.
            "windows-31j" | "cp932" | "csshiftjis" | "sjis" | "shift-jis" | "pck" | "cswindows31j" | "sjis-docomo"
            | "sjis-kddi" | "sjis-softbank" | "macjapanese" | "macjapan" => Charset::Other(encoding_rs::SHIFT_JIS),
            "eucjp" | "eucjp-ms" | "euc-jp-ms" | "cp51932" | "euc-jis-2004" | "euc-jisx0213" => {
                Charset::Other(encoding_rs::EUC_JP)
            }
            "iso2022-jp" | "iso-2022-jp-2" | "iso2022-jp2" | "cp50220" | "cp50221" | "iso-2022-jp-kddi" => {
                Charset::Other(encoding_rs::ISO_2022_JP)
            }
            "cp949" | "euckr" => Charset::Other(encoding_rs::EUC_KR),
            "cp936" | "euccn" | "euc-cn" | "gb2312" | "gb12345" => Charset::Other(encoding_rs::GBK),
            "big5-hkscs:2008" | "cp950" | "cp951" | "big5-uao" => Charset::Other(encoding_rs::BIG5),
            "cp878" => Charset::Other(encoding_rs::KOI8_R),
            "maccyrillic" | "macukraine" => Charset::Other(encoding_rs::X_MAC_CYRILLIC),
            "macroman" => Charset::Other(encoding_rs::MACINTOSH),
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
        if self == Charset::Utf8 && batch.look_ascii(span) {
            return span;
        }
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
            Charset::Utf16 => match bytes {
                [0xff, 0xfe, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0,
                [0xfe, 0xff, rest @ ..] | rest => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0,
            },
            Charset::Utf32(order) => {
                let (big, rest) = match (order, bytes) {
                    (None, [0xff, 0xfe, 0, 0, rest @ ..]) => (false, rest),
                    (None, [0, 0, 0xfe, 0xff, rest @ ..]) => (true, rest),
                    (order, rest) => (order.unwrap_or(true), rest),
                };
                let number = |b: &[u8]| {
                    let all: [u8; 4] = b.try_into().ok()?;
                    char::from_u32(if big { u32::from_be_bytes(all) } else { u32::from_le_bytes(all) })
                };
                rest.chunks(4).map(|b| number(b).unwrap_or('\u{FFFD}')).collect()
            }
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
        check("UTF-16", b"\xff\xfea\0", "a");
        check("UTF-16", b"\0a", "a");
        check("UTF-32LE", b"a\0\0\0\xff", "a\u{FFFD}");
        check("ISO-2022-JP", b"\x1b$B%m%0\x1b(B!", "ログ!");
        check("CP50221", b"\x1b$B%m%0\x1b(B!", "ログ!");
        check("eucJP-ms", b"\xa5\xed\xa5\xb0", "ログ");
        check("macCyrillic", b"\x80", "А");
        check("CP950", b"\xa7A", "你");
        assert_eq!(Charset::of("EBCDIC-CP-US"), None);
    }

    #[test]
    fn every_encoding_of_the_library_has_its_name() {
        for encoding in [
            encoding_rs::UTF_8,
            encoding_rs::IBM866,
            encoding_rs::ISO_8859_2,
            encoding_rs::ISO_8859_3,
            encoding_rs::ISO_8859_4,
            encoding_rs::ISO_8859_5,
            encoding_rs::ISO_8859_6,
            encoding_rs::ISO_8859_7,
            encoding_rs::ISO_8859_8,
            encoding_rs::ISO_8859_8_I,
            encoding_rs::ISO_8859_10,
            encoding_rs::ISO_8859_13,
            encoding_rs::ISO_8859_14,
            encoding_rs::ISO_8859_15,
            encoding_rs::ISO_8859_16,
            encoding_rs::KOI8_R,
            encoding_rs::KOI8_U,
            encoding_rs::MACINTOSH,
            encoding_rs::WINDOWS_874,
            encoding_rs::WINDOWS_1250,
            encoding_rs::WINDOWS_1251,
            encoding_rs::WINDOWS_1252,
            encoding_rs::WINDOWS_1253,
            encoding_rs::WINDOWS_1254,
            encoding_rs::WINDOWS_1255,
            encoding_rs::WINDOWS_1256,
            encoding_rs::WINDOWS_1257,
            encoding_rs::WINDOWS_1258,
            encoding_rs::X_MAC_CYRILLIC,
            encoding_rs::GBK,
            encoding_rs::GB18030,
            encoding_rs::BIG5,
            encoding_rs::EUC_JP,
            encoding_rs::ISO_2022_JP,
            encoding_rs::SHIFT_JIS,
            encoding_rs::EUC_KR,
            encoding_rs::UTF_16BE,
            encoding_rs::UTF_16LE,
            encoding_rs::X_USER_DEFINED,
        ] {
            let charset = Charset::of(encoding.name());
            let want = if encoding == encoding_rs::UTF_8 { Charset::Utf8 } else { Charset::Other(encoding) };
            assert_eq!(charset, Some(want), "{}", encoding.name());
        }
    }
}
