//! A daemon on a pipeline and a data folder that outlives it, asked over its APIs.

use crate::program::{Running, free_port, get, logboom, request, until};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// A running daemon; killed when dropped.
pub struct Daemon {
    running: Running,
    /// Where the search API listens, if it does.
    pub search: SocketAddr,
    /// Where the management API listens.
    pub api: SocketAddr,
    stderr: PathBuf,
}

impl Daemon {
    /// Starts the program on a pipeline with its data in `data`.
    pub fn start(data: &Path, pipeline: &str, more: &[&str]) -> Daemon {
        Daemon::start_with(data, pipeline, more, &[])
    }

    /// The same with environment variables.
    pub fn start_with(data: &Path, pipeline: &str, more: &[&str], env: &[(&str, &str)]) -> Daemon {
        let more: Vec<&str> = more.iter().copied().chain(["-e", pipeline]).collect();
        Daemon::start_as(data, &more, env)
    }

    /// The same with nothing but these arguments.
    pub fn start_as(data: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Daemon {
        let [search, api] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let stderr = data.with_extension("stderr");
        let log = std::fs::File::options().create(true).append(true).open(&stderr).unwrap();
        let running = Running::start(
            logboom()
                .arg(format!("--path.data={}", data.display()))
                .arg(format!("--search.http.port={}", search.port()))
                .arg(format!("--api.http.port={}", api.port()))
                .args(arguments)
                .envs(env.iter().copied())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log),
        );
        Daemon { running, search, api, stderr }
    }

    /// kill -9, and reaps: what dropping does.
    pub fn kill(self) {}

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        self.running.signal(signal);
    }

    /// What the management API answers.
    pub fn node(&self, path: &str) -> Value {
        let answer = until(Duration::from_secs(20), || get(self.api, path).ok());
        let (_, text) = answer.unwrap_or_else(|| panic!("the management API does not answer: {}", self.log()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// SIGTERM, and waits for the end; the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.running.end(libc::SIGTERM, Duration::from_secs(30))
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.running.runs()
    }

    /// What it wrote on standard error, the runs before on the same data included.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Waits until the search API answers.
    pub fn ready(&self) {
        let answers = until(Duration::from_secs(20), || get(self.search, "/").ok());
        assert!(answers.is_some(), "the search API does not answer: {}", self.log());
    }

    /// The number of documents of a stream; 0 while there is none.
    pub fn count(&self, stream: &str) -> u64 {
        crate::program::count(self.search, stream, "*").unwrap_or(0)
    }

    /// A search.
    pub fn search(&self, stream: &str, body: &Value) -> Value {
        let (_, text) = request(self.search, "POST", &format!("/{stream}/_search"), &body.to_string()).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{stream}: {error}: {text}"))
    }
}
