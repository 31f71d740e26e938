//! The daemon's own log: on standard error, so that standard output carries events alone.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts the log at `level` (`trace` to `error`, Logstash's `fatal` counts as `error`) as text
/// or as one JSON object a line. A second call changes nothing.
pub fn start(level: &str, json: bool) {
    let level = match level {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "warn" => LevelFilter::WARN,
        "error" | "fatal" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    };
    // Libraries speak from warnings up: their chatter is not the operator's business.
    let filter = EnvFilter::new(format!("warn,logboom={level}"));
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).with_target(false);
    let started = if json {
        log.json().flatten_event(true).try_init()
    } else {
        log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
    };
    drop(started);
}
