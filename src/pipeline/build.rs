//! From a plan to everything that a pipeline's threads need; every mistake at once. Beside a running
//! pipeline only what differs is built.

use super::QUEUE_BATCHES_PER_WORKER;
use super::defaults::Defaults;
use super::feed::MakeJoiner;
use super::fingerprint;
use super::step::Step;
use super::worker::{Route, Source};
use crate::codec::{self, Codec};
use crate::diagnostic::Diagnostic;
use crate::filter::common::Common;
use crate::index::Index;
use crate::input::Input;
use crate::language::plan::{self, Plan};
use crate::metric::PluginStats;
use crate::metric::pipeline::Shape;
use crate::output::Output;
use crate::plugin::{Build, Call, Context, Kind, Spec};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A pipeline that is built but not started.
pub struct Blueprint {
    pub(super) id: String,
    pub(super) shape: Shape,
    pub(super) inputs: Vec<PlannedInput>,
    pub(super) filters: Vec<Step>,
    pub(super) routes: Vec<Route>,
    pub(super) outputs: Vec<PlannedOutput>,
    /// The index whose epochs keep the positions of the inputs.
    pub(super) index: Option<Arc<Index>>,
    pub(super) ordered: bool,
    pub(super) observe: bool,
}

/// The sizes of a pipeline, and what stands around it.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// `pipeline.workers`.
    pub workers: usize,
    /// `pipeline.batch.size`.
    pub batch_events: usize,
    /// `pipeline.batch.delay`.
    pub batch_delay: Duration,
    /// `pipeline.ordered`, decided.
    pub ordered: bool,
    /// Whether events reach the index from here, also through other pipelines.
    pub into_index: bool,
    /// A hash of the configuration, for those who ask what runs.
    pub hash: u64,
    /// Its graph, for the same.
    pub graph: Arc<serde_json::Value>,
}

/// An input of a configuration.
pub(super) struct PlannedInput {
    pub(super) id: String,
    /// The key under which it keeps positions.
    pub(super) key: String,
    pub(super) print: u64,
    /// `None` where it runs already as it shall be.
    pub(super) built: Option<BuiltInput>,
}

/// An input and what its feed and the workers need.
pub(super) struct BuiltInput {
    pub(super) input: Box<dyn Input>,
    pub(super) delimiter: Option<Vec<u8>>,
    pub(super) joiner: MakeJoiner,
    pub(super) source: Source,
}

/// An output of a configuration.
pub(super) struct PlannedOutput {
    pub(super) print: u64,
    pub(super) stats: Arc<PluginStats>,
    /// `None` where it runs already as it shall be.
    pub(super) output: Option<Box<dyn Output>>,
}

/// What a running pipeline has, so that it need not be built again.
#[derive(Default)]
pub struct Standing {
    /// Fingerprints by id.
    pub(super) inputs: HashMap<String, u64>,
    pub(super) outputs: HashMap<String, u64>,
    pub(super) filters: HashMap<String, Step>,
    pub(super) stats: Vec<Arc<PluginStats>>,
}

struct Builder<'a> {
    context: Context,
    standing: &'a Standing,
    batch_events: usize,
    plugins: Vec<Arc<PluginStats>>,
    mistakes: Vec<Diagnostic>,
}

impl Blueprint {
    /// Builds every plugin of a plan that does not stand already, or says everything that is wrong
    /// with them.
    pub fn build(
        plan: &Plan,
        context: &Context,
        sizes: &Sizes,
        standing: &Standing,
    ) -> Result<Blueprint, Vec<Diagnostic>> {
        let mut builder = Builder {
            context: context.clone(),
            standing,
            batch_events: sizes.batch_events,
            plugins: Vec::new(),
            mistakes: Vec::new(),
        };
        let inputs = plan.inputs.iter().filter_map(|call| builder.input(call)).collect();
        let filters = builder.steps(&plan.filters);
        let mut outputs = Vec::new();
        let routes = builder.routes(&plan.outputs, &mut outputs);
        if !builder.mistakes.is_empty() {
            return Err(builder.mistakes);
        }
        let observe = outputs.is_empty() || outputs.iter().any(|output| output.stats.name != "pipeline");
        Ok(Blueprint {
            id: context.pipeline.clone(),
            shape: Shape {
                workers: sizes.workers,
                batch_size: sizes.batch_events,
                batch_delay: sizes.batch_delay,
                queue_capacity: QUEUE_BATCHES_PER_WORKER * sizes.workers,
                plugins: builder.plugins,
                hash: sizes.hash,
                graph: sizes.graph.clone(),
            },
            inputs,
            filters,
            routes,
            outputs,
            index: context.index.clone().filter(|_| sizes.into_index),
            ordered: sizes.ordered,
            observe,
        })
    }

    /// Whether the index keeps the positions of its inputs.
    pub fn into_index(&self) -> bool {
        self.index.is_some()
    }

    /// A configuration without anything, for a pipeline that shall end.
    pub(super) fn empty(id: &str) -> Blueprint {
        Blueprint {
            id: id.to_owned(),
            shape: Shape::default(),
            inputs: Vec::new(),
            filters: Vec::new(),
            routes: Vec::new(),
            outputs: Vec::new(),
            index: None,
            ordered: false,
            observe: false,
        }
    }
}

impl Builder<'_> {
    fn stats(&mut self, call: &Call, spec: &'static Spec) -> Arc<PluginStats> {
        let mut known = self.standing.stats.iter();
        let known = known.find(|s| *s.id == *call.id && s.name == spec.name && s.kind == spec.kind());
        let stats = known.cloned().unwrap_or_else(|| PluginStats::new(&call.id, spec.name, spec.kind()));
        self.plugins.push(stats.clone());
        stats
    }

    fn context(&self, call: &Call) -> Context {
        self.context.plugin(&call.id, &call.options)
    }

    fn keep<T>(&mut self, built: Result<T, Vec<Diagnostic>>) -> Option<T> {
        built.map_err(|mistakes| self.mistakes.extend(mistakes)).ok()
    }

    fn input(&mut self, call: &Call) -> Option<PlannedInput> {
        let spec = spec(Kind::Input, call);
        let context = self.context(call);
        let stats = self.stats(call, spec);
        let print = fingerprint::plugin(call, &context, self.batch_events);
        let key = format!("{}/{}", context.pipeline, call.id);
        let planned = |built| PlannedInput { id: call.id.clone(), key, print, built };
        if self.standing.inputs.get(&call.id) == Some(&print) {
            return Some(planned(None));
        }
        let Build::Input(build) = spec.build else { unreachable!("BUG: not an input") };
        let default = spec.option("codec").and_then(|option| option.default).unwrap_or("plain");
        let codec = codec::build(&call.options, default, &context);
        let counters = codec::counters(&call.options, default, &stats);
        let (codec, input) = (self.keep(codec), build(&call.options, &context));
        let input = self.keep(input)?;
        let (Codec { delimiter, joiner, decoder, .. }, codec) = (codec?, counters?);
        let defaults = Defaults::new(&call.options);
        // The pipeline numbers it.
        let source = Source { input: u64::MAX, decoder, defaults, stats: stats.clone(), codec, queued: Arc::default() };
        Some(planned(Some(BuiltInput { input, delimiter, joiner, source })))
    }

    fn steps(&mut self, steps: &[plan::Step]) -> Vec<Step> {
        steps.iter().filter_map(|step| self.step(step)).collect()
    }

    fn step(&mut self, step: &plan::Step) -> Option<Step> {
        match step {
            plan::Step::Plugin(call) => {
                let spec = spec(Kind::Filter, call);
                let context = self.context(call);
                let stats = self.stats(call, spec);
                let print = fingerprint::plugin(call, &context, ());
                if let Some(step) = self.standing.filters.get(&call.id)
                    && matches!(step, Step::Filter { print: known, .. } if *known == print)
                    && !fingerprint::reads_files(spec, &call.options)
                {
                    return Some(step.fork());
                }
                let Build::Filter(build) = spec.build else { unreachable!("BUG: not a filter") };
                let built = build(&call.options, &context);
                let filter = self.keep(built)?;
                let common = Common::from(&call.options);
                Some(Step::Filter { filter, common, stats, print, retired: Arc::default() })
            }
            plan::Step::If { branches, otherwise } => Some(Step::If {
                branches: branches.iter().map(|(cond, steps)| (cond.clone(), self.steps(steps))).collect(),
                otherwise: self.steps(otherwise),
            }),
        }
    }

    fn routes(&mut self, steps: &[plan::Step], outputs: &mut Vec<PlannedOutput>) -> Vec<Route> {
        steps.iter().filter_map(|step| self.route(step, outputs)).collect()
    }

    fn route(&mut self, step: &plan::Step, outputs: &mut Vec<PlannedOutput>) -> Option<Route> {
        match step {
            plan::Step::Plugin(call) => {
                let spec = spec(Kind::Output, call);
                let context = self.context(call);
                let stats = self.stats(call, spec);
                let print = fingerprint::plugin(call, &context, ());
                let output = if self.standing.outputs.get(&call.id) == Some(&print) {
                    None
                } else {
                    let Build::Output(build) = spec.build else { unreachable!("BUG: not an output") };
                    let built = build(&call.options, &Context { stats: Some(stats.clone()), ..context });
                    Some(self.keep(built)?)
                };
                outputs.push(PlannedOutput { print, stats, output });
                Some(Route::Output(outputs.len() - 1))
            }
            plan::Step::If { branches, otherwise } => Some(Route::If {
                branches: branches.iter().map(|(cond, steps)| (cond.clone(), self.routes(steps, outputs))).collect(),
                otherwise: self.routes(otherwise, outputs),
            }),
        }
    }
}

/// The checker has seen that the plugin is there.
fn spec(kind: Kind, call: &Call) -> &'static Spec {
    crate::plugin::find(kind, &call.name).unwrap_or_else(|| panic!("BUG: plugin `{}` passed the check", call.name))
}

impl Source {
    pub(super) fn fork(&self) -> Source {
        Source {
            input: self.input,
            decoder: self.decoder.fork(),
            defaults: self.defaults.clone(),
            stats: self.stats.clone(),
            codec: self.codec.clone(),
            queued: self.queued.clone(),
        }
    }
}
