//! Processor time, which other work on the machine does not take part in.

use std::time::Duration;

/// Processor time that this thread has used.
#[allow(dead_code, reason = "each bench takes one of both")]
pub fn thread() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Processor time that all threads of this process have used.
#[allow(dead_code, reason = "each bench takes one of both")]
pub fn process() -> Duration {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which is ours.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(failed, 0, "the clock is there");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
