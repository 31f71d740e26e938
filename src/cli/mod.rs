//! The command line: Logstash's flags, any setting as `--name=value`, and the subcommands.
//!
//! A service file or an image that starts Logstash must start this as it is, so flags are read
//! by Logstash's rules, not by a library's. Arguments become a
//! [`Command`], which other modules run.

pub mod demo;
pub mod docs;
pub mod explain;
pub mod fmt;
pub mod generate;
pub mod keystore;
pub mod query;
pub mod rules;
pub mod tap;
pub mod test;

use crate::daemon;
use crate::language::suggest;
use crate::language::variable::Environment;
use crate::settings::secrets::{self, Places};
use crate::settings::table::{self, Type};
use crate::settings::{Settings, SettingsError};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the arguments ask for.
#[derive(Debug)]
pub enum Command {
    /// Run pipelines, or check them with `-t`.
    Run(Box<Settings>),
    /// `-V`
    Version,
    /// `-h`
    Help,
    /// `generate …`, with its own arguments.
    Generate(Vec<String>),
    /// `demo …`, with its own arguments.
    Demo(Vec<String>),
    /// `check …`: check rule files.
    Check(Vec<String>),
    /// `query …`: ask a running process.
    Query(Vec<String>),
    /// `test rules …`: run unit tests of rules; `test …`: of pipelines.
    Test(Vec<String>),
    /// `tap …`, with its own arguments.
    Tap(Vec<String>),
    /// `keystore …`, with its own arguments.
    Keystore(Vec<String>),
    /// `docs …`: print the reference of plugins or settings.
    Docs(Vec<String>),
    /// `explain …`: print the compiled plan.
    Explain(Vec<String>),
    /// `fmt …`: format pipelines.
    Fmt(Vec<String>),
}

/// Short flags and the settings that they stand for.
const SHORT: [(&str, &str); 11] = [
    ("-b", "pipeline.batch.size"),
    ("-e", "config.string"),
    ("-f", "path.config"),
    ("-i", "interactive"),
    ("-l", "path.logs"),
    ("-n", "node.name"),
    ("-p", "path.plugins"),
    ("-r", "config.reload.automatic"),
    ("-t", "config.test_and_exit"),
    ("-u", "pipeline.batch.delay"),
    ("-w", "pipeline.workers"),
];

/// Long flags whose names are no settings.
const LONG: [(&str, &str); 3] = [
    ("--enable-local-plugin-development", "enable-local-plugin-development"),
    ("--field-reference-escape-style", "config.field_reference.escape_style"),
    ("--plugin-classloaders", "pipeline.plugin_classloaders"),
];

/// Flags of old and what they set.
const OLD: [(&str, &str); 3] = [("--debug", "debug"), ("--quiet", "error"), ("--verbose", "info")];

/// Does what the arguments behind the program's name ask for.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = arguments.map(|a| a.to_string_lossy().into_owned()).collect();
    let done = match parse(arguments, &daemon::variable) {
        Ok(Command::Version) => print(&format!("logboom {}\n", env!("CARGO_PKG_VERSION"))),
        Ok(Command::Help) => print(&help()),
        Ok(Command::Docs(arguments)) => docs::main(arguments).map(|()| true),
        Ok(Command::Explain(arguments)) => explain::main(arguments),
        Ok(Command::Fmt(arguments)) => fmt::main(arguments),
        Ok(Command::Test(arguments)) if arguments.first().is_some_and(|what| what == "rules") => rules::test(arguments),
        Ok(Command::Test(arguments)) => test::main(arguments),
        Ok(Command::Tap(arguments)) => tap::main(arguments),
        Ok(Command::Keystore(arguments)) => keystore::main(arguments),
        Ok(Command::Generate(arguments)) => generate::main(arguments).map(|()| true),
        Ok(Command::Demo(arguments)) => demo::main(arguments),
        Ok(Command::Check(arguments)) => rules::check(arguments),
        Ok(Command::Query(arguments)) => query::main(arguments),
        Ok(Command::Run(settings)) => daemon::run(&settings),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> anyhow::Result<bool> {
    // A reader that has seen enough (`| head`) is no error.
    let _closed = std::io::stdout().write_all(text.as_bytes());
    Ok(true)
}

/// Reads the arguments behind the program's name, and opens the secrets that they name. All mistakes
/// come at once.
pub fn parse(arguments: Vec<String>, environment: Environment<'_>) -> Result<Command, SettingsError> {
    let mut arguments = arguments;
    match arguments.first().map(String::as_str) {
        Some("generate") => return Ok(Command::Generate(arguments.split_off(1))),
        Some("demo") => return Ok(Command::Demo(arguments.split_off(1))),
        Some("check") => return Ok(Command::Check(arguments.split_off(1))),
        Some("query") => return Ok(Command::Query(arguments.split_off(1))),
        Some("test") => return Ok(Command::Test(arguments.split_off(1))),
        Some("tap") => return Ok(Command::Tap(arguments.split_off(1))),
        Some("keystore") => return Ok(Command::Keystore(arguments.split_off(1))),
        Some("docs") => return Ok(Command::Docs(arguments.split_off(1))),
        Some("explain") => return Ok(Command::Explain(arguments.split_off(1))),
        Some("fmt") => return Ok(Command::Fmt(arguments.split_off(1))),
        Some("help") => return Ok(Command::Help),
        Some("version") => return Ok(Command::Version),
        _ => {}
    }
    let mut flags = Flags::default();
    flags.read(arguments);
    if flags.help {
        return Ok(Command::Help);
    }
    if flags.version {
        return Ok(Command::Version);
    }
    let mut settings = Settings::new(environment);
    let mut mistakes = flags.mistakes;
    // Values in the settings file may be secrets.
    if let Err(SettingsError(more)) = secrets::open(Places::find(&flags.given, environment)) {
        mistakes.extend(more);
    }
    // The folder first, since flags go before what stands in its file.
    if let Some((_, folder)) = flags.given.iter().rev().find(|(name, _)| name == "path.settings")
        && let Err(SettingsError(more)) = settings.read_folder(&PathBuf::from(folder), environment)
    {
        mistakes.extend(more);
    }
    let files: Vec<String> =
        flags.given.iter().filter(|(name, _)| name == "path.config").map(|(_, value)| value.clone()).collect();
    // A pipeline on the command line goes before one in the settings file.
    if !files.is_empty() || flags.given.iter().any(|(name, _)| name == "config.string") {
        settings.unset("path.config");
        settings.unset("config.string");
    }
    for (name, value) in flags.given {
        let result = match name.as_str() {
            "path.config" => settings.set_list(&name, files.clone()),
            _ => settings.set(&name, &value),
        };
        settings.hold(&name);
        mistakes.extend(result.err());
    }
    mistakes.extend(settings.mistakes_of_process());
    mistakes.dedup();
    if mistakes.is_empty() { Ok(Command::Run(Box::new(settings))) } else { Err(SettingsError(mistakes)) }
}

/// The arguments of a subcommand. Wrong ones (and `--help`) end the process as clap does.
fn arguments<T: clap::Parser>(command: &str, arguments: Vec<String>) -> T {
    T::parse_from(std::iter::once(format!("logboom {command}")).chain(arguments))
}

#[derive(Default)]
struct Flags {
    /// Settings in the order given.
    given: Vec<(String, String)>,
    mistakes: Vec<String>,
    help: bool,
    version: bool,
}

impl Flags {
    fn read(&mut self, arguments: Vec<String>) {
        let mut arguments = arguments.into_iter().peekable();
        while let Some(argument) = arguments.next() {
            let (flag, value) = match argument.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            match flag {
                "-h" | "--help" => self.help = true,
                "-V" | "--version" => self.version = true,
                "-S" | "--setting" => match value.or_else(|| arguments.next()) {
                    Some(pair) => match pair.split_once('=') {
                        Some((name, value)) => self.given.push((name.to_owned(), value.to_owned())),
                        None => self.mistakes.push(format!("`{flag}` needs NAME=VALUE, not `{pair}`")),
                    },
                    None => self.mistakes.push(format!("`{flag}` needs NAME=VALUE behind it")),
                },
                _ => match name_of(flag) {
                    Some((name, fixed)) => {
                        let value = match fixed.map(str::to_owned).or(value) {
                            Some(value) => Some(value),
                            None if is_boolean(name) => {
                                let word = arguments.next_if(|next| next == "true" || next == "false");
                                Some(word.unwrap_or_else(|| "true".to_owned()))
                            }
                            None => arguments.next(),
                        };
                        match value {
                            Some(value) => self.given.push((name.to_owned(), value)),
                            None => self.mistakes.push(format!("`{flag}` needs a value behind it")),
                        }
                    }
                    None => self.mistakes.push(unknown(&argument)),
                },
            }
        }
    }
}

/// The setting that a flag stands for, and the value if the flag has one of its own.
fn name_of(flag: &str) -> Option<(&str, Option<&'static str>)> {
    if let Some((_, name)) = SHORT.iter().chain(&LONG).find(|(known, _)| *known == flag) {
        return Some((name, None));
    }
    if let Some((_, level)) = OLD.iter().find(|(known, _)| *known == flag) {
        return Some(("log.level", Some(level)));
    }
    // Settings that don't exist are told apart where they are set.
    flag.strip_prefix("--").filter(|name| name.contains('.') || table::find(name).is_some()).map(|name| (name, None))
}

fn is_boolean(name: &str) -> bool {
    table::find(name).is_some_and(|def| def.ty == Type::Boolean)
}

fn unknown(argument: &str) -> String {
    if argument.starts_with('-') {
        let known = SHORT.iter().chain(&LONG).chain(&OLD).map(|(flag, _)| *flag);
        // Every short flag is one letter away from every other.
        let near = suggest::did_you_mean(argument, known.chain(["--help", "--version"]));
        let near = near.filter(|_| argument.starts_with("--")).unwrap_or_else(|| "see `--help`".to_owned());
        return format!("unknown flag `{argument}`: {near}");
    }
    let commands = ["check", "demo", "docs", "explain", "fmt", "generate", "keystore", "query", "tap", "test"];
    let near = suggest::did_you_mean(argument, commands);
    let near = near.unwrap_or_else(|| {
        "a pattern of files needs quotes, `-f 'folder/*.conf'`, so that the shell leaves it as it is".to_owned()
    });
    format!("unexpected argument `{argument}`: {near}")
}

/// What `--help` prints.
pub fn help() -> String {
    let mut text = String::from(
        "logboom: a log pipeline, index and search in one process\n\n\
         Usage: logboom [flags]              run pipelines\n       \
         logboom demo                 try it with generated logs\n       \
         logboom generate --help      write sample logs to standard output\n       \
         logboom test FILE…           run unit tests of pipelines\n       \
         logboom fmt FILE…            format pipelines\n       \
         logboom explain FILE…        print the compiled plan, and what may be slow or ambiguous\n       \
         logboom keystore --help      keep secrets for `${NAME}` in pipelines and settings\n       \
         logboom tap PIPELINE         show events before and after a plugin while it runs\n       \
         logboom docs                 print the plugins and their options\n       \
         logboom docs PLUGIN          print one plugin's page\n       \
         logboom docs settings        print all settings as a logboom.yml\n       \
         logboom check rules FILE…    check rule files of Prometheus' format\n       \
         logboom query 'PROMQL'       ask a running Logboom what an expression is worth\n       \
         logboom test rules FILE…     run unit tests of rules, in promtool's format\n\n\
         Flags, as Logstash's:\n",
    );
    let line = |text: &mut String, flag: &str, doc: &str| {
        text.push_str(&format!("  {flag:<34} {doc}\n"));
    };
    for (flag, name) in SHORT.iter().filter(|(_, name)| table::find(name).is_some_and(|def| def.is_used())) {
        let doc = table::find(name).map_or("", |def| def.doc.split(". ").next().unwrap_or(def.doc));
        line(&mut text, &format!("{flag}, --{name}"), doc.trim_end_matches('.'));
    }
    line(&mut text, "-V, --version", "print the version and end");
    line(&mut text, "-h, --help", "print this and end");
    text.push_str("\nAny setting can be given as `--name=value` or `--name value`:\n");
    for def in table::SETTINGS.iter().filter(|def| def.is_used()) {
        let default = if def.default.is_empty() { String::new() } else { format!(" [{}]", def.default) };
        line(&mut text, &format!("--{}", def.name), &format!("{}{default}", def.doc));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<Settings, String> {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        match parse(arguments, &|_| None) {
            Ok(Command::Run(settings)) => Ok(*settings),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn flags_of_all_forms_are_read() {
        let settings = run(&[
            "-w",
            "3",
            "--pipeline.batch.size=50",
            "--log.level",
            "debug",
            "-t",
            "--config.support_escapes",
            "--api.enabled",
            "false",
            "-e",
            "input { x => 1 }",
            "-S",
            "pipeline.id=p",
            "-u",
            "7",
        ])
        .unwrap();
        assert_eq!((settings.workers(), settings.batch_size()), (3, 50));
        assert_eq!(settings.log_level(), "debug");
        assert!(settings.check_only() && settings.support_escapes() && settings.api().is_none());
        assert_eq!(settings.text("config.string"), Some("input { x => 1 }"));
        assert_eq!(settings.pipeline_id(), "p");
        assert_eq!(settings.batch_delay().as_millis(), 7);
        assert_eq!(run(&["--quiet"]).unwrap().log_level(), "error");
        assert_eq!(run(&["-f", "a", "-f", "b"]).unwrap().list("path.config"), ["a", "b"]);
        assert_eq!(run(&["-r"]).unwrap().warnings().len(), 0);
    }

    #[test]
    fn flags_go_before_the_settings_file() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("logboom.yml"), "pipeline.workers: 2\npath.config: /x\nlog.level: warn\n")
            .unwrap();
        let path = folder.path().to_str().unwrap();
        let settings = run(&["-w", "5", "--path.settings", path, "-e", "input { }"]).unwrap();
        assert_eq!((settings.workers(), settings.log_level()), (5, "warn"));
        assert!(settings.list("path.config").is_empty() && settings.mistakes().is_empty());
    }

    #[test]
    fn subcommands_and_answers() {
        let check = |arguments: &[&str], want: &str| assert_eq!(run(arguments).unwrap_err(), want, "{arguments:?}");
        check(&["-V"], "Version");
        check(&["--version"], "Version");
        check(&["-w", "x", "-h"], "Help");
        check(&["generate", "--count", "3"], "Generate([\"--count\", \"3\"])");
        check(&["demo"], "Demo([])");
        check(&["docs"], "Docs([])");
    }

    #[test]
    fn all_mistakes_are_told() {
        let check = |arguments: &[&str], want: &str| assert_eq!(run(arguments).unwrap_err(), want, "{arguments:?}");
        check(
            &["--pipeline.workes=2", "-w", "x"],
            "unknown setting `pipeline.workes`: did you mean `pipeline.workers`?\n`pipeline.workers` needs a whole number from 1 to 1024, not `x`",
        );
        check(&["-x"], "unknown flag `-x`: see `--help`");
        check(&["--verbos"], "unknown flag `--verbos`: did you mean `--verbose`?");
        check(&["-f"], "`-f` needs a value behind it");
        check(&["genrate"], "unexpected argument `genrate`: did you mean `generate`?");
        check(&["-S", "x"], "`-S` needs NAME=VALUE, not `x`");
        assert!(run(&["-f", "a.conf", "b.conf"]).unwrap_err().contains("needs quotes"));
        assert!(run(&["--path.settings=/does/not/exist"]).unwrap_err().contains("is no folder"));
    }

    #[test]
    fn help_names_every_used_setting() {
        let text = help();
        assert!(table::SETTINGS.iter().filter(|def| def.is_used()).all(|def| text.contains(def.name)));
    }
}
