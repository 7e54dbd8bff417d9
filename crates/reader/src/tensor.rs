use std::borrow::Cow;
use std::ops::Range;

use granule_format::{BlockType, Endian, Shape, TensorInfo, TensorType};

use crate::Error;
use crate::decode::decode;
use crate::isa::Isa;
use crate::model::Shard;

/// A tensor of an open model: a view, cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'m> {
    shard: &'m Shard,
    info: &'m TensorInfo,
}

impl<'m> Tensor<'m> {
    pub(crate) fn new(shard: &'m Shard, info: &'m TensorInfo) -> Self {
        Self { shard, info }
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

    /// Number of rows: the product of all dimensions but the first.
    pub fn rows(self) -> u64 {
        self.info.shape.rows().unwrap_or(u64::MAX)
    }

    /// The data as it lies in the file, without a copy: `None` unless the file is mapped or in
    /// memory and the type is known. In a big-endian file the numbers in the blocks are big-endian.
    pub fn bytes(self) -> Option<&'m [u8]> {
        let length = usize::try_from(self.info.bytes()?).ok()?;
        let start = usize::try_from(self.start()).ok()?;
        self.shard.bytes()?.get(start..start.checked_add(length)?)
    }

    /// The blocks of some rows, little-endian; borrowed if the file is mapped or in memory and
    /// little-endian.
    ///
    /// # Errors
    /// If the type is unknown, there are no such rows, or they cannot be read.
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
    pub fn read_rows_into(self, rows: Range<u64>, out: &mut Vec<u8>) -> Result<(), Error> {
        let (ty, start, length) = self.span(rows)?;
        out.resize(length, 0);
        self.shard.storage.read_into(start, out).map_err(|e| self.io(e))?;
        if self.shard.header().endian() == Endian::Big {
            ty.swap_bytes(out);
        }
        Ok(())
    }

    /// The values of some rows, one row after another, in `out`.
    ///
    /// # Errors
    /// If the type is unknown, there are no such rows, `out` does not have exactly their number of
    /// values, or they cannot be read.
    pub fn decode_rows(self, rows: Range<u64>, out: &mut [f32]) -> Result<(), Error> {
        let (ty, ..) = self.span(rows.clone())?;
        let expected = (rows.end - rows.start).saturating_mul(self.info.shape.row());
        if out.len() as u64 != expected {
            let name = self.info.name.clone();
            return Err(Error::Buffer { name, found: out.len(), expected });
        }
        decode(Isa::detect(), ty, &self.read_rows(rows)?, out);
        Ok(())
    }

    /// Type of the blocks, and where the rows lie in the file: first byte and length.
    fn span(self, rows: Range<u64>) -> Result<(BlockType, u64, usize), Error> {
        let ty = match self.info.ty {
            TensorType::Known(ty) => ty,
            TensorType::Unknown(id) => {
                return Err(Error::UnknownType { name: self.info.name.clone(), id });
            }
        };
        if rows.start > rows.end || rows.end > self.rows() {
            let (name, asked) = (self.info.name.clone(), rows);
            return Err(Error::Rows { name, asked, rows: self.rows() });
        }
        // opening has checked that the whole tensor lies inside the file, so nothing overflows
        let row = self.info.row_bytes().expect("rows are whole blocks");
        let length = (rows.end - rows.start) * row;
        let length =
            usize::try_from(length).map_err(|_| self.io(std::io::ErrorKind::OutOfMemory.into()))?;
        Ok((ty, self.start() + rows.start * row, length))
    }

    /// First byte of the data in the file.
    fn start(self) -> u64 {
        self.shard.header().data_offset().saturating_add(self.info.offset)
    }

    fn io(self, source: std::io::Error) -> Error {
        Error::Io { path: self.shard.path().to_owned(), source }
    }
}
