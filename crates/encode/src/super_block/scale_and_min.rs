//! The types whose sub-blocks have a scale and a minimum: Q2_K, Q4_K, Q5_K.
//!
//! They differ in the length of the sub-blocks, the number of levels, and the weights. The common
//! part is here, once by definition and once in lanes (a lane is a super-block).

use granule_format::Block;
use granule_format::num::F16;
use granule_reader::isa::Isa;

use super::VALUES;
use super::asymmetric_lanes::{self, Chosen};
use super::lanes::lane;
use super::search::{self, Asymmetric, ScaleAndMin};
use super::symmetric_lanes;
use super::tile::{Matrix, Tile};
use crate::round::{f16, to_even};
use crate::rows::blocks_for;

/// The differences between the types. `N` is the number of values in a sub-block, `SUBS` the number
/// of sub-blocks in a super-block.
pub(crate) trait Family<const N: usize, const SUBS: usize> {
    type Block: Block;
    /// The largest code of a sub-block's scale or minimum.
    const SUB_LEVELS: i32;
    /// The search without importance weights, and with them.
    const PLAIN: Asymmetric;
    const WEIGHTED: Asymmetric;
    /// Factor of the super-block's mean square in the weights of the weighted search.
    const MEAN_SQUARE_FACTOR: f32;

    /// Returns the weight of a value when there are no importance weights; `root_mean_square` is
    /// that of its sub-block.
    fn plain_weight(root_mean_square: f32, x: f32) -> f32;

    /// Reduces the codes of the sub-blocks' scales and minimums, which can be too large for the
    /// fields of the block (see [`search::positive`]), to what the fields hold.
    fn settle(weighted: bool, scales: &mut [u8; SUBS], mins: &mut [u8; SUBS]);

    fn pack(scales: SuperScales<SUBS>, codes: [u8; VALUES]) -> Self::Block;
}

/// Everything in a super-block except the codes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SuperScales<const SUBS: usize> {
    pub(crate) scale: F16,
    pub(crate) min: F16,
    pub(crate) sub_scales: [u8; SUBS],
    pub(crate) sub_mins: [u8; SUBS],
}

/// Encodes rows by the plain scalar form.
pub(crate) fn encode_by_definition<F: Family<N, SUBS>, const N: usize, const SUBS: usize>(
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    out: &mut [u8],
) {
    let blocks = blocks_for::<F::Block>(rows, columns, weights, out);
    let matrix = Matrix::new(rows, columns, weights);
    for (i, block) in blocks.iter_mut().enumerate() {
        let x = &matrix.super_blocks[i];
        let mut codes = [0; VALUES];
        let scales = match matrix.importance(i) {
            None => plain::<F, N, SUBS>(x, &mut codes),
            Some(importance) => weighted::<F, N, SUBS>(x, importance, &mut codes),
        };
        recode::<N, SUBS>(F::PLAIN.levels, x, &scales, &mut codes);
        *block = F::pack(scales, codes);
    }
}

fn plain<F: Family<N, SUBS>, const N: usize, const SUBS: usize>(
    x: &[f32; VALUES],
    codes: &mut [u8; VALUES],
) -> SuperScales<SUBS> {
    let (mut scales, mut mins) = ([0.0; SUBS], [0.0; SUBS]);
    for (i, x) in x.as_chunks::<N>().0.iter().enumerate() {
        let sum = x.iter().fold(0.0, |sum, x| sum + x * x);
        let root_mean_square = (sum / N as f32).sqrt();
        let weights = x.map(|x| F::plain_weight(root_mean_square, x));
        let ScaleAndMin { scale, min } =
            search::asymmetric(&F::PLAIN, x, &weights, &mut codes[N * i..][..N]);
        (scales[i], mins[i]) = (scale, min);
    }
    plain_scales::<F, N, SUBS>(&scales, &mins)
}

/// Quantizes the scales and minimums of the sub-blocks: the largest of each gets the largest code.
#[inline(always)]
fn plain_scales<F: Family<N, SUBS>, const N: usize, const SUBS: usize>(
    scales: &[f32; SUBS],
    mins: &[f32; SUBS],
) -> SuperScales<SUBS> {
    let (scale, mut sub_scales) = quantize(F::SUB_LEVELS, scales);
    let (min, mut sub_mins) = quantize(F::SUB_LEVELS, mins);
    F::settle(false, &mut sub_scales, &mut sub_mins);
    SuperScales { scale, min, sub_scales, sub_mins }
}

#[inline(always)]
fn quantize<const SUBS: usize>(levels: i32, numbers: &[f32; SUBS]) -> (F16, [u8; SUBS]) {
    let max = numbers.iter().fold(0.0, |max, n| if *n > max { *n } else { max });
    let inverse = if max > 0.0 { levels as f32 / max } else { 0.0 };
    (f16(max / levels as f32), numbers.map(|n| to_even(inverse * n) as u8))
}

fn weighted<F: Family<N, SUBS>, const N: usize, const SUBS: usize>(
    x: &[f32; VALUES],
    importance: &[f32; VALUES],
    codes: &mut [u8; VALUES],
) -> SuperScales<SUBS> {
    let sum = x.iter().fold(0.0, |sum, x| sum + x * x);
    let mean_square = F::MEAN_SQUARE_FACTOR * sum / VALUES as f32;
    let (mut scales, mut mins, mut sums) = ([0.0; SUBS], [0.0; SUBS], [0.0; SUBS]);
    for i in 0..SUBS {
        let x: &[f32; N] = &x.as_chunks().0[i];
        let importance: &[f32; N] = &importance.as_chunks().0[i];
        let weights =
            std::array::from_fn::<_, N, _>(|k| importance[k] * (mean_square + x[k] * x[k]).sqrt());
        sums[i] = weights.iter().fold(0.0, |sum, w| sum + w);
        let ScaleAndMin { scale, min } =
            search::asymmetric(&F::WEIGHTED, x, &weights, &mut codes[N * i..][..N]);
        (scales[i], mins[i]) = (scale, min);
    }
    let (scale, sub_scales) = search::positive(F::SUB_LEVELS, &scales, &sums);
    let (min, sub_mins) = search::positive(F::SUB_LEVELS, &mins, &sums);
    weighted_scales::<F, N, SUBS>(scale, min, sub_scales, sub_mins)
}

#[inline(always)]
fn weighted_scales<F: Family<N, SUBS>, const N: usize, const SUBS: usize>(
    scale: f32,
    min: f32,
    mut sub_scales: [u8; SUBS],
    mut sub_mins: [u8; SUBS],
) -> SuperScales<SUBS> {
    F::settle(true, &mut sub_scales, &mut sub_mins);
    SuperScales { scale: f16(scale), min: f16(min), sub_scales, sub_mins }
}

/// Rounds the values again, with the scales and minimums as the block stores them. A sub-block
/// whose scale came out as zero keeps the codes of its search.
#[inline(always)]
fn recode<const N: usize, const SUBS: usize>(
    levels: i32,
    x: &[f32; VALUES],
    scales: &SuperScales<SUBS>,
    codes: &mut [u8; VALUES],
) {
    let (all_scale, all_min) = (scales.scale.to_f32(), scales.min.to_f32());
    let (x, codes) = (x.as_chunks::<N>().0, codes.as_chunks_mut::<N>().0);
    for i in 0..SUBS {
        let scale = all_scale * f32::from(scales.sub_scales[i]);
        if scale == 0.0 {
            continue;
        }
        let min = all_min * f32::from(scales.sub_mins[i]);
        for k in 0..N {
            codes[i][k] = to_even((x[i][k] + min) / scale).clamp(0, levels) as u8;
        }
    }
}

/// Encodes rows, many super-blocks at once, to the same bytes as [`encode_by_definition`].
pub(crate) fn encode<F: Family<N, SUBS>, const N: usize, const SUBS: usize>(
    isa: Isa,
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    out: &mut [u8],
) {
    let blocks = blocks_for::<F::Block>(rows, columns, weights, out);
    let matrix = Matrix::new(rows, columns, weights);
    isa.run_for_registers(
        blocks,
        #[inline(always)]
        |blocks| in_lanes::<F, N, SUBS, 32>(&matrix, blocks),
        #[inline(always)]
        |blocks| in_lanes::<F, N, SUBS, 16>(&matrix, blocks),
        #[inline(always)]
        |blocks| in_lanes::<F, N, SUBS, 8>(&matrix, blocks),
    )
}

#[inline(always)]
fn in_lanes<F: Family<N, SUBS>, const N: usize, const SUBS: usize, const L: usize>(
    matrix: &Matrix,
    blocks: &mut [F::Block],
) {
    let mut tile = Tile::<L>::new();
    for (t, blocks) in blocks.chunks_mut(L).enumerate() {
        tile.load(matrix, t * L, blocks.len());
        let (chosen, scales) = if matrix.is_weighted() {
            weighted_in_lanes::<F, N, SUBS, L>(&tile)
        } else {
            plain_in_lanes::<F, N, SUBS, L>(&tile)
        };
        for (k, block) in blocks.iter_mut().enumerate() {
            let x = &matrix.super_blocks[t * L + k];
            let mut codes = [0; VALUES];
            let scale = scales[k].scale.to_f32();
            for i in 0..SUBS {
                // Rare, so not in lanes: see `recode`.
                if scale * f32::from(scales[k].sub_scales[i]) == 0.0 {
                    let (inverse, origin) = (chosen[i].inverse[k], chosen[i].origin[k]);
                    for j in N * i..N * (i + 1) {
                        codes[j] =
                            to_even(inverse * (x[j] - origin)).clamp(0, F::PLAIN.levels) as u8;
                    }
                }
            }
            recode::<N, SUBS>(F::PLAIN.levels, x, &scales[k], &mut codes);
            *block = F::pack(scales[k], codes);
        }
    }
}

#[inline(always)]
fn plain_in_lanes<F: Family<N, SUBS>, const N: usize, const SUBS: usize, const L: usize>(
    tile: &Tile<L>,
) -> ([Chosen<L>; SUBS], [SuperScales<SUBS>; L]) {
    let mut chosen = [Chosen::NONE; SUBS];
    for i in 0..SUBS {
        let x = tile.sub_block::<N>(i);
        let mut sum = [0.0; L];
        for x in x {
            for k in 0..L {
                sum[k] += x[k] * x[k];
            }
        }
        let root_mean_square = sum.map(
            #[inline(always)]
            |sum| (sum / N as f32).sqrt(),
        );
        chosen[i] = asymmetric_lanes::asymmetric(
            &F::PLAIN,
            x,
            #[inline(always)]
            |i, k| F::plain_weight(root_mean_square[k], x[i][k]),
        );
    }
    let (all_scales, all_mins) = (chosen.map(|c| c.scale), chosen.map(|c| c.min));
    let scales = std::array::from_fn(
        #[inline(always)]
        |k| plain_scales::<F, N, SUBS>(&lane(&all_scales, k), &lane(&all_mins, k)),
    );
    (chosen, scales)
}

#[inline(always)]
fn weighted_in_lanes<F: Family<N, SUBS>, const N: usize, const SUBS: usize, const L: usize>(
    tile: &Tile<L>,
) -> ([Chosen<L>; SUBS], [SuperScales<SUBS>; L]) {
    let mean_square = tile.sum_of_squares().map(
        #[inline(always)]
        |sum| F::MEAN_SQUARE_FACTOR * sum / VALUES as f32,
    );
    let mut chosen = [Chosen::NONE; SUBS];
    for i in 0..SUBS {
        let (x, importance) = (tile.sub_block::<N>(i), tile.importance::<N>(i));
        chosen[i] = asymmetric_lanes::asymmetric(
            &F::WEIGHTED,
            x,
            #[inline(always)]
            |i, k| importance[i][k] * (mean_square[k] + x[i][k] * x[i][k]).sqrt(),
        );
    }
    let sums = chosen.map(|c| c.sum_w);
    let (scale, sub_scales) =
        symmetric_lanes::positive(F::SUB_LEVELS, &chosen.map(|c| c.scale), &sums);
    let (min, sub_mins) = symmetric_lanes::positive(F::SUB_LEVELS, &chosen.map(|c| c.min), &sums);
    let scales = std::array::from_fn(
        #[inline(always)]
        |k| {
            let sub_scales = lane(&sub_scales, k).map(|code| code as u8);
            let sub_mins = lane(&sub_mins, k).map(|code| code as u8);
            weighted_scales::<F, N, SUBS>(scale[k], min[k], sub_scales, sub_mins)
        },
    );
    (chosen, scales)
}
