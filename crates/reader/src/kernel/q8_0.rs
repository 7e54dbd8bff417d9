//! Q8_0: signed bytes.

use granule_format::block::types::Q8_0;
use granule_format::num::F16;

use super::codes::Codes;
use super::packing::Packing;
use super::small_block::SmallBlock;
use super::super_block;
use crate::isa::Vectors;

super_block::kernel!(small_block, Q8_0);

impl SmallBlock for Q8_0 {
    const CODES: Codes = Codes::Signed;
    const PACKING: Option<Packing> = Some(Packing::consecutive(8, -128));

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

    const RAISED_BY: u8 = 128;

    #[inline(always)]
    fn raised_codes<V: Vectors>(&self, v: V, _: usize) -> V::Bytes {
        v.xor(v.load_signed(&self.codes), v.splat_byte(0x80))
    }
}
