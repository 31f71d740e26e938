//! The `cidr` filter: succeeds on events with an address in one of its networks.
//!
//! `cidr { address => ["%{[source][ip]}"] network => ["10.0.0.0/8", "fd00::/8"] add_tag => ["local"] }`, as
//! Logstash's. Texts that are no address or network are passed over.

use super::address::{Net, Nets};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, EventId, FieldRef, Template, Value};
use crate::plugin::{Build, Built, Context, Example, Opt, Options, Spec, Type};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file of networks larger than this is refused.
const FILE_BYTES_MAX: u64 = 256 << 20;

pub(super) static SPEC: Spec = Spec {
    name: "cidr",
    summary: "Succeeds on events with an address in one of its networks, for its common options to mark them.",
    options: &[
        Opt::new("address", Type::Array, Some("[]"), "The addresses, such as `%{[source][ip]}`."),
        Opt::new("address_field", Type::Field, None, "A field with the address or addresses, instead of `address`."),
        Opt::new("network", Type::Array, Some("[]"), "The networks; one text may hold several with commas between."),
        Opt::new("network_path", Type::Path, None, "A file with the networks, instead of `network`."),
        Opt::new("refresh_interval", Type::Number, Some("600"), "How often the file is read again, in seconds."),
        Opt::new("separator", Type::String, Some(r#""\n""#), "What stands between the networks in the file."),
    ],
    examples: &[Example {
        title: "Mark what comes from here",
        config: r#"cidr { address => ["%{ip}"] network => ["10.0.0.0/8", "fd00::/8"] add_tag => ["local"] }"#,
        given: "{\"ip\":\"10.1.2.3\"}\n{\"ip\":\"8.8.8.8\"}",
        then: "{\"ip\":\"10.1.2.3\",\"tags\":[\"local\"]}\n{\"ip\":\"8.8.8.8\"}",
    }],
    build: Build::Filter(build),
};

/// Where the addresses are.
enum Addresses {
    Templates(Vec<Template>),
    Field(FieldRef),
}

/// The networks of a file, read again from time to time by the worker that is there first.
struct File {
    path: PathBuf,
    separator: String,
    interval: Duration,
    nets: ArcSwap<Nets>,
    next: Mutex<Instant>,
}

struct Plan {
    addresses: Addresses,
    nets: Nets,
    /// Those that are made from the event.
    rendered: Vec<Template>,
    file: Option<File>,
}

#[derive(Clone)]
struct Cidr {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
    addresses: Vec<Net>,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let mut wrong = Vec::new();
    for (one, other) in [("address", "address_field"), ("network", "network_path")] {
        if !options.list(one).is_empty() && options.has(other) {
            let message = format!("`{one}` and `{other}` exclude each other");
            wrong.push(Diagnostic::error(code::VALUE, options.place_of(other), message));
        }
    }
    let file = match options.str("network_path") {
        Some(path) => File::open(path, options, context).map_err(|error| wrong.push(error)).ok(),
        None => None,
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let templates = |name| options.strings(name).iter().map(|text| Template::parse(text)).collect::<Vec<_>>();
    let (fixed, rendered): (Vec<_>, Vec<_>) =
        templates("network").into_iter().partition(|template| template.constant().is_some());
    let addresses = options.field("address_field").map(Addresses::Field);
    let plan = Plan {
        addresses: addresses.unwrap_or_else(|| Addresses::Templates(templates("address"))),
        nets: fixed.iter().flat_map(|text| nets(text.as_written(), ",")).collect(),
        rendered,
        file,
    };
    Ok(Box::new(Cidr { plan: Arc::new(plan), scratch: Vec::new(), addresses: Vec::new() }))
}

fn nets<'a>(text: &'a str, separator: &'a str) -> impl Iterator<Item = Net> + 'a {
    text.split(separator).filter_map(|text| Net::parse(text.trim()))
}

impl File {
    /// Reads the file; that it is missing is no mistake while a configuration is only checked.
    fn open(path: &str, options: &Options, context: &Context) -> Result<File, Diagnostic> {
        let interval = Duration::try_from_secs_f64(options.number("refresh_interval").unwrap_or(600.0));
        let interval = interval.unwrap_or(Duration::ZERO);
        let file = File {
            path: path.into(),
            separator: options.str("separator").unwrap_or("\n").to_owned(),
            interval,
            nets: ArcSwap::default(),
            next: Mutex::new(Instant::now() + interval),
        };
        match file.read() {
            Ok(nets) => file.nets.store(Arc::new(nets)),
            Err(error) if context.check_only => tracing::warn!("cannot read `{path}`: {error}"),
            Err(error) => {
                let message = format!("cannot read `{path}`: {error}");
                return Err(Diagnostic::error(code::FILE, options.place_of("network_path"), message));
            }
        }
        Ok(file)
    }

    fn read(&self) -> std::io::Result<Nets> {
        if std::fs::metadata(&self.path)?.len() > FILE_BYTES_MAX {
            return Err(std::io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        Ok(nets(&std::fs::read_to_string(&self.path)?, &self.separator).collect())
    }

    /// Reads the file again if it is time. What can't be read, or is empty, changes nothing.
    fn refresh(&self) {
        let Some(mut next) = self.next.try_lock() else { return };
        if Instant::now() < *next {
            return;
        }
        *next = Instant::now() + self.interval;
        match self.read() {
            Ok(nets) if !nets.is_empty() => self.nets.store(Arc::new(nets)),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot read networks: the old ones stay")
            }
        }
    }
}

impl Filter for Cidr {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let plan = self.plan.clone();
        let file = plan.file.as_ref().map(|file| {
            file.refresh();
            file.nets.load_full()
        });
        let nets = file.as_deref().unwrap_or(&plan.nets);
        for &event in run.events {
            self.read(&plan, batch, event);
            let fixed = self.addresses.iter().any(|&address| nets.contains(address));
            if fixed || self.rendered(&plan, batch, event) {
                run.matched.push(event);
            }
        }
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Cidr {
    /// Reads the addresses of an event.
    fn read(&mut self, plan: &Plan, batch: &Batch, event: EventId) {
        self.addresses.clear();
        match &plan.addresses {
            Addresses::Templates(templates) => {
                for template in templates {
                    self.scratch.clear();
                    template.render(batch, event, &mut self.scratch);
                    self.addresses.extend(std::str::from_utf8(&self.scratch).ok().and_then(Net::parse));
                }
            }
            Addresses::Field(field) => match batch.get(event, field) {
                Some(Value::Array(list)) => {
                    let texts = batch.entries(list).iter().filter_map(|entry| batch.as_text(entry.value));
                    self.addresses.extend(texts.filter_map(Net::parse));
                }
                Some(value) => self.addresses.extend(batch.as_text(value).and_then(Net::parse)),
                None => {}
            },
        }
    }

    /// Whether one lies in a network that the event itself names.
    fn rendered(&mut self, plan: &Plan, batch: &Batch, event: EventId) -> bool {
        plan.rendered.iter().any(|template| {
            self.scratch.clear();
            template.render(batch, event, &mut self.scratch);
            let text = std::str::from_utf8(&self.scratch).unwrap_or_default();
            nets(text, ",").any(|net| self.addresses.iter().any(|&address| net.contains(address)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::filter::common::tests::{context, event, options, run};

    fn check(settings: &str, before: &str, want: bool) {
        let mut batch = Batch::new();
        let event = event(&mut batch, before);
        assert_eq!(run(build, settings, &mut batch, event), want, "{settings} on {before}");
    }

    #[test]
    fn addresses_are_found() {
        let two = r#"{"address":["%{a}","%{b}"],"network":["10.0.0.0/8, 192.168.0.0/16","%{n}"]}"#;
        check(two, r#"{"a":"10.1.1.1"}"#, true);
        check(two, r#"{"a":"8.8.8.8","b":"192.168.7.7"}"#, true);
        check(two, r#"{"a":"8.8.8.8","n":["1.0.0.0/8","8.0.0.0/8"]}"#, true);
        check(two, r#"{"a":"8.8.8.8","n":"nonsense"}"#, false);
        check(two, r#"{"a":"nonsense"}"#, false);
        check(two, "{}", false);
        let field = r#"{"address_field":"[a][b]","network":["::1"]}"#;
        check(field, r#"{"a":{"b":["x",1,"::1"]}}"#, true);
        check(field, r#"{"a":{"b":"::2"}}"#, false);
        check("{}", "{}", false);
    }

    #[test]
    fn files_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nets");
        std::fs::write(&path, "10.0.0.0/8|nonsense").unwrap();
        let settings =
            format!(r#"{{"address":"%{{a}}","network_path":{path:?},"separator":"|","refresh_interval":0}}"#);
        let mut filter = build(&options(&settings), &context()).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let mut check = |address: &str, want: bool| {
            let mut batch = Batch::new();
            let event = event(&mut batch, &format!(r#"{{"a":"{address}"}}"#));
            let (mut matched, mut created) = (Vec::new(), Vec::new());
            let now = Timestamp::from_millis(0);
            filter.run(&mut batch, &mut Run { events: &[event], matched: &mut matched, created: &mut created, now });
            assert_eq!(!matched.is_empty(), want, "{address}");
        };
        check("10.0.0.1", true);
        std::fs::write(&path, "11.0.0.0/8").unwrap();
        check("10.0.0.1", false);
        check("11.0.0.1", true);
        std::fs::remove_file(&path).unwrap();
        check("11.0.0.1", true);
    }

    #[test]
    fn mistakes() {
        let check = |settings: &str, check_only: bool, count: usize| {
            let wrong = build(&options(settings), &Context { check_only, ..context() }).err().unwrap_or_default();
            assert_eq!(wrong.len(), count, "{settings}: {wrong:?}");
        };
        check(r#"{"network_path":"/no/such"}"#, false, 1);
        check(r#"{"network_path":"/no/such"}"#, true, 0);
        check(r#"{"network":["::1"],"network_path":"/no/such","address":["x"],"address_field":"a"}"#, false, 3);
    }
}
