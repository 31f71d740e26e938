//! How much of simd-json's tape does decoding reach? The lines are the operations guide's.
//!
//! `tape` is the limit: simd-json alone, line by line, into a reused tape. `decode` makes events
//! of the same lines in batches as a worker gets them; `route` asks each for a field besides, as a
//! condition does. `write` is `json_lines` of the events: untouched, with two fields added
//! (`@timestamp`, `@version`), and with a field changed in the middle.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use logboom::cli::generate::{DEFAULT_START_MS, Format, Generator};
use logboom::event::json::{Decoded, Parser, write_event};
use logboom::event::{Batch, EventId, FieldId, FieldRef, Span, Value};
use simd_json::{Buffers, Tape};
use std::hint::black_box;
use std::time::{Duration, Instant};

const LINES: usize = 2000;
const BATCH: usize = 125;

fn lines() -> Vec<Vec<u8>> {
    let mut generator = Generator::new(Format::Json, 1, DEFAULT_START_MS);
    let line = |_| {
        let mut line = Vec::new();
        generator.event(&mut line);
        line.pop();
        line
    };
    (0..LINES).map(line).collect()
}

fn tape(lines: &mut [Vec<u8>], buffers: &mut Buffers, tape: &mut Option<Tape<'static>>) -> usize {
    let mut nodes = 0;
    let mut reused = tape.take().expect("the tape is put back");
    for line in lines {
        let mut filled = reused.reset();
        simd_json::fill_tape(line, buffers, &mut filled).expect("the lines are JSON");
        nodes += filled.0.len();
        reused = filled.reset();
    }
    *tape = Some(reused);
    nodes
}

fn fill(batch: &mut Batch, lines: &[Vec<u8>]) -> Vec<Span> {
    batch.recycle();
    let mut spans = Vec::with_capacity(lines.len());
    for line in lines {
        spans.push(batch.push_bytes(line));
        batch.push_bytes(b"\n");
    }
    spans
}

fn decode(parser: &mut Parser, batch: &mut Batch, spans: &[Span], events: &mut Vec<EventId>) {
    events.clear();
    for &span in spans {
        match parser.parse_event(batch, span) {
            Ok(Decoded::Event(event)) => events.push(event),
            other => panic!("no event: {other:?}"),
        }
    }
}

fn batches(lines: &[Vec<u8>]) -> Vec<(Batch, Vec<Span>)> {
    let make = |lines: &[Vec<u8>]| {
        let mut batch = Batch::new();
        let spans = fill(&mut batch, lines);
        (batch, spans)
    };
    lines.chunks(BATCH).map(make).collect()
}

/// Batches as the pool gives them: with the memory of an earlier use.
fn refill(batches: &mut [(Batch, Vec<Span>)], lines: &[Vec<u8>]) {
    for ((batch, spans), lines) in batches.iter_mut().zip(lines.chunks(BATCH)) {
        *spans = fill(batch, lines);
    }
}

/// The ratio that counts, from the best of many rounds in turn: what else runs on the machine
/// makes single rounds slower, never faster.
fn ratio(lines: &[Vec<u8>]) {
    let (mut buffers, mut reused) = (Buffers::new(1024), Some(Tape(Vec::new())));
    let (mut parser, mut events, mut pool) = (Parser::default(), Vec::new(), batches(lines));
    let mut best = [Duration::MAX; 2];
    for _round in 0..400 {
        let mut copy = lines.to_vec();
        let began = Instant::now();
        black_box(tape(&mut copy, &mut buffers, &mut reused));
        best[0] = best[0].min(began.elapsed());
        refill(&mut pool, lines);
        let began = Instant::now();
        for (batch, spans) in &mut pool {
            decode(&mut parser, batch, spans, &mut events);
        }
        best[1] = best[1].min(began.elapsed());
    }
    let percent = 100.0 * best[0].as_secs_f64() / best[1].as_secs_f64();
    println!("best of 400 rounds: tape {:?}, decode {:?}: {percent:.0} % of the tape alone", best[0], best[1]);
}

fn benches(c: &mut Criterion) {
    let lines = lines();
    ratio(&lines);
    let bytes: usize = lines.iter().map(Vec::len).sum();
    let mut group = c.benchmark_group("json");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));

    let (mut buffers, mut reused) = (Buffers::new(1024), Some(Tape(Vec::new())));
    group.bench_function("tape", |b| {
        b.iter_batched_ref(
            || lines.clone(),
            |lines| black_box(tape(lines, &mut buffers, &mut reused)),
            BatchSize::LargeInput,
        )
    });

    let (mut parser, mut events) = (Parser::default(), Vec::new());
    let level = FieldRef::of("level");
    for (name, route) in [("decode", false), ("route", true)] {
        let mut pool = batches(&lines);
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    refill(&mut pool, &lines);
                    let began = Instant::now();
                    for (batch, spans) in &mut pool {
                        decode(&mut parser, batch, spans, &mut events);
                        if route {
                            let is_error = |&e: &EventId| {
                                batch.get(e, &level).and_then(|v| batch.as_text(v)).is_some_and(|l| l == "ERROR")
                            };
                            black_box(events.iter().filter(|e| is_error(e)).count());
                        }
                    }
                    spent += began.elapsed();
                }
                spent
            })
        });
    }

    let mut out = Vec::new();
    let action = FieldId::intern("service");
    for (name, change) in [("write_untouched", 0), ("write_added", 1), ("write_changed", 2)] {
        let mut pool = batches(&lines);
        for (batch, spans) in &mut pool {
            decode(&mut parser, batch, spans, &mut events);
            for &event in &events {
                if change > 0 {
                    let version = batch.str("1");
                    batch.set_key(event, FieldId::TIMESTAMP, Value::Time(logboom::event::Timestamp::from_millis(1)));
                    batch.set_key(event, FieldId::VERSION, version);
                }
                if change > 1 {
                    let value = batch.str("changed");
                    batch.set_key(event, action, value);
                }
            }
        }
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                for (batch, spans) in &pool {
                    for event in 0..spans.len() {
                        write_event(batch, event as EventId, &mut out);
                    }
                }
                black_box(out.len())
            })
        });
    }
    group.finish();
}

criterion_group!(decoding, benches);
criterion_main!(decoding);
