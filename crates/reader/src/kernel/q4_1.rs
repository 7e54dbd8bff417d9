//! Q4_1: nibbles above a minimum.

use granule_format::block::types::Q4_1;
use granule_format::num::F16;

use super::codes::{Codes, nibbles_of_two};
use super::packing::Packing;
use super::small_block::SmallBlock;
use super::super_block;
use crate::isa::Vectors;

super_block::kernel!(small_block, Q4_1);

impl SmallBlock for Q4_1 {
    const MINIMUM: bool = true;
    const CODES: Codes = Codes::Unsigned;
    const PACKING: Option<Packing> = Some(Packing::consecutive(4, 0));

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

    const PAIRED: bool = true;

    #[inline(always)]
    fn pair_codes<V: Vectors>(v: V, [a, b]: &[Self; 2]) -> [V::Bytes; 2] {
        nibbles_of_two(v, &a.codes, &b.codes)
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, _: usize) -> V::Bytes {
        v.nibbles(&self.codes)
    }
}
