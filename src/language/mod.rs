//! The pipeline language: `.conf` text → checked, flat plan. Logstash's language, nothing added.
//!
//! Text is parsed to a [`ast::Tree`] and a list of mistakes; [`check`] holds the tree against
//! what the plugins say of themselves and resolves values; [`lower`] makes the [`plan::Plan`]
//! that the pipeline is built from. No I/O here: files, the environment and the plugins come in
//! as arguments. This module names no plugin.

pub mod ast;
mod check;
mod condition;
mod expression;
mod format;
mod lexer;
mod lower;
mod parser;
pub mod plan;
mod print;
mod recovery;
pub mod suggest;
#[cfg(test)]
pub(crate) mod testing;
mod value;
pub mod variable;

pub use check::Language;
pub use format::format;
pub use lower::{Outcome, compile};
pub use parser::{Parsed, only_filters, parse};
pub use plan::{Cond, Plan, Step};
pub use print::print;

/// How deep blocks, values and conditions may nest. Real configurations stay below ten; the
/// limit keeps a hostile one from overflowing the stack.
pub const DEPTH_MAX: usize = 100;
/// How many mistakes of syntax are listed before the parser gives up.
pub const MISTAKES_MAX: usize = 50;
