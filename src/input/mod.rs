//! Receive: inputs read bytes, cut them into frames and hand over batches. One file per input.

mod cut;
mod file;
mod generator;
mod pipeline;
mod stdin;
mod stream;

use crate::pipeline::Feed;
use crate::plugin::Spec;

/// Every input, in alphabetical order. To add one: write its file, add its line here.
pub static INPUTS: &[&Spec] = &[&file::SPEC, &generator::SPEC, &pipeline::SPEC, &stdin::SPEC];

/// An input, run on a thread of its own.
pub trait Input: Send {
    /// Runs until the input is at its end or `feed.stopped()`. Must return soon after a stop;
    /// `feed.send` blocks while the pipeline is full, which is how back-pressure reaches the
    /// source. An error is logged by the caller, which starts the input again a second later
    /// (as Logstash does), unless the pipeline stops.
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()>;

    /// Called once after `run` has returned for good and all that was sent is durable: for what may
    /// only happen then, such as deleting files that were read.
    fn settled(&mut self) {}
}
