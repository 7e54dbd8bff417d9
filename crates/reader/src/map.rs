//! The only memory map.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::Error;

/// All bytes of a file, read from the disk when they are first used.
#[derive(Debug)]
pub struct FileMap(Mmap);

impl FileMap {
    /// Maps a file, whatever it contains. For GGUF files, use [`Model::map`](crate::Model::map).
    ///
    /// # Errors
    /// If the file cannot be opened or mapped.
    ///
    /// # Safety
    /// The file must not be changed or cut short while the map exists, by this process or another:
    /// two reads could differ, and a read past the new end kills the process (SIGBUS).
    #[allow(unsafe_code, reason = "the caller promises what the map needs")]
    pub unsafe fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        crate::file::check_edited(path)?;
        let io = Error::io(Some(path));
        let file = crate::file::open(path).map_err(&io)?;
        // SAFETY: the caller of this function promises that the file stays as it is.
        unsafe { Self::of(&file) }.map_err(io)
    }

    /// Maps an open file.
    ///
    /// # Safety
    /// As [`open`](Self::open).
    #[allow(unsafe_code, reason = "the caller promises what the map needs")]
    pub(crate) unsafe fn of(file: &File) -> io::Result<Self> {
        // SAFETY: the caller of this function promises that the file stays as it is.
        unsafe { Mmap::map(file) }.map(Self)
    }
}

impl Deref for FileMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
