//! JSON and events: [`Parser`] makes values of bytes, [`write_event`] bytes of an event.
//!
//! Both go by the rule that bytes which nobody changed are neither copied nor written again:
//! decoded texts are spans of the bytes that were read, and an event leaves as the bytes that it
//! came with, spliced where filters changed it. Whatever stands in the data, nothing here
//! panics, recurses without a bound, or allocates once it is warm.

mod names;
mod parse;
mod scan;
mod write;

pub use parse::{DEPTH_MAX, Decoded, JsonError, Parser};
pub use write::{write_event, write_float, write_ruby_float, write_text, write_value};

#[cfg(test)]
mod laws;
