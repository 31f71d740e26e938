//! Whether all is well: a row of checks, each green, yellow or red with its reason.

use super::Registry;
use super::pipeline::State;
use parking_lot::RwLock;
use std::path::PathBuf;
use std::sync::Arc;

/// How it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// All well.
    Green,
    /// Works, but somebody should look.
    Yellow,
    /// Data can't be taken or kept: act now.
    Red,
}

impl Status {
    /// `green`, `yellow` or `red`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Green => "green",
            Status::Yellow => "yellow",
            Status::Red => "red",
        }
    }
}

/// What one check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The check's name: `disk`.
    pub check: &'static str,
    /// How it is.
    pub status: Status,
    /// Why, and what to do; one sentence for the operator.
    pub reason: String,
}

/// Tells what is not green; nothing if all is.
type Check = Box<dyn Fn(&mut Vec<Finding>) + Send + Sync>;

/// The checks of this process.
#[derive(Default)]
pub struct Health {
    checks: RwLock<Vec<Check>>,
}

impl Health {
    /// No checks yet.
    pub fn new() -> Arc<Health> {
        Arc::new(Health::default())
    }

    /// Asks this function too. It must not block for long: load balancers wait for the answer.
    pub fn add(&self, check: impl Fn(&mut Vec<Finding>) + Send + Sync + 'static) {
        self.checks.write().push(Box::new(check));
    }

    /// Whether a pipeline runs at all.
    pub fn add_pipelines(&self, registry: Arc<Registry>) {
        self.add(move |out| {
            if registry.pipelines().is_empty() {
                let reason = "no pipeline runs".to_owned();
                out.push(Finding { check: "pipelines", status: Status::Yellow, reason });
            }
            for pipeline in registry.pipelines() {
                for output in &*pipeline.retired.lock() {
                    let reason = format!(
                        "pipeline `{}`: the output `{output}`, which the configuration no longer has, still holds events",
                        pipeline.id
                    );
                    out.push(Finding { check: "pipelines", status: Status::Yellow, reason });
                }
                let (status, what) = match pipeline.state() {
                    State::Running => continue,
                    State::Finished => (Status::Yellow, "has finished"),
                    State::Terminated => (Status::Red, "has ended with events that are not durable"),
                };
                let reason = format!("pipeline `{}` {what}", pipeline.id);
                out.push(Finding { check: "pipelines", status, reason });
            }
        });
    }

    /// Room on the file system of `path`: yellow below 10 %, red below 1 % and 100 MB.
    pub fn add_disk(&self, path: PathBuf) {
        self.add(move |out| {
            let (total, free) = match fs4::total_space(&path).and_then(|t| Ok((t, fs4::available_space(&path)?))) {
                Ok(space) => space,
                Err(error) => {
                    let reason = format!("cannot see the room left in {}: {error}", path.display());
                    out.push(Finding { check: "disk", status: Status::Red, reason });
                    return;
                }
            };
            if let Some(status) = room(total, free) {
                let percent = free as f64 * 100.0 / total as f64;
                let reason = format!("{} MB ({percent:.1} %) are left in {}", free >> 20, path.display());
                out.push(Finding { check: "disk", status, reason });
            }
        });
    }

    /// What is not green, and the worst of it.
    pub fn check(&self) -> (Status, Vec<Finding>) {
        let mut findings = Vec::new();
        self.checks.read().iter().for_each(|check| check(&mut findings));
        let worst = findings.iter().map(|f| f.status).max().unwrap_or(Status::Green);
        (worst, findings)
    }
}

fn room(total: u64, free: u64) -> Option<Status> {
    if free < total / 100 && free < 100 << 20 {
        Some(Status::Red)
    } else if free < total / 10 && free < 10 << 30 {
        Some(Status::Yellow)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts() {
        let health = Health::new();
        assert_eq!(health.check(), (Status::Green, vec![]));
        health.add_pipelines(Registry::new());
        assert_eq!(health.check().0, Status::Yellow);
        health.add_disk("/no/such/path".into());
        let (status, findings) = health.check();
        assert_eq!((status, findings.len()), (Status::Red, 2));
        assert_eq!(findings[0].reason, "no pipeline runs");
    }

    #[test]
    fn room_left() {
        let (gb, mb) = (1 << 30, 1 << 20);
        let check = |total, free, want| assert_eq!(room(total, free), want, "{free} of {total}");
        check(100 * gb, 20 * gb, None);
        check(1000 * gb, 50 * gb, None);
        check(100 * gb, 5 * gb, Some(Status::Yellow));
        check(100 * gb, 50 * mb, Some(Status::Red));
        check(gb, 50 * mb, Some(Status::Yellow));
    }
}
