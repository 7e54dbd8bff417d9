//! A file that many threads read at once.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use granule_reader::positioned::read_exact_at;

use crate::Error;

/// An open file and its length. Each read names its own position, so threads do not interfere.
#[derive(Debug)]
pub(crate) struct DataFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl DataFile {
    /// Opens a file for reading.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = granule_reader::file::open(path).map_err(Error::io(path))?;
        let about = file.metadata().map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), bytes: about.len(), file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the length in bytes at the time of opening.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills `out` with the bytes at `offset`.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        read_exact_at(&self.file, out, offset).map_err(Error::io(&self.path))
    }

    /// Reads up to `out.len()` bytes at `offset`, fewer at the end of the file. Returns the number
    /// of bytes read.
    pub(crate) fn read_some_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.saturating_sub(offset);
        let count = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        read_exact_at(&self.file, &mut out[..count], offset)?;
        Ok(count)
    }
}
