//! The `plain` codec: what the input takes for one event is one event.
//!
//! `codec => plain { }`, as Logstash's.

use super::charset::Charset;
use super::text::{TextDecoder, TextEncoder};
use super::{CHARSET, Codec, FORMAT};
use crate::plugin::{Build, Built, Context, Options, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "plain",
    summary: "Text without a delimiter between events.",
    options: &[CHARSET, FORMAT],
    examples: &[],
    build: Build::Codec(build),
};

fn build(options: &Options, context: &Context) -> Built<Codec> {
    Ok(Codec {
        delimiter: None,
        joiner: None,
        decoder: Box::new(TextDecoder::new(Charset::build(options)?, context)),
        encoder: Box::new(TextEncoder { format: options.template("format"), delimiter: Vec::new() }),
    })
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, decode, encode};

    #[test]
    fn a_frame_is_an_event() {
        let check = |config: &str, ecs: bool, frame: &[u8], expected: &str| {
            assert_eq!(decode(&mut codec("plain", config, ecs), &[frame]), [expected]);
        };
        check("", false, "hello\r".as_bytes(), r#"{"message":"hello\r"}"#);
        check("", true, b"hello", r#"{"message":"hello","event":{"original":"hello"}}"#);
        check("", false, b"caf\xe9", "{\"message\":\"caf\u{FFFD}\"}");
        check("charset=CP1252", false, b"caf\xe9", r#"{"message":"café"}"#);
        check("", false, b"", r#"{"message":""}"#);
    }

    #[test]
    fn an_event_is_its_summary() {
        let check = |event: &str, expected: &str| assert_eq!(encode(&mut codec("plain", "", false), event), expected);
        check(
            r#"{"@timestamp":"2013-01-02T03:04:05.678Z","host":"web","message":"hello"}"#,
            "2013-01-02T03:04:05.678Z web hello",
        );
        check(r#"{"host":{"hostname":"web","ip":["a",1,null]},"x":1}"#, "{hostname=web, ip=[a, 1, null]} %{message}");
    }
}
