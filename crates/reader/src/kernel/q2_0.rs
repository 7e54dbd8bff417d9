//! Q2_0: 2 bits for each value, four neighbours a byte, around 1.

use granule_format::block::types::Q2_0;
use granule_format::num::F16;

use super::codes::{Codes, double_word, four, spread_pairs};
use super::packing::Packing;
use super::small_block::SmallBlock;
use super::super_block;
use crate::isa::Vectors;

super_block::kernel!(small_block, Q2_0);

impl SmallBlock for Q2_0 {
    const CODES: Codes = Codes::Raised(1);
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
        let bits = double_word(&self.codes, group);
        v.bytes_from_u64(four(
            #[inline(always)]
            |i| spread_pairs((bits >> (16 * i)) as u16),
        ))
    }
}
