//! `logboom test FILE…`: unit tests of pipelines, written in YAML.
//!
//! ```yaml
//! pipeline: ../apache.conf            # or a list of files, or `text: |` with the pipeline itself
//! settings: { pipeline.ecs_compatibility: disabled }
//! tests:
//!   - name: a request
//!     given: ['127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326']
//!     expect:
//!       - { verb: GET, response: "200", $absent: [tags] }
//! ```
//!
//! The filters run in this process on the events of `given`; inputs and outputs play no part, and
//! need not even be known. The exit code is 0 where all tests pass.

mod case;
mod diff;

use crate::diagnostic::{Diagnostic, Severity, Sources, render};
use crate::language::variable::Environment;
use crate::language::{self, Language, Plan};
use crate::pipeline::Trial;
use crate::plugin::{Catalogue, Context};
use anyhow::{Context as _, anyhow, bail};
use case::{Case, Suite};
use std::path::{Path, PathBuf};

/// Unit tests of pipelines.
#[derive(clap::Parser, Debug)]
#[command(name = "logboom test", bin_name = "logboom test")]
pub struct Args {
    /// Files of tests, or folders in which those that end in `.test.yml` are looked for
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Run only tests whose name contains this
    #[arg(long)]
    pub only: Option<String>,
    /// Name the tests that pass, too
    #[arg(short, long)]
    pub verbose: bool,
}

/// Runs the command from its arguments; whether all tests passed.
pub fn main(arguments: Vec<String>) -> anyhow::Result<bool> {
    let args: Args = super::arguments("test", arguments);
    let (mut passed, mut failed) = (0, 0);
    for file in files(&args.files)? {
        match run(&file, &args) {
            Ok((good, bad)) => {
                passed += good;
                failed += bad;
            }
            Err(error) => {
                failed += 1;
                println!("FAILED {}: {error:#}\n", file.display());
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

/// The files of tests, those of folders sorted.
fn files(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let pattern = format!("{}/**/*.test.yml", path.display());
        let before = files.len();
        files.extend(glob::glob(&pattern)?.filter_map(Result::ok));
        if files.len() == before {
            bail!("no file in {} ends in .test.yml", path.display());
        }
    }
    Ok(files)
}

/// Runs the tests of a file; how many passed and failed.
fn run(file: &Path, args: &Args) -> anyhow::Result<(usize, usize)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let suite = Suite::parse(&text)?;
    let sources = suite.sources(file.parent().unwrap_or(Path::new(".")))?;
    let plan = plan(&sources, &suite)?;
    let (mut passed, mut failed) = (0, 0);
    for case in &suite.cases {
        if args.only.as_ref().is_some_and(|only| !case.name.contains(only.as_str())) {
            continue;
        }
        let difference = check(case, &plan, &suite).map_err(|mistakes| anyhow!("{}", picture(&mistakes, &sources)))?;
        if difference.is_empty() {
            passed += 1;
            if args.verbose {
                println!("passed {}: {}", file.display(), case.name);
            }
        } else {
            failed += 1;
            println!("FAILED {}: {}\n{difference}", file.display(), case.name);
        }
    }
    Ok((passed, failed))
}

fn picture(mistakes: &[Diagnostic], sources: &Sources) -> String {
    format!("the pipeline is wrong\n{}", render(mistakes, sources, false))
}

/// The plan of the filter sections. Variables have the values of `variables`, else those of the environment.
fn plan(sources: &Sources, suite: &Suite) -> anyhow::Result<Plan> {
    let catalogue = Catalogue::built_in();
    let environment: Environment<'_> =
        &|name| suite.variables.get(name).cloned().or_else(|| crate::daemon::variable(name));
    let language = Language { catalogue: &catalogue, support_escapes: suite.support_escapes, environment };
    let outcome = language::compile(sources, &language);
    let errors: Vec<Diagnostic> =
        outcome.diagnostics.into_iter().filter(|mistake| mistake.severity == Severity::Error).collect();
    outcome.plan.ok_or_else(|| anyhow!("{}", picture(&errors, sources)))
}

/// What differs in a case; empty where it passes.
fn check(case: &Case, plan: &Plan, suite: &Suite) -> Result<String, Vec<Diagnostic>> {
    let context = Context::alone("test", suite.ecs, false);
    // Built anew for each, since filters such as `aggregate` remember.
    let mut trial = Trial::build(plan, &context)?;
    let got = case.run(&mut trial, &context)?;
    let mut difference = diff::compare(&case.expect, &got, case.exact);
    for error in &trial.failed {
        difference += &format!("  a condition lost its event: {error}\n");
    }
    Ok(difference)
}
