//! MXFP4: nibbles that stand for 4-bit floating point numbers, here doubled.

use granule_format::block::fp4;
use granule_format::block::types::MXFP4;

use super::codes::Codes;
use super::small_block::SmallBlock;
use super::super_block;
use crate::isa::Vectors;

super_block::kernel!(small_block, MXFP4);

impl SmallBlock for MXFP4 {
    const CODES: Codes = Codes::Signed;

    #[inline(always)]
    fn scales<V: Vectors>(&self, _: V, _: usize) -> [f32; 2] {
        [fp4::half_e8m0(self.exponent); 2]
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, _: usize) -> V::Bytes {
        v.lookup(&fp4::DOUBLED, v.nibbles(&self.codes))
    }
}
