//! The vectors that weights are multiplied with, prepared once for all rows.

use std::sync::OnceLock;

use granule_format::BlockType;
use granule_format::num::F16;

use crate::isa::Isa;
use crate::strip::{Strip, WIDTH};
use crate::tile::{ActivationTile, TILE};

/// One or more vectors, prepared once for products with weights of some type.
///
/// | weights | form of the vectors |
/// |---|---|
/// | plain numbers (F32, F16, BF16, ...) | `f32`, unchanged |
/// | blocks of 32, 64 or 128 values | Q8_0: 8-bit codes, a half-precision scale for each 32 |
/// | blocks of 256 values | Q8_K: 8-bit codes, a single-precision scale for each 256 |
///
/// ggml pairs the types likewise and rounds in the same way. If a value is not finite, every
/// product with its block is NaN.
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
    pub(crate) codes: Vec<i8>,
    pub(crate) scales: Vec<f32>,
    pub(crate) sums: Vec<i16>,
    pub(crate) scaled_sums: Vec<f32>,
    pub(crate) paired_codes: Vec<i8>,
    /// All vectors again in the two orders for batches, made when first needed.
    tiles: OnceLock<Vec<ActivationTile>>,
    strips: OnceLock<Vec<Strip>>,
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
    /// 8-bit codes with a scale for each 256.
    #[allow(non_camel_case_types, reason = "the names are the field's spelling")]
    Q8_K,
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
            Self::Q8_0 => 32,
            Self::Q8_K => 256,
        }
    }
}

/// One vector of [`Activations`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vector<'a> {
    /// The values, in the form of floats.
    pub(crate) values: &'a [f32],
    /// Codes of 8 bits, -127 to 127.
    pub(crate) codes: &'a [i8],
    /// A scale for each block of codes.
    pub(crate) scales: &'a [f32],
    /// The sum of each 16 codes.
    pub(crate) sums: &'a [i16],
    /// The sum of each 32 codes times their scale, in the form Q8_0.
    pub(crate) scaled_sums: &'a [f32],
    /// The codes of each two blocks again, in the form Q8_0: their first halves, then their second
    /// halves. An odd block at the end is left out.
    pub(crate) paired_codes: &'a [i8],
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
        let (block, found) = (ty.block_values(), x.len());
        assert!(
            columns.is_multiple_of(block),
            "{columns} values are not whole blocks of {ty}, which have {block}"
        );
        let count = found.checked_div(columns).unwrap_or(0);
        assert!(count * columns == found, "{found} values are not whole vectors of {columns}");
        let form = Form::of(ty);
        let mut this = Self {
            form,
            columns,
            count,
            values: Vec::new(),
            codes: Vec::new(),
            scales: Vec::new(),
            sums: Vec::new(),
            scaled_sums: Vec::new(),
            paired_codes: Vec::new(),
            tiles: OnceLock::new(),
            strips: OnceLock::new(),
        };
        match form {
            Form::Float => this.values = x.to_vec(),
            Form::Q8_0 | Form::Q8_K => this.quantize_values(x),
        }
        this
    }

    fn quantize_values(&mut self, x: &[f32]) {
        let form = self.form;
        let this = self;
        this.codes = vec![0; x.len()];
        this.scales = vec![0.0; x.len() / form.block_values()];
        this.sums = vec![0; x.len() / 16];
        let (codes, scales, sums) = (&mut this.codes, &mut this.scales, &mut this.sums);
        Isa::detect().run(
            #[inline(always)]
            || match form {
                Form::Q8_0 => each_block::<32>(x, codes, scales, q8_0),
                _ => each_block::<256>(x, codes, scales, q8_k),
            },
        );
        for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<16>().0) {
            *sum = codes.iter().map(|code| i16::from(*code)).sum();
        }
        if form == Form::Q8_0 {
            let sums = sums.as_chunks::<2>().0.iter().zip(scales);
            this.scaled_sums = sums.map(|([a, b], scale)| f32::from(a + b) * *scale).collect();
            for codes in this.codes.chunks_exact(this.columns) {
                for pair in codes.as_chunks::<16>().0.as_chunks::<4>().0 {
                    let [a, b, c, d] = *pair;
                    this.paired_codes.extend_from_slice([a, c, b, d].as_flattened());
                }
            }
        }
    }

    /// Whether there are enough vectors to multiply them together.
    pub(crate) fn is_batch(&self) -> bool {
        self.count >= BATCH && self.columns > 0
    }

    /// The vectors in the order for rows that are multiplied one at a time.
    pub(crate) fn tiles(&self) -> &[ActivationTile] {
        self.tiles
            .get_or_init(|| self.in_order(TILE, |vectors| ActivationTile::new(self.form, vectors)))
    }

    /// The vectors in the order for panels of rows.
    pub(crate) fn strips(&self) -> &[Strip] {
        self.strips.get_or_init(|| self.in_order(WIDTH, Strip::new))
    }

    fn in_order<T>(&self, width: usize, order: impl Fn(&[Vector<'_>]) -> T) -> Vec<T> {
        let vectors: Vec<_> = (0..self.count).map(|index| self.vector(index)).collect();
        vectors.chunks(width).map(order).collect()
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
        let (columns, block) = (self.columns, self.form.block_values());
        match self.form {
            Form::Float => Vector {
                values: &self.values[index * columns..][..columns],
                codes: &[],
                scales: &[],
                sums: &[],
                scaled_sums: &[],
                paired_codes: &[],
            },
            _ => Vector {
                values: &[],
                codes: &self.codes[index * columns..][..columns],
                scales: &self.scales[index * (columns / block)..][..columns / block],
                sums: &self.sums[index * (columns / 16)..][..columns / 16],
                scaled_sums: match self.form {
                    Form::Q8_0 => &self.scaled_sums[index * (columns / 32)..][..columns / 32],
                    _ => &[],
                },
                paired_codes: match self.form {
                    Form::Q8_0 => {
                        &self.paired_codes[index * (columns / 64 * 64)..][..columns / 64 * 64]
                    }
                    _ => &[],
                },
            },
        }
    }
}

#[inline(always)]
fn each_block<const N: usize>(
    x: &[f32],
    codes: &mut [i8],
    scales: &mut [f32],
    block: impl Fn(&[f32; N], &mut [i8; N]) -> f32,
) {
    let blocks = x.as_chunks::<N>().0.iter().zip(codes.as_chunks_mut::<N>().0);
    for ((x, codes), scale) in blocks.zip(scales) {
        *scale = block(x, codes);
    }
}

/// Writes codes as Q8_0 has them, the largest magnitude 127; returns the scale.
#[inline(always)]
fn q8_0(x: &[f32; 32], codes: &mut [i8; 32]) -> f32 {
    let Some(largest) = largest_magnitude(x) else { return f32::NAN };
    let scale = largest / 127.0;
    let inverse = 1.0 / scale;
    let inverse = if inverse.is_finite() { inverse } else { 0.0 };
    for (code, x) in codes.iter_mut().zip(x) {
        *code = away_from_zero(x * inverse) as i8;
    }
    let rounded = F16::from_f32(scale).to_f32();
    // past the range of half precision, which Q8_0 could not hold
    if rounded.is_finite() { rounded } else { scale }
}

/// Writes codes as Q8_K has them, the first value of largest magnitude -127; returns the scale.
#[inline(always)]
fn q8_k(x: &[f32; 256], codes: &mut [i8; 256]) -> f32 {
    let Some(largest) = largest_magnitude(x) else { return f32::NAN };
    if largest == 0.0 {
        return 0.0;
    }
    let first = x.iter().find(|x| x.abs() == largest).copied().unwrap_or(largest);
    let inverse = -127.0 / first;
    if !inverse.is_finite() {
        return 0.0; // numbers so small that their inverse overflows
    }
    for (code, x) in codes.iter_mut().zip(x) {
        *code = to_even(inverse * x).clamp(-127, 127) as i8;
    }
    1.0 / inverse
}

/// The largest magnitude; `None` if a value is not finite.
#[inline(always)]
fn largest_magnitude<const N: usize>(x: &[f32; N]) -> Option<f32> {
    // as integers the magnitudes have the same order, with infinity and NaN above all others
    let mut lanes = [0; 16];
    for x in x.as_chunks::<16>().0 {
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = (*lane).max(x.to_bits() & 0x7fff_ffff);
        }
    }
    let largest = f32::from_bits(lanes.into_iter().fold(0, u32::max));
    largest.is_finite().then_some(largest)
}

/// The nearest integer, halfway cases to even, for magnitudes below 2²².
#[inline(always)]
fn to_even(value: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    (value + SHIFT).to_bits().cast_signed() - SHIFT.to_bits().cast_signed()
}

/// The nearest integer, halfway cases away from zero, for magnitudes below 2²².
#[inline(always)]
fn away_from_zero(value: f32) -> i32 {
    let even = to_even(value);
    // exact; half of a unit only where the value was halfway and went the other way
    let rest = value - even as f32;
    even + i32::from((rest == 0.5) & (value > 0.0)) - i32::from((rest == -0.5) & (value < 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(i: usize) -> f32 {
        ((i * 7919 % 1013) as f32 - 500.0) * 0.01
    }

    #[test]
    fn codes_are_near_and_sums_are_theirs() {
        let x: Vec<f32> = (0..1024).map(wave).collect();
        for ty in [BlockType::Q4_0, BlockType::Q4_K] {
            let all = Activations::quantize_batch(ty, &x, 512);
            for (index, x) in x.chunks(512).enumerate() {
                let vector = all.vector(index);
                let block = all.form().block_values();
                for (i, x) in x.iter().enumerate() {
                    let found = f32::from(vector.codes[i]) * vector.scales[i / block];
                    assert!((x - found).abs() <= 0.021, "{ty} {i}: {x} {found}");
                }
                for (i, sum) in vector.sums.iter().enumerate() {
                    let codes = &vector.codes[16 * i..][..16];
                    assert_eq!(*sum, codes.iter().map(|code| i16::from(*code)).sum::<i16>());
                }
            }
        }
    }

    #[test]
    fn numbers_that_are_not_finite_make_the_scale_nan_and_tiny_ones_zero() {
        for ty in [BlockType::Q4_0, BlockType::Q4_K] {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = vec![1.0; 512];
                x[300] = bad;
                let scales = Activations::quantize(ty, &x).scales;
                assert_eq!(scales.iter().filter(|scale| scale.is_nan()).count(), 1);
            }
            let tiny = Activations::quantize(ty, &[1e-45; 256]);
            assert!(tiny.scales.iter().all(|scale| scale.is_finite()));
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
