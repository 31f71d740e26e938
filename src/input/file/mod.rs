//! The `file` input: reads lines of files, and follows them as they grow, are renamed, truncated
//! and made anew.
//!
//! `input { file { path => "/var/log/*.log" } }`, as Logstash's. Positions move with the
//! acknowledgements of the pipeline and are kept where the pipeline keeps its own; there is no
//! sincedb file. Lines longer than 100 MiB are cut off there and tagged `_linetruncated`.
//!
//! What is more than in Logstash: files are known by inode and content, so a rotation while nobody
//! watched is followed too; `zst` files are read; a `sincedb_path` that a Logstash has left is read
//! once, for files without a position here. `sincedb_path => "/dev/null"` keeps no positions.

mod complete;
mod discover;
mod find;
mod identity;
mod known;
mod reader;
mod source;
mod watch;

use super::Input;
use crate::diagnostic::{Diagnostic, code};
use crate::event::FieldRef;
use crate::metric::identity::hostname;
use crate::pipeline::Feed;
use crate::plugin::{Build, Built, Context, Opt, Options, Setting, Spec, Type};
use complete::{Action, Completed};
use reader::Reader;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) static SPEC: Spec = Spec {
    name: "file",
    summary: "Reads lines of files and follows them as they grow.",
    options: &[
        Opt::new(
            "check_archive_validity",
            Type::Boolean,
            Some("false"),
            "Unpack a compressed file to its end before anything of it is read; skip it where that fails.",
        ),
        Opt::new(
            "close_older",
            Type::Any,
            None,
            "Close a file from which nothing was read for so long (seconds, or text such as `1 hour`). It is opened again when it grows.",
        ),
        Opt::new("codec", Type::Codec, Some("plain"), "How a line becomes an event."),
        Opt::new(
            "delimiter",
            Type::String,
            Some("\\n"),
            "What ends a line. Compressed files always have lines that end in newlines, with or without carriage return.",
        ),
        Opt::new(
            "discover_interval",
            Type::Any,
            Some("1"),
            "How often to look for new files: seconds or text. Logstash counts in `stat_interval`s.",
        ),
        Opt::new("exclude", Type::Array, Some("[]"), "Patterns of names of files to leave out."),
        Opt::new("exit_after_read", Type::Boolean, Some("false"), "End the input when everything was read."),
        Opt::new(
            "file_chunk_count",
            Type::Number,
            None,
            "How many chunks are read of a file before it is the next file's turn. By default all in `read` mode, 4 MiB in `tail` mode.",
        ),
        Opt::new("file_chunk_size", Type::Number, Some("32768"), "The size of such a chunk in bytes."),
        Opt::new(
            "file_completed_action",
            Type::Enum(&["delete", "log", "log_and_delete"]),
            Some("delete"),
            "What happens in `read` mode to a file whose events are all durable.",
        ),
        Opt::new(
            "file_completed_log_path",
            Type::Path,
            None,
            "The file to which the paths of completed files are appended.",
        ),
        Opt::new(
            "file_sort_by",
            Type::Enum(&["last_modified", "path"]),
            Some("last_modified"),
            "What decides which file is read first.",
        ),
        Opt::new(
            "file_sort_direction",
            Type::Enum(&["asc", "desc"]),
            Some("asc"),
            "Whether the oldest (or first by path) is read first, or the newest (or last).",
        ),
        Opt::new(
            "ignore_older",
            Type::Any,
            None,
            "Leave out what is in files that were last changed so long ago (seconds or text) when they are found.",
        ),
        Opt::new("max_open_files", Type::Number, Some("4095"), "Files open at the same time at the most."),
        Opt::new(
            "mode",
            Type::Enum(&["tail", "read"]),
            Some("tail"),
            "Whether files are followed as they grow, or read once as they are.",
        ),
        Opt::required(
            "path",
            Type::Array,
            "The files: absolute paths or patterns with `*`, `?`, `[…]`, `{…,…}` and `**` for any folders.",
        ),
        Opt::new(
            "sincedb_clean_after",
            Type::Any,
            Some("14"),
            "How long the position of a file that is gone is kept: days or text.",
        ),
        Opt::new(
            "sincedb_path",
            Type::Path,
            None,
            "Where a Logstash kept its positions: read at first contact with a file. `/dev/null`: no positions are kept.",
        ),
        Opt::idle("sincedb_write_interval", Type::Any, Some("15"), "positions are kept as soon as events are durable."),
        Opt::new(
            "start_position",
            Type::Enum(&["beginning", "end"]),
            Some("end"),
            "Where to begin in files that are there when the input runs first. Files that appear later are read from the beginning.",
        ),
        Opt::new(
            "stat_interval",
            Type::Any,
            None,
            "How often to look whether files have changed: seconds or text. By default 50 to 250 ms, by the number of files.",
        ),
    ],
    examples: &[],
    build: Build::Input(build),
};

/// What the options say.
struct Settings {
    /// Absolute, braces expanded.
    patterns: Vec<String>,
    exclude: Vec<glob::Pattern>,
    /// `mode => read`.
    read: bool,
    start_at_end: bool,
    exit_after_read: bool,
    check_archives: bool,
    delimiter: Vec<u8>,
    /// Bytes of a file before the next one's turn.
    turn_bytes: u64,
    open_max: usize,
    stat_interval: Option<Duration>,
    discover_interval: Duration,
    close_older: Option<Duration>,
    ignore_older: Option<Duration>,
    clean_after: Duration,
    sort_by_path: bool,
    descending: bool,
    action: Action,
    sincedb: Option<PathBuf>,
    /// Whether positions are kept.
    keep: bool,
    host_fields: Vec<(FieldRef, String)>,
    /// Fields that get the path.
    path_fields: Vec<FieldRef>,
}

impl Settings {
    fn stat_interval(&self, files: usize) -> Duration {
        self.stat_interval.unwrap_or_else(|| Duration::from_micros(files as u64 * 250).clamp(STAT_MIN, STAT_MAX))
    }

    fn sort_key(&self, file: &Reader) -> watch::SortKey {
        (file.changed.filter(|_| !self.sort_by_path), file.path.clone())
    }
}

const STAT_MIN: Duration = Duration::from_millis(50);
const STAT_MAX: Duration = Duration::from_millis(250);
/// Bytes of a followed file before the next one's turn.
const TAIL_TURN_BYTES: u64 = 4 << 20;
const DAY: Duration = Duration::from_secs(86_400);

struct File {
    settings: Settings,
    completed: Completed,
}

impl Input for File {
    fn run(&mut self, feed: &Feed) -> anyhow::Result<()> {
        watch::Watch::new(&self.settings, feed, &mut self.completed).run();
        Ok(())
    }

    fn settled(&mut self) {
        self.completed.act_on_kept();
    }
}

fn build(options: &Options, context: &Context) -> Built<Box<dyn Input>> {
    let mut wrong = Vec::new();
    let settings = settings(options, context, &mut wrong);
    let log = options.str("file_completed_log_path").map(PathBuf::from);
    if settings.read && settings.action.logs() && log.is_none() {
        let message = "`file_completed_action` logs, but `file_completed_log_path` is not given";
        wrong.push(Diagnostic::error(code::VALUE, options.place_of("file_completed_action"), message));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Box::new(File { completed: Completed::new(settings.action, log), settings }))
}

fn settings(options: &Options, context: &Context, wrong: &mut Vec<Diagnostic>) -> Settings {
    let read = options.str("mode") == Some("read");
    let chunk = options.number("file_chunk_size").unwrap_or(32768.0).max(1.0);
    let turn_bytes = match options.number("file_chunk_count") {
        Some(count) => (chunk * count.max(1.0)) as u64,
        None if read => u64::MAX,
        None => TAIL_TURN_BYTES,
    };
    let sincedb = options.str("sincedb_path").map(PathBuf::from);
    let field = |ecs: &[&str], plain: &str| if context.ecs { FieldRef::path(ecs) } else { FieldRef::of(plain) };
    let host = hostname();
    let second = Duration::from_secs(1);
    let mut time = |name: &str, unit| duration(options, name, unit, wrong);
    Settings {
        read,
        turn_bytes,
        stat_interval: time("stat_interval", second),
        discover_interval: time("discover_interval", second).unwrap_or(second),
        close_older: time("close_older", second),
        ignore_older: time("ignore_older", second),
        clean_after: time("sincedb_clean_after", DAY).unwrap_or(DAY * 14),
        patterns: patterns(options, wrong),
        exclude: exclude(options, wrong),
        start_at_end: !read && options.str("start_position") != Some("beginning"),
        exit_after_read: options.bool("exit_after_read", false),
        check_archives: options.bool("check_archive_validity", false),
        delimiter: options.str("delimiter").filter(|d| !d.is_empty()).unwrap_or("\n").as_bytes().to_vec(),
        open_max: options.number("max_open_files").unwrap_or(4095.0).max(1.0) as usize,
        sort_by_path: options.str("file_sort_by") == Some("path"),
        descending: options.str("file_sort_direction") == Some("desc"),
        action: match options.str("file_completed_action") {
            Some("log") => Action::Log,
            Some("log_and_delete") => Action::LogAndDelete,
            _ => Action::Delete,
        },
        keep: !sincedb.as_ref().is_some_and(|path| path == Path::new("/dev/null") || path == Path::new("NUL")),
        sincedb,
        host_fields: vec![
            (field(&["host", "name"], "host"), host.clone()),
            (FieldRef::path(&["@metadata", "host"]), host),
        ],
        path_fields: vec![field(&["log", "file", "path"], "path"), FieldRef::path(&["@metadata", "path"])],
    }
}

fn patterns(options: &Options, wrong: &mut Vec<Diagnostic>) -> Vec<String> {
    let mut patterns = Vec::new();
    for setting in options.list("path") {
        let Some(path) = setting.as_str() else { continue };
        if !Path::new(path).is_absolute() {
            let message = format!("the path `{path}` is not absolute");
            wrong.push(Diagnostic::error(code::VALUE, setting.place, message).label("begin it with `/`"));
            continue;
        }
        for pattern in discover::braces(path) {
            check_pattern(&pattern, setting, wrong);
            patterns.push(pattern);
        }
    }
    patterns
}

fn exclude(options: &Options, wrong: &mut Vec<Diagnostic>) -> Vec<glob::Pattern> {
    let mut patterns = Vec::new();
    for setting in options.list("exclude") {
        for pattern in setting.as_str().map(discover::braces).unwrap_or_default() {
            patterns.extend(check_pattern(&pattern, setting, wrong));
        }
    }
    patterns
}

fn check_pattern(pattern: &str, setting: &Setting, wrong: &mut Vec<Diagnostic>) -> Option<glob::Pattern> {
    glob::Pattern::new(pattern)
        .map_err(|error| {
            let message = format!("`{pattern}` is no pattern of files: {}", error.msg);
            wrong.push(Diagnostic::error(code::VALUE, setting.place, message));
        })
        .ok()
}

/// A time: a number of `unit`s, or a text as Logstash's "friendly durations" (`250 ms`, `1.5 days`).
fn duration(options: &Options, name: &str, unit: Duration, wrong: &mut Vec<Diagnostic>) -> Option<Duration> {
    let text = options.str(name)?;
    let parsed = parse_duration(text, unit);
    if parsed.is_none() {
        let message = format!("`{text}` is no time");
        let error = Diagnostic::error(code::VALUE, options.place_of(name), message);
        wrong.push(error.label("a number, or a number with one of ms, s, m, h, d, w"));
    }
    parsed
}

fn parse_duration(text: &str, unit: Duration) -> Option<Duration> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim() {
        "" => unit,
        "us" | "usec" | "microsecond" | "microseconds" => Duration::from_micros(1),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Duration::from_millis(1),
        "s" | "sec" | "secs" | "second" | "seconds" => Duration::from_secs(1),
        "m" | "min" | "mins" | "minute" | "minutes" => Duration::from_secs(60),
        "h" | "hour" | "hours" => Duration::from_secs(3600),
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => DAY * 7,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit.as_secs_f64()).ok()
}

#[cfg(test)]
mod tests;
