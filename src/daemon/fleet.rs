//! The pipelines of a process, each in its state: running, on its way out, finishing, or over.
//!
//! Nothing here waits for a pipeline: what takes long happens in a thread of its own, and is looked
//! at again when the bell rings.

use crate::index::Index;
use crate::metric::{Registry, pipeline as metric};
use crate::pipeline::checkpoint::Checkpoints;
use crate::pipeline::{Bell, Blueprint, Links, Pipeline, Standing, Thread};
use anyhow::Context as _;
use std::path::PathBuf;
use std::sync::Arc;

/// The pipelines.
pub struct Fleet {
    berths: Vec<Berth>,
    registry: Arc<Registry>,
    links: Arc<Links>,
    bell: Bell,
    /// `path.data`
    data: PathBuf,
    /// Whether everything that ended is durable.
    clean: bool,
}

/// One pipeline, and what shall take its place.
struct Berth {
    id: String,
    hash: u64,
    state: State,
    /// To be started once this one is over: it keeps its positions elsewhere.
    next: Option<Change>,
}

enum State {
    Running(Box<Pipeline>),
    /// The configuration no longer has it (or not so); it delivers what it has.
    Leaving(Box<Pipeline>),
    Finishing(Thread<bool>),
    Over,
}

/// A pipeline as it shall be from now on.
pub struct Change {
    /// `pipeline.id`
    pub id: String,
    /// Of its configuration.
    pub hash: u64,
    /// What it is made of.
    pub blueprint: Blueprint,
}

impl Fleet {
    /// No pipelines yet.
    pub fn new(registry: &Arc<Registry>, links: &Arc<Links>, bell: Bell, data: PathBuf) -> Fleet {
        Fleet { berths: Vec::new(), registry: registry.clone(), links: links.clone(), bell, data, clean: true }
    }

    /// What stands of a pipeline; `into_index` tells whether its positions will go to the index.
    pub fn standing(&self, id: &str, into_index: bool) -> Standing {
        match self.berth(id).map(|berth| &berth.state) {
            Some(State::Running(pipeline)) if pipeline.into_index() == into_index => pipeline.standing(),
            _ => Standing::default(),
        }
    }

    /// The hash of a pipeline's configuration, if it runs or will.
    pub fn hash(&self, id: &str) -> Option<u64> {
        let berth = self.berth(id)?;
        match (&berth.next, &berth.state) {
            (Some(next), _) => Some(next.hash),
            (None, State::Leaving(_)) => None,
            (None, _) => Some(berth.hash),
        }
    }

    /// The pipelines of the configuration.
    pub fn ids(&self) -> Vec<String> {
        self.berths.iter().filter(|b| self.hash(&b.id).is_some()).map(|b| b.id.clone()).collect()
    }

    /// Whether a pipeline runs as configured.
    pub fn runs(&self, id: &str) -> bool {
        self.berth(id).is_some_and(|berth| matches!(berth.state, State::Running(_)))
    }

    fn berth(&self, id: &str) -> Option<&Berth> {
        self.berths.iter().find(|berth| berth.id == id)
    }

    /// Gives a pipeline its configuration: at once, or as soon as the one before it is over.
    pub fn change(&mut self, change: Change, index: Option<&Arc<Index>>) -> anyhow::Result<()> {
        let at = match self.berths.iter().position(|berth| berth.id == change.id) {
            Some(at) => at,
            None => {
                let (id, hash) = (change.id.clone(), change.hash);
                self.berths.push(Berth { id, hash, state: State::Over, next: None });
                self.berths.len() - 1
            }
        };
        let into_index = change.blueprint.into_index();
        let berth = &mut self.berths[at];
        (berth.hash, berth.next) = (change.hash, None);
        match std::mem::replace(&mut berth.state, State::Over) {
            State::Over => {
                let started = self.start(change, index)?;
                self.berths[at].state = State::Running(started);
            }
            State::Running(mut pipeline) | State::Leaving(mut pipeline) if pipeline.into_index() == into_index => {
                self.registry.add_pipeline(pipeline.stats.clone());
                let changed = pipeline.reload(change.blueprint);
                berth.state = State::Running(pipeline);
                changed.context("cannot start a thread")?;
            }
            State::Running(mut pipeline) | State::Leaving(mut pipeline) => {
                pipeline.clear();
                (berth.state, berth.next) = (State::Leaving(pipeline), Some(change));
            }
            State::Finishing(thread) => (berth.state, berth.next) = (State::Finishing(thread), Some(change)),
        }
        Ok(())
    }

    fn start(&self, change: Change, index: Option<&Arc<Index>>) -> anyhow::Result<Box<Pipeline>> {
        let checkpoints = Checkpoints::open(&self.data, &change.id)?;
        let index = index.map(|index| &**index);
        let started = Pipeline::start(change.blueprint, checkpoints, &self.registry, &self.bell, index);
        let started = started.context("cannot start a pipeline")?;
        started.stats.set_state(metric::State::Running);
        Ok(Box::new(started))
    }

    /// Lets a pipeline end that the configuration no longer has.
    pub fn remove(&mut self, id: &str) {
        let Some(berth) = self.berths.iter_mut().find(|berth| berth.id == id) else { return };
        berth.next = None;
        self.registry.remove_pipeline(id);
        berth.state = match std::mem::replace(&mut berth.state, State::Over) {
            State::Running(mut pipeline) => {
                pipeline.clear();
                State::Leaving(pipeline)
            }
            // On its way out already, and only what should have come after it is gone.
            state => state,
        };
    }

    /// Looks after what has ended.
    pub fn tend(&mut self, index: Option<&Arc<Index>>) {
        for at in 0..self.berths.len() {
            self.berths[at].state = match std::mem::replace(&mut self.berths[at].state, State::Over) {
                State::Running(mut pipeline) => {
                    pipeline.tend();
                    if pipeline.ended() { self.finish(pipeline) } else { State::Running(pipeline) }
                }
                State::Leaving(mut pipeline) => {
                    pipeline.tend();
                    if pipeline.drained() { self.finish(pipeline) } else { State::Leaving(pipeline) }
                }
                State::Finishing(thread) if thread.ended() => {
                    let clean = thread.join().unwrap_or(false);
                    self.clean &= clean;
                    let state = if clean { metric::State::Finished } else { metric::State::Terminated };
                    self.registry
                        .pipelines()
                        .iter()
                        .filter(|p| *p.id == *self.berths[at].id)
                        .for_each(|p| p.set_state(state));
                    State::Over
                }
                state => state,
            };
            if matches!(self.berths[at].state, State::Over)
                && let Some(next) = self.berths[at].next.take()
            {
                match self.start(next, index) {
                    Ok(pipeline) => self.berths[at].state = State::Running(pipeline),
                    Err(error) => {
                        tracing::error!(pipeline.id = self.berths[at].id, "{error:#}");
                        self.clean = false;
                    }
                }
            }
        }
        let registry = &self.registry;
        self.berths.retain(|berth| {
            !matches!(berth.state, State::Over) || registry.pipelines().iter().any(|p| *p.id == *berth.id)
        });
    }

    fn finish(&self, pipeline: Box<Pipeline>) -> State {
        let name = format!("finish-{}", pipeline.stats.id);
        match Thread::spawn(name, &self.bell, move || pipeline.join()) {
            Ok(thread) => State::Finishing(thread),
            Err(error) => {
                tracing::error!(%error, "cannot start a thread");
                State::Over
            }
        }
    }

    /// Whether something is on its way out, so that it should be looked at again soon.
    pub fn is_changing(&self) -> bool {
        self.berths.iter().any(|berth| match &berth.state {
            State::Running(pipeline) => pipeline.is_changing(),
            State::Leaving(_) => true,
            State::Finishing(_) | State::Over => false,
        })
    }

    /// Tells everything to end: what was read is delivered first.
    pub fn stop(&mut self) {
        self.links.stop();
        for berth in &mut self.berths {
            berth.next = None;
            if let State::Running(pipeline) | State::Leaving(pipeline) = &mut berth.state {
                pipeline.stop();
            }
        }
    }

    /// Whether all that read from outside has ended, so that those who take events from other
    /// pipelines will get no more.
    pub fn is_drying_up(&self) -> bool {
        let over =
            self.berths.iter().filter(|berth| matches!(berth.state, State::Over) && berth.next.is_none()).count();
        let inner = |berth: &&Berth| matches!(&berth.state, State::Running(pipeline) if pipeline.is_inner());
        over > 0 && over + self.berths.iter().filter(inner).count() == self.berths.len()
    }

    /// Whether every pipeline has ended.
    pub fn over(&self) -> bool {
        self.berths.iter().all(|berth| matches!(berth.state, State::Over))
    }

    /// Whether everything that ended is durable.
    pub fn clean(&self) -> bool {
        self.clean
    }
}
