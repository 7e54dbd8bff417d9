//! Iteration over the super-blocks of 256 values in rows.

use granule_format::Block;

use super::rows::blocks_for;

/// Values of a super-block.
pub(super) const LEN: usize = 256;

/// A super-block to encode: its values and their importances.
pub(super) type Input<'a> = (&'a [f32; LEN], Option<&'a [f32; LEN]>);

/// Iterates over the super-blocks of the rows, with the importances of their columns and the blocks
/// to write.
///
/// # Panics
/// Same as [`Encoder::encode`](super::Encoder::encode).
#[inline(always)]
pub(super) fn super_blocks<'a, B: Block>(
    rows: &'a [f32],
    columns: usize,
    weights: Option<&'a [f32]>,
    out: &'a mut [u8],
) -> impl Iterator<Item = (Input<'a>, &'a mut B)> {
    let out = blocks_for::<B>(rows, columns, weights, out);
    let (blocks, _) = rows.as_chunks::<LEN>();
    let weights = weights.map(|weights| weights.as_chunks::<LEN>().0);
    let inputs = blocks
        .iter()
        .enumerate()
        .map(move |(i, values)| (values, weights.map(|weights| &weights[i % (columns / LEN)])));
    inputs.zip(out)
}

/// Returns the sum of the squares, added from the first value to the last.
#[inline(always)]
pub(super) fn sum_of_squares(values: &[f32; LEN]) -> f32 {
    values.iter().fold(0.0, |sum, value| sum + value * value)
}

/// Returns the largest scale of a super-block's sub-blocks. NaN if one of them is NaN, so that the
/// block is recognized as invalid.
#[inline(always)]
pub(super) fn largest(scales: &[f32]) -> f32 {
    scales.iter().fold(
        0.0,
        |max, scale| {
            if f32::is_nan(max) || max > *scale { max } else { *scale }
        },
    )
}
