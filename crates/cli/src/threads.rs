//! The number of threads: `-j`.

use std::num::NonZero;
use std::thread::available_parallelism;

use crate::output;

/// The most threads for each core, and on few cores. More only cost memory, because each holds
/// rows.
const FOR_EACH_CORE: usize = 4;
const ON_FEW_CORES: usize = 64;

/// Parse a number of threads.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number of threads"))
}

/// The number of threads to use; `None` stands for one for each core, as 0 does. An unreasonable
/// number is reduced, with a warning unless `quiet`.
pub(crate) fn bounded(wanted: Option<usize>, quiet: bool) -> Option<usize> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let (threads, warning) = bounded_for(wanted, cores);
    if let Some(warning) = warning.filter(|_| !quiet) {
        output::warn(&warning);
    }
    threads
}

/// A pool of threads, for work that does not make its own.
///
/// # Errors
/// If the system gives no threads.
pub(crate) fn pool(threads: Option<usize>) -> anyhow::Result<rayon::ThreadPool> {
    let threads = threads.unwrap_or(0); // one for each core
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build()?)
}

fn bounded_for(wanted: Option<usize>, cores: usize) -> (Option<usize>, Option<String>) {
    let most = cores.saturating_mul(FOR_EACH_CORE).max(ON_FEW_CORES);
    match wanted {
        None | Some(0) => (None, None),
        Some(wanted) if wanted <= most => (Some(wanted), None),
        Some(wanted) => {
            let warning =
                format!("-j {wanted} is cut to {most} threads: this machine has {cores} cores");
            (Some(most), Some(warning))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_reason_are_cut() {
        for (wanted, cores, threads, warned) in [
            (None, 8, None, false),
            (Some(0), 8, None, false),
            (Some(1), 8, Some(1), false),
            (Some(64), 2, Some(64), false),
            (Some(65), 2, Some(64), true),
            (Some(100_000), 2, Some(64), true),
            (Some(512), 128, Some(512), false),
            (Some(513), 128, Some(512), true),
            (Some(usize::MAX), usize::MAX, Some(usize::MAX), false),
        ] {
            let (found, warning) = bounded_for(wanted, cores);
            assert_eq!((found, warning.is_some()), (threads, warned), "{wanted:?} {cores}");
        }
        let (_, warning) = bounded_for(Some(100_000), 2);
        let expected = "-j 100000 is cut to 64 threads: this machine has 2 cores";
        assert_eq!(warning.as_deref(), Some(expected));
    }
}
