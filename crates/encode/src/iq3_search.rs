//! The search shared by IQ3_XXS and IQ3_S: a scale for 32 values in groups of 4 from a codebook.
//!
//! The search tries several scales around `largest / 15` for the magnitudes of a sub-block. At each
//! scale every group gets its [`Grid`] entry. The entries determine the scale of least weighted
//! squared error, `sum(w q x) / sum(w q q)`, and the trial that lowers the error most wins. The
//! entries are then looked up once more at the winning scale.
//!
//! The fast form has one trial in each lane, all trials of a sub-block at once. The scale changes
//! little from trial to trial, so runs of trials share a cell of the grid and its candidate
//! entries. A run compares an entry for all its trials in one step.

use super::grid_search::{CLEAR, Entry, Grid};
use super::round;

/// Values that share a scale.
pub(super) const SUB_BLOCK: usize = 32;
/// Sub-blocks of a block.
pub(super) const SUB_BLOCKS: usize = 8;
/// Values of a block.
pub(super) const SUPER_BLOCK: usize = SUB_BLOCK * SUB_BLOCKS;
/// Values that share an entry of the codebook.
const GROUP: usize = 4;
/// Groups of a sub-block.
pub(super) const GROUPS: usize = SUB_BLOCK / GROUP;

/// The differences between the two types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) grid: &'a Grid<GROUP>,
    /// Trials to each side of `largest / 15`, which divide by `15 ± 0.2, 15 ± 0.4, ...` instead.
    pub(super) reach: i32,
    /// Whether the final look-up keeps the groups that the winning trial found at a cell's point,
    /// or all groups if no trial won.
    pub(super) keeps_exact: bool,
}

/// The search's choice for a sub-block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Choice {
    pub(super) scale: f32,
    /// An entry of the codebook for each group.
    pub(super) entries: [u16; GROUPS],
}

/// The sub-block to encode.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The values without their signs. One of 8 may be negative if the type restricts the signs.
    pub(super) magnitudes: [f32; SUB_BLOCK],
    /// The weight of each value's squared error when the scale is fitted.
    pub(super) importance: [f32; SUB_BLOCK],
    /// Its weight when an entry is chosen: the square root of `importance`.
    pub(super) root: [f32; SUB_BLOCK],
}

impl Target {
    /// Pairs the values with the weights of their errors: the squares of the values without
    /// importance weights; with them, `weight * sqrt(spread + value²)`, where `spread` is twice
    /// the mean square of the block.
    #[inline(always)]
    pub(super) fn new(values: &[f32], weights: Option<&[f32]>, spread: f32) -> Self {
        let values: &[f32; SUB_BLOCK] = values.try_into().expect("a sub-block");
        let [mut magnitudes, mut importance, mut root] = [[0.0_f32; SUB_BLOCK]; 3];
        for i in 0..SUB_BLOCK {
            magnitudes[i] = values[i].abs();
            importance[i] = values[i] * values[i];
        }
        if let Some(weights) = weights {
            for (importance, weight) in importance.iter_mut().zip(&weights[..SUB_BLOCK]) {
                *importance = weight * (spread + *importance).sqrt();
            }
        }
        for i in 0..SUB_BLOCK {
            root[i] = importance[i].sqrt();
        }
        Self { magnitudes, importance, root }
    }

    /// Returns the largest of the magnitudes.
    #[inline(always)]
    pub(super) fn largest(&self) -> f32 {
        let larger = |a: f32, b: &f32| if a > *b { a } else { *b };
        self.magnitudes[1..].iter().fold(self.magnitudes[0], larger)
    }

    #[inline(always)]
    fn group(&self, group: usize) -> ([f32; GROUP], [f32; GROUP]) {
        let (values, _) = self.magnitudes.as_chunks();
        let (weights, _) = self.root.as_chunks();
        (values[group], weights[group])
    }
}

/// Returns twice the mean square of a block.
#[inline(always)]
pub(super) fn spread(values: &[f32]) -> f32 {
    let sum = values.iter().fold(0.0, |sum, value| sum + value * value);
    2.0 * sum / values.len() as f32
}

/// Returns the largest scale of a block's sub-blocks, or NaN if one is not finite. In that case the
/// search overflowed (magnitudes of about 1e13 and more; the reference aborts), and the block must
/// become invalid so that the encoder's caller notices.
#[inline(always)]
pub(super) fn largest_scale(scales: &[f32; SUB_BLOCKS]) -> f32 {
    let mut largest = 0.0;
    for &scale in scales {
        if !scale.is_finite() {
            return f32::NAN;
        }
        largest = if scale > largest { scale } else { largest };
    }
    largest
}

/// Returns the divisor of trial number `step`: `15 + 0.2 step`.
#[inline(always)]
fn divided_by(step: i32) -> f32 {
    15.0 + step as f32 * 0.2
}

/// Returns the level nearest to a magnitude, which is in units of the scale.
#[inline(always)]
fn level(scaled: f32) -> i32 {
    round::to_even(0.5 * (scaled - 1.0)).clamp(0, 7)
}

/// Finds the best scale and entries: the definition. `largest` must not be zero.
pub(super) fn best(target: &Target, rules: Rules<'_>) -> Choice {
    let grid = rules.grid;
    let largest = target.largest();
    let mut choice = Choice { scale: largest / 15.0, entries: [0; GROUPS] };
    let mut exact = [rules.keeps_exact; GROUPS];
    let mut best = 0.0;
    for step in -rules.reach..=rules.reach {
        let inverse = divided_by(step) / largest;
        let mut trial = ([0; GROUPS], [false; GROUPS]);
        for group in 0..GROUPS {
            let (values, weights) = target.group(group);
            let key = grid.key(&values.map(|value| level(inverse * value) as u8));
            let found = grid.entry(key);
            trial.0[group] = found.unwrap_or_else(|| {
                grid.nearest(grid.neighbours(key), 1.0 / inverse, &values, &weights)
            });
            trial.1[group] = found.is_some();
        }
        let (product, square) = sums(target, grid, &trial.0);
        if square > 0.0 && product * product > best * square {
            choice = Choice { scale: product / square, entries: trial.0 };
            exact = trial.1;
            best = choice.scale * product;
        }
    }
    look_up_again(target, rules, &mut choice, exact, false);
    choice
}

/// Returns `sum(w x q)` and `sum(w q q)` for the numbers `q` of some entries.
#[inline(always)]
fn sums(target: &Target, grid: &Grid<GROUP>, entries: &[u16; GROUPS]) -> (f32, f32) {
    let (mut product, mut square) = (0.0, 0.0);
    for (group, entry) in entries.iter().enumerate() {
        for (i, number) in grid.at(*entry).point.iter().enumerate() {
            let weight = target.importance[group * GROUP + i];
            product += weight * target.magnitudes[group * GROUP + i] * number;
            square += weight * number * number;
        }
    }
    (product, square)
}

/// Does the last step: chooses the entries at the final scale, and the scale that fits them. With
/// `prune` it skips entries that cannot win.
#[inline(always)]
fn look_up_again(
    target: &Target,
    rules: Rules<'_>,
    choice: &mut Choice,
    exact: [bool; GROUPS],
    prune: bool,
) {
    let grid = rules.grid;
    let positive = choice.scale > 0.0;
    if exact == [true; GROUPS] || !positive {
        return;
    }
    let inverse = 1.0 / choice.scale;
    for (group, exact) in exact.into_iter().enumerate() {
        if rules.keeps_exact && exact {
            continue;
        }
        let (values, weights) = target.group(group);
        let (mut key, mut clear) = (0, prune);
        for (i, value) in values.iter().enumerate() {
            let scaled = inverse * value;
            key |= (level(scaled) as usize) << (3 * i);
            clear &= is_clear(scaled);
        }
        choice.entries[group] = if let Some(entry) = grid.entry(key) {
            entry
        } else {
            let entries = if clear { grid.rivals(key) } else { grid.neighbours(key) };
            grid.nearest(entries, choice.scale, &values, &weights)
        };
    }
    let (product, square) = sums(target, grid, &choice.entries);
    if square > 0.0 {
        choice.scale = product / square;
    }
}

/// Returns whether a magnitude, in units of the scale, is clearly nearest to its level; see
/// [`Grid::rivals`].
#[inline(always)]
fn is_clear(scaled: f32) -> bool {
    let exact = 0.5 * (scaled - 1.0);
    let exact = if exact < 0.0 { 0.0 } else { exact };
    let exact = if exact > 7.0 { 7.0 } else { exact };
    (exact - level(scaled) as f32).abs() <= CLEAR
}

/// The range of the largest magnitude in which no intermediate result of the look-up overflows or
/// is subnormal, so that shortcuts are valid.
const ORDINARY: std::ops::Range<f32> = 1e-30..1e30;

#[cold]
#[inline(never)]
fn by_definition(target: &Target, rules: Rules<'_>) -> Choice {
    best(target, rules)
}

/// Capacity for the trials of a sub-block.
const LANES: usize = 32;
/// Capacity for a run that is processed past its end.
const ROOM: usize = LANES + 16;

/// Finds the same as [`best`], with a trial in each of `USED` lanes (at least `2 * reach + 1`).
/// Runs are compared `STEP` lanes at a time (at most 16).
#[inline(always)]
pub(super) fn best_in_lanes<const USED: usize, const STEP: usize>(
    target: &Target,
    rules: Rules<'_>,
) -> Choice {
    let grid = rules.grid;
    let trials = 2 * rules.reach as usize + 1;
    let largest = target.largest();
    if !ORDINARY.contains(&largest) {
        return by_definition(target, rules);
    }
    let mut inverse = [0.0_f32; USED];
    let mut scale = [0.0_f32; ROOM];
    for l in 0..USED {
        inverse[l] = divided_by((l.min(trials - 1)) as i32 - rules.reach) / largest;
        scale[l] = 1.0 / inverse[l];
    }

    let (mut product, mut square) = ([0.0_f32; USED], [0.0_f32; USED]);
    let mut keys = [[0_u32; USED]; GROUPS];
    let mut numbers = [[0_u32; ROOM]; GROUPS];
    for group in 0..GROUPS {
        let (values, weights) = target.group(group);
        let (changes, clear) = cells(&inverse, &values, &mut keys[group]);
        let numbers = &mut numbers[group];
        let mut start = 0;
        while start < trials {
            let key = keys[group][start] as usize;
            let end = start + 1 + (changes >> start >> 1).trailing_zeros() as usize;
            let end = end.min(trials);
            if let Some(entry) = grid.entry(key) {
                numbers[start..end].fill(packed(grid, entry));
            } else {
                let entries = if clear { grid.rivals(key) } else { grid.neighbours(key) };
                let mut at = start;
                while at < end {
                    nearest::<STEP>(
                        grid,
                        entries,
                        scale[at..][..STEP].try_into().expect("room"),
                        &values,
                        &weights,
                        (&mut numbers[at..][..STEP]).try_into().expect("room"),
                    );
                    at += STEP;
                }
            }
            start = end;
        }
        for (i, value) in values.iter().enumerate() {
            let weight = target.importance[group * GROUP + i];
            let weighted = weight * value;
            for l in 0..USED {
                let number = (numbers[l] >> (8 * i) & 255) as i32 as f32;
                product[l] += weighted * number;
                square[l] += weight * number * number;
            }
        }
    }

    let mut choice = Choice { scale: largest / 15.0, entries: [0; GROUPS] };
    let mut exact = [rules.keeps_exact; GROUPS];
    let mut best = 0.0;
    let mut winner = None;
    for l in 0..trials {
        if square[l] > 0.0 && product[l] * product[l] > best * square[l] {
            choice.scale = product[l] / square[l];
            best = choice.scale * product[l];
            winner = Some(l);
        }
    }
    if let Some(l) = winner {
        for group in 0..GROUPS {
            exact[group] = grid.entry(keys[group][l] as usize).is_some();
            let key = grid.key(&numbers[group][l].to_le_bytes().map(|number| number / 2));
            choice.entries[group] = grid.entry(key).expect("the levels of an entry");
        }
    }
    look_up_again(target, rules, &mut choice, exact, true);
    choice
}

/// Returns the cell of a group in each trial, the trials in which a new cell begins (bit `l` for
/// trial `l`), and whether the values are clear in all trials.
#[inline(always)]
fn cells<const USED: usize>(
    inverse: &[f32; USED],
    values: &[f32; GROUP],
    keys: &mut [u32; USED],
) -> (u32, bool) {
    let mut error = [0.0_f32; USED];
    *keys = [0; USED];
    for (i, value) in values.iter().enumerate() {
        for l in 0..USED {
            let exact = 0.5 * (inverse[l] * value - 1.0);
            let exact = if exact > 0.0 { exact } else { 0.0 };
            let exact = if exact < 7.0 { exact } else { 7.0 };
            let shifted = exact + round::SHIFT;
            keys[l] |= (shifted.to_bits() & 7) << (3 * i);
            let off = (exact - (shifted - round::SHIFT)).abs();
            error[l] = if off > error[l] { off } else { error[l] };
        }
    }
    let (mut changes, mut unclear) = (0, 0);
    for l in 0..USED {
        changes |= u32::from(keys[l] != keys[l.saturating_sub(1)]) << l;
        unclear |= u32::from(error[l] > CLEAR);
    }
    (changes, unclear == 0)
}

/// Returns the numbers of an entry, 8 bits each.
#[inline(always)]
fn packed(grid: &Grid<GROUP>, entry: u16) -> u32 {
    u32::from_le_bytes(grid.at(entry).numbers)
}

/// Returns the numbers of the best entry at each of `STEP` scales: [`Grid::nearest`] in lanes.
#[inline(always)]
fn nearest<const STEP: usize>(
    grid: &Grid<GROUP>,
    entries: &[u16],
    scale: &[f32; STEP],
    values: &[f32; GROUP],
    weights: &[f32; GROUP],
    numbers: &mut [u32; STEP],
) {
    let mut best = [packed(grid, entries[0]); STEP];
    let mut least = [f32::MAX; STEP];
    for &entry in entries {
        let Entry { point, numbers } = grid.at(entry);
        let candidate = u32::from_le_bytes(*numbers);
        let mut error = [0.0_f32; STEP];
        for i in 0..GROUP {
            for l in 0..STEP {
                let difference = scale[l] * point[i] - values[i];
                error[l] += weights[i] * difference * difference;
            }
        }
        for l in 0..STEP {
            let better = error[l] < least[l];
            best[l] = if better { candidate } else { best[l] };
            least[l] = if better { error[l] } else { least[l] };
        }
    }
    *numbers = best;
}

#[cfg(test)]
mod tests {
    use granule_format::block::codebook::{iq3_s, iq3_xxs};

    use super::*;

    #[test]
    fn lanes_choose_what_the_definition_chooses() {
        let xxs = Grid::new(&iq3_xxs::GRID, &iq3_xxs::LEVELS, 2);
        let s = Grid::new(&iq3_s::GRID, &iq3_s::LEVELS, 3);
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        for round in 0..4000 {
            let size = 10.0_f32.powi(round % 50 - 40);
            let values: [f32; SUB_BLOCK] = std::array::from_fn(|_| match round % 4 {
                // Multiples of an eighth of the largest value: many lie halfway between levels.
                0 => (random() * 15.0).floor() * 0.125 * size,
                1 => random() * random() * random() * size,
                2 => (random() - 0.05) * size,
                _ => (if random() < 0.7 { 0.0 } else { random() }) * size,
            });
            let weights: [f32; SUB_BLOCK] =
                std::array::from_fn(|_| if random() < 0.2 { 0.0 } else { random() });
            for weights in [None, Some(&weights[..])] {
                let mut target = Target::new(&values, weights, size * size);
                if target.largest() == 0.0 {
                    continue;
                }
                let rules = Rules { grid: &s, reach: 9, keeps_exact: false };
                let expected = best(&target, rules);
                assert_eq!(best_in_lanes::<32, 16>(&target, rules), expected, "{values:?}");
                assert_eq!(best_in_lanes::<24, 8>(&target, rules), expected, "{values:?}");
                target.magnitudes = values;
                let rules = Rules { grid: &xxs, reach: 15, keeps_exact: true };
                let expected = best(&target, rules);
                assert_eq!(best_in_lanes::<32, 16>(&target, rules), expected, "{values:?}");
                assert_eq!(best_in_lanes::<32, 8>(&target, rules), expected, "{values:?}");
            }
        }
    }
}
