//! Bytes from strangers: whatever they are and in whatever pieces they come, no codec panics, and what
//! one has decoded can be written by it again. The first byte chooses the codec, the second how large
//! the pieces are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::codec::{self, Codec};
use logboom::diagnostic::Place;
use logboom::event::json::write_event;
use logboom::event::{Batch, Frame, Timestamp};
use logboom::plugin::{Build, Context, Literal, Options, Setting};

/// Codecs, and options that bring out more of them, as `name=value;name=value`.
const CODECS: &[(&str, &str)] = &[
    ("avro", "schema_uri=AVSC"),
    ("avro", "schema_uri=AVSC;encoding=binary"),
    ("cef", ""),
    ("cef", "delimiter=\\n;raw_data_field=raw"),
    ("csv", ""),
    ("csv", "quote_char=';charset=EUC-JP;autodetect_column_names=true"),
    ("es_bulk", ""),
    ("fluent", ""),
    ("graphite", ""),
    ("gzip_lines", ""),
    ("json", ""),
    ("json_lines", ""),
    ("line", "charset=ISO-2022-JP"),
    ("msgpack", ""),
    ("multiline", "stack_traces=java"),
    ("multiline", "pattern=^ ;what=next"),
    ("netflow", ""),
    ("plain", "charset=UTF-16"),
];

fn build(which: u8) -> Codec {
    let (name, options) = CODECS[which as usize % CODECS.len()];
    let place = Place::default();
    let avsc = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/codec/avro/test.avsc");
    let pairs = options.split(';').filter_map(|pair| pair.split_once('='));
    let setting = |value: &str| Setting { value: Literal::String(value.replace("AVSC", avsc)), place };
    let settings = pairs.map(|(name, value)| (name.to_owned(), place, setting(value))).collect();
    let Build::Codec(build) = codec::spec(name).expect("a codec of that name").build else { panic!("no codec") };
    build(&Options { settings, place }, &Context::alone("fuzz", true, false)).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fuzz_target!(|bytes: &[u8]| {
    let [which, piece, bytes @ ..] = bytes else { return };
    let mut codec = build(*which);
    let mut frames: Vec<Vec<u8>> = Vec::new();
    match codec.joiner.as_ref().map(|make| make()) {
        None => frames.extend(bytes.chunks(usize::from(*piece).max(1) * 16).map(<[u8]>::to_vec)),
        Some(mut joiner) => {
            let mut take = |frame: &[u8], _: &[&'static str]| frames.push(frame.to_vec());
            bytes.chunks(usize::from(*piece).max(1)).for_each(|piece| joiner.push(piece, &mut take));
            joiner.flush(&mut take);
            assert!(!joiner.holds(), "nothing is held back at the end");
        }
    }
    let mut batch = Batch::new();
    batch.read_at = Some(Timestamp::new(1_600_000_000, 0));
    let mut events = Vec::new();
    for frame in &frames {
        let bytes = batch.push_bytes(frame);
        codec.decoder.decode(&mut batch, Frame { bytes, origin: 0, tags: 0 }, &mut events);
    }
    for event in events {
        let mut out = Vec::new();
        write_event(&batch, event, &mut out);
        assert!(std::str::from_utf8(&out).is_ok(), "texts of events are UTF-8");
        codec.encoder.encode(&batch, event, &mut out);
    }
});
