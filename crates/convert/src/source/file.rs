//! A file that many threads read from at once.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use granule_reader::ReadAt;

use crate::Error;

/// An open file and its length. Reads name their position, so they do not disturb each other.
#[derive(Debug)]
pub(crate) struct DataFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl DataFile {
    /// Open a file for reading.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = granule_reader::file::open(path).map_err(Error::io(path))?;
        let about = file.metadata().map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), bytes: about.len(), file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes when it was opened.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fill `out` with the bytes from `offset` on.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        ReadAt::read_exact_at(&self.file, out, offset).map_err(Error::io(&self.path))
    }

    /// Read at most `out.len()` bytes from `offset` on, fewer at the end of the file; how many.
    pub(crate) fn read_some_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.saturating_sub(offset);
        let count = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        ReadAt::read_exact_at(&self.file, &mut out[..count], offset)?;
        Ok(count)
    }
}
