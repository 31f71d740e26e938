//! From a plan to everything that a pipeline's threads need; every mistake at once.

use super::QUEUE_BATCHES_PER_WORKER;
use super::defaults::Defaults;
use super::feed::MakeJoiner;
use super::worker::{Route, Source, Step};
use crate::codec::{self, Codec};
use crate::diagnostic::Diagnostic;
use crate::filter::common::Common;
use crate::index::Index;
use crate::input::Input;
use crate::language::plan::{self, Plan};
use crate::metric::pipeline::{PipelineStats, PluginStats};
use crate::output::Output;
use crate::plugin::{Build, Call, Context, Kind, Spec};
use std::sync::Arc;
use std::time::Duration;

/// A pipeline that is built but not started.
pub struct Blueprint {
    pub(super) stats: Arc<PipelineStats>,
    pub(super) inputs: Vec<Receiver>,
    pub(super) sources: Vec<Source>,
    pub(super) filters: Vec<Step>,
    pub(super) routes: Vec<Route>,
    pub(super) outputs: Vec<(Box<dyn Output>, Arc<PluginStats>)>,
    pub(super) index: Option<Arc<Index>>,
    pub(super) ordered: bool,
}

/// The sizes of a pipeline.
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
}

/// An input and what its feed needs.
pub(super) struct Receiver {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) input: Box<dyn Input>,
    pub(super) delimiter: Option<Vec<u8>>,
    pub(super) joiner: MakeJoiner,
}

struct Builder {
    context: Context,
    plugins: Vec<Arc<PluginStats>>,
    mistakes: Vec<Diagnostic>,
}

impl Blueprint {
    /// Builds every plugin of a plan, or says everything that is wrong with them.
    pub fn build(plan: &Plan, context: &Context, sizes: &Sizes) -> Result<Blueprint, Vec<Diagnostic>> {
        let mut builder = Builder { context: context.clone(), plugins: Vec::new(), mistakes: Vec::new() };
        let (mut inputs, mut sources) = (Vec::new(), Vec::new());
        for call in &plan.inputs {
            if let Some((receiver, source)) = builder.input(call) {
                inputs.push(receiver);
                sources.push(source);
            }
        }
        let filters = builder.steps(&plan.filters);
        let mut outputs = Vec::new();
        let routes = builder.routes(&plan.outputs, &mut outputs);
        if !builder.mistakes.is_empty() {
            return Err(builder.mistakes);
        }
        let index = outputs.iter().find_map(|(output, _)| output.index().cloned());
        let mut stats = PipelineStats::new(&context.pipeline);
        stats.workers = sizes.workers;
        stats.batch_size = sizes.batch_events;
        stats.batch_delay = sizes.batch_delay;
        stats.queue_capacity = QUEUE_BATCHES_PER_WORKER * sizes.workers;
        stats.plugins = builder.plugins;
        Ok(Blueprint {
            stats: Arc::new(stats),
            inputs,
            sources,
            filters,
            routes,
            outputs,
            index,
            ordered: sizes.ordered,
        })
    }
}

impl Builder {
    fn stats(&mut self, call: &Call, spec: &'static Spec) -> Arc<PluginStats> {
        let stats = PluginStats::new(&call.id, spec.name, spec.kind());
        self.plugins.push(stats.clone());
        stats
    }

    fn context(&self, call: &Call) -> Context {
        self.context.plugin(&call.id, &call.options)
    }

    fn keep<T>(&mut self, built: Result<T, Vec<Diagnostic>>) -> Option<T> {
        built.map_err(|mistakes| self.mistakes.extend(mistakes)).ok()
    }

    fn input(&mut self, call: &Call) -> Option<(Receiver, Source)> {
        let spec = spec(Kind::Input, call);
        let context = self.context(call);
        let stats = self.stats(call, spec);
        let Build::Input(build) = spec.build else { unreachable!("BUG: not an input") };
        let default = spec.option("codec").and_then(|option| option.default).unwrap_or("plain");
        let codec = codec::build(&call.options, default, &context);
        let (codec, input) = (self.keep(codec), build(&call.options, &context));
        let input = self.keep(input)?;
        let Codec { delimiter, joiner, decoder, .. } = codec?;
        let key = format!("{}/{}", context.pipeline, call.id);
        let receiver = Receiver { key, id: call.id.clone(), input, delimiter, joiner };
        Some((receiver, Source { decoder, defaults: Defaults::new(&call.options), stats }))
    }

    fn steps(&mut self, steps: &[plan::Step]) -> Vec<Step> {
        steps.iter().filter_map(|step| self.step(step)).collect()
    }

    fn step(&mut self, step: &plan::Step) -> Option<Step> {
        match step {
            plan::Step::Plugin(call) => {
                let spec = spec(Kind::Filter, call);
                let stats = self.stats(call, spec);
                let Build::Filter(build) = spec.build else { unreachable!("BUG: not a filter") };
                let built = build(&call.options, &self.context(call));
                let filter = self.keep(built)?;
                Some(Step::Filter { filter, common: Common::from(&call.options), stats })
            }
            plan::Step::If { branches, otherwise } => Some(Step::If {
                branches: branches.iter().map(|(cond, steps)| (cond.clone(), self.steps(steps))).collect(),
                otherwise: self.steps(otherwise),
            }),
        }
    }

    fn routes(&mut self, steps: &[plan::Step], outputs: &mut Vec<(Box<dyn Output>, Arc<PluginStats>)>) -> Vec<Route> {
        steps.iter().filter_map(|step| self.route(step, outputs)).collect()
    }

    fn route(&mut self, step: &plan::Step, outputs: &mut Vec<(Box<dyn Output>, Arc<PluginStats>)>) -> Option<Route> {
        match step {
            plan::Step::Plugin(call) => {
                let spec = spec(Kind::Output, call);
                let stats = self.stats(call, spec);
                let Build::Output(build) = spec.build else { unreachable!("BUG: not an output") };
                let built = build(&call.options, &self.context(call));
                outputs.push((self.keep(built)?, stats));
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
        Source { decoder: self.decoder.fork(), defaults: self.defaults.clone(), stats: self.stats.clone() }
    }
}
