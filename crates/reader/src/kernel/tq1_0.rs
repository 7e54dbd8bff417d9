//! TQ1_0: digits of base 3, five a byte, around 1.

use granule_format::block::types::TQ1_0;

use super::Kernel;
use super::codes::{CodeRange, double_word, eight_of, nth_chunk};
use super::packing::Packing;
use super::super_block::{Scales, SuperBlock, SuperBlocks};
use crate::isa::Simd;

impl Kernel for TQ1_0 {
    type Family = SuperBlocks;
    const PACKING: Option<Packing> = Some(Packing::consecutive(2, -1));
}

impl SuperBlock for TQ1_0 {
    const FINE: bool = false;
    const CODES: CodeRange = CodeRange::Raised(1);
    const SUB_SCALES: bool = false;

    #[inline(always)]
    fn scales<V: Simd>(&self, v: V) -> Scales {
        Scales {
            scale: v.half(self.scale),
            sub_scales: [0x0101_0101_0101_0101, 0],
            min: 0.0,
            sub_mins: [0; 2],
        }
    }

    #[inline(always)]
    fn codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        let digits = first_bits(v, self);
        eight_of(
            #[inline(always)]
            |group| v.and(v.shift_right(digits[group], 6), v.splat_byte(3)),
        )
    }

    const RAISED_BY: u8 = 64;
    const TIMES: u8 = 64;

    #[inline(always)]
    fn raised_codes<V: Simd>(&self, v: V) -> [V::Bytes; 8] {
        let digits = first_bits(v, self);
        eight_of(
            #[inline(always)]
            |group| v.and(digits[group], v.splat_byte(0xc0)),
        )
    }
}

/// The digits of each group, in the upper two bits of bytes.
#[inline(always)]
fn first_bits<V: Simd>(v: V, block: &TQ1_0) -> [V::Bytes; 8] {
    let first = v.load(nth_chunk(&block.fives, 0));
    let second = times_3(v, first);
    let third = times_3(v, second);
    let fourth = times_3(v, third);
    // values 160 to 239 are digits of 16 bytes: first and second, third and fourth
    let (low, high) = (double_word(&block.fives, 4), double_word(&block.fives, 5));
    let twice = v.bytes_from_u64([low, high, low, high]);
    let sixth = times_3_where(v, twice, [0, 0, u64::MAX, u64::MAX]);
    let seventh = times_3(v, times_3(v, sixth));
    // the fifth, and four digits of the last four bytes
    let last = u32::from_le_bytes(block.fours);
    let last = v.bytes_from_u32([0, 0, 0, 0, last, last, last, last]);
    let eighth = v.or(v.and(seventh, v.bytes_from_u64([u64::MAX, u64::MAX, 0, 0])), last);
    const SECOND: u64 = 0xffff_ffff << 32;
    let eighth = times_3_where(v, eighth, [0, 0, SECOND, SECOND]);
    let eighth = times_3_where(v, eighth, [u64::MAX, u64::MAX, 0, u64::MAX]);
    let eighth = times_3_where(v, eighth, [u64::MAX, u64::MAX, 0, u64::MAX]);
    let fractions = [first, second, third, fourth, times_3(v, fourth), sixth, seventh, eighth];
    eight_of(
        #[inline(always)]
        |group| digit(v, fractions[group]),
    )
}

/// Multiplies by 3, which moves the next digit out of the byte.
#[inline(always)]
fn times_3<V: Simd>(v: V, bytes: V::Bytes) -> V::Bytes {
    v.add_bytes(v.twice(bytes), bytes)
}

/// The bytes multiplied by 3 where `mask` is not 0.
#[inline(always)]
fn times_3_where<V: Simd>(v: V, bytes: V::Bytes, mask: [u64; 4]) -> V::Bytes {
    v.add_bytes(bytes, v.and(v.twice(bytes), v.bytes_from_u64(mask)))
}

/// The digit that the next multiplication by 3 would move out, in the upper two bits: three
/// quarters of a byte reach 64 from 86 on and 128 from 171 on. Averages round up, so 1 is
/// subtracted first.
#[inline(always)]
fn digit<V: Simd>(v: V, fractions: V::Bytes) -> V::Bytes {
    let lowered = v.sub_to_zero(fractions, v.splat_byte(1));
    v.average(lowered, v.average(lowered, v.splat_byte(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, WithSimd};

    struct AllDigits;

    impl WithSimd for AllDigits {
        type Output = ();

        fn run<V: Simd>(self, v: V) {
            for byte in 0..=255_u8 {
                let digit = v.and(v.shift_right(digit(v, v.splat_byte(byte)), 6), v.splat_byte(3));
                let expected = (u16::from(byte) * 3 / 256) as f32;
                let mut out = [0.0; 16];
                v.store(v.floats(digit)[1], &mut out);
                assert_eq!(out, [expected; 16], "{byte} {v:?}");
            }
        }
    }

    #[test]
    fn a_digit_is_what_a_multiplication_by_3_moves_out() {
        for isa in Isa::available() {
            isa.with_simd(AllDigits);
        }
    }
}
