//! CPU time and memory of other processes, from /proc.

use std::process::Child;
use std::time::{Duration, Instant};

/// What a process took from start to end.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub cpu: Duration,
    pub wall: Duration,
    pub peak_kib: u64,
}

/// The kernel counts in these, on every Linux that Rust runs on.
const TICKS_A_SECOND: u64 = 100;

/// CPU time of children that ended and were waited for.
fn children_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name in parentheses: state is the first, cutime and cstime the 14th and 15th.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = rest
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(|number| number.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
}

/// Waits for the end of the only child that ends meanwhile.
pub fn until_end(mut child: Child) -> Cost {
    let (before, start) = (children_cpu(), Instant::now());
    let mut peak_kib = 0;
    let status = loop {
        peak_kib = peak_kib.max(memory(child.id(), "VmHWM"));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "the measured program failed: {status}");
    Cost {
        cpu: children_cpu().saturating_sub(before),
        wall: start.elapsed(),
        peak_kib,
    }
}

/// A line of /proc/PID/status in KiB; 0 for a process that is gone.
pub fn memory(pid: u32, line: &str) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|status| {
            status
                .lines()
                .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))
                .and_then(|value| value.split_whitespace().next()?.parse().ok())
        })
        .unwrap_or(0)
}

/// The value below which this share of the sorted values lies.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len());
    sorted[at - 1]
}

pub fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

pub fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

pub fn mebibytes(kib: u64) -> String {
    format!("{} MiB", kib / 1024)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "sizes are far below what that loses"
)]
pub fn ratio(measured: u64, against: u64) -> f64 {
    measured as f64 / against as f64
}
