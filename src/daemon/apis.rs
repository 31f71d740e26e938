//! The HTTP servers of a process. The search API comes with the first pipeline that uses the index.

use crate::api::es::Es;
use crate::api::prometheus::{Prometheus, RuleSource};
use crate::api::{self, node::Node};
use crate::index::Index;
use crate::metric::flow;
use crate::metric::health::Health;
use crate::metric::identity;
use crate::metric::{Registry, Sampler};
use crate::settings::{Settings, table};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// A socket that listens but is not answered yet: a taken port must stop the start, and answering
/// must not hold it up.
pub type Bound = (TcpListener, SocketAddr);

/// The HTTP servers.
pub struct Apis {
    runtime: Option<Runtime>,
    stop: watch::Sender<bool>,
    name: String,
    id: String,
    health: Arc<Health>,
    /// What the rule engine says of itself, once there is one.
    pub rules: Arc<OnceLock<Arc<dyn RuleSource>>>,
    /// `user:password` of the management API.
    password: Option<String>,
    /// Where the management API listens.
    pub api: Option<SocketAddr>,
    /// Where the search API listens.
    pub search: Option<SocketAddr>,
}

impl Apis {
    /// None listens yet.
    pub fn new(settings: &Settings, registry: &Arc<Registry>) -> anyhow::Result<Apis> {
        let health = Health::new();
        health.add_pipelines(registry.clone());
        health.add_disk(settings.data().to_owned());
        let name = settings.text("node.name").map_or_else(identity::hostname, str::to_owned);
        let id = identity::node_id(settings.data())?;
        let stop = watch::Sender::new(false);
        let password = settings.api_password().map(|(user, password)| format!("{user}:{password}"));
        Ok(Apis { runtime: None, stop, name, id, health, password, rules: Arc::default(), api: None, search: None })
    }

    /// Answers the management API, and that of Prometheus over the series that are kept.
    pub fn serve_node(
        &mut self,
        (listener, address): Bound,
        registry: &Arc<Registry>,
        sampler: Option<&Arc<Sampler>>,
        settings: &Settings,
    ) -> std::io::Result<()> {
        let node = Node::new(&self.name, &self.id, address, registry.clone(), self.health.clone());
        self.api = Some(address);
        let mut router = api::node::router(Arc::new(node));
        if let Some(sampler) = sampler {
            let flags = settings.all().filter(|(name, _)| table::is_public(name));
            let flags = flags.map(|(name, value)| (name.to_owned(), value.to_string())).collect();
            let prometheus = Prometheus::new(sampler.clone(), self.rules.clone(), address, flags);
            router = router.merge(prometheus.router());
        }
        self.serve(listener, api::node::guarded(router, self.password.as_deref()))?;
        if let Some(runtime) = &self.runtime {
            let (registry, mut stopped) = (registry.clone(), self.stop.subscribe());
            runtime.spawn(async move {
                let mut ticks = tokio::time::interval(flow::INTERVAL);
                loop {
                    tokio::select! {
                        _ = ticks.tick() => registry.flows().sample(&registry.pipelines()),
                        _ = stopped.wait_for(|&stop| stop) => return,
                    }
                }
            });
        }
        Ok(())
    }

    /// Answers what is asked of rules.
    pub fn answer_rules(&self, source: Option<Arc<dyn RuleSource>>) {
        if let Some(source) = source {
            let _only_once = self.rules.set(source);
        }
    }

    /// Answers the search API.
    pub fn serve_search(
        &mut self,
        (listener, address): Bound,
        index: &Arc<Index>,
        registry: &Arc<Registry>,
    ) -> std::io::Result<()> {
        registry.add_index(index);
        self.health.add_index(index);
        self.search = Some(address);
        self.serve(listener, Es::new(index.clone(), &self.name, &self.id).router())
    }

    fn serve(&mut self, listener: TcpListener, router: api::listen::Router) -> std::io::Result<()> {
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(
                tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .thread_name("api")
                    .enable_all()
                    .build()?,
            ),
        };
        let mut stopped = self.stop.subscribe();
        let ended = async move {
            let _gone = stopped.wait_for(|&stop| stop).await;
        };
        runtime.spawn(api::listen::serve(listener, router, ended));
        Ok(())
    }

    /// Answers nothing more.
    pub fn end(self) {
        self.stop.send_replace(true);
        if let Some(runtime) = self.runtime {
            runtime.shutdown_background();
        }
    }
}
