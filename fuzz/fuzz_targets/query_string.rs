//! Query strings from anybody: whatever the text, no panic and no endless recursion; what
//! does not parse says where.

#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::search::query_string::{Reading, escape, parse};

fuzz_target!(|text: &str| {
    for all in [false, true] {
        let reading = Reading { all, ..Reading::default() };
        if let Err(cause) = parse(text, &reading) {
            assert!(cause.starts_with("Cannot parse '"), "{cause}");
        }
        let _either = parse(&escape(text), &reading);
    }
});
