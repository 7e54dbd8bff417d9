//! TQ1_0: digits of base 3, five a byte, around 1.

use granule_format::block::types::TQ1_0;

use super::codes::{Codes, double_word, part};
use super::super_block::{self, Scales, SuperBlock};
use crate::isa::Vectors;

super_block::kernel!(super_block, TQ1_0);

impl SuperBlock for TQ1_0 {
    const FINE: bool = false;
    const CODES: Codes = Codes::Raised(1);

    #[inline(always)]
    fn scales<V: Vectors>(&self, v: V) -> Scales {
        Scales {
            scale: v.half(self.scale),
            sub_scales: [0x0101_0101_0101_0101, 0],
            min: 0.0,
            sub_mins: [0; 2],
        }
    }

    #[inline(always)]
    fn codes<V: Vectors>(&self, v: V, group: usize) -> V::Bytes {
        let fraction = match group {
            0..5 => times_3(v, v.load(part(&self.fives, 0)), group),
            5 => once_more_above(v, last_fives(v, &self.fives)),
            6 => once_more_above(v, times_3(v, last_fives(v, &self.fives), 2)),
            _ => {
                let below = v.bytes_from_u64([u64::MAX, u64::MAX, 0, 0]);
                let fives = v.and(times_3(v, last_fives(v, &self.fives), 4), below);
                let [a, b, c, d] = [1, 3, 9, 27].map(|factor: u8| {
                    u32::from_le_bytes(self.fours.map(|byte| byte.wrapping_mul(factor)))
                });
                v.or(fives, v.bytes_from_u32([0, 0, 0, 0, a, b, c, d]))
            }
        };
        // the digit that the next multiplication by 3 would move out: at least 1/3, at least 2/3
        let (third, two_thirds) = (v.at_least(fraction, 86), v.at_least(fraction, 171));
        v.sub_bytes(v.splat_byte(0), v.add_bytes(third, two_thirds))
    }
}

/// The 16 bytes of values 160 to 239, in both halves.
#[inline(always)]
fn last_fives<V: Vectors>(v: V, fives: &[u8; 48]) -> V::Bytes {
    let (low, high) = (double_word(fives, 4), double_word(fives, 5));
    v.bytes_from_u64([low, high, low, high])
}

/// Multiplying by 3 moves a digit out above the byte.
#[inline(always)]
fn times_3<V: Vectors>(v: V, mut bytes: V::Bytes, times: usize) -> V::Bytes {
    for _ in 0..times {
        bytes = v.add_bytes(v.add_bytes(bytes, bytes), bytes);
    }
    bytes
}

/// The upper half multiplied by 3.
#[inline(always)]
fn once_more_above<V: Vectors>(v: V, bytes: V::Bytes) -> V::Bytes {
    let above = v.bytes_from_u64([0, 0, u64::MAX, u64::MAX]);
    v.add_bytes(bytes, v.and(v.add_bytes(bytes, bytes), above))
}
