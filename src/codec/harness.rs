//! For the tests of codecs: builds one and shows what it makes as JSON.

use super::{Codec, spec};
use crate::diagnostic::Place;
use crate::event::json::{Decoded, Parser, write_event, write_value};
use crate::event::{Batch, EventId, FieldId, Frame, Value};
use crate::plugin::{Build, Built, Context, Literal, Options, Setting};

/// A codec with options given as `name=value;name=value`.
pub(super) fn try_codec(name: &str, config: &str, ecs: bool) -> Result<Codec, Vec<String>> {
    let place = Place::default();
    let setting = |value: &str| Setting { value: Literal::String(value.into()), place };
    let pairs = config.split(';').filter_map(|pair| pair.split_once('='));
    let settings = pairs.map(|(name, value)| (name.to_owned(), place, setting(value))).collect();
    build(name, Options { settings, place }, ecs).map_err(|all| all.into_iter().map(|d| d.message).collect())
}

fn build(name: &str, options: Options, ecs: bool) -> Built<Codec> {
    let context = Context {
        pipeline: "main".into(),
        id: "c".into(),
        ecs,
        data: "/nonexistent".into(),
        check_only: false,
        index: None,
        stats: None,
        derived: Default::default(),
        links: Default::default(),
    };
    let spec = spec(name).expect("the codec is registered");
    let Build::Codec(build) = spec.build else { panic!("{name} is no codec") };
    build(&options, &context)
}

/// A codec with a hash as one of its options.
pub(super) fn codec_with_hash(name: &str, option: &str, pairs: &[(&str, &str)], config: &str) -> Codec {
    let place = Place::default();
    let text = |text: &str| Setting { value: Literal::String(text.into()), place };
    let hash = pairs.iter().map(|(key, value)| (text(key), text(value))).collect();
    let mut settings = vec![(option.to_owned(), place, Setting { value: Literal::Hash(hash), place })];
    let more = config.split(';').filter_map(|pair| pair.split_once('='));
    settings.extend(more.map(|(name, value)| (name.to_owned(), place, text(value))));
    build(name, Options { settings, place }, false).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

pub(super) fn codec(name: &str, config: &str, ecs: bool) -> Codec {
    try_codec(name, config, ecs).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// The events of frames, as JSON.
pub(super) fn decode(codec: &mut Codec, frames: &[&[u8]]) -> Vec<String> {
    decoded(codec, frames, shown)
}

/// The same, each with a space and its `@metadata` behind it.
pub(super) fn decode_with_metadata(codec: &mut Codec, frames: &[&[u8]]) -> Vec<String> {
    decoded(codec, frames, |batch, event| {
        let metadata = batch.get_key(event, FieldId::METADATA).unwrap_or(Value::Null);
        let mut out = Vec::new();
        write_value(batch, metadata, &mut out);
        format!("{} {}", shown(batch, event), String::from_utf8(out).expect("JSON is UTF-8"))
    })
}

fn decoded(codec: &mut Codec, frames: &[&[u8]], show: impl Fn(&Batch, EventId) -> String) -> Vec<String> {
    let mut batch = Batch::new();
    let mut events = Vec::new();
    for frame in frames {
        let bytes = batch.push_bytes(frame);
        codec.decoder.decode(&mut batch, Frame { bytes, origin: 0, tags: 0 }, &mut events);
    }
    events.iter().map(|&event| show(&batch, event)).collect()
}

fn shown(batch: &Batch, event: EventId) -> String {
    let mut out = Vec::new();
    write_event(batch, event, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// The text of an event that is given as JSON.
pub(super) fn encode(codec: &mut Codec, event: &str) -> String {
    String::from_utf8(encode_bytes(codec, event)).expect("text is UTF-8")
}

/// The bytes of an event that is given as JSON.
pub(super) fn encode_bytes(codec: &mut Codec, event: &str) -> Vec<u8> {
    let mut batch = Batch::new();
    let span = batch.push_text(event);
    let Ok(Decoded::Event(event)) = Parser::default().parse_event(&mut batch, span) else {
        panic!("no event: {event}")
    };
    let mut out = Vec::new();
    codec.encoder.encode(&batch, event, &mut out);
    out
}
