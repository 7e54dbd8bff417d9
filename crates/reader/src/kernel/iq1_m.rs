//! IQ1_M: groups of 8 values from a codebook, each shifted up or down.

use std::hint::black_box;

use granule_format::block::types::IQ1_M;
use granule_format::num::F16;

use super::Kernel;
use super::codes::{CodeRange, eight_of, eightfold, four};
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for IQ1_M {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::signed(&[1, 7, 9]));
}

impl SuperBlock for IQ1_M {
    const FINE: bool = true;
    const CODES: CodeRange = CodeRange::Signed;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        let words = four(
            #[inline(always)]
            |i| self.scales[i].get(),
        );
        // each word: four sub-scales of 3 bits, below a quarter of the scale
        let eight = |low: u16, high: u16| {
            let words = u64::from(low) | u64::from(high) << 32;
            let pairs = words & 0x3f_0000_003f | (words << 10 & 0x003f_0000_003f_0000);
            let bytes = pairs & 0x0007_0007_0007_0007 | (pairs << 5 & 0x0700_0700_0700_0700);
            2 * bytes + 0x0101_0101_0101_0101
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
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        // a bit for each value that is shifted down: for the whole block at once, which vectorizes
        let mut down = Aligned([0; 8]);
        for (i, down) in down.0.iter_mut().enumerate() {
            // the top bits of four nibbles, in bytes
            let nibbles = u32::from(self.groups[2 * i]) | u32::from(self.groups[2 * i + 1]) << 16;
            let bits = (nibbles >> 3 | nibbles << 1) & 0x0101_0101;
            *down = (bits << 8).wrapping_sub(bits);
        }
        // one by one they are cheaper to load than to extract from a register
        let Aligned(down) = black_box(&down);
        eight_of(
            #[inline(always)]
            |group| {
                let bits = |i: usize| usize::from(self.groups[2 * group + i]);
                let (low, high) = (bits(0), bits(1));
                let high = [low << 8, low << 4, high << 8, high << 4];
                let indices = four(
                    #[inline(always)]
                    |i| usize::from(self.indices_low[4 * group + i]) | high[i] & 0x700,
                );
                // 1, or -1 if the shift is down
                let shifts = v.or(v.spread_bits(down[group]), v.splat_byte(1));
                v.add_bytes(eightfold(v, indices), shifts)
            },
        )
    }
}

/// In one cache line: a store that straddles two lines cannot be forwarded to the next load.
#[repr(align(32))]
struct Aligned([u32; 8]);
