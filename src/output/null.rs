//! The `null` output: takes events and does nothing with them, as fast as they come.

use super::Output;
use crate::pipeline::Delivery;
use crate::plugin::{Build, Built, Context, Options, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "null",
    summary: "Discards events, to measure what stands before it.",
    options: &[],
    examples: &[],
    build: Build::Output(build),
};

struct Null;

fn build(_options: &Options, _context: &Context) -> Built<Box<dyn Output>> {
    Ok(Box::new(Null))
}

impl Output for Null {
    fn write(&mut self, delivery: Delivery) {
        delivery.done();
    }
}
