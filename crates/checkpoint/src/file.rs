//! A file that many threads read at once.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use granule_reader::ReadAt;

use crate::Error;
use crate::folder::Named;

/// An open file and its length. Each read names its own position, so threads do not interfere.
pub(crate) struct DataFile {
    path: PathBuf,
    file: Box<dyn ReadAt>,
    bytes: u64,
}

impl DataFile {
    /// Opens a file for reading.
    pub(crate) fn open(named: &Named<'_>) -> Result<Self, Error> {
        let path = named.path();
        let file = named.open().map_err(Error::io(path))?;
        let bytes = file.len().map_err(Error::io(path))?;
        Ok(Self { path: path.to_owned(), bytes, file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the length in bytes at the time of opening.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns what tells the content from any other, if the file is on no disk.
    pub(crate) fn version(&self) -> Option<&str> {
        self.file.version()
    }

    /// Says that bytes are going to be read soon.
    pub(crate) fn will_read(&self, bytes: Range<u64>) {
        self.file.will_read(bytes);
    }

    /// Fills `out` with the bytes at `offset`.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact_at(out, offset).map_err(Error::io(&self.path))
    }

    /// Reads up to `out.len()` bytes at `offset`, fewer at the end of the file. Returns the number
    /// of bytes read.
    pub(crate) fn read_some_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.saturating_sub(offset);
        let count = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.file.read_exact_at(&mut out[..count], offset)?;
        Ok(count)
    }
}

impl fmt::Debug for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFile").field("path", &self.path).field("bytes", &self.bytes).finish()
    }
}
