//! `logboom explain FILE…`: the plan that a pipeline compiles to, and what in it may be slow.

use crate::diagnostic::{Severity, Sources, render};
use crate::event::FieldRef;
use crate::filter::grok;
use crate::language::plan::{Cond, Constant, Order};
use crate::language::{self, Language, Plan, Step};
use crate::plugin::{Call, Catalogue, Context, Literal, Setting};
use anyhow::{Context as _, bail};
use std::fmt::Write;
use std::path::PathBuf;

/// The compiled plan of a pipeline.
#[derive(clap::Parser, Debug)]
#[command(name = "logboom explain", bin_name = "logboom explain")]
pub struct Args {
    /// Files of one pipeline, in their order, or folders of `.conf` files
    #[arg(required_unless_present = "text")]
    pub files: Vec<PathBuf>,
    /// The pipeline as text
    #[arg(short = 'e', long)]
    pub text: Option<String>,
    /// `pipeline.ecs_compatibility`
    #[arg(long, default_value = "v8")]
    pub ecs: String,
    /// Print only warnings
    #[arg(long)]
    pub warnings: bool,
}

/// Runs the command from its arguments; false where the pipeline has mistakes.
pub fn main(arguments: Vec<String>) -> anyhow::Result<bool> {
    let args: Args = super::arguments("explain", arguments);
    let sources = sources(&args)?;
    let catalogue = Catalogue::built_in();
    let environment = &|name: &str| crate::daemon::variable(name);
    let language = Language { catalogue: &catalogue, support_escapes: false, environment };
    let outcome = language::compile(&sources, &language);
    eprint!("{}", render(&outcome.diagnostics, &sources, false));
    if outcome.diagnostics.iter().any(|mistake| mistake.severity == Severity::Error) {
        return Ok(false);
    }
    let Some(plan) = outcome.plan else { return Ok(false) };
    let context = Context::alone("main", args.ecs != "disabled", true);
    let mut printer = Printer { context, out: String::new(), warnings: 0, only_warnings: args.warnings };
    printer.plan(&plan);
    super::print(&printer.out)
}

fn sources(args: &Args) -> anyhow::Result<Sources> {
    let mut files = Vec::new();
    for path in &args.files {
        let mut paths = vec![path.clone()];
        if path.is_dir() {
            paths = glob::glob(&format!("{}/*.conf", path.display()))?.filter_map(Result::ok).collect();
            if paths.is_empty() {
                bail!("no file in {} ends in .conf", path.display());
            }
        }
        for path in paths {
            let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.extend(args.text.as_ref().map(|text| ("-e".to_owned(), text.clone())));
    Ok(Sources { files })
}

struct Printer {
    context: Context,
    out: String,
    warnings: usize,
    only_warnings: bool,
}

impl Printer {
    fn plan(&mut self, plan: &Plan) {
        let inputs: Vec<Step> = plan.inputs.iter().cloned().map(Step::Plugin).collect();
        for (word, steps) in [("input", &inputs), ("filter", &plan.filters), ("output", &plan.outputs)] {
            self.line(0, word);
            self.steps(steps, 1);
        }
        if !plan.reads.is_empty() {
            let names: Vec<&str> = plan.reads.iter().filter_map(|id| id.name()).collect();
            self.line(0, &format!("conditions read {}", names.join(", ")));
        }
        let _ = writeln!(
            self.out,
            "{}",
            if self.warnings == 1 { "1 warning".to_owned() } else { format!("{} warnings", self.warnings) }
        );
    }

    fn line(&mut self, depth: usize, text: &str) {
        if !self.only_warnings {
            let _ = writeln!(self.out, "{}{text}", "  ".repeat(depth));
        }
    }

    fn warn(&mut self, depth: usize, id: &str, text: &str) {
        self.warnings += 1;
        let depth = if self.only_warnings { 0 } else { depth };
        let of = if self.only_warnings { format!(" ({id})") } else { String::new() };
        let _ = writeln!(self.out, "{}warning{of}: {text}", "  ".repeat(depth));
    }

    fn steps(&mut self, steps: &[Step], depth: usize) {
        for step in steps {
            match step {
                Step::Plugin(call) => self.call(call, depth),
                Step::If { branches, otherwise } => {
                    for (at, (cond, body)) in branches.iter().enumerate() {
                        let word = if at == 0 { "if" } else { "else if" };
                        self.line(depth, &format!("{word} {}", shown(cond)));
                        self.constant(cond, depth + 1);
                        self.steps(body, depth + 1);
                    }
                    if !otherwise.is_empty() {
                        self.line(depth, "else");
                        self.steps(otherwise, depth + 1);
                    }
                }
            }
        }
    }

    fn constant(&mut self, cond: &Cond, depth: usize) {
        if let Cond::Constant(holds) = cond {
            self.warn(depth, "if", &format!("the condition is always {holds}"));
        }
    }

    fn call(&mut self, call: &Call, depth: usize) {
        self.line(depth, &format!("{}  [{}]", call.name, call.id));
        let is_grok = call.name == "grok";
        for (name, _, setting) in &call.options.settings {
            if name == "id" || (is_grok && name == "match") {
                continue;
            }
            self.line(depth + 1, &format!("{name} => {}", short(&value(setting))));
        }
        if !is_grok {
            return;
        }
        let context = self.context.plugin(&call.id, &call.options);
        for explained in grok::explain(&call.options, &context) {
            self.line(depth + 1, &format!("{} ~ {}", explained.field, short(&explained.pattern)));
            match explained.explanation {
                Err(error) => self.warn(depth + 2, &call.id, &error),
                Ok(explanation) => {
                    self.line(depth + 2, &format!("engine: {} ({})", explanation.engine, explanation.why));
                    if let Some(required) = explanation.required {
                        self.line(depth + 2, &format!("only texts with {required:?} are tried"));
                    }
                    if !explanation.fields.is_empty() {
                        self.line(depth + 2, &format!("captures {}", short(&explanation.fields.join(", "))));
                    }
                    for warning in explanation.warnings {
                        self.warn(depth + 2, &call.id, &format!("{}: {warning}", short(&explained.pattern)));
                    }
                }
            }
        }
    }
}

/// At most so many characters.
fn short(text: &str) -> String {
    const MAX: usize = 120;
    let line = text.replace('\n', "\\n");
    match line.char_indices().nth(MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn value(setting: &Setting) -> String {
    match &setting.value {
        Literal::String(text) => format!("{text:?}"),
        Literal::Number(_, text) => text.clone(),
        Literal::Array(elements) => format!("[{}]", elements.iter().map(value).collect::<Vec<_>>().join(", ")),
        Literal::Hash(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(key, of)| format!("{} => {}", value(key), value(of))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Literal::Plugin(call) => {
            let settings: Vec<String> =
                call.options.settings.iter().map(|(name, _, of)| format!("{name} => {}", value(of))).collect();
            if settings.is_empty() { call.name.clone() } else { format!("{} {{ {} }}", call.name, settings.join(" ")) }
        }
    }
}

fn constant(constant: &Constant) -> String {
    match constant {
        Constant::Text(text) => format!("{text:?}"),
        Constant::Int(n) => n.to_string(),
        Constant::Float(n) => n.to_string(),
    }
}

fn order(order: Order) -> &'static str {
    match order {
        Order::Less => "<",
        Order::LessOrEqual => "<=",
        Order::Greater => ">",
        Order::GreaterOrEqual => ">=",
    }
}

/// A condition as it is evaluated: constants folded, in the order in which its parts are asked.
fn shown(cond: &Cond) -> String {
    let of = |field: &FieldRef| field.to_string();
    let list = |conds: &[Cond], word: &str| conds.iter().map(grouped).collect::<Vec<_>>().join(word);
    match cond {
        Cond::Constant(holds) => holds.to_string(),
        Cond::Truthy(field) => of(field),
        Cond::Equal(field, to) => format!("{field} == {}", constant(to)),
        Cond::EqualFields(a, b) => format!("{a} == {b}"),
        Cond::Order(field, sign, to) => format!("{field} {} {}", order(*sign), constant(to)),
        Cond::OrderFields(a, sign, b) => format!("{a} {} {b}", order(*sign)),
        Cond::Match(field, regexp) => format!("{field} =~ /{}/", regexp.as_str()),
        Cond::ConstantInField(what, field) => format!("{} in {field}", constant(what)),
        Cond::FieldInText(field, text) => format!("{field} in {text:?}"),
        Cond::FieldInList(field, all) => format!("{field} in {all:?}"),
        Cond::FieldInField(a, b) => format!("{a} in {b}"),
        Cond::Not(inner) => format!("not {}", grouped(inner)),
        Cond::All(conds) => list(conds, " and "),
        Cond::Any(conds) => list(conds, " or "),
        Cond::Xor(pair) => format!("{} xor {}", grouped(&pair.0), grouped(&pair.1)),
    }
}

fn grouped(cond: &Cond) -> String {
    match cond {
        Cond::All(_) | Cond::Any(_) | Cond::Xor(_) => format!("({})", shown(cond)),
        _ => shown(cond),
    }
}
