//! Q5_K: nibbles and a fifth bit each, above minimums.

use granule_format::block::types::Q5_K;

use super::codes::{Codes, bits, scales_and_mins};
use super::packing::Packing;
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, Q5_K);

impl SuperBlock for Q5_K {
    const FINE: bool = false;
    const MINIMUMS: bool = true;
    const CODES: Codes = Codes::Unsigned;
    const PACKING: Option<Packing> = Some(Packing::consecutive(5, 0));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let (sub_scales, sub_mins) = scales_and_mins(&self.sub_scales);
        Scales {
            scale: v.half(self.scale),
            sub_scales: [sub_scales, 0],
            min: v.half(self.min),
            sub_mins: [sub_mins, 0],
        }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let low = bits(v, v.load(&self.low_bits[group / 2]), 4 * (group % 2), 0, 15);
        v.or(low, bits(v, v.load(&self.high_bits), group, 4, 16))
    }
}
