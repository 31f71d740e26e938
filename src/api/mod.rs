//! HTTP, and nothing but HTTP: what is asked is read here, answered elsewhere, and written here.

pub mod es;
pub mod listen;
pub mod node;
pub mod prometheus;
