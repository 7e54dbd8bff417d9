//! Q8_1: signed bytes; the sum of them is not needed here.

use granule_format::block::types::Q8_1;
use granule_format::num::F16;

use super::codes::Codes;
use super::small_block::SmallBlock;
use super::super_block;
use crate::isa::Vectors;

super_block::kernel!(small_block, Q8_1);

impl SmallBlock for Q8_1 {
    const CODES: Codes = Codes::Signed;

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V, _: usize) -> [f32; 2] {
        [v.half(self.scale); 2]
    }

    #[inline(always)]
    fn half(&self) -> Option<F16> {
        Some(self.scale)
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, _: usize) -> V::Bytes {
        v.load_signed(&self.codes)
    }
}
