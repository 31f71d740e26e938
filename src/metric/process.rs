//! What the process uses, as Prometheus' client libraries name it. Read from `/proc` when
//! somebody asks; what can't be read (another system) is left out.

use super::exposition::{Family, Kind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// The most threads that were ever seen; `now` counts as seen.
pub fn peak_threads(now: u64) -> u64 {
    static PEAK: AtomicU64 = AtomicU64::new(0);
    PEAK.fetch_max(now, Ordering::Relaxed).max(now)
}

/// The most open files that were ever seen; `now` counts as seen.
pub fn peak_fds(now: u64) -> u64 {
    static PEAK: AtomicU64 = AtomicU64::new(0);
    PEAK.fetch_max(now, Ordering::Relaxed).max(now)
}

/// Bytes of memory that the process may use: of its control group, else of the machine.
pub fn memory_limit() -> u64 {
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    let machine = || {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    };
    group.or_else(machine).unwrap_or(0)
}

/// Processes that were ready to run, on average over 1, 5 and 15 minutes.
pub fn load_average() -> [f64; 3] {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut fields = text.split(' ').map(|field| field.parse().unwrap_or(0.0));
    [(); 3].map(|()| fields.next().unwrap_or(0.0))
}

/// What the control group (version 2) of the process has used and may use.
#[derive(Clone, Default, Debug)]
pub struct Cgroup {
    /// Its path.
    pub name: String,
    /// Processor time.
    pub usage_ns: u64,
    /// The period over which it is limited; 0 without a limit.
    pub period_us: i64,
    /// Its processor time in a period; -1 without a limit.
    pub quota_us: i64,
    /// Periods that have passed, …
    pub periods: u64,
    /// … those in which it was held back, …
    pub throttled: u64,
    /// … and for how long in all.
    pub throttled_ns: u64,
}

impl Cgroup {
    /// Reads it; `None` on systems without.
    pub fn read() -> Option<Cgroup> {
        let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let name = groups.lines().find_map(|line| line.strip_prefix("0::"))?.to_owned();
        // Within a container the group is the root of what is seen.
        let folders = [format!("/sys/fs/cgroup{name}"), "/sys/fs/cgroup".to_owned()];
        let read =
            |file: &str| folders.iter().find_map(|folder| std::fs::read_to_string(format!("{folder}/{file}")).ok());
        let stat = read("cpu.stat")?;
        let field = |name: &str| {
            let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
        };
        let max = read("cpu.max").unwrap_or_default();
        let (quota, period) = max.trim().split_once(' ').unwrap_or(("max", "0"));
        Some(Cgroup {
            name,
            usage_ns: field("usage_usec") * 1000,
            period_us: period.parse().unwrap_or(0),
            quota_us: quota.parse().unwrap_or(-1),
            periods: field("nr_periods"),
            throttled: field("nr_throttled"),
            throttled_ns: field("throttled_usec") * 1000,
        })
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
