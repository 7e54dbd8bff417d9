//! Q4_K: see `spec/blocks/q4_k.md`.

use granule_format::block::q4_k;
use granule_format::{Block, BlockType, block::types};
use granule_reader::isa::Isa;

use super::super_block::VALUES;
use super::super_block::scale_and_min::{self, Family, SuperScales};
use super::super_block::search::Asymmetric;
use super::{Encoder, Weighting};

/// Encoder of [`types::Q4_K`].
#[derive(Debug)]
pub(super) struct Q4_K;

impl Encoder for Q4_K {
    fn block_type(&self) -> BlockType {
        BlockType::Q4_K
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

impl Family<32, 8> for Q4_K {
    type Block = types::Q4_K;
    const SUB_LEVELS: i32 = 63;
    const PLAIN: Asymmetric =
        Asymmetric { levels: 15, first: -1.0, step: 0.1, last: 20, absolute: false };
    const WEIGHTED: Asymmetric =
        Asymmetric { levels: 15, first: -0.9, step: 0.05, last: 36, absolute: false };
    const MEAN_SQUARE_FACTOR: f32 = 2.0;

    #[inline(always)]
    fn plain_weight(root_mean_square: f32, x: f32) -> f32 {
        root_mean_square + x.abs()
    }

    /// Clamps the codes to 63 if there are no importance weights. With weights they are not
    /// clamped: the bits of the first four above 63 are ORed into the upper bits of the last four,
    /// which are stored in the same bytes.
    #[inline(always)]
    fn settle(weighted: bool, scales: &mut [u8; 8], mins: &mut [u8; 8]) {
        for codes in [scales, mins] {
            if weighted {
                for i in 0..4 {
                    codes[i + 4] =
                        codes[i + 4] & 15 | ((codes[i] >> 6 | codes[i + 4] >> 4) & 3) << 4;
                    codes[i] &= 63;
                }
            } else {
                *codes = codes.map(|code| code.min(63));
            }
        }
    }

    #[inline(always)]
    fn pack(scales: SuperScales<8>, codes: [u8; VALUES]) -> types::Q4_K {
        let SuperScales { scale, min, sub_scales, sub_mins } = scales;
        types::Q4_K::pack(&q4_k::Codes { scale, min, sub_scales, sub_mins, codes })
    }
}
