//! Times as text: ISO 8601, Joda-Time patterns (`dd/MMM/yyyy:HH:mm:ss Z`) and java.time patterns.
//!
//! Patterns are compiled once into small programs over bytes; running one allocates nothing.
//! This module does no I/O and never asks for the time: what depends on it gets it.

mod civil;
mod iso;
mod zone;

pub use iso::{parse_iso8601, write_iso8601};
pub use zone::zone;
