//! Decode: bytes become events, and events bytes. One file per codec.
//!
//! A codec has up to three parts, because they run in different places: a [`Joiner`] in the
//! input's thread, since it remembers lines between reads; a [`Decoder`] in the workers, so that
//! one busy input uses every core; an [`Encoder`] in the outputs.

mod avro;
mod cef;
pub(crate) mod charset;
mod csv;
mod dots;
mod es_bulk;
mod fluent;
mod graphite;
mod gzip_lines;
#[cfg(test)]
mod harness;
mod json;
mod json_lines;
mod line;
mod msgpack;
mod multiline;
mod netflow;
mod packed;
mod plain;
mod rubydebug;
#[cfg(test)]
mod tests;
mod text;

use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, Frame};
use crate::metric::PluginStats;
use crate::plugin::{Build, Built, Context, Literal, Opt, Options, Spec, Type};
use std::sync::Arc;

/// Every codec, in alphabetical order. To add one: write its file, add its line here.
pub static CODECS: &[&Spec] = &[
    &avro::SPEC,
    &cef::SPEC,
    &csv::SPEC,
    &dots::SPEC,
    &es_bulk::SPEC,
    &fluent::SPEC,
    &graphite::SPEC,
    &gzip_lines::SPEC,
    &json::SPEC,
    &json_lines::SPEC,
    &line::SPEC,
    &msgpack::SPEC,
    &multiline::SPEC,
    &netflow::SPEC,
    &plain::SPEC,
    &rubydebug::SPEC,
];

/// The codec of a name.
pub fn spec(name: &str) -> Option<&'static Spec> {
    CODECS.iter().copied().find(|spec| spec.name == name)
}

/// Builds the codec that the option `codec` of a plugin names, or `default` where it is not given.
///
/// An input whose default is `line` reads a stream, which codecs without a delimiter can't cut:
/// there `plain` means `line` and `json` means `json_lines`, as in Logstash.
pub fn build(options: &Options, default: &str, context: &Context) -> Built<Codec> {
    let none = Options { place: options.place_of("codec"), ..Options::default() };
    let (own, context) = match options.get("codec").map(|s| &s.value) {
        Some(Literal::Plugin(call)) => (&call.options, context.plugin(&call.id, &call.options)),
        _ => (&none, context.clone()),
    };
    let (name, _) = named(options, default);
    match spec(name).map(|spec| &spec.build) {
        Some(Build::Codec(build)) => build(own, &context),
        _ => Err(vec![Diagnostic::error(code::PLUGIN, options.place_of("codec"), format!("unknown codec `{name}`"))]),
    }
}

/// The name of the codec that [`build`] makes, and the `id` that it was given.
pub fn named<'a>(options: &'a Options, default: &'a str) -> (&'a str, Option<&'a str>) {
    let (name, id) = match options.get("codec").map(|s| &s.value) {
        Some(Literal::Plugin(call)) => (call.name.as_str(), call.options.str("id")),
        _ => (options.str("codec").unwrap_or(default), None),
    };
    let name = match name {
        "plain" if default == "line" => "line",
        "json" if default == "line" => "json_lines",
        name => name,
    };
    (name, id)
}

/// The counters of the codec that [`build`] makes for a plugin with these; `None` if it makes none.
pub fn counters(options: &Options, default: &str, plugin: &PluginStats) -> Option<Arc<PluginStats>> {
    let (name, id) = named(options, default);
    spec(name).map(|spec| plugin.with_codec(spec.name, id))
}

// Options that several codecs have.
const CHARSET: Opt = Opt::new(
    "charset",
    Type::String,
    Some("UTF-8"),
    "The character set of the bytes that are decoded; what is invalid in it becomes U+FFFD.",
);
const DELIMITER: Opt = Opt::new("delimiter", Type::String, Some("\\n"), "What ends a line.");
const FORMAT: Opt = Opt::new(
    "format",
    Type::String,
    None,
    "What to write of an event, as a text with references to fields; without, its time, `host` and `message`.",
);
const TARGET: Opt =
    Opt::new("target", Type::Field, None, "The field that gets what was decoded; without, the event itself.");

/// A codec as built from its options.
pub struct Codec {
    /// What ends a frame where the input reads a stream of bytes; `None`: the input's own unit
    /// (a datagram, what one read gave) is a frame, and a joiner where there is one makes whole
    /// messages of them. Inputs that frame by themselves (`file`) ignore it.
    pub delimiter: Option<Vec<u8>>,
    /// Makes a joiner for one stream, for codecs that join frames.
    pub joiner: Option<Arc<dyn Fn() -> Box<dyn Joiner> + Send + Sync>>,
    /// Makes events of frames.
    pub decoder: Box<dyn Decoder>,
    /// Makes bytes of events.
    pub encoder: Box<dyn Encoder>,
}

/// Joins the frames of one stream, in the thread of its input.
pub trait Joiner: Send {
    /// Takes the next frame. Calls `out` with each joined frame that is complete now, and the
    /// tags for its event.
    fn push(&mut self, frame: &[u8], out: &mut dyn FnMut(&[u8], &[&'static str]));

    /// Gives out what is held: at the end of the stream, or when nothing came for
    /// [`Joiner::flush_after`].
    fn flush(&mut self, out: &mut dyn FnMut(&[u8], &[&'static str]));

    /// Whether a part of an event is held. The input must not move its checkpoint past the
    /// start of it.
    fn holds(&self) -> bool;

    /// How long the stream must be quiet before the input calls [`Joiner::flush`].
    fn flush_after(&self) -> Option<std::time::Duration> {
        None
    }
}

/// Makes events of frames, in a worker.
pub trait Decoder: Send {
    /// Decodes one frame of the batch into events, whose ids it pushes to `out` in order. A frame that can't
    /// be decoded becomes an event that says so in its tags; bytes are never dropped silently.
    /// It sets neither `@timestamp` (unless the bytes carry one) nor `@version`: the pipeline does.
    fn decode(&mut self, batch: &mut Batch, frame: Frame, out: &mut Vec<EventId>);

    /// The same decoder for another worker; what can be shared is shared.
    fn fork(&self) -> Box<dyn Decoder>;
}

/// Makes bytes of events, in an output.
pub trait Encoder: Send {
    /// Appends the event's bytes, its delimiter included.
    fn encode(&mut self, batch: &Batch, event: EventId, out: &mut Vec<u8>);
}
