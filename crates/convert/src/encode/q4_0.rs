//! Q4_0: a scale and codes of 4 bits around zero. See `spec/blocks/q4_0.md`.

use granule_format::block::{q4_0, types};
use granule_format::{Block, num::F16};

use super::importance::{Lanes, N};
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
                let scale = search_symmetric::plain_scale::<false>(HALF, values);
                (scale, search_symmetric::plain_codes(HALF, values, scale))
            }
            Some(weights) => search_symmetric::define(HALF, values, weights),
        };
        types::Q4_0::pack(&q4_0::Codes { scale: F16::from_f32(scale), codes })
    }

    #[inline(always)]
    fn encode(values: &[f32; N]) -> types::Q4_0 {
        let scale = search_symmetric::plain_scale::<true>(HALF, values);
        let codes = search_symmetric::plain_codes(HALF, values, scale);
        types::Q4_0::pack(&q4_0::Codes { scale: round::f16(scale), codes })
    }

    #[inline(always)]
    fn encode_lanes<const L: usize>(lanes: &Lanes<L>, blocks: &mut [types::Q4_0]) {
        let (scales, codes) = search_symmetric::encode(HALF, lanes);
        for ((block, scale), codes) in blocks.iter_mut().zip(scales).zip(codes) {
            *block = types::Q4_0::pack(&q4_0::Codes { scale: round::f16(scale), codes });
        }
    }
}
