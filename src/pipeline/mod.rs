//! A pipeline: inputs, a bounded queue, workers that run to completion, outputs.

mod ack;
mod feed;

pub use ack::{Ack, Delivery, Position, Shared, Tracker};
pub use feed::{Feed, MakeJoiner, Stop, Work};
