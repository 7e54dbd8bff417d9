//! Products of a matrix of weights with vectors of activations.

use std::cell::Cell;
use std::ops::Range;

use granule_format::BlockType;

use crate::activations::{Activations, Form};
use crate::isa::Isa;
use crate::kernel::{PANEL_ROWS, by_panels, copy_rows, dot_blocks};
use crate::parallel::{each_chunk, each_chunk_alone};
use crate::rows::CHUNK_BYTES;
use crate::{Error, Tensor};

/// Vectors whose products are put in order at a time.
const VECTORS: usize = 32;

/// Parts of a matrix that threads share, unless it is small: enough that none waits for another.
const PARTS: usize = 32;

/// The fewest bytes of blocks in a part; twice as many for a single vector.
const LEAST_BYTES: usize = 16 << 10;

/// Multiplications below which starting threads costs more than it gains.
const ALONE: u64 = 1 << 18;

impl Tensor<'_> {
    /// Prepares the vectors in `x`, one after another, in the form that the tensor's type needs:
    /// see [`Activations`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the type is unknown.
    ///
    /// # Panics
    /// If `x` is not whole vectors of [`row_values`](Self::row_values).
    pub fn prepare(self, x: &[f32]) -> Result<Activations, Error> {
        Ok(self.weights()?.batch(x))
    }

    /// Returns the dot product of one row with one vector.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    ///
    /// # Panics
    /// If there is no such row; and as [`matvec_with`](Self::matvec_with).
    pub fn dot(self, row: usize, activations: &Activations) -> Result<f32, Error> {
        let weights = self.weights()?;
        weights.check(activations);
        weights.check_single(activations);
        let rows = row..row.saturating_add(1);
        if activations.columns() == 0 {
            return self.span(rows).map(|_| 0.0);
        }
        let mut out = [0.0];
        self.dot_chunk(rows, activations, &mut out)?;
        Ok(out[0])
    }

    /// Multiplies the matrix with a vector: `y[row]` is the dot product of a row with `x`.
    ///
    /// `x` has as many values as a row, `y` as many as there are rows. The vector is quantized
    /// first, as [`Activations`] says; if several matrices are multiplied with the same vector,
    /// [`prepare`](Self::prepare) it once and call [`matvec_with`](Self::matvec_with). Unless the
    /// file is mapped or in memory, every call reads the weights again: see [`pack`](Self::pack)
    /// for a matrix that is multiplied often.
    ///
    /// Large products are shared among the threads of the rayon pool that the caller runs in. To
    /// choose their number, call it inside `rayon::ThreadPool::install`. Without the feature
    /// `rayon`, the calling thread does all. Results do not depend on it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the type is unknown, [`Error::Io`] if the rows cannot be read.
    ///
    /// # Panics
    /// If `x` or `y` does not have the length that the tensor's shape asks for.
    pub fn matvec(self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.matvec_with(&self.weights()?.activations(x, 1), y)
    }

    /// As [`matvec`](Self::matvec), with a vector that is already prepared.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    ///
    /// # Panics
    /// As [`matvec`](Self::matvec); if there is not exactly one vector, or it is in another
    /// [form](Activations::form) than the tensor's type needs.
    pub fn matvec_with(self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        self.weights()?.check_single(activations);
        self.matmul_with(activations, y)
    }

    /// Multiplies the matrix with a batch of vectors, one after another in `x`:
    /// `y[vector * rows + row]` is the dot product of a row with a vector.
    ///
    /// `x` has [`row_values`](Self::row_values) values for each vector, `y` has
    /// [`rows`](Self::rows). Threads as in [`matvec`](Self::matvec).
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    ///
    /// # Panics
    /// As [`matvec`](Self::matvec).
    pub fn matmul(self, x: &[f32], y: &mut [f32]) -> Result<(), Error> {
        self.matmul_with(&self.prepare(x)?, y)
    }

    /// As [`matmul`](Self::matmul), with vectors that are already prepared.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    ///
    /// # Panics
    /// If the vectors or `y` do not have the lengths that the tensor's shape asks for, or the
    /// activations are in another [form](Activations::form) than its type needs.
    pub fn matmul_with(self, activations: &Activations, y: &mut [f32]) -> Result<(), Error> {
        let weights = self.weights()?;
        let step = weights.step(activations.count(), CHUNK_BYTES);
        let by_panels = by_panels(Isa::detect(), activations, false);
        weights.multiply(activations, y, step, by_panels, |chunk, out| {
            let start = chunk * step;
            self.dot_chunk(start..weights.rows.min(start + step), activations, out)
        })
    }

    pub(crate) fn weights<'a>(self) -> Result<Weights<'a>, Error>
    where
        Self: 'a,
    {
        let (ty, ..) = self.span(0..0)?;
        Ok(Weights { name: self.name(), ty, columns: self.row_values(), rows: self.rows() })
    }

    /// The dot products of some rows with every vector, in the order that [`by_panels`] tells.
    fn dot_chunk(
        self,
        rows: Range<usize>,
        activations: &Activations,
        out: &mut [f32],
    ) -> Result<(), Error> {
        let (ty, ..) = self.span(rows.clone())?;
        let mut scratch = Vec::new();
        let blocks = self.blocks_of_rows(rows, &mut scratch)?;
        dot_blocks(Isa::detect(), ty, blocks, activations, out);
        Ok(())
    }
}

/// The name, type and shape of a matrix that products have to fit.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    pub(crate) name: &'a str,
    pub(crate) ty: BlockType,
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl Weights<'_> {
    /// Bytes of a row's blocks.
    pub(crate) fn row_bytes(&self) -> usize {
        self.columns / self.ty.block_values() * self.ty.block_bytes()
    }

    /// Rows of a part of the matrix that is multiplied with `count` vectors: whole panels, of
    /// `most` bytes of blocks or less.
    pub(crate) fn step(&self, count: usize, most: usize) -> usize {
        let least = if count == 1 { 2 * LEAST_BYTES } else { LEAST_BYTES };
        let bytes = (self.rows.saturating_mul(self.row_bytes()) / PARTS).clamp(least, most);
        (bytes / self.row_bytes().max(1)).max(1).next_multiple_of(PANEL_ROWS)
    }

    /// Prepares the vectors in `x`.
    pub(crate) fn batch(&self, x: &[f32]) -> Activations {
        self.activations(x, x.len().checked_div(self.columns).unwrap_or(0))
    }

    /// Prepares `count` vectors of the length of a row.
    ///
    /// # Panics
    /// If `x` does not have that length.
    pub(crate) fn activations(&self, x: &[f32], count: usize) -> Activations {
        if count.checked_mul(self.columns) != Some(x.len()) {
            self.misfit(x.len());
        }
        Activations::quantize_batch(self.ty, x, self.columns)
    }

    /// # Panics
    /// If the vectors have another length than rows, or another form than the type needs.
    pub(crate) fn check(&self, activations: &Activations) {
        if activations.columns() != self.columns {
            self.misfit(activations.columns());
        }
        let (name, form, expected) = (self.name, activations.form(), Form::of(self.ty));
        assert!(
            form == expected,
            "the activations are in the form {form:?}, tensor {name:?} needs {expected:?}"
        );
    }

    /// # Panics
    /// If there is not exactly one vector.
    pub(crate) fn check_single(&self, activations: &Activations) {
        let (name, count) = (self.name, activations.count());
        // vectors without values are not counted
        assert!(
            count == 1 || activations.columns() == 0,
            "one vector is multiplied with tensor {name:?}, the activations have {count}"
        );
    }

    fn misfit(&self, found: usize) -> ! {
        let (name, columns) = (self.name, self.columns);
        panic!("{found} values do not fit tensor {name:?}, which has rows of {columns}");
    }

    /// Lets `chunk` write the products of each `step` rows, which are whole panels, in the order
    /// that [`by_panels`] tells, and brings them into the order of `y`.
    ///
    /// # Panics
    /// If the activations or `y` do not fit.
    pub(crate) fn multiply<E: Send>(
        &self,
        activations: &Activations,
        y: &mut [f32],
        step: usize,
        by_panels: bool,
        chunk: impl Fn(usize, &mut [f32]) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        self.check(activations);
        let (name, count, found) = (self.name, activations.count(), y.len());
        let expected = count.saturating_mul(self.rows);
        assert!(
            found == expected,
            "a buffer of {found} values for {expected} products with tensor {name:?}"
        );
        if y.is_empty() {
            return Ok(());
        }
        let rows = y.len() / count;
        let work = (self.columns as u64).saturating_mul(y.len() as u64);
        if by_panels && work >= ALONE {
            activations.prepare_strips();
        }
        let all = |out: &mut [f32]| {
            let chunks = step * count;
            if work < ALONE {
                each_chunk_alone(out, chunks, &chunk)
            } else {
                each_chunk(out, chunks, &chunk)
            }
        };
        if count == 1 {
            return all(y);
        }
        with_scratch(y.len(), |products| {
            all(products)?;
            let order = |first: usize, y: &mut [f32]| -> Result<(), E> {
                in_order(products, count, by_panels, first, rows, y);
                Ok(())
            };
            // several vectors at a time for threads
            let together = rows * VECTORS;
            if work < ALONE {
                each_chunk_alone(y, together, |i, y| order(i * VECTORS, y))
            } else {
                each_chunk(y, together, |i, y| order(i * VECTORS, y))
            }
        })
    }
}

/// Writes the products of the vectors from `first` on, as many as `y` has, in the order of `y`.
fn in_order(
    products: &[f32],
    count: usize,
    by_panels: bool,
    first: usize,
    rows: usize,
    y: &mut [f32],
) {
    // a few rows at a time, so that lines of `y` are written whole
    for (panel, products) in products.chunks(PANEL_ROWS * count).enumerate() {
        let height = products.len() / count;
        for (vector, y) in (first..).zip(y.chunks_exact_mut(rows)) {
            let y = &mut y[PANEL_ROWS * panel..][..height];
            if by_panels {
                copy_rows(&products[vector * height..][..height], y);
            } else {
                for (y, row) in y.iter_mut().zip(products.chunks_exact(count)) {
                    *y = row[vector];
                }
            }
        }
    }
}

/// Calls `work` with any numbers: memory that is kept, because new pages cost more than the numbers
/// that are written to them.
fn with_scratch<T>(length: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local! {
        static KEPT: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    }
    /// Numbers that are kept at most.
    const MOST: usize = 1 << 22;
    let mut numbers = KEPT.take();
    if numbers.len() < length {
        numbers = vec![0.0; length];
    }
    let result = work(&mut numbers[..length]);
    if numbers.len() <= MOST {
        KEPT.set(numbers);
    }
    result
}
