//! The `line` codec: one event a line.
//!
//! `codec => line { }`, as Logstash's. A carriage return before the newline stays.

use super::charset::Charset;
use super::text::{TextDecoder, TextEncoder};
use super::{CHARSET, Codec, DELIMITER, FORMAT};
use crate::plugin::{Build, Built, Context, Options, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "line",
    summary: "Text, one event a line.",
    options: &[CHARSET, DELIMITER, FORMAT],
    examples: &[],
    build: Build::Codec(build),
};

fn build(options: &Options, context: &Context) -> Built<Codec> {
    let delimiter = options.str("delimiter").unwrap_or("\n").as_bytes().to_vec();
    Ok(Codec {
        delimiter: Some(delimiter.clone()),
        joiner: None,
        decoder: Box::new(TextDecoder::new(Charset::build(options)?, context)),
        encoder: Box::new(TextEncoder { format: options.template("format"), delimiter }),
    })
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, decode, encode};

    #[test]
    fn lines() {
        let mut line = codec("line", "delimiter=|", false);
        assert_eq!(line.delimiter.as_deref(), Some(&b"|"[..]));
        assert_eq!(decode(&mut line, &[b"a", b""]), [r#"{"message":"a"}"#, r#"{"message":""}"#]);
        assert_eq!(encode(&mut line, r#"{"host":"h","message":"m"}"#), "h m|");
        assert_eq!(encode(&mut codec("line", "", false), r#"{"host":"h","message":"m"}"#), "h m\n");
    }
}
