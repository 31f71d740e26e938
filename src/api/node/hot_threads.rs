//! `/_node/hot_threads`: which threads use the processors, from `/proc/self/task`.
//!
//! Measured over half a second rather than over the whole life, so that it tells what is hot now.
//! Native threads have no stack trace to show here; where one waits in the kernel, that function's
//! name stands in its place.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

/// How long threads are watched.
const WATCH: Duration = Duration::from_millis(500);
/// How many threads are shown.
const THREADS: usize = 10;

/// What was asked for.
pub(super) struct Options {
    threads: usize,
    /// Leave threads out that wait.
    ignore_idle: bool,
}

struct Task {
    id: u64,
    name: String,
    /// The letter of its state.
    state: char,
    ticks: u64,
    waits_in: String,
}

impl Options {
    /// Reads the query.
    pub fn read(query: &HashMap<String, String>) -> Result<Options, String> {
        let threads = match query.get("threads") {
            Some(text) => text.parse().map_err(|_| format!("invalid value for threads: \"{text}\""))?,
            None => THREADS,
        };
        if let Some(order) = query.get("ordered_by")
            && !["cpu", "wait", "block"].contains(&order.as_str())
        {
            return Err(format!("sort by {order} is not supported, only cpu, wait and block are"));
        }
        let ignore_idle = query
            .get("ignore_idle_threads")
            .is_none_or(|word| !matches!(word.as_str(), "false" | "f" | "no" | "n" | "0"));
        Ok(Options { threads, ignore_idle })
    }
}

/// The threads as JSON.
pub(super) async fn report(options: &Options) -> Value {
    let before: HashMap<u64, u64> = tasks().into_iter().map(|task| (task.id, task.ticks)).collect();
    tokio::time::sleep(WATCH).await;
    // SAFETY: sysconf only reads a constant of the system.
    let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let used = |task: &Task| task.ticks - before.get(&task.id).copied().unwrap_or(task.ticks).min(task.ticks);
    let mut tasks: Vec<(u64, Task)> = tasks().into_iter().map(|task| (used(&task), task)).collect();
    tasks.sort_by_key(|(used, task)| (std::cmp::Reverse(*used), task.id));
    tasks.retain(|(used, task)| !options.ignore_idle || *used > 0 || task.state == 'R');
    tasks.truncate(options.threads);
    let threads = tasks.iter().map(|(used, task)| {
        let percent = 100.0 * *used as f64 / ticks_per_second / WATCH.as_secs_f64();
        let traces: Vec<&str> =
            Some(task.waits_in.as_str()).filter(|name| !matches!(*name, "" | "0")).into_iter().collect();
        json!({
            "name": task.name,
            "thread_id": task.id,
            "percent_of_cpu_time": (percent * 100.0).round() / 100.0,
            "state": state(task.state),
            "traces": traces,
        })
    });
    let threads: Vec<Value> = threads.collect();
    json!({
        "time": format!("{:.0}", jiff::Timestamp::now()),
        "busiest_threads": options.threads,
        "threads": threads,
    })
}

/// The same for people.
pub(super) fn text(report: &Value, host: &str) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!(
        "::: {{{host}}}\nHot threads at {}, busiestThreads={}:\n{}\n",
        word(&report["time"]),
        report["busiest_threads"],
        "=".repeat(80)
    );
    for thread in report["threads"].as_array().into_iter().flatten() {
        let _ = writeln!(
            out,
            "{} % of cpu usage, state: {}, thread name: '{}', thread id: {}",
            thread["percent_of_cpu_time"],
            word(&thread["state"]),
            word(&thread["name"]),
            thread["thread_id"]
        );
        for trace in thread["traces"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "\t{}", word(trace));
        }
        let _ = writeln!(out, "{}", "-".repeat(80));
    }
    out
}

fn state(letter: char) -> &'static str {
    match letter {
        'R' => "runnable",
        'D' => "blocked",
        'T' | 't' => "stopped",
        _ => "timed_waiting",
    }
}

fn tasks() -> Vec<Task> {
    let Ok(entries) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let (head, rest) = stat.rsplit_once(") ")?;
            let fields: Vec<&str> = rest.split(' ').collect();
            Some(Task {
                id: entry.file_name().to_str()?.parse().ok()?,
                name: head.split_once('(')?.1.to_owned(),
                state: fields.first()?.chars().next()?,
                ticks: fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?,
                waits_in: std::fs::read_to_string(entry.path().join("wchan")).unwrap_or_default(),
            })
        })
        .collect()
}
