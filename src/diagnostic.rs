//! What is wrong with a configuration, and where; how that is drawn, and the list of codes.

use std::ops::Range;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A range of bytes in one of the files that make up a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Place {
    /// Which file, as an index into [`Sources`].
    pub file: u32,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Place {
    /// The bytes as a range.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Nothing starts.
    Error,
    /// Said, then started.
    Warning,
}

/// One mistake, with its place and what to do about it.
#[derive(Clone, PartialEq, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// One of [`code`]: `C014`.
    pub code: &'static str,
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// Where it is.
    pub place: Place,
    /// What stands beside the caret, such as "did you mean `match`?".
    pub label: String,
    /// A closing note, such as the list of valid words.
    pub note: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Error, code, message: message.into(), place, label: String::new(), note: None }
    }

    /// The same with text beside the caret.
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// The same with a closing note.
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.note = Some(note.into());
        self
    }

    /// The same as a warning.
    pub fn warning(mut self) -> Diagnostic {
        self.severity = Severity::Warning;
        self
    }
}

/// The files (and `-e` texts) of a configuration, by the numbers that places carry.
#[derive(Default, Debug, Clone)]
pub struct Sources {
    /// Name to show and text.
    pub files: Vec<(String, String)>,
}

/// The codes of all mistakes. A number is never used twice, not even after its mistake is gone.
pub mod code {
    macro_rules! codes {
        ($($(#[doc = $doc:literal])* $name:ident $code:literal;)*) => {
            $($(#[doc = $doc])* pub const $name: &str = $code;)*
            /// Every code, in order.
            pub const ALL: &[&str] = &[$($code),*];
        };
    }
    codes! {
        /// Something else was expected.
        SYNTAX "C001";
        /// A text without its closing quote.
        TEXT "C002";
        /// A regular expression without its closing slash.
        REGEXP_UNCLOSED "C003";
        /// Nested deeper than [`crate::language::DEPTH_MAX`].
        DEPTH "C004";
        /// Neither a number nor a bareword, or a bareword of one character.
        BAREWORD "C005";
        /// A block or bracket that is not closed.
        UNCLOSED "C006";
        /// A section that is none of the three.
        SECTION "C007";
        /// What can't stand in a condition.
        OPERAND "C008";
        /// `xor` or `nand` beside another operator without parentheses.
        MIXED "C009";
        /// An unknown plugin.
        PLUGIN "C010";
        /// A condition in the input section.
        INPUT_CONDITION "C011";
        /// A setting that the plugin can't do without.
        REQUIRED "C012";
        /// A value of the wrong type.
        TYPE "C013";
        /// An unknown setting.
        OPTION "C014";
        /// A text that is none of the valid ones.
        CHOICE "C015";
        /// The same key twice in one hash.
        DUPLICATE_KEY "C016";
        /// An environment variable without value and default.
        VARIABLE "C017";
        /// A bad field reference.
        FIELD "C018";
        /// A bad regular expression or grok pattern.
        PATTERN "C019";
        /// Two plugins with the same id.
        DUPLICATE_ID "C020";
        /// Operands that can't be compared.
        COMPARISON "C021";
        /// Warning: `and` and `or` bind otherwise than they read.
        PRECEDENCE "C022";
        /// Warning: what looks like an array is a field reference.
        ARRAY_SELECTOR "C023";
        /// A value that its plugin refuses.
        VALUE "C024";
        /// A file that a plugin needs can't be read.
        FILE "C025";
        /// Warning: a setting that has no effect here.
        UNUSED "C026";
        /// An address of a pipeline that two listen under, or (a warning) nobody.
        ADDRESS "C027";
        /// Pipelines that send to each other in a circle.
        CIRCLE "C028";
        /// Text that is no YAML.
        YAML "R001";
        /// A key that is not known here, or stands there twice.
        RULE_KEY "R002";
        /// A value of the wrong kind.
        RULE_VALUE "R003";
        /// A field that is missing.
        RULE_MISSING "R004";
        /// A bad PromQL expression.
        EXPRESSION "R005";
        /// A bad template.
        TEMPLATE "R006";
        /// A name that is taken, or fields that exclude each other.
        RULE_CONFLICT "R007";
        /// A bad name of a metric or label.
        RULE_NAME "R008";
    }
}

/// Draws diagnostics, the picture of each behind the other:
///
/// ```text
/// error[C014]: unknown setting `matches` for filter `grok`
///   ┌─ pipelines/nginx.conf:7:5
/// 7 │     matches => { "message" => "%{COMBINEDAPACHELOG}" }
///   │     ^^^^^^^ did you mean `match`?
///   = `grok` takes: break_on_match, match, overwrite, …
/// ```
///
/// Columns count characters, from 1 on; carets stand under what they mean also behind wide
/// characters. `colour`: whether the terminal is told to colour it.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, colour: bool) -> String {
    let mut out = String::new();
    for (at, diagnostic) in diagnostics.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        diagnostic.draw(sources, &Paint { colour }, &mut out);
    }
    out
}

impl Diagnostic {
    fn draw(&self, sources: &Sources, paint: &Paint, out: &mut String) {
        let (word, strong) = match self.severity {
            Severity::Error => ("error", Paint::RED),
            Severity::Warning => ("warning", Paint::YELLOW),
        };
        out.push_str(&paint.with(strong, &format!("{word}[{}]", self.code)));
        out.push_str(&format!(": {}\n", self.message));
        let mut indent = 1;
        if let Some((name, text)) = sources.files.get(self.place.file as usize) {
            let line = Line::of(text, self.place);
            indent = line.number.to_string().len();
            let gutter = |margin: &str, sign: &str| paint.with(Paint::BLUE, &format!("{margin:>indent$} {sign}"));
            let shown = Excerpt::of(&line);
            let carets = paint.with(strong, format!("{} {}", "^".repeat(shown.width), self.label).trim_end());
            out.push_str(&format!("{} {name}:{}:{}\n", gutter("", "┌─"), line.number, line.column));
            out.push_str(format!("{} {}", gutter(&line.number.to_string(), "│"), shown.text).trim_end());
            out.push_str(&format!("\n{} {}{carets}\n", gutter("", "│"), " ".repeat(shown.before)));
        } else if !self.label.is_empty() {
            out.push_str(&format!("  {}\n", self.label));
        }
        for line in self.note.iter().flat_map(|note| note.lines()) {
            out.push_str(&format!("{} {line}\n", paint.with(Paint::BLUE, &format!("{:indent$} =", ""))));
        }
    }
}

/// The line in which a place begins.
struct Line<'t> {
    /// Counted from 1 on.
    number: usize,
    /// Counted in characters, from 1 on.
    column: usize,
    text: &'t str,
    /// The place within the text, cut at the end of the line.
    range: Range<usize>,
}

impl<'t> Line<'t> {
    fn of(text: &'t str, place: Place) -> Line<'t> {
        let begin = boundary(text, place.start as usize);
        let end = boundary(text, place.end as usize).max(begin);
        let start = text[..begin].rfind('\n').map_or(0, |at| at + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        let within = |at: usize| (at - start).min(line.len());
        Line {
            number: text[..begin].matches('\n').count() + 1,
            column: text[start..begin].chars().count() + 1,
            text: line,
            range: within(begin)..within(end),
        }
    }
}

/// The last boundary between characters that is not behind `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// What is shown of a line: a long one is cut around the place.
struct Excerpt {
    text: String,
    /// Columns of the screen before the place.
    before: usize,
    /// Columns of the screen that the place takes, at least one.
    width: usize,
}

impl Excerpt {
    /// Columns before the place in a line that is cut.
    const BEFORE_MAX: usize = 60;
    /// Columns in all.
    const COLUMNS_MAX: usize = 140;

    fn of(line: &Line<'_>) -> Excerpt {
        let (head, rest) = line.text.split_at(line.range.start);
        let (marked, tail) = rest.split_at(line.range.len());
        let (mut head, marked, tail) = (clean(head), clean(marked), clean(tail));
        if head.width() + marked.width() + tail.width() > Self::COLUMNS_MAX && head.width() > Self::BEFORE_MAX {
            let skip = head.width() - Self::BEFORE_MAX;
            let mut skipped = 0;
            let kept = head.chars().skip_while(|c| {
                skipped += c.width().unwrap_or(0);
                skipped <= skip
            });
            head = format!("…{}", kept.collect::<String>());
        }
        let before = head.width();
        let mut text = format!("{head}{marked}{tail}");
        let mut columns = 0;
        let cut = text.char_indices().find(|(_, c)| {
            columns += c.width().unwrap_or(0);
            columns > Self::COLUMNS_MAX
        });
        if let Some((at, _)) = cut {
            text.truncate(at);
            text.push('…');
        }
        let width = marked.width().min(text.width().saturating_sub(before)).max(1);
        Excerpt { text, before, width }
    }
}

/// Text for a terminal: tabs as blanks, and nothing that would steer it.
fn clean(text: &str) -> String {
    text.replace('\t', "    ").chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Colours, where they are wanted.
struct Paint {
    colour: bool,
}

impl Paint {
    const RED: &'static str = "1;31";
    const YELLOW: &'static str = "1;33";
    const BLUE: &'static str = "1;34";

    fn with(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(text: &str, part: &str, label: &str) -> String {
        let start = text.find(part).unwrap();
        let place = Place { file: 0, start: start as u32, end: (start + part.len()) as u32 };
        let sources = Sources { files: vec![("a.conf".to_owned(), text.to_owned())] };
        render(&[Diagnostic::error("C014", place, "a mistake").label(label)], &sources, false)
    }

    #[test]
    fn carets_stand_under_what_they_mean() {
        let check = |text: &str, part: &str, want: &str| {
            assert_eq!(picture(text, part, "here"), format!("error[C014]: a mistake\n{want}"), "{text}");
        };
        check("ab cd ef", "cd", "  ┌─ a.conf:1:4\n1 │ ab cd ef\n  │    ^^ here\n");
        check("x\n  \"失敗\" cd\n", "cd", "  ┌─ a.conf:2:8\n2 │   \"失敗\" cd\n  │          ^^ here\n");
        check("\"失敗\" cd", "失敗", "  ┌─ a.conf:1:2\n1 │ \"失敗\" cd\n  │  ^^^^ here\n");
        check("\tcd", "cd", "  ┌─ a.conf:1:2\n1 │     cd\n  │     ^^ here\n");
        check("ab\r\ncd", "ab\r\ncd", "  ┌─ a.conf:1:1\n1 │ ab\n  │ ^^ here\n");
        check("a\x1bb", "b", "  ┌─ a.conf:1:3\n1 │ a\u{fffd}b\n  │   ^ here\n");
    }

    #[test]
    fn the_end_of_a_text_and_no_text_at_all_are_places_too() {
        let at_end = Diagnostic::error("C001", Place { file: 0, start: 2, end: 2 }, "m").note("one\ntwo").warning();
        let sources = Sources { files: vec![("a".to_owned(), "x\n".to_owned())] };
        let want = "warning[C001]: m\n  ┌─ a:2:1\n2 │\n  │ ^\n  = one\n  = two\n";
        assert_eq!(render(std::slice::from_ref(&at_end), &sources, false), want);
        assert_eq!(render(&[at_end], &Sources::default(), false), "warning[C001]: m\n  = one\n  = two\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let long = format!("{}HERE{}", "a ".repeat(5000), " b".repeat(5000));
        let picture = picture(&long, "HERE", "");
        let lines: Vec<&str> = picture.lines().collect();
        assert_eq!(lines[1], "  ┌─ a.conf:1:10001");
        assert!(lines[2].width() < 150 && lines[2].contains("HERE"));
        assert_eq!(lines[2].split("HERE").next().unwrap().width(), lines[3].find('^').unwrap() - 2);
    }

    #[test]
    fn colours_come_on_demand() {
        let sources = Sources::default();
        let picture = render(&[Diagnostic::error("C001", Place::default(), "m")], &sources, true);
        assert_eq!(picture, "\x1b[1;31merror[C001]\x1b[0m: m\n");
    }
}
