//! The `dots` codec: a dot for each event, to watch throughput by.
//!
//! `codec => dots { }`, as Logstash's. It is for outputs; an input gets plain text from it.

use super::charset::Charset;
use super::text::TextDecoder;
use super::{Codec, Encoder};
use crate::event::{Batch, EventId};
use crate::plugin::{Build, Built, Context, Options, Spec};

pub(super) static SPEC: Spec =
    Spec { name: "dots", summary: "A dot for each event.", options: &[], examples: &[], build: Build::Codec(build) };

fn build(_options: &Options, context: &Context) -> Built<Codec> {
    Ok(Codec {
        delimiter: None,
        joiner: None,
        decoder: Box::new(TextDecoder::new(Charset::Utf8, context)),
        encoder: Box::new(Dots),
    })
}

struct Dots;

impl Encoder for Dots {
    fn encode(&mut self, _batch: &Batch, _event: EventId, out: &mut Vec<u8>) {
        out.push(b'.');
    }
}

#[cfg(test)]
mod tests {
    use crate::codec::harness::{codec, encode};

    #[test]
    fn an_event_is_a_dot() {
        assert_eq!(encode(&mut codec("dots", "", false), r#"{"a":1}"#), ".");
    }
}
