//! Q8_0: the largest magnitude gets the code 127 or -127. See `spec/blocks/q8_0.md`.

use granule_format::block::{q8_0, types};
use granule_format::{Block, num::F16};

use super::{block_wise::BlockWise, extremes, round};

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
    fn encode(values: &[f32]) -> types::Q8_0 {
        let (scale, codes) = scale_and_codes(values);
        types::Q8_0::pack(&q8_0::Codes { scale: round::f16(scale), codes })
    }
}

/// The scale before it is rounded, and the codes.
#[inline(always)]
pub(super) fn scale_and_codes(values: &[f32]) -> (f32, [i8; 32]) {
    let values: &[f32; 32] = values.try_into().expect("a block");
    let scale = extremes::largest_magnitude(values) / 127.0;
    let inverse = round::inverse(scale);
    let mut codes = [0; 32];
    for (code, value) in codes.iter_mut().zip(values) {
        *code = round::away_from_zero(value * inverse) as i8;
    }
    (scale, codes)
}
