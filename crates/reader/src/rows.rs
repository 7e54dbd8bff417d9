//! The values of rows, in the caller's buffer.

use std::ops::Range;

use granule_format::BlockType;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use crate::decode::decode;
use crate::isa::{Isa, write_past_caches};
use crate::{Error, Tensor};

/// Bytes of blocks that are read and decoded at a time: few enough that they stay in a core's cache.
pub(crate) const CHUNK_BYTES: u64 = 128 << 10;

/// Bytes of values from which on they are written past the caches, which they would not fit in.
const STREAMED: usize = 32 << 20;

/// Values that are decoded before they are written past the caches: whole blocks of any type.
const STREAMED_AT_ONCE: usize = 2048;

impl Tensor<'_> {
    /// The values of some rows, one row after another, in `out`. The work is done by the calling thread.
    /// Values of 32 MiB and more are written past the caches.
    ///
    /// # Errors
    /// [`Error::UnknownType`] if the type is unknown, [`Error::Io`] if the rows cannot be read.
    ///
    /// # Panics
    /// If there are no such rows, or `out` does not have exactly their number of values.
    pub fn decode_rows(self, rows: Range<u64>, out: &mut [f32]) -> Result<(), Error> {
        self.check_buffer(&rows, out.len())?;
        let decode = decoder(out.len());
        self.decode_chunks(rows, out, decode)
    }

    /// As [`decode_rows`](Self::decode_rows), with the threads of the rayon pool that the caller runs in: see
    /// [`rayon::ThreadPool::install`] for how to choose their number.
    ///
    /// # Errors
    /// As [`decode_rows`](Self::decode_rows).
    ///
    /// # Panics
    /// As [`decode_rows`](Self::decode_rows).
    pub fn par_decode_rows(self, rows: Range<u64>, out: &mut [f32]) -> Result<(), Error> {
        self.check_buffer(&rows, out.len())?;
        let (step, all) = (self.rows_in(4 * CHUNK_BYTES), out.len());
        let values = usize::try_from(step).unwrap_or(usize::MAX).saturating_mul(self.row_values());
        out.par_chunks_mut(values.max(1)).enumerate().try_for_each(|(i, out)| {
            let start = rows.start + i as u64 * step;
            self.decode_chunks(start..rows.end.min(start + step), out, decoder(all))
        })
    }

    /// As [`decode_rows`](Self::decode_rows), rounded to half precision.
    ///
    /// # Errors
    /// As [`decode_rows`](Self::decode_rows).
    ///
    /// # Panics
    /// As [`decode_rows`](Self::decode_rows).
    pub fn decode_rows_f16(self, rows: Range<u64>, out: &mut [f16]) -> Result<(), Error> {
        self.check_buffer(&rows, out.len())?;
        let mut values = Vec::new();
        self.decode_chunks(rows, out, |isa, ty, blocks, out| {
            values.resize(out.len(), 0.0);
            decode(isa, ty, blocks, &mut values);
            out.convert_from_f32_slice(&values);
        })
    }

    /// As [`decode_rows`](Self::decode_rows), rounded to BF16.
    ///
    /// # Errors
    /// As [`decode_rows`](Self::decode_rows).
    ///
    /// # Panics
    /// As [`decode_rows`](Self::decode_rows).
    pub fn decode_rows_bf16(self, rows: Range<u64>, out: &mut [bf16]) -> Result<(), Error> {
        self.check_buffer(&rows, out.len())?;
        let mut values = Vec::new();
        self.decode_chunks(rows, out, |isa, ty, blocks, out| {
            values.resize(out.len(), 0.0);
            decode(isa, ty, blocks, &mut values);
            out.convert_from_f32_slice(&values);
        })
    }

    /// The values of the rows with these numbers, in the order asked for, in `out`: what an
    /// embedding look-up does. A row may be asked for more than once.
    ///
    /// # Errors
    /// As [`decode_rows`](Self::decode_rows).
    ///
    /// # Panics
    /// As [`decode_rows`](Self::decode_rows); nothing is written before all numbers are checked.
    pub fn gather_rows(self, rows: &[u64], out: &mut [f32]) -> Result<(), Error> {
        for row in rows {
            self.span(*row..row.saturating_add(1))?;
        }
        self.check_length(out.len(), rows.len() as u64);
        let mut scratch = Vec::new();
        for (row, out) in rows.iter().zip(out.chunks_exact_mut(self.row_values().max(1))) {
            let (ty, ..) = self.span(*row..*row + 1)?;
            decode(Isa::detect(), ty, self.blocks_of_rows(*row..*row + 1, &mut scratch)?, out);
        }
        Ok(())
    }

    fn check_buffer(self, rows: &Range<u64>, found: usize) -> Result<(), Error> {
        self.span(rows.clone())?;
        self.check_length(found, rows.end - rows.start);
        Ok(())
    }

    fn check_length(self, found: usize, rows: u64) {
        let (name, values) = (self.name(), self.info().shape.row());
        assert!(
            found as u64 == rows.saturating_mul(values),
            "a buffer of {found} values for {rows} rows of {values} of tensor {name:?}"
        );
    }

    /// Decode checked rows, tile by tile.
    fn decode_chunks<T>(
        self,
        rows: Range<u64>,
        mut out: &mut [T],
        mut decode: impl FnMut(Isa, BlockType, &[u8], &mut [T]),
    ) -> Result<(), Error> {
        let (ty, ..) = self.span(rows.clone())?;
        if out.is_empty() {
            return Ok(()); // there can be any number of rows without values
        }
        let (isa, step) = (Isa::detect(), self.rows_in(CHUNK_BYTES));
        let (mut start, mut scratch) = (rows.start, Vec::new());
        while start < rows.end {
            let end = rows.end.min(start.saturating_add(step));
            // no more than `out` has, whose length was checked
            let values = (end - start) as usize * self.row_values();
            let (chunk, rest) = out.split_at_mut(values);
            decode(isa, ty, self.blocks_of_rows(start..end, &mut scratch)?, chunk);
            (start, out) = (end, rest);
        }
        Ok(())
    }
}

/// Decodes blocks to a part of a buffer of `values` values.
fn decoder(values: usize) -> impl FnMut(Isa, BlockType, &[u8], &mut [f32]) {
    let is_streamed = values >= STREAMED / size_of::<f32>();
    move |isa, ty, blocks, out| {
        if !is_streamed {
            return decode(isa, ty, blocks, out);
        }
        let bytes = STREAMED_AT_ONCE / ty.block_values() * ty.block_bytes();
        let mut blocks = blocks.chunks(bytes);
        write_past_caches::<STREAMED_AT_ONCE>(out, |out| {
            decode(isa, ty, blocks.next().expect("as many pieces of blocks as of values"), out);
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
            decode(Isa::detect(), ty, &blocks, &mut expected);
            decoder(STREAMED)(Isa::detect(), ty, &blocks, &mut found[1..]);
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(bits(&expected) == bits(&found[1..]), "{ty}");
        }
    }
}
