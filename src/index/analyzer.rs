//! The analyzer: cuts text into terms as Elasticsearch's `standard` does (Lucene's
//! `StandardTokenizer`, UAX #29 word boundaries, then lower case).
//!
//! A run of katakana is one term, so is a run of hangul, of Thai or of another script without
//! spaces; each ideograph and each hiragana stands alone; emoji are terms. `7.9.0`, `don't`,
//! `example.com`, `a:b` and `snake_case` stay whole. Longer than 255 characters is cut.
//!
//! The same code serves documents and queries, so both always agree. ASCII, which is nearly all
//! of a log, takes a short path; a property test holds it to what the long one gives.

use regex::Regex;
use std::sync::LazyLock;
use unicode_segmentation::UnicodeSegmentation;

/// `max_token_length`, in UTF-16 units as Lucene counts.
pub const TERM_UNITS_MAX: usize = 255;

/// One term of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term<'a> {
    /// The term, lower case.
    pub text: &'a str,
    /// Where it begins in the text, in bytes.
    pub start: usize,
    /// Where it ends in the text, in bytes.
    pub end: usize,
    /// Its place among the terms, from 0 on.
    pub position: u32,
}

/// Cuts texts; keeps its buffer between them.
#[derive(Default)]
pub struct Analyzer {
    lower: String,
}

impl Analyzer {
    /// Calls `each` with the terms of a text, in order.
    #[inline]
    pub fn terms(&mut self, text: &str, each: impl FnMut(Term)) {
        if text.is_ascii() {
            self.ascii(text, each)
        } else if text.chars().all(|c| class(c).is_some()) {
            self.japanese(text, each)
        } else {
            self.general(text, each)
        }
    }

    fn ascii(&mut self, text: &str, each: impl FnMut(Term)) {
        let bytes = text.as_bytes();
        self.short(text, |at| bytes.get(at).map(|&b| (CLASS[b as usize], 1)), each)
    }

    /// ASCII, kana and ideographs: what nearly all Japanese logs consist of.
    fn japanese(&mut self, text: &str, each: impl FnMut(Term)) {
        let step = |at: usize| text[at..].chars().next().map(|c| (class(c).unwrap_or(OTHER), c.len_utf8()));
        self.short(text, step, each)
    }

    /// Texts whose characters' classes are known without tables: `step` gives the class and the
    /// length of the character at an offset.
    #[inline]
    fn short(&mut self, text: &str, step: impl Fn(usize) -> Option<(u8, usize)>, mut each: impl FnMut(Term)) {
        let (mut position, mut at) = (0, 0);
        while let Some((start, end)) = next_word(&mut at, &step) {
            let mut from = start;
            while from < end {
                // No text has more UTF-16 units than bytes.
                let to = if end - from <= TERM_UNITS_MAX { end } else { cut(text, from, end) };
                let word = &text[from..to];
                let term = if word.bytes().any(|b| b.is_ascii_uppercase()) {
                    self.lower.clear();
                    self.lower.push_str(word);
                    self.lower.make_ascii_lowercase();
                    &*self.lower
                } else {
                    word
                };
                each(Term { text: term, start: from, end: to, position });
                position += 1;
                from = to;
            }
        }
    }

    fn general(&mut self, text: &str, mut each: impl FnMut(Term)) {
        let mut position = 0;
        let mut words = Words { text, bounds: text.split_word_bound_indices().peekable() };
        while let Some((start, end)) = words.next() {
            let mut from = start;
            while from < end {
                let to = cut(text, from, end);
                self.lower.clear();
                lower(&text[from..to], &mut self.lower);
                each(Term { text: &self.lower, start: from, end: to, position });
                position += 1;
                from = to;
            }
        }
    }
}

/// The terms of a text as strings.
pub fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    Analyzer::default().terms(text, |term| terms.push(term.text.to_owned()));
    terms
}

// Classes of ASCII characters in UAX #29 (Unicode 12, which Lucene 8 follows: a colon joins letters).
const OTHER: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
/// `_` joins anything.
const JOIN: u8 = 3;
/// `:` joins letters.
const MID_LETTER: u8 = 4;
/// `,` and `;` join digits.
const MID_DIGIT: u8 = 5;
/// `.` and `'` join letters with letters, digits with digits.
const MID_BOTH: u8 = 6;

static CLASS: [u8; 256] = {
    let mut table = [OTHER; 256];
    let mut c = 0;
    while c < 128 {
        let b = c as u8;
        if b.is_ascii_alphabetic() {
            table[c] = LETTER;
        } else if b.is_ascii_digit() {
            table[c] = DIGIT;
        }
        c += 1;
    }
    table[b'_' as usize] = JOIN;
    table[b':' as usize] = MID_LETTER;
    table[b',' as usize] = MID_DIGIT;
    table[b';' as usize] = MID_DIGIT;
    table[b'.' as usize] = MID_BOTH;
    table[b'\'' as usize] = MID_BOTH;
    table
};

/// A character of its own: an ideograph, a hiragana.
const ALONE: u8 = 7;
/// Joins its like.
const KATAKANA: u8 = 8;

/// The class of a character that the short paths know.
#[inline]
fn class(c: char) -> Option<u8> {
    match c as u32 {
        code @ 0..=0x7F => Some(CLASS[code as usize]),
        // Ideographic space, comma, full stop, brackets; katakana's middle dot is punctuation too.
        0x3000..=0x3002 | 0x3008..=0x3011 | 0x30FB => Some(OTHER),
        0x3041..=0x3096 | 0x4E00..=0x9FEF => Some(ALONE),
        0x30A1..=0x30FA | 0x30FC => Some(KATAKANA),
        _ => None,
    }
}

/// The next word from `at` on, which moves behind it; `step` gives the class of the character at
/// a place, and its length.
#[inline]
fn next_word(at: &mut usize, step: impl Fn(usize) -> Option<(u8, usize)>) -> Option<(usize, usize)> {
    loop {
        let start = *at;
        let (first, len) = step(start)?;
        *at += len;
        match first {
            LETTER | DIGIT | JOIN | KATAKANA => {}
            ALONE => return Some((start, *at)),
            _ => continue,
        }
        let mut last = first;
        let mut is_word = first != JOIN;
        while let Some((class, len)) = step(*at) {
            let joins = match class {
                JOIN => true,
                LETTER | DIGIT => last != KATAKANA,
                KATAKANA => matches!(last, KATAKANA | JOIN),
                OTHER | ALONE => false,
                mid => {
                    let next = step(*at + len).map_or(OTHER, |next| next.0);
                    next == last
                        && match last {
                            LETTER => mid != MID_DIGIT,
                            DIGIT => mid != MID_LETTER,
                            _ => false,
                        }
                }
            };
            if !joins {
                break;
            }
            if matches!(class, LETTER | DIGIT | JOIN | KATAKANA) {
                last = class;
                is_word |= class != JOIN;
            }
            *at += len;
        }
        if is_word {
            return Some((start, *at));
        }
    }
}

/// Words of any text: the segments of UAX #29 that Lucene takes, joined where it joins more.
struct Words<'a, I: Iterator<Item = (usize, &'a str)>> {
    text: &'a str,
    bounds: std::iter::Peekable<I>,
}

impl<'a, I: Iterator<Item = (usize, &'a str)>> Words<'a, I> {
    fn next(&mut self) -> Option<(usize, usize)> {
        loop {
            let (start, segment) = self.bounds.next()?;
            let mut end = start + segment.len();
            if segment.chars().all(without_spaces) {
                while let Some((_, next)) = self.bounds.next_if(|(_, next)| next.chars().all(without_spaces)) {
                    end += next.len();
                }
                return Some((start, end));
            }
            if !(segment.chars().any(is_word) || is_emoji(segment)) {
                continue;
            }
            // Since Unicode 15 a colon joins no letters; for Lucene 8 it still does.
            while let Some((colon, ":")) = self.bounds.peek().copied() {
                let joins = ends_with_letter(&self.text[start..end])
                    && self.text[colon + 1..].chars().next().is_some_and(is_word_letter);
                if !joins {
                    break;
                }
                self.bounds.next();
                match self.bounds.next() {
                    Some((_, word)) => end = colon + 1 + word.len(),
                    None => end = colon + 1,
                }
            }
            return Some((start, end));
        }
    }
}

/// Letters and digits, but for two marks of Japanese that are letters and of no script.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() && !matches!(c, '〆' | '〼')
}

/// Letters that UAX #29 lets stand in words: not those that stand alone or have no spaces.
fn is_word_letter(c: char) -> bool {
    c.is_alphabetic() && !stands_alone(c) && !without_spaces(c) && !is_katakana(c)
}

fn ends_with_letter(word: &str) -> bool {
    // Marks that extend the letter before them don't count.
    word.chars().rev().find(|c| !is_mark(*c)).is_some_and(is_word_letter)
}

fn is_mark(c: char) -> bool {
    static MARK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[\p{M}\p{Cf}]$").expect("BUG: pattern"));
    !c.is_ascii() && MARK.is_match(c.encode_utf8(&mut [0; 4]))
}

fn stands_alone(c: char) -> bool {
    static ALONE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[\p{Han}\p{Hiragana}]$").expect("BUG: pattern"));
    c as u32 >= 0x2E80 && ALONE.is_match(c.encode_utf8(&mut [0; 4]))
}

fn is_katakana(c: char) -> bool {
    matches!(c as u32, 0x3031..=0x3035 | 0x309B..=0x309C | 0x30A0..=0x30FF | 0x31F0..=0x31FF | 0x32D0..=0x32FE
        | 0x3300..=0x3357 | 0xFF66..=0xFF9D | 0x1B000)
}

/// Line_Break=Complex_Context: Thai, Lao, Myanmar, Khmer, Tai Le, New Tai Lue, Tai Tham, Tai Viet, Ahom.
fn without_spaces(c: char) -> bool {
    matches!(c as u32, 0x0E01..=0x0E3A | 0x0E40..=0x0E4E | 0x0E81..=0x0EBD | 0x0EC0..=0x0ECD | 0x0EDC..=0x0EDF
        | 0x1000..=0x103F | 0x1050..=0x108F | 0x109A..=0x109F | 0x1780..=0x17D3 | 0x17D7 | 0x17DC..=0x17DD
        | 0x1950..=0x1974 | 0x1980..=0x19C9 | 0x19DE..=0x19DF | 0x1A20..=0x1A7C | 0x1AA0..=0x1AAD
        | 0xA9E0..=0xA9EF | 0xA9FA..=0xA9FE | 0xAA60..=0xAAC2 | 0xAADB..=0xAADF | 0x11700..=0x1172B)
}

fn is_emoji(segment: &str) -> bool {
    static EMOJI: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(\p{Extended_Pictographic}|[\x{1F1E6}-\x{1F1FF}]{2}|[0-9#*]\x{FE0F}?\x{20E3})")
            .expect("BUG: pattern")
    });
    EMOJI.is_match(segment)
}

/// Where the first piece of at most [`TERM_UNITS_MAX`] UTF-16 units ends.
fn cut(text: &str, from: usize, end: usize) -> usize {
    let mut units = 0;
    for (at, c) in text[from..end].char_indices() {
        units += c.len_utf16();
        if units > TERM_UNITS_MAX {
            return from + at;
        }
    }
    end
}

/// Lower case as Java's `Character.toLowerCase` makes it: one character of one, no context.
pub fn lower(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            'A'..='Z' => out.push(c.to_ascii_lowercase()),
            'İ' => out.push('i'),
            c if c.is_ascii() => out.push(c),
            c => out.extend(c.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_those_of_elasticsearch() {
        let check = |text: &str, want: &[&str]| assert_eq!(terms(text), want, "{text}");
        check("The 2 QUICK Brown-Foxes", &["the", "2", "quick", "brown", "foxes"]);
        check("dog's bone.", &["dog's", "bone"]);
        check("version 7.9.0, 1,000;5", &["version", "7.9.0", "1,000;5"]);
        check("www.example.com:8080/a_b?c=d", &["www.example.com", "8080", "a_b", "c", "d"]);
        check("level:ERROR 12:34", &["level:error", "12", "34"]);
        check("john.smith@x.org", &["john.smith", "x.org"]);
        check("a.1 1.a _ __x a..b .a.", &["a", "1", "1", "a", "__x", "a", "b", "a"]);
        check("ログイン失敗", &["ログイン", "失", "敗"]);
        check("ひらがな", &["ひ", "ら", "が", "な"]);
        check("한국어 텍스트", &["한국어", "텍스트"]);
        check("Größe ÉTÉ", &["größe", "été"]);
        check("ユーザーuser123", &["ユーザー", "user123"]);
        check("ภาษาไทย ok", &["ภาษาไทย", "ok"]);
        check("done 🎉!", &["done", "🎉"]);
        check("né:à", &["né:à"]);
        check("", &[]);
    }

    /// 259 texts, many of them random, and the terms that Lucene 8.7.0's `StandardAnalyzer`
    /// (that of Elasticsearch 7.10) gave for them, without stop words: a line each, with tabs.
    /// Not among them: Thai, and marks that follow no letter of their own, which ours cuts otherwise.
    #[test]
    fn terms_are_those_of_lucene() {
        let wrong = include_str!("../../tests/lucene/standard.tsv").lines().filter_map(|line| {
            let mut columns = line.split('\t');
            let text = columns.next().unwrap_or_default();
            let (got, want) = (terms(text), columns.collect::<Vec<_>>());
            (got != want).then(|| format!("{text}: {got:?}, not {want:?}"))
        });
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
    }

    #[test]
    fn long_words_are_cut() {
        let cut = |text: &str| terms(text).iter().map(|t| t.chars().count()).collect::<Vec<_>>();
        assert_eq!(cut(&"x".repeat(600)), [255, 255, 90]);
        assert_eq!(cut(&"é".repeat(300)), [255, 45]);
    }

    #[test]
    fn places_are_those_of_the_text() {
        let text = "Ab, çD";
        let mut places = Vec::new();
        Analyzer::default().terms(text, |t| places.push((t.start, t.end, t.position)));
        assert_eq!(places, [(0, 2, 0), (4, 7, 1)]);
    }

    proptest! {
        #[test]
        fn the_short_path_gives_what_the_long_one_gives(text in "[a-cA-C0-2_:;,.' /\\-]{0,40}") {
            let mut analyzer = Analyzer::default();
            let (mut short, mut long) = (Vec::new(), Vec::new());
            analyzer.ascii(&text, |t| short.push((t.text.to_owned(), t.start, t.end, t.position)));
            analyzer.general(&text, |t| long.push((t.text.to_owned(), t.start, t.end, t.position)));
            prop_assert_eq!(short, long);
        }

        #[test]
        fn the_japanese_path_gives_what_the_long_one_gives(text in "[aB0_:;,.' アンー・、。「ぁひ々一失龠]{0,30}") {
            let mut analyzer = Analyzer::default();
            if text.chars().all(|c| class(c).is_some()) {
                let (mut short, mut long) = (Vec::new(), Vec::new());
                analyzer.japanese(&text, |t| short.push((t.text.to_owned(), t.start, t.end, t.position)));
                analyzer.general(&text, |t| long.push((t.text.to_owned(), t.start, t.end, t.position)));
                prop_assert_eq!(short, long);
            }
        }

        #[test]
        fn any_text_is_cut_without_panic(text in "\\PC{0,60}") {
            terms(&text);
        }
    }
}
