//! What a process has of memory, files and threads, as the kernel says.

use std::fmt;

/// At one moment, or the median of several.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub resident_kib: u64,
    /// Without files' pages.
    pub anonymous_kib: u64,
    /// With its share of the pages that other processes have as well.
    pub proportional_kib: u64,
    pub files: u64,
    pub threads: u64,
}

impl Memory {
    /// Of a running process (proc_pid_status(5), proc_pid_smaps(5)).
    ///
    /// # Panics
    /// When it has ended.
    pub fn of(pid: u32) -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
        let number = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no {key} of {pid}"));
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        let (status, maps) = (read("status"), read("smaps_rollup"));
        Self {
            resident_kib: number(&status, "VmRSS:"),
            anonymous_kib: number(&status, "RssAnon:"),
            proportional_kib: number(&maps, "Pss:"),
            files: std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count().try_into().unwrap(),
            threads: number(&status, "Threads:"),
        }
    }

    /// Each figure by itself.
    pub fn median(samples: &[Self]) -> Self {
        Self::of_each(samples, |mut figures| {
            figures.sort_unstable();
            figures.get(figures.len() / 2).copied().unwrap_or_default()
        })
    }

    pub fn most(samples: &[Self]) -> Self {
        Self::of_each(samples, |figures| figures.into_iter().max().unwrap_or_default())
    }

    fn of_each(samples: &[Self], choose: impl Fn(Vec<u64>) -> u64) -> Self {
        let one = |figure: fn(&Self) -> u64| choose(samples.iter().map(figure).collect());
        Self {
            resident_kib: one(|sample| sample.resident_kib),
            anonymous_kib: one(|sample| sample.anonymous_kib),
            proportional_kib: one(|sample| sample.proportional_kib),
            files: one(|sample| sample.files),
            threads: one(|sample| sample.threads),
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident_kib, anonymous_kib, proportional_kib, files, threads } = self;
        write!(
            f,
            "{resident_kib} KiB resident, {anonymous_kib} anonymous, {proportional_kib} proportional; {files} open files, \
             {threads} threads"
        )
    }
}
