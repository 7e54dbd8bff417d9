use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Error;

/// Bytes that are copied before the caller is asked whether to go on.
const STEP: u64 = 16 << 20;

/// Copies ranges of files, counts the bytes, and stops when it is told to.
///
/// Where the system can copy between files itself (Linux: `copy_file_range`), no byte passes
/// through this process, and a file system that shares blocks shares them where both offsets allow
/// it.
pub(crate) struct Copying<'a> {
    done: AtomicU64,
    stop: Option<&'a AtomicBool>,
    /// Called with the number of bytes copied so far.
    on: &'a (dyn Fn(u64) + Sync),
}

impl<'a> Copying<'a> {
    pub(crate) fn new(stop: Option<&'a AtomicBool>, on: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self { done: AtomicU64::new(0), stop, on }
    }

    /// Copies `bytes` bytes at offset `from` of a file, which was opened by `path`, to offset `to`
    /// of another, which is called `name`. Both files' own positions move.
    ///
    /// # Errors
    /// If the source ends before, the caller stops the work, or the operating system reports an
    /// error; it does not say which of the files failed.
    pub(crate) fn range(
        &self,
        (source, path, from): (&File, &Path, u64),
        (mut target, name, to): (&File, &Path, u64),
        bytes: u64,
    ) -> Result<(), Error> {
        let mut from_file = source;
        from_file.seek(SeekFrom::Start(from)).map_err(Error::io(path))?;
        target.seek(SeekFrom::Start(to)).map_err(Error::io(name))?;
        let mut left = bytes;
        while left > 0 {
            let step = left.min(STEP);
            let copied = io::copy(&mut from_file.take(step), &mut target);
            let copied = copied.map_err(Error::io(name))?;
            if copied < step {
                return Err(Error::io(path)(io::ErrorKind::UnexpectedEof.into()));
            }
            left -= step;
            self.count(step)?;
        }
        Ok(())
    }

    /// Counts bytes that were copied.
    ///
    /// # Errors
    /// If the caller stops the work.
    pub(crate) fn count(&self, bytes: u64) -> Result<(), Error> {
        (self.on)(self.done.fetch_add(bytes, Ordering::Relaxed) + bytes);
        if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Error::Interrupted { kept: false });
        }
        Ok(())
    }
}
