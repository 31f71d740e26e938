//! `logboom demo`: the whole line at work with nothing else installed. Sample logs are written as
//! if they happened now, the shipped pipelines take them into the embedded index and the metrics.
//!
//! All that it makes lies in one folder, its configuration included, so that one can see how it
//! is done; a second start goes on where the last one stopped.

mod feed;

use super::Command;
use super::generate::Format;
use crate::daemon::{Configured, Daemon, Signals};
use crate::pipeline::Stop;
use crate::settings::Settings;
use crate::telemetry;
use anyhow::Context as _;
use feed::Log;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The pipelines that it runs, as they are shipped: name, text, and what their logs' paths are
/// there, which the demo's own take the place of.
const PIPELINES: [(&str, &str, &str); 2] = [
    ("safevideo", include_str!("../../../pipelines/safevideo.conf"), "${SAFEVIDEO_LOG:/var/log/safevideo/*.json}"),
    ("apache", include_str!("../../../pipelines/apache.conf"), "${APACHE_LOG:/var/log/apache2/access.log}"),
];

/// The operations guide's queries, chapter 5.3.
const QUERIES: [(&str, &str); 4] = [
    ("直近1時間のエラーログ: errors of the last hour", "level:ERROR AND @timestamp:[now-1h TO now]"),
    ("特定ユーザーの操作ログ: what one user did", "userId:\"user123\" AND action:*"),
    ("ログイン失敗: failed logins", "action:login AND status:failed"),
    ("レスポンスタイムが遅いAPI: slow answers of the API", "duration:>1000 AND service:\"safevideo-api\""),
];

/// Sample logs, live, through the shipped pipelines into the index and the metrics.
#[derive(clap::Parser, Debug)]
#[command(name = "logboom demo", bin_name = "logboom demo")]
pub struct Args {
    /// Where everything is kept [default: $XDG_DATA_HOME/logboom/demo, else
    /// ~/.local/share/logboom/demo]
    #[arg(long = "path.data", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Lines of the application log a second; the access log gets a tenth of it
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub rate: u64,
    /// Lines of the application log that are there at the first start; the access log gets a
    /// tenth of it
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub backlog: u64,
    /// Any other setting, as `--setting name=value`
    #[arg(short = 'S', long = "setting", value_name = "NAME=VALUE")]
    pub settings: Vec<String>,
}

/// What there is in the demo's folder.
struct Layout {
    top: PathBuf,
}

impl Layout {
    fn logs(&self) -> PathBuf {
        self.top.join("logs")
    }

    fn config(&self) -> PathBuf {
        self.top.join("config")
    }

    /// The log of a pipeline.
    fn log(&self, pipeline: &str) -> PathBuf {
        self.logs().join(if pipeline == "safevideo" { "safevideo.json" } else { "access.log" })
    }

    /// Makes the folders and writes the configuration. It is written anew each time, so that a
    /// newer program's demo runs the pipelines that it was shipped with.
    fn prepare(&self) -> std::io::Result<()> {
        std::fs::create_dir_all(self.logs())?;
        std::fs::create_dir_all(self.config())?;
        let mut list = String::from("# What `logboom demo` runs; written anew at each start.\n");
        for (name, text, log) in PIPELINES {
            let path = self.config().join(format!("{name}.conf"));
            // The ending finds the rotated file too.
            std::fs::write(&path, text.replacen(log, &format!("{}*", self.log(name).display()), 1))?;
            let quoted = serde_json::Value::from(path.to_string_lossy());
            let _ = write!(list, "- pipeline.id: {name}\n  path.config: {quoted}\n");
        }
        std::fs::write(self.config().join("pipelines.yml"), list)
    }

    /// Settings as if they had been given on the command line.
    fn settings(&self, more: &[String]) -> anyhow::Result<Settings> {
        let mut arguments = vec![
            format!("--path.settings={}", self.config().display()),
            format!("--path.data={}", self.top.join("data").display()),
            "--log.level=warn".to_owned(),
        ];
        arguments.extend(more.iter().flat_map(|pair| ["--setting".to_owned(), pair.clone()]));
        match super::parse(arguments, &crate::daemon::variable)? {
            Command::Run(settings) => Ok(*settings),
            other => unreachable!("BUG: flags of the demo ask for {other:?}"),
        }
    }
}

/// Runs the command from its arguments. Wrong ones end the process as clap does.
pub fn main(arguments: Vec<String>) -> anyhow::Result<bool> {
    run(&super::arguments("demo", arguments))
}

/// Runs until a signal comes; whether all is durable then.
fn run(args: &Args) -> anyhow::Result<bool> {
    let top = match &args.data {
        Some(data) => std::path::absolute(data)?,
        None => default_folder(),
    };
    let layout = Layout { top };
    layout.prepare().with_context(|| format!("cannot write to {}", layout.top.display()))?;
    let settings = layout.settings(&args.settings)?;
    telemetry::start(settings.log_level(), settings.log_json());
    let mut logs = open_logs(args, &layout)?;
    let configured = Configured::all(&settings)?;
    let Some(daemon) = Daemon::start_with(&settings, &configured, Signals::obey()?)? else { return Ok(false) };
    let search = daemon.search().context("the demo's pipelines use no index")?;
    let text = banner(&layout, &logs, search, daemon.api());
    // Nobody may be reading.
    let _closed = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    let stop = Arc::new(Stop::default());
    let flag = stop.clone();
    let feeder = std::thread::Builder::new().name("demo".into()).spawn(move || {
        if let Err(error) = feed::run(&mut logs, &flag) {
            tracing::error!("cannot write sample logs: {error}");
        }
    })?;
    let clean = daemon.join();
    stop.stop();
    Ok(feeder.join().is_ok() && clean)
}

fn open_logs(args: &Args, layout: &Layout) -> anyhow::Result<Vec<Log>> {
    let now = jiff::Timestamp::now().as_millisecond();
    let open = |pipeline, format, part: u64| {
        let path = layout.log(pipeline);
        let shown = path.display().to_string();
        let log = Log::open(path, format, args.backlog / part, (args.rate / part).max(1), now);
        log.with_context(|| format!("cannot write {shown}"))
    };
    Ok(vec![open("safevideo", Format::Json, 1)?, open("apache", Format::Apache, 10)?])
}

/// `$XDG_DATA_HOME/logboom/demo`, as [`crate::settings`] finds `path.data`.
fn default_folder() -> PathBuf {
    Settings::new(&crate::daemon::variable).data().join("demo")
}

/// What to look at and to try.
fn banner(layout: &Layout, logs: &[Log], search: SocketAddr, api: Option<SocketAddr>) -> String {
    let mut out = String::from("\nLogboom demo\n\n");
    let mut line = |name: &str, what: &dyn std::fmt::Display| {
        let _ = writeln!(out, "  {name:<9} {what}");
    };
    line("folder", &layout.top.display());
    for log in logs {
        line("log", log);
    }
    line("search", &format_args!("http://{search}/_cat/indices?v"));
    if let Some(api) = api {
        line("metrics", &format_args!("http://{api}/metrics"));
        line("node", &format_args!("http://{api}/_node/stats?pretty"));
        line("health", &format_args!("http://{api}/health"));
    }
    out.push_str("\nTry the operations guide's queries (5.3):\n");
    for (what, query) in QUERIES {
        let _ = write!(
            out,
            "\n  # {what}\n  curl -sG 'http://{search}/safevideo/_search?pretty' --data-urlencode '{}'\n",
            format_args!("q={query}")
        );
    }
    out.push_str("\nCtrl-C stops it; the next start goes on where this one stopped.\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_pipelines_are_the_shipped_ones_over_its_own_logs() {
        let top = tempfile::tempdir().unwrap();
        let layout = Layout { top: top.path().to_owned() };
        layout.prepare().unwrap();
        let settings = layout.settings(&["pipeline.workers=3".to_owned()]).unwrap();
        assert_eq!((settings.workers(), settings.data()), (3, &*top.path().join("data")));
        let configured = Configured::all(&settings).unwrap();
        assert_eq!(configured.iter().map(|c| c.settings.pipeline_id()).collect::<Vec<_>>(), ["safevideo", "apache"]);
        for (configured, (name, shipped, log)) in configured.iter().zip(PIPELINES) {
            let text = &configured.sources.files[0].1;
            assert!(text.contains(&format!("path => \"{}*\"", layout.log(name).display())), "{text}");
            assert_eq!(shipped.matches(log).count(), 1, "the path in {name}.conf");
        }
    }

    #[test]
    fn the_banner_says_where_to_look() {
        let layout = Layout { top: "/d".into() };
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = banner(&layout, &[], address(9200), Some(address(9601)));
        for part in ["http://127.0.0.1:9601/metrics", "http://127.0.0.1:9200/safevideo/_search"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        for (_, query) in QUERIES {
            assert!(text.contains(&format!("--data-urlencode 'q={query}'")), "{query}");
        }
    }
}
