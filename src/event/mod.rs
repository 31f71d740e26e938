//! The event model: an event is a row of spans over its batch's arena.
//!
//! A [`Batch`] owns the bytes as read and everything that filters add; an event is its list of
//! entries, whose values are numbers or spans. Nothing is allocated per event once a recycled
//! batch has grown to its working size. This module does no I/O and takes time as an argument.

mod batch;
mod copy;
pub mod csv;
mod data;
mod field;
mod field_cache;
pub mod joda;
pub mod json;
mod letters;
pub mod ruby;
mod sprintf;
mod timestamp;
mod value;
pub mod yaml;

pub use batch::{Batch, EventId, Frame, Origin};
pub(crate) use batch::{Fields, Look};
pub use data::Data;
pub use field::{FieldId, FieldRef, FieldRefError, NAME_BYTES_MAX, NAMES_MAX, Step};
pub use field_cache::FieldCache;
pub use letters::Case;
pub use sprintf::{Template, write_java, write_value};
pub use timestamp::Timestamp;
pub use value::{Entry, List, Span, Value};
