//! What this process may use: processors, memory, the file system of its data. Read from `/proc`
//! and the control group when somebody asks; what can't be read is left out.

use super::exposition::{Family, Kind};
use super::registry::Registry;
use super::sampler::Sampler;
use crate::series::window::Stats;
use std::path::PathBuf;
use std::sync::Arc;

impl Registry {
    /// Shows what the process may use; `data` is where its data lies.
    pub fn add_host(&self, data: PathBuf) {
        self.add_source(move |out| {
            let cpus = std::thread::available_parallelism().ok().map(|count| count.get() as f64);
            let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
            let mut one = |name, help, value: Option<f64>| {
                if let Some(value) = value {
                    let mut family = Family::new(Kind::Gauge, name, help);
                    family.number(&[], value);
                    out.push(family);
                }
            };
            one("logboom_cpus", "Processors that the process may use.", cpus);
            one(
                "logboom_memory_limit_bytes",
                "Memory that the process may use: the limit of its control group, else that of the machine.",
                bytes(memory_limit()),
            );
            one(
                "logboom_data_filesystem_size_bytes",
                "Size of the file system of path.data.",
                bytes(fs4::total_space(&data).ok()),
            );
            one(
                "logboom_data_filesystem_avail_bytes",
                "Room left on the file system of path.data.",
                bytes(fs4::available_space(&data).ok()),
            );
        });
    }

    /// Shows what the window of series holds.
    pub fn add_series(&self, sampler: &Arc<Sampler>) {
        let sampler = Arc::downgrade(sampler);
        self.add_source(move |out| {
            let Some(sampler) = sampler.upgrade() else { return };
            let mut skipped = Family::new(
                Kind::Counter,
                "logboom_series_samplings_skipped",
                "Times that no metric was sampled, since the clock was behind the last sample.",
            );
            skipped.whole(&[], sampler.skipped());
            out.push(skipped);
            let stats = sampler.store.stats();
            let mut both = |kind, name, help, get: fn(&Stats) -> u64| {
                let mut family = Family::new(kind, name, help);
                for (window, stats) in ["recent", "recorded"].iter().zip(&stats) {
                    family.whole(&[("window", window)], get(stats));
                }
                out.push(family);
            };
            use Kind::{Counter, Gauge};
            both(Gauge, "logboom_series", "Series that are kept.", |s| s.series as u64);
            both(Gauge, "logboom_series_bytes", "Memory that they take, about.", |s| s.bytes as u64);
            both(Counter, "logboom_series_refused", "Samples refused, since there are too many series.", |s| s.refused);
            both(Counter, "logboom_series_late", "Samples left out, since time did not rise.", |s| s.late);
            both(Counter, "logboom_series_log_failures", "Writes that the window's log did not take.", |s| {
                s.log_failures
            });
        });
    }
}

/// The limit of the control group, else the memory of the machine.
fn memory_limit() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let total = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    });
    let group = read("/sys/fs/cgroup/memory.max")
        .or_else(|| read("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        .and_then(|text| text.trim().parse::<u64>().ok());
    match (group, total) {
        (Some(group), Some(total)) => Some(group.min(total)),
        (group, total) => group.or(total),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::exposition::Format;

    #[test]
    #[cfg(target_os = "linux")]
    fn limits_are_read() {
        let registry = Registry::new();
        registry.add_host("/".into());
        let text = Format::Text.text(&registry.gather());
        for name in [
            "logboom_cpus ",
            "logboom_memory_limit_bytes ",
            "logboom_data_filesystem_size_bytes ",
            "logboom_data_filesystem_avail_bytes ",
        ] {
            assert!(text.contains(&format!("\n{name}")), "{name} is missing in\n{text}");
        }
    }
}
