//! Q4_0: a scale and codes of 4 bits around zero. See `spec/blocks/q4_0.md`.

use granule_format::block::{q4_0, types};
use granule_format::{Block, num::F16};

use super::block_weights::{Lanes, N};
use super::block_wise::GROUP;
use super::with_weights::WithWeights;
use super::{round, search_symmetric};

/// Codes stand for -8 to 7.
const HALF: i32 = 8;

/// Encoder of [`types::Q4_0`].
#[derive(Debug)]
pub(super) struct Q4_0;

impl WithWeights for Q4_0 {
    type Block = types::Q4_0;

    fn define(values: &[f32; N], weights: Option<&[f32; N]>) -> types::Q4_0 {
        let (scale, codes) = match weights {
            None => {
                let scale = search_symmetric::plain_scale(HALF, values);
                (scale, search_symmetric::plain_codes(HALF, values, scale))
            }
            Some(weights) => search_symmetric::define(HALF, values, weights),
        };
        types::Q4_0::pack(&q4_0::Codes { scale: F16::from_f32(scale), codes })
    }

    #[inline(always)]
    fn encode(values: &[[f32; N]; GROUP], blocks: &mut [types::Q4_0; GROUP]) {
        let (scales, codes) = search_symmetric::plain(HALF, values);
        let scales = round::f16s(&scales);
        for (k, block) in blocks.iter_mut().enumerate() {
            *block = types::Q4_0::pack(&q4_0::Codes { scale: scales[k], codes: codes[k] });
        }
    }

    #[inline(always)]
    fn encode_lanes<const L: usize>(
        lanes: &Lanes<L>,
        values: &[[f32; N]],
        blocks: &mut [types::Q4_0],
    ) {
        search_symmetric::weighted(
            HALF,
            lanes,
            values,
            #[inline(always)]
            |k: usize, scale, codes| {
                blocks[k] = types::Q4_0::pack(&q4_0::Codes { scale: round::f16(scale), codes });
            },
        );
    }
}
