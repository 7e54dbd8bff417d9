//! Codes for -1, 0 and 1 times the largest magnitude, for TQ1_0, TQ2_0 and Q2_0.

use super::block_wise::{GROUP, group};
use super::{extremes, round};

/// Returns the largest magnitude of a block and a code for each value: 0, 1 or 2 if the value is
/// nearest to minus that magnitude, to zero, or to that magnitude. Halfway cases round away from
/// zero.
pub(super) fn define<const N: usize>(values: &[f32]) -> (f32, [u8; N]) {
    let largest = values.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
    let inverse = round::inverse(largest);
    (largest, std::array::from_fn(|i| ((values[i] * inverse).round() as i8 + 1) as u8))
}

/// Vectorized form of [`define`], for several blocks.
#[inline(always)]
pub(super) fn encode<const N: usize>(values: &[f32]) -> ([f32; GROUP], [[u8; N]; GROUP]) {
    let values = group::<N>(values);
    let largest = extremes::largest_magnitudes(values);
    let mut inverses = [0.0; GROUP];
    for (inverse, largest) in inverses.iter_mut().zip(&largest) {
        *inverse = round::inverse(*largest);
    }
    let mut codes = [[0; N]; GROUP];
    for k in 0..GROUP {
        for (code, value) in codes[k].iter_mut().zip(&values[k]) {
            let scaled = value * inverses[k];
            *code = 1 + u8::from(scaled >= 0.5) - u8::from(scaled <= -0.5);
        }
    }
    (largest, codes)
}
