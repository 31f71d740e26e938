//! Datums both ways.

use crate::codec::harness::{codec, decode, encode, encode_bytes, try_codec};
use std::io::Write;

const SCHEMA: &str = r#"{"type":"record","name":"Line","namespace":"x.y","fields":[
    {"name":"level","type":{"type":"enum","name":"Level","symbols":["INFO","ERROR"]}},
    {"name":"n","type":["null","long"]},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"tags","type":{"type":"array","items":"string"},"default":[]},
    {"name":"parent","type":["null","Line"]},
    {"name":"price","type":["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}]}
]}"#;

fn with_schema(schema: &str, config: &str, ecs: bool) -> crate::codec::Codec {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(schema.as_bytes()).unwrap();
    codec("avro", &format!("schema_uri={};{config}", file.path().display()), ecs)
}

#[test]
fn events_come_back() {
    let event = r#"{"level":"ERROR","n":7,"at":"2020-01-02T03:04:05.678Z","tags":["a"],"parent":null,"extra":1}"#;
    let want = r#"{"level":"ERROR","n":7,"at":"2020-01-02T03:04:05.678Z","tags":["a"],"parent":null,"price":null}"#;
    for config in ["", "encoding=binary"] {
        let bytes = encode_bytes(&mut with_schema(SCHEMA, config, false), event);
        assert_eq!(decode(&mut with_schema(SCHEMA, config, false), &[&bytes]), [want], "{config}");
    }
    let nested = format!(r#"{{"level":"INFO","n":null,"at":"2020-01-02T03:04:05.678Z","parent":{event}}}"#);
    let text = encode(&mut with_schema(SCHEMA, "", false), &nested);
    let back = decode(&mut with_schema(SCHEMA, "target=[t]", false), &[text.as_bytes()]);
    assert!(
        back[0].starts_with(
            r#"{"t":{"level":"INFO","n":null,"at":"2020-01-02T03:04:05.678Z","tags":[],"parent":{"level":"ERROR""#
        ),
        "{back:?}"
    );
}

#[test]
fn values() {
    let check = |schema: &str, bytes: &[u8], want: &str| {
        let schema = format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{schema}}}]}}"#);
        assert_eq!(
            decode(&mut with_schema(&schema, "encoding=binary", false), &[bytes]),
            [format!(r#"{{"f":{want}}}"#)]
        );
    };
    check("\"int\"", b"\x03", "-2");
    check("\"string\"", b"\x04hi", "\"hi\"");
    check("\"bytes\"", b"\x02\xff", "\"\u{FFFD}\"");
    check(r#"{"type":"int","logicalType":"date"}"#, b"\x02", "\"1970-01-02\"");
    check(r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#, b"\x02\x7b", "1.23");
    check(r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":0}"#, b"\x02\xff", "-1");
    check(r#"{"type":"map","values":"int"}"#, b"\x04\x02b\x02\x02a\x04\0", r#"{"a":2,"b":1}"#);
    check(r#"["null","double"]"#, b"\x02\0\0\0\0\0\0\xf8\x3f", "1.5");
}

#[test]
fn what_is_no_datum() {
    let failed = r#"{"message":"!","tags":["_avroparsefailure"]}"#;
    assert_eq!(decode(&mut with_schema(SCHEMA, "", true), &[b"!"]), [failed]);
    assert_eq!(encode(&mut with_schema(SCHEMA, "", false), r#"{"level":"LOUD"}"#), "");
}

#[test]
fn the_text_is_kept_in_ecs_mode() {
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int"}]}"#;
    assert_eq!(decode(&mut with_schema(schema, "", true), &[b"Ag=="]), [r#"{"f":1,"event":{"original":"Ag=="}}"#]);
}

#[test]
fn mistakes() {
    let check = |config: &str, part: &str| {
        let mistakes = try_codec("avro", config, false).err().unwrap();
        assert!(mistakes.iter().any(|m| m.contains(part)), "{mistakes:?}");
    };
    check("schema_uri=/no/such.avsc", "cannot read /no/such.avsc");
    check("schema_uri=/no/such.avsc;ssl_keystore_path=/k", "`ssl_keystore_path`: Java's key stores can't be read");
    check("schema_uri=/dev/null", "cannot parse the schema");
}
