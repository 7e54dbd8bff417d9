use std::io::{self, Write};

use super::{Draft, TensorInfo, WriteError};
use crate::prelude::*;

/// Writes a file from start to end: the whole header first, then the tensors in order.
///
/// Start every tensor with [`tensor`](Self::tensor), write its data through [`io::Write`], and
/// finish it:
///
/// ```
/// use std::io::Write;
///
/// use granule_format::{BlockType, Draft, Endian, Metadata, Shape, WriteError, Writer};
///
/// let mut draft = Draft::new(Metadata::new(), Endian::Little)?;
/// draft.add("w", Shape::new(&[2]).expect("one dimension"), BlockType::F32.into())?;
/// let mut writer = Writer::start(Vec::new(), draft)?;
/// let mut tensor = writer.tensor("w")?;
/// tensor.write_all(&1.5_f32.to_le_bytes())?;
/// tensor.write_all(&2.5_f32.to_le_bytes())?;
/// tensor.finish()?;
/// let file: Vec<u8> = writer.finish()?;
/// # assert!(granule_format::Header::parse(&file).is_ok());
/// # Ok::<(), WriteError>(())
/// ```
///
/// After an error of the underlying writer, or after a tensor was started and not finished, nothing
/// more can be written: every call returns an error, and [`finish`](Self::finish) never returns an
/// incomplete file.
#[derive(Debug)]
#[must_use = "the file is not whole before `finish` returns"]
pub struct Writer<W> {
    out: W,
    draft: Draft,
    next: usize,
    state: State,
}

/// The state of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The header or a tensor with its padding was written completely.
    Whole,
    /// The next tensor is started. Its data may be complete, but not its padding.
    InTensor,
    /// Unknown: the underlying writer failed.
    Failed,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// The error of the underlying writer.
    pub fn start(mut out: W, draft: Draft) -> Result<Self, WriteError> {
        out.write_all(&draft.header()).map_err(WriteError::Io)?;
        Ok(Self { out, draft, next: 0, state: State::Whole })
    }

    /// The tensors in the order in which they have to be written.
    pub fn tensors(&self) -> &[TensorInfo] {
        self.draft.tensors()
    }

    /// Starts the data of the next tensor, which must have this name. Write all its bytes, then
    /// call [`TensorWriter::finish`].
    ///
    /// # Errors
    /// If another tensor comes next, the tensor before was not finished, or an earlier write
    /// failed.
    pub fn tensor(&mut self, name: &str) -> Result<TensorWriter<'_, W>, WriteError> {
        self.check_whole()?;
        let Some(tensor) = self.draft.tensors().get(self.next) else {
            return Err(WriteError::AllWritten { found: name.to_owned() });
        };
        if tensor.name != name {
            let (expected, found) = (tensor.name.clone(), name.to_owned());
            return Err(WriteError::Order { expected, found });
        }
        let bytes = tensor.bytes().expect("the draft has checked the size");
        self.state = State::InTensor;
        Ok(TensorWriter { writer: self, bytes, written: 0 })
    }

    /// Returns the underlying writer once every tensor is written. It is not flushed.
    ///
    /// # Errors
    /// If a tensor is missing or was not finished, or an earlier write failed.
    pub fn finish(self) -> Result<W, WriteError> {
        self.check_whole()?;
        match self.draft.tensors().get(self.next) {
            Some(tensor) => Err(WriteError::Missing { expected: tensor.name.clone() }),
            None => Ok(self.out),
        }
    }

    fn check_whole(&self) -> Result<(), WriteError> {
        match self.state {
            State::Whole => Ok(()),
            State::InTensor => {
                Err(WriteError::Unfinished { name: self.draft.tensors()[self.next].name.clone() })
            }
            State::Failed => Err(WriteError::Failed),
        }
    }
}

/// Writes the data of one tensor: write all its bytes through [`io::Write`], then call
/// [`finish`](Self::finish).
///
/// A write past the end of the tensor writes nothing and fails with an [`io::Error`] that holds a
/// [`WriteError::Length`]. The operator `?` turns it back into a [`WriteError`].
#[derive(Debug)]
#[must_use = "the tensor is not whole before `finish` returns"]
pub struct TensorWriter<'w, W> {
    writer: &'w mut Writer<W>,
    bytes: u64,
    written: u64,
}

impl<W: Write> TensorWriter<'_, W> {
    /// Bytes that the tensor still needs.
    pub fn missing_bytes(&self) -> u64 {
        self.bytes - self.written
    }

    /// Pads the data to the alignment.
    ///
    /// # Errors
    /// If bytes are missing or an earlier write failed; the error of the underlying writer.
    pub fn finish(self) -> Result<(), WriteError> {
        if self.writer.state == State::Failed {
            return Err(WriteError::Failed);
        }
        if self.written != self.bytes {
            return Err(self.length(self.written));
        }
        let padding = self.bytes.next_multiple_of(self.writer.draft.alignment()) - self.bytes;
        // if this fails, it is unknown how much was written
        self.writer.state = State::Failed;
        io::copy(&mut io::Read::take(io::repeat(0), padding), &mut self.writer.out)
            .map_err(WriteError::Io)?;
        self.writer.next += 1;
        self.writer.state = State::Whole;
        Ok(())
    }

    fn length(&self, found: u64) -> WriteError {
        let name = self.writer.draft.tensors()[self.writer.next].name.clone();
        WriteError::Length { name, expected: self.bytes, found }
    }
}

impl<W: Write> Write for TensorWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.writer.state == State::Failed {
            return Err(WriteError::Failed.into());
        }
        if bytes.len() as u64 > self.missing_bytes() {
            return Err(self.length(self.written.saturating_add(bytes.len() as u64)).into());
        }
        // if this panics or fails, it is unknown how much was written
        self.writer.state = State::Failed;
        let written = match self.writer.out.write(bytes) {
            Ok(count) => {
                assert!(count <= bytes.len(), "more bytes are said to be written than were given");
                self.written += count as u64;
                Ok(count)
            }
            // nothing was written, and callers try again
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => return Err(error),
        };
        self.writer.state = State::InTensor;
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.out.flush()
    }
}
