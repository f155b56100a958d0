//! What the machine is, and whether others used it meanwhile.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    time::{Duration, Instant},
};

/// Ticks of the kernel's processor times (USER_HZ, which is 100 everywhere that Linux runs today).
const TICK: Duration = Duration::from_millis(10);

/// Times so far, and whose counts as ours: this process, the gateway and its compilers.
pub struct Machine {
    at: Instant,
    busy: Duration,
    ours: Duration,
    of_gateway: Duration,
    gateway: u32,
}

// === impl Machine ===

impl Machine {
    pub fn now(gateway: u32) -> Self {
        Self { at: Instant::now(), busy: busy(), ours: ours(gateway), of_gateway: own(&gateway.to_string()), gateway }
    }

    /// Cores that others had since then.
    pub fn others(&self) -> f64 {
        let (busy, ours) = ((busy() - self.busy).as_secs_f64(), (ours(self.gateway) - self.ours).as_secs_f64());
        (busy - ours).max(0.0) / self.at.elapsed().as_secs_f64()
    }

    /// Cores that the gateway had since then.
    pub fn gateway(&self) -> f64 {
        (own(&self.gateway.to_string()) - self.of_gateway).as_secs_f64() / self.at.elapsed().as_secs_f64()
    }

    pub fn describe() -> String {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap();
        let cpu = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |(_, name)| name);
        let cores = text.lines().filter(|line| line.starts_with("processor")).count();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        format!("- {cpu}, {cores} cores, Linux {}", kernel.trim())
    }
}

/// Where it's allowed, the kernel's groups of processes are told that this session comes before others.
pub fn come_first() {
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        // Not every kernel has such groups.
        let _ = fs::write("/proc/self/autogroup", "-15");
    }
}

/// Cores that have something to do while this has nothing.
pub async fn busy_cores(lasting: Duration) -> f64 {
    let (before, at) = (busy(), Instant::now());
    tokio::time::sleep(lasting).await;
    (busy() - before).as_secs_f64() / at.elapsed().as_secs_f64()
}

fn ours(gateway: u32) -> Duration {
    own("self") + own(&gateway.to_string())
}

/// Of all processes (proc_stat(5)): user, nice and system.
fn busy() -> Duration {
    let text = fs::read_to_string("/proc/stat").unwrap();
    let ticks = text.lines().next().unwrap().split_whitespace().skip(1).take(3).map(|field| field.parse::<u32>().unwrap());
    TICK * ticks.sum()
}

/// Of a process and its children that have ended (proc_pid_stat(5)).
fn own(pid: &str) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(4).map(|field| field.parse::<u32>().unwrap());
    TICK * ticks.sum()
}
