//! F32, F16, BF16: the nearest number. See `spec/blocks/scalar.md`.
//!
//! A finite value above the range becomes infinite; [`encode_rows`](super::encode_rows) reports it.

use granule_format::{Block, block::types};

use super::block_wise::{BlockWise, GROUP, group};
use super::round;

/// Encoder of [`types::F32`]: a copy.
#[derive(Debug)]
pub(super) struct F32;

impl BlockWise for F32 {
    type Block = types::F32;

    fn define(values: &[f32]) -> types::F32 {
        types::F32::pack(&values[0])
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::F32; GROUP]) {
        for (block, [value]) in blocks.iter_mut().zip(group(values)) {
            *block = types::F32::pack(value);
        }
    }
}

/// Encoder of [`types::F16`].
#[derive(Debug)]
pub(super) struct F16;

impl BlockWise for F16 {
    type Block = types::F16;

    fn define(values: &[f32]) -> types::F16 {
        types::F16::pack(&half::f16::from_f32(values[0]).to_bits())
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::F16; GROUP]) {
        for (block, [value]) in blocks.iter_mut().zip(group(values)) {
            *block = types::F16::pack(&round::f16(*value).to_bits());
        }
    }
}

/// Encoder of [`types::BF16`].
#[derive(Debug)]
pub(super) struct BF16;

impl BlockWise for BF16 {
    type Block = types::BF16;

    fn define(values: &[f32]) -> types::BF16 {
        types::BF16::pack(&half::bf16::from_f32(values[0]).to_bits())
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::BF16; GROUP]) {
        for (block, [value]) in blocks.iter_mut().zip(group(values)) {
            *block = types::BF16::pack(&round::bf16(*value));
        }
    }
}
