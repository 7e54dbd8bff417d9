//! IQ1_M: groups of 8 values from a codebook, each shifted up or down.

use granule_format::block::types::IQ1_M;
use granule_format::num::F16;

use super::codes::{Codes, eightfold, four};
use super::packing::Packing;
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, IQ1_M);

impl SuperBlock for IQ1_M {
    const FINE: bool = true;
    const CODES: Codes = Codes::Signed;
    const PACKING: Option<Packing> = Some(Packing::signed(&[1, 7, 9]));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let words = four(
            #[inline(always)]
            |i| self.scales[i].get(),
        );
        // each word: four sub-scales of 3 bits, below a quarter of the scale
        let sub_scales = |word: u16| {
            let bits = u64::from(word);
            bits & 7 | (bits << 5 & 0x700) | (bits << 10 & 0x7_0000) | (bits << 15 & 0x700_0000)
        };
        let eight = |low: u16, high: u16| {
            2 * (sub_scales(low) | sub_scales(high) << 32) + 0x0101_0101_0101_0101
        };
        let sub_scales = [eight(words[0], words[1]), eight(words[2], words[3])];
        let quarters = four(
            #[inline(always)]
            |i| words[i] >> 12 << (4 * i),
        );
        let scale = F16::from_bits(quarters[0] | quarters[1] | quarters[2] | quarters[3]);
        Scales { scale: v.half(scale) * 0.125, sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let bits =
            usize::from(self.groups[2 * group]) | usize::from(self.groups[2 * group + 1]) << 8;
        let indices = four(
            #[inline(always)]
            |i| usize::from(self.indices_low[4 * group + i]) | (bits >> (4 * i) & 7) << 8,
        );
        let down = (bits >> 3 & 1) | (bits >> 6 & 2) | (bits >> 9 & 4) | (bits >> 12 & 8);
        v.add_bytes(eightfold(v, indices), v.load(&SHIFTS[down]))
    }
}

/// The shifts of four groups of 8 values, times 8: -1 for the groups whose bit is set.
static SHIFTS: [[u8; 32]; 16] = {
    let mut shifts = [[1; 32]; 16];
    let mut index = 0;
    while index < 16 * 32 {
        if (index / 32) >> (index % 32 / 8) & 1 == 1 {
            shifts[index / 32][index % 32] = 255;
        }
        index += 1;
    }
    shifts
};
