//! What holds for every codec.

use super::harness::try_codec;
use super::{CODECS, Codec};
use crate::event::json::write_event;
use crate::event::{Batch, Frame, Timestamp};
use proptest::prelude::*;

/// Options without which a codec can't be built, and ones that bring out more of it.
fn codecs() -> Vec<(&'static str, String, Codec)> {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/src/codec/avro/test.avsc");
    let options = |name: &str| match name {
        "avro" => vec![format!("schema_uri={schema}"), format!("schema_uri={schema};encoding=binary")],
        "cef" => vec![String::new(), "delimiter=\\n;raw_data_field=raw".to_owned()],
        "csv" => {
            vec![String::new(), "quote_char=';charset=EUC-JP".to_owned(), "autodetect_column_names=true".to_owned()]
        }
        "multiline" => vec!["pattern=^ ;what=next".to_owned(), "stack_traces=java".to_owned()],
        "plain" => ["UTF-16", "UTF-32", "ISO-2022-JP", "GB18030", "Big5"].map(|c| format!("charset={c}")).to_vec(),
        _ => vec![String::new()],
    };
    let all = CODECS.iter().flat_map(|spec| options(spec.name).into_iter().map(|options| (spec.name, options)));
    all.map(|(name, options)| {
        let codec = try_codec(name, &options, true).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:?}"));
        (name, options, codec)
    })
    .collect()
}

/// The events of bytes that come in pieces, each as JSON.
fn events(codec: &mut Codec, bytes: &[u8], piece: usize) -> Vec<String> {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    match codec.joiner.as_ref().map(|make| make()) {
        None => frames.push(bytes.to_vec()),
        Some(mut joiner) => {
            let mut take = |frame: &[u8], _: &[&'static str]| frames.push(frame.to_vec());
            bytes.chunks(piece.max(1)).for_each(|piece| joiner.push(piece, &mut take));
            joiner.flush(&mut take);
            assert!(!joiner.holds());
        }
    }
    let mut batch = Batch::new();
    batch.read_at = Some(Timestamp::new(1_600_000_000, 0));
    let mut events = Vec::new();
    for frame in frames {
        let bytes = batch.push_bytes(&frame);
        codec.decoder.decode(&mut batch, Frame { bytes, origin: 0, tags: 0 }, &mut events);
    }
    let shown = |event| {
        let mut json = Vec::new();
        write_event(&batch, event, &mut json);
        String::from_utf8(json).expect("texts of events are UTF-8")
    };
    let shown = events.iter().map(|&event| shown(event)).collect();
    // Whatever was decoded can be written, by every codec.
    for &event in &events {
        codec.encoder.encode(&batch, event, &mut Vec::new());
    }
    shown
}

/// Bytes that look a little like what codecs read.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::sample::select(vec![
            &b"CEF:0|a|b|1|2|n|3|src=1 rt=Jun 17 2027 17:57:06 x=\\"[..],
            b"{\"index\":{}}\n{\"a\":1}\n",
            b"\x00\x09\x00\x01\x00\x00\x00\x01\x5f\x5e\x10\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x0c\x01\x00\x00\x01\x00\x08\x00\x04",
            b"\x00\x0a\x00\x18\x5f\x5e\x10\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x02\x00\x08\x01\x00\x00\x01",
            b"\x00\x05\x00\x01",
            b"\x93\xa1t\x01\x81\xa1a\x01",
            b"\x82\xa1a\x01\xa4tags\x05",
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
            b"a.b 1.5 1370000000\n",
            b"\"a\",b,\n",
            b"\x1b$B%m",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_break_a_codec(bytes in bytes(), piece in 1usize..50) {
        for (_, _, mut codec) in codecs() {
            events(&mut codec, &bytes, piece);
        }
    }

    /// A joiner gives the same events however its bytes are split.
    #[test]
    fn pieces_make_no_difference(bytes in bytes(), piece in 1usize..50) {
        // A piece is a line for `multiline`; gzip in pieces may say later that it is broken.
        let streams = ["es_bulk", "fluent", "msgpack"];
        for (name, options, mut codec) in codecs().into_iter().filter(|(name, ..)| streams.contains(name)) {
            let whole = events(&mut codec, &bytes, usize::MAX);
            let Ok(mut again) = try_codec(name, &options, true) else { panic!("{name} was built before") };
            let apart = events(&mut again, &bytes, piece);
            // What is no message leaves with all that was read behind it, which differs.
            let good = |all: &[String]| all.iter().filter(|e| !e.contains("parsefailure")).cloned().collect::<Vec<_>>();
            if whole.iter().all(|event| !event.contains("parsefailure")) {
                prop_assert_eq!(good(&whole), good(&apart), "{}", name);
            }
        }
    }
}
