//! Regular expressions as Ruby (Oniguruma) writes them: for `=~`, grok, gsub, multiline.
//!
//! A pattern is translated once into the syntax that PCRE2 and the `regex` crate share, where
//! Ruby's own meaning differs (`^` and `$` at lines always, `(?m)` for dot-all, `\h` a hex
//! digit, plain groups that don't capture beside named ones, nested classes …). Captures run on
//! PCRE2's JIT; questions of yes or no run on `regex`, in linear time, where it can express the
//! pattern. No match can burn a core: past a limit it is an error that the caller sees.
//!
//! Most log lines are ASCII. For those the pattern has a variant of its own that knows nothing
//! of UTF-8, which both engines run faster; it gives what the general variant gives.

mod class;
mod pcre;
mod translate;

pub use pcre::MATCH_LIMIT;

use pcre::Code;
use pcre2_sys::{PCRE2_CASELESS, PCRE2_DOTALL, PCRE2_UCP, PCRE2_UTF};
use std::sync::{Arc, OnceLock};
use translate::{Mode, Translation, translate};

/// Where groups matched: byte offsets of start and end; the first is the whole match.
pub type Slots = Vec<Option<(usize, usize)>>;

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RegexpError {
    /// What is wrong.
    pub message: String,
    /// Where in the pattern, if known.
    pub at: Option<usize>,
}

/// Why a match gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// It tried more than the limit allows.
    #[error("the pattern took more than the allowed number of steps on this text")]
    Limit,
    /// The engine says no.
    #[error("the pattern can't be run on this text: {0}")]
    Engine(String),
}

/// What Ruby gives as options beside the pattern.
#[derive(Clone, Copy, Debug)]
pub struct Flags {
    /// `.` matches newlines too (Ruby's `m`); grok sets it.
    pub dot_all: bool,
    /// Letters match in either case (Ruby's `i`).
    pub ignore_case: bool,
    /// See [`MATCH_LIMIT`].
    pub match_limit: u32,
}

impl Default for Flags {
    fn default() -> Flags {
        Flags { dot_all: false, ignore_case: false, match_limit: MATCH_LIMIT }
    }
}

/// A compiled pattern. Cloning it is cheap, and clones can run in several threads at once.
#[derive(Clone)]
pub struct Regexp(Arc<Inner>);

struct Inner {
    pattern: String,
    flags: Flags,
    names: Vec<Option<String>>,
    /// For texts that are pure ASCII; absent where the pattern itself needs more.
    ascii: Option<Code>,
    /// The source of `linear`, where `regex` can express it.
    ascii_source: Option<String>,
    linear: OnceLock<Option<regex::bytes::Regex>>,
    /// For all other texts: built at the first one.
    unicode: OnceLock<Result<Code, RegexpError>>,
}

impl std::fmt::Debug for Regexp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Regexp({:?})", self.0.pattern)
    }
}

impl Regexp {
    /// Compiles a pattern as Ruby's `Regexp.new` does.
    pub fn new(pattern: &str) -> Result<Regexp, RegexpError> {
        Self::with_flags(pattern, Flags::default())
    }

    /// Compiles a pattern with flags.
    pub fn with_flags(pattern: &str, flags: Flags) -> Result<Regexp, RegexpError> {
        let Translation { pattern: source, names, utf_only, pcre_only } = translate(pattern, Mode::Ascii)?;
        let unicode = OnceLock::new();
        let ascii = if utf_only {
            unicode.get_or_init(|| compile_unicode(pattern, flags)).as_ref().map_err(Clone::clone)?;
            None
        } else {
            Some(Code::compile(&source, flags.pcre())?)
        };
        let ascii_source = (!pcre_only && !utf_only).then_some(source);
        let pattern = pattern.to_owned();
        Ok(Regexp(Arc::new(Inner { pattern, flags, names, ascii, ascii_source, linear: OnceLock::new(), unicode })))
    }

    /// The pattern as given.
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }

    /// The names of the groups by number; the first stands for the whole match. A name may come
    /// more than once.
    pub fn names(&self) -> &[Option<String>] {
        &self.0.names
    }

    /// The same pattern for another worker. Nothing is copied.
    pub fn fork(&self) -> Regexp {
        self.clone()
    }

    /// Whether the pattern matches somewhere in the text.
    pub fn is_match(&self, text: &str) -> Result<bool, MatchError> {
        if text.is_ascii() {
            // `regex` lets `^` match behind a newline that ends the text; Ruby does not.
            if let Some(linear) = self.0.linear().filter(|_| !text.ends_with('\n')) {
                return Ok(linear.is_match(text.as_bytes()));
            }
        }
        self.with_offsets(text, 0, |_| ()).map(|found| found.is_some())
    }

    /// The first match at or behind `start`, which is a character's boundary.
    pub fn find_at(&self, text: &str, start: usize) -> Result<Option<(usize, usize)>, MatchError> {
        self.with_offsets(text, start, |offsets| (offsets[0], offsets[1]))
    }

    /// Matches and fills `slots` with where each group matched; false leaves them cleared.
    pub fn captures(&self, text: &str, slots: &mut Slots) -> Result<bool, MatchError> {
        self.captures_at(text, 0, slots)
    }

    /// Like [`Regexp::captures`], for the first match at or behind `start`.
    pub fn captures_at(&self, text: &str, start: usize, slots: &mut Slots) -> Result<bool, MatchError> {
        slots.clear();
        let found = self.with_offsets(text, start, |offsets| {
            slots.extend(offsets.chunks_exact(2).map(|pair| (pair[0] != usize::MAX).then_some((pair[0], pair[1]))));
        })?;
        Ok(found.is_some())
    }

    /// Appends `text` to `out` with every match replaced, as Ruby's `gsub` does: `\0` and `\&`
    /// stand for the match, `\1` … `\9` and `\k<name>` for groups, `\\` for a backslash.
    /// Returns how many there were; with none, nothing is appended.
    pub fn replace_all(&self, text: &str, replacement: &str, out: &mut String) -> Result<usize, MatchError> {
        let (mut count, mut copied, mut at) = (0, 0, 0);
        let length = out.len();
        while at <= text.len() {
            let found = self.with_offsets(text, at, |offsets| {
                out.push_str(&text[copied..offsets[0]]);
                self.0.expand(text, offsets, replacement, out);
                (offsets[0], offsets[1])
            });
            match found {
                Ok(None) => break,
                Ok(Some((start, end))) => {
                    count += 1;
                    copied = end;
                    // Behind an empty match the search goes on one character further.
                    at = if start < end { end } else { end + text[end..].chars().next().map_or(1, char::len_utf8) };
                }
                Err(error) => {
                    out.truncate(length);
                    return Err(error);
                }
            }
        }
        if count > 0 {
            out.push_str(&text[copied..]);
        }
        Ok(count)
    }

    /// The offsets of the first match at or behind `start`: pairs of start and end for the whole
    /// and each group, `usize::MAX` where a group took no part.
    pub(crate) fn with_offsets<T>(
        &self,
        text: &str,
        start: usize,
        found: impl FnOnce(&[usize]) -> T,
    ) -> Result<Option<T>, MatchError> {
        let inner = &*self.0;
        let code = match &inner.ascii {
            Some(code) if text.is_ascii() => code,
            _ => inner.unicode()?,
        };
        code.run(text, start, inner.flags.match_limit, found)
    }
}

impl Flags {
    fn pcre(self) -> u32 {
        let dot_all = if self.dot_all { PCRE2_DOTALL } else { 0 };
        dot_all | if self.ignore_case { PCRE2_CASELESS } else { 0 }
    }
}

fn compile_unicode(pattern: &str, flags: Flags) -> Result<Code, RegexpError> {
    let translation = translate(pattern, Mode::Unicode)?;
    Code::compile(&translation.pattern, flags.pcre() | PCRE2_UTF | PCRE2_UCP)
}

impl Inner {
    fn unicode(&self) -> Result<&Code, MatchError> {
        let code = self.unicode.get_or_init(|| compile_unicode(&self.pattern, self.flags));
        code.as_ref().map_err(|error| MatchError::Engine(error.message.clone()))
    }

    fn linear(&self) -> Option<&regex::bytes::Regex> {
        let build = || {
            regex::bytes::RegexBuilder::new(self.ascii_source.as_ref()?)
                .unicode(false)
                .multi_line(true)
                .dot_matches_new_line(self.flags.dot_all)
                .case_insensitive(self.flags.ignore_case)
                .size_limit(1 << 20)
                .build()
                .ok()
        };
        self.linear.get_or_init(build).as_ref()
    }

    fn expand(&self, text: &str, offsets: &[usize], replacement: &str, out: &mut String) {
        let group = |number: usize, out: &mut String| {
            if let Some([start @ 0..0x7fff_ffff_ffff_ffff, end]) = offsets.get(number * 2..number * 2 + 2) {
                out.push_str(&text[*start..*end]);
            }
        };
        let mut rest = replacement;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            out.push_str(&rest[..at]);
            let escaped = &rest[at + 1..];
            let taken = match escaped.as_bytes().first() {
                Some(&digit @ b'0'..=b'9') => {
                    group((digit - b'0') as usize, out);
                    1
                }
                Some(b'&') => {
                    group(0, out);
                    1
                }
                Some(b'`') => {
                    out.push_str(&text[..offsets[0]]);
                    1
                }
                Some(b'\'') => {
                    out.push_str(&text[offsets[1]..]);
                    1
                }
                Some(b'\\') => {
                    out.push('\\');
                    1
                }
                Some(b'k') if escaped[1..].starts_with('<') && escaped.contains('>') => {
                    let end = escaped.find('>').unwrap_or(escaped.len());
                    let name = &escaped[2..end];
                    // Of several groups of one name, the last that matched counts.
                    let number = (0..self.names.len())
                        .rfind(|&n| self.names[n].as_deref() == Some(name) && offsets[n * 2] != usize::MAX)
                        .or_else(|| name.parse().ok());
                    if let Some(number) = number {
                        group(number, out);
                    }
                    end + 1
                }
                _ => {
                    out.push('\\');
                    0
                }
            };
            rest = &escaped[taken..];
        }
        out.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, text: &str) -> Option<String> {
        let regexp = Regexp::new(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        let found = regexp.find_at(text, 0).unwrap().map(|(start, end)| text[start..end].to_owned());
        assert_eq!(regexp.is_match(text).unwrap(), found.is_some(), "{pattern} on {text:?}: engines disagree");
        found
    }

    #[test]
    fn patterns_mean_what_they_mean_in_ruby() {
        let check = |pattern: &str, text: &str, want: Option<&str>| {
            assert_eq!(find(pattern, text).as_deref(), want, "{pattern} on {text:?}");
        };
        check("b.d", "abcd", Some("bcd"));
        check("^b$", "a\nb\nc", Some("b"));
        check("^$", "a\n", None);
        check("a.b", "a\nb", None);
        check("(?m)a.b", "a\nb", Some("a\nb"));
        check("(?m:a.b)", "a\nb", Some("a\nb"));
        check("(?-m:a.b)", "a\nb", None);
        check(r"\h+", "xyz 12aF", Some("12aF"));
        check(r"\H+", "12xyz", Some("xyz"));
        check(r"[\h:]+", "g12:aF", Some("12:aF"));
        check(r"\Ab", "ab", None);
        check(r"b\z", "ab", Some("b"));
        check(r"b\Z", "ab\n", Some("b"));
        check(r"b\z", "ab\n", None);
        check(r"a++b", "aaab", Some("aaab"));
        check(r"(?>a+)ab", "aaab", None);
        check(r"[[:alpha:]]+", "12Grüße!", Some("Grüße"));
        check(r"[[:^alpha:]]+", "ab12", Some("12"));
        check(r"\w+", "Grüße", Some("Gr"));
        check(r"\b\w+\b", "Grüße", None);
        check(r"\d+", "٣ 3", Some("3"));
        check(r"[\w.]+", "é a.b", Some("a.b"));
        check(r"[^\W]+", "é ab", Some("ab"));
        check(r"[a-c&&[^b]]+", "bac", Some("ac"));
        check(r"[^a-c&&[^b]]+", "acb", Some("b"));
        check(r"[[a-c][x]]+", "-axb-", Some("axb"));
        check(r"[[[:alnum:]]_%]+", "-a_%-", Some("a_%"));
        check(r"[a[^b]]+", "bxa", Some("xa"));
        check(r"[]a]+", "a]", Some("a]"));
        check(r"(?i)GRÜSSE|hello", "Hello", Some("Hello"));
        check(r"a(?i)b|c", "C", None);
        check(r"a(?i)b|c", "aC", Some("aC"));
        check(r"(?x) a b # comment", "ab", Some("ab"));
        check(r"(?#comment)ab", "ab", Some("ab"));
        check(r"x{,2}y", "xxxy", Some("xxy"));
        check(r"a{2}+", "aaaaa", Some("aaaa"));
        check(r"a{x}", "a{x}", Some("a{x}"));
        check(r"a**", "aaa", Some("aaa"));
        check(r"(?<q>['\x22]).*?\k<q>", r#"a "b" c"#, Some(r#""b""#));
        check(r"(a)(b)\2\1", "abba", Some("abba"));
        check(r"(?<n>\((?:[^()]|\g<n>)*\))", "x(a(b)c)", Some("(a(b)c)"));
        check(r"(?<!a)b", "ab b", Some("b"));
        check(r"ä?b", "b", Some("b"));
        check(r"ä+b", "ääb", Some("ääb"));
        check(r"[äö]+", "xöä", Some("öä"));
        check(r"\u3042", "あ", Some("あ"));
        check(r"\p{Han}+", "a漢字", Some("漢字"));
        check(r"\p{Alpha}+", "1ab", Some("ab"));
        check(r"\/\<\_\-", "/<_-", Some("/<_-"));
        check(r"\e\a\v", "\x1b\x07\x0b", Some("\x1b\x07\x0b"));
        check("a|", "b", Some(""));
        check("", "", Some(""));
    }

    #[test]
    fn mistakes_are_named() {
        let check = |pattern: &str, want: &str| {
            let error = Regexp::new(pattern).err().unwrap_or_else(|| panic!("{pattern} compiles"));
            assert!(error.message.contains(want), "{pattern}: {error}");
        };
        check("(a", "unmatched");
        check("a)", "unmatched");
        check("[a", "class");
        check("*a", "repeat");
        check("[b-a]", "range");
        check(r"\k<x>", "undefined");
        check("a\\", "escape");
        check("(?~a)", "absent");
    }

    #[test]
    fn groups_are_numbered_as_ruby_numbers_them() {
        let mut slots = Slots::new();
        let plain = Regexp::new("(a)(?:b)(c)?").unwrap();
        assert!(plain.captures("xab", &mut slots).unwrap());
        assert_eq!(slots, [Some((1, 3)), Some((1, 2)), None]);
        let named = Regexp::new("(a)(?<[x][y]>b)(?<z-1>c)").unwrap();
        assert!(named.captures("abc", &mut slots).unwrap());
        assert_eq!(slots, [Some((0, 3)), Some((1, 2)), Some((2, 3))]);
        assert_eq!(named.names(), [None, Some("[x][y]".to_owned()), Some("z-1".to_owned())]);
        assert!(!named.captures("abd", &mut slots).unwrap());
        assert!(slots.is_empty());
    }

    #[test]
    fn gsub() {
        let check = |pattern: &str, text: &str, replacement: &str, want: &str| {
            let mut out = String::new();
            let count = Regexp::new(pattern).unwrap().replace_all(text, replacement, &mut out).unwrap();
            assert_eq!(if count == 0 { text } else { &out }, want, "{pattern} on {text:?}");
        };
        check("/", "a/b/c", "_", "a_b_c");
        check("x", "abc", "-", "abc");
        check("x*", "abc", "-", "-a-b-c-");
        check("", "äb", "-", "-ä-b-");
        check(r"(\w)(\d)", "a1 b2", r"\2\1\0\\n", r"1aa1\n 2bb2\n");
        check(r"(?<first>\w)\w*", "hello", r"\k<first>.", "h.");
        check("l", "hello", r"[\`|\']", "he[he|lo][hel|o]o");
        check("a", "a", r"\q\", r"\q\");
        check("(a)|b", "b", r"<\1>", "<>");
    }

    #[test]
    fn no_pattern_burns_a_core() {
        let bad = Regexp::new(r"^(?=a)(?:a+)+z$").unwrap();
        let text = format!("{}!z", "a".repeat(60));
        assert_eq!(bad.is_match(&text), Err(MatchError::Limit));
    }

    #[test]
    fn a_long_text_needs_no_long_stack() {
        let text = format!("{}b", "ab".repeat(400_000));
        let regexp = Regexp::new(r"^(?:(a)|(b))*$").unwrap();
        assert!(matches!(regexp.captures(&text, &mut Slots::new()), Ok(true) | Err(MatchError::Limit)));
    }
}
