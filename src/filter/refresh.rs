//! Runs what filters do at intervals beside the events: reading files again that changed.
//!
//! One thread serves all of them; it holds nothing alive and ends when nothing is left to do.

use parking_lot::{Condvar, Mutex};
use std::sync::Weak;
use std::time::{Duration, Instant};

/// What can be done again.
pub(super) trait Refresh: Send + Sync {
    /// Does it. Must not panic; what goes wrong is logged and leaves things as they were.
    fn refresh(&self);
}

struct Job {
    due: Instant,
    every: Duration,
    what: Weak<dyn Refresh>,
}

#[derive(Default)]
struct Jobs {
    list: Vec<Job>,
    running: bool,
}

static JOBS: Mutex<Jobs> = Mutex::new(Jobs { list: Vec::new(), running: false });
static ADDED: Condvar = Condvar::new();

/// How long the thread waits at most before it looks whether anybody still needs it.
const LOOK: Duration = Duration::from_secs(5);

/// Refreshes `what` at intervals for as long as it lives.
pub(super) fn every(every: Duration, what: Weak<dyn Refresh>) {
    let mut jobs = JOBS.lock();
    jobs.list.push(Job { due: Instant::now() + every, every, what });
    if jobs.running {
        ADDED.notify_one();
        return;
    }
    match std::thread::Builder::new().name("filter-refresh".to_owned()).spawn(work) {
        Ok(_) => jobs.running = true,
        Err(error) => tracing::warn!(%error, "cannot start the thread that reads changed files again"),
    }
}

fn work() {
    let mut jobs = JOBS.lock();
    loop {
        jobs.list.retain(|job| job.what.strong_count() > 0);
        let Some(next) = (0..jobs.list.len()).min_by_key(|&at| jobs.list[at].due) else {
            jobs.running = false;
            return;
        };
        let now = Instant::now();
        let job = &mut jobs.list[next];
        if job.due > now {
            let wait = (job.due - now).min(LOOK);
            ADDED.wait_for(&mut jobs, wait);
            continue;
        }
        // Counted from now on, so that a slow one does not run twice in a row.
        job.due = now + job.every;
        let what = job.what.upgrade();
        parking_lot::MutexGuard::unlocked(&mut jobs, || {
            if let Some(what) = what {
                what.refresh();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, mpsc};

    struct Told(Mutex<mpsc::Sender<()>>);

    impl Refresh for Told {
        fn refresh(&self) {
            let _ = self.0.lock().send(());
        }
    }

    #[test]
    fn it_goes_on_until_nobody_needs_it() {
        let (sender, receiver) = mpsc::channel();
        let told = Arc::new(Told(Mutex::new(sender)));
        let weak: Weak<dyn Refresh> = Arc::downgrade(&(told.clone() as Arc<dyn Refresh>));
        every(Duration::from_millis(1), weak);
        for _ in 0..3 {
            receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        drop(told);
        while receiver.recv().is_ok() {}
    }
}
