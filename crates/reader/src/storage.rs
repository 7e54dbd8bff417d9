//! Where the bytes of a file are: on disk, mapped, or in memory.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;

use crate::FileMap;

use crate::positioned::read_exact_at;

/// The bytes of one file.
pub(crate) enum Storage {
    /// Read at positions when they are needed.
    File(File),
    /// Mapped; see [`Model::map`](crate::Model::map) for what the caller has promised.
    Map(FileMap),
    /// In memory.
    Bytes(Box<dyn AsRef<[u8]> + Send + Sync>),
}

impl Storage {
    /// All bytes, unless they are on disk.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::File(_) => None,
            Self::Map(map) => Some(map),
            Self::Bytes(bytes) => Some((**bytes).as_ref()),
        }
    }

    /// `length` bytes from `start` on, without a copy where that is possible.
    pub(crate) fn read(&self, start: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        if self.bytes().is_some() {
            return self.slice(start, length).map(Cow::Borrowed);
        }
        let mut out = vec![0; length];
        self.read_into(start, &mut out)?;
        Ok(Cow::Owned(out))
    }

    /// Fill `out` with the bytes from `start` on.
    pub(crate) fn read_into(&self, start: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file) => read_exact_at(file, out, start),
            Self::Map(_) | Self::Bytes(_) => {
                out.copy_from_slice(self.slice(start, out.len())?);
                Ok(())
            }
        }
    }

    fn slice(&self, start: u64, length: usize) -> io::Result<&[u8]> {
        usize::try_from(start)
            .ok()
            .and_then(|start| self.bytes()?.get(start..start.checked_add(length)?))
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::Map(_) => "Map",
            Self::Bytes(_) => "Bytes",
        })
    }
}
