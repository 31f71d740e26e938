//! `logboom fmt [--check] FILE…`: pipelines in one form, comments kept.

use crate::diagnostic::{Sources, render};
use crate::language::format;
use anyhow::{Context, bail};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Pipelines in one form.
#[derive(clap::Parser, Debug)]
#[command(name = "logboom fmt", bin_name = "logboom fmt")]
pub struct Args {
    /// Files to format in place; `-` reads standard input and writes standard output
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Change nothing: name the files that would change, and fail if there are any
    #[arg(long)]
    pub check: bool,
}

/// Runs the command from its arguments; whether all is well.
pub fn main(arguments: Vec<String>) -> anyhow::Result<bool> {
    let args: Args = super::arguments("fmt", arguments);
    let mut good = true;
    for file in &args.files {
        let stdin = file.as_os_str() == "-";
        let mut text = String::new();
        if stdin {
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        } else {
            text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        }
        let new = match format(&text) {
            Ok(new) => new,
            Err(mistakes) => {
                let sources = Sources { files: vec![(file.display().to_string(), text)] };
                eprint!("{}", render(&mistakes, &sources, false));
                good = false;
                continue;
            }
        };
        if stdin && !args.check {
            std::io::stdout().write_all(new.as_bytes())?;
        } else if new != text {
            println!("{}", file.display());
            if args.check {
                good = false;
            } else {
                replace(file, &new)?;
            }
        }
    }
    Ok(good)
}

/// By a new file, so that a full disk leaves the old one; its rights stay.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let file = &file.canonicalize()?;
    let Some(folder) = file.parent() else { bail!("cannot write {}: it is no file", file.display()) };
    let rights = std::fs::metadata(file)?.permissions();
    let new = folder.join(format!(".{}.new", file.file_name().unwrap_or_default().to_string_lossy()));
    std::fs::write(&new, text).with_context(|| format!("cannot write {}", new.display()))?;
    std::fs::set_permissions(&new, rights)?;
    std::fs::rename(&new, file).with_context(|| format!("cannot write {}", file.display()))
}
