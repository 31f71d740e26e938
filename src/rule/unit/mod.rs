//! Unit tests of rules, in the format of `promtool test rules`.

mod read;
mod run;
pub mod sequence;

pub use read::{TestFile, read};
pub use run::{Failure, run};
