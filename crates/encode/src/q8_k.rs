//! Q8_K: the value of largest magnitude gets the code -127. See `spec/blocks/q8_k.md`.

use granule_format::Block;
use granule_format::block::{q8_k, types};

use super::block_wise::{BlockWise, GROUP, group};
use super::{extremes, round};

/// Encoder of [`types::Q8_K`].
#[derive(Debug)]
pub(super) struct Q8_K;

impl BlockWise for Q8_K {
    type Block = types::Q8_K;

    fn define(values: &[f32]) -> types::Q8_K {
        encode(values, extremes::first_largest(values))
    }

    #[inline(always)]
    fn encode(values: &[f32], blocks: &mut [types::Q8_K; GROUP]) {
        for (block, values) in blocks.iter_mut().zip(group::<256>(values)) {
            *block = encode(values, extremes::first_largest_lanes(values));
        }
    }
}

#[inline(always)]
fn encode(values: &[f32], largest: f32) -> types::Q8_K {
    let values: &[f32; 256] = values.try_into().expect("a block");
    if largest == 0.0 {
        return types::Q8_K::pack(&q8_k::Codes { scale: 0.0, codes: [0; 256], sums: [0; 16] });
    }
    let inverse = -127.0 / largest;
    let mut codes = [0; 256];
    for (code, value) in codes.iter_mut().zip(values) {
        *code = round::to_even(inverse * value).min(127) as i8;
    }
    let mut sums = [0; 16];
    for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<16>().0) {
        *sum = codes.iter().fold(0, |sum, code| sum + i16::from(*code));
    }
    types::Q8_K::pack(&q8_k::Codes { scale: 1.0 / inverse, codes, sums })
}
