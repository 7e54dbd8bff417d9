//! IQ2_XXS: the encoder. See `spec/blocks/iq2_xxs.md`.

use std::sync::LazyLock;

use granule_format::Block;
use granule_format::BlockType;
use granule_format::block::codebook::iq2_xxs::GRID;
use granule_format::block::{iq2_xxs, types};
use granule_format::num::F16;
use granule_reader::isa::Isa;

use super::iq_blocks::{self, largest, sum_of_squares, super_blocks};
use super::iq2_search::{
    self, LANES, LEVELS, Lanes, accept, max_lanes, round, round_lanes, settle, sum_lanes, sums,
    transpose,
};
use super::iq2_uniform::{scale_of_uniform, scale_of_uniform_lanes};
use super::neighbours::Neighbours;
use super::round::to_even;
use super::{Encoder, Weighting, iq2_signs};

/// Chooses [`types::IQ2_XXS`] blocks.
#[derive(Debug)]
pub(super) struct IQ2_XXS;

/// Values of a sub-block.
const LEN: usize = 32;
/// Groups of a sub-block.
const GROUPS: usize = LEN / 8;
/// Sub-blocks of a super-block.
const SUB_BLOCKS: usize = iq_blocks::LEN / LEN;
/// Sub-blocks whose magnitudes are all smaller are encoded as zero.
const SMALLEST: f32 = 1e-15;
/// Steps of the first scale in the largest magnitude; the trial scales lie around it.
const FIRST_STEPS: f32 = 3.0;
/// The trial scales: each maps the largest magnitude to about `5 + step / 10`.
const STEPS: std::ops::RangeInclusive<i8> = -6..=6;

static CODEBOOK: LazyLock<Neighbours<16>> = LazyLock::new(|| iq2_search::neighbours(&GRID, 2));

impl Encoder for IQ2_XXS {
    fn block_type(&self) -> BlockType {
        BlockType::IQ2_XXS
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
                    let first_signs = tile.prepare(0, values, weights);
                    let second = blocks.next().map(|((values, weights), block)| {
                        (tile.prepare(1, values, weights), block)
                    });
                    if second.is_none() {
                        tile.clear(1);
                    }
                    let found = search(codebook, &tile);
                    *first = finish(first_signs, &found[..SUB_BLOCKS]);
                    if let Some((signs, block)) = second {
                        *block = finish(signs, &found[SUB_BLOCKS..]);
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
            let signs = tile.prepare(0, values, weights);
            let found: [_; SUB_BLOCKS] = std::array::from_fn(|i| {
                search_by_definition(&CODEBOOK, &tile.magnitudes[i], &tile.weights[i])
            });
            *block = finish(signs, &found);
        }
    }
}

/// The sub-blocks of two super-blocks.
struct Tile {
    /// The values without signs. A magnitude is negative where parity forced the wrong sign.
    magnitudes: [[f32; LEN]; LANES],
    weights: [[f32; LEN]; LANES],
}

/// The codes of a sub-block.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// The scale, not negative (NaN only for values beyond any range).
    scale: f32,
    /// A packed entry of the codebook for each group.
    entries: [u16; GROUPS],
    /// Whether the scale came out negative and was negated: all signs must then be inverted as
    /// well.
    negated: bool,
}

impl Tile {
    const EMPTY: Self = Self { magnitudes: [[0.0; LEN]; LANES], weights: [[0.0; LEN]; LANES] };

    /// Loads a super-block into the first or second half of the tile and returns the signs of its
    /// groups. The weight of a value is its importance times the square root of (mean square of the
    /// super-block + its own square).
    #[inline(always)]
    fn prepare(
        &mut self,
        half: usize,
        values: &[f32; iq_blocks::LEN],
        importances: Option<&[f32; iq_blocks::LEN]>,
    ) -> [u8; 32] {
        let importances = importances.expect("IQ2_XXS has only a weighted form");
        let mean_square = sum_of_squares(values) / iq_blocks::LEN as f32;
        let half = SUB_BLOCKS * half..SUB_BLOCKS * half + SUB_BLOCKS;
        let magnitudes = self.magnitudes[half.clone()].as_flattened_mut();
        let weights = self.weights[half].as_flattened_mut();
        for i in 0..iq_blocks::LEN {
            weights[i] = importances[i] * (mean_square + values[i] * values[i]).sqrt();
        }
        let mut all_signs = [0; 32];
        let groups = values.as_chunks::<8>().0.iter().zip(weights.as_chunks::<8>().0);
        let out = magnitudes.as_chunks_mut::<8>().0.iter_mut().zip(&mut all_signs);
        for ((values, weights), (magnitudes, signs)) in groups.zip(out) {
            (*signs, *magnitudes) = iq2_signs::split_evenly(values, weights);
        }
        all_signs
    }

    /// Sets half of the tile to zero, so that it costs no search time.
    fn clear(&mut self, half: usize) {
        self.magnitudes[SUB_BLOCKS * half..][..SUB_BLOCKS].fill([0.0; LEN]);
    }
}

/// Searches for the codes of a sub-block, in plain scalar code; `None` if they are all zero.
///
/// The search begins with the best weighted scale for the uniform levels 0 to 4. Around it, 13
/// trial scales give codes as [`iq2_search`] describes. The magnitudes are then rounded once more
/// with the scale of the best codes.
fn search_by_definition(
    codebook: &Neighbours<16>,
    x: &[f32; LEN],
    w: &[f32; LEN],
) -> Option<Found> {
    let max = x.iter().fold(x[0], |max, x| if max > *x { max } else { *x });
    if max < SMALLEST {
        return None;
    }
    let largest = scale_of_uniform(x, w) * FIRST_STEPS;
    if largest <= 0.0 {
        return None;
    }
    let roots = w.map(f32::sqrt);
    let codes = |inverse: f32, scale: f32| -> [u16; GROUPS] {
        std::array::from_fn(|k| {
            let point = round(&x[8 * k..], inverse);
            if codebook.is_entry(point) {
                return point;
            }
            let group = 8 * k..8 * k + 8;
            codebook.nearest_by_definition(point, scale, &LEVELS, &x[group.clone()], &roots[group])
        })
    };
    let (mut best, mut scale, mut entries) = (0.0, largest / FIRST_STEPS, [0; GROUPS]);
    for step in STEPS {
        let inverse = (5.0 + f32::from(step) * 0.1) / largest;
        let trial = codes(inverse, 1.0 / inverse);
        let (sum_qx, sum_q2) = sums(x, w, &trial);
        if sum_q2 > 0.0 && sum_qx * sum_qx > best * sum_q2 {
            scale = sum_qx / sum_q2;
            best = scale * sum_qx;
            entries = trial;
        }
    }
    if scale > 0.0 {
        entries = codes(1.0 / scale, scale);
        let (sum_qx, sum_q2) = sums(x, w, &entries);
        if sum_q2 > 0.0 {
            scale = sum_qx / sum_q2;
        }
    }
    Some(Found { scale: scale.abs(), entries, negated: scale < 0.0 })
}

/// Finds the same codes as [`search_by_definition`], for all sub-blocks of a tile at once.
#[inline(always)]
fn search(codebook: &Neighbours<16>, tile: &Tile) -> [Option<Found>; LANES] {
    let roots = tile.weights.map(|weights| weights.map(f32::sqrt));
    let (x, w) = (transpose(&tile.magnitudes), transpose(&tile.weights));
    let mut wx = [[0.0; LANES]; LEN];
    for i in 0..LEN {
        for lane in 0..LANES {
            wx[i][lane] = w[i][lane] * x[i][lane];
        }
    }
    let max = max_lanes(&x);
    let mut scale = scale_of_uniform_lanes(&x, &w);
    let largest: Lanes = scale.map(|scale| scale * FIRST_STEPS);
    let mut full = 0_u16;
    for lane in 0..LANES {
        let empty = (max[lane] < SMALLEST) | (largest[lane] <= 0.0);
        full |= u16::from(!empty) << lane;
        scale[lane] = largest[lane] / FIRST_STEPS;
    }

    let mut best = [0.0; LANES];
    let mut entries = [[0_u32; LANES]; GROUPS];
    for step in STEPS {
        let factor = 5.0 + f32::from(step) * 0.1;
        let inverse: Lanes = largest.map(|largest| factor / largest);
        let trial_scale: Lanes = inverse.map(|inverse| 1.0 / inverse);
        let mut trial: [_; GROUPS] = round_lanes(&x, &inverse);
        for (k, points) in trial.iter_mut().enumerate() {
            settle(codebook, k, &tile.magnitudes, &roots, &trial_scale, full, points);
        }
        let (sum_qx, sum_q2) = sum_lanes(&wx, &w, &trial);
        accept(&sum_qx, &sum_q2, &trial, &mut scale, &mut best, &mut entries);
    }

    let inverse: Lanes = scale.map(|scale| 1.0 / scale);
    let mut last: [_; GROUPS] = round_lanes(&x, &inverse);
    for (k, points) in last.iter_mut().enumerate() {
        settle(codebook, k, &tile.magnitudes, &roots, &scale, full, points);
    }
    let (sum_qx, sum_q2) = sum_lanes(&wx, &w, &last);
    for lane in 0..LANES {
        let again = scale[lane] > 0.0;
        for k in 0..GROUPS {
            entries[k][lane] = if again { last[k][lane] } else { entries[k][lane] };
        }
        let new = sum_qx[lane] / sum_q2[lane];
        scale[lane] = if again & (sum_q2[lane] > 0.0) { new } else { scale[lane] };
    }
    std::array::from_fn(|lane| {
        (full >> lane & 1 == 1).then(|| Found {
            scale: scale[lane].abs(),
            entries: std::array::from_fn(|k| entries[k][lane] as u16),
            negated: scale[lane] < 0.0,
        })
    })
}

/// Makes the block from the codes. Sub-scales are rounded to `(2 * code + 1) / 31` of the largest
/// scale.
#[inline(always)]
fn finish(signs: [u8; 32], found: &[Option<Found>]) -> types::IQ2_XXS {
    let scales: [f32; SUB_BLOCKS] =
        std::array::from_fn(|i| found[i].map_or(0.0, |found| found.scale));
    let mut codes = iq2_xxs::Codes {
        scale: F16::default(),
        sub_scales: [0; 8],
        indices: [0; 32],
        signs: [0; 32],
    };
    let max = largest(&scales);
    if max == 0.0 {
        return types::IQ2_XXS::pack(&codes);
    }
    for (group, signs) in signs.into_iter().enumerate() {
        if let Some(found) = found[group / GROUPS] {
            let index = CODEBOOK.index(found.entries[group % GROUPS]);
            codes.indices[group] = u8::try_from(index).expect("the codebook has 256 entries");
            codes.signs[group] = if found.negated { !signs } else { signs };
        }
    }
    let scale = max / 31.0;
    codes.scale = F16::from_f32(scale);
    codes.sub_scales =
        scales.map(|sub| to_even(0.5 * (1.0 / scale * sub - 1.0)).clamp(0, 15) as u8);
    types::IQ2_XXS::pack(&codes)
}
