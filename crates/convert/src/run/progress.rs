use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{NOTE_EVERY, Step};
use crate::Error;
use crate::output::Output;

/// Noting takes at most about one part in so many of a thread's time.
const PAUSE: u32 = 20;

/// Which tensors are complete, and which of them the journals know.
pub(super) struct Progress {
    /// For each step the chunks that are not written.
    left: Vec<AtomicU64>,
    /// Steps that are complete and not in the journals.
    complete: Mutex<Vec<usize>>,
    /// When the journals are written next. Who holds it writes them.
    next: Mutex<Instant>,
    every: Option<Duration>,
}

impl Progress {
    pub(super) fn new(steps: &[Step<'_>], every: Option<Duration>) -> Self {
        Self {
            left: steps.iter().map(|step| AtomicU64::new(step.chunks)).collect(),
            complete: Mutex::default(),
            next: Mutex::new(Instant::now() + every.unwrap_or(NOTE_EVERY)),
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
        match self.next.try_lock() {
            Ok(mut next) if Instant::now() >= *next => {
                let begin = Instant::now();
                self.note(steps, outputs)?;
                let pause = self.every.unwrap_or_else(|| NOTE_EVERY.max(begin.elapsed() * PAUSE));
                *next = Instant::now() + pause;
                Ok(())
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
