//! TQ1_0: the digits of TQ2_0, packed five to a byte. See `spec/blocks/tq1_0.md`.

use granule_format::block::types;
use granule_format::num::F16;

use super::block_wise::{BlockWise, GROUP};
use super::{round, ternary};

/// Encoder of [`types::TQ1_0`].
#[derive(Debug)]
pub(super) struct TQ1_0;

impl BlockWise for TQ1_0 {
    type Block = types::TQ1_0;

    fn define(values: &[f32]) -> types::TQ1_0 {
        let (scale, digits) = ternary::define(values);
        types::TQ1_0::from_digits(&digits, F16::from_f32(scale))
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::TQ1_0; GROUP]) {
        let (scales, digits) = ternary::encode(values);
        let scales = round::f16s(&scales);
        for (k, block) in blocks.iter_mut().enumerate() {
            *block = types::TQ1_0::from_digits(&digits[k], scales[k]);
        }
    }
}
