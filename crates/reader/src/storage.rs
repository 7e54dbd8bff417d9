//! The bytes of one file of a model.

use std::borrow::Cow;
use std::ops::Range;
use std::{fmt, io};

use crate::ReadAt;
use crate::read_at::slice;

/// Where the bytes of one file are.
pub(crate) struct Storage(Box<dyn ReadAt>);

impl Storage {
    pub(crate) fn new(bytes: impl ReadAt + 'static) -> Self {
        Self(Box::new(bytes))
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    /// All bytes, if they can be borrowed.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        self.0.bytes()
    }

    /// What tells this content from others of its name, if it is not on a disk.
    pub(crate) fn version(&self) -> Option<&str> {
        self.0.version()
    }

    /// Says that bytes are going to be read soon.
    pub(crate) fn will_read(&self, bytes: Range<u64>) {
        self.0.will_read(bytes);
    }

    /// `length` bytes from `start` on, borrowed if possible.
    pub(crate) fn read(&self, start: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        if let Some(bytes) = self.bytes() {
            return slice(bytes, start, length).map(Cow::Borrowed);
        }
        let mut out = vec![0; length];
        self.read_into(start, &mut out)?;
        Ok(Cow::Owned(out))
    }

    /// Fills `out` with the bytes from `start` on.
    pub(crate) fn read_into(&self, start: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, start)
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.bytes().is_some() { "in memory" } else { "read at positions" })
    }
}
