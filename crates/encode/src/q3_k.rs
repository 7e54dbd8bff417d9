//! Q3_K: see `spec/blocks/q3_k.md`.

use granule_format::block::q3_k;
use granule_format::num::F16;
use granule_format::{Block, BlockType, block::types};
use granule_reader::isa::Isa;

use super::round::{f16, to_even};
use super::super_block::lanes::{Rows, lane};
use super::super_block::scale_only::{self, Family, N, SuperScales};
use super::super_block::search;
use super::super_block::tile::Tile;
use super::super_block::{VALUES, descend_lanes, symmetric_lanes};
use super::{Encoder, Weighting};

/// Encoder of [`types::Q3_K`].
#[derive(Debug)]
pub(super) struct Q3_K;

/// The codes of the sub-blocks' scales range from `-SUB_HALF` to `SUB_HALF - 1`.
const SUB_HALF: i32 = 32;

impl Encoder for Q3_K {
    fn block_type(&self) -> BlockType {
        BlockType::Q3_K
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
        scale_only::encode::<Self>(isa, rows, columns, weights, out);
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        scale_only::encode_by_definition::<Self>(rows, columns, weights, out);
    }
}

impl Family for Q3_K {
    type Block = types::Q3_K;
    const HALF: i32 = 4;

    fn fit(
        x: &[f32; VALUES],
        importance: Option<&[f32; VALUES]>,
        codes: &mut [i8; VALUES],
    ) -> SuperScales {
        let sum = x.iter().fold(0.0, |sum, x| sum + x * x);
        let mean_square = 2.0 * sum / VALUES as f32;
        let (mut scales, mut sums) = ([0.0; N], [0.0; N]);
        for (i, (x, codes)) in x.as_chunks::<N>().0.iter().zip(codes.as_chunks_mut().0).enumerate()
        {
            let Some(importance) = importance else {
                (scales[i], *codes) = search::descend(Self::HALF, x);
                continue;
            };
            let importance: &[f32; N] = &importance.as_chunks().0[i];
            let weights =
                std::array::from_fn(|k| importance[k] * (mean_square + x[k] * x[k]).sqrt());
            sums[i] = weights.iter().fold(0.0, |sum, w| sum + w);
            (scales[i], *codes) = search::symmetric(Self::HALF, x, &weights);
        }
        match importance {
            None => quantize(&scales),
            Some(_) => {
                let (scale, sub_scales) = search::symmetric(SUB_HALF, &scales, &sums);
                SuperScales { scale: f16(scale), sub_scales }
            }
        }
    }

    #[inline(always)]
    fn fit_in_lanes<const L: usize>(tile: &Tile<L>, weighted: bool) -> [SuperScales; L] {
        if !weighted {
            let scales: [[f32; L]; N] = descend_lanes::descend(
                Self::HALF,
                #[inline(always)]
                |i| tile.sub_block::<N>(i),
            );
            // a loop, because `from_fn` is not always compiled for the instruction set of the lanes
            let mut all = [SuperScales { scale: F16::default(), sub_scales: [0; N] }; L];
            for (k, all) in all.iter_mut().enumerate() {
                *all = quantize(&lane(&scales, k));
            }
            return all;
        }

        let mean_square = tile.sum_of_squares().map(
            #[inline(always)]
            |sum| 2.0 * sum / VALUES as f32,
        );
        let mut sums = [[0.0; L]; N];
        let mut scales = [[0.0; L]; N];
        for i in 0..N {
            let (x, importance) = (tile.sub_block::<N>(i), tile.importance::<N>(i));
            let mut weights = Rows::<N, L>::ZERO;
            let weights = &mut weights.0;
            for j in 0..N {
                for k in 0..L {
                    weights[j][k] = importance[j][k] * (mean_square[k] + x[j][k] * x[j][k]).sqrt();
                    sums[i][k] += weights[j][k];
                }
            }
            scales[i] = symmetric_lanes::symmetric(Self::HALF, x, weights).0;
        }
        let (scale, sub_scales) = symmetric_lanes::symmetric_codes(SUB_HALF, &scales, &sums);
        std::array::from_fn(
            #[inline(always)]
            |k| {
                let sub_scales = lane(&sub_scales, k).map(|code| code as i8);
                SuperScales { scale: f16(scale[k]), sub_scales }
            },
        )
    }

    #[inline(always)]
    fn pack(scales: SuperScales, codes: [u8; VALUES]) -> types::Q3_K {
        let SuperScales { scale, sub_scales } = scales;
        types::Q3_K::pack(&q3_k::Codes { scale, sub_scales, codes })
    }
}

/// Quantizes the scales: the one of largest magnitude gets the code -32. If all are zero, the
/// block's scale is zero and the codes are the lowest.
#[inline(always)]
fn quantize(scales: &[f32; N]) -> SuperScales {
    let largest = scale_only::largest(scales);
    if largest == 0.0 {
        return SuperScales { scale: F16::default(), sub_scales: [-SUB_HALF as i8; N] };
    }
    let inverse = -SUB_HALF as f32 / largest;
    let codes = scales.map(|s| (to_even(inverse * s) as i8).clamp(-32, 31));
    SuperScales { scale: f16(1.0 / inverse), sub_scales: codes }
}
