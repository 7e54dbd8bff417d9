//! A scale and a minimum: Q4_1 and Q5_1.
//!
//! Without weights the codes spread evenly from the smallest value to the largest. With weights there is a search.
//! Codes run from 0 to `levels`. A candidate rounds all values to codes `c`; the line `scale · c + min` that is nearest to
//! the values, in the sense of weighted squares, follows from five sums. It is kept if its error is the smallest yet; the
//! next candidates then start from its minimum. The minimum is never above zero.

use super::extremes::{range, range_lanes};
use super::importance::{Lanes, N};
use super::round::{down, inverse, to_even};

/// Candidates are the inverse scales `(levels - 0.9 + 0.05 · i) / (max - min)` for `i` from 0 to this.
const LAST: i32 = 36;

/// The scale and the minimum of a block without weights. By definition, or as vector code.
#[inline(always)]
pub(super) fn plain_line<const LANES: bool>(levels: i32, values: &[f32; N]) -> (f32, f32) {
    let (min, max) = if LANES { range_lanes(values) } else { range(values) };
    ((max - min) / levels as f32, min)
}

/// The codes for them: the nearest, halfway cases up.
#[inline(always)]
pub(super) fn plain_codes(levels: i32, x: &[f32; N], (scale, min): (f32, f32)) -> [u8; N] {
    let inverse = inverse(scale);
    let mut codes = [0; N];
    for (code, x) in codes.iter_mut().zip(x) {
        *code = (down((x - min) * inverse + 0.5) as u8).min(levels as u8);
    }
    codes
}

/// The scale, the minimum and the codes of a block with weights.
pub(super) fn define(levels: i32, x: &[f32; N], weights: &[f32; N]) -> (f32, f32, [u8; N]) {
    let (mut min, mut max) = (x[0], x[0]);
    let (mut sum_w, mut sum_x) = (weights[0], weights[0] * x[0]);
    for (x, w) in x.iter().zip(weights).skip(1) {
        min = if *x < min { *x } else { min };
        max = if *x > max { *x } else { max };
        sum_w += w;
        sum_x += w * x;
    }
    min = if min > 0.0 { 0.0 } else { min };
    if max <= min {
        return (0.0, min, [0; N]);
    }
    let codes =
        |inverse: f32, min: f32| x.map(|x| to_even(inverse * (x - min)).clamp(0, levels) as u8);
    let error = |scale: f32, min: f32, codes: &[u8; N]| {
        x.iter().zip(weights).zip(codes).fold(0.0, |sum, ((x, w), code)| {
            let difference = scale * f32::from(*code) + min - x;
            sum + w * (difference * difference)
        })
    };

    let inverse = levels as f32 / (max - min);
    let mut scale = 1.0 / inverse;
    let mut best_codes = codes(inverse, min);
    let mut best = error(scale, min, &best_codes);
    for i in 0..=LAST {
        let codes = codes(numerator(levels, i) / (max - min), min);
        let (mut sum_c, mut sum_cc, mut sum_xc) = (0.0, 0.0, 0.0);
        for ((x, w), code) in x.iter().zip(weights).zip(codes) {
            let weighted = w * f32::from(code);
            sum_c += weighted;
            sum_cc += weighted * f32::from(code);
            sum_xc += weighted * x;
        }
        let determinant = sum_w * sum_cc - sum_c * sum_c;
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xc - sum_x * sum_c) / determinant;
            let mut this_min = (sum_cc * sum_x - sum_c * sum_xc) / determinant;
            if this_min > 0.0 {
                (this_scale, this_min) = (sum_xc / sum_cc, 0.0);
            }
            let error = error(this_scale, this_min, &codes);
            if error < best {
                (best, scale, min, best_codes) = (error, this_scale, this_min, codes);
            }
        }
    }
    (scale, min, best_codes)
}

/// [`define`] for the blocks in the lanes.
#[inline(always)]
pub(super) fn encode<const L: usize>(
    levels: i32,
    Lanes { values, weights }: &Lanes<L>,
) -> ([f32; L], [f32; L], [[u8; N]; L]) {
    let (mut min, mut max) = (values[0], values[0]);
    let (mut sum_w, mut sum_x) = (weights[0], [0.0; L]);
    for k in 0..L {
        sum_x[k] = weights[0][k] * values[0][k];
    }
    for i in 1..N {
        for k in 0..L {
            let (x, w) = (values[i][k], weights[i][k]);
            min[k] = if x < min[k] { x } else { min[k] };
            max[k] = if x > max[k] { x } else { max[k] };
            sum_w[k] += w;
            sum_x[k] += w * x;
        }
    }
    let mut alike = [false; L];
    for k in 0..L {
        min[k] = if min[k] > 0.0 { 0.0 } else { min[k] };
        alike[k] = max[k] <= min[k];
    }

    let mut best_inverse = [0.0; L];
    let mut scale = [0.0; L];
    for k in 0..L {
        best_inverse[k] = levels as f32 / (max[k] - min[k]);
        scale[k] = 1.0 / best_inverse[k];
    }
    let start = min;
    let mut origin = min;
    let mut codes = [[0.0; L]; N];
    for i in 0..N {
        for k in 0..L {
            codes[i][k] = code(levels, best_inverse[k], values[i][k] - min[k]);
        }
    }
    let mut best = error(&scale, &min, &codes, values, weights);

    for i in 0..=LAST {
        let mut inverse = [0.0; L];
        for k in 0..L {
            inverse[k] = numerator(levels, i) / (max[k] - min[k]);
        }
        let (mut sum_c, mut sum_cc, mut sum_xc) = ([0.0; L], [0.0; L], [0.0; L]);
        for i in 0..N {
            for k in 0..L {
                let x = values[i][k];
                let code = code(levels, inverse[k], x - min[k]);
                codes[i][k] = code;
                let weighted = weights[i][k] * code;
                sum_c[k] += weighted;
                sum_cc[k] += weighted * code;
                sum_xc[k] += weighted * x;
            }
        }
        let (mut this_scale, mut this_min, mut usable) = ([0.0; L], [0.0; L], [false; L]);
        for k in 0..L {
            let determinant = sum_w[k] * sum_cc[k] - sum_c[k] * sum_c[k];
            let with_min = (sum_w[k] * sum_xc[k] - sum_x[k] * sum_c[k]) / determinant;
            let min = (sum_cc[k] * sum_x[k] - sum_c[k] * sum_xc[k]) / determinant;
            let without_min = sum_xc[k] / sum_cc[k];
            this_scale[k] = if min > 0.0 { without_min } else { with_min };
            this_min[k] = if min > 0.0 { 0.0 } else { min };
            usable[k] = determinant > 0.0;
        }
        let error = error(&this_scale, &this_min, &codes, values, weights);
        for k in 0..L {
            let better = usable[k] & (error[k] < best[k]);
            best[k] = if better { error[k] } else { best[k] };
            best_inverse[k] = if better { inverse[k] } else { best_inverse[k] };
            origin[k] = if better { min[k] } else { origin[k] };
            scale[k] = if better { this_scale[k] } else { scale[k] };
            min[k] = if better { this_min[k] } else { min[k] };
        }
    }

    let mut codes = [[0; N]; L];
    for k in 0..L {
        scale[k] = if alike[k] { 0.0 } else { scale[k] };
        min[k] = if alike[k] { start[k] } else { min[k] };
        for i in 0..N {
            let code = code(levels, best_inverse[k], values[i][k] - origin[k]) as u8;
            codes[k][i] = if alike[k] { 0 } else { code };
        }
    }
    (scale, min, codes)
}

/// The weighted squares of what the codes leave of the values.
#[inline(always)]
fn error<const L: usize>(
    scale: &[f32; L],
    min: &[f32; L],
    codes: &[[f32; L]; N],
    values: &[[f32; L]; N],
    weights: &[[f32; L]; N],
) -> [f32; L] {
    let mut sum = [0.0; L];
    for i in 0..N {
        for k in 0..L {
            let difference = scale[k] * codes[i][k] + min[k] - values[i][k];
            sum[k] += weights[i][k] * (difference * difference);
        }
    }
    sum
}

#[inline(always)]
fn code(levels: i32, inverse: f32, above_min: f32) -> f32 {
    to_even(inverse * above_min).clamp(0, levels) as f32
}

#[inline(always)]
fn numerator(levels: i32, candidate: i32) -> f32 {
    -0.9 + 0.05 * candidate as f32 + levels as f32
}
