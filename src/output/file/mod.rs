//! The `file` output: appends events to files, whose names may depend on the event.
//!
//! `output { file { path => "/var/log/out/%{service}-%{+YYYY-MM-dd}.log" } }`, as Logstash's.
//!
//! An event is done when the kernel has taken its bytes: that survives a crash of this process, and
//! with `fsync => true` one of the machine. A full disk is waited for: the bytes are kept and
//! tried again, and the queue before the output fills up meanwhile. A name that leaves the fixed
//! beginning of `path`, or that the file system refuses, goes to `filename_failure` there.

mod target;

use super::Output;
use crate::codec::Encoder;
use crate::diagnostic::{Diagnostic, code};
use crate::event::Template;
use crate::pipeline::Delivery;
use crate::plugin::{Build, Built, Context, Opt, Options, Spec, Type};
use rustc_hash::FxHashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};
use target::{How, Target};

pub(super) static SPEC: Spec = Spec {
    name: "file",
    summary: "Appends events to files.",
    options: &[
        Opt::new("codec", Type::Codec, Some("json_lines"), "How events become bytes."),
        Opt::new(
            "create_if_deleted",
            Type::Boolean,
            Some("true"),
            "Make a file anew that was deleted; otherwise its events go to `filename_failure`.",
        ),
        Opt::new(
            "dir_mode",
            Type::Number,
            Some("-1"),
            "The mode of folders that are made, `0750`; -1 for the system's.",
        ),
        Opt::new(
            "file_mode",
            Type::Number,
            Some("-1"),
            "The mode of files that are made, `0640`; -1 for the system's.",
        ),
        Opt::new(
            "filename_failure",
            Type::String,
            Some("_filepath_failures"),
            "The file, below the fixed beginning of `path`, for events whose own file can't be.",
        ),
        Opt::new(
            "flush_interval",
            Type::Number,
            Some("2"),
            "After how many seconds at the latest events are written while more come; 0 writes each at once. \
             When no more wait they are written in any case.",
        ),
        Opt::new("fsync", Type::Boolean, Some("false"), "Let events count as delivered only when the disk has them."),
        Opt::new("gzip", Type::Boolean, Some("false"), "Compress; each burst of events is a gzip member of its own."),
        Opt::required(
            "path",
            Type::String,
            "The file; may refer to fields and the event's time behind its first folder.",
        ),
        Opt::new(
            "stale_cleanup_interval",
            Type::Number,
            Some("10"),
            "After how many seconds a file is closed to which nothing was written.",
        ),
        Opt::new(
            "write_behavior",
            Type::Enum(&["append", "overwrite"]),
            Some("append"),
            "Whether events are appended, or each takes the place of what the file holds.",
        ),
    ],
    examples: &[],
    build: Build::Output(build),
};

/// Files open at the same time at the most; then all are written and closed.
const OPEN_MAX: usize = 512;
/// Bytes that wait to be written at the most, over all files.
const BUFFER_BYTES: usize = 1 << 20;
/// Deliveries that wait at the most: they hold their batches, and their inputs' positions back.
const PENDING_MAX: usize = 32;
/// How long to wait after a failed write, at the most.
const RETRY_MAX: Duration = Duration::from_secs(5);

struct File {
    path: Template,
    /// The fixed beginning of the path, which events can't leave.
    root: PathBuf,
    failure: PathBuf,
    encoder: Box<dyn Encoder>,
    how: How,
    flush_interval: Duration,
    stale_interval: Duration,
    targets: Vec<Target>,
    /// Places in `targets` by the path as rendered.
    by_name: FxHashMap<Vec<u8>, usize>,
    name: Vec<u8>,
    last: Option<(Vec<u8>, usize)>,
    waiting: usize,
    pending: Vec<Delivery>,
    flushed: Instant,
    cleaned: Instant,
    /// An error that was logged is not over.
    failing: bool,
    /// A bad name was logged; the next is when stale files are closed.
    warned: bool,
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Output>> {
    let written = options.str("path").unwrap_or_default();
    let path = std::path::absolute(written).unwrap_or_else(|_| PathBuf::from(written));
    let path = path.to_str().unwrap_or(written).to_owned();
    let wrong = |message: &str| Err(vec![Diagnostic::error(code::VALUE, options.place_of("path"), message)]);
    if written.is_empty() || written.ends_with('/') {
        return wrong("the path names no file");
    }
    let root = match path.find("%{") {
        Some(at) => Path::new(&path[..path[..at].rfind('/').unwrap_or(0)]).to_owned(),
        None => Path::new(&path).parent().unwrap_or(Path::new("/")).to_owned(),
    };
    if root.as_os_str().is_empty() || path.contains("%{") && root == Path::new("/") {
        return wrong("the first folder of the path must not depend on the event");
    }
    let root = normal(&root).unwrap_or(root);
    let seconds = |name: &str, default: f64| {
        Duration::try_from_secs_f64(options.number(name).unwrap_or(default).max(0.0)).unwrap_or(Duration::MAX)
    };
    Ok(Box::new(File {
        path: Template::parse(&path),
        failure: root.join(options.str("filename_failure").unwrap_or("_filepath_failures")),
        root,
        encoder: super::encoder(options, "json_lines", context)?,
        how: How {
            gzip: options.bool("gzip", false),
            overwrite: options.str("write_behavior") == Some("overwrite"),
            fsync: options.bool("fsync", false),
            create_if_deleted: options.bool("create_if_deleted", true),
            dir_mode: mode(options, "dir_mode")?,
            file_mode: mode(options, "file_mode")?,
        },
        flush_interval: seconds("flush_interval", 2.0),
        stale_interval: seconds("stale_cleanup_interval", 10.0),
        targets: Vec::new(),
        by_name: FxHashMap::default(),
        name: Vec::new(),
        last: None,
        waiting: 0,
        pending: Vec::new(),
        flushed: Instant::now(),
        cleaned: Instant::now(),
        failing: false,
        warned: false,
    }))
}

/// A mode as Ruby reads it: octal where it begins with 0.
fn mode(options: &Options, name: &str) -> Built<Option<u32>> {
    let text = options.str(name).unwrap_or("-1");
    let radix = if text.starts_with('0') { 8 } else { 10 };
    match u32::from_str_radix(text.trim_start_matches("0o"), radix) {
        Ok(mode) if mode <= 0o7777 => Ok(Some(mode)),
        _ if text == "-1" => Ok(None),
        _ => {
            let error = Diagnostic::error(code::VALUE, options.place_of(name), format!("`{text}` is no file mode"));
            Err(vec![error.label("such as `0640`")])
        }
    }
}

/// Without `.` and `..`; `None` where it would go above the top.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if !out.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            part => out.push(part),
        }
    }
    Some(out)
}

impl Output for File {
    fn write(&mut self, delivery: Delivery) {
        for &event in &delivery.events {
            self.name.clear();
            self.path.render(&delivery.batch, event, &mut self.name);
            let at = self.target();
            let buffer = &mut self.targets[at].buffer;
            let before = buffer.len();
            if self.how.overwrite {
                buffer.clear();
            }
            self.encoder.encode(&delivery.batch, event, buffer);
            self.waiting += buffer.len().saturating_sub(before);
            if self.waiting >= BUFFER_BYTES || self.flush_interval.is_zero() {
                self.write_all();
            }
        }
        self.pending.push(delivery);
        let full = self.waiting >= BUFFER_BYTES / 2 || self.pending.len() >= PENDING_MAX;
        if full || self.flushed.elapsed() >= self.flush_interval {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.write_all();
        self.pending.drain(..).for_each(Delivery::done);
        self.flushed = Instant::now();
        if self.cleaned.elapsed() >= self.stale_interval {
            self.close_stale();
        }
    }

    fn close(&mut self) {
        self.flush();
        self.close_all();
    }
}

impl File {
    /// The place of the target that `self.name` names.
    fn target(&mut self) -> usize {
        if let Some((name, at)) = &self.last
            && *name == self.name
        {
            return *at;
        }
        let at = match self.by_name.get(&self.name) {
            Some(&at) => at,
            None => {
                if self.targets.len() >= OPEN_MAX {
                    self.write_all();
                    self.close_all();
                }
                // Many names may mean the failure file.
                if self.by_name.len() >= 2 * OPEN_MAX {
                    self.by_name.clear();
                }
                let path = self.allowed().unwrap_or_else(|| self.failure.clone());
                // Several names may mean one file: it must have one buffer, to keep the order.
                let at = match self.targets.iter().position(|target| target.path() == path) {
                    Some(at) => at,
                    None => {
                        self.targets.push(Target::new(path));
                        self.targets.len() - 1
                    }
                };
                self.by_name.insert(self.name.clone(), at);
                at
            }
        };
        self.last = Some((self.name.clone(), at));
        at
    }

    /// The path that `self.name` means, if it lies below the root.
    fn allowed(&mut self) -> Option<PathBuf> {
        let path = normal(Path::new(OsStr::from_bytes(&self.name)))?;
        let inside = path.starts_with(&self.root) && path != self.root && !self.name.contains(&0);
        if !inside && !std::mem::replace(&mut self.warned, true) {
            let name = String::from_utf8_lossy(&self.name);
            tracing::warn!(path = %name, failure = %self.failure.display(), "cannot write outside of the fixed part of the path");
        }
        inside.then_some(path)
    }

    /// Writes all buffers, however long it takes.
    fn write_all(&mut self) {
        for at in 0..self.targets.len() {
            let mut pause = Duration::ZERO;
            while let Err(error) = self.write_one(at) {
                if !std::mem::replace(&mut self.failing, true) {
                    let path = self.targets[at].path().display();
                    tracing::error!(%path, %error, "cannot write events, trying until it works");
                }
                pause = (pause * 2).clamp(Duration::from_millis(50), RETRY_MAX);
                std::thread::sleep(pause);
            }
            if std::mem::take(&mut self.failing) {
                tracing::info!(path = %self.targets[at].path().display(), "events are written again");
            }
        }
        self.waiting = 0;
    }

    fn write_one(&mut self, at: usize) -> io::Result<()> {
        let target = &mut self.targets[at];
        if target.buffer.is_empty() {
            return Ok(());
        }
        let failed = target.path() == self.failure;
        if !failed && !self.how.create_if_deleted && !target.exists() {
            return self.write_failure(at);
        }
        match target.write(&self.how) {
            Err(error) if !failed && is_name_error(&error) => {
                if !std::mem::replace(&mut self.warned, true) {
                    let path = target.path().display();
                    tracing::warn!(%path, %error, failure = %self.failure.display(), "cannot make a file of this name");
                }
                self.write_failure(at)
            }
            result => result,
        }
    }

    /// Writes what waits for a target to the failure file.
    fn write_failure(&mut self, at: usize) -> io::Result<()> {
        let mut failure = Target::new(self.failure.clone());
        std::mem::swap(&mut failure.buffer, &mut self.targets[at].buffer);
        let result = failure.write(&self.how);
        std::mem::swap(&mut failure.buffer, &mut self.targets[at].buffer);
        result
    }

    fn close_stale(&mut self) {
        self.cleaned = Instant::now();
        self.warned = false;
        // Buffers are empty: places may change.
        self.targets.retain_mut(|target| std::mem::take(&mut target.active));
        self.by_name.clear();
        self.last = None;
    }

    fn close_all(&mut self) {
        self.targets.clear();
        self.by_name.clear();
        self.last = None;
    }
}

/// Errors that waiting does not mend: the name itself can't be a file's.
fn is_name_error(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory};
    matches!(error.kind(), IsADirectory | NotADirectory | InvalidFilename | InvalidInput)
        || matches!(error.raw_os_error(), Some(libc::ENAMETOOLONG | libc::EISDIR | libc::ENOTDIR | libc::ELOOP))
}

#[cfg(test)]
mod tests;
