#[cfg(feature = "std")]
use std::io;

use super::{Shape, TensorInfo, Value};
use crate::prelude::*;

/// The reason why a file cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive] // new checks bring new errors
pub enum WriteError {
    /// `general.alignment` is not a U32 that is a power of two.
    #[error("general.alignment is {0:?}, expected a U32 that is a power of two")]
    Alignment(Value),
    /// A metadata key is empty, longer than 65,535 bytes or not printable ASCII.
    #[error("the metadata key {0:?} is empty, too long or not printable ASCII")]
    Key(String),
    /// A tensor name is empty, has control characters or is already used.
    #[error("the tensor name {0:?} is empty, has control characters or appears twice")]
    Name(String),
    /// A tensor has more dimensions than the format allows.
    #[error(
        "tensor {:?} has {} dimensions ({}), at most {} are allowed",
        .0.name, .0.shape.dimensions().len(), .0.shape, Shape::LEGAL
    )]
    Dimensions(Box<TensorInfo>),
    /// A tensor's size cannot be computed: unknown type, partial blocks, or too large.
    #[error(
        "tensor {:?}: rows of {} values are not whole blocks of {}, or it is too large",
        .0.name, .0.shape.row(), .0.ty
    )]
    Size(Box<TensorInfo>),
    /// A tensor was started that is not the next one of the file.
    #[error(
        "tensor {found:?} is not the next of the file, {expected:?} is: write the tensors in the \
         order of the draft"
    )]
    Order {
        /// The next tensor of the file.
        expected: String,
        /// The tensor that was started.
        found: String,
    },
    /// A tensor was started after the last one of the file.
    #[error("tensor {found:?} was started, but all tensors of the file are written")]
    AllWritten {
        /// The tensor that was started.
        found: String,
    },
    /// The file was finished before all tensors were written.
    #[error("the file cannot be finished: tensor {expected:?} and those after it are missing")]
    Missing {
        /// The next tensor of the file.
        expected: String,
    },
    /// A tensor was started and its writer dropped without
    /// [`TensorWriter::finish`](super::TensorWriter::finish): the file cannot be continued.
    #[error(
        "tensor {name:?} was started but never finished, so the file is incomplete: start it \
         again, and call `TensorWriter::finish` for every tensor"
    )]
    Unfinished {
        /// The tensor.
        name: String,
    },
    /// A tensor would get more bytes than its shape and type need, or was finished with fewer.
    #[error("tensor {name:?} has {expected} bytes, {found} were given")]
    Length {
        /// The tensor.
        name: String,
        /// Bytes by shape and type.
        expected: u64,
        /// Bytes that were given.
        found: u64,
    },
    /// An earlier write failed, so the position of the next byte in the file is unknown.
    #[error("an earlier write failed, so the file is incomplete: start it again")]
    Failed,
    /// The error of the underlying writer.
    #[cfg(feature = "std")]
    #[error(transparent)]
    Io(io::Error),
}

/// Recovers a [`WriteError`] that passed through [`io::Write`]; any other error becomes
/// [`WriteError::Io`].
#[cfg(feature = "std")]
impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(Self::Io)
    }
}

#[cfg(feature = "std")]
impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => error,
            other => Self::new(io::ErrorKind::InvalidInput, other),
        }
    }
}
