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
    /// A number from the list of codes in `language/check.rs`, never used twice: `C014`.
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
