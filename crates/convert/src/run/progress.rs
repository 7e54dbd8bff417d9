use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Step;
use crate::Error;
use crate::output::Output;

/// Which tensors are complete, and which of them the journals know.
pub(super) struct Progress {
    /// For each step the chunks that are not written.
    left: Vec<AtomicU64>,
    /// Steps that are complete and not in the journals.
    complete: Mutex<Vec<usize>>,
    /// When the journals were written last. Who holds it writes them.
    written: Mutex<Instant>,
    every: Duration,
}

impl Progress {
    pub(super) fn new(steps: &[Step<'_>], every: Duration) -> Self {
        Self {
            left: steps.iter().map(|step| AtomicU64::new(step.chunks)).collect(),
            complete: Mutex::default(),
            written: Mutex::new(Instant::now()),
            every,
        }
    }

    /// A chunk of a step is written; now and then that is noted in the journals.
    pub(super) fn chunk_written(
        &self,
        step: usize,
        steps: &[Step<'_>],
        outputs: &[&Output],
    ) -> Result<(), Error> {
        // who takes the last one has to see what the others wrote
        if self.left[step].fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        lock(&self.complete).push(step);
        match self.written.try_lock() {
            Ok(mut written) if written.elapsed() >= self.every => {
                let result = self.note(steps, outputs);
                *written = Instant::now();
                result
            }
            // too early, or another thread is at it
            _ => Ok(()),
        }
    }

    /// Bring the tensors that are complete to the disk, and note them in the journals.
    pub(super) fn note(&self, steps: &[Step<'_>], outputs: &[&Output]) -> Result<(), Error> {
        let complete = std::mem::take(&mut *lock(&self.complete));
        for (file, output) in outputs.iter().enumerate() {
            let targets = complete.iter().flat_map(|step| &steps[*step].targets);
            let tensors: Vec<usize> =
                targets.filter(|target| target.file == file).map(|target| target.tensor).collect();
            if !tensors.is_empty() {
                output.note(&tensors)?;
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}
