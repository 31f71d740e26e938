//! How much does it cost to make JSON logs searchable and durable, and how much room do they take?
//!
//! `speed`: CPU time of the whole process per byte, all threads counted, from lines in memory to
//! durable segments after merges. The limit is stock tantivy on the same lines: `parse_json` into
//! typed fields that are all indexed, fast and stored, one writer thread, store with zstd.
//! `commit`: the time and the syncs of one epoch over 1, 8 and 64 partitions, against one tantivy
//! `IndexWriter::commit` per partition.
//!
//! Prints figures and ratios; takes no part in criterion, whose clock is not the CPU's.

mod clock;

use crossbeam::queue::ArrayQueue;
use logboom::cli::generate::{DEFAULT_START_MS, Format, Generator};
use logboom::event::json::{Decoded, Parser};
use logboom::event::{Batch, FieldId, Timestamp, Value};
use logboom::index::{BulkItem, Index, IndexSettings};
use logboom::memory::small_pages;
use logboom::pipeline::Delivery;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tantivy::schema::{FAST, Field, INDEXED, STORED, STRING, Schema, TEXT};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{IndexWriter, TantivyDocument};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events of a batch, as an input of large files makes them.
const BATCH_EVENTS: usize = 1_000;
/// Events of one commit of stock tantivy; ours makes epochs as it is set to.
const EPOCH_EVENTS: usize = 50_000;

fn main() {
    // Under `cargo test --benches` nothing is measured.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let events = std::env::var("EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(400_000);
    let lines = lines(events);
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    println!("{events} events, {} bytes each, {:.0} MB", bytes / events, bytes as f64 / 1e6);
    let only = std::env::var("ONLY").unwrap_or_default();
    // As the binary runs; stock tantivy as programs run by default, which suits it better.
    small_pages(true);
    let ours = measure("ours", bytes, |folder| ours(folder, &lines));
    small_pages(false);
    if only != "ours" {
        let stock = measure("stock", bytes, |folder| stock(folder, &lines));
        println!("speed: {:.2} x stock; room: {:.2} against {:.2}", stock.0 / ours.0, ours.1, stock.1);
        for partitions in [1, 8, 64] {
            commits(partitions, &lines);
        }
    }
}

fn lines(events: usize) -> Vec<Vec<u8>> {
    let mut generator = Generator::new(Format::Json, 1, DEFAULT_START_MS);
    let line = |_| {
        let mut line = Vec::new();
        generator.event(&mut line);
        line.pop();
        line
    };
    (0..events).map(line).collect()
}

/// CPU seconds, and bytes on disk per raw byte.
fn measure(name: &str, bytes: usize, run: impl Fn(&Path)) -> (f64, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let (before, begun) = (clock::process(), Instant::now());
    run(folder.path());
    let (cpu, wall) = ((clock::process() - before).as_secs_f64(), begun.elapsed().as_secs_f64());
    let room = size(folder.path()) as f64 / bytes as f64;
    let speed = bytes as f64 / 1e6 / cpu;
    println!("{name:6} {speed:7.1} MB per CPU second ({cpu:.2} s CPU, {wall:.2} s), {room:.3} bytes per raw byte");
    (cpu, room)
}

fn ours(folder: &Path, lines: &[Vec<u8>]) {
    let settings = IndexSettings { threads: 1, ..IndexSettings::new(folder) };
    let index = Index::open(settings).expect("the folder is new");
    let mut parser = Parser::default();
    // As pipelines do: batches come back.
    let pool = Arc::new(ArrayQueue::new(1024));
    for (at, lines) in lines.chunks(BATCH_EVENTS).enumerate() {
        let mut batch = pool.pop().unwrap_or_default();
        let items = bulk(&mut parser, &mut batch, lines, at * BATCH_EVENTS, |_| "logs".into());
        let events = items.iter().map(|item| item.event).collect();
        index.submit("logs", Delivery::own(batch, events, Some(pool.clone())));
    }
    index.flush().expect("the disk has room");
    index.close();
}

fn bulk(
    parser: &mut Parser,
    batch: &mut Batch,
    lines: &[Vec<u8>],
    from: usize,
    stream: impl Fn(usize) -> Arc<str>,
) -> Vec<BulkItem> {
    let mut items = Vec::with_capacity(lines.len());
    for (at, line) in lines.iter().enumerate() {
        let source = batch.push_bytes(line);
        let Ok(Decoded::Event(event)) = parser.parse_event(batch, source) else { panic!("the lines are JSON") };
        let time = Timestamp::from_millis(DEFAULT_START_MS + 20 * (from + at) as i64);
        batch.set_key(event, FieldId::TIMESTAMP, Value::Time(time));
        items.push(BulkItem { stream: stream(at), event, source, id: None });
    }
    items
}

fn schema() -> (Schema, Vec<Field>) {
    let mut schema = Schema::builder();
    let date = schema.add_date_field("timestamp", INDEXED | FAST | STORED);
    let words = ["level", "service", "traceId", "userId", "action", "status"]
        .map(|name| schema.add_text_field(name, STRING | FAST | STORED));
    schema.add_text_field("message", TEXT | STORED);
    schema.add_i64_field("duration", INDEXED | FAST | STORED);
    schema.add_json_field("metadata", STRING | FAST | STORED);
    (schema.build(), [vec![date], words.to_vec()].concat())
}

fn create(folder: &Path) -> (Schema, IndexWriter) {
    let (schema, _) = schema();
    let settings = tantivy::IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor::default()),
        ..tantivy::IndexSettings::default()
    };
    let builder = tantivy::Index::builder().schema(schema.clone()).settings(settings);
    let index = builder.create_in_dir(folder).expect("the folder is new");
    (schema, index.writer_with_num_threads(1, 200 << 20).expect("a writer"))
}

fn stock(folder: &Path, lines: &[Vec<u8>]) {
    let (schema, mut writer) = create(folder);
    for lines in lines.chunks(EPOCH_EVENTS) {
        add(&schema, &writer, lines);
        writer.commit().expect("the disk has room");
    }
    writer.wait_merging_threads().expect("merges end");
}

fn add(schema: &Schema, writer: &IndexWriter, lines: &[Vec<u8>]) {
    for line in lines {
        let text = std::str::from_utf8(line).expect("the lines are UTF-8");
        let document = TantivyDocument::parse_json(schema, text).expect("the lines fit the schema");
        writer.add_document(document).expect("a thread");
    }
}

fn commits(partitions: usize, lines: &[Vec<u8>]) {
    const ROUNDS: usize = 7;
    const EVENTS: usize = 100;
    let rounds = || lines.chunks(partitions * EVENTS).take(ROUNDS);
    let folder = tempfile::tempdir().expect("a folder");
    // A commit's time is the wall's: as many threads as the binary would take.
    small_pages(true);
    let index = Index::open(IndexSettings::new(folder.path())).expect("a new folder");
    let streams: Vec<Arc<str>> = (0..partitions).map(|n| format!("s{n}").into()).collect();
    let mut parser = Parser::default();
    let mut ours = Vec::new();
    for lines in rounds() {
        // All of one tier, so that streams are partitions.
        let mut batch = Batch::new();
        let items = bulk(&mut parser, &mut batch, lines, 0, |at| streams[at % partitions].clone());
        for item in &items {
            batch.remove_key(item.event, FieldId::LEVEL);
        }
        let begun = Instant::now();
        index.bulk(batch, items).expect("the disk has room");
        ours.push(begun.elapsed());
    }
    let syncs = index.stats().epoch_syncs;
    index.close();
    small_pages(false);

    let folders: Vec<_> = (0..partitions).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let mut writers: Vec<_> = folders
        .iter()
        .map(|folder| {
            let (schema, _) = schema();
            let index = tantivy::Index::create_in_dir(folder.path(), schema.clone()).expect("a new folder");
            (schema, index.writer_with_num_threads::<TantivyDocument>(1, 15 << 20).expect("a writer"))
        })
        .collect();
    let mut plain = Vec::new();
    for lines in rounds() {
        let begun = Instant::now();
        for (lines, (schema, writer)) in lines.chunks(EVENTS).zip(&mut writers) {
            add(schema, writer, lines);
            writer.commit().expect("the disk has room");
        }
        plain.push(begun.elapsed());
    }
    let (ours, plain) = (median(ours), median(plain));
    let ratio = plain.as_secs_f64() / ours.as_secs_f64();
    println!("commit of {partitions:2} partitions: {ours:.1?} and {syncs} syncs, plain {plain:.1?}: {ratio:.1} x");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("the folder is there").flatten();
    entries.map(|entry| entry.metadata().map_or(0, |data| data.len())).sum()
}
