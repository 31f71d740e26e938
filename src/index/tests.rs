//! The index as a whole: what arrives is found once, before and after it is durable, and after a
//! crash at any moment.

use super::disk::losing::LosingDisk;
use super::*;
use crate::event::{Batch, EventId, FieldId, Timestamp, Value, json};
use crate::pipeline::{Ack, Shared};
use std::time::Duration;

const DAY: i64 = 86_400;

/// An input that numbers its events: event `n` has the field `n`, and its position is `n + 1`.
struct Input {
    tracker: Arc<Tracker>,
    source: Arc<str>,
    next: i64,
}

impl Input {
    fn new(index: &Index, source: &str, next: i64) -> Input {
        let tracker = Arc::new(Tracker::default());
        index.register(tracker.clone());
        Input { tracker, source: source.into(), next }
    }

    /// Sends `events` events of the stream `s` that happen on `days` days from day 20,000 on.
    fn send(&mut self, index: &Index, events: usize, days: i64) {
        let mut batch = Batch::new();
        for _ in 0..events {
            event(&mut batch, self.next, Timestamp::new((20_000 + self.next % days) * DAY, 0), "info");
            self.next += 1;
        }
        let position = Position { source: self.source.clone(), value: self.next.to_string().into() };
        let number = self.tracker.issue(vec![position]);
        let ack = Ack::new(self.tracker.clone(), number);
        index.submit("s", Delivery::new(Shared::new(batch, None), (0..events as EventId).collect(), ack.clone()));
        ack.done();
    }
}

fn event(batch: &mut Batch, n: i64, at: Timestamp, level: &str) -> EventId {
    let event = batch.new_event();
    batch.set_key(event, FieldId::TIMESTAMP, Value::Time(at));
    batch.set_key(event, FieldId::intern("n"), Value::Int(n));
    let level = batch.str(level);
    batch.set_key(event, FieldId::LEVEL, level);
    let message = batch.str(&format!("message number {n}"));
    batch.set_key(event, FieldId::MESSAGE, message);
    event
}

fn settings(path: &str) -> IndexSettings {
    IndexSettings { epoch_interval: Duration::from_secs(3600), threads: 2, ..IndexSettings::new(path) }
}

fn open(disk: &LosingDisk) -> Arc<Index> {
    Index::open_on(Arc::new(disk.clone()), settings("nowhere"), None).unwrap()
}

/// All values of `n`, sorted.
fn numbers(view: &View) -> Vec<i64> {
    let mut numbers = Vec::new();
    for partition in &view.partitions {
        let searcher = partition.searcher().unwrap();
        for reader in searcher.segment_readers() {
            let column = reader.fast_fields().i64("n").unwrap();
            numbers.extend((0..reader.max_doc()).filter_map(|doc| column.first(doc)));
        }
    }
    numbers.sort_unstable();
    numbers
}

fn all(end: i64) -> Vec<i64> {
    (0..end).collect()
}

fn position(index: &Index) -> i64 {
    index.positions().iter().find(|p| &*p.source == "in").map_or(0, |p| p.value.parse().unwrap())
}

#[test]
fn rows_are_found_once_whether_they_wait_or_not() {
    let disk = LosingDisk::default();
    let index = open(&disk);
    let mut input = Input::new(&index, "in", 0);
    input.send(&index, 10, 3);
    assert_eq!(numbers(&index.refresh()), all(10));
    let early = index.view();
    input.send(&index, 5, 3);
    assert_eq!(numbers(&index.refresh()), all(15));
    index.flush().unwrap();
    assert_eq!(numbers(&index.view()), all(15));
    assert_eq!(numbers(&early), all(10), "a view does not change");
    assert!(input.tracker.idle());
    let view = index.view();
    assert_eq!(view.partitions.len(), 3);
    assert_eq!(view.partitions[0].min_time, 20_000 * DAY * 1000);
    assert_eq!(index.stats().epoch_syncs, 3);
    index.close();
    drop(index);
    let index = open(&disk);
    assert_eq!((numbers(&index.view()), position(&index)), (all(15), 15));
}

#[test]
fn an_epoch_takes_exactly_the_unbroken_run() {
    let disk = LosingDisk::default();
    let index = open(&disk);
    let mut input = Input::new(&index, "in", 0);
    input.send(&index, 2, 1);
    // Another output holds the next batch.
    let mut batch = Batch::new();
    event(&mut batch, 2, Timestamp::new(0, 0), "info");
    let position_3 = Position { source: "in".into(), value: "3".into() };
    let ack = Ack::new(input.tracker.clone(), input.tracker.issue(vec![position_3]));
    index.submit("s", Delivery::new(Shared::new(batch, None), vec![0], ack.clone()));
    input.next = 3;
    input.send(&index, 2, 1);
    assert_eq!(numbers(&index.refresh()), all(5));
    index.flush().unwrap();
    assert_eq!((position(&index), input.tracker.durable_until()), (2, 1));
    assert_eq!(numbers(&index.view()), all(5), "what waits on is shown still, once");
    assert_eq!(numbers(&open_copy(&disk).view()), all(2));
    ack.done();
    index.flush().unwrap();
    assert_eq!((position(&index), input.tracker.durable_until()), (5, 3));
    assert_eq!(numbers(&open_copy(&disk).view()), all(5));
}

/// What another process would find on the disk now.
fn open_copy(disk: &LosingDisk) -> Arc<Index> {
    open(&disk.after_crash(0.0, false))
}

/// Runs an input until the disk stops, restarts, and says how far it was and what it found.
fn crash_after(syncs: u64, keep: f64, keep_names: bool) -> bool {
    let disk = LosingDisk::default();
    let index = open(&disk);
    let mut input = Input::new(&index, "in", 0);
    disk.stop_after(syncs);
    let mut whole = true;
    for round in 0..12 {
        input.send(&index, 3, 4);
        if round % 5 == 4 {
            index.refresh();
        }
        if index.flush().is_err() {
            whole = false;
            break;
        }
    }
    let acknowledged = input.tracker.durable_until() as i64 * 3;
    drop(index);
    let disk = disk.after_crash(keep, keep_names);
    let index = open(&disk);
    let from = position(&index);
    let case = format!("{syncs} syncs, {keep} kept, names {keep_names}");
    assert!(from >= acknowledged, "{case}: {from} is before {acknowledged}");
    assert_eq!(numbers(&index.view()), all(from), "{case}");
    // What is read again goes to other days than before.
    let mut input = Input::new(&index, "in", from);
    while input.next < 36 {
        input.send(&index, 3, 7);
        index.flush().unwrap();
    }
    index.close();
    drop(index);
    let index = open(&disk.after_crash(0.0, false));
    assert_eq!(numbers(&index.view()), all(36), "{case}");
    whole
}

#[test]
fn a_crash_after_any_sync_neither_loses_nor_doubles() {
    for (keep, keep_names) in [(0.0, false), (0.4, true), (1.0, true), (0.7, false)] {
        let whole = (0..60).find(|&syncs| crash_after(syncs, keep, keep_names));
        assert!(whole.is_some(), "the disk always stopped before the end");
    }
}

#[test]
fn a_full_disk_keeps_rows_until_there_is_room() {
    let disk = LosingDisk::default();
    let index = open(&disk);
    let mut input = Input::new(&index, "in", 0);
    input.send(&index, 3, 1);
    index.flush().unwrap();
    disk.set_full(true);
    input.send(&index, 3, 1);
    let error = index.flush().unwrap_err().to_string();
    assert!(error.starts_with("cannot make events durable yet"), "{error}");
    assert_eq!(numbers(&index.refresh()), all(6), "searches go on");
    assert_eq!(input.tracker.durable_until(), 1);
    input.send(&index, 3, 1);
    disk.set_full(false);
    assert!(input.tracker.wait(2, Duration::from_secs(10)));
    // An attempt that began on the full disk may fail only now.
    let until = Instant::now() + Duration::from_secs(20);
    while let Err(error) = index.flush() {
        assert!(Instant::now() < until, "{error}");
    }
    assert_eq!(position(&index), 9);
    assert_eq!(numbers(&open_copy(&disk).view()), all(9));
    assert!(index.stats().failures > 0 && index.stats().failing.is_none());
}

#[test]
fn many_epochs_are_merged_and_files_go() {
    let disk = LosingDisk::default();
    let index = open(&disk);
    let mut input = Input::new(&index, "in", 0);
    for _ in 0..40 {
        input.send(&index, 4, 2);
        index.flush().unwrap();
    }
    let until = Instant::now() + Duration::from_secs(20);
    while index.stats().merges < 4 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
        input.send(&index, 2, 2);
        index.flush().unwrap();
    }
    assert!(index.stats().merges >= 4);
    assert_eq!(numbers(&index.view()), all(input.next));
    let files = disk.list().unwrap().len();
    assert!(files < 40, "{files} files");
    index.close();
    drop(index);
    assert_eq!(numbers(&open_copy(&disk).view()), all(input.next));
}

#[test]
fn searches_see_every_row_once_while_epochs_are_written() {
    let disk = LosingDisk::default();
    let settings = IndexSettings { epoch_interval: Duration::from_millis(5), ..settings("nowhere") };
    let index = Index::open_on(Arc::new(disk), settings, None).unwrap();
    let mut input = Input::new(&index, "in", 0);
    for _ in 0..150 {
        input.send(&index, 2, 3);
        assert_eq!(numbers(&index.refresh()), all(input.next));
    }
    assert!(index.stats().epochs > 3);
}

#[test]
fn a_real_folder_is_the_index_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let index = Index::open(settings(path.to_str().unwrap())).unwrap();
    let mut input = Input::new(&index, "in", 0);
    input.send(&index, 100, 2);
    let again = Index::open(settings(path.to_str().unwrap())).err().unwrap();
    assert!(matches!(again, IndexError::InUse { .. }), "{again}");
    drop(index);
    let orphan = path.join("pffffffffffff");
    std::fs::write(&orphan, "x").unwrap();
    let index = Index::open(settings(path.to_str().unwrap())).unwrap();
    assert_eq!(numbers(&index.view()), all(100));
    assert!(!orphan.exists());
}

#[test]
fn levels_choose_the_tier() {
    let index = open(&LosingDisk::default());
    let mut batch = Batch::new();
    for (n, level) in ["error", "WARN", "info", "trace", "FATAL"].iter().enumerate() {
        event(&mut batch, n as i64, Timestamp::new(0, 0), level);
    }
    index.submit("s", Delivery::new(Shared::new(batch, None), (0..5).collect(), Ack::none()));
    let view = index.refresh();
    let tiers: Vec<_> = view.partitions.iter().map(|p| (p.tier, p.docs)).collect();
    assert_eq!(tiers, [(Tier::Error, 2), (Tier::Warn, 1), (Tier::Info, 1), (Tier::Debug, 1)]);
}

fn bulk(index: &Index, documents: &[(&str, Option<&str>)]) -> Vec<BulkOutcome> {
    let mut batch = Batch::new();
    let mut items = Vec::new();
    for (text, id) in documents {
        let source = batch.push_text(text);
        let json::Decoded::Event(event) = json::Parser::default().parse_event(&mut batch, source).unwrap() else {
            panic!("not an object: {text}");
        };
        items.push(BulkItem { stream: "b".into(), event, source, id: id.map(str::to_owned) });
    }
    index.bulk(batch, items).unwrap()
}

#[test]
fn clients_wait_for_their_rows_and_ids_are_given_once() {
    let disk = LosingDisk::default();
    let index = open(&disk);
    let outcomes = bulk(&index, &[(r#"{"n":0}"#, None), (r#"{"n":1}"#, Some("x")), (r#"{"n":7}"#, Some("x"))]);
    assert_eq!(outcomes[0], BulkOutcome::Created { id: document_id(0), seq: 0 });
    assert_eq!(outcomes[1], BulkOutcome::Created { id: "x".into(), seq: 1 });
    assert_eq!(outcomes[2], BulkOutcome::Conflict { id: "x".into() });
    assert_eq!(numbers(&index.view()), all(2), "durable and shown when the answer comes");
    assert_eq!(bulk(&index, &[(r#"{"n":7}"#, Some("x"))]), [BulkOutcome::Conflict { id: "x".into() }]);
    drop(index);
    let index = open(&disk);
    assert_eq!(numbers(&index.view()), all(2));
    assert_eq!(bulk(&index, &[(r#"{"n":7}"#, Some("x"))]), [BulkOutcome::Conflict { id: "x".into() }]);
    let outcomes = bulk(&index, &[(r#"{"n":2}"#, None)]);
    assert_eq!(outcomes, [BulkOutcome::Created { id: document_id(2), seq: 2 }]);
    assert_eq!(seq_of_id(&document_id(2)), Some(2));
}

#[test]
fn what_does_not_fit_a_mapping_on_request_is_refused() {
    let index = open(&LosingDisk::default());
    let fields = [("n", Explicit::Long), ("b", Explicit::Byte), ("k.ip", Explicit::Ip)];
    let fields: Vec<_> = fields.iter().map(|(path, kind)| (path.to_string(), *kind)).collect();
    index.put_mapping("b", &fields).unwrap();
    let check = |text: &str, fits: bool| {
        let outcomes = bulk(&index, &[(text, None)]);
        assert_eq!(matches!(outcomes[0], BulkOutcome::Created { .. }), fits, "{text}: {outcomes:?}");
    };
    check(r#"{"n":1,"b":-128,"k":{"ip":"10.0.0.1"}}"#, true);
    check(r#"{"n":"12"}"#, true);
    check(r#"{"n":[1,null,"3"]}"#, true);
    check(r#"{"n":"twelve"}"#, false);
    check(r#"{"n":{"x":1}}"#, false);
    check(r#"{"b":200}"#, false);
    check(r#"{"k.ip":"10.0.0.256"}"#, false);
    check(r#"{"other":"anything"}"#, true);
    let outcome = &bulk(&index, &[(r#"{"n":"twelve"}"#, Some("i"))])[0];
    let BulkOutcome::Rejected { kind, reason, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(*kind, "mapper_parsing_exception");
    assert_eq!(reason, "failed to parse field [n] of type [long] in document with id 'i'");
}

#[test]
fn a_folder_belongs_to_one_index() {
    let folder = tempfile::tempdir().unwrap();
    let first = Index::open(IndexSettings::new(folder.path())).unwrap();
    let error = Index::open(IndexSettings::new(folder.path())).err().unwrap().to_string();
    assert!(error.contains(&folder.path().display().to_string()), "{error}");
    assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
    first.close();
    drop(first);
    Index::open(IndexSettings::new(folder.path())).unwrap();
}
