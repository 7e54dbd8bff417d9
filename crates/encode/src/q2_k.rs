//! Q2_K: see `spec/blocks/q2_k.md`.

use granule_format::block::q2_k;
use granule_format::{Block, BlockType, block::types};
use granule_reader::isa::Isa;

use super::super_block::VALUES;
use super::super_block::scale_and_min::{self, Family, SuperScales};
use super::super_block::search::Asymmetric;
use super::{Encoder, Weighting};

/// Encoder of [`types::Q2_K`].
#[derive(Debug)]
pub(super) struct Q2_K;

impl Encoder for Q2_K {
    fn block_type(&self) -> BlockType {
        BlockType::Q2_K
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
        scale_and_min::encode::<Self, 16, 16>(isa, rows, columns, weights, out);
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        scale_and_min::encode_by_definition::<Self, 16, 16>(rows, columns, weights, out);
    }
}

impl Family<16, 16> for Q2_K {
    type Block = types::Q2_K;
    const SUB_LEVELS: i32 = 15;
    const PLAIN: Asymmetric =
        Asymmetric { levels: 3, first: -0.5, step: 0.1, last: 15, absolute: true };
    const WEIGHTED: Asymmetric =
        Asymmetric { levels: 3, first: -0.9, step: 0.05, last: 36, absolute: false };
    const MEAN_SQUARE_FACTOR: f32 = 1.0;

    #[inline(always)]
    fn plain_weight(_: f32, x: f32) -> f32 {
        x.abs()
    }

    /// ORs the bits of a scale above 15 into the minimum, which shares its byte.
    #[inline(always)]
    fn settle(_: bool, scales: &mut [u8; 16], mins: &mut [u8; 16]) {
        for (scale, min) in scales.iter_mut().zip(mins) {
            *min = (*min | *scale >> 4) & 15;
            *scale &= 15;
        }
    }

    #[inline(always)]
    fn pack(scales: SuperScales<16>, codes: [u8; VALUES]) -> types::Q2_K {
        let SuperScales { scale, min, sub_scales, sub_mins } = scales;
        types::Q2_K::pack(&q2_k::Codes { scale, min, sub_scales, sub_mins, codes })
    }
}
