//! Names and addresses by hosts files and DNS: a thread of its own behind a blocking face.
//!
//! Callers on plain threads hand over many questions at once and wait for the answers; the
//! questions are under way together, up to [`LOOKUPS_MAX`]. The library behind it needs tokio, which
//! must not run on worker threads; it stays in here. Nothing is cached: callers know for how long.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};

/// Lookups under way at once.
pub const LOOKUPS_MAX: usize = 64;
/// The hosts file of the system.
const HOSTS: &str = "/etc/hosts";

/// Whom to ask and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// DNS servers; `None` for those of the system, an empty list for no DNS.
    pub servers: Option<Vec<SocketAddr>>,
    /// Domains to try behind names, with `servers`.
    pub search: Vec<String>,
    /// From how many dots on a name is tried as it is first, with `servers`.
    pub dots: usize,
    /// Hosts files to read before that of the system.
    pub hosts: Vec<PathBuf>,
    /// How long a server may take to answer.
    pub timeout: Duration,
    /// How often it is asked again after it did not.
    pub retries: usize,
}

/// What to look up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Question {
    /// The address of a name.
    Address(String),
    /// The name of an address.
    Name(IpAddr),
}

/// What came of it.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// The first address or name.
    Found(String),
    /// There is none.
    None,
    /// Nobody answered in time.
    Timeout,
    /// It could not be asked, or a server failed.
    Failed(String),
}

/// Answers questions. Its thread ends with it.
pub struct Resolver {
    handle: Handle,
    asker: Arc<Asker>,
    lookups: Arc<Semaphore>,
    _stop: oneshot::Sender<()>,
}

struct Asker {
    hosts: Vec<Hosts>,
    dns: Option<TokioResolver>,
    timeout: Duration,
    retries: usize,
}

impl Resolver {
    /// Reads the hosts files and starts the thread. Files that can't be read are an error, the
    /// system's configuration is not: without it there are no answers from DNS.
    pub fn new(settings: Settings) -> std::io::Result<Resolver> {
        let mut hosts = Vec::new();
        for path in &settings.hosts {
            hosts.push(Hosts::read(path).map_err(|error| {
                std::io::Error::new(error.kind(), format!("cannot read `{}`: {error}", path.display()))
            })?);
        }
        hosts.extend(Hosts::read(Path::new(HOSTS)));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let dns = runtime.block_on(async { dns(&settings) });
        std::thread::Builder::new().name("resolver".into()).spawn(move || runtime.block_on(stopped))?;
        let asker = Arc::new(Asker { hosts, dns, timeout: settings.timeout, retries: settings.retries });
        Ok(Resolver { handle, asker, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)), _stop: stop })
    }

    /// Answers, in the order of the questions. Blocks until all are there.
    pub fn ask(&self, questions: Vec<Question>) -> Vec<Answer> {
        let mut answers = vec![Answer::Failed("the resolver has ended".to_owned()); questions.len()];
        let (sender, receiver) = crossbeam::channel::bounded(questions.len().max(1));
        for (at, question) in questions.into_iter().enumerate() {
            let (asker, lookups, sender) = (self.asker.clone(), self.lookups.clone(), sender.clone());
            self.handle.spawn(async move {
                let _turn = lookups.acquire().await;
                let answer = asker.answer(&question).await;
                let _gone = sender.send((at, answer));
            });
        }
        drop(sender);
        for (at, answer) in receiver {
            answers[at] = answer;
        }
        answers
    }
}

fn dns(settings: &Settings) -> Option<TokioResolver> {
    let (config, mut options) = match &settings.servers {
        Some(servers) if servers.is_empty() => return None,
        Some(servers) => {
            let server = |server: &SocketAddr| {
                let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                connections.iter_mut().for_each(|connection| connection.port = server.port());
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                config.connections = connections;
                config
            };
            let search = settings.search.iter().filter_map(|domain| Name::from_utf8(domain).ok()).collect();
            let mut config = ResolverConfig::default();
            (config.search, config.name_servers) = (search, servers.iter().map(server).collect());
            let mut options = ResolverOpts::default();
            options.ndots = settings.dots;
            (config, options)
        }
        None => match hickory_resolver::system_conf::read_system_conf() {
            Ok(system) => system,
            Err(error) => {
                tracing::warn!(%error, "cannot read the system's configuration of DNS: no server is asked");
                return None;
            }
        },
    };
    options.timeout = settings.timeout;
    // Asking again is done here, where time-outs are told from failures.
    options.attempts = 0;
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    match resolver.with_options(options).build() {
        Ok(resolver) => Some(resolver),
        Err(error) => {
            tracing::warn!(%error, "cannot set up DNS: no server is asked");
            None
        }
    }
}

impl Asker {
    async fn answer(&self, question: &Question) -> Answer {
        for hosts in &self.hosts {
            if let Some(found) = hosts.answer(question) {
                return Answer::Found(found);
            }
        }
        let Some(dns) = &self.dns else { return Answer::None };
        let mut answer = Answer::Timeout;
        for _ in 0..=self.retries {
            answer = self.once(dns, question).await;
            if answer != Answer::Timeout {
                break;
            }
        }
        answer
    }

    async fn once(&self, dns: &TokioResolver, question: &Question) -> Answer {
        let asked = async {
            match question {
                Question::Address(name) => {
                    dns.lookup_ip(name.as_str()).await.map(|found| found.iter().next().map(|ip| ip.to_string()))
                }
                Question::Name(address) => dns.reverse_lookup(*address).await.map(|found| {
                    found.answers().iter().find_map(|record| match &record.data {
                        RData::PTR(name) => Some(name.0.to_utf8().trim_end_matches('.').to_owned()),
                        _ => None,
                    })
                }),
            }
        };
        // Several servers and kinds of records are asked within one look-up.
        let limit = self.timeout.saturating_mul(4);
        match tokio::time::timeout(limit, asked).await {
            Err(_) | Ok(Err(NetError::Timeout)) => Answer::Timeout,
            Ok(Ok(Some(found))) => Answer::Found(found),
            Ok(Ok(None)) => Answer::None,
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => match none.response_code {
                ResponseCode::NXDomain | ResponseCode::NoError => Answer::None,
                code => Answer::Failed(code.to_string()),
            },
            Ok(Err(error)) => Answer::Failed(error.to_string()),
        }
    }
}

/// A hosts file.
#[derive(Default, Debug)]
struct Hosts {
    /// By name in small letters, the address as written.
    addresses: HashMap<String, String>,
    names: HashMap<IpAddr, String>,
}

impl Hosts {
    fn read(path: &Path) -> std::io::Result<Hosts> {
        let mut hosts = Hosts::default();
        for line in String::from_utf8_lossy(&std::fs::read(path)?).lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some((address, ip)) = words.next().and_then(|a| Some((a, a.parse::<IpAddr>().ok()?))) else { continue };
            for name in words {
                hosts.names.entry(ip).or_insert_with(|| name.to_owned());
                hosts.addresses.entry(name.to_lowercase()).or_insert_with(|| address.to_owned());
            }
        }
        Ok(hosts)
    }

    fn answer(&self, question: &Question) -> Option<String> {
        match question {
            Question::Address(name) => self.addresses.get(&name.to_lowercase()).cloned(),
            Question::Name(address) => self.names.get(address).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::write(&path, "10.0.0.1 a.test A2 # b.test\nnonsense\n\n::5\tc.test\n10.0.0.2 a.test\n").unwrap();
        let settings = Settings {
            servers: Some(Vec::new()),
            search: Vec::new(),
            dots: 1,
            hosts: vec![path],
            timeout: Duration::from_secs(1),
            retries: 0,
        };
        let resolver = Resolver::new(settings.clone()).unwrap();
        let check = |question: Question, want: Option<&str>| {
            let want = want.map_or(Answer::None, |text| Answer::Found(text.to_owned()));
            assert_eq!(resolver.ask(vec![question]), [want]);
        };
        check(Question::Address("A.test".to_owned()), Some("10.0.0.1"));
        check(Question::Address("a2".to_owned()), Some("10.0.0.1"));
        check(Question::Address("c.test".to_owned()), Some("::5"));
        check(Question::Address("b.test".to_owned()), None);
        check(Question::Name("10.0.0.1".parse().unwrap()), Some("a.test"));
        check(Question::Name("10.0.0.9".parse().unwrap()), None);
        assert_eq!(resolver.ask(Vec::new()), []);
        assert!(Resolver::new(Settings { hosts: vec!["/no/such".into()], ..settings }).is_err());
    }
}
