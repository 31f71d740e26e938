//! The daemon's own log: on standard error, so that standard output carries events alone. Levels can be
//! changed while it runs, for a part of the program by the name that Logstash has for it.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;

/// Levels that were set for parts, at the most: more is no use to anybody.
const LOGGERS_MAX: usize = 200;

/// The log of this process.
struct Log {
    /// The level that `log.level` says.
    level: &'static str,
    /// What was changed since, by name.
    changed: Mutex<BTreeMap<String, &'static str>>,
    apply: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Why a level can't be changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// There is no such level.
    #[error("invalid level[{level}] for logger[{logger}]")]
    Level {
        /// As asked for.
        level: String,
        /// For which part.
        logger: String,
    },
    /// Nothing logs here, or too many parts have levels of their own.
    #[error("cannot change the level of `{0}`")]
    Logger(String),
}

/// Starts the log at `level` (`trace` to `error`, Logstash's `fatal` counts as `error`) as text
/// or as one JSON object a line. A second call changes nothing.
pub fn start(level: &str, json: bool) {
    let level = known(level).unwrap_or("info");
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter(level, &BTreeMap::new()))
        .with_target(false);
    let changed = Mutex::default();
    if json {
        let log = log.json().flatten_event(true).with_filter_reloading();
        let handle = log.reload_handle();
        if log.try_init().is_ok() {
            let apply = Box::new(move |filter| drop(handle.reload(filter)));
            drop(LOG.set(Log { level, changed, apply }));
        }
    } else {
        let log = log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).with_filter_reloading();
        let handle = log.reload_handle();
        if log.try_init().is_ok() {
            let apply = Box::new(move |filter| drop(handle.reload(filter)));
            drop(LOG.set(Log { level, changed, apply }));
        }
    }
}

/// The levels by part; the one without name of its own is `logstash`.
pub fn levels() -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([("logstash".to_owned(), "INFO".to_owned())]);
    if let Some(log) = LOG.get() {
        all.insert("logstash".to_owned(), log.level.to_uppercase());
        all.extend(log.changed.lock().iter().map(|(name, level)| (name.clone(), level.to_uppercase())));
    }
    all
}

/// Changes the level of parts, all or none.
pub fn set_levels(levels: &[(String, String)]) -> Result<(), LevelError> {
    let Some(log) = LOG.get() else { return Err(LevelError::Logger("logstash".to_owned())) };
    let mut changed = log.changed.lock();
    let mut next = changed.clone();
    for (logger, level) in levels {
        let wrong = || LevelError::Level { level: level.clone(), logger: logger.clone() };
        let level = known(&level.to_lowercase()).ok_or_else(wrong)?;
        if next.len() >= LOGGERS_MAX || target(logger).is_none() {
            return Err(LevelError::Logger(logger.clone()));
        }
        next.insert(logger.clone(), level);
    }
    (log.apply)(filter(log.level, &next));
    *changed = next;
    Ok(())
}

/// Back to what the settings say.
pub fn reset_levels() {
    if let Some(log) = LOG.get() {
        let mut changed = log.changed.lock();
        changed.clear();
        (log.apply)(filter(log.level, &changed));
    }
}

fn known(level: &str) -> Option<&'static str> {
    Some(match level {
        "fatal" | "error" => "error",
        "warn" => "warn",
        "info" => "info",
        "debug" => "debug",
        "trace" | "all" => "trace",
        "off" => "off",
        _ => return None,
    })
}

/// Libraries speak from warnings up: their chatter is not the operator's business.
fn filter(level: &str, changed: &BTreeMap<String, &'static str>) -> EnvFilter {
    let mut directives = format!("warn,logboom={level}");
    for (name, level) in changed {
        if let Some(target) = target(name) {
            directives += &format!(",{target}={level}");
        }
    }
    EnvFilter::new(directives)
}

/// The part of the program that a logger's name means: `logstash.filters.grok`, `logboom.index`.
fn target(name: &str) -> Option<String> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
        return None;
    }
    let mut parts = name.split('.');
    let first = parts.next()?;
    if first != "logstash" && first != "logboom" {
        // Java's packages mean nothing here.
        return Some(name.replace('.', "::"));
    }
    let part = |word: &str| match word {
        "filters" => "filter".to_owned(),
        "inputs" => "input".to_owned(),
        "outputs" => "output".to_owned(),
        "codecs" => "codec".to_owned(),
        "agent" | "runner" => "daemon".to_owned(),
        "javapipeline" => "pipeline".to_owned(),
        other => other.to_owned(),
    };
    Some(std::iter::once("logboom".to_owned()).chain(parts.map(part)).collect::<Vec<_>>().join("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logstash_s_names_mean_parts_of_the_program() {
        let check = |name: &str, want: Option<&str>| assert_eq!(target(name).as_deref(), want, "{name}");
        check("logstash", Some("logboom"));
        check("logstash.filters.grok", Some("logboom::filter::grok"));
        check("logstash.agent", Some("logboom::daemon"));
        check("logboom.index", Some("logboom::index"));
        check("org.logstash.x", Some("org::logstash::x"));
        check("", None);
        check("a=b,c", None);
    }

    #[test]
    fn directives_name_parts() {
        let changed = BTreeMap::from([("logstash.outputs.file".to_owned(), "debug")]);
        let shown = filter("error", &changed).to_string();
        assert!(shown.contains("logboom::output::file=debug") && shown.contains("logboom=error"), "{shown}");
    }
}
