//! Deliver: outputs make events durable somewhere. One file per output.

mod file;
mod index;
mod null;
mod pipeline;
mod stdout;

use crate::codec::{self, Encoder};
use crate::event::{Batch, EventId};
use crate::metric::PluginStats;
use crate::pipeline::Delivery;
use crate::plugin::{Built, Context, Options, Spec};
use std::sync::Arc;
use std::time::Instant;

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

/// One event in so many is timed, and stands for all.
const TIMED: u32 = 16;

/// The encoder of an output's codec, which is counted.
fn encoder(options: &Options, default: &str, context: &Context) -> Built<Box<dyn Encoder>> {
    let encoder = codec::build(options, default, context)?.encoder;
    let stats = context.stats.as_ref().and_then(|plugin| codec::counters(options, default, plugin));
    Ok(match stats {
        Some(stats) => Box::new(Counted { encoder, stats, turn: 0 }),
        None => encoder,
    })
}

struct Counted {
    encoder: Box<dyn Encoder>,
    stats: Arc<PluginStats>,
    turn: u32,
}

impl Encoder for Counted {
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>) {
        self.stats.events_in.add(1);
        self.stats.events_out.add(1);
        if self.turn > 0 {
            self.turn -= 1;
            return self.encoder.encode(batch, event, out);
        }
        self.turn = TIMED - 1;
        let began = Instant::now();
        self.encoder.encode(batch, event, out);
        self.stats.duration_ns.add_time(began.elapsed() * TIMED);
    }
}
