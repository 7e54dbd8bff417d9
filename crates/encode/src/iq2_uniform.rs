//! The search for the best weighted scale for uniform levels, the first step of IQ2_XXS.
//!
//! The search approximates 32 magnitudes by `scale * level` with levels 0 to 4. Of nine scales
//! around `max / 4`, the one with the least weighted squared error gives the initial levels. Then
//! each level in turn is set to its best value with the others fixed, in up to five rounds over all
//! 32, as long as `(sum w l x)^2 / (sum w l^2)` grows. The scale is `(sum w l x) / (sum w l^2)`.
//!
//! A magnitude can be negative (see [`iq2_signs`](super::iq2_signs)). Its level is then negative
//! and is stored modulo 256, so that it counts as large. That is an accident of the reference, but
//! it affects the output bits.

use super::iq2_search::{LANES, Lanes, max_lanes};
use super::round::to_even;

/// Values of a sub-block.
const LEN: usize = 32;
/// The largest level.
const MAX_LEVEL: i32 = 4;
/// Largest number of rounds over all levels.
const ROUNDS: usize = 5;
/// The trial scales: except for step 0, they map the largest magnitude to `4 + step / 10`.
const STEPS: std::ops::RangeInclusive<i8> = -4..=4;
/// The scale is 0 if no magnitude is larger than this.
const SMALLEST: f32 = 1e-15;

/// Returns the scale for magnitudes and their weights.
pub(super) fn scale_of_uniform(x: &[f32; LEN], w: &[f32; LEN]) -> f32 {
    let max = x.iter().fold(0.0, |max, x| if max > *x { max } else { *x });
    if max < SMALLEST {
        return 0.0;
    }
    let mut inverse = MAX_LEVEL as f32 / max;
    let scale = 1.0 / inverse;
    let mut least = 0.0;
    for i in 0..LEN {
        let difference = x[i] - scale * wrap(to_even(inverse * x[i]));
        least += w[i] * difference * difference;
    }
    for step in STEPS.filter(|step| *step != 0) {
        let trial = (0.1 * f32::from(step) + MAX_LEVEL as f32) / max;
        let scale = 1.0 / trial;
        let mut error = 0.0;
        for i in 0..LEN {
            let difference = x[i] - scale * to_even(trial * x[i]).min(MAX_LEVEL) as f32;
            error += w[i] * difference * difference;
        }
        if error < least {
            (least, inverse) = (error, trial);
        }
    }

    let mut levels = [0.0; LEN];
    let (mut sum_lx, mut sum_l2) = (0.0, 0.0);
    for i in 0..LEN {
        let level = to_even(inverse * x[i]).min(MAX_LEVEL);
        levels[i] = wrap(level);
        sum_lx += w[i] * x[i] * level as f32;
        sum_l2 += w[i] * level as f32 * level as f32;
    }
    for _ in 0..ROUNDS {
        let mut changed = false;
        for i in 0..LEN {
            let other_lx = sum_lx - w[i] * x[i] * levels[i];
            let other_l2 = sum_l2 - w[i] * levels[i] * levels[i];
            if other_lx > 0.0 && other_l2 > 0.0 {
                let level = to_even(x[i] * other_l2 / other_lx).min(MAX_LEVEL);
                if level as f32 != levels[i] {
                    let new_lx = other_lx + w[i] * x[i] * level as f32;
                    let new_l2 = other_l2 + w[i] * level as f32 * level as f32;
                    if new_lx * new_lx * sum_l2 > sum_lx * sum_lx * new_l2 {
                        levels[i] = wrap(level);
                        (sum_lx, sum_l2) = (new_lx, new_l2);
                        changed = true;
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 }
}

/// Like [`scale_of_uniform`], for a sub-block in each lane.
#[inline(always)]
pub(super) fn scale_of_uniform_lanes(x: &[Lanes; LEN], w: &[Lanes; LEN]) -> Lanes {
    let max = max_lanes(x).map(|max| if 0.0 > max { 0.0 } else { max });
    let mut inverse = max.map(|max| MAX_LEVEL as f32 / max);
    let scale = inverse.map(|inverse| 1.0 / inverse);
    let mut least = [0.0; LANES];
    for i in 0..LEN {
        for lane in 0..LANES {
            let level = wrap(to_even(inverse[lane] * x[i][lane]));
            let difference = x[i][lane] - scale[lane] * level;
            least[lane] += w[i][lane] * difference * difference;
        }
    }
    for step in STEPS.filter(|step| *step != 0) {
        let factor = 0.1 * f32::from(step) + MAX_LEVEL as f32;
        let trial = max.map(|max| factor / max);
        let scale = trial.map(|trial| 1.0 / trial);
        let mut error = [0.0; LANES];
        for i in 0..LEN {
            for lane in 0..LANES {
                let level = to_even(trial[lane] * x[i][lane]).min(MAX_LEVEL) as f32;
                let difference = x[i][lane] - scale[lane] * level;
                error[lane] += w[i][lane] * difference * difference;
            }
        }
        for lane in 0..LANES {
            let better = error[lane] < least[lane];
            least[lane] = if better { error[lane] } else { least[lane] };
            inverse[lane] = if better { trial[lane] } else { inverse[lane] };
        }
    }

    let mut levels = [[0.0; LANES]; LEN];
    let (mut sum_lx, mut sum_l2) = ([0.0; LANES], [0.0; LANES]);
    for i in 0..LEN {
        for lane in 0..LANES {
            let level = to_even(inverse[lane] * x[i][lane]).min(MAX_LEVEL);
            levels[i][lane] = wrap(level);
            sum_lx[lane] += w[i][lane] * x[i][lane] * level as f32;
            sum_l2[lane] += w[i][lane] * level as f32 * level as f32;
        }
    }
    improve(x, w, &mut levels, &mut sum_lx, &mut sum_l2);
    let mut result = [0.0; LANES];
    for lane in 0..LANES {
        let scale = if sum_l2[lane] > 0.0 { sum_lx[lane] / sum_l2[lane] } else { 0.0 };
        result[lane] = if max[lane] < SMALLEST { 0.0 } else { scale };
    }
    result
}

/// Improves the levels one by one. A lane in which a whole round changed nothing would not change
/// in the next round either, so lanes need not stop individually.
#[inline(always)]
fn improve(
    x: &[Lanes; LEN],
    w: &[Lanes; LEN],
    levels: &mut [Lanes; LEN],
    sum_lx: &mut Lanes,
    sum_l2: &mut Lanes,
) {
    for _ in 0..ROUNDS {
        let mut changed = [0; LANES];
        for i in 0..LEN {
            for lane in 0..LANES {
                let (w, x, old) = (w[i][lane], x[i][lane], levels[i][lane]);
                let other_lx = sum_lx[lane] - w * x * old;
                let other_l2 = sum_l2[lane] - w * old * old;
                let level = to_even(x * other_l2 / other_lx).min(MAX_LEVEL);
                let new_lx = other_lx + w * x * level as f32;
                let new_l2 = other_l2 + w * level as f32 * level as f32;
                let better = new_lx * new_lx * sum_l2[lane] > sum_lx[lane] * sum_lx[lane] * new_l2;
                let accept = (other_lx > 0.0) & (other_l2 > 0.0) & (level as f32 != old) & better;
                levels[i][lane] = if accept { wrap(level) } else { old };
                sum_lx[lane] = if accept { new_lx } else { sum_lx[lane] };
                sum_l2[lane] = if accept { new_l2 } else { sum_l2[lane] };
                changed[lane] |= u32::from(accept);
            }
        }
        if changed == [0; LANES] {
            break;
        }
    }
}

/// Returns a level as it is stored.
#[inline(always)]
fn wrap(level: i32) -> f32 {
    (level & 255) as f32
}
