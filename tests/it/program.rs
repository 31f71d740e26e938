//! Starts the real program for a test and takes what it writes.

use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

/// The program, with a data folder of its own that `data` keeps.
pub fn logboom(data: &tempfile::TempDir) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_logboom"));
    program.arg(format!("--path.data={}", data.path().join("data").display()));
    program
}

/// Sends `given` through an input with this codec and the filter sections; what comes out, or
/// what the program says on standard error if it fails.
pub fn run(codec: &str, filters: &str, settings: &[&str], given: &[u8]) -> Result<Vec<Value>, String> {
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let pipeline = format!(
        "input {{ stdin {{ codec => {codec} }} }}\n{filters}\noutput {{ stdout {{ codec => json_lines {{}} }} }}"
    );
    let mut program = logboom(&data)
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
