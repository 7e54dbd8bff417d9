//! The shared searches for scales and codes, in their plain scalar form.
//!
//! Everything here is the definition: single precision throughout, one rounding per operation, sums
//! from the first value to the last, products from left to right. The lane forms perform the same
//! operations in the same order.
//!
//! All searches minimise a weighted squared error: over the values `x` with weights `w`, the sum of
//! `w * (x - decoded)^2`.

use crate::round::to_even;

/// A run of values whose largest magnitude is below this counts as all zero.
pub(crate) const NOTHING: f32 = 1e-15;

/// Parameters of the search for a scale and a minimum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asymmetric {
    /// The largest code.
    pub(crate) levels: i32,
    /// The candidates divide the range into `levels + first + step * i` steps, for `i` from 0 to
    /// `last` inclusive.
    pub(crate) first: f32,
    pub(crate) step: f32,
    pub(crate) last: i32,
    /// The error to minimise: `w * |difference|` if true, `w * difference^2` if false.
    pub(crate) absolute: bool,
}

/// The result of [`asymmetric`]: `x` is about `scale * code - min`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScaleAndMin {
    pub(crate) scale: f32,
    /// The number to subtract; never negative.
    pub(crate) min: f32,
}

/// Chooses a scale, a minimum that is not above zero, and codes.
///
/// The search starts from the scale that spreads the codes over the range from the smallest value
/// (or zero) to the largest. Each candidate then divides the range a little differently, rounds the
/// values to codes, and solves for the scale and the minimum that are best for these codes by
/// weighted least squares. A candidate is accepted if its error is below the best so far. An
/// accepted minimum is also the origin of the following candidates.
///
/// # Panics
/// If `weights` or `codes` are shorter than `x`, or `x` is empty.
pub(crate) fn asymmetric(
    search: &Asymmetric,
    x: &[f32],
    weights: &[f32],
    codes: &mut [u8],
) -> ScaleAndMin {
    let n = x.len();
    let (mut min, mut max) = (x[0], x[0]);
    let mut sum_w = weights[0];
    let mut sum_x = sum_w * x[0];
    for i in 1..n {
        if x[i] < min {
            min = x[i];
        }
        if x[i] > max {
            max = x[i];
        }
        sum_w += weights[i];
        sum_x += weights[i] * x[i];
    }
    if min > 0.0 {
        min = 0.0;
    }
    if max == min {
        codes.fill(0);
        return ScaleAndMin { scale: 0.0, min: -min };
    }

    let levels = search.levels as f32;
    let deviation = |scale: f32, code: u8, min: f32, x: f32| {
        let difference = scale * f32::from(code) + min - x;
        if search.absolute { difference.abs() } else { difference * difference }
    };
    let code =
        |inverse: f32, x: f32, min: f32| to_even(inverse * (x - min)).clamp(0, search.levels) as u8;

    let inverse = levels / (max - min);
    let mut scale = 1.0 / inverse;
    let mut best = 0.0;
    for i in 0..n {
        codes[i] = code(inverse, x[i], min);
        best += weights[i] * deviation(scale, codes[i], min, x[i]);
    }

    let mut tried = [0; 32];
    for candidate in 0..=search.last {
        let inverse = (search.first + search.step * candidate as f32 + levels) / (max - min);
        let (mut sum_c, mut sum_cc, mut sum_xc) = (0.0, 0.0, 0.0);
        for i in 0..n {
            tried[i] = code(inverse, x[i], min);
            let (w, c) = (weights[i], f32::from(tried[i]));
            sum_c += w * c;
            sum_cc += w * c * c;
            sum_xc += w * c * x[i];
        }
        let determinant = sum_w * sum_cc - sum_c * sum_c;
        // Written so that NaN, from sums that overflow, is skipped too.
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xc - sum_x * sum_c) / determinant;
            let mut this_min = (sum_cc * sum_x - sum_c * sum_xc) / determinant;
            if this_min > 0.0 {
                this_min = 0.0;
                this_scale = sum_xc / sum_cc;
            }
            let mut error = 0.0;
            for i in 0..n {
                error += weights[i] * deviation(this_scale, tried[i], this_min, x[i]);
            }
            if error < best {
                codes[..n].copy_from_slice(&tried[..n]);
                (best, scale, min) = (error, this_scale, this_min);
            }
        }
    }
    ScaleAndMin { scale, min: -min }
}

/// Chooses a scale and codes from 0 to `levels` for nonnegative numbers: `x` is about `scale *
/// code`.
///
/// The search tries nine divisions of the range. Then each code in turn may move to the level that
/// is nearest under the best scale for all the others, until nothing moves, in five rounds at most.
///
/// A code is stored in eight bits. If `x` has a negative number (which a search may produce when
/// its sums cancel), the code wraps around. Codes above `levels` are therefore possible, and the
/// caller must handle them.
pub(crate) fn positive<const N: usize>(
    levels: i32,
    x: &[f32; N],
    weights: &[f32; N],
) -> (f32, [u8; N]) {
    let mut codes = [0; N];
    // Not `f32::max`: here a NaN becomes the maximum, and the next number replaces it.
    let max = x.iter().fold(0.0, |max, x| if max > *x { max } else { *x });
    if max < NOTHING {
        return (0.0, codes);
    }

    let mut inverse = levels as f32 / max;
    let scale = 1.0 / inverse;
    let mut best = 0.0;
    for i in 0..N {
        let code = to_even(inverse * x[i]) as u8;
        let difference = x[i] - scale * f32::from(code);
        best += weights[i] * difference * difference;
    }
    for candidate in (-4..=4).filter(|candidate| *candidate != 0) {
        let this_inverse = (0.1 * candidate as f32 + levels as f32) / max;
        let this_scale = 1.0 / this_inverse;
        let mut error = 0.0;
        for i in 0..N {
            let code = to_even(this_inverse * x[i]).min(levels);
            let difference = x[i] - this_scale * code as f32;
            error += weights[i] * difference * difference;
        }
        if error < best {
            (best, inverse) = (error, this_inverse);
        }
    }

    let (mut sum_xc, mut sum_cc) = (0.0, 0.0);
    for i in 0..N {
        let code = to_even(inverse * x[i]).min(levels);
        codes[i] = code as u8;
        sum_xc += weights[i] * x[i] * code as f32;
        sum_cc += weights[i] * code as f32 * code as f32;
    }
    for _ in 0..5 {
        let mut moved = false;
        for i in 0..N {
            let (w, old) = (weights[i], f32::from(codes[i]));
            let mut other_xc = sum_xc - w * x[i] * old;
            let mut other_cc = sum_cc - w * old * old;
            if other_xc > 0.0 && other_cc > 0.0 {
                let code = to_even(x[i] * other_cc / other_xc).min(levels);
                if code != i32::from(codes[i]) {
                    other_xc += w * x[i] * code as f32;
                    other_cc += w * code as f32 * code as f32;
                    if other_xc * other_xc * sum_cc > sum_xc * sum_xc * other_cc {
                        codes[i] = code as u8;
                        (sum_xc, sum_cc) = (other_xc, other_cc);
                        moved = true;
                    }
                }
            }
        }
        if !moved {
            break;
        }
    }
    (if sum_cc > 0.0 { sum_xc / sum_cc } else { 0.0 }, codes)
}

/// Chooses a scale and codes from `-half` to `half - 1`: `x` is about `scale * code`.
///
/// The value of largest magnitude is mapped to the end of the codes, `-half`, or near it: eighteen
/// further scales move that end by up to 0.9 of a step in either direction. Each scale is replaced
/// by the best one for its codes, by weighted least squares. Returns 0 and the lowest codes if all
/// values are negligible.
pub(crate) fn symmetric<const N: usize>(
    half: i32,
    x: &[f32; N],
    weights: &[f32; N],
) -> (f32, [i8; N]) {
    let (largest, magnitude) = largest(x);
    if magnitude < NOTHING {
        return (0.0, [-half as i8; N]);
    }

    let code = |inverse: f32, x: f32| to_even(inverse * x).clamp(-half, half - 1);
    let sums = |inverse: f32| {
        let (mut sum_xc, mut sum_cc) = (0.0, 0.0);
        for i in 0..N {
            let c = code(inverse, x[i]) as f32;
            sum_xc += weights[i] * x[i] * c;
            sum_cc += weights[i] * c * c;
        }
        (sum_xc, sum_cc)
    };

    let mut inverse = -half as f32 / largest;
    let (sum_xc, sum_cc) = sums(inverse);
    let mut scale = if sum_cc != 0.0 { sum_xc / sum_cc } else { 0.0 };
    let mut best = scale * sum_xc;
    for candidate in (-9..=9).filter(|candidate| *candidate != 0) {
        let this_inverse = -(half as f32 + 0.1 * candidate as f32) / largest;
        let (sum_xc, sum_cc) = sums(this_inverse);
        if sum_cc > 0.0 && sum_xc * sum_xc > best * sum_cc {
            inverse = this_inverse;
            scale = sum_xc / sum_cc;
            best = scale * sum_xc;
        }
    }
    (scale, x.map(|x| code(inverse, x) as i8))
}

/// Chooses a scale and codes from `-half` to `half - 1`, with the squares of the values as weights.
///
/// The value of largest magnitude gets the code `-half`. Then each code in turn may move to the
/// level that is nearest under the best scale for all the others, until nothing moves, in five
/// rounds at most.
pub(crate) fn descend<const N: usize>(half: i32, x: &[f32; N]) -> (f32, [i8; N]) {
    let (largest, magnitude) = largest(x);
    if magnitude < NOTHING {
        return (0.0, [-half as i8; N]);
    }

    let mut codes = [0; N];
    let inverse = -half as f32 / largest;
    let (mut sum_xc, mut sum_cc) = (0.0, 0.0);
    for i in 0..N {
        codes[i] = to_even(inverse * x[i]).clamp(-half, half - 1);
        let (w, c) = (x[i] * x[i], codes[i] as f32);
        sum_xc += w * x[i] * c;
        sum_cc += w * c * c;
    }
    for _ in 0..5 {
        let mut moved = false;
        for i in 0..N {
            let (w, old) = (x[i] * x[i], codes[i] as f32);
            let mut other_xc = sum_xc - w * x[i] * old;
            if other_xc > 0.0 {
                let mut other_cc = sum_cc - w * old * old;
                let code = to_even(x[i] * other_cc / other_xc).clamp(-half, half - 1);
                if code != codes[i] {
                    other_xc += w * x[i] * code as f32;
                    other_cc += w * code as f32 * code as f32;
                    if other_cc > 0.0 && other_xc * other_xc * sum_cc > sum_xc * sum_xc * other_cc {
                        codes[i] = code;
                        (sum_xc, sum_cc) = (other_xc, other_cc);
                        moved = true;
                    }
                }
            }
        }
        if !moved {
            break;
        }
    }
    let scale = if sum_cc > 0.0 { sum_xc / sum_cc } else { 0.0 };
    (scale, codes.map(|code| code as i8))
}

/// Returns the value of largest magnitude, the first one if there are several, and that magnitude.
fn largest(x: &[f32]) -> (f32, f32) {
    x.iter().fold((0.0, 0.0), |(largest, magnitude), x| {
        if x.abs() > magnitude { (*x, x.abs()) } else { (largest, magnitude) }
    })
}
