//! `logboom keystore`: secrets for `${NAME}` in configurations, as `logstash-keystore`.

use crate::settings::keystore::Keystore;
use crate::settings::secrets::{Places, password};
use anyhow::{Context as _, bail};
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// Secrets for `${NAME}` in configurations, in an encrypted file.
///
/// The file is `logboom.keystore` in `path.settings` (else in `path.data`). A password protects it where
/// the environment variable LOGBOOM_KEYSTORE_PASS (or LOGSTASH_KEYSTORE_PASS) holds one; the daemon
/// needs the same variable then.
#[derive(clap::Parser, Debug)]
#[command(name = "logboom keystore", bin_name = "logboom keystore")]
pub struct Args {
    /// The folder of the settings
    #[arg(long = "path.settings", value_name = "DIR", global = true)]
    pub settings: Option<PathBuf>,
    /// The data folder, where there is no folder of settings
    #[arg(long = "path.data", value_name = "DIR", global = true)]
    pub data: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Make an empty keystore
    Create {
        /// Also where there is one: its secrets are gone then
        #[arg(long)]
        force: bool,
    },
    /// Print the names of the secrets
    List,
    /// Keep secrets; each is asked for
    Add {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
        /// Read the secrets from standard input, a line each
        #[arg(long, short = 'x')]
        stdin: bool,
        /// Replace those that are there without a question
        #[arg(long)]
        force: bool,
    },
    /// Forget secrets
    Remove {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// Runs the command from its arguments. Wrong ones end the process as clap does.
pub fn main(arguments: Vec<String>) -> anyhow::Result<bool> {
    run(&super::arguments("keystore", arguments))
}

fn run(args: &Args) -> anyhow::Result<bool> {
    let flags = [("path.settings", &args.settings), ("path.data", &args.data)];
    let flag = |(name, value): (&str, &Option<PathBuf>)| Some((name.to_owned(), value.as_ref()?.display().to_string()));
    let flags: Vec<(String, String)> = flags.into_iter().filter_map(flag).collect();
    let path = Places::find(&flags, &|name| std::env::var(name).ok())
        .keystore
        .context("cannot tell where the keystore is: give `--path.settings DIR`")?;
    let open = || {
        let store = Keystore::open(&path, password())?;
        store
            .with_context(|| format!("cannot find keystore {}: make it with `logboom keystore create`", path.display()))
    };
    match &args.action {
        Action::Create { force } => {
            let question = format!("A keystore exists already at {}. Overwrite it?", path.display());
            if path.exists() && !force && !ask(&question)? {
                return Ok(false);
            }
            if password().is_none() {
                eprintln!(
                    "no password: the file's mode alone protects the secrets. For one, set LOGBOOM_KEYSTORE_PASS."
                );
            }
            Keystore::new(&path, password()).save()?;
            println!("Created {}", path.display());
        }
        Action::List => open()?.names().for_each(|name| println!("{name}")),
        Action::Add { names, stdin, force } => {
            let mut store = open()?;
            for name in names {
                if store.get(name).is_some() && !force && !ask(&format!("{name} exists already. Overwrite it?"))? {
                    continue;
                }
                let secret = secret(name, *stdin)?;
                store.put(name, &secret)?;
                store.save()?;
                println!("Added '{}'", name.to_lowercase());
            }
        }
        Action::Remove { names } => {
            let mut store = open()?;
            let mut all = true;
            for name in names {
                if store.remove(name) {
                    println!("Removed '{}'", name.to_lowercase());
                } else {
                    eprintln!("cannot remove '{name}': there is no such secret");
                    all = false;
                }
            }
            store.save()?;
            return Ok(all);
        }
    }
    Ok(true)
}

/// A question with yes or no; no where nobody can answer.
fn ask(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("{question} Say so with `--force`");
    }
    print!("{question} [y/N] ");
    std::io::stdout().flush()?;
    Ok(matches!(line()?.trim(), "y" | "Y" | "yes"))
}

fn secret(name: &str, stdin: bool) -> anyhow::Result<String> {
    let terminal = std::io::stdin().is_terminal() && !stdin;
    if terminal {
        print!("Enter value for {name}: ");
        std::io::stdout().flush()?;
    }
    let silence = terminal.then(Silence::begin);
    let secret = line()?;
    if silence.is_some() {
        println!();
    }
    let secret = secret.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        bail!("cannot add '{name}': the value is empty");
    }
    Ok(secret.to_owned())
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("cannot read standard input")?;
    Ok(line)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silence(Option<libc::termios>);

impl Silence {
    fn begin() -> Silence {
        // SAFETY: a termios of zeros is valid, and tcgetattr writes into the struct that it is given.
        let (read, before) = unsafe {
            let mut now: libc::termios = std::mem::zeroed();
            (libc::tcgetattr(libc::STDIN_FILENO, &mut now) == 0, now)
        };
        let mut quiet = before;
        quiet.c_lflag &= !libc::ECHO;
        // SAFETY: tcsetattr reads the struct that it is given.
        let set = read && unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &quiet) } == 0;
        Silence(set.then_some(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // SAFETY: tcsetattr reads the struct that it is given.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before) };
        }
    }
}
