use std::io::{self, Write};

use super::{Draft, TensorInfo, Value};

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// `general.alignment` is no power of two of type U32.
    #[error("general.alignment is {0:?}, expected a U32 that is a power of two")]
    Alignment(Value),
    /// A metadata key is empty, longer than 65,535 bytes or not printable ASCII.
    #[error("the metadata key {0:?} is empty, too long or not printable ASCII")]
    Key(String),
    /// A tensor name is empty, has control characters or is taken.
    #[error("the tensor name {0:?} is empty, has control characters or appears twice")]
    Name(String),
    /// A tensor's size cannot be computed: unknown type, partial blocks, or too large.
    #[error("tensor {:?}: rows of {} values are not whole blocks of {}, or it is too large", .0.name, .0.shape.row(), .0.ty)]
    Size(Box<TensorInfo>),
    /// Tensors are written in another order than announced, or too few of them.
    #[error("tensor {found:?} was to be written, the next of the file is {expected:?}")]
    Order {
        /// The next tensor of the file, if there is one.
        expected: Option<String>,
        /// The tensor that was to be written, nothing at the end.
        found: Option<String>,
    },
    /// A tensor got fewer or more bytes than its shape and type take.
    #[error("tensor {name:?} takes {expected} bytes, {found} were written")]
    Length {
        /// The tensor.
        name: String,
        /// Bytes by shape and type.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// The operating system's error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes a file from front to back: the whole header first, then the tensors in their order.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    draft: Draft,
    next: usize,
}

impl<W: Write> Writer<W> {
    /// Write the header.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start(mut out: W, draft: Draft) -> Result<Self, WriteError> {
        out.write_all(&draft.header())?;
        Ok(Self { out, draft, next: 0 })
    }

    /// Begin the data of the next tensor, which must be the one with this name. Write all its bytes, then call
    /// [`TensorWriter::finish`].
    ///
    /// # Errors
    /// If another tensor comes next.
    pub fn tensor(&mut self, name: &str) -> Result<TensorWriter<'_, W>, WriteError> {
        let next = self.draft.tensors().get(self.next);
        match next {
            Some(tensor) if tensor.name == name => {
                let bytes = tensor.bytes().expect("the draft has checked the size");
                Ok(TensorWriter { writer: self, bytes, written: 0 })
            }
            _ => Err(WriteError::Order {
                expected: next.map(|tensor| tensor.name.clone()),
                found: Some(name.to_owned()),
            }),
        }
    }

    /// The writer below, once every tensor is written. It is not flushed.
    ///
    /// # Errors
    /// If a tensor is missing.
    pub fn finish(self) -> Result<W, WriteError> {
        match self.draft.tensors().get(self.next) {
            Some(tensor) => {
                Err(WriteError::Order { expected: Some(tensor.name.clone()), found: None })
            }
            None => Ok(self.out),
        }
    }
}

/// Takes the data of one tensor.
#[derive(Debug)]
pub struct TensorWriter<'w, W> {
    writer: &'w mut Writer<W>,
    bytes: u64,
    written: u64,
}

impl<W: Write> TensorWriter<'_, W> {
    /// Append bytes of the tensor's data.
    ///
    /// # Errors
    /// If the tensor would get more bytes than it takes, and the operating system's.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.written += bytes.len() as u64;
        if self.written > self.bytes {
            return Err(self.length());
        }
        Ok(self.writer.out.write_all(bytes)?)
    }

    /// Pad the data to the alignment.
    ///
    /// # Errors
    /// If bytes are missing, and the operating system's.
    pub fn finish(self) -> Result<(), WriteError> {
        if self.written != self.bytes {
            return Err(self.length());
        }
        let padding = self.bytes.next_multiple_of(self.writer.draft.alignment()) - self.bytes;
        io::copy(&mut io::Read::take(io::repeat(0), padding), &mut self.writer.out)?;
        self.writer.next += 1;
        Ok(())
    }

    fn length(&self) -> WriteError {
        let name = self.writer.draft.tensors()[self.writer.next].name.clone();
        WriteError::Length { name, expected: self.bytes, found: self.written }
    }
}
