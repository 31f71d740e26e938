//! `logboom check rules` and `logboom test rules`: rule files and their unit tests, as promtool
//! checks and runs them.

use crate::diagnostic::{Diagnostic, Place, Sources, code, render};
use crate::rule::{Group, file, unit};
use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

#[derive(Parser)]
#[command(about = "Check files before they are used")]
struct Check {
    #[command(subcommand)]
    what: CheckWhat,
}

#[derive(Subcommand)]
enum CheckWhat {
    /// Rule files of Prometheus' format: all mistakes at once, with their places
    Rules {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Parser)]
#[command(about = "Run unit tests")]
struct Test {
    #[command(subcommand)]
    what: TestWhat,
}

#[derive(Subcommand)]
enum TestWhat {
    /// Unit tests of rules, in promtool's format
    Rules {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// `logboom check …`; whether all is well.
pub fn check(arguments: Vec<String>) -> anyhow::Result<bool> {
    let Check { what: CheckWhat::Rules { files } } = super::arguments("check", arguments);
    let mut well = true;
    for path in &files {
        println!("Checking {}", path.display());
        let mut sources = Sources::default();
        match read(path, &mut sources) {
            Ok(groups) => {
                println!("  SUCCESS: {} rules found", groups.iter().map(|group| group.rules.len()).sum::<usize>());
                for duplicate in file::duplicates(&groups) {
                    println!("  WARNING: two rules write the same series: {duplicate}");
                }
            }
            Err(mistakes) => {
                well = false;
                println!("  FAILED:");
                show(&mistakes, &sources);
            }
        }
    }
    Ok(well)
}

/// `logboom test …`; whether all tests hold.
pub fn test(arguments: Vec<String>) -> anyhow::Result<bool> {
    let Test { what: TestWhat::Rules { files } } = super::arguments("test", arguments);
    let mut well = true;
    for path in &files {
        println!("Unit Testing:  {}", path.display());
        let mut sources = Sources::default();
        match test_file(path, &mut sources) {
            Ok(failures) if failures.is_empty() => println!("  SUCCESS\n"),
            Ok(failures) => {
                well = false;
                eprintln!("  FAILED:");
                failures.iter().for_each(|failure| eprintln!("{}\n", failure.0));
            }
            Err(mistakes) => {
                well = false;
                eprintln!("  FAILED:");
                show(&mistakes, &sources);
            }
        }
    }
    Ok(well)
}

fn show(mistakes: &[Diagnostic], sources: &Sources) {
    eprintln!("{}", render(mistakes, sources, std::io::stderr().is_terminal()));
}

fn test_file(path: &Path, sources: &mut Sources) -> Result<Vec<unit::Failure>, Vec<Diagnostic>> {
    let text = text_of(path, Place::default()).map_err(|mistake| vec![mistake])?;
    sources.files.push((path.display().to_string(), text.clone()));
    let read_file = unit::read(&text, 0)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut groups, mut mistakes) = (Vec::new(), Vec::new());
    for (pattern, place) in &read_file.rule_files {
        let pattern = folder.join(pattern);
        let paths: Vec<PathBuf> = glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten().collect();
        if paths.is_empty() {
            eprintln!("  WARNING: no file match pattern {}", pattern.display());
        }
        for path in paths {
            match text_of(&path, *place) {
                Ok(_) => match read(&path, sources) {
                    Ok(more) => groups.extend(more),
                    Err(more) => mistakes.extend(more),
                },
                Err(mistake) => mistakes.push(mistake),
            }
        }
    }
    if mistakes.is_empty() { Ok(unit::run(&read_file, &groups)) } else { Err(mistakes) }
}

fn text_of(path: &Path, place: Place) -> Result<String, Diagnostic> {
    std::fs::read_to_string(path)
        .map_err(|error| Diagnostic::error(code::FILE, place, format!("cannot read {}: {error}", path.display())))
}

/// Reads a rule file, and keeps its text for the pictures of mistakes.
fn read(path: &Path, sources: &mut Sources) -> Result<Vec<Group>, Vec<Diagnostic>> {
    let nowhere = Place { file: u32::MAX, ..Place::default() };
    let text = text_of(path, nowhere).map_err(|mistake| vec![mistake])?;
    let file = sources.files.len() as u32;
    let name = path.display().to_string();
    sources.files.push((name.clone(), text.clone()));
    file::read(&text, &name, file)
}
