//! (to be written)

pub mod listen;
pub mod node;
