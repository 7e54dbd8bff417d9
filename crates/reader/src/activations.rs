//! The vectors that weights are multiplied with, prepared once for all rows.

use std::convert::Infallible;
use std::sync::OnceLock;

use granule_format::BlockType;

use crate::parallel::collect;
use crate::rounding::{Rounded, Rounding};
use crate::strip::{COLUMNS, Strips, TOGETHER};
use crate::tile::{ActivationTile, TILE};
use crate::vector::Vector;

/// One or more vectors, prepared once for products with weights of some type.
///
/// | weights | form of the vectors |
/// |---|---|
/// | plain numbers (F32, F16, BF16, ...) | `f32`, unchanged |
/// | blocks of 32, 64 or 128 values | Q8_0: 8-bit codes, a half-precision scale for each 32 |
/// | blocks of 256 values | mixed: codes of 8 bits, some of 16; a scale for each 32 |
///
/// With blocks of 256 values, ggml rounds to Q8_K, which has one scale for 256 values; so does
/// [`as_ggml`](Self::as_ggml). In the mixed form each 32 values have a scale, and those have codes
/// of 16 bits that are in columns where magnitudes are largest: in the groups of 32 columns whose
/// squares of largest magnitudes, summed over all vectors, are more than four times the mean. These
/// are few, and what rounding changes in a model's predictions falls to a fifth of what it is with
/// Q8_K, or less. `docs/performance.md` in the repository has figures.
///
/// If a value is not finite, or is above 1e32, every product with its block is NaN.
///
/// ```
/// use granule_reader::{Activations, format::BlockType};
/// let x = vec![0.5; 512];
/// let once = Activations::quantize(BlockType::Q4_K, &x);
/// assert_eq!((once.columns(), once.count()), (512, 1));
/// ```
#[derive(Clone, Debug)]
#[must_use = "activations are made to be multiplied with"]
pub struct Activations {
    form: Form,
    columns: usize,
    count: usize,
    pub(crate) values: Vec<f32>,
    rounded: Rounded,
    /// All vectors again in the two orders for batches, made when first needed.
    tiles: OnceLock<Vec<ActivationTile>>,
    strips: OnceLock<Vec<Vec<Strips>>>,
}

/// Number of vectors from which on they are multiplied together.
const BATCH: usize = 5;

/// The form that [`Activations`] are multiplied in.
// weights of future types may need others
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `f32`, unchanged.
    Float,
    /// 8-bit codes with a scale for each 32.
    #[allow(non_camel_case_types, reason = "the names are the field's spelling")]
    Q8_0,
    /// 8-bit codes with a scale for each 32, and codes of 16 bits where values are largest.
    Mixed,
}

impl Form {
    /// The form that weights of this type need.
    pub const fn of(ty: BlockType) -> Self {
        crate::kernel::form_of(ty)
    }

    /// Number of values that share a scale; 1 if there is none.
    pub const fn block_values(self) -> usize {
        match self {
            Self::Float => 1,
            Self::Q8_0 | Self::Mixed => 32,
        }
    }
}

impl Activations {
    /// Prepares one vector for weights of type `ty`. Of a tensor,
    /// [`prepare`](crate::Tensor::prepare) knows the type.
    ///
    /// # Panics
    /// If its length is not whole blocks of `ty`.
    pub fn quantize(ty: BlockType, x: &[f32]) -> Self {
        Self::quantize_batch(ty, x, x.len())
    }

    /// Prepares the vectors of `columns` values each that follow one another in `x`.
    ///
    /// # Panics
    /// If `columns` is not whole blocks of `ty`, or `x` is not whole vectors.
    pub fn quantize_batch(ty: BlockType, x: &[f32], columns: usize) -> Self {
        Self::new(ty, x, columns, Rounding::Mixed)
    }

    /// As [`quantize_batch`](Self::quantize_batch), with the codes of ggml for all types: those of
    /// Q8_K for blocks of 256 values, with scales rounded to 22 bits. Products are as fast, and
    /// less exact.
    ///
    /// # Panics
    /// As [`quantize_batch`](Self::quantize_batch).
    pub fn as_ggml(ty: BlockType, x: &[f32], columns: usize) -> Self {
        Self::new(ty, x, columns, Rounding::Q8_K)
    }

    /// `super_blocks` says how vectors are rounded for blocks of 256 values.
    fn new(ty: BlockType, x: &[f32], columns: usize, super_blocks: Rounding) -> Self {
        let (block, found) = (ty.block_values(), x.len());
        assert!(
            columns.is_multiple_of(block),
            "{columns} values are not whole blocks of {ty}, which have {block}"
        );
        let count = found.checked_div(columns).unwrap_or(0);
        assert!(count * columns == found, "{found} values are not whole vectors of {columns}");
        let form = Form::of(ty);
        let (values, rounded) = match form {
            Form::Float => (x.to_vec(), Rounded::default()),
            Form::Q8_0 => (Vec::new(), Rounded::new(Rounding::Q8_0, x, columns)),
            Form::Mixed => (Vec::new(), Rounded::new(super_blocks, x, columns)),
        };
        let (tiles, strips) = (OnceLock::new(), OnceLock::new());
        Self { form, columns, count, values, rounded, tiles, strips }
    }

    /// Number of parts of a vector with remainders.
    fn slots(&self) -> usize {
        self.rounded.wide.iter().filter(|wide| **wide != 0).count()
    }

    /// Whether there are enough vectors to multiply them together.
    pub(crate) fn is_batch(&self) -> bool {
        self.count >= BATCH && self.columns > 0
    }

    /// The vectors in the order for rows that are multiplied one at a time.
    pub(crate) fn tiles(&self) -> &[ActivationTile] {
        self.tiles.get_or_init(|| {
            let tile = |vectors: &[Vector<'_>]| ActivationTile::new(self.form, vectors);
            self.vectors().chunks(TILE).map(tile).collect()
        })
    }

    /// The vectors in the order for panels of rows: for each segment of columns its strips.
    pub(crate) fn strips(&self) -> &[Vec<Strips>] {
        self.strips.get_or_init(|| {
            let vectors = self.vectors();
            let parts =
                |segment| vectors.chunks(TOGETHER).map(move |own| Strips::new(own, segment));
            (0..self.segments()).map(|segment| parts(segment).collect()).collect()
        })
    }

    /// Makes the order for panels of rows, with all threads. [`strips`](Self::strips) must not use
    /// them: the thread that waits for others could take a task that needs the strips.
    pub(crate) fn prepare_strips(&self) {
        if self.strips.get().is_none() {
            let vectors = self.vectors();
            let parts = vectors.chunks(TOGETHER).len();
            let part = |task: usize| {
                let own = &vectors[task % parts * TOGETHER..];
                Ok(Strips::new(&own[..own.len().min(TOGETHER)], task / parts))
            };
            let Ok(all) = collect::<_, Infallible>(self.segments() * parts, part);
            let mut all = all.into_iter();
            let segments = (0..self.segments()).map(|_| all.by_ref().take(parts).collect());
            // another thread may have been faster, with the same strips
            _ = self.strips.set(segments.collect());
        }
    }

    fn segments(&self) -> usize {
        self.columns.div_ceil(COLUMNS)
    }

    fn vectors(&self) -> Vec<Vector<'_>> {
        (0..self.count).map(|index| self.vector(index)).collect()
    }

    /// The form of the vectors.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Values in a vector.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of vectors.
    pub fn count(&self) -> usize {
        self.count
    }

    /// # Panics
    /// If there is no such vector.
    #[inline(always)]
    pub(crate) fn vector(&self, index: usize) -> Vector<'_> {
        assert!(index < self.count, "vector {index} of {}", self.count);
        let Self { columns, rounded, .. } = self;
        let columns = *columns;
        match self.form {
            Form::Float => Vector { values: own(&self.values, index, columns), ..Vector::EMPTY },
            Form::Q8_0 => Vector {
                codes: own(&rounded.codes, index, columns),
                scales: own(&rounded.scales, index, columns / 32),
                sums: own(&rounded.sums, index, columns / 16),
                scaled_sums: own(&rounded.scaled_sums, index, columns / 32),
                paired_codes: own(&rounded.paired_codes, index, columns / 64 * 64),
                ..Vector::EMPTY
            },
            Form::Mixed => {
                let slots = self.slots();
                Vector {
                    codes: own(&rounded.codes, index, columns),
                    scales: own(&rounded.scales, index, columns / 32),
                    sums: own(&rounded.sums, index, columns / 16),
                    scaled_sums: own(&rounded.scaled_sums, index, columns / 32),
                    fine_sums: own(&rounded.fine_sums, index, columns / 16),
                    wide: &rounded.wide,
                    remainders: own(&rounded.remainders, index, 256 * slots),
                    remainder_sums: own(&rounded.remainder_sums, index, 16 * slots),
                    remainder_scales: own(&rounded.remainder_scales, index, 8 * slots),
                    ..Vector::EMPTY
                }
            }
        }
    }

    /// The values of a vector, as they are rounded.
    #[cfg(test)]
    pub(crate) fn rounded(&self, index: usize) -> Vec<f64> {
        let vector = self.vector(index);
        let product = |code: i8, scale: f32| f64::from(code) * f64::from(scale);
        let codes = vector.codes.iter().enumerate();
        let mut out: Vec<f64> = match self.form {
            Form::Float => vector.values.iter().map(|x| f64::from(*x)).collect(),
            _ => codes.map(|(i, code)| product(*code, vector.scales[i / 32])).collect(),
        };
        let wide = (0..vector.wide.len()).filter(|part| vector.wide[*part] != 0);
        for (slot, part) in wide.enumerate() {
            let rest = vector.remainders(slot);
            for i in 0..256 {
                out[256 * part + i] += product(rest.codes[i], rest.scales[i / 32]);
            }
        }
        out
    }
}

/// The part of one vector.
#[inline(always)]
fn own<T>(all: &[T], index: usize, length: usize) -> &[T] {
    &all[index * length..][..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(i: usize) -> f32 {
        ((i * 7919 % 1013) as f32 - 500.0) * 0.01
    }

    #[test]
    fn values_are_near_and_sums_are_theirs() {
        // the second vector is larger; columns 320 to 351 have codes of 16 bits
        let x: Vec<f32> = (0..1024)
            .map(|i| wave(i) * if i % 512 / 32 == 10 { 90.0 } else { 1.0 } * (1 + i / 512) as f32)
            .collect();
        for ty in [BlockType::Q4_0, BlockType::Q4_K] {
            let all = Activations::quantize_batch(ty, &x, 512);
            for (index, x) in x.chunks(512).enumerate() {
                let (vector, found) = (all.vector(index), all.rounded(index));
                for (i, (x, found)) in x.iter().zip(&found).enumerate() {
                    let wide = ty == BlockType::Q4_K && i / 32 == 10;
                    let step = if i / 32 == 10 { 1.9 } else { 0.021 } * (1 + index) as f64;
                    let bound = step / if wide { 254.0 } else { 1.0 };
                    assert!((f64::from(*x) - found).abs() <= bound, "{ty} {i}: {x} {found}");
                }
                for (i, sum) in vector.sums.iter().enumerate() {
                    let codes = &vector.codes[16 * i..][..16];
                    assert_eq!(*sum, codes.iter().map(|code| i16::from(*code)).sum::<i16>());
                }
                let close = |sums: &[f32], length: usize| {
                    let expected = found.chunks(length).map(|x| x.iter().sum::<f64>());
                    let mut both = sums.iter().zip(expected);
                    assert_eq!(sums.len(), 512 / length);
                    assert!(both.all(|(sum, x)| (f64::from(*sum) - x).abs() <= 1e-3), "{ty}");
                };
                close(vector.scaled_sums, 32);
                if ty == BlockType::Q4_K {
                    assert_eq!(vector.wide, [0, 1 << 2]);
                    close(vector.fine_sums, 16);
                }
            }
        }
    }

    #[test]
    fn codes_of_ggml_have_one_scale_for_a_block() {
        let mut x: Vec<f32> = (0..512).map(wave).collect();
        x[7] = -127.0;
        let all = Activations::as_ggml(BlockType::Q4_K, &x, 512);
        let vector = all.vector(0);
        assert!(vector.scales[..8].iter().all(|scale| *scale == 1.0));
        assert!(vector.scales[8..].iter().all(|scale| *scale == vector.scales[8]));
        for (code, x) in vector.codes.iter().zip(&x[..256]) {
            assert_eq!(f32::from(*code), x.round_ties_even());
        }
        assert_eq!((vector.wide, vector.remainders.len()), (&[0, 0][..], 0));
    }

    #[test]
    fn numbers_that_are_not_finite_make_the_scale_nan_and_tiny_ones_zero() {
        for ty in [BlockType::Q4_0, BlockType::Q4_K] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = vec![1.0; 512];
                x[300] = bad;
                let scales = Activations::quantize(ty, &x).rounded.scales;
                assert_eq!(scales.iter().filter(|scale| scale.is_nan()).count(), 1);
            }
            let tiny = Activations::quantize(ty, &[1e-45; 256]);
            assert!(tiny.rounded.scales.iter().all(|scale| scale.is_finite()));
        }
    }

    #[test]
    #[should_panic = "255 values are not whole blocks of Q4_K, which have 256"]
    fn a_vector_is_whole_blocks() {
        _ = Activations::quantize(BlockType::Q4_K, &[0.0; 255]);
    }

    #[test]
    #[should_panic = "7 values are not whole vectors of 3"]
    fn a_batch_is_whole_vectors() {
        _ = Activations::quantize_batch(BlockType::F32, &[0.0; 7], 3);
    }
}
