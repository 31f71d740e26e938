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
//! need not even be known. The exit code is 0 where all tests pass. `--update` writes what came out into
//! the file, to be looked at with `git diff`.

mod case;
mod diff;
mod update;

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
    /// Write what came out of tests that fail into their files, as what is expected from now on
    #[arg(long)]
    pub update: bool,
}

/// Runs the command from its arguments; whether all tests passed.
pub fn main(arguments: Vec<String>) -> anyhow::Result<bool> {
    let args: Args = super::arguments("test", arguments);
    let (mut passed, mut failed, mut updated) = (0, 0, 0);
    for file in files(&args.files)? {
        match run(&file, &args) {
            Ok(counts) => {
                passed += counts.passed;
                failed += counts.failed;
                updated += counts.updated;
            }
            Err(error) => {
                failed += 1;
                println!("FAILED {}: {error:#}\n", file.display());
            }
        }
    }
    match updated {
        0 => println!("{passed} passed, {failed} failed"),
        _ => println!("{updated} updated, {passed} passed, {failed} failed"),
    }
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

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    updated: usize,
}

/// Runs the tests of a file.
fn run(file: &Path, args: &Args) -> anyhow::Result<Counts> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let suite = Suite::parse(&text)?;
    let sources = suite.sources(file.parent().unwrap_or(Path::new(".")))?;
    let plan = plan(&sources, &suite)?;
    let mut counts = Counts::default();
    let mut new = text.clone();
    for (number, case) in suite.cases.iter().enumerate() {
        if args.only.as_ref().is_some_and(|only| !case.name.contains(only.as_str())) {
            continue;
        }
        let found = check(case, &plan, &suite).map_err(|mistakes| anyhow!("{}", picture(&mistakes, &sources)))?;
        let said = format!("{}: {}\n{}", file.display(), case.name, found.difference);
        if found.difference.is_empty() {
            counts.passed += 1;
            if args.verbose {
                println!("passed {}: {}", file.display(), case.name);
            }
        } else if !args.update || found.lost {
            counts.failed += 1;
            println!("FAILED {said}");
        } else {
            match expect(&new, number, case, &found.events) {
                Ok(text) => {
                    new = text;
                    counts.updated += 1;
                    println!("UPDATED {said}");
                }
                Err(error) => {
                    counts.failed += 1;
                    println!("FAILED {said}{error:#}");
                }
            }
        }
    }
    if new != text {
        crate::durable::rewrite(file, new.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(counts)
}

/// The text of the file with other events expected of a test, which then passes.
fn expect(text: &str, number: usize, case: &Case, events: &[serde_json::Value]) -> anyhow::Result<String> {
    let new = update::updated(text, number, &update::expectation(&case.expect, events, case.exact))?;
    let suite = Suite::parse(&new).context("cannot update the file: what would be written is no file of tests")?;
    // What one test expects may be an anchor that another one names.
    let old = Suite::parse(text)?;
    let mut cases = suite.cases.iter().zip(&old.cases).enumerate();
    let others_stay = cases.all(|(at, (case, old))| at == number || case.is_written_as(old));
    match suite.cases.get(number) {
        Some(case) if diff::compare(&case.expect, events, case.exact).is_empty() && others_stay => Ok(new),
        _ => bail!("cannot update test {}: write it by hand", number + 1),
    }
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

/// What came of a test.
struct Found {
    /// In lines; empty where it passes.
    difference: String,
    /// What came out.
    events: Vec<serde_json::Value>,
    /// A condition failed and lost its event: that can't be expected.
    lost: bool,
}

fn check(case: &Case, plan: &Plan, suite: &Suite) -> Result<Found, Vec<Diagnostic>> {
    let context = Context::alone("test", suite.ecs, false);
    // Built anew for each, since filters such as `aggregate` remember.
    let mut trial = Trial::build(plan, &context)?;
    let events = case.run(&mut trial, &context)?;
    let mut difference = diff::compare(&case.expect, &events, case.exact);
    for error in &trial.failed {
        difference += &format!("  a condition lost its event: {error}\n");
    }
    Ok(Found { difference, events, lost: !trial.failed.is_empty() })
}
