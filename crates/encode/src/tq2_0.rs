//! TQ2_0: the nearest of minus the largest magnitude, zero, and the largest magnitude. See
//! `spec/blocks/tq2_0.md`.

use granule_format::block::{tq2_0, types};
use granule_format::{Block, num::F16};

use super::block_wise::{BlockWise, GROUP};
use super::{round, ternary};

/// Encoder of [`types::TQ2_0`].
#[derive(Debug)]
pub(super) struct TQ2_0;

impl BlockWise for TQ2_0 {
    type Block = types::TQ2_0;

    fn define(values: &[f32]) -> types::TQ2_0 {
        let (scale, codes) = ternary::define(values);
        types::TQ2_0::pack(&tq2_0::Codes { codes, scale: F16::from_f32(scale) })
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::TQ2_0; GROUP]) {
        let (scales, codes) = ternary::encode(values);
        let scales = round::f16s(&scales);
        for (k, block) in blocks.iter_mut().enumerate() {
            *block = types::TQ2_0::pack(&tq2_0::Codes { codes: codes[k], scale: scales[k] });
        }
    }
}
