//! The search shared by IQ4_NL and IQ4_XS: a scale for 32 values whose codes stand for 16 unevenly
//! spaced levels.
//!
//! A code is the level nearest to `value / scale`. The scale is the best of 16 trials: one maps the
//! value of largest magnitude to level 127, the others map it to -127 ± 7, in steps of 1. Each
//! trial fixes the codes, and for these the scale of least weighted squared error has a closed
//! form, `sum(w q x) / sum(w q q)`. The trial that lowers the error most, by `sum(w q x)² / sum(w
//! q q)`, wins; the first of several.

use granule_format::block::codebook::iq4_nl::LEVELS;

/// Values that share a scale.
pub(super) const SUB_BLOCK: usize = 32;

/// The largest distance from -127, in units of the levels, to which the second kind of trial maps
/// the largest value.
const REACH: i32 = 7;

/// A sub-block whose largest magnitude is below this gets scale 0.
const NEGLIGIBLE: f32 = 1e-15;

/// Returns the level of a code.
pub(super) fn level(code: u8) -> f32 {
    f32::from(LEVELS[usize::from(code)])
}

/// Returns the code of the level nearest to `value`; halfway between two levels, the upper one.
///
/// This is the number of [`MIDPOINTS`] that `value` is not below. The reference instead bisects the
/// levels and then compares the distances to both neighbours, rounded to `f32`. The results are the
/// same: both are monotonic in `value` (rounding preserves order), and a test confirms that they
/// agree on each midpoint and on the number just below it.
#[inline(always)]
pub(super) fn nearest(value: f32) -> u8 {
    let mut code = 0;
    for midpoint in MIDPOINTS {
        code += u8::from(not_below(value, midpoint));
    }
    code
}

/// The midpoints between neighbouring levels; all are exact in `f32`.
pub(super) const MIDPOINTS: [f32; 15] = {
    let mut midpoints = [0.0; 15];
    let mut i = 0;
    while i < 15 {
        midpoints[i] = (LEVELS[i] as f32 + LEVELS[i + 1] as f32) / 2.0;
        i += 1;
    }
    midpoints
};

/// Returns `value >= bound`, and true for NaN, to which the reference gives the highest code.
#[inline(always)]
#[allow(clippy::neg_cmp_op_on_partial_ord, reason = "NaN has to count as not below")]
fn not_below(value: f32, bound: f32) -> bool {
    !(value < bound)
}

/// Returns the weight of each value's error: the value's square without importance weights; with
/// them, `weight * sqrt(spread + value²)`, where `spread` is twice the mean square of the block.
pub(super) fn importance(values: &[f32], weights: Option<&[f32]>, spread: f32) -> [f32; SUB_BLOCK] {
    std::array::from_fn(|i| {
        let square = values[i] * values[i];
        match weights {
            Some(weights) => weights[i] * (spread + square).sqrt(),
            None => square,
        }
    })
}

/// Returns twice the mean square of a block.
pub(super) fn spread(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |sum, value| sum + value * value) * (2.0 / values.len() as f32)
}

/// Finds the best scale for 32 values: the definition.
pub(super) fn best_scale(values: &[f32], importance: &[f32; SUB_BLOCK]) -> f32 {
    let (mut largest, mut magnitude) = (0.0, 0.0);
    for &value in values {
        if value.abs() > magnitude {
            (largest, magnitude) = (value, value.abs());
        }
    }
    if magnitude < NEGLIGIBLE {
        return 0.0;
    }
    let sums = |inverse: f32| {
        let (mut product, mut square) = (0.0, 0.0);
        for (value, weight) in values.iter().zip(importance) {
            let level = level(nearest(inverse * value));
            product += weight * level * value;
            square += weight * level * level;
        }
        (product, square)
    };
    let (product, square) = sums(1.0 / (largest / 127.0));
    let mut scale = if square > 0.0 { product / square } else { 0.0 };
    let mut best = scale * product;
    for step in -REACH..=REACH {
        let (product, square) = sums((step - 127) as f32 / largest);
        if square > 0.0 && product * product > best * square {
            scale = product / square;
            best = scale * product;
        }
    }
    scale
}

/// Finds the best scale for `L` sub-blocks at once; `values[i][lane]` is value `i` of the sub-block
/// in a lane.
///
/// All trials after the first scale the values by 120 to 134 over the largest. A scaled value
/// therefore moves by a factor of at most 134/120 = 1.117 and keeps its sign, while each midpoint
/// is at least 1.22 times the one before it (in magnitude). So a value crosses at most one midpoint
/// in all of these trials. Its level is one of two neighbours, which are found once, and each trial
/// makes one comparison.
#[inline(always)]
pub(super) fn best_scales<const L: usize>(
    values: &[[f32; L]; SUB_BLOCK],
    importance: &[[f32; L]; SUB_BLOCK],
) -> [f32; L] {
    let (mut largest, mut magnitude) = ([0.0_f32; L], [0.0_f32; L]);
    for values in values {
        for l in 0..L {
            let higher = values[l].abs() > magnitude[l];
            largest[l] = if higher { values[l] } else { largest[l] };
            magnitude[l] = if higher { values[l].abs() } else { magnitude[l] };
        }
    }

    let (product, square) = first_trial(values, importance, &largest);
    let (mut scale, mut best) = ([0.0_f32; L], [0.0_f32; L]);
    for l in 0..L {
        scale[l] = if square[l] > 0.0 { product[l] / square[l] } else { 0.0 };
        best[l] = scale[l] * product[l];
    }
    let terms = terms(values, importance, &largest);
    for group in 0..(2 * REACH as usize + 1) / GROUP {
        let mut inverse = [[0.0_f32; L]; GROUP];
        for (i, inverse) in inverse.iter_mut().enumerate() {
            let step = (group * GROUP + i) as i32 - REACH;
            for l in 0..L {
                inverse[l] = (step - 127) as f32 / largest[l];
            }
        }
        let (product, square) = trials(values, &terms, &inverse);
        for (product, square) in product.iter().zip(&square) {
            for l in 0..L {
                let better = square[l] > 0.0 && product[l] * product[l] > best[l] * square[l];
                let fitted = product[l] / square[l];
                scale[l] = if better { fitted } else { scale[l] };
                best[l] = if better { fitted * product[l] } else { best[l] };
            }
        }
    }
    for l in 0..L {
        scale[l] = if magnitude[l] < NEGLIGIBLE { 0.0 } else { scale[l] };
    }
    scale
}

/// Computes [`spread`] of `L` blocks at once.
#[inline(always)]
pub(super) fn spreads<const L: usize>(values: &[[f32; L]; SUB_BLOCK]) -> [f32; L] {
    let mut spread = [0.0_f32; L];
    for values in values {
        for l in 0..L {
            spread[l] += values[l] * values[l];
        }
    }
    spread.map(|sum| sum * (2.0 / SUB_BLOCK as f32))
}

/// Replaces the weights of `L` blocks by their [`importance`].
#[inline(always)]
pub(super) fn weigh<const L: usize>(
    values: &[[f32; L]; SUB_BLOCK],
    spread: &[f32; L],
    weights: &mut [[f32; L]; SUB_BLOCK],
) {
    for (weights, values) in weights.iter_mut().zip(values) {
        for l in 0..L {
            weights[l] *= (spread[l] + values[l] * values[l]).sqrt();
        }
    }
}

/// Replaces the values of `L` blocks by their [`importance`] without weights.
#[inline(always)]
pub(super) fn square<const L: usize>(values: &mut [[f32; L]; SUB_BLOCK]) {
    for value in values.as_flattened_mut() {
        *value *= *value;
    }
}

/// Trials whose sums are kept in registers together.
const GROUP: usize = 5;

/// Returns the sums of the trial that maps the largest value to 127.
#[inline(always)]
fn first_trial<const L: usize>(
    values: &[[f32; L]; SUB_BLOCK],
    importance: &[[f32; L]; SUB_BLOCK],
    largest: &[f32; L],
) -> ([f32; L], [f32; L]) {
    let (mut product, mut square) = ([0.0_f32; L], [0.0_f32; L]);
    let mut inverse = [0.0_f32; L];
    for l in 0..L {
        inverse[l] = 1.0 / (largest[l] / 127.0);
    }
    for (value, weight) in values.iter().zip(importance) {
        for l in 0..L {
            let scaled = inverse[l] * value[l];
            let mut level = f32::from(LEVELS[0]);
            for (i, &midpoint) in MIDPOINTS.iter().enumerate() {
                level = if not_below(scaled, midpoint) { f32::from(LEVELS[i + 1]) } else { level };
            }
            let weighted = weight[l] * level;
            product[l] += weighted * value[l];
            square[l] += weighted * level;
        }
    }
    (product, square)
}

/// The contribution of a value to the sums with each of its two levels.
#[derive(Clone, Copy)]
struct Term<const L: usize> {
    /// The smallest scaled value that gets the upper level.
    midpoint: [f32; L],
    product: Either<L>,
    square: Either<L>,
}

/// Two numbers in each lane: the bits of the lower one, and the bits in which the upper one
/// differs. The compiler would turn a choice between two numbers in memory into a choice between
/// their addresses, one lane at a time.
#[derive(Clone, Copy)]
struct Either<const L: usize> {
    lower: [u32; L],
    change: [u32; L],
}

impl<const L: usize> Either<L> {
    const ZERO: Self = Self { lower: [0; L], change: [0; L] };

    #[inline(always)]
    fn set(&mut self, lane: usize, lower: f32, upper: f32) {
        self.lower[lane] = lower.to_bits();
        self.change[lane] = lower.to_bits() ^ upper.to_bits();
    }

    /// Returns the lower number for 0, the upper one for 1.
    #[inline(always)]
    fn choose(&self, lane: usize, upper: u32) -> f32 {
        f32::from_bits(self.lower[lane] ^ (self.change[lane] & upper.wrapping_neg()))
    }
}

#[inline(always)]
fn terms<const L: usize>(
    values: &[[f32; L]; SUB_BLOCK],
    importance: &[[f32; L]; SUB_BLOCK],
    largest: &[f32; L],
) -> [Term<L>; SUB_BLOCK] {
    let (mut first, mut last) = ([0.0_f32; L], [0.0_f32; L]);
    for l in 0..L {
        first[l] = (-REACH - 127) as f32 / largest[l];
        last[l] = (REACH - 127) as f32 / largest[l];
    }
    let zero = Term { midpoint: [0.0; L], product: Either::ZERO, square: Either::ZERO };
    let mut terms = [zero; SUB_BLOCK];
    for ((term, value), weight) in terms.iter_mut().zip(values).zip(importance) {
        for l in 0..L {
            let (a, b) = (first[l] * value[l], last[l] * value[l]);
            let lowest = if a < b { a } else { b };
            let (mut lower, mut upper) = (f32::from(LEVELS[0]), f32::from(LEVELS[1]));
            let mut midpoint = MIDPOINTS[0];
            for i in 0..15 {
                let reached = not_below(lowest, MIDPOINTS[i]);
                lower = if reached { f32::from(LEVELS[i + 1]) } else { lower };
                upper = if reached { f32::from(LEVELS[(i + 2).min(15)]) } else { upper };
                let next = if i == 14 { f32::INFINITY } else { MIDPOINTS[i + 1] };
                midpoint = if reached { next } else { midpoint };
            }
            term.midpoint[l] = midpoint;
            let (low, high) = (weight[l] * lower, weight[l] * upper);
            term.product.set(l, low * value[l], high * value[l]);
            term.square.set(l, low * lower, high * upper);
        }
    }
    terms
}

/// Returns the sums of `GROUP` trials.
#[inline(always)]
fn trials<const L: usize>(
    values: &[[f32; L]; SUB_BLOCK],
    terms: &[Term<L>; SUB_BLOCK],
    inverse: &[[f32; L]; GROUP],
) -> ([[f32; L]; GROUP], [[f32; L]; GROUP]) {
    let (mut product, mut square) = ([[0.0_f32; L]; GROUP], [[0.0_f32; L]; GROUP]);
    for (value, term) in values.iter().zip(terms) {
        for t in 0..GROUP {
            for l in 0..L {
                let upper = u32::from(inverse[t][l] * value[l] >= term.midpoint[l]);
                product[t][l] += term.product.choose(l, upper);
                square[t][l] += term.square.choose(l, upper);
            }
        }
    }
    (product, square)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bisects, then chooses the nearer neighbour by rounded differences, as the reference does.
    fn by_differences(value: f32) -> usize {
        let levels = LEVELS.map(f32::from);
        let Some(above) = levels.iter().position(|level| value < *level) else { return 15 };
        if above == 0 {
            return 0;
        }
        let (low, high) = (levels[above - 1], levels[above]);
        if value - low < high - value { above - 1 } else { above }
    }

    #[test]
    fn nearest_equals_comparing_rounded_distances() {
        for (i, midpoint) in MIDPOINTS.into_iter().enumerate() {
            for (value, code) in [(midpoint.next_down(), i), (midpoint, i + 1)] {
                assert_eq!(by_differences(value), code, "{value}");
                assert_eq!(usize::from(nearest(value)), code, "{value}");
            }
        }
        for (code, level) in LEVELS.into_iter().enumerate() {
            assert_eq!(usize::from(nearest(f32::from(level))), code);
        }
        assert_eq!(nearest(f32::NAN), 15);
    }

    #[test]
    fn lanes_choose_what_the_definition_chooses() {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        for round in 0..2000 {
            let size = 10.0_f32.powi(round % 50 - 40);
            let values: [[f32; 8]; SUB_BLOCK] = std::array::from_fn(|_| {
                std::array::from_fn(|lane| match lane {
                    // Levels and midpoints of one scale: many values lie halfway.
                    0 | 1 => MIDPOINTS[(random() * 15.0) as usize] * size,
                    2 | 3 => level((random() * 16.0) as u8) * size,
                    4 => (random() - 0.5) * random() * random() * size,
                    5 if random() < 0.7 => 0.0,
                    _ => (random() - 0.5) * size,
                })
            });
            let weights: [[f32; 8]; SUB_BLOCK] = std::array::from_fn(|_| {
                std::array::from_fn(|_| if random() < 0.2 { 0.0 } else { random() })
            });
            let scales = best_scales(&values, &weights);
            for (lane, scale) in scales.into_iter().enumerate() {
                let of = |lanes: &[[f32; 8]; SUB_BLOCK]| lanes.map(|lanes| lanes[lane]);
                let expected = best_scale(&of(&values), &of(&weights));
                assert_eq!(scale.to_bits(), expected.to_bits(), "{:?}", of(&values));
            }
        }
    }

    #[test]
    fn a_value_crosses_at_most_one_midpoint() {
        let widest = (127 + REACH) as f32 / (127 - REACH) as f32;
        for pair in MIDPOINTS.windows(2) {
            let (a, b) = (pair[0].abs(), pair[1].abs());
            assert!(pair[0] * pair[1] < 0.0 || a.max(b) / a.min(b) > 1.05 * widest, "{pair:?}");
        }
    }
}
