use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes that many threads can read at any position.
///
/// [`Model::from_storage`](crate::Model::from_storage) opens a GGUF file from anything that
/// implements it: a file, bytes in memory, or a store of your own.
///
/// ```
/// use std::io;
/// use granule_reader::ReadAt;
///
/// /// Counts how often another storage is read.
/// struct Counted<S>(S, std::sync::atomic::AtomicUsize);
///
/// impl<S: ReadAt> ReadAt for Counted<S> {
///     fn read_exact_at(&self, out: &mut [u8], start: u64) -> io::Result<()> {
///         self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         self.0.read_exact_at(out, start)
///     }
///
///     fn len(&self) -> io::Result<u64> {
///         self.0.len()
///     }
/// }
///
/// let counted = Counted(vec![1, 2, 3], Default::default());
/// let mut out = [0; 2];
/// counted.read_exact_at(&mut out, 1)?;
/// assert_eq!((out, counted.1.into_inner()), ([2, 3], 1));
/// # Ok::<(), io::Error>(())
/// ```
#[allow(clippy::len_without_is_empty, reason = "an empty file is a file like any other")]
pub trait ReadAt: Send + Sync {
    /// Fills `out` with the bytes from `start` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the bytes end before `out` is full; the storage's own
    /// errors.
    fn read_exact_at(&self, out: &mut [u8], start: u64) -> io::Result<()>;

    /// Number of bytes.
    ///
    /// # Errors
    /// The storage's own.
    fn len(&self) -> io::Result<u64>;

    /// All bytes, if they can be borrowed. Tensors are then used where they lie, without a copy.
    fn bytes(&self) -> Option<&[u8]> {
        None
    }

    /// What tells this content from any other that the same name had or will have (an ETag, say).
    /// `None` for files on a disk, whose attributes tell, and for bytes in memory.
    fn version(&self) -> Option<&str> {
        None
    }

    /// Says that bytes are going to be read soon, in the order of such announcements, so that a
    /// storage that is far away can fetch them. It changes no result.
    fn will_read(&self, bytes: Range<u64>) {
        let _ = bytes;
    }
}

/// `length` bytes from `start` on.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] if they are not all there.
pub(crate) fn slice(bytes: &[u8], start: u64, length: usize) -> io::Result<&[u8]> {
    usize::try_from(start)
        .ok()
        .and_then(|start| bytes.get(start..start.checked_add(length)?))
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Reads from the disk. On Windows, reading moves the file's own position.
impl ReadAt for File {
    #[cfg(unix)]
    fn read_exact_at(&self, out: &mut [u8], start: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, out, start)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut out: &mut [u8], mut start: u64) -> io::Result<()> {
        while !out.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(self, out, start)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            start += read as u64;
            out = &mut out[read..];
        }
        Ok(())
    }

    /// Not supported on this platform.
    #[cfg(not(any(unix, windows)))]
    fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, out: &mut [u8], start: u64) -> io::Result<()> {
        out.copy_from_slice(slice(self, start, out.len())?);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(<[u8]>::len(self) as u64)
    }

    fn bytes(&self) -> Option<&[u8]> {
        Some(self)
    }
}

/// Delegates to what a type dereferences to.
macro_rules! delegate {
    ($( [$($generics:tt)*] $name:ty ),*) => { $(
        impl<$($generics)*> ReadAt for $name {
            fn read_exact_at(&self, out: &mut [u8], start: u64) -> io::Result<()> {
                (**self).read_exact_at(out, start)
            }

            fn len(&self) -> io::Result<u64> {
                ReadAt::len(&**self)
            }

            fn bytes(&self) -> Option<&[u8]> {
                (**self).bytes()
            }

            fn version(&self) -> Option<&str> {
                (**self).version()
            }

            fn will_read(&self, bytes: Range<u64>) {
                (**self).will_read(bytes);
            }
        }
    )* };
}
delegate!([] Vec<u8>);
delegate!([S: ReadAt + ?Sized] &S, [S: ReadAt + ?Sized] Box<S>, [S: ReadAt + ?Sized] Arc<S>);
#[cfg(feature = "mmap")]
delegate!([] crate::FileMap);

/// Bytes of any owner as a storage.
pub(crate) struct InMemory<B>(pub(crate) B);

impl<B: AsRef<[u8]> + Send + Sync> ReadAt for InMemory<B> {
    fn read_exact_at(&self, out: &mut [u8], start: u64) -> io::Result<()> {
        self.0.as_ref().read_exact_at(out, start)
    }

    fn len(&self) -> io::Result<u64> {
        ReadAt::len(self.0.as_ref())
    }

    fn bytes(&self) -> Option<&[u8]> {
        Some(self.0.as_ref())
    }
}
