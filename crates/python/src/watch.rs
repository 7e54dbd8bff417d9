//! Long work: without the GIL, with an eye on signals, on threads of its own.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// How often signals are looked for.
const POLL: Duration = Duration::from_millis(50);

/// Values up to which work ends before anybody would press Ctrl-C.
pub(crate) const SHORT: usize = 1 << 20;

/// Runs `work` on another thread and waits for it without the GIL. Ctrl-C sets the flag that `work`
/// gets, and is raised once it returns.
pub(crate) fn watch<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Arc<AtomicBool>) -> T + Send,
) -> PyResult<T> {
    watch_with(py, |_| Ok(()), work)
}

/// Does what [`watch`] does, and calls `tick` now and then, and once at the end. If that fails, the
/// work is stopped and the exception raised.
pub(crate) fn watch_with<T: Send>(
    py: Python<'_>,
    mut tick: impl FnMut(Python<'_>) -> PyResult<()> + Send,
    work: impl FnOnce(&Arc<AtomicBool>) -> T + Send,
) -> PyResult<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let (out, raised) = py.detach(|| {
        let (done, result) = channel();
        std::thread::scope(|scope| {
            let flag = Arc::clone(&stop);
            scope.spawn(move || {
                // the other end is there until this thread has ended
                let _ = done.send(work(&flag));
            });
            let mut raised = Ok(());
            let mut attend = |raised: &mut PyResult<()>| {
                if raised.is_ok() {
                    *raised = Python::attach(|py| py.check_signals().and_then(|()| tick(py)));
                    stop.fetch_or(raised.is_err(), Ordering::Relaxed);
                }
            };
            loop {
                match result.recv_timeout(POLL) {
                    Ok(out) => {
                        attend(&mut raised);
                        return (Some(out), raised);
                    }
                    // the work has panicked, and so will this scope
                    Err(RecvTimeoutError::Disconnected) => return (None, raised),
                    Err(RecvTimeoutError::Timeout) => attend(&mut raised),
                }
            }
        })
    });
    raised?;
    out.ok_or_else(|| PyRuntimeError::new_err("the work has ended without a result"))
}

/// The pool that calls share, and the process that made it.
static SHARED: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// Threads for one call: as many as asked for, or those that calls share, one for each core.
///
/// A process that was forked has none of its parent's threads, so it gets a pool of its own.
pub(crate) fn pool(threads: Option<usize>) -> PyResult<Arc<ThreadPool>> {
    let build = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let failed = |error| PyRuntimeError::new_err(format!("cannot start the threads: {error}"));
        pool.map(Arc::new).map_err(failed)
    };
    if let Some(threads) = threads.filter(|threads| *threads > 0) {
        return build(bounded(threads));
    }
    let mut shared = SHARED.lock().unwrap_or_else(|poison| poison.into_inner());
    let process = std::process::id();
    if let Some((owner, pool)) = shared.as_ref()
        && *owner == process
    {
        return Ok(Arc::clone(pool));
    }
    let pool = build(0)?;
    // the parent's pool cannot be ended from here: its threads do not exist
    if let Some(old) = shared.replace((process, Arc::clone(&pool))) {
        std::mem::forget(old);
    }
    Ok(pool)
}

/// The most threads that are of any use, if not as many were asked for.
pub(crate) fn bounded(threads: usize) -> usize {
    let cores = available_parallelism().map_or(1, NonZero::get);
    threads.min(cores.saturating_mul(4).max(64))
}
