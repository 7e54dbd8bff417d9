//! Reads numbers from untrusted bytes. Holds the only offset arithmetic of the parser.

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use crate::{Counted, Endian, Error, ErrorKind};

/// A position in a file that is available in part.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Where `bytes` begins in the file.
    start: u64,
    /// The position in `bytes`.
    at: usize,
    file_bytes: u64,
    /// The byte order of the numbers that follow.
    pub(crate) endian: Endian,
    /// Version 1 of the format has 32-bit lengths and counts.
    pub(crate) narrow: bool,
}

impl<'a> Cursor<'a> {
    /// At the start of a file of `file_bytes` bytes that begins with `bytes`.
    pub(crate) fn new(bytes: &'a [u8], file_bytes: u64) -> Self {
        Self {
            bytes,
            start: 0,
            at: 0,
            file_bytes: file_bytes.max(bytes.len() as u64),
            endian: Endian::Little,
            narrow: false,
        }
    }

    /// Bytes from the start of the file.
    pub(crate) const fn position(&self) -> u64 {
        self.start + self.at as u64
    }

    /// Bytes up to the end of the file.
    pub(crate) const fn left(&self) -> u64 {
        self.file_bytes - self.position()
    }

    /// Length of the file in bytes.
    pub(crate) const fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// An error at the current position.
    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.position())
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if the file ends before, [`ErrorKind::PrefixTooShort`] if only the
    /// given bytes do. The position stays.
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Error> {
        if count > self.left() {
            return Err(self.error(ErrorKind::Truncated { need: count, left: self.left() }));
        }
        if count > self.rest().len() as u64 {
            return Err(self.error(ErrorKind::PrefixTooShort { need: self.position() + count }));
        }
        let taken = &self.rest()[..count as usize];
        self.at += taken.len();
        Ok(taken)
    }

    /// The next 32-bit number.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        let bytes = self.take(4)?;
        Ok(match self.endian {
            Endian::Little => LittleEndian::read_u32(bytes),
            Endian::Big => BigEndian::read_u32(bytes),
        })
    }

    /// The next 64-bit number.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        let bytes = self.take(8)?;
        Ok(match self.endian {
            Endian::Little => LittleEndian::read_u64(bytes),
            Endian::Big => BigEndian::read_u64(bytes),
        })
    }

    /// The next length or count: 64 bits, 32 in version 1.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn count(&mut self) -> Result<u64, Error> {
        if self.narrow { self.u32().map(u64::from) } else { self.u64() }
    }

    /// The next string: its length, then its bytes. Nothing says that they are UTF-8.
    ///
    /// # Errors
    /// As [`take`](Self::take), [`ErrorKind::StringTooLong`] if the file ends inside the string;
    /// the position stays.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Error> {
        let (start, at) = (self.position(), self.at);
        let result = self.count().and_then(|bytes| {
            let left = self.left();
            let long = Error::new(ErrorKind::StringTooLong { bytes, left }, start);
            if bytes > left { Err(long) } else { self.take(bytes) }
        });
        if result.is_err() {
            self.at = at;
        }
        result
    }

    /// Returns the available bytes from this position on.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Skips bytes that were read from [`rest`](Self::rest).
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.bytes.len());
    }

    /// Returns the same position with the bytes that are available from it on.
    pub(crate) fn over<'b>(&self, bytes: &'b [u8]) -> Cursor<'b> {
        let &Self { file_bytes, endian, narrow, .. } = self;
        Cursor { bytes, start: self.position(), at: 0, file_bytes, endian, narrow }
    }

    /// Checks that `count` things of at least `least` bytes each fit in the rest of the file. Call
    /// this before reserving memory for them.
    ///
    /// # Errors
    /// [`ErrorKind::Count`] if they do not.
    pub(crate) fn check_count(&self, what: Counted, count: u64, least: u64) -> Result<(), Error> {
        let need = count.saturating_mul(least);
        if need > self.left() {
            return Err(self.error(ErrorKind::Count { what, count, need, left: self.left() }));
        }
        Ok(())
    }

    /// Returns how many of `count` things of at least `least` bytes each the available bytes can
    /// hold: the number that may be reserved. If only the beginning of a file is available, the
    /// file can hold more.
    pub(crate) fn room_for(&self, count: u64, least: u64) -> usize {
        let there = self.rest().len() as u64;
        // not more than a slice has bytes
        count.min(there / least.max(1)) as usize
    }
}

/// A number as it is stored in a file.
pub(crate) trait Number: Copy {
    /// Its size in bytes.
    const BYTES: usize = size_of::<Self>();
    /// Whether it is a boolean, whose byte is 0 or 1.
    const IS_BOOL: bool = false;

    /// The number in the first [`BYTES`](Self::BYTES) bytes, least significant first.
    fn from_little(bytes: &[u8]) -> Self;

    /// The same, most significant first.
    fn from_big(bytes: &[u8]) -> Self;
}

macro_rules! numbers {
    ($( $ty:ty: $read:ident, )*) => {
        $( impl Number for $ty {
            fn from_little(bytes: &[u8]) -> Self {
                LittleEndian::$read(bytes)
            }

            fn from_big(bytes: &[u8]) -> Self {
                BigEndian::$read(bytes)
            }
        } )*
    };
}

numbers! {
    u16: read_u16,
    i16: read_i16,
    u32: read_u32,
    i32: read_i32,
    f32: read_f32,
    u64: read_u64,
    i64: read_i64,
    f64: read_f64,
}

/// One byte has one order.
macro_rules! bytes {
    ($( $ty:ty: $from:expr, $is_bool:literal; )*) => {
        $( impl Number for $ty {
            const IS_BOOL: bool = $is_bool;

            fn from_little(bytes: &[u8]) -> Self {
                let from: fn(u8) -> Self = $from;
                from(bytes[0])
            }

            fn from_big(bytes: &[u8]) -> Self {
                Self::from_little(bytes)
            }
        } )*
    };
}

bytes! {
    u8: |byte| byte, false;
    i8: u8::cast_signed, false;
    bool: |byte| byte != 0, true;
}
