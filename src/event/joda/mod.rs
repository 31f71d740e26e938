//! Times as text: ISO 8601, Joda-Time patterns (`dd/MMM/yyyy:HH:mm:ss Z`) and java.time patterns.
//!
//! Patterns are compiled once into small programs over bytes; running one allocates nothing.
//! This module does no I/O and never asks for the time: what depends on it gets it.
//!
//! | file | what |
//! | --- | --- |
//! | `pattern` | a pattern's text becomes a program |
//! | `write` | the program writes a time |
//! | `read` | the program reads a text into fields |
//! | `memo` | the text before it spares reading most of the next |
//! | `resolve` | fields become a point in time, by Joda's rules |
//! | `casual` | what the date filter calls `ISO8601` |
//! | `iso` | what `@timestamp` is in JSON |
//! | `names`, `zone`, `civil` | month names by locale, time zones, the calendar |

mod casual;
mod civil;
mod iso;
mod memo;
mod names;
mod pattern;
mod read;
mod resolve;
mod write;
mod zone;

pub use casual::parse_casual;
pub use iso::{parse_iso8601, write_iso8601};
pub use memo::Memo;
pub use pattern::{Format, FormatError};
pub use zone::Zone;
