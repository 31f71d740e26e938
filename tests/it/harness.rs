//! Starts the real binary, waits for conditions, and ends what it started.

use serde_json::Value;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The binary under test.
pub fn logboom() -> Command {
    Command::new(env!("CARGO_BIN_EXE_logboom"))
}

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    /// Where the search API listens, if it does.
    pub search: String,
    /// Where the management API listens.
    pub api: String,
    stderr: PathBuf,
}

impl Daemon {
    /// Starts the binary on a pipeline with its data in `data`.
    pub fn start(data: &Path, pipeline: &str, more: &[&str]) -> Daemon {
        Daemon::start_with(data, pipeline, more, &[])
    }

    /// The same with environment variables.
    pub fn start_with(data: &Path, pipeline: &str, more: &[&str], env: &[(&str, &str)]) -> Daemon {
        let (search, api) = (free_port(), free_port());
        let stderr = data.with_extension("stderr");
        let log = std::fs::File::options().create(true).append(true).open(&stderr).unwrap();
        let child = logboom()
            .arg(format!("--path.data={}", data.display()))
            .arg(format!("--search.http.port={search}"))
            .arg(format!("--api.http.port={api}"))
            .args(more)
            .args(["-e", pipeline])
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        Daemon { child, search: format!("http://127.0.0.1:{search}"), api: format!("http://127.0.0.1:{api}"), stderr }
    }

    /// kill -9, and reaps.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        // SAFETY: our own child, not reaped yet.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        self.wait(Duration::from_secs(30))
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let child = &mut self.child;
        let status = until(limit, || child.try_wait().unwrap());
        status.unwrap_or_else(|| panic!("no exit within {limit:?}: {}", self.log()))
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it wrote on standard error, the runs before on the same data included.
    pub fn log(&self) -> String {
        let mut text = String::new();
        let _unreadable = std::fs::File::open(&self.stderr).and_then(|mut f| f.read_to_string(&mut text));
        text
    }

    /// Waits until the search API answers.
    pub fn ready(&self) {
        let answers = until(Duration::from_secs(20), || get(&self.search).ok());
        assert!(answers.is_some(), "the search API does not answer: {}", self.log());
    }

    /// The number of documents of a stream; 0 while there is none.
    pub fn count(&self, stream: &str) -> u64 {
        get(&format!("{}/{stream}/_count", self.search)).ok().and_then(|v| v["count"].as_u64()).unwrap_or(0)
    }

    /// A search.
    pub fn search(&self, stream: &str, body: &Value) -> Value {
        post(&format!("{}/{stream}/_search", self.search), body)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Asks again every few milliseconds until there is an answer or the time is up.
pub fn until<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// GET, as JSON.
pub fn get(url: &str) -> Result<Value, ureq::Error> {
    let text = agent().get(url).call()?.body_mut().with_config().limit(1 << 30).read_to_string()?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// GET, as text.
pub fn get_text(url: &str) -> Result<String, ureq::Error> {
    agent().get(url).call()?.body_mut().with_config().limit(1 << 30).read_to_string()
}

/// POST of JSON.
pub fn post(url: &str, body: &Value) -> Value {
    let mut answer = agent()
        .post(url)
        .header("Content-Type", "application/json")
        .send(body.to_string())
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    let text = answer.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{url}: {error}: {text}"))
}
