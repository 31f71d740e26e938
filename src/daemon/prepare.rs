//! From settings to blueprints: reads, compiles and builds every pipeline, and holds them against
//! each other. Nothing runs differently for it; whoever calls decides. Every mistake comes at once.

use super::{graph, variable};
use crate::diagnostic::{Diagnostic, Severity, Sources, code, render};
use crate::filter;
use crate::index::Index;
use crate::language::plan::{Plan, Step};
use crate::language::suggest;
use crate::language::{self, Language};
use crate::metric::Derived;
use crate::pipeline::{Blueprint, Links, Sizes, Standing};
use crate::plugin::{Call, Catalogue, Context};
use crate::settings::{self, Settings};
use std::collections::HashMap;
use std::hash::Hasher;
use std::io::IsTerminal;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3Default;

/// One pipeline as configured.
pub struct Configured {
    /// The settings as they hold for it.
    pub settings: Settings,
    /// Its files.
    pub sources: Sources,
}

impl Configured {
    /// Every pipeline that the settings name: on the command line, in `path.config`, or in
    /// `pipelines.yml`.
    pub fn all(settings: &Settings) -> Result<Vec<Configured>, settings::SettingsError> {
        let mut mistakes = Vec::new();
        let mut all = Vec::new();
        for settings in settings::pipelines(settings, &variable)? {
            match settings::sources(&settings) {
                Ok(sources) => all.push(Configured { settings, sources }),
                Err(settings::SettingsError(more)) => mistakes.extend(more),
            }
        }
        if mistakes.is_empty() { Ok(all) } else { Err(settings::SettingsError(mistakes)) }
    }

    /// A hash of its texts and settings: equal means that nothing was written.
    pub fn written(&self) -> u64 {
        let mut hasher = Xxh3Default::new();
        for (name, text) in &self.sources.files {
            hasher.write(name.as_bytes());
            hasher.write(text.as_bytes());
        }
        self.settings.all().for_each(|(name, value)| hasher.write(format!("{name}={value:?}").as_bytes()));
        hasher.finish()
    }
}

/// A configuration that is refused: what is wrong with it, drawn, and in which pipelines.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For people.
    pub report: String,
    /// `pipeline.id`s; empty where it can't be told.
    pub pipelines: Vec<String>,
}

impl Refusal {
    /// One without pictures.
    pub fn plain(report: impl ToString) -> Refusal {
        Refusal { report: report.to_string(), pipelines: Vec::new() }
    }
}

/// A pipeline whose text is right.
pub struct Planned<'a> {
    /// What it was made from.
    pub configured: &'a Configured,
    /// Its plan.
    pub plan: Plan,
    /// Of everything that decides what runs, variables included.
    pub hash: u64,
    /// Whether its events reach the index, also through other pipelines.
    pub into_index: bool,
}

impl Planned<'_> {
    /// `pipeline.id`
    pub fn id(&self) -> &str {
        self.configured.settings.pipeline_id()
    }
}

/// Pipelines that fit together, and what should be said about them all the same.
pub struct Compiled<'a> {
    /// In the order of the configuration.
    pub pipelines: Vec<Planned<'a>>,
    /// Drawn; empty where all is well.
    pub warnings: String,
}

/// Compiles every pipeline.
pub fn compile(pipelines: &[Configured]) -> Result<Compiled<'_>, Refusal> {
    let catalogue = Catalogue::built_in();
    let mut said: Vec<Vec<Diagnostic>> = Vec::new();
    let mut plans = Vec::new();
    for pipeline in pipelines {
        let language = Language {
            catalogue: &catalogue,
            support_escapes: pipeline.settings.support_escapes(),
            environment: &variable,
        };
        if pipeline.settings.flag("config.debug") {
            for (file, (name, text)) in pipeline.sources.files.iter().enumerate() {
                let read = language::print(&language::parse(text, file as u32).tree);
                tracing::debug!(pipeline.id = pipeline.settings.pipeline_id(), "{name} as it is read:\n{read}");
            }
        }
        let outcome = language::compile(&pipeline.sources, &language);
        said.push(outcome.diagnostics);
        plans.push(outcome.plan);
    }
    let web = Web::of(&plans);
    web.check(&plans, &mut said);
    let wrong = |list: &[Diagnostic]| list.iter().any(|d| d.severity == Severity::Error);
    let mut report = String::new();
    for (pipeline, said) in pipelines.iter().zip(&said) {
        report += &shown(said, &pipeline.sources);
    }
    let failed: Vec<String> = pipelines
        .iter()
        .zip(said.iter().zip(&plans))
        .filter(|(_, (said, plan))| plan.is_none() || wrong(said))
        .map(|(pipeline, _)| pipeline.settings.pipeline_id().to_owned())
        .collect();
    if !failed.is_empty() {
        return Err(Refusal { report, pipelines: failed });
    }
    let planned = |(at, plan): (usize, Option<Plan>)| {
        let (configured, plan) = (&pipelines[at], plan.expect("BUG: no plan and no mistake"));
        let mut hasher = Xxh3Default::new();
        hasher.write_u64(configured.written());
        hasher.write(format!("{plan:?}").as_bytes());
        // Another pipeline may decide where this one's positions are kept.
        hasher.write_u8(web.into_index[at].into());
        Planned { configured, hash: hasher.finish(), into_index: web.into_index[at], plan }
    };
    Ok(Compiled { pipelines: plans.into_iter().enumerate().map(planned).collect(), warnings: report })
}

/// What builds have in common.
pub struct Surroundings<'a> {
    /// The settings of the process.
    pub settings: &'a Settings,
    /// The index, where it is open.
    pub index: Option<&'a Arc<Index>>,
    /// The addresses of pipelines.
    pub links: &'a Arc<Links>,
    /// Where metrics derived from events are entered.
    pub derived: &'a Arc<Derived>,
}

impl Surroundings<'_> {
    /// Builds one pipeline beside what stands already.
    pub fn build(&self, planned: &Planned, standing: &Standing) -> Result<Blueprint, Refusal> {
        let own = &planned.configured.settings;
        let context = Context {
            pipeline: own.pipeline_id().to_owned(),
            id: String::new(),
            ecs: own.ecs(),
            data: self.settings.data().to_owned(),
            check_only: self.settings.check_only(),
            index: self.index.cloned(),
            stats: None,
            derived: self.derived.clone(),
            links: self.links.clone(),
        };
        let sizes = Sizes {
            workers: own.workers(),
            batch_events: own.batch_size(),
            batch_delay: own.batch_delay(),
            ordered: own.ordered(),
            into_index: planned.into_index,
            hash: planned.hash,
            graph: Arc::new(graph::of(&planned.plan, &planned.configured.sources, planned.hash)),
        };
        self.derived.read_from(Some(planned.configured.sources.clone()));
        let built = Blueprint::build(&planned.plan, &context, &sizes, standing);
        self.derived.read_from(None);
        built.map_err(|mistakes| Refusal {
            report: shown(&mistakes, &planned.configured.sources),
            pipelines: vec![planned.id().to_owned()],
        })
    }
}

/// Enters the metrics that are derived from every pipeline's events.
pub fn derive_defaults(derived: &Arc<Derived>) {
    let text = include_str!("../../config/derive.conf");
    let sources = Sources { files: vec![("config/derive.conf".to_owned(), text.to_owned())] };
    let language = Language { catalogue: &Catalogue::built_in(), support_escapes: false, environment: &|_| None };
    let plan = language::compile(&sources, &language).plan.expect("BUG: the built-in metrics have a mistake");
    let context = Context {
        pipeline: String::new(),
        id: String::new(),
        ecs: true,
        data: Default::default(),
        check_only: true,
        index: None,
        stats: None,
        derived: derived.clone(),
        links: Default::default(),
    };
    let mut metrics = Vec::new();
    for step in &plan.filters {
        step.each_call(&mut |call| {
            let metric = filter::derive::metric(&call.options, &context);
            metrics.push(metric.expect("BUG: a built-in metric has a mistake"));
        });
    }
    derived.set_defaults(metrics);
}

/// One refusal of several.
pub fn together(refusals: Vec<Refusal>) -> Result<(), Refusal> {
    if refusals.is_empty() {
        return Ok(());
    }
    let mut all = Refusal::plain("");
    for Refusal { report, pipelines } in refusals {
        all.report += &report;
        all.pipelines.extend(pipelines);
    }
    Err(all)
}

fn shown(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    render(diagnostics, sources, std::io::stderr().is_terminal())
}

/// How pipelines send to each other.
struct Web {
    /// Address → the pipelines that listen there, and where that is written.
    listeners: HashMap<String, Vec<(usize, Call)>>,
    /// For each pipeline: where it sends, and the output that does.
    sends: Vec<Vec<(String, Call)>>,
    into_index: Vec<bool>,
}

impl Web {
    fn of(plans: &[Option<Plan>]) -> Web {
        let mut web = Web { listeners: HashMap::new(), sends: Vec::new(), into_index: Vec::new() };
        for (at, plan) in plans.iter().enumerate() {
            let (mut sends, mut into_index) = (Vec::new(), false);
            for call in plan.iter().flat_map(|plan| &plan.inputs).filter(|call| call.name == "pipeline") {
                let address = call.options.str("address").unwrap_or_default().to_owned();
                web.listeners.entry(address).or_default().push((at, call.clone()));
            }
            each_output(plan.iter().flat_map(|plan| &plan.outputs), &mut |call| match call.name.as_str() {
                "index" => into_index = true,
                "pipeline" => {
                    let addresses = call.options.strings("send_to").into_iter();
                    sends.extend(addresses.map(|address| (address, call.clone())));
                }
                _ => {}
            });
            web.sends.push(sends);
            web.into_index.push(into_index);
        }
        // As often as there are pipelines is enough for the longest way.
        for _ in plans {
            for at in 0..plans.len() {
                let reaches = web.receivers(at).any(|to| web.into_index[to]);
                web.into_index[at] |= reaches;
            }
        }
        web
    }

    /// The pipelines to which one sends.
    fn receivers(&self, at: usize) -> impl Iterator<Item = usize> {
        let addresses = self.sends[at].iter().filter_map(|(address, _)| self.listeners.get(address));
        addresses.flatten().map(|(to, _)| *to)
    }

    fn check(&self, plans: &[Option<Plan>], said: &mut [Vec<Diagnostic>]) {
        for (address, listeners) in &self.listeners {
            for (at, call) in &listeners[1..] {
                let message = format!("two inputs listen under the address `{address}`");
                let mistake = Diagnostic::error(code::ADDRESS, call.options.place_of("address"), message);
                said[*at].push(mistake.label("an address belongs to one input of one pipeline"));
            }
        }
        for (at, sends) in self.sends.iter().enumerate() {
            for (address, call) in sends {
                let place = call.options.place_of("send_to");
                let targets = self.listeners.get(address).into_iter().flatten();
                if targets.clone().any(|(to, _)| *to == at || self.reaches(*to, at)) {
                    let message = format!("events sent to `{address}` come back to this pipeline");
                    let mistake = Diagnostic::error(code::CIRCLE, place, message);
                    said[at].push(mistake.label("a circle would fill up and stand still"));
                // With a mistake elsewhere its address may be missing for that alone.
                } else if targets.count() == 0 && plans.iter().all(Option::is_some) {
                    let message = format!("no pipeline listens under the address `{address}`");
                    let near = suggest::did_you_mean(address, self.listeners.keys().map(String::as_str));
                    let label = near.unwrap_or_else(|| "its events wait until one does".to_owned());
                    said[at].push(Diagnostic::error(code::ADDRESS, place, message).label(label).warning());
                }
            }
        }
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        let (mut seen, mut open) = (vec![false; self.sends.len()], vec![from]);
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut seen[at], true) {
                if self.receivers(at).any(|next| next == to) {
                    return true;
                }
                open.extend(self.receivers(at));
            }
        }
        false
    }
}

fn each_output<'a>(steps: impl Iterator<Item = &'a Step>, visit: &mut dyn FnMut(&Call)) {
    steps.for_each(|step| step.each_call(visit));
}
