//! The `dns` filter: addresses for names, and names for addresses.
//!
//! `dns { reverse => ["[source][ip]"] action => "replace" hit_cache_size => 4096 }`, as Logstash's. The names
//! of a batch are asked for together. Waiting for the answers is its job: it blocks its worker, for
//! `timeout` times one more than `max_retries` in the worst case.

use super::common::{fields, set, tags};
use super::{Filter, Run};
use crate::diagnostic::{Diagnostic, code};
use crate::event::{Batch, Entry, EventId, FieldRef, Value};
use crate::plugin::{Build, Built, Context, Example, Literal, Opt, Options, Setting, Spec, Type};
use crate::resolver::{Answer, Question, Resolver, Settings};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) static SPEC: Spec = Spec {
    name: "dns",
    summary: "Looks up addresses for names, and names for addresses.",
    options: &[
        Opt::new(
            "action",
            Type::Enum(&["append", "replace"]),
            Some("append"),
            "Whether what is found joins what was asked for, in an array, or takes its place.",
        ),
        Opt::new("failed_cache_size", Type::Number, Some("0"), "How many failed look-ups are remembered."),
        Opt::new("failed_cache_ttl", Type::Number, Some("5"), "For how many seconds."),
        Opt::new("hit_cache_size", Type::Number, Some("0"), "How many look-ups are remembered."),
        Opt::new("hit_cache_ttl", Type::Number, Some("60"), "For how many seconds."),
        Opt::new(
            "hostsfile",
            Type::Array,
            None,
            "Hosts files to read before /etc/hosts. Without `nameserver`, DNS is then not asked.",
        ),
        Opt::new("max_retries", Type::Number, Some("2"), "How often a server that did not answer is asked again."),
        Opt::new(
            "nameserver",
            Type::Any,
            None,
            "The servers to ask, `ADDRESS` or `ADDRESS:PORT`, or a hash of `address`, `search` (domains) and `ndots`; \
             without it those of the system.",
        ),
        Opt::new("resolve", Type::Array, None, "Fields that hold a name, to find its address."),
        Opt::new("reverse", Type::Array, None, "Fields that hold an address, to find its name."),
        Opt::new(
            "tag_on_timeout",
            Type::Array,
            Some(r#"["_dnstimeout"]"#),
            "Tags for events without an answer in time.",
        ),
        Opt::new("timeout", Type::Number, Some("0.5"), "How many seconds a server may take to answer."),
    ],
    examples: &[Example {
        title: "The hosts file knows it",
        config: r#"dns { resolve => ["host"] action => "replace" }"#,
        given: r#"{"host":"localhost"}"#,
        then: r#"{"host":"127.0.0.1"}"#,
    }],
    build: Build::Filter(build),
};

struct Plan {
    resolve: Vec<FieldRef>,
    reverse: Vec<FieldRef>,
    replace: bool,
    timeout_tags: Vec<String>,
    resolver: Resolver,
    hits: Mutex<Cache>,
    failed: Mutex<Cache>,
}

/// Answers by what was asked for; beyond its size, what was used longest ago goes.
struct Cache {
    size: usize,
    ttl: Duration,
    answers: FxHashMap<String, Kept>,
    uses: u64,
}

struct Kept {
    answer: String,
    until: Instant,
    used: u64,
}

#[derive(Clone)]
struct Dns {
    plan: Arc<Plan>,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Filter>> {
    let mut wrong = Vec::new();
    let mut list = |name| fields(options, name).map_err(|mistakes| wrong.extend(mistakes)).unwrap_or_default();
    let (resolve, reverse) = (list("resolve"), list("reverse"));
    let number = |name, default| options.number(name).unwrap_or(default);
    let seconds = |name, default| Duration::try_from_secs_f64(number(name, default)).unwrap_or_default();
    let mut settings = Settings {
        servers: None,
        search: Vec::new(),
        dots: 1,
        hosts: options.strings("hostsfile").into_iter().map(Into::into).collect(),
        timeout: seconds("timeout", 0.5),
        retries: number("max_retries", 2.0) as usize,
    };
    if context.check_only {
        settings.hosts.retain(|path| {
            let there = path.exists();
            if !there {
                tracing::warn!("cannot read `{}`: it is not there", path.display());
            }
            there
        });
    }
    match options.get("nameserver") {
        Some(setting) => {
            if let Err(mistake) = servers(setting, &mut settings) {
                wrong.push(mistake);
            }
        }
        None if options.has("hostsfile") => settings.servers = Some(Vec::new()),
        None => {}
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let resolver = Resolver::new(settings)
        .map_err(|error| vec![Diagnostic::error(code::FILE, options.place_of("hostsfile"), error.to_string())])?;
    let cache = |size, ttl| Mutex::new(Cache::new(number(size, 0.0) as usize, ttl));
    let plan = Plan {
        resolve,
        reverse,
        replace: options.str("action") == Some("replace"),
        timeout_tags: tags(options, "tag_on_timeout", &["_dnstimeout"]),
        resolver,
        hits: cache("hit_cache_size", seconds("hit_cache_ttl", 60.0)),
        failed: cache("failed_cache_size", seconds("failed_cache_ttl", 5.0)),
    };
    Ok(Box::new(Dns { plan: Arc::new(plan) }))
}

/// Reads `nameserver`: a list of servers, or a hash with them.
fn servers(setting: &Setting, settings: &mut Settings) -> Result<(), Diagnostic> {
    let bad = |setting: &Setting, message: String| Err(Diagnostic::error(code::VALUE, setting.place, message));
    let mut addresses = Some(setting);
    if let Literal::Hash(pairs) = &setting.value {
        addresses = None;
        for (key, value) in pairs {
            let texts = || value.elements().iter().filter_map(|text| text.as_str().map(str::to_owned)).collect();
            match key.as_str().unwrap_or_default() {
                "address" => addresses = Some(value),
                "search" => settings.search = texts(),
                "ndots" => match value.as_str().and_then(|text| text.parse().ok()).filter(|dots| *dots > 0) {
                    Some(dots) => settings.dots = dots,
                    None => return bad(value, "`ndots` must be a positive number".to_owned()),
                },
                other => return bad(key, format!("`nameserver` has address, search and ndots, but no `{other}`")),
            }
        }
        if settings.search.len() > 6 {
            return bad(setting, "`search` takes at most 6 domains".to_owned());
        }
    }
    let mut servers = Vec::new();
    for server in addresses.map_or(&[][..], Setting::elements) {
        let text = server.as_str().unwrap_or_default();
        let address = text.parse::<SocketAddr>().ok();
        match address.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 53))) {
            Some(address) => servers.push(address),
            None => return bad(server, format!("`{text}` is no address of a server")),
        }
    }
    if servers.is_empty() {
        return bad(setting, "`nameserver` needs at least one address".to_owned());
    }
    settings.servers = Some(servers);
    Ok(())
}

impl Filter for Dns {
    fn run(&mut self, batch: &mut Batch, run: &mut Run) {
        let mut alive = run.events.to_vec();
        for field in &self.plan.resolve {
            self.plan.look_up(field, false, batch, &mut alive);
        }
        for field in &self.plan.reverse {
            self.plan.look_up(field, true, batch, &mut alive);
        }
        run.matched.extend_from_slice(&alive);
    }

    fn fork(&self) -> Box<dyn Filter> {
        Box::new(self.clone())
    }
}

impl Plan {
    /// Looks up one field of all events; those on which it fails are taken out.
    fn look_up(&self, field: &FieldRef, reverse: bool, batch: &mut Batch, events: &mut Vec<EventId>) {
        // What each event asks for; `None` where it has no such field, which is no failure.
        let mut asked: Vec<(EventId, Option<String>)> = Vec::with_capacity(events.len());
        let mut answers: FxHashMap<String, Answer> = FxHashMap::default();
        let mut questions = Vec::new();
        let now = Instant::now();
        for &event in events.iter() {
            let value = match batch.get(event, field) {
                None | Some(Value::Null) => {
                    asked.push((event, None));
                    continue;
                }
                Some(Value::Array(list)) if list.len() == 1 => batch.entries(list)[0].value,
                Some(value) => value,
            };
            let Some(text) = batch.as_text(value) else { continue };
            if !answers.contains_key(text) {
                if self.failed.lock().get(text, now).is_some() {
                    continue;
                }
                let Some(question) = question(text, reverse) else { continue };
                match (question, self.hits.lock().get(text, now)) {
                    (_, Some(known)) => answers.insert(text.to_owned(), Answer::Found(known)),
                    (Err(itself), None) => answers.insert(text.to_owned(), Answer::Found(itself)),
                    (Ok(question), None) => {
                        questions.push((text.to_owned(), question));
                        answers.insert(text.to_owned(), Answer::None)
                    }
                };
            }
            asked.push((event, Some(text.to_owned())));
        }
        if !questions.is_empty() {
            self.ask(questions, &mut answers);
        }
        events.clear();
        for (event, text) in asked {
            match text.map(|text| &answers[&text]) {
                None => events.push(event),
                Some(Answer::Found(found)) => {
                    let found = batch.str(found);
                    if self.put(field, batch, event, found) {
                        events.push(event);
                    }
                }
                Some(Answer::Timeout) => self.timeout_tags.iter().for_each(|tag| batch.tag(event, tag)),
                Some(_) => {}
            }
        }
    }

    fn ask(&self, questions: Vec<(String, Question)>, answers: &mut FxHashMap<String, Answer>) {
        let (texts, questions): (Vec<String>, Vec<Question>) = questions.into_iter().unzip();
        let now = Instant::now();
        for (text, answer) in texts.into_iter().zip(self.resolver.ask(questions)) {
            match &answer {
                Answer::Found(found) => self.hits.lock().put(&text, found, now),
                Answer::None | Answer::Timeout => self.failed.lock().put(&text, "", now),
                Answer::Failed(error) => tracing::debug!(asked = text, error, "a look-up failed"),
            }
            answers.insert(text, answer);
        }
    }

    fn put(&self, field: &FieldRef, batch: &mut Batch, event: EventId, found: Value) -> bool {
        let old = batch.get(event, field).unwrap_or(Value::Null);
        let value = match (old, self.replace) {
            (Value::Array(_), true) => Value::Array(batch.list(&[Entry::element(found)])),
            (_, true) => found,
            (Value::Array(list), false) => {
                let old = batch.entries(list)[0];
                Value::Array(batch.list(&[old, Entry::element(found)]))
            }
            (old, false) => Value::Array(batch.list(&[Entry::element(old), Entry::element(found)])),
        };
        set(batch, event, field, value)
    }
}

/// What to ask for a text; the text itself where it is the answer, `None` where it can't be asked.
fn question(text: &str, reverse: bool) -> Option<Result<Question, String>> {
    match (text.parse::<IpAddr>(), reverse) {
        (Ok(address), true) => Some(Ok(Question::Name(address))),
        (Err(_), true) => None,
        (Ok(_), false) => Some(Err(text.to_owned())),
        (Err(_), false) => Some(Ok(Question::Address(text.to_owned()))),
    }
}

impl Cache {
    fn new(size: usize, ttl: Duration) -> Cache {
        Cache { size, ttl, answers: FxHashMap::default(), uses: 0 }
    }

    fn get(&mut self, text: &str, now: Instant) -> Option<String> {
        self.uses += 1;
        let kept = self.answers.get_mut(text).filter(|kept| kept.until > now)?;
        kept.used = self.uses;
        Some(kept.answer.clone())
    }

    fn put(&mut self, text: &str, answer: &str, now: Instant) {
        if self.size == 0 {
            return;
        }
        if self.answers.len() >= self.size && !self.answers.contains_key(text) {
            self.answers.retain(|_, kept| kept.until > now);
            // A scan: rare and quick beside a look-up over the network.
            if self.answers.len() >= self.size
                && let Some(oldest) =
                    self.answers.iter().min_by_key(|(_, kept)| kept.used).map(|(text, _)| text.clone())
            {
                self.answers.remove(&oldest);
            }
        }
        self.uses += 1;
        let kept = Kept { answer: answer.to_owned(), until: now + self.ttl, used: self.uses };
        self.answers.insert(text.to_owned(), kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::filter::common::tests::{context, event, options, shown};
    use std::net::UdpSocket;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A DNS server that knows `a.test` (10.1.2.3), `six.test` (::6) and the name of 10.1.2.3; to
    /// `slow.test` it says nothing. Counts the questions. Its thread ends with the tests.
    fn server() -> (SocketAddr, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, count) = (socket.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counter = count.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                if let Some(reply) = reply(&buffer[..length]) {
                    socket.send_to(&reply, from).unwrap();
                }
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        (address, count)
    }

    fn reply(query: &[u8]) -> Option<Vec<u8>> {
        let (mut name, mut at) = (String::new(), 12);
        while query[at] != 0 {
            let length = query[at] as usize;
            name += std::str::from_utf8(&query[at + 1..at + 1 + length]).unwrap();
            name.push('.');
            at += 1 + length;
        }
        let kind = query[at + 2];
        let question = &query[12..at + 5];
        let data: Option<Vec<u8>> = match (name.to_lowercase().as_str(), kind) {
            ("slow.test.", _) => return None,
            ("a.test.", 1) | ("x.a.test.", 1) => Some(vec![10, 1, 2, 3]),
            ("six.test.", 28) => Some([[0; 15].to_vec(), vec![6]].concat()),
            ("3.2.1.10.in-addr.arpa.", 12) => Some(b"\x01a\x04test\x00".to_vec()),
            _ => None,
        };
        let exists = data.is_some() || name.eq_ignore_ascii_case("six.test.");
        let mut reply = query[..2].to_vec();
        reply.extend([0x81, if exists { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
        reply.extend(question);
        if let Some(data) = data {
            reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            reply.extend(data);
        }
        Some(reply)
    }

    fn filter(address: SocketAddr, more: &str) -> Box<dyn Filter> {
        let settings = format!(r#"{{"nameserver":"{address}","timeout":0.3,"max_retries":1{more}}}"#);
        build(&options(&settings), &context()).unwrap_or_else(|wrong| panic!("{settings}: {wrong:?}"))
    }

    /// Runs events; gives them with whether it succeeded.
    fn through(filter: &mut dyn Filter, given: &[&str]) -> Vec<(String, bool)> {
        let mut batch = Batch::new();
        let events: Vec<EventId> = given.iter().map(|json| event(&mut batch, json)).collect();
        let (mut matched, mut created) = (Vec::new(), Vec::new());
        let now = Timestamp::from_millis(0);
        filter.run(&mut batch, &mut Run { events: &events, matched: &mut matched, created: &mut created, now });
        events.iter().map(|&event| (shown(&batch, event), matched.contains(&event))).collect()
    }

    #[test]
    fn names_and_addresses() {
        let (address, _) = server();
        let check = |more: &str, before: &str, after: &str, matched: bool| {
            let found = through(filter(address, more).as_mut(), &[before]);
            assert_eq!(found, [(after.to_owned(), matched)], "{more} on {before}");
        };
        let resolve = r#","resolve":["n"]"#;
        check(resolve, r#"{"n":"a.test"}"#, r#"{"n":["a.test","10.1.2.3"]}"#, true);
        check(resolve, r#"{"n":["six.test"]}"#, r#"{"n":["six.test","::6"]}"#, true);
        check(resolve, r#"{"n":["a.test","six.test"]}"#, r#"{"n":["a.test","six.test"]}"#, false);
        check(resolve, r#"{"n":"no.test"}"#, r#"{"n":"no.test"}"#, false);
        check(resolve, r#"{"n":7}"#, r#"{"n":7}"#, false);
        check(resolve, r#"{"m":7}"#, r#"{"m":7}"#, true);
        check(resolve, r#"{"n":"10.9.9.9"}"#, r#"{"n":["10.9.9.9","10.9.9.9"]}"#, true);
        let replace = r#","resolve":["n"],"reverse":["i"],"action":"replace""#;
        check(replace, r#"{"n":"a.test","i":["10.1.2.3"]}"#, r#"{"n":"10.1.2.3","i":["a.test"]}"#, true);
        check(replace, r#"{"i":"a.test"}"#, r#"{"i":"a.test"}"#, false);
        check(replace, r#"{"i":"10.9.9.9"}"#, r#"{"i":"10.9.9.9"}"#, false);
        check(replace, r#"{"n":"slow.test"}"#, r#"{"n":"slow.test","tags":["_dnstimeout"]}"#, false);
    }

    #[test]
    fn search_domains() {
        let (address, _) = server();
        let settings = format!(
            r#"{{"nameserver":{{"address":["{address}"],"search":["test","a.test"],"ndots":1}},"resolve":["n"],"action":"replace"}}"#
        );
        let mut filter = build(&options(&settings), &context()).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        let found = through(filter.as_mut(), &[r#"{"n":"a"}"#, r#"{"n":"x"}"#]);
        assert_eq!(found, [(r#"{"n":"10.1.2.3"}"#.to_owned(), true), (r#"{"n":"10.1.2.3"}"#.to_owned(), true)]);
    }

    #[test]
    fn answers_are_remembered() {
        let (address, count) = server();
        let more = r#","resolve":["n"],"action":"replace","hit_cache_size":1,"failed_cache_size":8"#;
        let mut filter = filter(address, more);
        let mut asked = |name: &str| {
            let before = count.load(Ordering::SeqCst);
            let event = format!(r#"{{"n":"{name}"}}"#);
            // Twice in a batch is asked for once.
            let found = through(filter.as_mut(), &[&event, &event]);
            assert_eq!(found[0], found[1]);
            count.load(Ordering::SeqCst) - before
        };
        assert_eq!(asked("a.test"), 1);
        assert_eq!(asked("a.test"), 0);
        assert!(asked("no.test") > 0);
        assert_eq!(asked("no.test"), 0);
        assert!(asked("six.test") > 0, "it takes the only place");
        assert_eq!(asked("a.test"), 1);
    }

    #[test]
    fn mistakes() {
        for bad in [
            r#"{"nameserver":"x"}"#,
            r#"{"nameserver":[]}"#,
            r#"{"nameserver":{"search":["x"]}}"#,
            r#"{"nameserver":{"address":"::1","ndots":0}}"#,
            r#"{"nameserver":{"address":"::1","port":1}}"#,
            r#"{"hostsfile":["/no/such"]}"#,
            r#"{"resolve":["[a"]}"#,
        ] {
            assert!(build(&options(bad), &context()).is_err(), "{bad}");
        }
        let check_only = Context { check_only: true, ..context() };
        assert!(build(&options(r#"{"hostsfile":["/no/such"]}"#), &check_only).is_ok());
    }
}
