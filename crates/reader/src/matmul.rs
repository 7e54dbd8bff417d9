//! Products of a matrix of weights with vectors of activations.

use std::ops::Range;

use rayon::prelude::*;

use crate::activations::{Activations, Form};
use crate::isa::Isa;
use crate::kernel::dot_rows;
use crate::rows::TILE_BYTES;
use crate::{Error, Tensor};

/// Multiplications below which starting threads costs more than it gains.
const ALONE: u64 = 1 << 18;

impl Tensor<'_> {
    /// The dot product of one row with one vector.
    ///
    /// # Errors
    /// As [`matvec_with`](Self::matvec_with), if there is no such row, or if there is not exactly one vector.
    pub fn dot(self, row: u64, activations: &Activations) -> Result<f32, Error> {
        self.check_activations(activations)?;
        self.check_length(activations.count(), 1)?;
        let mut out = [0.0];
        self.dot_tiles(row..row.saturating_add(1), activations, &mut out)?;
        Ok(out[0])
    }

    /// The product of the matrix with a vector: `y[row]` is the dot product of a row with `x`.
    ///
    /// `x` has as many values as a row, `y` as many as there are rows. Activations are prepared once, as
    /// [`Activations`] says; where several matrices are multiplied with the same vector, prepare it
    /// yourself and call [`matvec_with`](Self::matvec_with).
    ///
    /// Large products are shared among the threads of the rayon pool that the caller runs in: call it from
    /// [`rayon::ThreadPool::install`] to choose their number. Results do not depend on it.
    ///
    /// # Errors
    /// [`Error::UnknownType`] if the type is unknown, [`Error::Input`] or [`Error::Buffer`] if `x` or `y` does not
    /// have the length that the tensor's shape asks for, [`Error::Io`] if the rows cannot be read.
    pub fn matvec(self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.matvec_with(&self.activations(x, 1)?, y)
    }

    /// As [`matvec`](Self::matvec), with a vector that is already prepared.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec), and [`Error::Form`] if the activations are not in the form that the tensor's type
    /// needs.
    pub fn matvec_with(self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        if activations.count() != 1 && activations.columns() != 0 {
            let (name, columns) = (self.name().to_owned(), self.row_values());
            return Err(Error::Input { name, found: activations.codes_or_values(), columns });
        }
        self.matmul_with(activations, y)
    }

    /// The product of the matrix with a batch of vectors, one after another in `x`: `y[vector * rows + row]` is the
    /// dot product of a row with a vector.
    ///
    /// `y` is `count` times [`rows`](Self::rows) values long, `x` is `count` times [`row_values`](Self::row_values). Threads as in
    /// [`matvec`](Self::matvec).
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    pub fn matmul(self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        let count = x.len().checked_div(self.row_values()).unwrap_or(0);
        self.matmul_with(&self.activations(x, count)?, y)
    }

    /// As [`matmul`](Self::matmul), with vectors that are already prepared.
    ///
    /// # Errors
    /// As [`matvec_with`](Self::matvec_with).
    pub fn matmul_with(self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        self.check_activations(activations)?;
        let count = activations.count();
        self.check_length(y.len(), (count as u64).saturating_mul(self.rows()))?;
        if y.is_empty() {
            return Ok(());
        }
        let rows = y.len() / count;
        let step = self.rows_in(TILE_BYTES).next_multiple_of(16) as usize;
        let work = self.info().shape.row().saturating_mul(y.len() as u64);
        let threads = if work < ALONE { 1 } else { rayon::current_num_threads() };
        let tile = |tile: usize, out: &mut [f32]| {
            let start = tile * step;
            self.dot_tiles(start as u64..rows.min(start + step) as u64, activations, out)
        };
        match (count, threads) {
            (1, 1) => y.chunks_mut(step).enumerate().try_for_each(|(i, out)| tile(i, out)),
            (1, _) => y.par_chunks_mut(step).enumerate().try_for_each(|(i, out)| tile(i, out)),
            _ => {
                // the kernels write a row's results together; a tile at a time is turned around
                let mut by_row = vec![0.0; y.len()];
                let chunks = step * count;
                if threads == 1 {
                    by_row.chunks_mut(chunks).enumerate().try_for_each(|(i, out)| tile(i, out))?;
                } else {
                    by_row
                        .par_chunks_mut(chunks)
                        .enumerate()
                        .try_for_each(|(i, out)| tile(i, out))?;
                }
                // a few rows at a time, so that lines of `y` are written whole
                for (start, values) in by_row.chunks(16 * count).enumerate() {
                    for (vector, y) in y.chunks_exact_mut(rows).enumerate() {
                        let y = y[16 * start..].iter_mut();
                        for (y, values) in y.zip(values.chunks_exact(count)) {
                            *y = values[vector];
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Prepare `count` vectors of the length of a row.
    fn activations(self, x: &[f32], count: usize) -> Result<Activations, Error> {
        let (ty, ..) = self.span(0..0)?;
        let columns = self.row_values();
        if count.checked_mul(columns) != Some(x.len()) {
            return Err(Error::Input { name: self.name().to_owned(), found: x.len(), columns });
        }
        Activations::quantize_batch(ty, x, columns)
    }

    fn check_activations(self, activations: &Activations) -> Result<(), Error> {
        let (ty, ..) = self.span(0..0)?;
        let (found, columns) = (activations.columns(), self.row_values());
        if found != columns {
            return Err(Error::Input { name: self.name().to_owned(), found, columns });
        }
        let (found, expected) = (activations.form(), Form::of(ty));
        if found != expected {
            return Err(Error::Form { name: self.name().to_owned(), found, expected });
        }
        Ok(())
    }

    /// The dot products of some rows with every vector, a row's together.
    fn dot_tiles(
        self,
        rows: Range<u64>,
        activations: &Activations,
        out: &mut [f32],
    ) -> Result<(), Error> {
        let (ty, ..) = self.span(rows.clone())?;
        let mut scratch = Vec::new();
        let blocks = self.tile(rows, &mut scratch)?;
        dot_rows(Isa::detect(), ty, blocks, activations, out);
        Ok(())
    }
}
