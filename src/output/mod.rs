//! Deliver: outputs make events durable somewhere. One file per output.

mod file;
mod index;
mod null;
mod pipeline;
mod stdout;

use crate::pipeline::Delivery;
use crate::plugin::Spec;

/// Every output, in alphabetical order. To add one: write its file, add its line here.
pub static OUTPUTS: &[&Spec] = &[&file::SPEC, &index::SPEC, &null::SPEC, &pipeline::SPEC, &stdout::SPEC];

/// An output, run on a thread of its own behind a bounded queue.
pub trait Output: Send {
    /// Takes a delivery. It must call [`Delivery::done`] once its events are durable (written,
    /// accepted by the peer), at once or later, in any order; dropping a delivery without that
    /// leaves it unacknowledged, so that it is read again after a restart. May block: that holds
    /// back the pipelines that need this output, and no others.
    fn write(&mut self, delivery: Delivery);

    /// Called when the queue has run empty: what is buffered goes out now.
    fn flush(&mut self) {}

    /// Called once at the end, after the last delivery: makes everything durable.
    fn close(&mut self) {}
}
