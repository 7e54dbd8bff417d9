//! Q1_0: a bit for each value: 1 or -1.

use granule_format::block::types::Q1_0;
use granule_format::num::F16;

use super::codes::{Codes, word};
use super::packing::Packing;
use super::small_block::SmallBlock;
use super::super_block;
use crate::isa::Vectors;

super_block::kernel!(small_block, Q1_0);

impl SmallBlock for Q1_0 {
    const CODES: Codes = Codes::Signed;
    const PACKING: Option<Packing> = Some(Packing::consecutive(2, -1));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V, _: usize) -> [f32; 2] {
        [v.half(self.scale); 2]
    }

    #[inline(always)]
    fn half(&self) -> Option<F16> {
        Some(self.scale)
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let ones = v.spread_bits(word(&self.signs, group));
        v.sub_bytes(v.and(ones, v.splat_byte(2)), v.splat_byte(1))
    }
}
