//! Reading at positions of a file, from many threads at once.

use std::fs::File;
use std::io;

/// Fill `out` with the bytes from `start` on.
///
/// # Errors
/// The operating system's; [`io::ErrorKind::UnexpectedEof`] if the file ends before.
#[cfg(unix)]
pub fn read_exact_at(file: &File, out: &mut [u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, start)
}

/// Fill `out` with the bytes from `start` on. The position of `file` itself is undefined afterwards.
///
/// # Errors
/// The operating system's; [`io::ErrorKind::UnexpectedEof`] if the file ends before.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut out: &mut [u8], mut start: u64) -> io::Result<()> {
    while !out.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, out, start)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        start += read as u64;
        out = &mut out[read..];
    }
    Ok(())
}
