//! Q6_K: nibbles and two more bits each, around 32.

use granule_format::block::types::Q6_K;
use zerocopy::IntoBytes;

use super::codes::{Codes, bits, double_word, part};
use super::packing::Packing;
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, Q6_K);

impl SuperBlock for Q6_K {
    const FINE: bool = true;
    const CODES: Codes = Codes::Raised(32);
    const PACKING: Option<Packing> = Some(Packing::consecutive(6, -32));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let bytes = |half: usize| double_word(self.sub_scales.as_bytes(), half);
        Scales {
            scale: v.half(self.scale),
            sub_scales: [bytes(0), bytes(1)],
            min: 0.0,
            sub_mins: [0; 2],
        }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let (half, quarter) = (group / 4, group % 4);
        let low = v.load(part(&self.low_bits[half], quarter % 2));
        let high = bits(v, v.load(&self.high_bits[half]), 2 * quarter, 4, 0x30);
        v.or(bits(v, low, 4 * (quarter / 2), 0, 15), high)
    }
}
