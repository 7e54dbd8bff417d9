use std::borrow::Cow;
use std::ops::Range;

use granule_format::{BlockType, Endian, Shape, TensorInfo, TensorType};

use crate::Error;
use crate::model::Shard;

/// A tensor of an open model: a view, cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'m> {
    shard: &'m Shard,
    info: &'m TensorInfo,
    /// The rows of the view.
    first_row: u64,
    rows: u64,
}

impl<'m> Tensor<'m> {
    pub(crate) fn new(shard: &'m Shard, info: &'m TensorInfo) -> Self {
        let rows = info.shape.rows().unwrap_or(u64::MAX);
        Self { shard, info, first_row: 0, rows }
    }

    /// The tensor's name.
    pub fn name(self) -> &'m str {
        &self.info.name
    }

    /// Its dimensions, the length of a row first.
    pub fn shape(self) -> Shape {
        self.info.shape
    }

    /// Its type.
    pub fn ty(self) -> TensorType {
        self.info.ty
    }

    /// Its entry in the tensor table.
    pub fn info(self) -> &'m TensorInfo {
        self.info
    }

    /// The file that it is in.
    pub fn shard(self) -> &'m Shard {
        self.shard
    }

    /// Values in a row.
    pub fn row_values(self) -> usize {
        // a row lies inside the file, or the type is unknown and nothing can be decoded
        usize::try_from(self.info.shape.row()).unwrap_or(usize::MAX)
    }

    /// Number of rows: the product of all dimensions but the first; those of one [`matrix`](Self::matrix) if the
    /// view is of one.
    pub fn rows(self) -> u64 {
        self.rows
    }

    /// The data as it lies in the file, without a copy: `None` unless the file is mapped or in
    /// memory and the type is known. In a big-endian file the numbers in the blocks are big-endian.
    pub fn bytes(self) -> Option<&'m [u8]> {
        let (_, start, length) = self.span(0..self.rows).ok()?;
        let start = usize::try_from(start).ok()?;
        self.shard.bytes()?.get(start..start.checked_add(length)?)
    }

    /// The blocks of some rows, little-endian; borrowed if the file is mapped or in memory and
    /// little-endian.
    ///
    /// # Errors
    /// [`Error::UnknownType`] if the type is unknown, [`Error::Io`] if the rows cannot be read.
    ///
    /// # Panics
    /// If the tensor does not have these [`rows`](Self::rows).
    pub fn read_rows(self, rows: Range<u64>) -> Result<Cow<'m, [u8]>, Error> {
        let (ty, start, length) = self.span(rows)?;
        let mut blocks = self.shard.storage.read(start, length).map_err(|e| self.io(e))?;
        if self.shard.header().endian() == Endian::Big {
            ty.swap_bytes(blocks.to_mut());
        }
        Ok(blocks)
    }

    /// The blocks of some rows, little-endian, in `out`, which is replaced.
    ///
    /// # Errors
    /// As [`read_rows`](Self::read_rows).
    ///
    /// # Panics
    /// As [`read_rows`](Self::read_rows).
    pub fn read_rows_into(self, rows: Range<u64>, out: &mut Vec<u8>) -> Result<(), Error> {
        let (ty, start, length) = self.span(rows)?;
        out.resize(length, 0);
        self.shard.storage.read_into(start, out).map_err(|e| self.io(e))?;
        if self.shard.header().endian() == Endian::Big {
            ty.swap_bytes(out);
        }
        Ok(())
    }

    /// The view of one matrix of a tensor of three or more dimensions, such as the weights of one
    /// expert: its rows are numbered from 0. A tensor of one or two dimensions is its only matrix.
    ///
    /// # Panics
    /// If there is no such matrix: see [`matrices`](Self::matrices).
    pub fn matrix(self, index: u64) -> Self {
        let (name, matrices) = (self.name(), self.matrices());
        assert!(index < matrices, "matrix {index} of tensor {name:?}, which has {matrices}");
        let rows = self.matrix_rows();
        Self { first_row: self.first_row + index * rows, rows, ..self }
    }

    /// Number of matrices: the product of all dimensions but the first two; 1 for a [`matrix`](Self::matrix).
    pub fn matrices(self) -> u64 {
        self.rows.checked_div(self.matrix_rows()).unwrap_or(0)
    }

    fn matrix_rows(self) -> u64 {
        self.info.shape.dimensions().get(1).copied().unwrap_or(1)
    }

    /// The blocks of some rows, little-endian: the file's own bytes where that is possible, otherwise a copy
    /// in `scratch`.
    pub(crate) fn blocks_of_rows<'a>(
        self,
        rows: Range<u64>,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], Error>
    where
        'm: 'a,
    {
        if self.shard.header().endian() == Endian::Little && self.shard.bytes().is_some() {
            let (_, start, length) = self.span(rows)?;
            return match self.shard.storage.read(start, length).map_err(|e| self.io(e))? {
                Cow::Borrowed(bytes) => Ok(bytes),
                Cow::Owned(bytes) => {
                    *scratch = bytes;
                    Ok(scratch)
                }
            };
        }
        self.read_rows_into(rows, scratch)?;
        Ok(scratch)
    }

    /// Rows whose blocks are about this many bytes together; at least one.
    pub(crate) fn rows_in(self, bytes: u64) -> u64 {
        bytes.checked_div(self.info.row_bytes().unwrap_or(0)).unwrap_or(1).max(1)
    }

    /// Type of the blocks, and where the rows lie in the file: first byte and length.
    ///
    /// # Panics
    /// If there are no such rows.
    pub(crate) fn span(self, rows: Range<u64>) -> Result<(BlockType, u64, usize), Error> {
        let (name, all) = (self.name(), self.rows());
        let is_in = rows.start <= rows.end && rows.end <= all;
        assert!(is_in, "rows {rows:?} of tensor {name:?}, which has {all}");
        let ty = match self.info.ty {
            TensorType::Known(ty) => ty,
            TensorType::Unknown(id) => {
                return Err(Error::UnknownType { name: name.to_owned(), id });
            }
        };
        // opening has checked that the whole tensor lies inside the file, so nothing overflows
        let row = self.info.row_bytes().expect("rows are whole blocks");
        let length = (rows.end - rows.start) * row;
        let length =
            usize::try_from(length).map_err(|_| self.io(std::io::ErrorKind::OutOfMemory.into()))?;
        Ok((ty, self.start() + (self.first_row + rows.start) * row, length))
    }

    /// First byte of the data in the file.
    fn start(self) -> u64 {
        self.shard.header().data_offset().saturating_add(self.info.offset)
    }

    fn io(self, source: std::io::Error) -> Error {
        Error::io(self.shard.path())(source)
    }
}
