//! The demo's log files: a backlog at the first start, then lines as they happen.
//!
//! The files are rotated by rename, so that a demo that nobody stops does not fill the disk.

use crate::cli::generate::{Format, Generator};
use crate::pipeline::Stop;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that has grown to this gives way to a new one; one old one is kept.
const ROTATE_BYTES: u64 = 64 << 20;
/// How often lines are written.
const TICK: Duration = Duration::from_millis(50);
/// The backlog goes back this far, so that "the last hour" holds half of it.
const BACKLOG_MS: i64 = 2 * 60 * 60 * 1000;

/// A log file that an application would write.
pub struct Log {
    path: PathBuf,
    format: Format,
    /// Lines of the first start's backlog.
    backlog: u64,
    /// Lines per second.
    rate: u64,
    generator: Generator,
    file: File,
    bytes: u64,
}

impl Log {
    /// Opens a log. A new one begins with its backlog, which is there whole or not at all.
    pub fn open(path: PathBuf, format: Format, backlog: u64, rate: u64, now_ms: i64) -> std::io::Result<Log> {
        // The start's own seed, so that no trace id comes twice.
        let mut generator = Generator::new(format, now_ms as u64, now_ms);
        let rotated = beside(&path, ".1");
        if !path.exists() && !rotated.exists() {
            let new = beside(&path, ".new");
            write_backlog(&mut generator, &new, backlog, now_ms)?;
            std::fs::rename(&new, &path)?;
        }
        let file = append(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Log { path, format, backlog, rate, generator, file, bytes })
    }

    fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        if self.bytes >= ROTATE_BYTES {
            std::fs::rename(&self.path, beside(&self.path, ".1"))?;
            (self.file, self.bytes) = (append(&self.path)?, 0);
        }
        self.file.write_all(lines)?;
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, format) = (self.path.display(), self.format);
        write!(f, "{path} ({format:?}: {} lines at the first start, {} a second)", self.backlog, self.rate)
    }
}

/// A path with an ending more.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_backlog(generator: &mut Generator, path: &Path, count: u64, now_ms: i64) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let mut lines = Vec::new();
    for n in 0..count {
        let at = now_ms - BACKLOG_MS + (BACKLOG_MS as i128 * n as i128 / count as i128) as i64;
        generator.event_at(at, &mut lines);
        if lines.len() > 1 << 20 {
            file.write_all(&lines)?;
            lines.clear();
        }
    }
    file.write_all(&lines)
}

/// Writes to the logs what is due until the stop.
pub fn run(logs: &mut [Log], stop: &Stop) -> std::io::Result<()> {
    let mut lines = Vec::new();
    let mut last = Instant::now();
    // What is due but not a whole line yet, in billionths of a line.
    let mut owed = vec![0_u128; logs.len()];
    while !stop.wait(TICK) {
        let now = Instant::now();
        let passed = (now - last).as_nanos();
        last = now;
        let now_ms = jiff::Timestamp::now().as_millisecond();
        for (log, owed) in logs.iter_mut().zip(&mut owed) {
            *owed += passed * log.rate as u128;
            lines.clear();
            // A machine that slept does not get the lines of its sleep, but at most a second's.
            for _ in 0..(*owed / 1_000_000_000).min(log.rate as u128) {
                log.generator.event_at(now_ms, &mut lines);
            }
            *owed %= 1_000_000_000;
            log.write(&lines)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_backlog_then_lines_as_they_happen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.json");
        let now = jiff::Timestamp::now().as_millisecond();
        let open = |now| Log::open(path.clone(), Format::Json, 1_000, 500, now).unwrap();
        drop(open(now));
        assert_eq!(lines(&path).len(), 1_000);
        let first: jiff::Timestamp = lines(&path)[0]["timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(first.as_millisecond(), now - BACKLOG_MS);

        let mut again = open(now + 1);
        assert_eq!(lines(&path).len(), 1_000, "the backlog comes once");
        let stop = Arc::new(Stop::default());
        std::thread::scope(|scope| {
            let flag = stop.clone();
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                flag.stop();
            });
            run(std::slice::from_mut(&mut again), &stop).unwrap();
        });
        let all = lines(&path);
        assert!((1_050..1_200).contains(&all.len()), "{}", all.len());
        let traces: std::collections::HashSet<_> = all.iter().map(|e| e["traceId"].as_str().unwrap()).collect();
        assert_eq!(traces.len(), all.len());
    }

    #[test]
    fn a_large_file_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.json");
        let mut log = Log::open(path.clone(), Format::Json, 1, 1, 0).unwrap();
        log.bytes = ROTATE_BYTES;
        log.write(b"{}\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
        assert_eq!(lines(&folder.path().join("app.json.1")).len(), 1);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Log::open(path.clone(), Format::Json, 1, 1, 0).unwrap().bytes, 0);
    }
}
