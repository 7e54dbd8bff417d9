//! Clean shutdown on Ctrl-C, on a closed terminal and when the system asks for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[cfg(target_os = "linux")]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The signals that end a run cleanly.
const SIGNALS: &[i32] = &[
    SIGINT,
    SIGTERM,
    // where it cannot be told whether `nohup` has it ignored, it keeps its meaning: it ends the
    // program, and what that leaves can be continued just the same
    #[cfg(target_os = "linux")]
    SIGHUP,
];

/// Added to the number of a signal, the exit status of a program that it ended.
const SIGNALLED: i32 = 128;

/// The signal that arrived, or 0.
static CAME: std::sync::LazyLock<Arc<AtomicUsize>> = std::sync::LazyLock::new(Arc::default);

/// A flag that is set when a signal asks the program to end. The second one ends it at once.
/// Signals that `nohup` or a shell's background ignores stay ignored.
pub(crate) fn flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS.iter().filter(|signal| !is_ignored(**signal)) {
        // a signal that cannot be caught ends the program
        let _ = handle(*signal, &stop);
    }
    stop
}

fn handle(signal: i32, stop: &Arc<AtomicBool>) -> io::Result<()> {
    flag::register_conditional_shutdown(signal, SIGNALLED + signal, Arc::clone(stop))?;
    flag::register_usize(signal, Arc::clone(&CAME), signal as usize)?;
    flag::register(signal, Arc::clone(stop)).map(|_| ())
}

/// The exit status for an error that a signal caused: 130 for Ctrl-C, 143 for SIGTERM, 129 for
/// SIGHUP.
pub(crate) fn status(error: &anyhow::Error) -> Option<u8> {
    let interrupted =
        matches!(error.downcast_ref(), Some(granule_convert::Error::Interrupted { .. }));
    let signal = CAME.load(Ordering::Relaxed) as i32;
    (interrupted && signal > 0).then(|| (SIGNALLED + signal) as u8)
}

/// Whether the program was started with a signal ignored.
#[cfg(target_os = "linux")]
fn is_ignored(signal: i32) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, signal))
}

#[cfg(not(target_os = "linux"))]
fn is_ignored(_: i32) -> bool {
    false
}

/// Whether a process whose status this is (as `/proc/PID/status` has it) ignores a signal.
#[cfg(target_os = "linux")]
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_known() {
        let status = "Name:\tgranule\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SIGHUP));
        assert!(!ignores(status, SIGINT) && !ignores(status, SIGTERM));
        assert!(!ignores("", SIGHUP));
    }
}
