use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{NOTE_EVERY, Step};
use crate::Error;
use crate::output::Output;

/// Recording takes at most about one part in this many of a thread's time.
const PAUSE: u32 = 20;

/// The complete tensors, and which of them are in the journals.
pub(super) struct Progress {
    /// The number of unwritten chunks of each step.
    left: Vec<AtomicU64>,
    /// Complete steps that are not in the journals.
    complete: Mutex<Vec<usize>>,
    /// The next time to write the journals. The thread that holds the lock writes them.
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

    /// Counts a written chunk of a step. From time to time, complete tensors are recorded in the
    /// journals.
    pub(super) fn chunk_written(
        &self,
        step: usize,
        steps: &[Step<'_>],
        outputs: &[&Output],
    ) -> Result<(), Error> {
        // the thread that writes the last chunk must see the writes of the others
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
            // too early, or another thread is writing the journals
            _ => Ok(()),
        }
    }

    /// Flushes complete tensors to the disk, and records them in the journals.
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
