//! Q8_1: Q8_0 with the sum of the codes. See `spec/blocks/q8_1.md`.

use granule_format::block::{q8_1, types};
use granule_format::{Block, num::F16};

use super::block_wise::{BlockWise, GROUP};
use super::{q8_0, round};

/// Encoder of [`types::Q8_1`].
#[derive(Debug)]
pub(super) struct Q8_1;

impl BlockWise for Q8_1 {
    type Block = types::Q8_1;

    fn define(values: &[f32]) -> types::Q8_1 {
        let largest = values.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
        let scale = largest / 127.0;
        let inverse = round::inverse(scale);
        let codes: [i8; 32] = std::array::from_fn(|i| (values[i] * inverse).round() as i8);
        let sum: i32 = codes.iter().map(|code| i32::from(*code)).sum();
        let sum = F16::from_f32(sum as f32 * scale);
        types::Q8_1::pack(&q8_1::Codes { scale: F16::from_f32(scale), sum, codes })
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::Q8_1; GROUP]) {
        let (scales, codes) = q8_0::scales_and_codes(values);
        for (k, block) in blocks.iter_mut().enumerate() {
            let (scale, codes) = (scales[k], codes[k]);
            let sum = codes.iter().fold(0, |sum, code| sum + i32::from(*code));
            let sum = round::f16(sum as f32 * scale);
            *block = types::Q8_1::pack(&q8_1::Codes { scale: round::f16(scale), sum, codes });
        }
    }
}
