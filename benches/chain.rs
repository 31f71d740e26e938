//! The twelve steps of a pipeline as people write them: grok, JSON in a field, kv, date, mutate,
//! conditions, useragent, geoip and translate, on batches, without reading and writing. The
//! limit is what PCRE2's JIT takes to match the first step's pattern alone.

#[path = "../src/filter/geoip/written.rs"]
mod written;

mod clock;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use logboom::diagnostic::Sources;
use logboom::event::{Batch, EventId, FieldId, Timestamp, Value};
use logboom::filter::common::Common;
use logboom::filter::{Filter, Run};
use logboom::grok::{Library, Set};
use logboom::language::{Cond, Language, Step, compile};
use logboom::pipeline::route::split;
use logboom::plugin::{Build, Catalogue, Context};
use logboom::regexp::{Flags, Regexp};
use serde_json::json;
use std::hint::black_box;
use std::time::Duration;

/// Events in a batch, as `pipeline.batch.size` has it.
const BATCH: usize = 125;

const PATTERN: &str = r#"^%{TIMESTAMP_ISO8601:ts} %{LOGLEVEL:level} \[%{NOTSPACE:logger}\] %{IP:ip} "%{DATA:agent}" %{NOTSPACE:pairs} %{GREEDYDATA:doc}"#;

/// The steps, and how many of them to take.
fn steps(database: &str) -> Vec<String> {
    vec![
        format!("grok {{ match => {{ \"message\" => '{PATTERN}' }} }}"),
        "if [level] == \"TRACE\" { drop { } }".into(),
        "date { match => [\"ts\", \"ISO8601\"] remove_field => [\"ts\"] }".into(),
        "json { source => \"doc\" target => \"doc\" }".into(),
        "kv { source => \"pairs\" field_split => \"&\" target => \"args\" }".into(),
        "mutate { rename => { \"logger\" => \"[log][logger]\" } convert => { \"[args][size]\" => \"integer\" } lowercase => [\"level\"] }".into(),
        "if [args][size] > 4000 { mutate { add_tag => [\"large\"] } } else if \"api\" in [log][logger] { mutate { add_field => { \"kind\" => \"api\" } } }".into(),
        "useragent { source => \"agent\" target => \"ua\" }".into(),
        format!("geoip {{ source => \"ip\" target => \"geoip\" database => '{database}' }}"),
        "translate { source => \"[doc][status]\" target => \"[doc][meaning]\" dictionary => { \"200\" => \"OK\" \"404\" => \"Not Found\" \"500\" => \"Error\" } fallback => \"other\" }".into(),
        "if [doc][status] >= 500 { mutate { add_tag => [\"failed\"] } }".into(),
        "mutate { remove_field => [\"pairs\", \"agent\", \"message\"] }".into(),
    ]
}

fn lines() -> Vec<String> {
    const AGENTS: [&str; 6] = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "curl/8.4.0",
        "Mozilla/5.0 (Linux; Android 13; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile Safari/537.36",
    ];
    let line = |n: usize| {
        let level = ["INFO", "WARN", "ERROR", "INFO", "DEBUG", "TRACE"][n * 7 % 6];
        format!(
            "2024-05-{:02}T{:02}:{:02}:{:02}.{:03}Z {level} [com.example.{}.Handler] 192.0.2.{} \"{}\" user=u{}&size={}&page={} \
             {{\"status\":{},\"took\":{}.5,\"path\":\"/api/v1/items/{n}\",\"user\":{{\"id\":{n},\"role\":\"admin\"}}}}",
            n % 28 + 1,
            n % 24,
            n * 7 % 60,
            n * 13 % 60,
            n % 1000,
            ["api", "store", "web"][n % 3],
            n % 256,
            AGENTS[n * 5 % 6],
            n % 97,
            n * 37 % 5000,
            n % 9,
            [200, 200, 404, 500][n % 4],
            n % 300
        )
    };
    (0..10_000).map(line).collect()
}

enum Node {
    Filter(Box<dyn Filter>, Common),
    If(Vec<(Cond, Vec<Node>)>, Vec<Node>),
}

fn build(steps: &[Step], context: &Context) -> Vec<Node> {
    let catalogue = Catalogue::built_in();
    let node = |step: &Step| match step {
        Step::Plugin(call) => {
            let spec = catalogue.filters.iter().find(|spec| spec.name == call.name).expect("it was checked");
            let Build::Filter(build) = spec.build else { unreachable!("it is a filter") };
            let filter = build(&call.options, context).unwrap_or_else(|wrong| panic!("{wrong:?}"));
            Node::Filter(filter, Common::from(&call.options))
        }
        Step::If { branches, otherwise } => {
            let branches = branches.iter().map(|(cond, steps)| (cond.clone(), build(steps, context))).collect();
            Node::If(branches, build(otherwise, context))
        }
    };
    steps.iter().map(node).collect()
}

fn run(nodes: &mut [Node], batch: &mut Batch, events: &mut Vec<EventId>) {
    let (mut matched, mut created) = (Vec::new(), Vec::new());
    for node in nodes {
        match node {
            Node::Filter(filter, common) => {
                matched.clear();
                let now = Timestamp::from_millis(0);
                filter.run(batch, &mut Run { events, matched: &mut matched, created: &mut created, now });
                common.apply(batch, &matched);
                events.retain(|&event| !batch.cancelled(event));
            }
            Node::If(branches, otherwise) => {
                let mut parts = vec![Vec::new(); branches.len() + 1];
                split(branches, batch, events, &mut parts, &mut |_, _| {});
                events.clear();
                let bodies = branches.iter_mut().map(|(_, nodes)| nodes).chain(std::iter::once(otherwise));
                for (mut part, nodes) in parts.into_iter().zip(bodies) {
                    run(nodes, batch, &mut part);
                    events.extend(part);
                }
            }
        }
    }
}

fn taken(nodes: &mut [Node], lines: &[String], rounds: u64) -> Duration {
    let (mut batch, mut events, mut spent) = (Batch::new(), Vec::new(), Duration::ZERO);
    for _ in 0..rounds {
        for lines in lines.chunks(BATCH) {
            batch.recycle();
            events.clear();
            for line in lines {
                let event = batch.new_event();
                let message = batch.str(line);
                batch.set_key(event, FieldId::MESSAGE, message);
                batch.set_key(event, FieldId::TIMESTAMP, Value::Time(Timestamp::from_millis(0)));
                events.push(event);
            }
            let start = clock::thread();
            run(nodes, &mut batch, &mut events);
            spent += clock::thread() - start;
            black_box((&batch, &events));
        }
    }
    spent
}

/// The filters of these steps.
fn nodes(steps: &[String], context: &Context) -> Vec<Node> {
    let catalogue = Catalogue::built_in();
    let config = format!("filter {{\n{}\n}}", steps.join("\n"));
    let sources = Sources { files: vec![("chain.conf".to_owned(), config)] };
    let environment = |_: &str| None;
    let language = Language { catalogue: &catalogue, support_escapes: false, environment: &environment };
    let outcome = compile(&sources, &language);
    let plan = outcome.plan.unwrap_or_else(|| panic!("{:?}", outcome.diagnostics));
    build(&plan.filters, context)
}

fn chain(criterion: &mut Criterion) {
    let lines = lines();
    let folder = tempfile::tempdir().expect("a folder for the database");
    let database = folder.path().join("city.mmdb");
    let record = |city: &str| {
        json!({"city": {"names": {"en": city}}, "country": {"iso_code": "US", "names": {"en": "United States"}},
               "location": {"latitude": 47.25, "longitude": -122.5, "time_zone": "America/Los_Angeles"}})
    };
    let networks: Vec<_> = (0..32).map(|n| (format!("192.0.2.{}/29", n * 8), record(&format!("City {n}")))).collect();
    let networks: Vec<_> = networks.iter().map(|(network, record)| (network.as_str(), record.clone())).collect();
    written::write(&database, "GeoLite2-City", &networks);
    let steps = steps(database.to_str().expect("a path in UTF-8"));
    let context = Context {
        pipeline: "main".into(),
        id: "chain".into(),
        ecs: false,
        data: "/nonexistent".into(),
        check_only: false,
        index: None,
        stats: None,
        derived: Default::default(),
        links: Default::default(),
    };
    let mut group = criterion.benchmark_group("chain");
    group.throughput(Throughput::Elements(lines.len() as u64));
    let expanded = Library::new(Set::Legacy).expand(PATTERN).expect("its patterns are built in");
    let regexp = Regexp::with_flags(&expanded, Flags { dot_all: true, ..Flags::default() }).expect("it compiles");
    let mut slots = Vec::new();
    group.bench_function("pcre2_alone", |b| {
        b.iter_custom(|rounds| {
            let start = clock::thread();
            for _ in 0..rounds {
                black_box(lines.iter().filter(|line| regexp.captures(line, &mut slots).unwrap_or(false)).count());
            }
            clock::thread() - start
        });
    });
    // Its patterns are read at the first event, which the start must not feel.
    let mut first = nodes(&steps[..8], &context);
    let start = clock::thread();
    taken(&mut first, &lines[..1], 1);
    println!("the first event, with the patterns of useragent: {:?}", clock::thread() - start);
    for count in 1..=steps.len() {
        let mut nodes = nodes(&steps[..count], &context);
        group
            .bench_function(format!("steps_{count:02}"), |b| b.iter_custom(|rounds| taken(&mut nodes, &lines, rounds)));
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300)).sample_size(10);
    targets = chain
}
criterion_main!(benches);
