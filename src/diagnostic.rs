//! What is wrong with a configuration, and where; the only file that knows the rendering library.

use std::ops::Range;

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
    }
}
