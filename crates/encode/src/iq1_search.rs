//! The parts of the search that IQ1_S and IQ1_M share.
//!
//! Both types approximate a sub-block by `scale * (level - 1 + shift)` with levels 0 to 2 and a
//! shift of 1/8 up or down. In sorted order the values of a level are contiguous, so the best
//! levels correspond to one of the ways to cut the sorted values into three runs. With prefix sums
//! over the sorted values, a cut costs a few operations. Then each group of 8 is moved to an entry
//! of the codebook.

use std::sync::LazyLock;

use granule_format::block::codebook::iq1::{GRID, SHIFT};

use super::neighbours::{Neighbours, level, pack};
use super::super_block::lanes::select;

/// Sub-blocks that are searched together, one in each lane.
pub(super) const LANES: usize = 16;
/// A number for each sub-block.
pub(super) type Lanes = [f32; LANES];

/// The levels' values with the shift up.
pub(super) const UP: [f32; 3] = [-1.0 + SHIFT, SHIFT, 1.0 + SHIFT];
/// The levels' values with the shift down.
pub(super) const DOWN: [f32; 3] = [-1.0 - SHIFT, -SHIFT, 1.0 - SHIFT];

/// The codebook of both types.
pub(super) static CODEBOOK: LazyLock<Neighbours<16>> = LazyLock::new(|| {
    let entries: Vec<u16> =
        GRID.iter().map(|entry| pack(entry.map(|value| (value + 1).cast_unsigned()))).collect();
    Neighbours::new(&entries, 3)
});

/// Returns the levels' values with a shift.
#[inline(always)]
pub(super) fn levels(shifted_down: bool) -> &'static [f32; 3] {
    if shifted_down { &DOWN } else { &UP }
}

/// Returns the positions of the values in ascending order. The sort is stable.
pub(super) fn order<const N: usize>(x: &[f32; N]) -> [usize; N] {
    let mut order = std::array::from_fn(|i| i);
    order.sort_by(|a: &usize, b: &usize| {
        x[*a].partial_cmp(&x[*b]).unwrap_or(std::cmp::Ordering::Equal)
    });
    order
}

/// Like [`order`], for a sub-block in each lane.
///
/// Each value becomes a double whose lowest bits hold its position, counted down for negative
/// values. No two keys are equal, so any sort gives the stable order. This one is a sorting
/// network: the same exchanges in every lane.
#[inline(always)]
pub(super) fn order_lanes<const N: usize>(x: &[[f32; N]; LANES]) -> [[u32; LANES]; N] {
    let mut keys = [[0.0_f64; LANES]; N];
    for (i, keys) in keys.iter_mut().enumerate() {
        for lane in 0..LANES {
            let bits = f64::from(x[lane][i] + 0.0).to_bits(); // turns -0 into 0
            keys[lane] = f64::from_bits(bits | u64::from(position::<N>(bits, i as u32)));
        }
    }
    // Batcher's network: odd-even merging of runs of 1, 2, 4, ... values.
    let mut run = 1;
    while run < N {
        let mut distance = run;
        while distance > 0 {
            let mut start = distance % run;
            while start + distance < N {
                for i in start..(start + distance).min(N - distance) {
                    if i / (2 * run) == (i + distance) / (2 * run) {
                        exchange(&mut keys, i, i + distance);
                    }
                }
                start += 2 * distance;
            }
            distance /= 2;
        }
        run *= 2;
    }
    let mut order = [[0; LANES]; N];
    for i in 0..N {
        for lane in 0..LANES {
            let bits = keys[i][lane].to_bits();
            order[i][lane] = position::<N>(bits, bits as u32);
        }
    }
    order
}

/// Converts a position below `N`, a power of two, to the lowest bits of a key with the sign of
/// these bits, and back.
#[inline(always)]
fn position<const N: usize>(bits: u64, position: u32) -> u32 {
    (position ^ (bits.cast_signed() >> 63) as u32) & (N as u32 - 1)
}

#[inline(always)]
fn exchange(keys: &mut [[f64; LANES]], low: usize, high: usize) {
    let (a, b) = (keys[low], keys[high]);
    for lane in 0..LANES {
        // not `f64::min`, which needs more instructions to handle NaN
        keys[low][lane] = if a[lane] < b[lane] { a[lane] } else { b[lane] };
        keys[high][lane] = if a[lane] < b[lane] { b[lane] } else { a[lane] };
    }
}

/// The cuts of the sorted values of the sub-blocks, one sub-block in each lane.
pub(super) struct Cuts {
    /// The best scale for these cuts.
    pub(super) scale: Lanes,
    /// The cuts and the shift as a number whose meaning the type defines; [`NO_CUT`] for sub-blocks
    /// without weight.
    pub(super) place: [u32; LANES],
}

/// The [`Cuts::place`] of sub-blocks without weight.
pub(super) const NO_CUT: u32 = u32::MAX;

impl Cuts {
    /// No cuts found yet.
    pub(super) const NONE: Self = Self { scale: [0.0; LANES], place: [NO_CUT; LANES] };

    /// Stores the cuts at `place` in the lanes where they are [`better`] than the best.
    #[inline(always)]
    pub(super) fn consider(
        &mut self,
        best: &mut Lanes,
        sum_qx: Lanes,
        sum_q2: Lanes,
        place: usize,
    ) {
        let mut any = false;
        for lane in 0..LANES {
            any |= better(sum_qx[lane], sum_q2[lane], best[lane]);
        }
        if !any {
            return;
        }
        for lane in 0..LANES {
            // Selecting whole words vectorizes without masked stores.
            let better = better(sum_qx[lane], sum_q2[lane], best[lane]);
            let mask = if better { u32::MAX } else { 0 };
            let choose = |new: u32, old: u32| new & mask | old & !mask;
            let scale = sum_qx[lane] / sum_q2[lane];
            let score = scale * sum_qx[lane];
            best[lane] = f32::from_bits(choose(score.to_bits(), best[lane].to_bits()));
            self.scale[lane] = f32::from_bits(choose(scale.to_bits(), self.scale[lane].to_bits()));
            self.place[lane] = choose(place as u32, self.place[lane]);
        }
    }
}

/// A lower bound on the result of the best cuts, from a few of them. Starting from this bound, few
/// other cuts are ever better.
///
/// The bound does not change which cuts win. Let `B` be the bound, 0.999 times the best of the few,
/// and `M` the best of all. Compare the search that starts from `B` with the one that starts from
/// nothing. Once both accept the same cuts, they are in the same state. As long as only one of them
/// accepts cuts, the results of these exceed the larger of the two bests by a few rounding errors
/// at most, and the first such result is about `B`. Thousands of rounding errors are less than the
/// distance from `B` to `M`. So both searches accept the cuts that reach `M`, if they do not agree
/// earlier.
#[derive(Clone, Copy)]
pub(super) struct Start {
    /// `(sum w q x)^2` and `sum w q^2` of the best cuts.
    numerator: Lanes,
    denominator: Lanes,
}

impl Start {
    pub(super) const NOTHING: Self = Self { numerator: [0.0; LANES], denominator: [1.0; LANES] };

    /// Tries some cuts.
    #[inline(always)]
    pub(super) fn consider(&mut self, sum_qx: &Lanes, sum_q2: &Lanes) {
        let old = *self;
        for lane in 0..LANES {
            let square = sum_qx[lane] * sum_qx[lane];
            let better = square * old.denominator[lane] > old.numerator[lane] * sum_q2[lane];
            self.numerator[lane] = select(better, square, old.numerator[lane]);
            self.denominator[lane] = select(better, sum_q2[lane], old.denominator[lane]);
        }
    }

    /// Returns the bound to start from, if the numbers are neither so large nor so small that more
    /// than a rounding error is lost.
    #[inline(always)]
    pub(super) fn best(&self) -> Lanes {
        let mut best = [0.0; LANES];
        for lane in 0..LANES {
            let (numerator, denominator) = (self.numerator[lane], self.denominator[lane]);
            let ratio = numerator / denominator;
            let usual = |number: f32| (number > 1e-25) & (number < 1e25);
            let usual = usual(numerator) & usual(denominator) & usual(ratio);
            best[lane] = select(usual, 0.999 * ratio, -f32::MAX);
        }
        best
    }
}

/// Returns whether `(sum w q x)^2 / (sum w q^2)` exceeds the best so far.
#[inline(always)]
pub(super) fn better(sum_qx: f32, sum_q2: f32, best: f32) -> bool {
    (sum_q2 > 0.0) & (sum_qx * sum_qx > best * sum_q2)
}

/// Returns the packed points of a sub-block whose sorted values are cut at `cuts`. The levels are
/// reversed if the scale is negative.
#[inline(always)]
pub(super) fn points<const GROUPS: usize>(
    order: impl Iterator<Item = usize>,
    cuts: (usize, usize),
    reversed: bool,
) -> [u16; GROUPS] {
    let mut points = [0; GROUPS];
    for (j, i) in order.enumerate() {
        let level = u16::from(j >= cuts.0) + u16::from(j >= cuts.1);
        let level = if reversed { 2 - level } else { level };
        points[i / 8] |= level << (2 * (i % 8));
    }
    points
}

/// Moves groups that are not codebook entries to the best nearby entry. If any group moved, fits
/// the scale again. `levels` holds the values of the levels of each group.
pub(super) fn settle_by_definition(
    points: &mut [u16],
    scale: f32,
    levels: &[&[f32; 3]],
    x: &[f32],
    w: &[f32],
) -> f32 {
    let mut moved = false;
    for (k, point) in points.iter_mut().enumerate() {
        if !CODEBOOK.is_entry(*point) {
            let group = 8 * k..8 * k + 8;
            let (x, w) = (&x[group.clone()], &w[group]);
            *point = CODEBOOK.nearest_by_definition(*point, scale, levels[k], x, w);
            moved = true;
        }
    }
    if moved { fit(points, scale, levels, x, w) } else { scale }
}

/// Lane form of [`settle_by_definition`].
#[inline(always)]
pub(super) fn settle(
    codebook: &Neighbours<16>,
    points: &mut [u16],
    scale: f32,
    levels: &[&[f32; 3]],
    x: &[f32],
    w: &[f32],
) -> f32 {
    let mut moved = false;
    let groups = x.as_chunks::<8>().0.iter().zip(w.as_chunks::<8>().0);
    for ((point, (x, w)), levels) in points.iter_mut().zip(groups).zip(levels) {
        if !codebook.is_entry(*point) {
            *point = codebook.nearest(*point, scale, levels, x, w);
            moved = true;
        }
    }
    if moved { fit(points, scale, levels, x, w) } else { scale }
}

/// Returns the best scale for the entries, `(sum w q x) / (sum w q^2)`, if it is positive;
/// otherwise `scale`.
#[inline(always)]
fn fit(points: &[u16], scale: f32, levels: &[&[f32; 3]], x: &[f32], w: &[f32]) -> f32 {
    let (mut sum_qx, mut sum_q2) = (0.0, 0.0);
    for (i, (x, w)) in x.iter().zip(w).enumerate() {
        let q = levels[i / 8][level(points[i / 8], i % 8)];
        sum_qx += w * q * x;
        sum_q2 += w * q * q;
    }
    if sum_qx > 0.0 && sum_q2 > 0.0 { sum_qx / sum_q2 } else { scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_sorts_stably() {
        let mut state = 1_u32;
        for _ in 0..200 {
            let x: [[f32; 32]; LANES] = std::array::from_fn(|_| {
                std::array::from_fn(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let value = (state >> 28) as f32 - 8.0;
                    if value == 0.0 && state >> 27 & 1 == 1 { -0.0 } else { value }
                })
            });
            let orders = order_lanes(&x);
            for (lane, x) in x.iter().enumerate() {
                let found: [usize; 32] = std::array::from_fn(|i| orders[i][lane] as usize);
                assert_eq!(found, order(x));
            }
        }
    }
}
