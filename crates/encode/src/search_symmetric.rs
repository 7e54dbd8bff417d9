//! The search for a scale with codes around zero, for Q4_0 and Q5_0.
//!
//! Without weights the value of largest magnitude gets the lowest code. With weights the types use
//! the [search](super::super_block::search::symmetric) of the super-blocks. Codes range from
//! `-half` to `half - 1`.

use super::block_weights::{Lanes, N};
use super::block_wise::GROUP;
use super::extremes::{first_largest, first_largest_lanes, largest_magnitude};
use super::round::{down, inverse, to_even};
use super::super_block::search::{self, NOTHING};
use super::super_block::symmetric_lanes;

/// Returns the scale of a block without weights.
pub(super) fn plain_scale(half: i32, values: &[f32; N]) -> f32 {
    first_largest(values) / -half as f32
}

/// Returns the nearest codes for that scale, plus `half`; halfway cases are rounded up.
pub(super) fn plain_codes(half: i32, values: &[f32; N], scale: f32) -> [u8; N] {
    codes(half, values, inverse(scale), raise(half, scale))
}

/// Computes the scales and the codes of blocks without weights: the vectorized form of
/// [`plain_scale`] and [`plain_codes`].
#[inline(always)]
pub(super) fn plain(half: i32, values: &[[f32; N]; GROUP]) -> ([f32; GROUP], [[u8; N]; GROUP]) {
    let mut scales = [0.0; GROUP];
    for (scale, values) in scales.iter_mut().zip(values) {
        *scale = first_largest_lanes(values);
    }
    let (mut inverses, mut raises) = ([0.0; GROUP], [0.0; GROUP]);
    for k in 0..GROUP {
        scales[k] /= -half as f32;
        inverses[k] = inverse(scales[k]);
        raises[k] = raise(half, scales[k]);
    }
    let mut all = [[0; N]; GROUP];
    for k in 0..GROUP {
        all[k] = codes(half, &values[k], inverses[k], raises[k]);
    }
    (scales, all)
}

/// Returns the number to add before rounding down.
///
/// If the values are so small that one divided by the scale overflows, all codes are 0. The scale
/// is then zero in half precision, so the values decode to zero as well.
#[inline(always)]
fn raise(half: i32, scale: f32) -> f32 {
    if scale != 0.0 && inverse(scale) == 0.0 { 0.0 } else { half as f32 + 0.5 }
}

#[inline(always)]
fn codes(half: i32, values: &[f32; N], inverse: f32, raise: f32) -> [u8; N] {
    let highest = 2 * half - 1;
    let mut codes = [0; N];
    for (code, value) in codes.iter_mut().zip(values) {
        *code = down(value * inverse + raise).min(highest) as u8;
    }
    codes
}

/// Returns the scale of a block with weights, and its codes plus `half`.
pub(super) fn define(half: i32, values: &[f32; N], weights: &[f32; N]) -> (f32, [u8; N]) {
    let (scale, codes) = search::symmetric(half, values, weights);
    (scale, codes.map(|code| (i32::from(code) + half) as u8))
}

/// Lane form of [`define`]; `values` are those of the blocks in the lanes, not transposed. Calls
/// `make` with the number, the scale and the codes of each block.
#[inline(always)]
pub(super) fn weighted<const L: usize>(
    half: i32,
    lanes: &Lanes<L>,
    values: &[[f32; N]],
    mut make: impl FnMut(usize, f32, [u8; N]),
) {
    let (scales, inverses) = symmetric_lanes::symmetric(half, &lanes.values.0, &lanes.weights.0);
    for (k, values) in values.iter().enumerate() {
        let mut codes = [0; N];
        for (code, value) in codes.iter_mut().zip(values) {
            *code = (to_even(inverses[k] * value).clamp(-half, half - 1) + half) as u8;
        }
        let nothing = largest_magnitude(values) < NOTHING;
        make(k, scales[k], if nothing { [0; N] } else { codes });
    }
}
