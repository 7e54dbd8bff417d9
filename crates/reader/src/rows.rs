//! The values of rows: in the caller's buffer, in a `Vec`, or one row after another.

use std::ops::{Range, RangeBounds};

use granule_format::BlockType;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::error::Unsupported;
use crate::isa::{Isa, write_past_caches};
use crate::kernel::decode_blocks;
use crate::parallel::each_chunk;
use crate::{Error, Tensor};

/// Bytes of blocks that are read and decoded at a time: few enough that they stay in a core's
/// cache.
pub(crate) const CHUNK_BYTES: usize = 128 << 10;

/// Bytes of values from which on they are written past the caches, which they would not fit in.
const STREAMED: usize = 32 << 20;

/// Values that are decoded before they are written past the caches: whole blocks of any type.
const STREAMED_AT_ONCE: usize = 2048;

/// Bytes of blocks that a [`RowReader`] decodes at a time.
const READER_BYTES: usize = 16 << 10;

impl<'m> Tensor<'m> {
    /// Decodes some rows, one after another, into `out`.
    ///
    /// The calling thread does the work. From 32 MiB of values on they are written past the caches.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the type is unknown, [`Error::Io`] if the rows cannot be read.
    ///
    /// # Panics
    /// If there are no such rows, or `out` does not have exactly their number of values.
    pub fn decode_rows(self, rows: impl RangeBounds<usize>, out: &mut [f32]) -> Result<(), Error> {
        let rows = self.range(rows);
        self.check_buffer(&rows, out.len())?;
        let decode = decoder(out.len());
        self.decode_chunks(rows, out, &mut Vec::new(), decode)
    }

    /// Decodes some rows with the threads of the rayon pool that the caller runs in.
    ///
    /// To choose their number, call it inside `rayon::ThreadPool::install`. Without the feature
    /// `rayon`, the calling thread does the work. Values are those of
    /// [`decode_rows`](Self::decode_rows).
    ///
    /// # Errors
    /// As [`decode_rows`](Self::decode_rows).
    ///
    /// # Panics
    /// As [`decode_rows`](Self::decode_rows).
    pub fn par_decode_rows(
        self,
        rows: impl RangeBounds<usize>,
        out: &mut [f32],
    ) -> Result<(), Error> {
        let rows = self.range(rows);
        self.check_buffer(&rows, out.len())?;
        let (step, all) = (self.rows_in(4 * CHUNK_BYTES), out.len());
        let values = step.saturating_mul(self.row_values()).max(1);
        each_chunk(out, values, |i, out| {
            let start = rows.start + i * step;
            let rows = start..rows.end.min(start.saturating_add(step));
            self.decode_chunks(rows, out, &mut Vec::new(), decoder(all))
        })
    }

    /// Decodes some rows, rounded to half precision.
    ///
    /// # Errors
    /// As [`decode_rows`](Self::decode_rows).
    ///
    /// # Panics
    /// As [`decode_rows`](Self::decode_rows).
    pub fn decode_rows_f16(
        self,
        rows: impl RangeBounds<usize>,
        out: &mut [f16],
    ) -> Result<(), Error> {
        self.decode_rounded(self.range(rows), out, |values, out| out.convert_from_f32_slice(values))
    }

    /// Decodes some rows, rounded to BF16.
    ///
    /// # Errors
    /// As [`decode_rows`](Self::decode_rows).
    ///
    /// # Panics
    /// As [`decode_rows`](Self::decode_rows).
    pub fn decode_rows_bf16(
        self,
        rows: impl RangeBounds<usize>,
        out: &mut [bf16],
    ) -> Result<(), Error> {
        self.decode_rounded(self.range(rows), out, |values, out| out.convert_from_f32_slice(values))
    }

    /// Returns the values of all rows, one after another.
    ///
    /// Blocks of few bits become up to 28 times as large: to bound memory, use
    /// [`row_reader`](Self::row_reader) or [`decode_rows`](Self::decode_rows).
    ///
    /// # Errors
    /// As [`decode_rows`](Self::decode_rows).
    pub fn to_vec(self) -> Result<Vec<f32>, Error> {
        // that of an unknown type has any number of values
        self.span(0..self.rows())?;
        let values = self.rows().checked_mul(self.row_values());
        let values = values.ok_or_else(|| self.unsupported(Unsupported::TooLarge))?;
        let mut out = vec![0.0; values];
        self.decode_rows(.., &mut out)?;
        Ok(out)
    }

    /// Returns a reader that decodes some rows one after another into a buffer of its own: memory
    /// does not grow with the tensor.
    ///
    /// ```
    /// # use granule_reader::{Model, format::{BlockType, Draft, Shape}};
    /// # let mut draft = Draft::new(Default::default(), Default::default())?;
    /// # draft.add("weights", Shape::new(&[32, 3]).ok_or("shape")?, BlockType::Q8_0.into())?;
    /// # let mut file = draft.header();
    /// # file.resize(file.len() + 3 * 34, 0);
    /// # let model = Model::from_bytes(file)?;
    /// let weights = model.tensor("weights").expect("the only tensor");
    /// let mut rows = weights.row_reader(1..);
    /// let mut sum = 0.0;
    /// while let Some(row) = rows.next_row()? {
    ///     sum += row.iter().sum::<f32>();
    /// }
    /// # assert_eq!(sum, 0.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn row_reader(self, rows: impl RangeBounds<usize>) -> RowReader<'m> {
        let rows = self.range(rows);
        // an unknown type is an error of the first row; rows that are not there panic here
        _ = self.span(rows.clone());
        RowReader { tensor: self, left: rows, ready: 0..0, values: Vec::new(), blocks: Vec::new() }
    }

    /// Decodes the rows with these numbers, in the order asked for, into `out`: an embedding
    /// look-up. A row may be asked for more than once.
    ///
    /// # Errors
    /// As [`decode_rows`](Self::decode_rows).
    ///
    /// # Panics
    /// As [`decode_rows`](Self::decode_rows); nothing is written before all numbers are checked.
    pub fn gather_rows(self, rows: &[usize], out: &mut [f32]) -> Result<(), Error> {
        for row in rows {
            self.span(*row..row.saturating_add(1))?;
        }
        self.check_length(out.len(), rows.len());
        let mut scratch = Vec::new();
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(self.row_values().max(1))) {
            let (ty, ..) = self.span(*row..*row + 1)?;
            let blocks = self.blocks_of_rows(*row..*row + 1, &mut scratch)?;
            decode_blocks(Isa::detect(), ty, blocks, out);
        }
        Ok(())
    }

    fn check_buffer(self, rows: &Range<usize>, found: usize) -> Result<(), Error> {
        self.span(rows.clone())?;
        self.check_length(found, rows.len());
        Ok(())
    }

    fn check_length(self, found: usize, rows: usize) {
        let (name, values) = (self.name(), self.row_values());
        assert!(
            rows.checked_mul(values) == Some(found),
            "a buffer of {found} values for {rows} rows of {values} of tensor {name:?}"
        );
    }

    fn decode_rounded<T>(
        self,
        rows: Range<usize>,
        out: &mut [T],
        round: impl Fn(&[f32], &mut [T]),
    ) -> Result<(), Error> {
        self.check_buffer(&rows, out.len())?;
        let mut values = Vec::new();
        self.decode_chunks(rows, out, &mut Vec::new(), |isa, ty, blocks, out| {
            values.resize(out.len(), 0.0);
            decode_blocks(isa, ty, blocks, &mut values);
            round(&values, out);
        })
    }

    /// Decodes checked rows, chunk by chunk.
    fn decode_chunks<T>(
        self,
        rows: Range<usize>,
        mut out: &mut [T],
        scratch: &mut Vec<u8>,
        mut decode: impl FnMut(Isa, BlockType, &[u8], &mut [T]),
    ) -> Result<(), Error> {
        let (ty, ..) = self.span(rows.clone())?;
        if out.is_empty() {
            return Ok(()); // there can be any number of rows without values
        }
        let (isa, step) = (Isa::detect(), self.rows_in(CHUNK_BYTES));
        let mut start = rows.start;
        while start < rows.end {
            let end = rows.end.min(start.saturating_add(step));
            // no more than `out` has, whose length was checked
            let values = (end - start) * self.row_values();
            let (chunk, rest) = out.split_at_mut(values);
            decode(isa, ty, self.blocks_of_rows(start..end, scratch)?, chunk);
            (start, out) = (end, rest);
        }
        Ok(())
    }
}

/// Decodes rows of a tensor one after another: see [`Tensor::row_reader`].
///
/// It is no [`Iterator`], because every row is lent from the same buffer.
#[derive(Clone, Debug)]
#[must_use = "nothing is read before the first row is asked for"]
pub struct RowReader<'m> {
    tensor: Tensor<'m>,
    /// Rows that are not decoded yet.
    left: Range<usize>,
    /// Rows of `values` that were not lent yet.
    ready: Range<usize>,
    values: Vec<f32>,
    blocks: Vec<u8>,
}

impl RowReader<'_> {
    /// Returns the values of the next row; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the type is unknown, [`Error::Io`] if the row cannot be read; the
    /// next call tries again.
    pub fn next_row(&mut self) -> Result<Option<&[f32]>, Error> {
        let columns = self.tensor.row_values();
        if self.ready.is_empty() {
            let count = self.left.len().min(self.tensor.rows_in(READER_BYTES));
            if count == 0 {
                return Ok(None);
            }
            let rows = self.left.start..self.left.start + count;
            // before anything is reserved: an unknown type has rows of any length
            self.tensor.span(rows.clone())?;
            self.values.resize(count * columns, 0.0);
            let decode = decode_blocks;
            self.tensor.decode_chunks(rows, &mut self.values, &mut self.blocks, decode)?;
            self.left.start += count;
            self.ready = 0..count;
        }
        let row = self.ready.start;
        self.ready.start += 1;
        Ok(Some(&self.values[row * columns..][..columns]))
    }

    /// Number of rows that are left.
    pub fn remaining(&self) -> usize {
        self.ready.len() + self.left.len()
    }
}

/// Decodes blocks to a part of a buffer of `values` values.
fn decoder(values: usize) -> impl FnMut(Isa, BlockType, &[u8], &mut [f32]) {
    let is_streamed = values >= STREAMED / size_of::<f32>();
    move |isa, ty, blocks, out| {
        if !is_streamed {
            return decode_blocks(isa, ty, blocks, out);
        }
        let bytes = STREAMED_AT_ONCE / ty.block_values() * ty.block_bytes();
        let mut blocks = blocks.chunks(bytes);
        write_past_caches::<STREAMED_AT_ONCE>(out, |out| {
            let blocks = blocks.next().expect("as many pieces of blocks as of values");
            decode_blocks(isa, ty, blocks, out);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_written_past_the_caches_are_the_same() {
        let blocks: Vec<u8> = (0..34 * 200).map(|i: usize| (i * 37 % 251) as u8).collect();
        for ty in [BlockType::Q8_0, BlockType::F16] {
            let values = blocks.len() / ty.block_bytes() * ty.block_values();
            let (mut expected, mut found) = (vec![0.0; values], vec![0.0; values + 1]);
            decode_blocks(Isa::detect(), ty, &blocks, &mut expected);
            decoder(STREAMED)(Isa::detect(), ty, &blocks, &mut found[1..]);
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(bits(&expected) == bits(&found[1..]), "{ty}");
        }
    }
}
