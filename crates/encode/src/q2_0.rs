//! Q2_0: the nearest of minus the largest magnitude, zero, and the largest magnitude. See
//! `spec/blocks/q2_0.md`.

use granule_format::block::{q2_0, types};
use granule_format::{Block, num::F16};

use super::block_wise::{BlockWise, GROUP};
use super::{round, ternary};

/// Encoder of [`types::Q2_0`].
#[derive(Debug)]
pub(super) struct Q2_0;

impl BlockWise for Q2_0 {
    type Block = types::Q2_0;

    fn define(values: &[f32]) -> types::Q2_0 {
        let (scale, codes) = ternary::define(values);
        block(F16::from_f32(scale), scale, codes)
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::Q2_0; GROUP]) {
        let (scales, codes) = ternary::encode(values);
        let rounded = round::f16s(&scales);
        for (k, made) in blocks.iter_mut().enumerate() {
            *made = block(rounded[k], scales[k], codes[k]);
        }
    }
}

/// Makes a block. All codes are 0 if the values are so small that dividing by the largest
/// overflows: the scale is then zero in half precision, so the values decode to zero as well.
#[inline(always)]
fn block(rounded: F16, scale: f32, codes: [u8; 64]) -> types::Q2_0 {
    let overflows = scale > 0.0 && round::inverse(scale) == 0.0;
    let codes = if overflows { [0; 64] } else { codes };
    types::Q2_0::pack(&q2_0::Codes { scale: rounded, codes })
}
