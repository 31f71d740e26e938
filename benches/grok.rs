//! Apache combined lines: captures by PCRE2's JIT alone, by our grok, by the filter on batches,
//! and by grok and date. The figure to reach is the first one.

mod clock;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logboom::diagnostic::Place;
use logboom::event::{Batch, EventId, FieldId, FieldRef, Timestamp, Value};
use logboom::filter::{FILTERS, Filter, Run};
use logboom::grok::{Grok, Library, Options as GrokOptions, Scratch, Set};
use logboom::plugin::{Build, Context, Literal, Options, Setting};
use logboom::regexp::{Flags, Regexp};
use std::hint::black_box;
use std::time::Duration;

/// The pattern that somebody writes by hand who wants only speed.
const BY_HAND: &str =
    r#"^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+)(?: HTTP/([0-9.]+))?" ([0-9]+|-) ([0-9]+|-) ("[^"]*") ("[^"]*")"#;
/// Events in a batch, as `pipeline.batch.size` has it.
const BATCH: usize = 125;

/// The 10,000 public lines where they are, else lines like them.
fn lines() -> Vec<String> {
    if let Ok(text) = std::fs::read_to_string("../shared/data/apache_logs") {
        return text.lines().map(str::to_owned).collect();
    }
    let line = |n: usize| {
        format!(
            "83.149.{}.{} - - [17/May/2015:{:02}:{:02}:{:02} +0000] \"GET /presentations/{}/images/{}.png HTTP/1.1\" 200 \
             {} \"http://semicomplete.com/presentations/logstash-monitorama-2013/\" \"Mozilla/5.0 (Macintosh; Intel Mac \
             OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36\"",
            n % 256,
            n * 7 % 256,
            n % 24,
            n % 60,
            n * 13 % 60,
            n * 31,
            n * 97,
            n * 1009 % 100_000
        )
    };
    (0..10_000).map(line).collect()
}

fn filter(name: &str, settings: &[(&str, Literal)]) -> Box<dyn Filter> {
    let setting = |value: &Literal| Setting { value: value.clone(), place: Place::default() };
    let settings = settings.iter().map(|(n, v)| ((*n).to_owned(), Place::default(), setting(v))).collect();
    let options = Options { settings, place: Place::default() };
    let context = Context {
        pipeline: "main".into(),
        id: name.into(),
        ecs: false,
        data: "/nonexistent".into(),
        check_only: false,
        index: None,
        stats: None,
        derived: Default::default(),
        links: Default::default(),
    };
    let spec = FILTERS.iter().find(|s| s.name == name).expect("the filter is registered");
    let Build::Filter(build) = spec.build else { unreachable!("it is a filter") };
    build(&options, &context).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn text(text: &str) -> Literal {
    Literal::String(text.to_owned())
}

fn settings_of(values: &[&str]) -> Vec<Setting> {
    values.iter().map(|v| Setting { value: text(v), place: Place::default() }).collect()
}

fn grok_filter(patterns: &[&str]) -> Box<dyn Filter> {
    let field = settings_of(&["message"]).remove(0);
    let patterns = Setting { value: Literal::Array(settings_of(patterns)), place: Place::default() };
    filter("grok", &[("match", Literal::Hash(vec![(field, patterns)]))])
}

fn fill(batch: &mut Batch, lines: &[String], events: &mut Vec<EventId>) {
    events.clear();
    let host = FieldRef::path(&["host", "hostname"]);
    for line in lines {
        let event = batch.new_event();
        let message = batch.str(line);
        batch.set_key(event, FieldId::MESSAGE, message);
        batch.set_key(event, FieldId::TIMESTAMP, Value::Time(Timestamp::from_millis(0)));
        let version = batch.str("1");
        batch.set_key(event, FieldId::VERSION, version);
        let name = batch.str("localhost");
        batch.set(event, &host, name);
        events.push(event);
    }
}

/// The time that `work` takes on all lines.
fn worked(lines: &[String], rounds: u64, mut work: impl FnMut(&str) -> bool) -> Duration {
    let start = clock::thread();
    for _ in 0..rounds {
        black_box(lines.iter().filter(|line| work(line)).count());
    }
    clock::thread() - start
}

/// The time that filters take on all lines, batches being filled outside of it.
fn filtered(filters: &mut [Box<dyn Filter>], lines: &[String], rounds: u64) -> Duration {
    let (mut batch, mut events) = (Batch::new(), Vec::new());
    let (mut matched, mut created) = (Vec::new(), Vec::new());
    let mut spent = Duration::ZERO;
    for _ in 0..rounds {
        for lines in lines.chunks(BATCH) {
            batch.recycle();
            fill(&mut batch, lines, &mut events);
            let start = clock::thread();
            for filter in &mut *filters {
                matched.clear();
                let now = Timestamp::from_millis(0);
                filter.run(&mut batch, &mut Run { events: &events, matched: &mut matched, created: &mut created, now });
            }
            spent += clock::thread() - start;
            black_box(&batch);
        }
    }
    spent
}

fn apache(criterion: &mut Criterion) {
    let lines = lines();
    let bytes: usize = lines.iter().map(String::len).sum();
    let mut group = criterion.benchmark_group("apache");
    group.throughput(Throughput::Bytes(bytes as u64));
    let library = Library::new(Set::Legacy);
    let expanded = library.expand("%{COMBINEDAPACHELOG}").expect("it is a built-in pattern");
    let flags = Flags { dot_all: true, ..Flags::default() };
    for (name, pattern) in [("pcre2_by_hand", BY_HAND), ("pcre2_expanded", &expanded)] {
        let regexp = Regexp::with_flags(pattern, flags).expect("it compiles");
        let mut slots = Vec::new();
        group.bench_function(name, |b| {
            b.iter_custom(|n| worked(&lines, n, |line| regexp.captures(line, &mut slots).unwrap_or(false)));
        });
    }
    for (name, set) in [("grok_legacy", Set::Legacy), ("grok_ecs", Set::Ecs)] {
        let grok = Grok::compile("%{COMBINEDAPACHELOG}", &Library::new(set), GrokOptions::default());
        let grok = grok.expect("it compiles");
        let mut scratch = Scratch::default();
        group.bench_function(name, |b| {
            b.iter_custom(|n| worked(&lines, n, |line| grok.captures(line, &mut scratch).unwrap_or(false)));
        });
    }
    let grok = || grok_filter(&["%{COMBINEDAPACHELOG}"]);
    let mut only_grok = [grok()];
    group.bench_function("filter_grok", |b| b.iter_custom(|rounds| filtered(&mut only_grok, &lines, rounds)));
    let formats = settings_of(&["timestamp", "dd/MMM/yyyy:HH:mm:ss Z"]);
    let mut both = [grok(), filter("date", &[("match", Literal::Array(formats))])];
    group.bench_function("filter_grok_date", |b| b.iter_custom(|rounds| filtered(&mut both, &lines, rounds)));
    group.finish();
}

/// A list of patterns of which the last one matches, against that one alone.
fn fall_through(criterion: &mut Criterion) {
    let lines = lines();
    let others: Vec<String> =
        (0..51).map(|n| format!("%{{WORD:w}} job {n} finished in %{{NUMBER:ms}}ms %{{GREEDYDATA:m}}")).collect();
    let mut all: Vec<&str> = others.iter().map(String::as_str).collect();
    all.push("%{COMBINEDAPACHELOG}");
    let mut group = criterion.benchmark_group("fall_through");
    for (name, patterns) in [("one", &all[51..]), ("fifty_two", &all[..])] {
        let mut filters = [grok_filter(patterns)];
        group.bench_function(name, |b| b.iter_custom(|rounds| filtered(&mut filters, &lines, rounds)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(20);
    targets = apache, fall_through
}
criterion_main!(benches);
