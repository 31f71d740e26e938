//! Starts the real program for a test and takes what it writes.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program.
pub fn logboom() -> Command {
    Command::new(env!("CARGO_BIN_EXE_logboom"))
}

/// The flag that gives it a data folder of its own below `folder`.
pub fn data_in(folder: &Path) -> String {
    format!("--path.data={}", folder.join("data").display())
}

/// Sends `given` through an input with this codec and the filter sections; what comes out, or
/// what the program says on standard error if it fails.
pub fn run(codec: &str, filters: &str, settings: &[&str], given: &[u8]) -> Result<Vec<Value>, String> {
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let pipeline = format!(
        "input {{ stdin {{ codec => {codec} }} }}\n{filters}\noutput {{ stdout {{ codec => json_lines {{}} }} }}"
    );
    let mut program = logboom()
        .arg(data_in(data.path()))
        .args(["-w", "1"])
        .args(settings)
        .args(["-e", &pipeline])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = program.stdin.take().expect("it has a standard input");
    let output = std::thread::scope(|scope| {
        // Beside the reading, since both pipes may fill up. A configuration error ends the
        // program before it has read anything: the broken pipe is no news.
        scope.spawn(move || stdin.write_all(given));
        program.wait_with_output().expect("the program ends")
    });
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let lines = output.stdout.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| error.to_string())).collect()
}

/// A program that runs until it is told to stop.
pub struct Running {
    child: std::process::Child,
}

impl Running {
    /// Starts it.
    pub fn start(program: &mut Command) -> Running {
        Running { child: program.spawn().expect("the program starts") }
    }

    /// Its standard output, once.
    pub fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("its standard output is piped")
    }

    /// Sends a signal, waits for the end and gives the exit code; `None` where it had to be killed.
    pub fn stop(mut self, signal: i32, patience: Duration) -> Option<i32> {
        self.end(signal, patience)
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill touches no memory of ours; the child has not been waited for, so its id
        // is still its own.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// What [`Running::stop`] does, for those who go on with what it leaves behind.
    pub fn end(&mut self, signal: i32, patience: Duration) -> Option<i32> {
        self.signal(signal);
        until(patience, || self.child.try_wait().expect("a child can be waited for"))?.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks by HTTP: status and body.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    request(address, "GET", path, "")
}

/// Asks by HTTP with a JSON body: status and body.
pub fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    // In 1.0 a body is never cut into chunks.
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\n")?;
    if !body.is_empty() {
        write!(stream, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())?;
    }
    write!(stream, "\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, body.to_owned()))
}

/// How many documents a query string finds; `None` while there is no answer.
pub fn count(address: SocketAddr, stream: &str, query: &str) -> Option<u64> {
    let encoded: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
    let (_, body) = get(address, &format!("/{stream}/_count?q={encoded}")).ok()?;
    serde_json::from_str::<Value>(&body).ok()?["count"].as_u64()
}

/// Asks again until the answer is there; `None` after a minute.
pub fn wait_for<T>(ask: impl FnMut() -> Option<T>) -> Option<T> {
    until(Duration::from_secs(60), ask)
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

/// A port that is free now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}
