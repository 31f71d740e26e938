//! Real peers, where they are installed: Prometheus 2 and 3, Alertmanager, Pushgateway. A test that
//! needs one that is not there says so and is left out.

use crate::program::{Running, free_port, get, wait_for};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Says that a test is left out.
pub fn left_out(what: &str) {
    eprintln!("left out: {what} is not installed");
}

/// What a program says of its version, if it is there.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

/// Whether a command is there.
pub fn installed(command: &str) -> bool {
    version(Path::new(command)).is_some()
}

/// A command of Prometheus of this major version: one in the path, or of `go install`, which has no
/// version to tell.
pub fn of_prometheus(command: &str, major: u32) -> Option<PathBuf> {
    let go = Command::new("go").args(["env", "GOPATH"]).output().ok();
    let go = go.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let go = go.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join("go")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(go.map(|go| go.join("bin")));
    folders.find_map(|folder| {
        let program = folder.join(command);
        (version(&program)?.contains("version 2.") == (major == 2)).then_some(program)
    })
}

/// An address of this machine where nothing listens.
pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// A peer that runs; killed when dropped.
pub struct Peer {
    running: Running,
    /// Where it listens.
    pub address: SocketAddr,
    log: PathBuf,
}

impl Peer {
    /// Starts a command that listens at an address, with its log in a file.
    pub fn start(command: &mut Command, address: SocketAddr, log: PathBuf) -> Peer {
        let file = std::fs::File::options().create(true).append(true).open(&log).expect("a log can be written");
        let running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file));
        Peer { running, address, log }
    }

    /// Waits until it says that it is ready.
    pub fn ready(self) -> Peer {
        let ready = wait_for(|| get(self.address, "/-/ready").ok().filter(|(status, _)| *status == 200));
        assert!(ready.is_some(), "a peer does not get ready: {}", self.log());
        self
    }

    /// A Prometheus that scrapes nothing and takes what is written to it.
    pub fn prometheus(binary: &Path, folder: &Path, address: SocketAddr, more: &[&str]) -> Peer {
        let config = folder.join("prometheus.yml");
        let text =
            "global: {scrape_interval: 1m, evaluation_interval: 1m}\nstorage: {exemplars: {max_exemplars: 1000}}\n";
        std::fs::write(&config, text).expect("a folder of the test can be written to");
        let mut command = Command::new(binary);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()));
        command.args([format!("--web.listen-address={address}"), "--web.enable-remote-write-receiver".to_owned()]);
        Peer::start(command.args(more), address, folder.join("prometheus.log"))
    }

    /// Debian's Alertmanager, which tells nobody of its alerts.
    pub fn alertmanager(folder: &Path, address: SocketAddr, more: &[&str]) -> Peer {
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n")
            .expect("a folder of the test can be written to");
        let mut command = Command::new("prometheus-alertmanager");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", folder.join("alertmanager").display()));
        command.args([format!("--web.listen-address={address}"), "--cluster.listen-address=".to_owned()]);
        Peer::start(command.args(more), address, folder.join("alertmanager.log"))
    }

    /// kill -9, and waits until it is gone: what dropping does.
    pub fn kill(self) {}

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(self) {
        self.running.stop(libc::SIGTERM, Duration::from_secs(30));
    }
}

/// A text as part of a query string.
pub fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// What an API answers in JSON.
pub fn json(address: SocketAddr, path: &str) -> Option<Value> {
    serde_json::from_str(&get(address, path).ok()?.1).ok()
}

/// The elements of the answer to an instant query at a time in seconds, or now.
pub fn query(address: SocketAddr, expr: &str, time: Option<f64>) -> Option<Vec<Value>> {
    let time = time.map(|time| format!("&time={time}")).unwrap_or_default();
    let answer = json(address, &format!("/api/v1/query?query={}{time}", encoded(expr)))?;
    Some(answer["data"]["result"].as_array()?.clone())
}

/// The number that an instant query gives now, if it gives one element.
pub fn number(address: SocketAddr, expr: &str) -> Option<f64> {
    match &query(address, expr, None)?[..] {
        [one] => one["value"][1].as_str()?.parse().ok(),
        _ => None,
    }
}
