//! (to be written)

pub mod demo;
pub mod docs;
pub mod generate;
