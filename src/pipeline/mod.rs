//! A pipeline: inputs, a bounded queue, workers that run to completion, outputs.

mod ack;
mod checkpoint;
mod feed;
pub mod route;

pub use ack::{Ack, Delivery, Position, Shared, Tracker};
pub use checkpoint::{CheckpointError, Checkpoints};
pub use feed::{Feed, MakeJoiner, Stop, Work};
