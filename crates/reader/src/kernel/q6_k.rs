//! Q6_K: a nibble and two more bits for each value, around 32.

use granule_format::block::types::Q6_K;
use zerocopy::IntoBytes;

use super::Kernel;
use super::codes::{CodeRange, bits, double_word, eight_of, nth_chunk};
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for Q6_K {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(6, -32));
}

impl SuperBlock for Q6_K {
    const FINE: bool = true;
    const CODES: CodeRange = CodeRange::Raised(32);

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let bytes = |half: usize| double_word(self.sub_scales.as_bytes(), half);
        Scales {
            scale: v.half(self.scale),
            sub_scales: [bytes(0), bytes(1)],
            min: 0.0,
            sub_mins: [0; 2],
        }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        eight_of(
            #[inline(always)]
            |group| {
                let (half, quarter) = (group / 4, group % 4);
                let low = v.load(nth_chunk(&self.low_bits[half], quarter % 2));
                let high = bits(v, v.load(&self.high_bits[half]), 2 * quarter, 4, 0x30);
                v.or(bits(v, low, 4 * (quarter / 2), 0, 15), high)
            },
        )
    }
}
