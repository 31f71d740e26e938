//! What the options `trim_*`, `remove_char_*` and `transform_*` do to keys and values.

use super::scan::plain_set;
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, Case, Span};
use crate::plugin::Options;
use crate::regexp::{MatchError, Regexp};

/// `trim_*`, `remove_char_*`, `transform_*` for keys or for values.
pub(super) struct Change {
    trim: Option<(Characters, Regexp)>,
    remove: Option<(Characters, Regexp)>,
    case: Option<Case>,
}

/// A class of characters: one bit each where it is a plain list of ASCII characters.
struct Characters(Option<u128>);

impl Characters {
    fn new(class: &str) -> Characters {
        let bits = |set: Vec<u8>| set.iter().fold(0, |bits, &byte| bits | 1u128 << byte);
        Characters(plain_set(class).map(bits))
    }
}

fn has(bits: u128, byte: u8) -> bool {
    byte < 128 && bits >> byte & 1 == 1
}

impl Change {
    /// Reads the options for `key` or `value`.
    pub(super) fn new(options: &Options, kind: &str, errors: &mut Vec<Diagnostic>) -> Change {
        let mut class = |name: String, pattern: fn(&str) -> String| {
            let class = options.str(&name)?;
            match Regexp::new(&pattern(class)) {
                Ok(regexp) => Some((Characters::new(class), regexp)),
                Err(error) => {
                    let message = format!("cannot use `{name}` as a list of characters: {error}");
                    errors.push(Diagnostic::error(code::PATTERN, options.place_of(&name), message));
                    None
                }
            }
        };
        Change {
            trim: class(format!("trim_{kind}"), |class| format!("^[{class}]+|[{class}]+$")),
            remove: class(format!("remove_char_{kind}"), |class| format!("[{class}]")),
            case: options.str(&format!("transform_{kind}")).map(|case| match case {
                "lowercase" => Case::Lower,
                "uppercase" => Case::Upper,
                _ => Case::Capital,
            }),
        }
    }

    /// The text at `span`, changed.
    #[inline]
    pub(super) fn apply(&self, batch: &mut Batch, mut span: Span, text: &mut String) -> Result<Span, MatchError> {
        if let Some((characters, regexp)) = &self.trim {
            span = match characters.0 {
                // At a newline the pattern trims too.
                Some(bits) if memchr::memchr(b'\n', batch.bytes(span)).is_none() => {
                    let bytes = batch.bytes(span);
                    let start = bytes.iter().take_while(|&&byte| has(bits, byte)).count();
                    let end = bytes[start..].iter().rev().take_while(|&&byte| has(bits, byte)).count();
                    span.slice(start, bytes.len() - end)
                }
                _ => without(batch, span, regexp, text)?,
            };
        }
        if let Some((characters, regexp)) = &self.remove {
            span = match characters.0 {
                Some(bits) if !batch.bytes(span).iter().any(|&byte| has(bits, byte)) => span,
                _ => without(batch, span, regexp, text)?,
            };
        }
        if let Some(case) = self.case {
            span = case.apply(batch, span, text).unwrap_or(span);
        }
        Ok(span)
    }
}

/// The text at `span` without what a pattern matches.
fn without(batch: &mut Batch, span: Span, regexp: &Regexp, text: &mut String) -> Result<Span, MatchError> {
    text.clear();
    match regexp.replace_all(batch.text(span), "", text)? {
        0 => Ok(span),
        _ => Ok(batch.push_text(text)),
    }
}
