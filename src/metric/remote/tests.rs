//! Against a receiver that answers as it is told.

use super::*;
use crate::metric::derive::Derived;
use crate::pipeline::Ack;
use crate::series::window::{Store, StoreSettings};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Answers each request with the next of `statuses`, the last for ever; returns its URL, and the
/// bodies of those that were taken.
fn receiver(statuses: &'static [&'static str]) -> (String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/write", listener.local_addr().unwrap());
    let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let (taken, count) = (bodies.clone(), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (taken, count, mut stream) = (taken.clone(), count.clone(), stream.unwrap());
            std::thread::spawn(move || {
                while let Some(body) = read_request(&mut stream) {
                    let at = count.fetch_add(1, Ordering::SeqCst).min(statuses.len() - 1);
                    if statuses[at].starts_with('2') {
                        taken.lock().push(body);
                    }
                    if write!(stream, "HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", statuses[at]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (url, bodies)
}

fn read_request(stream: &mut std::net::TcpStream) -> Option<Vec<u8>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

fn samples(bodies: &Mutex<Vec<Vec<u8>>>) -> Vec<(String, i64, f64)> {
    use prost::Message;
    let mut all = Vec::new();
    for body in bodies.lock().iter() {
        let plain = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        for series in message::WriteRequest::decode(&*plain).unwrap().timeseries {
            let labels = Labels::new(series.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())));
            all.extend(series.samples.iter().map(|s| (labels.to_string(), s.timestamp, s.value)));
        }
    }
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all
}

struct World {
    registry: Arc<Registry>,
    sampler: Arc<Sampler>,
    folder: tempfile::TempDir,
}

fn world() -> World {
    let registry = Registry::new();
    let store = Arc::new(Store::open(None, &StoreSettings::default()).unwrap());
    let sampler = Sampler::new(registry.clone(), store, Duration::from_secs(10));
    World { registry, sampler, folder: tempfile::tempdir().unwrap() }
}

impl World {
    fn start(&self, target: &str) -> Arc<RemoteWrite> {
        let external = vec![("site".to_owned(), "x".to_owned())];
        let targets = vec![Target::parse(target).unwrap()];
        RemoteWrite::start(targets, external, self.folder.path(), &self.sampler, &self.registry).unwrap()
    }
}

fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < end, "it did not come to pass");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Keeps only what the test counts.
const KEEP: &str =
    r#""write_relabel_configs":[{"source_labels":["__name__"],"regex":"things_total|r","action":"keep"}]"#;

#[test]
fn samples_arrive_through_trouble_and_end_with_a_marker() {
    let (url, bodies) = receiver(&["503 x\r\nRetry-After: 0", "429 x", "204 x"]);
    let world = world();
    let remote = world.start(&format!(r#"{{"url":"{url}",{KEEP},"queue_config":{{"max_shards":2}}}}"#));
    let things = world.registry.counter("things", "Things.", &[]);
    things.add(2);
    world.sampler.take(10_000);
    things.add(3);
    world.sampler.take(20_000);
    world.sampler.store.append(&[(Labels::new([("__name__", "r")]), Sample::new(20_000, 7.0))]);
    until(|| samples(&bodies).len() == 3);
    let name = "things_total{site=\"x\"}".to_owned();
    let want = [("r{site=\"x\"}".to_owned(), 20_000, 7.0), (name.clone(), 10_000, 2.0), (name, 20_000, 5.0)];
    assert_eq!(samples(&bodies), want);
    let counts = Counts::new(&world.registry, &url);
    until(|| counts.sent.get() == 3);
    assert_eq!((counts.retried.get(), counts.failed.get()), (2, 0));
    remote.end(Duration::from_secs(5));
}

#[test]
fn what_is_refused_is_dropped_and_counted() {
    let (url, bodies) = receiver(&["400 x", "204 x"]);
    let world = world();
    let remote = world.start(&format!(
        r#"{{"url":"{url}",{KEEP},"queue_config":{{"max_shards":1}},"metadata_config":{{"send":false}}}}"#
    ));
    world.registry.counter("things", "Things.", &[]).add(1);
    world.sampler.take(10_000);
    world.sampler.take(20_000);
    until(|| samples(&bodies).len() == 1);
    assert_eq!(samples(&bodies)[0].1, 20_000);
    let counts = Counts::new(&world.registry, &url);
    until(|| counts.sent.get() == 1);
    assert_eq!((counts.failed.get(), counts.retried.get()), (1, 0));
    remote.end(Duration::from_secs(5));
}

#[test]
fn one_that_never_answers_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/write", listener.local_addr().unwrap());
    let world = world();
    let remote = world.start(&format!(r#"{{"url":"{url}",{KEEP},"remote_timeout":"50ms"}}"#));
    let (things, begun) = (world.registry.counter("things", "Things.", &[]), Instant::now());
    for n in 1..=50 {
        things.add(1);
        world.sampler.take(n * 10_000);
    }
    let counts = Counts::new(&world.registry, &url);
    until(|| counts.retried.get() >= 2);
    assert!(begun.elapsed() < Duration::from_secs(15), "the sampler waited");
    assert_eq!((counts.sent.get(), counts.failed.get(), counts.dropped.get()), (0, 0, 0));
    assert!(counts.waiting.get() > 0);
    let begun = Instant::now();
    remote.end(Duration::from_millis(100));
    assert!(begun.elapsed() < Duration::from_secs(10), "the end waited");
}

#[test]
fn a_full_queue_drops_what_is_oldest() {
    let (url, _) = receiver(&["500 x"]);
    let world = world();
    let remote =
        world.start(&format!(r#"{{"url":"{url}",{KEEP},"queue_config":{{"max_shards":1,"max_bytes":"1mb"}}}}"#));
    for n in 0..900_u64 {
        // Texts that don't compress.
        let text: String = (0..8)
            .map(|m| format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&[n, m].map(u64::to_le_bytes).concat())))
            .collect();
        world.registry.counter("things", "Things.", &[("n", &text)]).add(1);
    }
    for n in 1..=40 {
        world.sampler.take(n * 10_000);
    }
    let counts = Counts::new(&world.registry, &url);
    assert!(counts.dropped.get() > 900, "{}", counts.dropped.get());
    assert!(counts.waiting.get() <= 1 << 20, "{}", counts.waiting.get());
    assert_eq!((counts.sent.get(), counts.failed.get()), (0, 0));
    remote.end(Duration::ZERO);
}

#[test]
fn a_queue_outlives_its_process() {
    let world = world();
    // Nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = format!(r#"{{"url":"http://{address}/write",{KEEP},"queue_config":{{"max_shards":1}}}}"#);
    let remote = world.start(&target);
    world.registry.counter("things", "Things.", &[]).add(1);
    world.sampler.take(10_000);
    remote.end(Duration::from_millis(50));
    let queue = std::fs::read_dir(world.folder.path()).unwrap().next().unwrap().unwrap().path().join("0");
    let mut queue = Queue::open(&queue, 1 << 20).unwrap();
    assert_eq!(queue.next().map(|request| request.samples), Some(1));
}

#[test]
fn births_are_sent_with_a_zero_and_ends_with_a_marker() {
    use crate::event::{Batch, Timestamp};
    use crate::metric::derive::{Definition, Deriver, Number};
    use crate::metric::exposition::Kind;
    let (url, bodies) = receiver(&["204 x"]);
    let world = world();
    let derived: &Arc<Derived> = world.registry.derived();
    let metric = derived.register(Definition {
        name: "things_total".to_owned(),
        place: "pipeline `p`, a.conf:7".to_owned(),
        help: "Things.".to_owned(),
        kind: Kind::Counter,
        labels: Vec::new(),
        number: Number::One,
        scale: 1.0,
        bounds: Vec::new(),
        native: false,
        over_ms: None,
        max_series: 10,
        expire_ms: Some(5_000),
        max_age_ms: None,
        traces: Vec::new(),
    });
    let mut deriver = Deriver::new(derived.clone(), &[metric.unwrap()]);
    let mut batch = Batch::new();
    let event = batch.new_event();
    let remote = world.start(&format!(r#"{{"url":"{url}",{KEEP}}}"#));
    // It is shown when its batch is done, after a sample that came meanwhile.
    world.sampler.take(18_000);
    deriver.observe(&batch, &[event], Timestamp::from_millis(15_000));
    deriver.settle(&Ack::none());
    world.sampler.take(20_000);
    derived.expire(25_000);
    world.sampler.take(30_000);
    until(|| bodies.lock().len() >= 3);
    until(|| samples(&bodies).len() == 3);
    let all = samples(&bodies);
    assert_eq!((all[0].1, all[0].2, all[1].1, all[1].2), (10_000, 0.0, 20_000, 1.0));
    assert!(all[2].1 == 30_000 && crate::series::is_stale(all[2].2), "{all:?}");
    // It comes back at once: where its zero would stand is the marker.
    deriver.observe(&batch, &[event], Timestamp::from_millis(35_000));
    deriver.settle(&Ack::none());
    world.sampler.take(40_000);
    until(|| samples(&bodies).len() == 4);
    assert_eq!((samples(&bodies)[3].1, samples(&bodies)[3].2), (40_000, 1.0));
    remote.end(Duration::from_secs(5));
}

#[test]
fn targets_are_read() {
    let check = |text: &str, want: Result<(Protocol, usize), &str>| match (Target::parse(text), want) {
        (Ok(target), Ok(want)) => assert_eq!((target.protocol, target.shards), want, "{text}"),
        (Err(error), Err(want)) => assert!(error.contains(want), "{text}: {error}"),
        (got, _) => panic!("{text}: {:?}", got.err()),
    };
    check("http://h/write", Ok((Protocol::V1, SHARDS)));
    check(
        r#"{"url":"http://h","protocol_version":"2.0","queue_config":{"max_shards":1,"capacity":5}}"#,
        Ok((Protocol::V2, 1)),
    );
    check(r#"{"url":"http://h","protobuf_message":"io.prometheus.write.v2.Request"}"#, Ok((Protocol::V2, SHARDS)));
    check(r#"{"url":"http://h","protocol_version":"3"}"#, Err("unknown protocol `3`"));
    check(r#"{"url":"http://h","queue_config":{"x":1}}"#, Err("unknown member `x` of `queue_config`"));
    check(r#"{"url":"http://h","retries":1}"#, Err("unknown member `retries`"));
    check(r#"{"url":"http://h","queue_config":{"max_shards":0}}"#, Err("from 1 on"));
}
