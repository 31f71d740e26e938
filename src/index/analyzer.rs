//! The analyzer: cuts text into terms as Elasticsearch's `standard` does (Lucene's
//! `StandardTokenizer`, UAX #29 word boundaries, then lower case).
//!
//! A run of katakana is one term, so is a run of hangul, of Thai or of another script without
//! spaces; each ideograph and each hiragana stands alone; emoji are terms. `7.9.0`, `don't`,
//! `example.com`, `a:b` and `snake_case` stay whole. Longer than 255 characters is cut.
//!
//! The same code serves documents and queries, so both always agree. ASCII, which is nearly all
//! of a log, takes a short path; a property test holds it to what the long one gives.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Anchored, Input, MatchKind};
use std::sync::LazyLock;

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
    words: Words,
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
        let (mut position, mut at) = (0, 0);
        while let Some((start, end)) = self.words.next(text, at) {
            let mut from = start;
            at = end;
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

/// What is a term, as the grammar of Lucene 8's `StandardTokenizer` says: the rules WB5 to WB13b of
/// UAX #29 with Unicode 9's idea of a letter, an emoji sequence (UTS #51), a run of a script without
/// spaces, an ideograph, a hiragana. Where several fit the longest counts, so no rule needs to be
/// told from another.
fn grammar() -> String {
    let marks_but_selectors = r"[[\p{wb=Format}\p{wb=Extend}\p{wb=ZWJ}]--[\p{Emoji_Modifier}\x{FE0E}\x{FE0F}]]*";
    // Letters of Unicode 9: later versions count signs that modify letters, and others, as letters too.
    let letters = format!(r"[[\p{{wb=ALetter}}\p{{wb=Hebrew_Letter}}]--[{LETTERS_SINCE}{MARKS_UNTIL}]]");
    let (letter, hebrew) = (with(&letters), with(r"\p{wb=Hebrew_Letter}"));
    let numeral = with(&format!(r"[[\p{{wb=Numeric}}\x{{FF10}}-\x{{FF19}}]--[{MARKS_UNTIL}\x{{19DA}}]]"));
    let (katakana, join) = (with(r"\p{wb=Katakana}"), joins());
    // Since Unicode 15 a colon joins no letters; for Lucene 8 it does.
    let mid_letter = with(r"[[\p{wb=MidLetter}\p{wb=MidNumLet}\p{wb=Single_Quote}:\x{2D7}]--\x{55F}]");
    let mid_number = with(r"[\p{wb=MidNum}\p{wb=MidNumLet}\p{wb=Single_Quote}\x{FE10}\x{FE14}]");
    let (quote, double) = (with(r"\p{wb=Single_Quote}"), with(r"\p{wb=Double_Quote}"));
    let part = format!(
        "(?:{katakana}(?:{join}*{katakana})*|(?:{hebrew}(?:{quote}|{double}{hebrew})\
         |{numeral}(?:(?:{join}*|{mid_number}){numeral})*|{letter}(?:(?:{join}*|{mid_letter}){letter})*)+)"
    );
    let word = format!("{join}*{part}(?:{join}+{part})*{join}*");

    let pictograph = format!(
        r"[\p{{Extended_Pictographic}}[\p{{Emoji}}--[\p{{wb=Regional_Indicator}}\p{{Emoji_Modifier}}0-9\#*©®™\x{{3030}}\x{{303D}}]]]{marks_but_selectors}"
    );
    let modified = format!(
        r"(?:\p{{wb=ZWJ}}*\p{{Emoji_Modifier_Base}}{marks_but_selectors})?\p{{Emoji_Modifier}}{marks_but_selectors}"
    );
    let one = format!(r"(?:\p{{wb=ZWJ}}*{pictograph}\x{{FE0F}}?|{modified})");
    let emoji = format!(r"{one}(?:(?:\p{{wb=ZWJ}}{one})*|[\x{{E0020}}-\x{{E007E}}]+\x{{E007F}})");
    let key_cap = format!(r"[0-9\#*]{marks_but_selectors}\x{{FE0F}}?\x{{20E3}}{marks_but_selectors}");
    let flag = format!("{}{{2}}", with(r"\p{wb=Regional_Indicator}"));

    let run = format!("{}+", with(&format!("[{WITHOUT_SPACES}]")));
    let alone = with(r"[\p{Han}\p{Hiragana}]");
    format!("{word}|{emoji}|{key_cap}|{flag}|{run}|{alone}")
}

/// A class with the marks and invisible characters behind it, which belong to what is before them
/// (WB4).
fn with(class: &str) -> String {
    format!(r"(?:{class}[[\p{{wb=Format}}\p{{wb=Extend}}\p{{wb=ZWJ}}{MARKS_UNTIL}]--\p{{Emoji_Modifier}}]*)")
}

/// What joins letters, digits and katakana.
fn joins() -> String {
    with(r"\p{wb=ExtendNumLet}")
}

/// Line_Break=Complex_Context: Thai, Lao, Myanmar, Khmer, Tai Le, New Tai Lue, Tai Tham, Tai Viet, Ahom.
const WITHOUT_SPACES: &str = r"\x{E01}-\x{E3A}\x{E40}-\x{E4E}\x{E81}-\x{EBD}\x{EC0}-\x{ECD}\x{EDC}-\x{EDF}\x{1000}-\x{103F}\x{1050}-\x{108F}\x{109A}-\x{109F}\x{1780}-\x{17D3}\x{17D7}\x{17DC}-\x{17DD}\x{1950}-\x{1974}\x{1980}-\x{19C9}\x{19DA}\x{19DE}-\x{19DF}\x{1A20}-\x{1A7C}\x{1AA0}-\x{1AAD}\x{A9E0}-\x{A9EF}\x{A9FA}-\x{A9FE}\x{AA60}-\x{AAC2}\x{AADB}-\x{AADF}\x{11700}-\x{1172B}";

/// What became a letter of words after Unicode 9.
const LETTERS_SINCE: &str = r"\x{2C2}-\x{2C5}\x{2D2}-\x{2D7}\x{2DE}-\x{2DF}\x{2E5}-\x{2EB}\x{2ED}\x{2EF}-\x{2FF}\x{55A}-\x{55C}\x{55E}\x{58A}\x{70F}\x{A708}-\x{A716}\x{A720}-\x{A721}\x{A789}-\x{A78A}\x{AB5B}";

/// What belonged to the letter before it until Unicode 9: signs in front of Arabic, Syriac and Kaithi
/// numbers, two signs of Vedic.
const MARKS_UNTIL: &str = r"\x{600}-\x{605}\x{6DD}\x{70F}\x{8E2}\x{110BD}\x{1CF2}-\x{1CF3}";

static GRAMMAR: LazyLock<DFA> = LazyLock::new(|| automaton(&grammar()));

/// Runs that a term may begin with, but that are none by themselves.
static RUNS: LazyLock<DFA> = LazyLock::new(|| automaton(&format!(r"(?:{})+|\x{{200D}}+", joins())));

fn automaton(pattern: &str) -> DFA {
    let config = DFA::config().match_kind(MatchKind::All);
    let dfa = DFA::builder().configure(config).build(pattern);
    dfa.expect("BUG: the grammar is no pattern")
}

/// Words of any text.
#[derive(Default)]
struct Words {
    caches: Option<[Cache; 2]>,
}

impl Words {
    /// The next word from `at` on.
    fn next(&mut self, text: &str, mut at: usize) -> Option<(usize, usize)> {
        let [words, runs] = self.caches.get_or_insert_with(|| [GRAMMAR.create_cache(), RUNS.create_cache()]);
        // Where the runs of each kind end in which no word begins: a word that began within one would
        // begin at its start too. Without this, each of a million `_` would look to the end of all.
        let mut barren = [0; 2];
        while let Some(c) = text[at..].chars().next() {
            let kind = usize::from(c == '\u{200D}');
            let leads = kind == 1 || is_join(c);
            if !(leads && at < barren[kind]) {
                if let Some(end) = longest(&GRAMMAR, words, text, at) {
                    return Some((at, end));
                }
                if leads {
                    barren[kind] = longest(&RUNS, runs, text, at).unwrap_or(at);
                }
            }
            at += c.len_utf8();
        }
        None
    }
}

/// Where the longest match that begins at a place ends, if it is not empty.
fn longest(dfa: &DFA, cache: &mut Cache, text: &str, at: usize) -> Option<usize> {
    let input = Input::new(text).anchored(Anchored::Yes).range(at..);
    // The cache of states never gives up, and no byte makes it quit.
    let end = dfa.try_search_fwd(cache, &input).ok().flatten()?.offset();
    (end > at).then_some(end)
}

/// Word_Break=ExtendNumLet.
fn is_join(c: char) -> bool {
    matches!(c as u32, 0x5F | 0x202F | 0x203F..=0x2040 | 0x2054 | 0xFE33..=0xFE34 | 0xFE4D..=0xFE4F | 0xFF3F)
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

    /// 936 texts, most of them random, and the terms that Lucene 8.7.0's `StandardAnalyzer` (that of
    /// Elasticsearch 7.10) gave for them, without stop words: a line each, with tabs.
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
    fn runs_that_are_no_words_are_passed_once() {
        // In time that grows with the square these would take hours.
        for run in ["_", "\u{200D}", "_\u{200D}", "_\u{301}", "\u{203F}"] {
            let text = "é ".to_owned() + &run.repeat(300_000) + " a" + run + "b";
            let found = terms(&text);
            assert_eq!((found.len(), &*found[0]), (2, "é"), "{run:?}");
        }
        assert_eq!(terms("é _\u{200D}👩 _\u{200D}_a"), ["é", "\u{200D}👩", "_\u{200D}_a"]);
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
