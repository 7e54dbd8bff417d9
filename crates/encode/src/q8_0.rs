//! Q8_0: the largest magnitude gets the code 127 or -127. See `spec/blocks/q8_0.md`.

use granule_format::block::{q8_0, types};
use granule_format::{Block, num::F16};

use super::block_wise::{BlockWise, GROUP, group};
use super::{extremes, round};

/// Encoder of [`types::Q8_0`].
#[derive(Debug)]
pub(super) struct Q8_0;

impl BlockWise for Q8_0 {
    type Block = types::Q8_0;

    fn define(values: &[f32]) -> types::Q8_0 {
        let largest = values.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
        let scale = largest / 127.0;
        let inverse = round::inverse(scale);
        let codes = std::array::from_fn(|i| (values[i] * inverse).round() as i8);
        types::Q8_0::pack(&q8_0::Codes { scale: F16::from_f32(scale), codes })
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::Q8_0; GROUP]) {
        let (scales, codes) = scales_and_codes(values);
        let scales = round::f16s(&scales);
        for (k, block) in blocks.iter_mut().enumerate() {
            *block = types::Q8_0::pack(&q8_0::Codes { scale: scales[k], codes: codes[k] });
        }
    }
}

/// Computes the scales, before they are rounded, and the codes.
#[inline(always)]
pub(super) fn scales_and_codes(values: &[f32]) -> ([f32; GROUP], [[i8; 32]; GROUP]) {
    let values = group::<32>(values);
    let mut scales = extremes::largest_magnitudes(values);
    let mut inverses = [0.0; GROUP];
    for (scale, inverse) in scales.iter_mut().zip(&mut inverses) {
        *scale /= 127.0;
        *inverse = round::inverse(*scale);
    }
    let mut codes = [[0; 32]; GROUP];
    for k in 0..GROUP {
        for (code, value) in codes[k].iter_mut().zip(&values[k]) {
            *code = round::away_from_zero(value * inverses[k]) as i8;
        }
    }
    (scales, codes)
}
