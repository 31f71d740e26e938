//! The `index` output: into the embedded index, `index { stream => "app" }`.
//!
//! It only hands events over: the index's epochs make them durable, together with the
//! positions of the inputs that they came from (see `index/epoch.rs`).

use super::Output;
use crate::event::Template;
use crate::index::Index;
use crate::pipeline::Delivery;
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use std::sync::Arc;

pub(super) static SPEC: Spec = Spec {
    name: "index",
    summary: "Writes events to the embedded index, where the search API finds them within a second.",
    options: &[Opt::new(
        "stream",
        Type::String,
        Some("logs"),
        "The stream to write to, seen as an index of that name; may refer to fields. An event whose fields it \
         needs and lacks goes to the stream `unrouted`.",
    )],
    examples: &[],
    build: Build::Output(build),
};

struct IndexOutput {
    index: Option<Arc<Index>>,
    stream: Template,
    /// The name of a stream being rendered.
    name: Vec<u8>,
    /// Events by stream, for templates.
    streams: Vec<(String, Vec<u32>)>,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Output>> {
    let stream = options.template("stream").unwrap_or_else(|| Template::parse("logs"));
    if let Some(name) = stream.constant()
        && let Err(error) = crate::index::check_stream_name(name)
    {
        let place = options.place_of("stream");
        return Err(vec![crate::diagnostic::Diagnostic::error("C040", place, error.to_string())]);
    }
    Ok(Box::new(IndexOutput { index: context.index.clone(), stream, name: Vec::new(), streams: Vec::new() }))
}

impl IndexOutput {
    /// Sorts the events of a delivery by the stream that they name.
    fn sort(&mut self, delivery: &Delivery) {
        for &event in &delivery.events {
            self.name.clear();
            self.stream.render(&delivery.batch, event, &mut self.name);
            let name = std::str::from_utf8(&self.name).unwrap_or_default();
            let unresolved = name.contains("%{");
            let name = if unresolved || crate::index::check_stream_name(name).is_err() { "unrouted" } else { name };
            match self.streams.iter_mut().find(|(stream, _)| stream == name) {
                Some((_, events)) => events.push(event),
                None => self.streams.push((name.to_owned(), vec![event])),
            }
        }
    }
}

impl Output for IndexOutput {
    fn write(&mut self, delivery: Delivery) {
        let index = self.index.clone().expect("BUG: the index is open before its outputs run");
        if let Some(name) = self.stream.constant() {
            index.submit(name, delivery);
            return;
        }
        self.sort(&delivery);
        for (stream, events) in self.streams.drain(..) {
            index.submit(&stream, Delivery::new(delivery.batch.clone(), events, delivery.ack.clone()));
        }
        delivery.done();
    }
}
