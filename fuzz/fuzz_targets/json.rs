//! JSON from strangers: whatever the bytes, no panic, the bytes stay, and what is decoded is
//! written as JSON that says the same, spliced or not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::event::json::{Decoded, Parser, write_event, write_value};
use logboom::event::{Batch, FieldId, Value};
use std::cell::RefCell;

thread_local! {
    // As in a worker: one parser and one batch for all documents.
    static STATE: RefCell<(Parser, Batch)> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| {
    STATE.with_borrow_mut(|(parser, batch)| {
        batch.recycle();
        let span = batch.push_bytes(bytes);
        let neighbour = batch.push_text("{\"next\":\"line\"}");
        let decoded = parser.parse_event(batch, span);
        assert_eq!(batch.bytes(span), bytes);
        assert_eq!(batch.bytes(neighbour), b"{\"next\":\"line\"}");
        let mut out = Vec::new();
        match decoded {
            Ok(Decoded::Event(event)) => {
                written_again(parser, batch, event);
                if let Some(first) = batch.fields(event).first().map(|e| e.key) {
                    batch.set_key(event, first, Value::Int(1));
                    batch.set_key(event, FieldId::LEVEL, Value::Null);
                    written_again(parser, batch, event);
                }
            }
            Ok(Decoded::Array(list)) => write_value(batch, Value::Array(list), &mut out),
            Ok(Decoded::Scalar(value)) => write_value(batch, value, &mut out),
            Ok(Decoded::Blank) | Err(_) => {}
        }
        if !out.is_empty() {
            let copy = batch.push_bytes(&out);
            parser.parse(batch, copy).expect("what was written is JSON");
        }
    });
});

fn written_again(parser: &mut Parser, batch: &mut Batch, event: u32) {
    let mut fast = Vec::new();
    write_event(batch, event, &mut fast);
    assert!(!fast.contains(&b'\n'), "an event is one line");
    // Without raw bytes: the same fields as members of a hash.
    let fields: Vec<_> = batch.fields(event).iter().filter(|e| e.key != FieldId::METADATA).copied().collect();
    let list = batch.list(&fields);
    let mut slow = Vec::new();
    write_value(batch, Value::Object(list), &mut slow);
    let (fast, slow) = (batch.push_bytes(&fast), batch.push_bytes(&slow));
    let fast = parser.parse(batch, fast).expect("what was written is JSON");
    let slow = parser.parse(batch, slow).expect("what was written is JSON");
    let (mut one, mut two) = (Vec::new(), Vec::new());
    write_value(batch, fast, &mut one);
    write_value(batch, slow, &mut two);
    assert_eq!(one, two, "spliced and written anew say the same");
}
