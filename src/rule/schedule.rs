//! When groups are due: at whole multiples of their interval, on a few threads.

use super::manager::{Core, Running, now_ms};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Threads that evaluate at once.
const THREADS_MAX: usize = 4;
/// A group is evaluated this long after its time, so that the samples of that time are there.
const LAG_MS: i64 = 200;

/// Groups that wait for their time.
#[derive(Default)]
pub(super) struct Schedule {
    waiting: Mutex<Vec<(i64, Arc<Running>)>>,
    rung: Condvar,
    stopping: AtomicBool,
}

/// The next multiple of `interval` behind `after`.
fn next(after: i64, interval: i64) -> i64 {
    (after.div_euclid(interval) + 1) * interval
}

impl Schedule {
    /// Lets a group be evaluated from its next time on.
    pub fn add(&self, running: Arc<Running>) {
        let due = next(now_ms() - LAG_MS, running.interval);
        self.waiting.lock().push((due, running));
        self.rung.notify_one();
    }

    /// Starts the threads.
    pub fn start(core: &Arc<Core>) -> std::io::Result<Vec<JoinHandle<()>>> {
        let count = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS_MAX);
        let thread = |at: usize| {
            let core = core.clone();
            std::thread::Builder::new().name(format!("rules{at}")).spawn(move || core.schedule.run(&core))
        };
        (0..count).map(thread).collect()
    }

    /// Ends the threads once they have finished what they are at.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let _waiting = self.waiting.lock();
        self.rung.notify_all();
    }

    fn run(&self, core: &Core) {
        let mut waiting = self.waiting.lock();
        loop {
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            let first = waiting.iter().enumerate().min_by_key(|(_, (due, _))| *due).map(|(at, (due, _))| (at, *due));
            let Some((at, due)) = first else {
                self.rung.wait(&mut waiting);
                continue;
            };
            let early = due + LAG_MS - now_ms();
            if early > 0 {
                // The clock may be set meanwhile: never sleep past a second.
                self.rung.wait_for(&mut waiting, Duration::from_millis(early.min(1000) as u64));
                continue;
            }
            let (due, running) = waiting.swap_remove(at);
            drop(waiting);
            let goes_on = core.evaluate(&running, due);
            waiting = self.waiting.lock();
            if goes_on {
                let now = now_ms() - LAG_MS;
                let follows = due + running.interval;
                // Behind by more than an interval: what was missed is counted, not caught up with.
                // A clock that was set back does not hold the group up either.
                let late = now - follows;
                let next = if late >= running.interval || late < -running.interval {
                    next(now, running.interval)
                } else {
                    follows
                };
                running.note_missed((next - follows) / running.interval);
                waiting.push((next, running));
            }
            self.rung.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_multiples() {
        let check = |after, interval, want| assert_eq!(next(after, interval), want, "{after} {interval}");
        check(0, 1000, 1000);
        check(999, 1000, 1000);
        check(1000, 1000, 2000);
        check(61_001, 15_000, 75_000);
        check(-1, 1000, 0);
    }
}
