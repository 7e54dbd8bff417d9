use core::fmt;

use crate::container::{Endian, TensorType, ValueType};
use crate::prelude::*;

/// The reason why bytes are not a valid GGUF file, and the place.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive] // more may be told of a fault
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where, in bytes from the start of the file.
    pub offset: u64,
    /// The part of the file that was being read.
    pub place: Place,
}

/// A part of a GGUF file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive] // parts may be told apart further
pub enum Place {
    /// Magic, version, counts.
    #[default]
    Header,
    /// The name of a metadata entry; entries count from 0.
    Key(u64),
    /// The value of the metadata entry with this key.
    Value(String),
    /// The array that is the value of the metadata entry with this key.
    Element(String),
    /// An array inside an array, in the value of the metadata entry with this key.
    NestedValue(String),
    /// An entry of the tensor table whose name is not known yet; entries count from 0.
    TensorEntry(u64),
    /// The tensor with this name.
    Tensor(String),
}

/// The fault in the bytes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive] // new checks bring new faults
pub enum ErrorKind {
    /// The file ends too early.
    #[error("the file ends too early: {need} bytes are needed, {left} are left")]
    Truncated {
        /// Bytes of the field.
        need: u64,
        /// Bytes up to the end of the file.
        left: u64,
    },
    /// The file ends inside a string.
    #[error("a string of {bytes} bytes is announced, {left} bytes are left")]
    StringTooLong {
        /// Its length as stored, in bytes.
        bytes: u64,
        /// Bytes from the end of the length to the end of the file.
        left: u64,
    },
    /// Only from [`Header::parse_prefix`](crate::Header::parse_prefix) and
    /// [`HeaderParser`](crate::HeaderParser): the header goes on after the prefix.
    #[error("the first {need} bytes of the file are needed to continue")]
    PrefixTooShort {
        /// Length of the prefix to try next, in bytes. No shorter one suffices; this one may not,
        /// either.
        need: u64,
    },
    /// The first four bytes are not `GGUF`.
    #[error("not a GGUF file: it begins with {0:02x?}, expected 47 47 55 46 (\"GGUF\")")]
    Magic([u8; 4]),
    /// The version is not 1, 2 or 3 in either byte order.
    #[error("version {0} is unknown, expected 1, 2 or 3")]
    Version(u32),
    /// Only from [`Header::survey`](crate::Header::survey): the version is stored in one byte
    /// order, the rest in the other.
    #[error("the version is {version}, what follows it is {body}")]
    ByteOrder {
        /// The byte order of the version.
        version: Endian,
        /// The byte order in which the rest makes sense.
        body: Endian,
    },
    /// Only from [`Header::survey`](crate::Header::survey): the metadata or the tensor table cannot
    /// be read with the counts of the header, but with other counts.
    #[error(
        "metadata and tensor table do not parse as {} entries and {} tensors, but as {} and {}",
        .stored.0, .stored.1, .fitting.0, .fitting.1
    )]
    Counts {
        /// Metadata entries and tensors as the header says.
        stored: (u64, u64),
        /// Counts with which everything can be read.
        fitting: (u64, u64),
    },
    /// More tensors, keys or array elements than the rest of the file can hold.
    #[error("{count} {what} need at least {need} bytes, {left} are left")]
    Count {
        /// The things that are counted.
        what: Counted,
        /// The stored count.
        count: u64,
        /// The fewest bytes they can take (saturating).
        need: u64,
        /// Bytes up to the end of the file.
        left: u64,
    },
    /// A key or tensor name is empty.
    #[error("the name is empty")]
    EmptyName,
    /// A key or tensor name is longer than allowed.
    #[error("the name has {bytes} bytes, at most {most} are allowed")]
    LongName {
        /// Its length in bytes.
        bytes: u64,
        /// The most that is allowed.
        most: u64,
    },
    /// A key has bytes that are not printable ASCII, or a tensor name has control characters.
    #[error("byte {byte:#04x} is not allowed in the name {name:?}")]
    NameByte {
        /// The name, with replacement characters for what is not UTF-8.
        name: String,
        /// The first byte that is not allowed.
        byte: u8,
    },
    /// A string is not UTF-8.
    #[error("the string is not UTF-8")]
    NotUtf8,
    /// Two metadata entries have this key.
    #[error("the key {0:?} appears twice")]
    DuplicateKey(String),
    /// Two tensors have this name.
    #[error("the tensor name {0:?} appears twice")]
    DuplicateTensor(String),
    /// A value type that does not exist.
    #[error("value type {0} is unknown, expected 0 to 12")]
    ValueType(u32),
    /// A boolean that is neither 0 nor 1.
    #[error("a boolean is stored as {0}, expected 0 or 1")]
    Bool(u8),
    /// Arrays are nested too deeply.
    #[error("arrays are nested deeper than {0} levels")]
    Nesting(u32),
    /// `general.alignment` has a type other than U32.
    #[error("the alignment has type {0}, expected U32")]
    AlignmentType(ValueType),
    /// `general.alignment` is 0 or not a power of two.
    #[error("the alignment is {0}, expected a power of two")]
    Alignment(u32),
    /// A tensor has too many dimensions.
    #[error("the tensor has {dimensions} dimensions, at most {most} are allowed")]
    Dimensions {
        /// How many it has.
        dimensions: u32,
        /// The most that is allowed.
        most: u32,
    },
    /// A dimension, the number of values or the size in bytes does not fit 63 bits.
    #[error("the dimensions {0:?} are too large")]
    TensorTooLarge(Vec<u64>),
    /// The rows of a tensor are not whole blocks.
    #[error("rows of {row} values are not whole blocks of {block} ({ty})")]
    PartialBlock {
        /// Values in a row.
        row: u64,
        /// Values in a block.
        block: u64,
        /// The tensor's type.
        ty: TensorType,
    },
    /// The tensor's type once existed and was removed.
    #[error("type {id} ({name}) was removed from the format; use {instead}")]
    RemovedType {
        /// Its number.
        id: u32,
        /// Its name.
        name: &'static str,
        /// The types that replace it.
        instead: &'static str,
    },
    /// The data of a tensor does not lie inside the file.
    #[error("the data would lie at bytes {start} to {end}, the file has {file}")]
    OutsideFile {
        /// First byte (saturating).
        start: u64,
        /// End, exclusive (saturating).
        end: u64,
        /// Length of the file.
        file: u64,
    },
}

/// What a file counts, in [`ErrorKind::Count`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive] // other things may be counted
pub enum Counted {
    /// Entries of the tensor table.
    Tensors,
    /// Metadata entries.
    Entries,
    /// Elements of an array.
    Elements,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tensors => "tensors",
            Self::Entries => "metadata entries",
            Self::Elements => "array elements",
        })
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, offset: u64) -> Self {
        Self { kind, offset, place: Place::Header }
    }

    /// Returns the same error. If it asks for more of the file, `rest` bytes are added, up to the
    /// length of the file.
    pub(crate) fn needing_more(mut self, rest: u64, file_bytes: u64) -> Self {
        if let ErrorKind::PrefixTooShort { need } = &mut self.kind {
            *need = need.saturating_add(rest).min(file_bytes);
        }
        self
    }

    /// Returns the same error with this place.
    pub(crate) fn within(mut self, place: Place) -> Self {
        self.place = place;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Header => {}
            Place::Key(index) => write!(f, "metadata key {index}: ")?,
            Place::Value(key) => write!(f, "metadata {key:?}: ")?,
            Place::Element(key) => write!(f, "metadata {key:?}, in the array: ")?,
            Place::NestedValue(key) => write!(f, "metadata {key:?}, in a nested array: ")?,
            Place::TensorEntry(index) => write!(f, "entry {index} of the tensor table: ")?,
            Place::Tensor(name) => write!(f, "tensor {name:?}: ")?,
        }
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl core::error::Error for Error {}
