//! Q4_1: a scale, a minimum and codes of 4 bits. See `spec/blocks/q4_1.md`.

use granule_format::block::{q4_1, types};
use granule_format::{Block, num::F16};

use super::block_weights::{Lanes, N};
use super::block_wise::GROUP;
use super::with_weights::WithWeights;
use super::{round, search_affine};

/// The largest code; the smallest is 0.
const LEVELS: i32 = 15;

/// Encoder of [`types::Q4_1`].
#[derive(Debug)]
pub(super) struct Q4_1;

impl WithWeights for Q4_1 {
    type Block = types::Q4_1;

    fn define(values: &[f32; N], weights: Option<&[f32; N]>) -> types::Q4_1 {
        let (scale, min, codes) = match weights {
            None => {
                let line = search_affine::plain_line(LEVELS, values);
                (line.0, line.1, search_affine::plain_codes(LEVELS, values, line))
            }
            Some(weights) => search_affine::define(LEVELS, values, weights),
        };
        let (scale, min) = (F16::from_f32(scale), F16::from_f32(min));
        types::Q4_1::pack(&q4_1::Codes { scale, min, codes })
    }

    #[inline(always)]
    fn encode(values: &[[f32; N]; GROUP], blocks: &mut [types::Q4_1; GROUP]) {
        let (scales, mins, codes) = search_affine::plain(LEVELS, values);
        let (scales, mins) = (round::f16s(&scales), round::f16s(&mins));
        for (k, block) in blocks.iter_mut().enumerate() {
            let (scale, min) = (scales[k], mins[k]);
            *block = types::Q4_1::pack(&q4_1::Codes { scale, min, codes: codes[k] });
        }
    }

    #[inline(always)]
    fn encode_lanes<const L: usize>(
        lanes: &Lanes<L>,
        values: &[[f32; N]],
        blocks: &mut [types::Q4_1],
    ) {
        search_affine::weighted(
            LEVELS,
            lanes,
            values,
            #[inline(always)]
            |k: usize, scale, min, codes| {
                let (scale, min) = (round::f16(scale), round::f16(min));
                blocks[k] = types::Q4_1::pack(&q4_1::Codes { scale, min, codes });
            },
        );
    }
}
