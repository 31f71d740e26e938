//! The `file` input against a model: every line exactly once, whatever happens to the files.

use super::*;
use crate::diagnostic::Place;
use crate::pipeline::Work;
use crate::plugin::Literal;
use crossbeam::channel::Receiver;
use proptest::prelude::*;
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

fn options(pairs: &[(&str, &str)]) -> Options {
    let setting = |value: &str| Setting { value: Literal::String(value.to_owned()), place: Place::default() };
    let settings = pairs.iter().map(|(n, v)| (n.to_string(), Place::default(), setting(v))).collect();
    Options { settings, place: Place::default() }
}

fn context() -> Context {
    let (pipeline, id) = ("main".to_owned(), "in".to_owned());
    Context {
        pipeline,
        id,
        ecs: true,
        data: PathBuf::new(),
        check_only: false,
        index: None,
        stats: None,
        derived: Default::default(),
        links: Default::default(),
    }
}

/// A running input.
struct Run {
    feed: Arc<Feed>,
    works: Receiver<Work>,
    thread: JoinHandle<Box<dyn Input>>,
    received: Vec<Work>,
}

/// A folder with files, what is durable of them, and perhaps a running input.
struct World {
    dir: tempfile::TempDir,
    options: Vec<(&'static str, String)>,
    batch_events: usize,
    positions: HashMap<String, String>,
    durable: Vec<String>,
    run: Option<Run>,
}

fn lines(work: &Work) -> Vec<String> {
    work.batch.frames.iter().map(|f| String::from_utf8_lossy(work.batch.bytes(f.bytes)).into_owned()).collect()
}

impl World {
    fn new(pattern: &str, options: &[(&'static str, &str)]) -> World {
        let dir = tempfile::tempdir().unwrap();
        let path = format!("{}/{pattern}", dir.path().display());
        let mut all = vec![("path", path), ("stat_interval", "1 ms".into()), ("discover_interval", "1 ms".into())];
        all.extend(options.iter().map(|(n, v)| (*n, v.to_string())));
        World { dir, options: all, batch_events: 3, positions: HashMap::new(), durable: Vec::new(), run: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn start(&mut self) {
        self.start_with(|_| {});
    }

    fn start_with(&mut self, change: impl FnOnce(&mut Feed)) {
        let pairs: Vec<(&str, &str)> = self.options.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let mut input = build(&options(&pairs), &context()).unwrap_or_else(|e| panic!("{e:?}"));
        let (mut feed, works) = Feed::for_test(self.batch_events, self.positions.clone());
        change(&mut feed);
        let feed = Arc::new(feed);
        let its = feed.clone();
        let thread = std::thread::spawn(move || {
            input.run(&its).unwrap();
            input
        });
        self.run = Some(Run { feed, works, thread, received: Vec::new() });
    }

    /// Waits until `count` lines have come in this run; takes what comes within a moment more.
    fn receive(&mut self, count: usize) -> Vec<String> {
        let run = self.run.as_mut().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let have = |run: &Run| run.received.iter().map(|w| w.batch.frames.len()).sum::<usize>();
        while have(run) < count && Instant::now() < until {
            run.received.extend(run.works.recv_timeout(Duration::from_millis(20)));
        }
        while let Ok(work) = run.works.recv_timeout(Duration::from_millis(5)) {
            run.received.push(work);
        }
        run.received.iter().flat_map(lines).collect()
    }

    /// The first batches become durable, as many as `share` of 4; what of them was not yet.
    fn settle(&mut self, share: usize) {
        let run = self.run.as_mut().unwrap();
        let count = (run.received.len() * share).div_ceil(4);
        for work in run.received.drain(..count) {
            self.durable.extend(lines(&work));
            work.ack.done();
        }
        for position in run.feed.settle() {
            match position.value.is_empty() {
                true => drop(self.positions.remove(&*position.source)),
                false => drop(self.positions.insert(position.source.to_string(), position.value.into())),
            }
        }
    }

    /// Stops as a kill would: what isn't durable is gone.
    fn stop(&mut self, share: usize) {
        self.receive(0);
        self.settle(share);
        let run = self.run.take().unwrap();
        run.feed.stop().stop();
        run.thread.join().unwrap();
    }

    /// Waits for the input to come to its end, and makes all durable.
    fn end(&mut self) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.run.as_ref().unwrap().thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.receive(0);
        self.settle(4);
        self.run.take().unwrap().thread.join().unwrap().settled();
    }
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("line {n}")).collect()
}

fn text(range: std::ops::Range<usize>) -> String {
    numbered(range).iter().map(|l| format!("{l}\n")).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    /// A part of a line; the next append brings its end.
    Part,
    Rename,
    CopyTruncate,
    /// With the share of batches, of 4, that became durable.
    Stop(usize),
    Start,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1usize..40).prop_map(Step::Append),
        1 => Just(Step::Part),
        2 => Just(Step::Rename),
        2 => Just(Step::CopyTruncate),
        2 => (0usize..5).prop_map(Step::Stop),
        3 => Just(Step::Start),
    ];
    prop::collection::vec(step, 1..14)
}

/// Plays the steps on `app.log`; `whole`: the patterns name the rotated files too.
fn play(steps: &[Step], whole: bool) {
    let mut world = World::new(if whole { "app.log*" } else { "app.log" }, &[("start_position", "beginning")]);
    let (mut written, mut part, mut rotated, mut missed, mut begun) = (0, false, 0, false, 0);
    world.start();
    let current = |world: &World| world.path("app.log");
    for step in steps {
        match step {
            Step::Append(n) => {
                let text = text(written..written + n);
                // The beginning of the first line is there already.
                world.append("app.log", if part { &text[3..] } else { &text });
                (written, part) = (written + n, false);
            }
            Step::Part if !part => {
                world.append("app.log", &text(written..written + 1)[..3]);
                part = true;
            }
            Step::Rename | Step::CopyTruncate if !part && current(&world).exists() => {
                // Where only the one path is watched, a file can be missed, or the end of a copied one.
                let copies = matches!(step, Step::CopyTruncate);
                let kept = world.durable.len() > begun;
                if !whole && world.run.is_none() && (missed || copies || !kept) {
                    continue;
                }
                if world.run.is_some() {
                    world.receive(written - world.durable.len());
                    world.settle(if whole { 1 } else { 4 });
                }
                missed = world.run.is_none();
                begun = written;
                rotated += 1;
                let to = world.path(&format!("app.log.{rotated}"));
                if copies {
                    fs::copy(current(&world), to).unwrap();
                    fs::File::create(current(&world)).unwrap();
                } else {
                    fs::rename(current(&world), to).unwrap();
                }
            }
            Step::Stop(share) if world.run.is_some() => {
                world.stop(*share);
                missed = false;
            }
            Step::Start if world.run.is_none() => world.start(),
            _ => {}
        }
    }
    if part {
        world.append("app.log", &text(written..written + 1)[3..]);
        written += 1;
    }
    if world.run.is_none() {
        world.start();
    }
    world.receive(written - world.durable.len());
    world.settle(4);
    let expected = numbered(0..written);
    let mut found = std::mem::take(&mut world.durable);
    // Between files there is no order.
    found.sort_by_key(|line| line[5..].parse::<usize>().unwrap_or(usize::MAX));
    assert_eq!(found, expected);
    world.stop(4);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_line_once_with_rotated_files_watched(steps in steps()) {
        play(&steps, true);
    }

    #[test]
    fn every_line_once_with_one_path_watched(steps in steps()) {
        play(&steps, false);
    }
}

#[test]
fn starts_at_the_end_of_old_files_and_the_beginning_of_new_ones() {
    let mut world = World::new("*.log", &[]);
    world.append("old.log", "old\n");
    world.start();
    std::thread::sleep(Duration::from_millis(30));
    world.append("old.log", "more\n");
    assert_eq!(world.receive(1), ["more"]);
    world.append("new.log", "new\n");
    assert_eq!(world.receive(2), ["more", "new"]);
    world.stop(4);
    world.append("old.log", "while away\n");
    fs::write(world.path("late.log"), "new while away\n").unwrap();
    world.start();
    let mut found = world.receive(2);
    found.sort();
    assert_eq!(found, ["new while away", "while away"]);
    world.stop(4);
}

#[test]
fn a_copy_may_be_found_before_its_file_is_truncated() {
    // It was empty when it was found, and taken for a new file.
    for _ in 0..20 {
        play(&[Step::Append(3), Step::CopyTruncate, Step::Append(3), Step::CopyTruncate], true);
    }
}

#[test]
fn a_file_written_anew_begins_anew() {
    let mut world = World::new("a.log", &[("start_position", "beginning")]);
    world.append("a.log", "one\n");
    world.start();
    assert_eq!(world.receive(1), ["one"]);
    std::thread::sleep(Duration::from_millis(10));
    fs::write(world.path("a.log"), "two\n").unwrap();
    assert_eq!(world.receive(2), ["one", "two"], "of the same size");
    world.stop(4);
    fs::write(world.path("a.log"), "three\nfour\n").unwrap();
    world.start();
    assert_eq!(world.receive(2), ["three", "four"], "longer, while nobody watched");
    world.stop(4);
}

#[test]
fn lines_past_the_limit_are_cut_off_and_tagged() {
    let mut world = World::new("a.log", &[("start_position", "beginning")]);
    let long = "x".repeat(3 << 20);
    world.append("a.log", &format!("{long}\nshort\n{long}"));
    let limit = super::super::cut::FRAME_BYTES_MAX;
    let lengths = |lines: &[String]| lines.iter().map(String::len).collect::<Vec<_>>();
    world.start();
    assert_eq!(lengths(&world.receive(3)), [limit, 5, limit]);
    let tagged = |work: &Work| work.batch.frames.iter().map(|f| f.tags > 0).collect::<Vec<_>>();
    let tags: Vec<bool> = world.run.as_ref().unwrap().received.iter().flat_map(tagged).collect();
    assert_eq!(tags, [true, false, true]);
    world.stop(4);
    world.append("a.log", "rest\nnext\n");
    world.start();
    assert_eq!(world.receive(1), ["next"], "the rest is dropped after a restart too");
    world.stop(4);
}

#[test]
fn old_files_are_ignored_until_they_grow() {
    let mut world = World::new("*.log", &[("start_position", "beginning"), ("ignore_older", "1 hour")]);
    world.append("old.log", "old\n");
    let hours = std::time::SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().append(true).open(world.path("old.log")).unwrap().set_modified(hours).unwrap();
    world.start();
    std::thread::sleep(Duration::from_millis(20));
    assert!(world.receive(0).is_empty());
    world.append("old.log", "new\n");
    assert_eq!(world.receive(1), ["new"]);
    world.stop(4);
}

#[test]
fn positions_are_forgotten_when_their_files_are_gone_for_long() {
    let mut world = World::new("*.log", &[("start_position", "beginning"), ("sincedb_clean_after", "0")]);
    world.append("a.log", "a\n");
    world.start();
    world.receive(1);
    world.stop(4);
    assert_eq!(world.positions.len(), 2, "of the file, and of the first run");
    fs::remove_file(world.path("a.log")).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    world.start();
    std::thread::sleep(Duration::from_millis(20));
    world.stop(4);
    assert_eq!(world.positions.len(), 1);
}

#[test]
fn no_positions_are_kept_without_a_sincedb() {
    let mut world = World::new("*.log", &[("start_position", "beginning"), ("sincedb_path", "/dev/null")]);
    world.append("a.log", "a\n");
    for _ in 0..2 {
        world.start();
        assert_eq!(world.receive(1), ["a"]);
        world.stop(4);
        assert!(world.positions.is_empty());
    }
}

#[test]
fn reads_whole_files_and_acts_on_them_when_they_are_durable() {
    let mut world = World::new("*", &[("mode", "read"), ("exit_after_read", "true"), ("exclude", "*.no")]);
    world.append("a.log", "a1\na2");
    world.append("b.no", "b1\n");
    let gzip = |text: &str| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    };
    // Two members, as `cat a.gz b.gz` makes them.
    fs::write(world.path("c.gz"), [gzip("c1\r\nc2\nc"), gzip("3")].concat()).unwrap();
    fs::write(world.path("d.zst"), zstd::encode_all("d1\nd2\n".as_bytes(), 1).unwrap()).unwrap();
    world.start();
    std::thread::sleep(Duration::from_millis(50));
    assert!(world.path("a.log").exists(), "nothing is durable yet");
    world.end();
    world.durable.sort();
    assert_eq!(world.durable, ["a1", "a2", "c1", "c2", "c3", "d1", "d2"]);
    let mut left: Vec<_> = fs::read_dir(world.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["b.no"]);
}

#[test]
fn packed_files_go_on_where_they_were() {
    let mut world = World::new("*.gz", &[("mode", "read"), ("file_completed_action", "log")]);
    world.batch_events = 500;
    world.options.push(("file_completed_log_path", world.path("done").display().to_string()));
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text(0..50_000).as_bytes()).unwrap();
    fs::write(world.path("a.gz"), out.finish().unwrap()).unwrap();
    for share in [1, 2, 3] {
        world.start();
        world.receive(50_000 - world.durable.len());
        world.stop(share);
    }
    world.start();
    world.receive(50_000 - world.durable.len());
    world.settle(4);
    assert_eq!(world.durable, numbered(0..50_000));
    std::thread::sleep(Duration::from_millis(50));
    world.stop(4);
    let log = fs::read_to_string(world.path("done")).unwrap();
    assert_eq!(log, format!("{}\n", world.path("a.gz").display()));
    world.start();
    assert!(world.receive(0).is_empty());
    world.stop(4);
    assert_eq!(fs::read_to_string(world.path("done")).unwrap(), log, "it is not logged twice");
}

#[test]
fn damaged_packed_files_give_what_is_good_and_stay() {
    for check in ["false", "true"] {
        let mut world = World::new("*.gz", &[("mode", "read"), ("exit_after_read", "true")]);
        world.options.push(("check_archive_validity", check.to_owned()));
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text(0..20_000).as_bytes()).unwrap();
        let bytes = out.finish().unwrap();
        fs::write(world.path("a.gz"), &bytes[..bytes.len() / 2]).unwrap();
        world.start();
        world.end();
        let count = world.durable.len();
        assert_eq!(world.durable, numbered(0..count));
        assert_eq!(count > 5_000, check == "false", "{count}");
        assert!(world.path("a.gz").exists());
    }
}

#[test]
fn a_thousand_files_and_few_descriptors() {
    let mut world = World::new("**/*.log", &[("start_position", "beginning"), ("max_open_files", "20")]);
    world.batch_events = 100;
    for n in 0..1000 {
        fs::create_dir_all(world.path(&format!("{}", n % 10))).unwrap();
        world.append(&format!("{}/{n}.log", n % 10), &format!("first {n}\n"));
    }
    world.start();
    assert_eq!(world.receive(1000).len(), 1000);
    let count = fs::read_dir("/proc/self/fd").unwrap().filter_map(|e| fs::read_link(e.ok()?.path()).ok());
    let open = count.filter(|p| p.starts_with(world.dir.path())).count();
    // One more may be open for the moment in which it is looked at.
    assert!(open <= 21, "{open} files are open");
    for n in 0..1000 {
        world.append(&format!("{}/{n}.log", n % 10), &format!("second {n}\n"));
    }
    let mut found = world.receive(2000);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 2000);
    world.stop(4);
}

#[test]
fn odd_files_are_left_out() {
    use std::os::unix::ffi::OsStrExt;
    let mut world = World::new("*", &[("start_position", "beginning")]);
    let fifo = std::ffi::CString::new(world.path("fifo").as_os_str().as_bytes()).unwrap();
    // SAFETY: a path that ends in a zero byte.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    fs::create_dir(world.path("folder")).unwrap();
    std::os::unix::fs::symlink("nowhere", world.path("dangling")).unwrap();
    fs::write(world.path("x.gz"), "not read in tail mode\n").unwrap();
    world.append("plain", "line\n");
    world.start();
    assert_eq!(world.receive(1), ["line"]);
    world.stop(4);
}

/// Joins lines that begin with a blank to the one before, as `multiline` does.
#[derive(Default)]
struct Blank(Option<String>);

impl crate::codec::Joiner for Blank {
    fn push(&mut self, frame: &[u8], out: &mut dyn FnMut(&[u8], &[&'static str])) {
        let line = String::from_utf8_lossy(frame);
        match &mut self.0 {
            Some(held) if line.starts_with(' ') => *held += &line,
            _ => {
                self.flush(out);
                self.0 = Some(line.into_owned());
            }
        }
    }

    fn flush(&mut self, out: &mut dyn FnMut(&[u8], &[&'static str])) {
        self.0.take().into_iter().for_each(|held| out(held.as_bytes(), &[]));
    }

    fn holds(&self) -> bool {
        self.0.is_some()
    }
}

#[test]
fn what_a_joiner_holds_is_read_again() {
    let mut world = World::new("a.log", &[("start_position", "beginning")]);
    let joins = |feed: &mut Feed| feed.joiner = Some(Arc::new(|| Box::<Blank>::default()));
    world.append("a.log", "one\n 1\ntwo\n 2\n");
    world.start_with(joins);
    assert_eq!(world.receive(1), ["one 1"]);
    world.stop(4);
    world.append("a.log", " 22\nthree\n");
    world.start_with(joins);
    assert_eq!(world.receive(1), ["two 2 22"]);
    world.stop(4);
    world.options.push(("exit_after_read", "true".to_owned()));
    world.start_with(joins);
    world.end();
    assert_eq!(world.durable, ["one 1", "two 2 22", "three"]);
}

#[test]
fn long_unfinished_lines_are_searched_once() {
    let mut world = World::new("a.log", &[("start_position", "beginning"), ("delimiter", "||")]);
    world.start();
    for _ in 0..40 {
        world.append("a.log", &"x".repeat(10_000));
        std::thread::sleep(Duration::from_millis(3));
    }
    world.append("a.log", "|");
    std::thread::sleep(Duration::from_millis(5));
    assert!(world.receive(0).is_empty());
    world.append("a.log", "|y||");
    assert_eq!(world.receive(2), ["x".repeat(400_000).as_str(), "y"]);
    world.stop(4);
}

#[test]
fn a_sincedb_of_logstash_is_taken_over() {
    use std::os::unix::fs::MetadataExt;
    let mut world = World::new("a.log", &[("start_position", "beginning")]);
    world.append("a.log", "read\nunread\n");
    let inode = fs::metadata(world.path("a.log")).unwrap().ino();
    fs::write(world.path("sincedb"), format!("{inode} 0 51713 5 1700000000.123 /x/a.log\n")).unwrap();
    world.options.push(("sincedb_path", world.path("sincedb").display().to_string()));
    world.start();
    assert_eq!(world.receive(1), ["unread"]);
    world.stop(4);
}

#[test]
fn times() {
    let check = |text: &str, millis: Option<u64>| {
        assert_eq!(parse_duration(text, Duration::from_secs(1)), millis.map(Duration::from_millis), "{text}");
    };
    check("1", Some(1000));
    check("0.25", Some(250));
    check("250 ms", Some(250));
    check("1.5 hours", Some(5_400_000));
    check("2w", Some(1_209_600_000));
    check("", None);
    check("soon", None);
    check("1 fortnight", None);
    check("-1", None);
}

#[test]
fn mistakes_in_options_are_found_all_at_once() {
    let wrong = build(
        &options(&[
            ("path", "relative/*.log"),
            ("exclude", "[a"),
            ("stat_interval", "x"),
            ("mode", "read"),
            ("file_completed_action", "log"),
        ]),
        &context(),
    );
    assert_eq!(wrong.err().unwrap().len(), 4);
}
