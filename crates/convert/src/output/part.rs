use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use granule_reader::positioned::write_all_at;

use super::journal::remove_if_there;
use super::{beside, folder, lock_leftover, sync_folder, try_lock};
use crate::Error;

/// A file of any kind under a temporary name beside its path; without journal, so that it cannot be continued.
///
/// Dropping it removes the temporary file.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    part: PathBuf,
    file: File,
    named: bool,
}

impl Part {
    /// Take the temporary name of `path`; what a run left that was killed is replaced.
    ///
    /// # Errors
    /// If another run is writing there, and the operating system's.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let part = beside(path, "part");
        drop(lock_leftover(path, &part)?);
        remove_if_there(&part).map_err(io)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&part).map_err(io)?;
        let new = Self { path: path.to_owned(), part, file, named: false };
        match try_lock(&new.file).map_err(io)? {
            true => Ok(new),
            false => Err(Error::Busy { path: path.to_owned() }),
        }
    }

    /// Set the length.
    pub(crate) fn set_bytes(&self, bytes: u64) -> Result<(), Error> {
        self.file.set_len(bytes).map_err(|source| self.io(source))
    }

    /// Write bytes at a position.
    pub(crate) fn write(&self, start: u64, bytes: &[u8]) -> Result<(), Error> {
        write_all_at(&self.file, bytes, start).map_err(|source| self.io(source))
    }

    /// Bring everything to the disk.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(|source| self.io(source))
    }

    /// Give the file its name.
    pub(crate) fn publish(mut self) -> Result<(), Error> {
        fs::rename(&self.part, &self.path).map_err(|source| self.io(source))?;
        self.named = true;
        sync_folder(folder(&self.path)).map_err(|source| self.io(source))
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // an error is being reported already, if this fails
        if !self.named {
            let _ = remove_if_there(&self.part);
        }
    }
}
