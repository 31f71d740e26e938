//! For the tests of codecs: builds one and shows what it makes as JSON.

use super::{Codec, spec};
use crate::diagnostic::Place;
use crate::event::json::{Decoded, Parser, write_event};
use crate::event::{Batch, Frame};
use crate::plugin::{Build, Context, Literal, Options, Setting};

/// A codec with options given as `name=value;name=value`.
pub(super) fn try_codec(name: &str, config: &str, ecs: bool) -> Result<Codec, Vec<String>> {
    let context = Context {
        pipeline: "main".into(),
        id: "c".into(),
        ecs,
        data: "/nonexistent".into(),
        check_only: false,
        index: None,
    };
    let place = Place::default();
    let setting = |value: &str| Setting { value: Literal::String(value.into()), place };
    let pairs = config.split(';').filter_map(|pair| pair.split_once('='));
    let settings = pairs.map(|(name, value)| (name.to_owned(), place, setting(value))).collect();
    let spec = spec(name).expect("the codec is registered");
    let Build::Codec(build) = spec.build else { panic!("{name} is no codec") };
    build(&Options { settings, place }, &context).map_err(|all| all.into_iter().map(|d| d.message).collect())
}

pub(super) fn codec(name: &str, config: &str, ecs: bool) -> Codec {
    try_codec(name, config, ecs).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

/// The events of frames, as JSON.
pub(super) fn decode(codec: &mut Codec, frames: &[&[u8]]) -> Vec<String> {
    let mut batch = Batch::new();
    let mut events = Vec::new();
    for frame in frames {
        let bytes = batch.push_bytes(frame);
        codec.decoder.decode(&mut batch, Frame { bytes, origin: 0, tags: 0 }, &mut events);
    }
    let json = |event: &u32| {
        let mut out = Vec::new();
        write_event(&batch, *event, &mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    };
    events.iter().map(json).collect()
}

/// The bytes of an event that is given as JSON.
pub(super) fn encode(codec: &mut Codec, event: &str) -> String {
    let mut batch = Batch::new();
    let span = batch.push_text(event);
    let Ok(Decoded::Event(event)) = Parser::default().parse_event(&mut batch, span) else {
        panic!("no event: {event}")
    };
    let mut out = Vec::new();
    codec.encoder.encode(&batch, event, &mut out);
    String::from_utf8(out).expect("text is UTF-8")
}
