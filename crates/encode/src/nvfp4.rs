//! NVFP4: the largest magnitude of a sub-block gets the largest level, 6. See
//! `spec/blocks/nvfp4.md`.

use granule_format::Block;
use granule_format::block::fp4::half_ue4m3;
use granule_format::block::{nvfp4, types};

use super::block_wise::{BlockWise, GROUP, group};
use super::{extremes, fp4};

/// Values in a sub-block.
const SUB: usize = 16;

/// Encoder of [`types::NVFP4`].
#[derive(Debug)]
pub(super) struct NVFP4;

impl BlockWise for NVFP4 {
    type Block = types::NVFP4;

    fn define(values: &[f32]) -> types::NVFP4 {
        let scale = |values: &[f32]| {
            ue4m3(values.iter().fold(0.0, |largest: f32, v| largest.max(v.abs())) / 6.0)
        };
        let scales: [u8; 4] = std::array::from_fn(|i| scale(&values[SUB * i..][..SUB]));
        let half = |i: usize| half_ue4m3(scales[i / SUB]);
        let codes = std::array::from_fn(|i| fp4::nearest(values[i], half(i)));
        types::NVFP4::pack(&nvfp4::Codes { scales, codes })
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::NVFP4; GROUP]) {
        for (block, values) in blocks.iter_mut().zip(group::<64>(values)) {
            *block = encode(values);
        }
    }
}

#[inline(always)]
fn encode(values: &[f32; 64]) -> types::NVFP4 {
    let (mut scales, mut codes) = ([0; 4], [0; 64]);
    let (values, codes_of_sub) = (values.as_chunks::<SUB>().0, codes.as_chunks_mut::<SUB>().0);
    for i in 0..4 {
        let largest = extremes::largest_magnitude(&values[i]);
        scales[i] = ue4m3(largest / 6.0);
        let half_scale = half_ue4m3(scales[i]);
        if half_scale == 0.0 || largest > half_scale * 1_048_576.0 {
            codes_of_sub[i] = values[i].map(|value| fp4::nearest(value, half_scale));
        } else {
            for (code, value) in codes_of_sub[i].iter_mut().zip(&values[i]) {
                *code = fp4::nearest_lanes(*value, half_scale);
            }
        }
    }
    types::NVFP4::pack(&nvfp4::Codes { scales, codes })
}

/// Converts the scale to 8 bits: an exponent of 4 bits with bias 7 and a mantissa of 3 bits,
/// halfway cases rounded up. The largest result is 448 (0x7e), to which everything from 256 on is
/// rounded.
#[inline(always)]
fn ue4m3(scale: f32) -> u8 {
    const SMALLEST_NORMAL: f32 = 1.0 / 64.0;
    if scale < SMALLEST_NORMAL {
        // In units of the subnormal numbers. A number that rounds up to the smallest normal stays
        // below it.
        return ((scale * 512.0 + 0.5) as u8).min(7);
    }
    // Keeps one bit more than the mantissa has, then adds half a step.
    let bits = (scale.to_bits() >> 19) - ((127 - 7) << 4);
    let code = bits.div_ceil(2);
    if code < 0x78 { code as u8 } else { 0x7e }
}
