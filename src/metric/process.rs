//! What the process uses, as Prometheus' client libraries name it. Read from `/proc` when
//! somebody asks; what can't be read (another system) is left out.

use super::exposition::{Family, Kind};
use std::sync::LazyLock;

/// What the process uses now.
#[derive(Clone, Copy, Default, Debug)]
pub struct Usage {
    /// Seconds of processor time, user and system.
    pub cpu_seconds: Option<f64>,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
    /// Address space.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// How many of them it may open.
    pub max_fds: Option<u64>,
}

/// When this process first asked for it, in seconds since 1970: at its start, since the
/// registry does so.
pub static START_SECONDS: LazyLock<f64> = LazyLock::new(|| jiff::Timestamp::now().as_millisecond() as f64 / 1000.0);

impl Usage {
    /// Reads it.
    pub fn now() -> Usage {
        let mut usage = Usage {
            open_fds: std::fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as u64),
            max_fds: limit_of_files(),
            ..Usage::default()
        };
        let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return usage };
        // The command's name may hold spaces and brackets: what counts stands behind the last.
        let Some((_, rest)) = stat.rsplit_once(") ") else { return usage };
        let field = |at: usize| rest.split(' ').nth(at)?.parse::<u64>().ok();
        // SAFETY: sysconf only reads a constant of the system.
        let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
        usage.cpu_seconds = field(11).zip(field(12)).map(|(user, system)| (user + system) as f64 / ticks as f64);
        usage.threads = field(17);
        usage.virtual_bytes = field(20);
        usage.resident_bytes = field(21).map(|pages| pages * page as u64);
        usage
    }

    /// Appends it as metrics.
    pub fn collect(&self, out: &mut Vec<Family>) {
        let mut number = |kind, name, help, value: Option<f64>| {
            if let Some(value) = value {
                let mut family = Family::new(kind, name, help);
                family.number(&[], value);
                out.push(family);
            }
        };
        let whole = |n: Option<u64>| n.map(|n| n as f64);
        number(Kind::Counter, "process_cpu_seconds", "Processor time, user and system.", self.cpu_seconds);
        number(Kind::Gauge, "process_resident_memory_bytes", "Resident memory.", whole(self.resident_bytes));
        number(Kind::Gauge, "process_virtual_memory_bytes", "Address space.", whole(self.virtual_bytes));
        number(Kind::Gauge, "process_threads", "Threads.", whole(self.threads));
        number(Kind::Gauge, "process_open_fds", "Open file descriptors.", whole(self.open_fds));
        number(Kind::Gauge, "process_max_fds", "File descriptors that it may open.", whole(self.max_fds));
        let start = Some(*START_SECONDS);
        number(Kind::Gauge, "process_start_time_seconds", "When the process started, since 1970.", start);
    }
}

fn limit_of_files() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes into the struct that it is given, which lives past the call.
    let done = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    (done == 0).then_some(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn it_is_read() {
        let usage = Usage::now();
        assert!(usage.cpu_seconds.is_some());
        assert!(usage.resident_bytes.is_some_and(|n| n > 1 << 20));
        assert!(usage.virtual_bytes >= usage.resident_bytes);
        assert!(usage.threads.is_some_and(|n| n >= 1));
        assert!(usage.open_fds.is_some_and(|n| n >= 3) && usage.max_fds >= usage.open_fds);
    }
}
