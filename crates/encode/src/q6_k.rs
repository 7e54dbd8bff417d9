//! Q6_K: see `spec/blocks/q6_k.md`.

use granule_format::block::q6_k;
use granule_format::num::F16;
use granule_format::{Block, BlockType, block::types};
use granule_reader::isa::Isa;

use super::round::{f16, to_even};
use super::super_block::lanes::{Rows, lane, products};
use super::super_block::scale_only::{self, Family, N, SuperScales};
use super::super_block::search::{self, NOTHING};
use super::super_block::tile::Tile;
use super::super_block::{VALUES, symmetric_lanes};
use super::{Encoder, Weighting};

/// Encoder of [`types::Q6_K`].
#[derive(Debug)]
pub(super) struct Q6_K;

impl Encoder for Q6_K {
    fn block_type(&self) -> BlockType {
        BlockType::Q6_K
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

impl Family for Q6_K {
    type Block = types::Q6_K;
    const HALF: i32 = 32;

    fn fit(
        x: &[f32; VALUES],
        importance: Option<&[f32; VALUES]>,
        codes: &mut [i8; VALUES],
    ) -> SuperScales {
        let mut scales = [0.0; N];
        for (i, (x, codes)) in x.as_chunks::<N>().0.iter().zip(codes.as_chunks_mut().0).enumerate()
        {
            let weights = match importance {
                None => x.map(|x| x * x),
                Some(importance) => importance.as_chunks().0[i],
            };
            (scales[i], *codes) = search::symmetric(Self::HALF, x, &weights);
        }
        let scales = quantize(&scales);
        if scales.scale == F16::default() && scales.sub_scales == [0; N] {
            codes.fill(-Self::HALF as i8);
        }
        scales
    }

    #[inline(always)]
    fn fit_in_lanes<const L: usize>(tile: &Tile<L>, weighted: bool) -> [SuperScales; L] {
        let mut scales = [[0.0; L]; N];
        for i in 0..N {
            let x = tile.sub_block::<N>(i);
            if weighted {
                scales[i] = symmetric_lanes::symmetric(Self::HALF, x, tile.importance::<N>(i)).0;
                continue;
            }
            let mut weights = Rows::<N, L>::ZERO;
            let weights = &mut weights.0;
            products(weights, x, x);
            scales[i] = symmetric_lanes::symmetric(Self::HALF, x, weights).0;
        }
        std::array::from_fn(
            #[inline(always)]
            |k| quantize(&lane(&scales, k)),
        )
    }

    #[inline(always)]
    fn pack(scales: SuperScales, codes: [u8; VALUES]) -> types::Q6_K {
        let SuperScales { scale, sub_scales } = scales;
        types::Q6_K::pack(&q6_k::Codes { scale, sub_scales, codes })
    }
}

/// Quantizes the scales: the one of largest magnitude gets the code -128. All codes are zero if all
/// scales are negligible.
#[inline(always)]
fn quantize(scales: &[f32; N]) -> SuperScales {
    let largest = scale_only::largest(scales);
    if largest.abs() < NOTHING {
        return SuperScales { scale: F16::default(), sub_scales: [0; N] };
    }
    let inverse = -128.0 / largest;
    let scale = f16(1.0 / inverse);
    SuperScales { scale, sub_scales: scales.map(|s| to_even(inverse * s).min(127) as i8) }
}
