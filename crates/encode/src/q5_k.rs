//! Q5_K: see `spec/blocks/q5_k.md`.

use granule_format::block::q5_k;
use granule_format::{Block, BlockType, block::types};
use granule_reader::isa::Isa;

use super::super_block::VALUES;
use super::super_block::scale_and_min::{self, Family, SuperScales};
use super::super_block::search::Asymmetric;
use super::{Encoder, Weighting};

/// Encoder of [`types::Q5_K`].
#[derive(Debug)]
pub(super) struct Q5_K;

impl Encoder for Q5_K {
    fn block_type(&self) -> BlockType {
        BlockType::Q5_K
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
        scale_and_min::encode::<Self, 32, 8>(isa, rows, columns, weights, out);
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        scale_and_min::encode_by_definition::<Self, 32, 8>(rows, columns, weights, out);
    }
}

impl Family<32, 8> for Q5_K {
    type Block = types::Q5_K;
    const SUB_LEVELS: i32 = 63;
    const PLAIN: Asymmetric =
        Asymmetric { levels: 31, first: -0.5, step: 0.1, last: 15, absolute: false };
    const WEIGHTED: Asymmetric =
        Asymmetric { levels: 31, first: -0.9, step: 0.05, last: 36, absolute: false };
    const MEAN_SQUARE_FACTOR: f32 = 2.0;

    #[inline(always)]
    fn plain_weight(root_mean_square: f32, x: f32) -> f32 {
        root_mean_square + x.abs()
    }

    /// Clamps the codes to 63.
    #[inline(always)]
    fn settle(_: bool, scales: &mut [u8; 8], mins: &mut [u8; 8]) {
        *scales = scales.map(|code| code.min(63));
        *mins = mins.map(|code| code.min(63));
    }

    #[inline(always)]
    fn pack(scales: SuperScales<8>, codes: [u8; VALUES]) -> types::Q5_K {
        let SuperScales { scale, min, sub_scales, sub_mins } = scales;
        types::Q5_K::pack(&q5_k::Codes { scale, min, sub_scales, sub_mins, codes })
    }
}
