//! Q5_1: nibbles and a fifth bit each, above a minimum.

use granule_format::block::types::Q5_1;
use granule_format::num::F16;

use super::codes::Codes;
use super::packing::Packing;
use super::small_block::SmallBlock;
use super::super_block;
use crate::isa::Vectors;

super_block::kernel!(small_block, Q5_1);

impl SmallBlock for Q5_1 {
    const MINIMUM: bool = true;
    const CODES: Codes = Codes::Unsigned;
    const PACKING: Option<Packing> = Some(Packing::consecutive(5, 0));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V, _: usize) -> [f32; 2] {
        [v.half(self.scale); 2]
    }

    #[inline(always)]
    fn half(&self) -> Option<F16> {
        Some(self.scale)
    }

    #[inline(always)]
    fn min(&self) -> F16 {
        self.min
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, _: usize) -> V::Bytes {
        let high = v.and(v.spread_bits(u32::from_le_bytes(self.high_bits)), v.splat_byte(16));
        v.or(v.nibbles(&self.low_bits), high)
    }
}
