//! Capitals and small letters as Ruby's `upcase`, `downcase` and `capitalize` make them.

use super::{Batch, Span};

/// Which letters become capitals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Case {
    /// All of them.
    Upper,
    /// The first one; the others become small.
    Capital,
    /// None.
    Lower,
}

impl Case {
    /// The text at `span` in this case, as a new span; `None` where it is so already. All of
    /// Unicode's letters count. `scratch` is memory to work in.
    pub fn apply(self, batch: &mut Batch, span: Span, scratch: &mut String) -> Option<Span> {
        if batch.bytes(span).is_ascii() {
            return self.ascii(batch, span);
        }
        scratch.clear();
        self.push(batch.text(span), scratch);
        (scratch != batch.text(span)).then(|| batch.push_text(scratch))
    }

    fn ascii(self, batch: &mut Batch, span: Span) -> Option<Span> {
        let bytes = batch.bytes(span);
        let (first, rest) = bytes.split_first()?;
        let same = match self {
            Case::Upper => !bytes.iter().any(u8::is_ascii_lowercase),
            Case::Lower => !bytes.iter().any(u8::is_ascii_uppercase),
            Case::Capital => !first.is_ascii_lowercase() && !rest.iter().any(u8::is_ascii_uppercase),
        };
        if same {
            return None;
        }
        let arena = batch.bytes_mut();
        let start = arena.len();
        arena.extend_from_within(span.range());
        let new = &mut arena[start..];
        match self {
            Case::Upper => new.make_ascii_uppercase(),
            Case::Lower => new.make_ascii_lowercase(),
            Case::Capital => {
                new.make_ascii_lowercase();
                new[..1].make_ascii_uppercase();
            }
        }
        Some(Span::new(start, arena.len()))
    }

    /// Letter by letter, as Ruby does it: a sigma at the end of a word is no other than elsewhere.
    fn push(self, from: &str, out: &mut String) {
        match self {
            Case::Upper => out.extend(from.chars().flat_map(char::to_uppercase)),
            Case::Lower => out.extend(from.chars().flat_map(char::to_lowercase)),
            Case::Capital => {
                let mut chars = from.chars();
                if let Some(first) = chars.next() {
                    push_title(first, out);
                }
                out.extend(chars.flat_map(char::to_lowercase));
            }
        }
    }
}

/// The title case of a letter: `Ss` for ß, `ǅ` for ǆ.
fn push_title(letter: char, out: &mut String) {
    let title = match letter {
        '\u{1C4}'..='\u{1C6}' => '\u{1C5}',
        '\u{1C7}'..='\u{1C9}' => '\u{1C8}',
        '\u{1CA}'..='\u{1CC}' => '\u{1CB}',
        '\u{1F1}'..='\u{1F3}' => '\u{1F2}',
        _ => {
            let mut upper = letter.to_uppercase();
            out.extend(upper.next());
            out.extend(upper.flat_map(char::to_lowercase));
            return;
        }
    };
    out.push(title);
}
