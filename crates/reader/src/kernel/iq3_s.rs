//! IQ3_S: groups of 4 magnitudes from a codebook, free signs.

use granule_format::block::codebook::iq3_s::{GRID, LEVELS};
use granule_format::block::types::IQ3_S;

use super::codes::{Codes, eight_of, spread_nibbles, word};
use super::packing::Packing;
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::{Fours, Vectors};

super_block::kernel!(super_block, IQ3_S);

impl SuperBlock for IQ3_S {
    const FINE: bool = false;
    const SIGNS: bool = true;
    const CODES: Codes = Codes::Signed;
    const PACKING: Option<Packing> = Some(Packing::signed(&LEVELS));

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        let nibbles = spread_nibbles(u32::from_le_bytes(self.sub_scales));
        let sub_scales = [2 * nibbles + 0x0101_0101_0101_0101, 0];
        Scales { scale: v.half(self.scale), sub_scales, min: 0.0, sub_mins: [0; 2] }
    }

    #[inline(always)]
    fn magnitudes<V: Vectors>(&self, v: V) -> ([V::Bytes; 8], [u32; 8]) {
        let signs = eight_of(
            #[inline(always)]
            |i| word(&self.signs, i),
        );
        (v.fours(&BOOK, &self.indices_low, u64::from_le_bytes(self.indices_high)), signs)
    }
}

static BOOK: Fours<512> = Fours::new(&GRID, &LEVELS);
