//! (to be written)

pub mod docs;
pub mod generate;
