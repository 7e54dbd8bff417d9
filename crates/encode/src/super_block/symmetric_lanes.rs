//! The searches for a scale, in lanes; see [`lanes`](super::lanes).
#![allow(clippy::needless_range_loop, reason = "loops over lanes index several arrays alike")]

use super::lanes::{Rows, code, products, round, select};
use super::search::NOTHING;
use crate::round::to_even;

/// Lane form of [`search::positive`](super::search::positive). Returns the scales, and the codes as
/// they are stored, in eight bits.
#[inline(always)]
pub(crate) fn positive<const N: usize, const L: usize>(
    levels: i32,
    x: &[[f32; L]; N],
    weights: &[[f32; L]; N],
) -> ([f32; L], [[i32; L]; N]) {
    let mut max = [0.0; L];
    for i in 0..N {
        for k in 0..L {
            max[k] = select(max[k] > x[i][k], max[k], x[i][k]);
        }
    }
    let (mut nothing, mut inverse, mut best) = ([false; L], [0.0; L], [0.0; L]);
    let mut scale = [0.0; L];
    for k in 0..L {
        nothing[k] = max[k] < NOTHING;
        inverse[k] = levels as f32 / max[k];
        scale[k] = 1.0 / inverse[k];
    }
    for i in 0..N {
        for k in 0..L {
            let code = to_even(inverse[k] * x[i][k]) & 255;
            let difference = x[i][k] - scale[k] * code as f32;
            best[k] += weights[i][k] * difference * difference;
        }
    }
    for candidate in -4..=4 {
        if candidate == 0 {
            continue;
        }
        let numerator = 0.1 * candidate as f32 + levels as f32;
        let (mut this_inverse, mut this_scale, mut error) = ([0.0; L], [0.0; L], [0.0; L]);
        for k in 0..L {
            this_inverse[k] = numerator / max[k];
            this_scale[k] = 1.0 / this_inverse[k];
        }
        for i in 0..N {
            for k in 0..L {
                let code = to_even(this_inverse[k] * x[i][k]).min(levels);
                let difference = x[i][k] - this_scale[k] * code as f32;
                error[k] += weights[i][k] * difference * difference;
            }
        }
        let old = (best, inverse);
        for k in 0..L {
            let better = error[k] < old.0[k];
            best[k] = select(better, error[k], old.0[k]);
            inverse[k] = select(better, this_inverse[k], old.1[k]);
        }
    }

    let mut codes = [[0; L]; N];
    let (mut sum_xc, mut sum_cc) = ([0.0; L], [0.0; L]);
    for i in 0..N {
        for k in 0..L {
            let code = to_even(inverse[k] * x[i][k]).min(levels);
            codes[i][k] = code & 255;
            sum_xc[k] += weights[i][k] * x[i][k] * code as f32;
            sum_cc[k] += weights[i][k] * code as f32 * code as f32;
        }
    }
    for _ in 0..5 {
        let mut moved = [0; L];
        for i in 0..N {
            for k in 0..L {
                let (x, w, old) = (x[i][k], weights[i][k], codes[i][k] as f32);
                let other_xc = sum_xc[k] - w * x * old;
                let other_cc = sum_cc[k] - w * old * old;
                let code = to_even(x * other_cc / other_xc).min(levels);
                let next_xc = other_xc + w * x * code as f32;
                let next_cc = other_cc + w * code as f32 * code as f32;
                let better = next_xc * next_xc * sum_cc[k] > sum_xc[k] * sum_xc[k] * next_cc;
                let moves = !nothing[k]
                    & (other_xc > 0.0)
                    & (other_cc > 0.0)
                    & (code != codes[i][k])
                    & better;
                codes[i][k] = select(moves, code & 255, codes[i][k]);
                sum_xc[k] = select(moves, next_xc, sum_xc[k]);
                sum_cc[k] = select(moves, next_cc, sum_cc[k]);
                moved[k] |= u32::from(moves);
            }
        }
        if moved == [0; L] {
            break;
        }
    }
    for k in 0..L {
        let found = !nothing[k] & (sum_cc[k] > 0.0);
        scale[k] = select(found, sum_xc[k] / sum_cc[k], 0.0);
    }
    for i in 0..N {
        for k in 0..L {
            codes[i][k] = select(nothing[k], 0, codes[i][k]);
        }
    }
    (scale, codes)
}

/// Lane form of [`search::symmetric`](super::search::symmetric) for finite values. Returns the
/// scales and the inverses: the codes are the integers nearest to `inverse * x`, clamped.
#[inline(always)]
pub(crate) fn symmetric<const N: usize, const L: usize>(
    half: i32,
    x: &[[f32; L]; N],
    weights: &[[f32; L]; N],
) -> ([f32; L], [f32; L]) {
    // Values are at most `largest`, so unclamped codes are about `half + 1` at most.
    symmetric_search::<N, L, false>(half, x, weights)
}

/// Lane form of [`search::symmetric`](super::search::symmetric). Returns the scales and the codes.
#[inline(always)]
pub(crate) fn symmetric_codes<const N: usize, const L: usize>(
    half: i32,
    x: &[[f32; L]; N],
    weights: &[[f32; L]; N],
) -> ([f32; L], [[i32; L]; N]) {
    let (scale, inverse) = symmetric_search::<N, L, true>(half, x, weights);
    let mut codes = [[-half; L]; N];
    let (_, nothing) = largest(x);
    for i in 0..N {
        for k in 0..L {
            let code = to_even(inverse[k] * x[i][k]).clamp(-half, half - 1);
            codes[i][k] = select(nothing[k], -half, code);
        }
    }
    (scale, codes)
}

/// Returns the scales and the inverses: the codes are the integers nearest to `inverse * x`,
/// clamped. `EXACT` must be true if `x` can be infinite or NaN.
#[inline(always)]
fn symmetric_search<const N: usize, const L: usize, const EXACT: bool>(
    half: i32,
    x: &[[f32; L]; N],
    weights: &[[f32; L]; N],
) -> ([f32; L], [f32; L]) {
    let (largest, nothing) = largest(x);
    let mut weighted = Rows::ZERO;
    let weighted = &mut weighted.0;
    products(weighted, weights, x);
    let mut inverse = [0.0; L];
    for k in 0..L {
        inverse[k] = -half as f32 / largest[k];
    }
    let (sum_xc, sum_cc) = sums::<N, L, EXACT, EXACT>(half, x, weights, weighted, &inverse);
    let (mut scale, mut best) = ([0.0; L], [0.0; L]);
    for k in 0..L {
        scale[k] = select(sum_cc[k] != 0.0, sum_xc[k] / sum_cc[k], 0.0);
        best[k] = scale[k] * sum_xc[k];
    }
    for candidate in -9..=9 {
        if candidate == 0 {
            continue;
        }
        let numerator = -(half as f32 + 0.1 * candidate as f32);
        let mut this_inverse = [0.0; L];
        for k in 0..L {
            this_inverse[k] = numerator / largest[k];
        }
        // Up to this candidate, and without infinities, no value is rounded below `-half`.
        let (sum_xc, sum_cc) = if !EXACT && candidate <= 4 {
            sums::<N, L, EXACT, false>(half, x, weights, weighted, &this_inverse)
        } else {
            sums::<N, L, EXACT, true>(half, x, weights, weighted, &this_inverse)
        };
        let old = (inverse, scale, best);
        for k in 0..L {
            let better = (sum_cc[k] > 0.0) & (sum_xc[k] * sum_xc[k] > old.2[k] * sum_cc[k]);
            let this_scale = sum_xc[k] / sum_cc[k];
            inverse[k] = select(better, this_inverse[k], old.0[k]);
            scale[k] = select(better, this_scale, old.1[k]);
            best[k] = select(better, this_scale * sum_xc[k], old.2[k]);
        }
    }
    for k in 0..L {
        scale[k] = select(nothing[k], 0.0, scale[k]);
    }
    (scale, inverse)
}

/// Returns the two sums of the least squares problem for the codes that `inverse` gives; `weighted`
/// is `weights * x`. `BELOW` can be false if no code can be below `-half`.
#[inline(always)]
fn sums<const N: usize, const L: usize, const EXACT: bool, const BELOW: bool>(
    half: i32,
    x: &[[f32; L]; N],
    weights: &[[f32; L]; N],
    weighted: &[[f32; L]; N],
    inverse: &[f32; L],
) -> ([f32; L], [f32; L]) {
    let (mut sum_xc, mut sum_cc) = ([0.0; L], [0.0; L]);
    for i in 0..N {
        for k in 0..L {
            let code = inverse[k] * x[i][k];
            let code = if BELOW {
                self::code::<L, EXACT>(-half, half - 1, code)
            } else {
                let (code, high) = (round::<L>(code), (half - 1) as f32);
                select(code < high, code, high)
            };
            sum_xc[k] += weighted[i][k] * code;
            sum_cc[k] += weights[i][k] * code * code;
        }
    }
    (sum_xc, sum_cc)
}

/// Returns the value of largest magnitude of each lane, the first one if there are several, and
/// whether the lane counts as zero, in which case the value is 1.
#[inline(always)]
pub(super) fn largest<const N: usize, const L: usize>(x: &[[f32; L]; N]) -> ([f32; L], [bool; L]) {
    let (mut largest, mut magnitude) = ([0.0; L], [0.0; L]);
    for i in 0..N {
        for k in 0..L {
            let x = x[i][k];
            let larger = x.abs() > magnitude[k];
            magnitude[k] = select(larger, x.abs(), magnitude[k]);
            largest[k] = select(larger, x, largest[k]);
        }
    }
    let mut nothing = [false; L];
    for k in 0..L {
        nothing[k] = magnitude[k] < NOTHING;
        largest[k] = select(nothing[k], 1.0, largest[k]);
    }
    (largest, nothing)
}
