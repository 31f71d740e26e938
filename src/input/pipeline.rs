//! The `pipeline` input: takes events that other pipelines of this process send.
//!
//! `input { pipeline { address => "storage" } }`, as Logstash's. The events come as they are; `type`,
//! `tags` and `add_field` of this input apply to them.

use super::Input;
use crate::pipeline::{Feed, Links};
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use std::sync::Arc;
use std::time::Duration;

pub(super) static SPEC: Spec = Spec {
    name: "pipeline",
    summary: "Takes events from `pipeline` outputs of other pipelines.",
    options: &[Opt::required("address", Type::String, "The name under which others send to this pipeline.")],
    examples: &[],
    build: Build::Input(build),
};

/// How often it looks whether anybody may still send.
const LOOK: Duration = Duration::from_millis(100);

struct Pipeline {
    address: String,
    links: Arc<Links>,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Input>> {
    let address = options.str("address").unwrap_or_default().to_owned();
    Ok(Box::new(Pipeline { address, links: context.links.clone() }))
}

impl Input for Pipeline {
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()> {
        // After a reload the input that had the address before may need a moment to go.
        while !self.links.open(&self.address, feed.entrance()) {
            if feed.wait(LOOK) {
                return Ok(());
            }
        }
        while !feed.wait(Duration::from_secs(3600)) {}
        while !feed.retired() && !self.links.unused(&self.address, LOOK) {}
        self.links.close(&self.address);
        Ok(())
    }
}
