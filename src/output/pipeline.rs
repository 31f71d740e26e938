//! The `pipeline` output: sends events to other pipelines of this process.
//!
//! `output { pipeline { send_to => ["storage"] } }`, as Logstash's. Events are copied; those of this
//! pipeline count as delivered when the outputs of all the others have made the copies durable.

use super::Output;
use crate::pipeline::{Delivery, Sender};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};

pub(super) static SPEC: Spec = Spec {
    name: "pipeline",
    summary: "Sends events to `pipeline` inputs of other pipelines.",
    options: &[
        Opt::new(
            "ensure_delivery",
            Type::Boolean,
            Some("true"),
            "Wait for an address under which no pipeline listens; otherwise events for it are discarded.",
        ),
        Opt::required("send_to", Type::Array, "The addresses of the pipelines that get the events."),
    ],
    examples: &[],
    build: Build::Output(build),
};

struct Pipeline {
    senders: Vec<Sender>,
    insist: bool,
    /// Everything stops and an address is gone: what comes stays unacknowledged.
    abandoned: bool,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Output>> {
    let addresses = options.strings("send_to");
    let senders = addresses.iter().map(|address| context.links.sender(address)).collect();
    Ok(Box::new(Pipeline { senders, insist: options.bool("ensure_delivery", true), abandoned: false }))
}

impl Output for Pipeline {
    fn write(&mut self, delivery: Delivery) {
        for sender in &mut self.senders {
            if !sender.send(&delivery, self.insist) {
                if !std::mem::replace(&mut self.abandoned, true) {
                    tracing::error!("stopping with events for a pipeline that is not there: they stay unacknowledged");
                }
                return;
            }
        }
        delivery.done();
    }
}
