//! Q5_1: a scale, a minimum and codes of 5 bits. See `spec/blocks/q5_1.md`.

use granule_format::block::{q5_1, types};
use granule_format::{Block, num::F16};

use super::importance::{Lanes, N};
use super::with_weights::WithWeights;
use super::{round, search_affine};

/// Codes go from 0 to this.
const LEVELS: i32 = 31;

/// Encoder of [`types::Q5_1`].
#[derive(Debug)]
pub(super) struct Q5_1;

impl WithWeights for Q5_1 {
    type Block = types::Q5_1;

    fn define(values: &[f32; N], weights: Option<&[f32; N]>) -> types::Q5_1 {
        let (scale, min, codes) = match weights {
            None => {
                let line = search_affine::plain_line::<false>(LEVELS, values);
                (line.0, line.1, search_affine::plain_codes(LEVELS, values, line))
            }
            Some(weights) => search_affine::define(LEVELS, values, weights),
        };
        let (scale, min) = (F16::from_f32(scale), F16::from_f32(min));
        types::Q5_1::pack(&q5_1::Codes { scale, min, codes })
    }

    #[inline(always)]
    fn encode(values: &[f32; N]) -> types::Q5_1 {
        let line = search_affine::plain_line::<true>(LEVELS, values);
        let codes = search_affine::plain_codes(LEVELS, values, line);
        let (scale, min) = (round::f16(line.0), round::f16(line.1));
        types::Q5_1::pack(&q5_1::Codes { scale, min, codes })
    }

    #[inline(always)]
    fn encode_lanes<const L: usize>(lanes: &Lanes<L>, blocks: &mut [types::Q5_1]) {
        let (scales, mins, codes) = search_affine::encode(LEVELS, lanes);
        for (k, block) in blocks.iter_mut().enumerate() {
            let (scale, min) = (round::f16(scales[k]), round::f16(mins[k]));
            *block = types::Q5_1::pack(&q5_1::Codes { scale, min, codes: codes[k] });
        }
    }
}
