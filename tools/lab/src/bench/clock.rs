//! The CPU time of this thread: what other programs on the machine disturb least.

/// Seconds of CPU time that a call of `work` takes, the mean of `times` calls.
pub(super) fn seconds(times: u32, mut work: impl FnMut()) -> f64 {
    let begin = now();
    for _ in 0..times {
        work();
    }
    (now() - begin) / f64::from(times)
}

#[cfg(unix)]
fn now() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Elsewhere the time on the wall has to do.
#[cfg(not(unix))]
fn now() -> f64 {
    static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGIN.get_or_init(std::time::Instant::now).elapsed().as_secs_f64()
}

/// Seconds of a call of `work`, the mean of `times` calls: CPU time if it uses one thread,
/// otherwise that on the wall.
pub(super) fn seconds_of(threads: usize, times: u32, mut work: impl FnMut()) -> f64 {
    if threads == 1 {
        return seconds(times, work);
    }
    let begin = std::time::Instant::now();
    for _ in 0..times {
        work();
    }
    begin.elapsed().as_secs_f64() / f64::from(times)
}
