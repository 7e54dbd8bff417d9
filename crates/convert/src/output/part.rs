use std::fs::File;
use std::io;
use std::path::Path;

use super::journal::remove_if_there;
use super::{Place, lock_leftover, sync_folder, try_lock};
use crate::Error;

/// A file of any kind under a temporary name. It has no journal, so it cannot be continued.
///
/// Dropping it removes the temporary file.
#[derive(Debug)]
pub(crate) struct Part {
    place: Place,
    file: File,
    named: bool,
}

impl Part {
    /// Creates the temporary file, replacing one left by a killed run.
    ///
    /// # Errors
    /// If another run is writing there, or the operating system reports an error.
    pub(crate) fn create(place: Place) -> Result<Self, Error> {
        drop(lock_leftover(&place)?);
        remove_if_there(&place.part()).map_err(|source| place.io(source))?;
        let file = place.create()?;
        let new = Self { place, file, named: false };
        match try_lock(&new.file).map_err(|source| new.place.io(source))? {
            true => Ok(new),
            false => Err(Error::Busy { path: new.place.path.clone() }),
        }
    }

    /// Sets the length, in bytes.
    pub(crate) fn set_bytes(&self, bytes: u64) -> Result<(), Error> {
        self.file.set_len(bytes).map_err(|source| self.place.io(source))
    }

    /// Writes bytes at an offset.
    pub(crate) fn write(&self, start: u64, bytes: &[u8]) -> Result<(), Error> {
        self.write_at(start, bytes).map_err(|source| self.place.io(source))
    }

    /// Like [`write`](Self::write), but returns the system's error.
    pub(crate) fn write_at(&self, start: u64, bytes: &[u8]) -> io::Result<()> {
        write_all_at(&self.file, bytes, start)
    }

    /// Returns the file, to copy ranges of others to it.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    /// Returns the path that the file gets when it is complete, as it was given.
    pub(crate) fn path(&self) -> &Path {
        &self.place.path
    }

    /// Flushes everything to the disk.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(|source| self.place.io(source))
    }

    /// Gives the file its final name.
    pub(crate) fn publish(mut self) -> Result<(), Error> {
        self.place.publish(&self.file)?;
        self.named = true;
        sync_folder(self.place.folder()).map_err(|source| self.place.io(source))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // ignored: an error is already being reported
        if !self.named {
            let _ = remove_if_there(&self.place.part());
        }
    }
}

/// Writes all of `bytes` from `start` on, without moving the file's own position.
#[cfg(unix)]
pub(super) fn write_all_at(file: &File, bytes: &[u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, start)
}

/// Writes all of `bytes` from `start` on. The file's own position is undefined afterwards.
#[cfg(windows)]
pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut start: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, start)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        start += written as u64;
        bytes = &bytes[written..];
    }
    Ok(())
}
