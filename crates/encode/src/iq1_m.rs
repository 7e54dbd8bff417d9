//! IQ1_M: the encoder. See `spec/blocks/iq1_m.md`.

use std::ops::RangeInclusive;

use granule_format::Block;
use granule_format::BlockType;
use granule_format::block::{iq1_m, types};
use granule_format::num::F16;
use granule_reader::isa::Isa;

use super::iq_blocks::{self, largest, sum_of_squares, super_blocks};
use super::iq1_search::{
    CODEBOOK, Cuts, DOWN, LANES, Lanes, NO_CUT, Start, UP, better, levels, order, order_lanes,
    points, settle, settle_by_definition,
};
use super::neighbours::{Neighbours, level};
use super::round::to_even;
use super::super_block::lanes::select;
use super::{Encoder, Weighting};

/// Chooses [`types::IQ1_M`] blocks.
#[derive(Debug)]
pub(super) struct IQ1_M;

/// Values of a sub-block: two groups, each with its own shift.
const LEN: usize = 16;
/// Sub-blocks whose magnitudes are all smaller get the smallest scale that the block allows.
const SMALLEST: f32 = 1e-7;
/// Positions where the best cuts often are.
const FREQUENT: (RangeInclusive<usize>, RangeInclusive<usize>) = (1..=5, 11..=14);
/// Factor applied to the stored scale; found by trial.
const STRETCH: f32 = 1.1125;

impl Encoder for IQ1_M {
    fn block_type(&self) -> BlockType {
        BlockType::IQ1_M
    }

    fn weighting(&self) -> Weighting {
        Weighting::Optional
    }

    fn encode(
        &self,
        isa: Isa,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        let codebook = &*CODEBOOK;
        isa.run(
            #[inline(always)]
            || {
                for ((values, importances), block) in super_blocks(rows, columns, weights, out) {
                    let weights = weights_of(values, importances);
                    let found = search(codebook, sub_blocks(values), sub_blocks(&weights));
                    *block = finish(values, &weights, &found);
                }
            },
        );
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        for ((values, importances), block) in super_blocks(rows, columns, weights, out) {
            let weights = weights_of(values, importances);
            let (x, w) = (sub_blocks(values), sub_blocks(&weights));
            let found = std::array::from_fn(|i| search_by_definition(&x[i], &w[i]));
            *block = finish(values, &weights, &found);
        }
    }
}

/// The codes of a sub-block.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// The scale, not negative (NaN only for values beyond any range).
    scale: f32,
    /// A packed entry of the codebook for each group.
    entries: [u16; 2],
    /// Whether each group is shifted down.
    shifted_down: [bool; 2],
}

/// Computes the weight of each value: its importance times the square root of (twice the mean
/// square of the super-block + its own square). Without importances it is the value's square.
#[inline(always)]
fn weights_of(
    values: &[f32; iq_blocks::LEN],
    importances: Option<&[f32; iq_blocks::LEN]>,
) -> [f32; iq_blocks::LEN] {
    let Some(importances) = importances else {
        return values.map(|value| value * value);
    };
    let twice_mean_square = 2.0 * sum_of_squares(values) / iq_blocks::LEN as f32;
    let mut weights = [0.0; iq_blocks::LEN];
    for i in 0..iq_blocks::LEN {
        weights[i] = importances[i] * (twice_mean_square + values[i] * values[i]).sqrt();
    }
    weights
}

#[inline(always)]
fn sub_blocks(values: &[f32; iq_blocks::LEN]) -> &[[f32; LEN]; LANES] {
    values.as_chunks::<LEN>().0.first_chunk().expect("16 sub-blocks of 16 values")
}

/// Searches for the codes of a sub-block, in plain scalar code; `None` if they are all zero.
///
/// Tries all cuts with the four pairs of shifts (bit 1 of the pair: the first group is shifted
/// down, bit 0: the second). The largest `(sum w q x)^2 / (sum w q^2)` wins, the first of several.
/// Because neighbouring levels are 1 apart, `sum w q x` of a group is `q[2]` times its sum over all
/// values, minus its sums up to each cut.
fn search_by_definition(x: &[f32; LEN], w: &[f32; LEN]) -> Option<Found> {
    if x.iter().all(|x| x.abs() < SMALLEST) {
        return None;
    }
    let order = order(x);
    let (mut sum_x, mut sum_w) = ([[0.0; LEN + 1]; 2], [[0.0; LEN + 1]; 2]);
    for (j, i) in order.into_iter().enumerate() {
        let (own, other) = (i / 8, 1 - i / 8);
        sum_x[own][j + 1] = sum_x[own][j] + w[i] * x[i];
        sum_x[other][j + 1] = sum_x[other][j];
        sum_w[own][j + 1] = sum_w[own][j] + w[i];
        sum_w[other][j + 1] = sum_w[other][j];
    }
    let (mut best, mut scale) = (-f32::MAX, 0.0);
    let mut found = None;
    for first in 0..=LEN {
        for second in first..=LEN {
            let sums_of = |group: usize, q: &[f32; 3]| {
                let (x, w) = (&sum_x[group], &sum_w[group]);
                let qx = x[LEN] * q[2] - (x[first] + x[second]);
                let q2 = w[LEN] * q[2] * q[2]
                    + w[first] * (q[0] * q[0] - q[1] * q[1])
                    + w[second] * (q[1] * q[1] - q[2] * q[2]);
                (qx, q2)
            };
            for shifts in 0..4 {
                let a = sums_of(0, levels(shifts & 2 != 0));
                let b = sums_of(1, levels(shifts & 1 != 0));
                let (sum_qx, sum_q2) = (a.0 + b.0, a.1 + b.1);
                if sum_q2 > 0.0 && sum_qx * sum_qx > best * sum_q2 {
                    scale = sum_qx / sum_q2;
                    best = scale * sum_qx;
                    found = Some(((first, second), shifts));
                }
            }
        }
    }
    let (cuts, shifts) = found?;
    let reversed = scale < 0.0;
    let mut entries = points(order.into_iter(), cuts, reversed);
    let shifted_down = [(shifts & 2 != 0) != reversed, (shifts & 1 != 0) != reversed];
    let scale = if reversed { -scale } else { scale };
    let scale = settle_by_definition(&mut entries, scale, &shifted_down.map(levels), x, w);
    Some(Found { scale, entries, shifted_down })
}

/// Finds the same codes as [`search_by_definition`], for all sub-blocks of a super-block at once.
#[inline(always)]
fn search(
    codebook: &Neighbours<16>,
    values: &[[f32; LEN]; LANES],
    weights: &[[f32; LEN]; LANES],
) -> [Option<Found>; LANES] {
    let order = order_lanes(values);
    let mut sum_x = [[[0.0; LANES]; LEN + 1]; 2];
    let mut sum_w = [[[0.0; LANES]; LEN + 1]; 2];
    let (mut x, mut w) = ([[0.0; LANES]; LEN], [[0.0; LANES]; LEN]);
    for j in 0..LEN {
        for lane in 0..LANES {
            let i = order[j][lane] as usize % LEN;
            (x[j][lane], w[j][lane]) = (values[lane][i], weights[lane][i]);
        }
    }
    for j in 0..LEN {
        for group in 0..2 {
            let (old_x, old_w) = (sum_x[group][j], sum_w[group][j]);
            for lane in 0..LANES {
                let own = order[j][lane] / 8 == group as u32;
                let (new_x, new_w) =
                    (old_x[lane] + w[j][lane] * x[j][lane], old_w[lane] + w[j][lane]);
                sum_x[group][j + 1][lane] = select(own, new_x, old_x[lane]);
                sum_w[group][j + 1][lane] = select(own, new_w, old_w[lane]);
            }
        }
    }
    let Cuts { scale, place } = best_cuts(&sum_x, &sum_w);
    let mut found = [None; LANES];
    for lane in 0..LANES {
        let (x, w) = (&values[lane], &weights[lane]);
        let empty = x.iter().fold(true, |empty, x| empty & (x.abs() < SMALLEST));
        if empty || place[lane] == NO_CUT {
            continue;
        }
        let (place, shifts) = (place[lane] as usize / 4, place[lane] % 4);
        let cuts = (place / (LEN + 1), place % (LEN + 1));
        let reversed = scale[lane] < 0.0;
        let order = order.iter().map(|order| order[lane] as usize % LEN);
        let mut entries: [u16; 2] = points(order, cuts, reversed);
        let shifted_down = [(shifts & 2 != 0) != reversed, (shifts & 1 != 0) != reversed];
        let scale = if reversed { -scale[lane] } else { scale[lane] };
        let levels = [levels(shifted_down[0]), levels(shifted_down[1])];
        let scale = settle(codebook, &mut entries, scale, &levels, x, w);
        found[lane] = Some(Found { scale, entries, shifted_down });
    }
    found
}

/// Finds the best cuts from the groups' prefix sums of `w * x` and `w` over the sorted values. A
/// place is `(first * (LEN + 1) + second) * 4`, plus the pair of shifts.
#[inline(always)]
fn best_cuts(sum_x: &[[Lanes; LEN + 1]; 2], sum_w: &[[Lanes; LEN + 1]; 2]) -> Cuts {
    let mut start = Start::NOTHING;
    for first in FREQUENT.0 {
        for second in FREQUENT.1 {
            for [qx, q2] in pairs_of_shifts(sum_x, sum_w, first, second) {
                start.consider(&qx, &q2);
            }
        }
    }
    let mut best = start.best();
    let mut cuts = Cuts::NONE;
    for first in 0..=LEN {
        for second in first..=LEN {
            let pairs = pairs_of_shifts(sum_x, sum_w, first, second);
            // with most cuts no pair of shifts beats the best: one branch decides for all of them
            let mut any = 0;
            for lane in 0..LANES {
                for [qx, q2] in &pairs {
                    any |= u32::from(better(qx[lane], q2[lane], best[lane]));
                }
            }
            if any == 0 {
                continue;
            }
            let place = (first * (LEN + 1) + second) * 4;
            for (shifts, [qx, q2]) in pairs.into_iter().enumerate() {
                cuts.consider(&mut best, qx, q2, place + shifts);
            }
        }
    }
    cuts
}

/// Returns the sums of `w * q * x` and `w * q * q` for each pair of shifts.
#[inline(always)]
fn pairs_of_shifts(
    sum_x: &[[Lanes; LEN + 1]; 2],
    sum_w: &[[Lanes; LEN + 1]; 2],
    first: usize,
    second: usize,
) -> [[Lanes; 2]; 4] {
    let of = |group: usize, q| cut_sums(&sum_x[group], &sum_w[group], first, second, q);
    let (up, down) = ([of(0, &UP), of(1, &UP)], [of(0, &DOWN), of(1, &DOWN)]);
    [add(&up[0], &up[1]), add(&up[0], &down[1]), add(&down[0], &up[1]), add(&down[0], &down[1])]
}

/// Returns the sums of `w * q * x` and `w * q * q` over a group.
#[inline(always)]
fn cut_sums(
    x: &[Lanes; LEN + 1],
    w: &[Lanes; LEN + 1],
    first: usize,
    second: usize,
    q: &[f32; 3],
) -> [Lanes; 2] {
    let [mut qx, mut q2] = [[0.0; LANES]; 2];
    for lane in 0..LANES {
        let cut_x = x[first][lane] + x[second][lane];
        qx[lane] = x[LEN][lane] * q[2] - cut_x;
        q2[lane] = w[LEN][lane] * q[2] * q[2]
            + w[first][lane] * (q[0] * q[0] - q[1] * q[1])
            + w[second][lane] * (q[1] * q[1] - q[2] * q[2]);
    }
    [qx, q2]
}

#[inline(always)]
fn add(a: &[Lanes; 2], b: &[Lanes; 2]) -> [Lanes; 2] {
    let [mut qx, mut q2] = [[0.0; LANES]; 2];
    for lane in 0..LANES {
        qx[lane] = a[0][lane] + b[0][lane];
        q2[lane] = a[1][lane] + b[1][lane];
    }
    [qx, q2]
}

/// Makes the block from the codes. Sub-scales are rounded to `(2 * code + 1) / 15` of the largest
/// scale. Then the scale is fitted once more to all values; sub-blocks without codes count with the
/// first entry.
#[inline(always)]
fn finish(
    values: &[f32; iq_blocks::LEN],
    weights: &[f32; iq_blocks::LEN],
    found: &[Option<Found>; LANES],
) -> types::IQ1_M {
    let scales = found.map(|found| found.map_or(0.0, |found| found.scale));
    let mut codes = iq1_m::Codes {
        scale: F16::default(),
        sub_scales: [0; LANES],
        shifted_down: [false; 32],
        indices: std::array::from_fn(|i| {
            found[i / 2].map_or(0, |found| CODEBOOK.index(found.entries[i % 2]))
        }),
    };
    let max = largest(&scales);
    if max == 0.0 {
        return types::IQ1_M::pack(&codes);
    }
    let mut scale = max / 15.0;
    codes.sub_scales = scales.map(|sub| to_even(0.5 * (1.0 / scale * sub - 1.0)).clamp(0, 7) as u8);
    codes.shifted_down =
        std::array::from_fn(|i| found[i / 2].is_some_and(|found| found.shifted_down[i % 2]));
    let (mut sum_qx, mut sum_q2) = (0.0, 0.0);
    for (group, (x, w)) in
        values.as_chunks::<8>().0.iter().zip(weights.as_chunks::<8>().0).enumerate()
    {
        let levels = levels(codes.shifted_down[group]);
        let entry = found[group / 2].map_or(0, |found| found.entries[group % 2]);
        let sub_scale = f32::from(2 * codes.sub_scales[group / 2] + 1);
        for i in 0..8 {
            let q = levels[level(entry, i)] * sub_scale;
            sum_qx += w[i] * q * x[i];
            sum_q2 += w[i] * q * q;
        }
    }
    if sum_q2 > 0.0 {
        scale = sum_qx / sum_q2;
    }
    if max.is_nan() {
        scale = max;
    }
    codes.scale = F16::from_f32(scale * STRETCH);
    types::IQ1_M::pack(&codes)
}
