//! The search for a scale and a minimum, for Q4_1 and Q5_1.
//!
//! Without weights the codes are spread evenly from the smallest value to the largest. With weights
//! the types use the [search](super::super_block::search::asymmetric) of the super-blocks. Codes
//! range from 0 to `levels`.

use super::block_weights::{Lanes, N};
use super::block_wise::GROUP;
use super::extremes::{range, ranges};
use super::round::{down, inverse, to_even};
use super::super_block::asymmetric_lanes;
use super::super_block::search::{self, Asymmetric};

/// Returns the scale and the minimum of a block without weights.
pub(super) fn plain_line(levels: i32, values: &[f32; N]) -> (f32, f32) {
    let (min, max) = range(values);
    ((max - min) / levels as f32, min)
}

/// Returns the nearest codes for a scale and a minimum, halfway cases rounded up.
pub(super) fn plain_codes(levels: i32, values: &[f32; N], (scale, min): (f32, f32)) -> [u8; N] {
    codes(levels, values, inverse(scale), min)
}

/// Computes the scales, the minima and the codes of blocks without weights: the vectorized form of
/// [`plain_line`] and [`plain_codes`].
#[inline(always)]
pub(super) fn plain(
    levels: i32,
    values: &[[f32; N]; GROUP],
) -> ([f32; GROUP], [f32; GROUP], [[u8; N]; GROUP]) {
    let (mins, maxima) = ranges(values);
    let (mut scales, mut inverses) = ([0.0; GROUP], [0.0; GROUP]);
    for k in 0..GROUP {
        scales[k] = (maxima[k] - mins[k]) / levels as f32;
        inverses[k] = inverse(scales[k]);
    }
    let mut all = [[0; N]; GROUP];
    for k in 0..GROUP {
        all[k] = codes(levels, &values[k], inverses[k], mins[k]);
    }
    (scales, mins, all)
}

#[inline(always)]
fn codes(levels: i32, values: &[f32; N], inverse: f32, min: f32) -> [u8; N] {
    let mut codes = [0; N];
    for (code, value) in codes.iter_mut().zip(values) {
        *code = down((value - min) * inverse + 0.5).min(levels) as u8;
    }
    codes
}

/// Returns the parameters of the search for a block with weights.
const fn parameters(levels: i32) -> Asymmetric {
    Asymmetric { levels, first: -0.9, step: 0.05, last: 36, absolute: false }
}

/// Returns the scale, the minimum and the codes of a block with weights.
pub(super) fn define(levels: i32, values: &[f32; N], weights: &[f32; N]) -> (f32, f32, [u8; N]) {
    let mut codes = [0; N];
    let found = search::asymmetric(&parameters(levels), values, weights, &mut codes);
    (found.scale, -found.min, codes)
}

/// Lane form of [`define`]; `values` are those of the blocks in the lanes, not transposed. Calls
/// `make` with the number, the scale, the minimum and the codes of each block.
#[inline(always)]
pub(super) fn weighted<const L: usize>(
    levels: i32,
    lanes: &Lanes<L>,
    values: &[[f32; N]],
    mut make: impl FnMut(usize, f32, f32, [u8; N]),
) {
    let weights = &lanes.weights.0;
    let found = asymmetric_lanes::asymmetric(
        &parameters(levels),
        &lanes.values.0,
        #[inline(always)]
        |i, k| weights[i][k],
    );
    for (k, values) in values.iter().enumerate() {
        let (inverse, origin) = (found.inverse[k], found.origin[k]);
        let mut codes = [0; N];
        for (code, value) in codes.iter_mut().zip(values) {
            *code = to_even(inverse * (value - origin)).clamp(0, levels) as u8;
        }
        make(k, found.scale[k], -found.min[k], codes);
    }
}
