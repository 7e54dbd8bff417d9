//! Q8_K: signed bytes with one scale.

use granule_format::block::types::Q8_K;

use super::codes::{Codes, part};
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, Q8_K);

impl SuperBlock for Q8_K {
    const FINE: bool = false;
    const CODES: Codes = Codes::Signed;

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let _ = v;
        Scales {
            scale: self.scale.get(),
            sub_scales: [0x0101_0101_0101_0101, 0],
            min: 0.0,
            sub_mins: [0; 2],
        }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        v.load_signed(part(&self.codes, group))
    }
}
