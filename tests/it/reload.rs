//! Reloads: what changes and what stays, what is refused, and that nothing is lost, doubled or leaked
//! over many of them.

use crate::harness::Daemon;
use crate::program::until;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A daemon on a folder of configuration.
struct Fixture {
    dir: tempfile::TempDir,
    daemon: Option<Daemon>,
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("config")).unwrap();
        Fixture { dir, daemon: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the configuration at once, as editors do.
    fn write(&self, name: &str, text: &str) {
        let (new, path) = (self.path("new"), self.path("config").join(name));
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn start(&mut self, more: &[&str]) {
        let config = format!("--path.settings={}", self.path("config").display());
        let more: Vec<&str> = more.iter().copied().chain([config.as_str()]).collect();
        self.daemon = Some(Daemon::start_as(&self.path("data"), &more, &[]));
        self.daemon().node("/");
    }

    fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().unwrap()
    }

    /// Reloads taken and refused.
    fn reloads(&mut self) -> (u64, u64) {
        let reloads = self.daemon().node("/_node/stats/reloads")["reloads"].clone();
        (reloads["successes"].as_u64().unwrap(), reloads["failures"].as_u64().unwrap())
    }

    /// SIGHUP, and waits until it is obeyed.
    fn hup(&mut self, want: (u64, u64)) {
        self.daemon().signal(libc::SIGHUP);
        let obeyed = until(Duration::from_secs(20), || (self.reloads() == want).then_some(()));
        assert!(obeyed.is_some(), "{:?} instead of {want:?}: {}", self.reloads(), self.daemon().log());
    }

    fn stop(&mut self) {
        let code = self.daemon().stop();
        assert_eq!(code, Some(0), "{}", self.daemon().log());
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until a file has so many lines.
fn wait_for(path: &Path, count: usize, daemon: &Daemon) -> Vec<Value> {
    let there = until(Duration::from_secs(20), || Some(lines(path)).filter(|lines| lines.len() >= count));
    there.unwrap_or_else(|| panic!("{} of {count} lines: {}", lines(path).len(), daemon.log()))
}

#[test]
fn a_changed_file_is_taken_and_a_wrong_one_refused() {
    let mut f = Fixture::new();
    let (log, out) = (f.path("app.log"), f.path("out.log"));
    let text = |filter: &str| {
        format!(
            "input {{ file {{ path => '{}' start_position => beginning }} }} filter {{ {filter} }}
             output {{ file {{ path => '{}' codec => json_lines }} }}",
            log.display(),
            out.display()
        )
    };
    f.write("pipelines.yml", &format!("- pipeline.id: main\n  path.config: {}/*.conf\n", f.path("config").display()));
    f.write("a.conf", &text("mutate { add_field => { gen => one } }"));
    let mut writer = File::create(&log).unwrap();
    f.start(&["--config.reload.automatic", "--config.reload.interval=50ms"]);
    writeln!(writer, "1").unwrap();
    assert_eq!(wait_for(&out, 1, f.daemon())[0]["gen"], "one");

    f.write("a.conf", &text("mutate { add_feld => { gen => two } } nonsense { }"));
    let refused = until(Duration::from_secs(20), || (f.reloads() == (0, 1)).then_some(()));
    assert!(refused.is_some(), "{}", f.daemon().log());
    let said = f.daemon().log();
    assert!(said.contains("did you mean `add_field`?") && said.contains("unknown filter `nonsense`"), "{said}");
    let main = f.daemon().node("/_node/stats/pipelines/main")["pipelines"]["main"]["reloads"].clone();
    assert_eq!(main["failures"], 1, "{main}");
    assert!(main["last_error"]["message"].as_str().unwrap().contains("add_feld"), "{main}");
    writeln!(writer, "2").unwrap();
    assert_eq!(wait_for(&out, 2, f.daemon())[1]["gen"], "one");

    f.write("a.conf", &text("mutate { add_field => { gen => two } }"));
    let taken = until(Duration::from_secs(20), || (f.reloads() == (1, 1)).then_some(()));
    assert!(taken.is_some(), "{}", f.daemon().log());
    writeln!(writer, "3").unwrap();
    let all = wait_for(&out, 3, f.daemon());
    assert_eq!(all[2]["gen"], "two");
    let messages: Vec<&Value> = all.iter().map(|event| &event["message"]).collect();
    assert_eq!(messages, [&json!("1"), &json!("2"), &json!("3")], "nothing is read again");
    f.stop();
}

#[test]
fn pipelines_come_and_go() {
    let mut f = Fixture::new();
    let pipeline = |f: &Fixture, id: &str, settings: &str| {
        let (log, out) = (f.path(&format!("{id}.log")), f.path(&format!("{id}.out")));
        format!(
            "- pipeline.id: {id}\n  {settings}\n  config.string: \"input {{ file {{ path => '{}' start_position => beginning }} }} output {{ file {{ path => '{}' codec => json_lines }} }}\"\n",
            log.display(),
            out.display()
        )
    };
    let (a, b) = (pipeline(&f, "a", "pipeline.workers: 1"), pipeline(&f, "b", "pipeline.workers: 1"));
    f.write("pipelines.yml", &a);
    let mut logs: Vec<File> = ["a.log", "b.log"].iter().map(|name| File::create(f.path(name)).unwrap()).collect();
    f.start(&[]);
    for log in &mut logs {
        writeln!(log, "one").unwrap();
    }
    let outs = [f.path("a.out"), f.path("b.out")];
    wait_for(&outs[0], 1, f.daemon());
    f.write("pipelines.yml", &format!("{a}{b}"));
    f.hup((1, 0));
    wait_for(&outs[1], 1, f.daemon());
    // One goes, the other gets more workers.
    f.write("pipelines.yml", &pipeline(&f, "b", "pipeline.workers: 3"));
    f.hup((2, 0));
    let all = f.daemon().node("/_node/pipelines")["pipelines"].clone();
    assert_eq!((all.get("a"), &all["b"]["workers"]), (None, &json!(3)));
    for log in &mut logs {
        writeln!(log, "two").unwrap();
    }
    wait_for(&outs[1], 2, f.daemon());
    assert_eq!(lines(&outs[0]).len(), 1);
    // It comes back and goes on where it was.
    f.write("pipelines.yml", &format!("{a}{b}"));
    f.hup((3, 0));
    wait_for(&outs[0], 2, f.daemon());
    f.stop();
    for out in outs {
        let messages: Vec<Value> = lines(&out).into_iter().map(|event| event["message"].clone()).collect();
        assert_eq!(messages, [json!("one"), json!("two")], "{}", out.display());
    }
}

#[test]
fn an_input_that_changes_goes_on_where_it_was_also_into_the_index() {
    let mut f = Fixture::new();
    let log = f.path("app.log");
    let text = |tag: &str, output: &str| {
        format!(
            "- pipeline.id: main\n  config.string: \"input {{ file {{ path => '{}' start_position => beginning tags => ['{tag}'] }} }} output {{ {output} }}\"\n",
            log.display()
        )
    };
    let file = format!("file {{ path => '{}' codec => json_lines }}", f.path("out.log").display());
    f.write("pipelines.yml", &text("one", &file));
    let mut writer = File::create(&log).unwrap();
    f.start(&[]);
    writeln!(writer, "1").unwrap();
    wait_for(&f.path("out.log"), 1, f.daemon());
    f.write("pipelines.yml", &text("two", &file));
    f.hup((1, 0));
    writeln!(writer, "2").unwrap();
    let all = wait_for(&f.path("out.log"), 2, f.daemon());
    assert_eq!((&all[1]["message"], &all[1]["tags"]), (&json!("2"), &json!(["two"])));
    // The index keeps positions from now on: the pipeline starts anew behind the old one's end.
    f.write("pipelines.yml", &text("two", "index { stream => moved }"));
    f.hup((2, 0));
    writeln!(writer, "3").unwrap();
    f.daemon().ready();
    let there = until(Duration::from_secs(20), || (f.daemon().count("moved") >= 1).then_some(()));
    assert!(there.is_some(), "{}", f.daemon().log());
    f.write("pipelines.yml", &text("two", &file));
    f.hup((3, 0));
    writeln!(writer, "4").unwrap();
    let all = wait_for(&f.path("out.log"), 3, f.daemon());
    assert_eq!(all[2]["message"], "4");
    assert_eq!(f.daemon().count("moved"), 1);
    f.stop();
}

/// The one that sends waits for the one that gets, and both are changed while events pass.
#[test]
fn a_pipeline_that_goes_and_comes_back_gets_everything_once() {
    let mut f = Fixture::new();
    let (log, out) = (f.path("app.log"), f.path("out.log"));
    let first = |n: u64| {
        format!(
            "- pipeline.id: first\n  config.string: \"input {{ file {{ path => '{}' start_position => beginning }} }} filter {{ mutate {{ add_field => {{ first => 'n{n}' }} }} }} output {{ pipeline {{ send_to => last }} }}\"\n",
            log.display()
        )
    };
    let last = |n: u64| {
        format!(
            "- pipeline.id: last\n  config.string: \"input {{ pipeline {{ address => last }} }} filter {{ mutate {{ add_field => {{ last => 'n{n}' }} }} }} output {{ file {{ path => '{}' codec => json_lines }} }}\"\n",
            out.display()
        )
    };
    f.write("pipelines.yml", &(first(0) + &last(0)));
    let mut writer = File::create(&log).unwrap();
    f.start(&["--pipeline.workers=1"]);
    let mut written = 0;
    for round in 1..=60 {
        for _ in 0..50 {
            writeln!(writer, "{written}").unwrap();
            written += 1;
        }
        // Every third time the last one is gone for a while.
        let text = if round % 3 == 0 { first(round) } else { first(round / 2) + &last(round) };
        f.write("pipelines.yml", &text);
        f.hup((round, 0));
    }
    f.write("pipelines.yml", &(first(99) + &last(99)));
    f.hup((61, 0));
    let all = wait_for(&out, written, f.daemon());
    let mut numbers: Vec<usize> = all.iter().map(|e| e["message"].as_str().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..written), "{} of {written} events, each once", numbers.len());
    f.stop();
}

/// Half of the configurations are bad, and an output never takes anything the whole time.
#[test]
fn many_reloads_lose_double_and_leak_nothing() {
    const RELOADS: u64 = 1000;
    let mut f = Fixture::new();
    let (log, out, stuck) = (f.path("app.log"), f.path("out.log"), f.path("stuck"));
    let name = std::ffi::CString::new(stuck.to_str().unwrap()).unwrap();
    // SAFETY: the name is a C string that outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let config = |generation: u64, f: &Fixture| {
        let bad = if generation % 2 == 1 { "grok { match => { message => '%{NOTHING}' } }" } else { "" };
        // Every tenth one changes an input and an output too.
        let (tag, extra) = (generation / 10, f.path("extra"));
        format!(
            "- pipeline.id: busy\n  config.string: \"input {{ file {{ path => '{log}' start_position => beginning tags => ['t{tag}'] }} }}
                 filter {{ mutate {{ add_field => {{ gen => 'g{generation}' }} }} {bad} }}
                 output {{ file {{ path => '{out}' codec => json_lines }} file {{ path => '{extra}{tag}' codec => json_lines }}
                   if [message] =~ /^0*stuck/ {{ file {{ path => '{stuck}' codec => json_lines }} }} }}\"
- pipeline.id: blocked\n  config.string: \"input {{ generator {{ lines => ['x'] count => 100000 }} }}
                 filter {{ mutate {{ add_field => {{ gen => 'g{generation}' }} }} }} output {{ file {{ path => '{stuck}' codec => dots }} }}\"\n",
            log = log.display(), out = out.display(), stuck = stuck.display(), extra = extra.display()
        )
    };
    f.write("pipelines.yml", &config(0, &f));
    let mut writer = File::create(&log).unwrap();
    f.start(&["--pipeline.workers=2"]);
    writeln!(writer, "stuck").unwrap();
    let (mut written, began) = (0, Instant::now());
    let mut usage = Vec::new();
    let mut reloads = 0;
    while reloads < RELOADS && began.elapsed() < Duration::from_secs(45) {
        reloads += 1;
        f.write("pipelines.yml", &config(reloads, &f));
        for _ in 0..20 {
            writeln!(writer, "{written}").unwrap();
            written += 1;
        }
        f.hup((reloads / 2, reloads.div_ceil(2)));
        if reloads % 50 == 0 {
            let process = f.daemon().node("/_node/stats/process")["process"].clone();
            let mem = process["mem"]["resident_in_bytes"].as_u64().unwrap();
            usage.push((process["threads"].as_u64().unwrap(), mem));
        }
    }
    println!("{reloads} reloads in {:?}, threads and memory over time: {usage:?}", began.elapsed());
    assert!(reloads >= 200, "only {reloads} reloads");
    let (first, last) = (usage[usage.len() / 4], usage[usage.len() - 1]);
    assert!(last.0 <= first.0 + 4 && last.1 <= first.1 + (24 << 20), "{usage:?}");
    wait_for(&out, written + 1, f.daemon());
    // Only now the blocked outputs find a reader.
    let mut reader = File::open(&stuck).unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    let through = until(Duration::from_secs(20), || {
        let stats = f.daemon().node("/_node/stats/pipelines/blocked")["pipelines"]["blocked"].clone();
        (stats["plugins"]["outputs"][0]["events"]["out"] == 100_000).then_some(())
    });
    assert!(through.is_some(), "{}", f.daemon().node("/_node/stats?pretty"));
    f.stop();
    let text = reader.join().unwrap().unwrap();
    assert_eq!(text.matches("\"message\":\"stuck\"").count(), 1, "the event that waited");
    assert_eq!(text.bytes().filter(|&b| b == b'.').count(), 100_000 + dots(&text));
    let mut messages: Vec<String> =
        lines(&out).iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect();
    messages.sort_by_key(|m| m.parse::<usize>().map_or(0, |n| n + 1));
    let want: Vec<String> = std::iter::once("stuck".to_owned()).chain((0..written).map(|n| n.to_string())).collect();
    assert!(messages == want, "{} of {} events, each once", messages.len(), want.len());
}

/// Dots within the JSON of the event that waited.
fn dots(text: &str) -> usize {
    let from = text.find('{').unwrap_or(0);
    let to = text.rfind('}').unwrap_or(0);
    text[from..to].bytes().filter(|&b| b == b'.').count()
}
