//! A scale with codes around zero: Q4_0 and Q5_0.
//!
//! Without weights the value of largest magnitude gets the lowest code. With weights there is a search.
//! Codes run from `-half` to `half - 1`. A candidate for the inverse scale rounds all values to codes
//! `c`; the best scale for these codes, in the sense of weighted squares, is `Σ w x c / Σ w c²`, and what it leaves of
//! the error is less by `(Σ w x c)² / Σ w c²`. The candidates are near the one that gives the value of
//! largest magnitude the code `-half`: `-(half + i / 10) / largest` for `i` of 0, then -9 to 9.

use super::extremes::{first_largest, first_largest_lanes};
use super::importance::{Lanes, N};
use super::round::{down, inverse, to_even};

/// Below this magnitude all values count as zero.
const NOTHING: f32 = 1e-15;

/// The scale of a block without weights. By definition, or as vector code.
#[inline(always)]
pub(super) fn plain_scale<const LANES: bool>(half: i32, values: &[f32; N]) -> f32 {
    let largest = if LANES { first_largest_lanes(values) } else { first_largest(values) };
    largest / -half as f32
}

/// The codes, raised by `half`, for that scale: the nearest, halfway cases up.
///
/// Where values are so small that one divided by the scale overflows, all codes are 0; the scale is then zero
/// in half precision, so the values are zero as well.
#[inline(always)]
pub(super) fn plain_codes(half: i32, values: &[f32; N], scale: f32) -> [u8; N] {
    let inverse = inverse(scale);
    let raise = if scale != 0.0 && inverse == 0.0 { 0.0 } else { half as f32 + 0.5 };
    let highest = (2 * half - 1) as u8;
    let mut codes = [0; N];
    for (code, value) in codes.iter_mut().zip(values) {
        *code = (down(value * inverse + raise) as u8).min(highest);
    }
    codes
}

/// The scale and the codes, raised by `half`, of a block with weights.
pub(super) fn define(half: i32, values: &[f32; N], weights: &[f32; N]) -> (f32, [u8; N]) {
    let largest = first_largest(values);
    if largest.abs() < NOTHING {
        return (0.0, [0; N]);
    }
    let code = |inverse: f32, value: f32| to_even(inverse * value).clamp(-half, half - 1);
    let sums = |inverse: f32| {
        values.iter().zip(weights).fold((0.0, 0.0), |(sum_xc, sum_cc), (value, weight)| {
            let code = code(inverse, *value) as f32;
            (sum_xc + weight * value * code, sum_cc + weight * code * code)
        })
    };

    let mut best_inverse = -half as f32 / largest;
    let (sum_xc, sum_cc) = sums(best_inverse);
    let mut scale = if sum_cc == 0.0 { 0.0 } else { sum_xc / sum_cc };
    let mut best = scale * sum_xc;
    for i in (-9..=9).filter(|i| *i != 0) {
        let inverse = -(half as f32 + 0.1 * i as f32) / largest;
        let (sum_xc, sum_cc) = sums(inverse);
        if sum_cc > 0.0 && sum_xc * sum_xc > best * sum_cc {
            scale = sum_xc / sum_cc;
            best = scale * sum_xc;
            best_inverse = inverse;
        }
    }
    (scale, values.map(|value| (code(best_inverse, value) + half) as u8))
}

/// [`define`] for the blocks in the lanes.
#[inline(always)]
pub(super) fn encode<const L: usize>(
    half: i32,
    Lanes { values, weights }: &Lanes<L>,
) -> ([f32; L], [[u8; N]; L]) {
    let (mut largest, mut magnitude) = ([0.0_f32; L], [0.0_f32; L]);
    for x in values {
        for k in 0..L {
            let larger = x[k].abs() > magnitude[k];
            magnitude[k] = if larger { x[k].abs() } else { magnitude[k] };
            largest[k] = if larger { x[k] } else { largest[k] };
        }
    }
    let mut weighted = [[0.0; L]; N];
    for i in 0..N {
        for k in 0..L {
            weighted[i][k] = weights[i][k] * values[i][k];
        }
    }

    let mut best_inverse = [0.0; L];
    for k in 0..L {
        best_inverse[k] = -half as f32 / largest[k];
    }
    let (sum_xc, sum_cc) = sums(half, &best_inverse, values, weights, &weighted);
    let (mut scale, mut best) = ([0.0; L], [0.0; L]);
    for k in 0..L {
        scale[k] = if sum_cc[k] == 0.0 { 0.0 } else { sum_xc[k] / sum_cc[k] };
        best[k] = scale[k] * sum_xc[k];
    }
    for i in (-9..=9).filter(|i| *i != 0) {
        let mut inverse = [0.0; L];
        for k in 0..L {
            inverse[k] = -(half as f32 + 0.1 * i as f32) / largest[k];
        }
        let (sum_xc, sum_cc) = sums(half, &inverse, values, weights, &weighted);
        for k in 0..L {
            let better = (sum_cc[k] > 0.0) & (sum_xc[k] * sum_xc[k] > best[k] * sum_cc[k]);
            let this_scale = sum_xc[k] / sum_cc[k];
            scale[k] = if better { this_scale } else { scale[k] };
            best[k] = if better { this_scale * sum_xc[k] } else { best[k] };
            best_inverse[k] = if better { inverse[k] } else { best_inverse[k] };
        }
    }

    let mut codes = [[0; N]; L];
    for k in 0..L {
        let nothing = magnitude[k] < NOTHING;
        scale[k] = if nothing { 0.0 } else { scale[k] };
        for i in 0..N {
            let code = code(half, best_inverse[k], values[i][k]) as i32;
            codes[k][i] = if nothing { 0 } else { (code + half) as u8 };
        }
    }
    (scale, codes)
}

/// `Σ w x c` and `Σ w c²` of each lane.
#[inline(always)]
fn sums<const L: usize>(
    half: i32,
    inverse: &[f32; L],
    values: &[[f32; L]; N],
    weights: &[[f32; L]; N],
    weighted: &[[f32; L]; N],
) -> ([f32; L], [f32; L]) {
    let (mut sum_xc, mut sum_cc) = ([0.0; L], [0.0; L]);
    for i in 0..N {
        for k in 0..L {
            let code = code(half, inverse[k], values[i][k]);
            sum_xc[k] += weighted[i][k] * code;
            sum_cc[k] += weights[i][k] * code * code;
        }
    }
    (sum_xc, sum_cc)
}

/// The code as a float. No value is larger than the one that gives the inverse scale, so the sum stays in
/// the range where it rounds to an integer.
#[inline(always)]
fn code(half: i32, inverse: f32, value: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    let rounded = inverse * value + SHIFT - SHIFT;
    let (low, high) = (-half as f32, (half - 1) as f32);
    let rounded = if rounded > low { rounded } else { low };
    if rounded < high { rounded } else { high }
}
