//! Nothing is allocated per event once memory is warm: a counting allocator watches.

use logboom::codec::{self, Decoder};
use logboom::event::{Batch, EventId, FieldRef, Frame, Span, Timestamp};
use logboom::pipeline::Ack;
use logboom::plugin::{Context, Options};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts what each thread asks of it.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    // At a thread's end its counter may be gone: nobody reads it any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How often this thread asked for memory while `run` ran.
pub(crate) fn allocations(run: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    run();
    COUNT.get() - before
}

fn decoder(name: &str, ecs: bool) -> Box<dyn Decoder> {
    let context = Context {
        pipeline: "main".into(),
        id: "x".into(),
        ecs,
        data: "/nonexistent".into(),
        check_only: false,
        index: None,
        stats: None,
        derived: Default::default(),
        links: Default::default(),
    };
    codec::build(&Options::default(), name, &context).expect("the codec is built").decoder
}

fn lines() -> Vec<Vec<u8>> {
    use logboom::cli::generate::{Format, Generator};
    let text = Generator::text(Format::Json, 7, 500);
    let mut lines: Vec<Vec<u8>> = text.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    // Besides: escapes, a time of its own, a list at the top, what is no JSON, a doubled name.
    for line in [
        r#"{"message":"a \"quoted\"\nword","@timestamp":"2024-01-21T10:30:45.123Z"}"#,
        r#"{"nested":{"a":[1,2.5,{"b":null}]},"@version":"1","tags":["x"]}"#,
        "not JSON at all",
        "",
    ] {
        lines.push(line.as_bytes().to_vec());
    }
    lines
}

fn check(name: &str, ecs: bool) {
    let (lines, mut decoder) = (lines(), decoder(name, ecs));
    let (mut batch, mut events): (Batch, Vec<EventId>) = Default::default();
    let (level, address) = (FieldRef::of("level"), FieldRef::path(&["metadata", "ip"]));
    let derived = Default::default();
    logboom::daemon::derive_defaults(&derived);
    let (mut deriver, ack) = (derived.deriver(), Ack::none());
    let mut round = || {
        batch.recycle();
        events.clear();
        for line in &lines {
            let bytes: Span = batch.push_bytes(line);
            decoder.decode(&mut batch, Frame { bytes, origin: 0, tags: 0 }, &mut events);
        }
        let is_error = |&&e: &&EventId| batch.get(e, &level).and_then(|v| batch.as_text(v)) == Some("ERROR");
        let errors = events.iter().filter(is_error).count();
        let addresses = events.iter().filter(|&&e| batch.get(e, &address).is_some()).count();
        deriver.observe(&batch, &events, Timestamp::from_millis(0));
        deriver.settle(&ack);
        assert!(events.len() >= 500 && (!name.starts_with("json") || errors > 0 && addresses > 0));
    };
    round();
    round();
    assert_eq!(allocations(round), 0, "{name}, ecs: {ecs}");
}

#[test]
fn decoding_and_counting_a_warm_batch_allocates_nothing() {
    for ecs in [false, true] {
        for name in ["json", "json_lines", "line", "plain"] {
            check(name, ecs);
        }
    }
}
