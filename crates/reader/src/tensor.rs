use std::borrow::Cow;
use std::ops::{Bound, Range, RangeBounds};

use granule_format::{BlockType, Endian, Shape, TensorInfo, TensorType};

use crate::Error;
use crate::error::Unsupported;
use crate::model::Shard;

/// A tensor of an open model: a view, cheap to copy.
///
/// Rows are the vectors along the first dimension. They are numbered from 0 through all other
/// dimensions.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'m> {
    shard: &'m Shard,
    info: &'m TensorInfo,
    /// The rows of the view.
    first_row: usize,
    rows: usize,
}

impl<'m> Tensor<'m> {
    pub(crate) fn new(shard: &'m Shard, info: &'m TensorInfo) -> Self {
        let rows = info.shape.rows().and_then(|rows| usize::try_from(rows).ok());
        let rows = rows.expect("opening has checked that rows can be counted");
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
        usize::try_from(self.info.shape.row()).expect("opening has checked that it fits")
    }

    /// Number of rows: the product of all dimensions but the first; of a
    /// [`matrix`](Self::matrix), its own.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// The data as it lies in the file, without a copy: `None` unless the file is mapped or in
    /// memory and the type is known. In a big-endian file the numbers in the blocks are big-endian.
    pub fn bytes(self) -> Option<&'m [u8]> {
        let (_, start, length) = self.span(0..self.rows).ok()?;
        let start = usize::try_from(start).ok()?;
        self.shard.bytes()?.get(start..start.checked_add(length)?)
    }

    /// Returns the blocks of some rows in little-endian order: borrowed if the file is mapped or in
    /// memory and little-endian, otherwise a copy.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the type is unknown, [`Error::Io`] if the rows cannot be read.
    ///
    /// # Panics
    /// If the tensor does not have these [`rows`](Self::rows).
    pub fn read_rows(self, rows: impl RangeBounds<usize>) -> Result<Cow<'m, [u8]>, Error> {
        let (ty, start, length) = self.span(self.range(rows))?;
        let mut blocks = self.shard.storage.read(start, length).map_err(|e| self.io(e))?;
        if self.shard.header().endian() == Endian::Big {
            ty.swap_bytes(blocks.to_mut());
        }
        Ok(blocks)
    }

    /// Replaces the contents of `out` by the blocks of some rows in little-endian order.
    ///
    /// # Errors
    /// As [`read_rows`](Self::read_rows).
    ///
    /// # Panics
    /// As [`read_rows`](Self::read_rows).
    pub fn read_rows_into(
        self,
        rows: impl RangeBounds<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (ty, start, length) = self.span(self.range(rows))?;
        out.resize(length, 0);
        self.shard.storage.read_into(start, out).map_err(|e| self.io(e))?;
        if self.shard.header().endian() == Endian::Big {
            ty.swap_bytes(out);
        }
        Ok(())
    }

    /// A view of one matrix of a tensor of three or more dimensions, such as the weights of one
    /// expert; its rows are numbered from 0. A tensor of one or two dimensions is its only matrix.
    ///
    /// # Panics
    /// If there is no such matrix: see [`matrices`](Self::matrices).
    #[must_use = "it is a view; the tensor stays as it is"]
    pub fn matrix(self, index: usize) -> Self {
        let (name, matrices) = (self.name(), self.matrices());
        assert!(index < matrices, "matrix {index} of tensor {name:?}, which has {matrices}");
        let rows = self.matrix_rows();
        Self { first_row: self.first_row + index * rows, rows, ..self }
    }

    /// Number of matrices: the product of all dimensions but the first two; 1 for a
    /// [`matrix`](Self::matrix).
    pub fn matrices(self) -> usize {
        self.rows.checked_div(self.matrix_rows()).unwrap_or(0)
    }

    fn matrix_rows(self) -> usize {
        let rows = self.info.shape.dimensions().get(1).copied().unwrap_or(1);
        // only a tensor without any rows can have a longer dimension
        usize::try_from(rows).unwrap_or(usize::MAX)
    }

    /// The blocks of some rows in little-endian order: the file's own bytes if possible, otherwise
    /// a copy in `scratch`.
    pub(crate) fn blocks_of_rows<'a>(
        self,
        rows: Range<usize>,
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

    /// Number of rows whose blocks have about this many bytes; at least one.
    pub(crate) fn rows_in(self, bytes: usize) -> usize {
        let rows = (bytes as u64).checked_div(self.info.row_bytes().unwrap_or(0)).unwrap_or(1);
        usize::try_from(rows).unwrap_or(usize::MAX).max(1)
    }

    /// The rows that a range means.
    pub(crate) fn range(self, rows: impl RangeBounds<usize>) -> Range<usize> {
        let start = match rows.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match rows.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.rows,
        };
        start..end
    }

    /// The type of the blocks, and where some rows lie in the file: first byte and length in bytes.
    ///
    /// # Panics
    /// If there are no such rows.
    pub(crate) fn span(self, rows: Range<usize>) -> Result<(BlockType, u64, usize), Error> {
        let (name, all) = (self.name(), self.rows());
        let is_in = rows.start <= rows.end && rows.end <= all;
        assert!(is_in, "rows {rows:?} of tensor {name:?}, which has {all}");
        let ty = match self.info.ty {
            TensorType::Known(ty) => ty,
            TensorType::Unknown(id) => return Err(self.unsupported(Unsupported::Type(id))),
        };
        // opening has checked that the whole tensor lies inside the file, so nothing overflows
        let row = self.info.row_bytes().expect("rows are whole blocks");
        let length = usize::try_from(rows.len() as u64 * row);
        let length = length.map_err(|_| self.unsupported(Unsupported::TooLarge))?;
        Ok((ty, self.start() + (self.first_row + rows.start) as u64 * row, length))
    }

    /// First byte of the data in the file.
    fn start(self) -> u64 {
        self.shard.header().data_offset().saturating_add(self.info.offset)
    }

    /// Says that all blocks are going to be read soon: see [`ReadAt::will_read`](crate::ReadAt).
    pub fn will_read(self) {
        if let Ok((_, start, length)) = self.span(0..self.rows()) {
            self.shard.storage.will_read(start..start + length as u64);
        }
    }

    pub(crate) fn unsupported(self, reason: Unsupported) -> Error {
        Error::unsupported(self.name(), reason)
    }

    fn io(self, source: std::io::Error) -> Error {
        Error::io(self.shard.path())(source)
    }
}
