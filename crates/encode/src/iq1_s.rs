//! IQ1_S: the encoder. See `spec/blocks/iq1_s.md`.

use std::ops::RangeInclusive;

use granule_format::Block;
use granule_format::BlockType;
use granule_format::block::{iq1_s, types};
use granule_format::num::F16;
use granule_reader::isa::Isa;

use super::iq_blocks::{self, largest, sum_of_squares, super_blocks};
use super::iq1_search::{
    CODEBOOK, Cuts, DOWN, LANES, Lanes, NO_CUT, Start, UP, levels, order, order_lanes, points,
    settle, settle_by_definition,
};
use super::neighbours::Neighbours;
use super::round::to_even;
use super::{Encoder, Weighting};

/// Chooses [`types::IQ1_S`] blocks.
#[derive(Debug)]
pub(super) struct IQ1_S;

/// Values of a sub-block.
const LEN: usize = 32;
/// Groups of a sub-block.
const GROUPS: usize = LEN / 8;
/// Sub-blocks of a super-block.
const SUB_BLOCKS: usize = iq_blocks::LEN / LEN;
/// Sub-blocks whose magnitudes are all smaller get the smallest scale that the block allows.
const SMALLEST: f32 = 1e-12;
/// Positions where the best cuts often are.
const FREQUENT: (RangeInclusive<usize>, RangeInclusive<usize>) = (3..=11, 22..=28);
/// Factor applied to the stored scale; found by trial.
const STRETCH: f32 = 1.125;

impl Encoder for IQ1_S {
    fn block_type(&self) -> BlockType {
        BlockType::IQ1_S
    }

    fn weighting(&self) -> Weighting {
        Weighting::Required
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
                let mut blocks = super_blocks(rows, columns, weights, out);
                let mut tile = Tile::EMPTY;
                while let Some(((values, weights), first)) = blocks.next() {
                    tile.prepare(0, values, weights);
                    let second = blocks.next();
                    match &second {
                        Some(((values, weights), _)) => tile.prepare(1, values, *weights),
                        None => tile.clear(1),
                    }
                    let found = search(codebook, &tile);
                    *first = finish(&found[..SUB_BLOCKS]);
                    if let Some((_, block)) = second {
                        *block = finish(&found[SUB_BLOCKS..]);
                    }
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
        for ((values, weights), block) in super_blocks(rows, columns, weights, out) {
            let mut tile = Tile::EMPTY;
            tile.prepare(0, values, weights);
            let found: [_; SUB_BLOCKS] =
                std::array::from_fn(|i| search_by_definition(&tile.values[i], &tile.weights[i]));
            *block = finish(&found);
        }
    }
}

/// The sub-blocks of two super-blocks.
struct Tile {
    values: [[f32; LEN]; LANES],
    weights: [[f32; LEN]; LANES],
}

/// The codes of a sub-block.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// The scale, not negative (NaN only for values beyond any range).
    scale: f32,
    /// A packed entry of the codebook for each group.
    entries: [u16; GROUPS],
    shifted_down: bool,
}

impl Tile {
    const EMPTY: Self = Self { values: [[0.0; LEN]; LANES], weights: [[0.0; LEN]; LANES] };

    /// Loads a super-block into the first or second half of the tile. The weight of a value is its
    /// importance times the square root of (twice the mean square of the super-block + its own
    /// square).
    #[inline(always)]
    fn prepare(
        &mut self,
        half: usize,
        values: &[f32; iq_blocks::LEN],
        importances: Option<&[f32; iq_blocks::LEN]>,
    ) {
        let importances = importances.expect("IQ1_S has only a weighted form");
        let twice_mean_square = 2.0 * sum_of_squares(values) / iq_blocks::LEN as f32;
        let half = SUB_BLOCKS * half..SUB_BLOCKS * half + SUB_BLOCKS;
        self.values[half.clone()].as_flattened_mut().copy_from_slice(values);
        let weights = self.weights[half].as_flattened_mut();
        for i in 0..iq_blocks::LEN {
            weights[i] = importances[i] * (twice_mean_square + values[i] * values[i]).sqrt();
        }
    }

    /// Sets half of the tile to zero.
    fn clear(&mut self, half: usize) {
        self.values[SUB_BLOCKS * half..][..SUB_BLOCKS].fill([0.0; LEN]);
    }
}

/// Searches for the codes of a sub-block, in plain scalar code; `None` if they are all zero.
///
/// Tries all cuts with both shifts. The largest `(sum w q x)^2 / (sum w q^2)` wins, the first of
/// several.
fn search_by_definition(x: &[f32; LEN], w: &[f32; LEN]) -> Option<Found> {
    if x.iter().all(|x| x.abs() < SMALLEST) {
        return None;
    }
    let order = order(x);
    let (mut sum_x, mut sum_w) = ([0.0; LEN + 1], [0.0; LEN + 1]);
    for (j, i) in order.into_iter().enumerate() {
        sum_x[j + 1] = sum_x[j] + w[i] * x[i];
        sum_w[j + 1] = sum_w[j] + w[i];
    }
    let (mut best, mut scale) = (-f32::MAX, 0.0);
    let mut found = None;
    for first in 0..=LEN {
        for second in first..=LEN {
            for (shifted_down, q) in [(false, &UP), (true, &DOWN)] {
                let sum_qx = sum_x[first] * q[0]
                    + (sum_x[second] - sum_x[first]) * q[1]
                    + (sum_x[LEN] - sum_x[second]) * q[2];
                let sum_q2 = sum_w[first] * q[0] * q[0]
                    + (sum_w[second] - sum_w[first]) * q[1] * q[1]
                    + (sum_w[LEN] - sum_w[second]) * q[2] * q[2];
                if sum_q2 > 0.0 && sum_qx * sum_qx > best * sum_q2 {
                    scale = sum_qx / sum_q2;
                    best = scale * sum_qx;
                    found = Some(((first, second), shifted_down));
                }
            }
        }
    }
    let (cuts, shifted_down) = found?;
    let reversed = scale < 0.0;
    let mut entries = points(order.into_iter(), cuts, reversed);
    let shifted_down = shifted_down != reversed;
    let scale = if reversed { -scale } else { scale };
    let scale = settle_by_definition(&mut entries, scale, &[levels(shifted_down); GROUPS], x, w);
    Some(Found { scale, entries, shifted_down })
}

/// Finds the same codes as [`search_by_definition`], for all sub-blocks of a tile at once.
#[inline(always)]
fn search(codebook: &Neighbours<16>, tile: &Tile) -> [Option<Found>; LANES] {
    let order = order_lanes(&tile.values);
    let (mut sum_x, mut sum_w) = ([[0.0; LANES]; LEN + 1], [[0.0; LANES]; LEN + 1]);
    for j in 0..LEN {
        for lane in 0..LANES {
            let i = order[j][lane] as usize % LEN;
            let (x, w) = (tile.values[lane][i], tile.weights[lane][i]);
            sum_x[j + 1][lane] = sum_x[j][lane] + w * x;
            sum_w[j + 1][lane] = sum_w[j][lane] + w;
        }
    }
    let Cuts { scale, place } = best_cuts(&sum_x, &sum_w);
    let mut found = [None; LANES];
    for lane in 0..LANES {
        let (x, w) = (&tile.values[lane], &tile.weights[lane]);
        let empty = x.iter().fold(true, |empty, x| empty & (x.abs() < SMALLEST));
        if empty || place[lane] == NO_CUT {
            continue;
        }
        let place = place[lane] as usize;
        let cuts = (place / 2 / (LEN + 1), place / 2 % (LEN + 1));
        let reversed = scale[lane] < 0.0;
        let order = order.iter().map(|order| order[lane] as usize % LEN);
        let mut entries: [u16; GROUPS] = points(order, cuts, reversed);
        let shifted_down = (place % 2 == 1) != reversed;
        let scale = if reversed { -scale[lane] } else { scale[lane] };
        let levels = [levels(shifted_down); GROUPS];
        let scale = settle(codebook, &mut entries, scale, &levels, x, w);
        found[lane] = Some(Found { scale, entries, shifted_down });
    }
    found
}

/// Finds the best cuts from the prefix sums of `w * x` and `w` over the sorted values. A place is
/// `(first * (LEN + 1) + second) * 2`, plus 1 if shifted down.
#[inline(always)]
fn best_cuts(sum_x: &[Lanes; LEN + 1], sum_w: &[Lanes; LEN + 1]) -> Cuts {
    // The last run's share of the sums, for each second cut and both shifts.
    let mut last = [[[0.0; LANES]; 4]; LEN + 1];
    for (second, last) in last.iter_mut().enumerate() {
        for lane in 0..LANES {
            let x = sum_x[LEN][lane] - sum_x[second][lane];
            let w = sum_w[LEN][lane] - sum_w[second][lane];
            last[0][lane] = x * UP[2];
            last[1][lane] = w * UP[2] * UP[2];
            last[2][lane] = x * DOWN[2];
            last[3][lane] = w * DOWN[2] * DOWN[2];
        }
    }
    let sums = {
        #[inline(always)]
        |first: usize, second: usize, down: usize| {
            let q = [&UP, &DOWN][down];
            let (last_x, last_w) = (&last[second][2 * down], &last[second][2 * down + 1]);
            let (mut sum_qx, mut sum_q2) = ([0.0; LANES], [0.0; LANES]);
            for lane in 0..LANES {
                let (x, w) = (sum_x[first][lane], sum_w[first][lane]);
                let (middle_x, middle_w) = (sum_x[second][lane] - x, sum_w[second][lane] - w);
                sum_qx[lane] = x * q[0] + middle_x * q[1] + last_x[lane];
                sum_q2[lane] = w * q[0] * q[0] + middle_w * q[1] * q[1] + last_w[lane];
            }
            (sum_qx, sum_q2)
        }
    };
    let mut start = Start::NOTHING;
    for first in FREQUENT.0.step_by(2) {
        for second in FREQUENT.1.step_by(2) {
            for down in 0..2 {
                let (sum_qx, sum_q2) = sums(first, second, down);
                start.consider(&sum_qx, &sum_q2);
            }
        }
    }
    let mut best = start.best();
    let mut cuts = Cuts::NONE;
    for first in 0..=LEN {
        for second in first..=LEN {
            let place = (first * (LEN + 1) + second) * 2;
            for down in 0..2 {
                let (sum_qx, sum_q2) = sums(first, second, down);
                cuts.consider(&mut best, sum_qx, sum_q2, place + down);
            }
        }
    }
    cuts
}

/// Makes the block from the codes. Sub-scales are rounded to `(2 * code + 1) / 15` of the largest
/// scale.
#[inline(always)]
fn finish(found: &[Option<Found>]) -> types::IQ1_S {
    let scales: [f32; SUB_BLOCKS] =
        std::array::from_fn(|i| found[i].map_or(0.0, |found| found.scale));
    let mut codes = iq1_s::Codes {
        scale: F16::default(),
        sub_scales: [0; SUB_BLOCKS],
        shifted_down: [false; SUB_BLOCKS],
        indices: std::array::from_fn(|i| {
            found[i / GROUPS].map_or(0, |found| CODEBOOK.index(found.entries[i % GROUPS]))
        }),
    };
    let max = largest(&scales);
    if max != 0.0 {
        let scale = max / 15.0;
        codes.scale = F16::from_f32(scale * STRETCH);
        codes.sub_scales =
            scales.map(|sub| to_even(0.5 * (1.0 / scale * sub - 1.0)).clamp(0, 7) as u8);
        codes.shifted_down =
            std::array::from_fn(|i| found[i].is_some_and(|found| found.shifted_down));
    }
    types::IQ1_S::pack(&codes)
}
