//! Q2_K: 2 bits for each value, above minimums.

use granule_format::block::types::Q2_K;

use super::codes::{Codes, bits, double_word, part};
use super::packing::Packing;
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, Q2_K);

impl SuperBlock for Q2_K {
    const FINE: bool = true;
    const MINIMUMS: bool = true;
    const CODES: Codes = Codes::Unsigned;
    const PACKING: Option<Packing> = Some(Packing::consecutive(2, 0));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let (first, second) = (double_word(&self.sub_scales, 0), double_word(&self.sub_scales, 1));
        const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
        Scales {
            scale: v.half(self.scale),
            sub_scales: [first & LOW, second & LOW],
            min: v.half(self.min),
            sub_mins: [first >> 4 & LOW, second >> 4 & LOW],
        }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let quarters = v.load(part(self.codes.as_flattened(), group / 4));
        bits(v, quarters, 2 * (group % 4), 0, 3)
    }
}
