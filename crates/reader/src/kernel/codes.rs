//! Helpers that several types share for unpacking codes and scales.

use granule_format::block::codebook::iq1;

use crate::isa::Simd;

/// How the unpacked bytes of codes stand for values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeRange {
    /// The codes are the values, 0 to 127.
    Unsigned,
    /// The codes are the values, with a sign.
    Signed,
    /// The codes are the values plus this number, 0 to 127: dot products subtract it at the end.
    Raised(u8),
}

impl CodeRange {
    /// Converts the bytes to signed values.
    #[inline(always)]
    pub(crate) fn values<V: Simd>(self, v: V, codes: V::Bytes) -> V::Bytes {
        match self {
            Self::Raised(by) => v.sub_bytes(codes, v.splat_byte(by)),
            _ => codes,
        }
    }
}

/// The table of a `const` function for every byte.
macro_rules! every_byte {
    ($function:path) => {{
        let mut table = [0.0; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = $function(byte as u8);
            byte += 1;
        }
        table
    }};
}
pub(super) use every_byte;

/// Calls `f` with 0 to 7, unrolled so that what depends on the number is constant.
#[inline(always)]
pub(crate) fn eight(mut f: impl FnMut(usize)) {
    f(0);
    f(1);
    f(2);
    f(3);
    f(4);
    f(5);
    f(6);
    f(7);
}

/// Calls `f` with 0 to 15, unrolled likewise.
#[inline(always)]
pub(crate) fn sixteen(mut f: impl FnMut(usize)) {
    f(0);
    f(1);
    f(2);
    f(3);
    f(4);
    f(5);
    f(6);
    f(7);
    f(8);
    f(9);
    f(10);
    f(11);
    f(12);
    f(13);
    f(14);
    f(15);
}

/// The results of `f` for 0 to 3. Always inlined, unlike `array::map`.
#[inline(always)]
pub(crate) fn four<T>(f: impl Fn(usize) -> T) -> [T; 4] {
    [f(0), f(1), f(2), f(3)]
}

/// The results of `f` for 0 to 7.
#[inline(always)]
pub(crate) fn eight_of<T>(f: impl Fn(usize) -> T) -> [T; 8] {
    [f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)]
}

/// Moves bit `from` of every byte to bit `to`, and keeps the bits of `mask`.
#[inline(always)]
pub(crate) fn bits<V: Simd>(v: V, bytes: V::Bytes, from: usize, to: usize, mask: u8) -> V::Bytes {
    let moved = if from > to {
        v.shift_right(bytes, (from - to) as u32)
    } else if from < to {
        v.shift_left(bytes, (to - from) as u32)
    } else {
        bytes
    };
    v.and(moved, v.splat_byte(mask))
}

/// The low nibbles of two times 16 bytes, then the high nibbles.
#[inline(always)]
pub(crate) fn nibbles_of_two<V: Simd>(v: V, first: &[u8; 16], second: &[u8; 16]) -> [V::Bytes; 2] {
    let bytes = v.load_two(first, second);
    [v.and(bytes, v.splat_byte(15)), v.and(v.shift_right(bytes, 4), v.splat_byte(15))]
}

/// The entries of a table for the low nibbles of two times 16 bytes, then for the high nibbles.
#[inline(always)]
pub(crate) fn lookup_nibbles_of_two<V: Simd>(
    v: V,
    table: &[i8; 16],
    first: &[u8; 16],
    second: &[u8; 16],
) -> [V::Bytes; 2] {
    let bytes = v.load_two(first, second);
    [v.lookup_low(table, bytes), v.lookup_low(table, v.shift_right(bytes, 4))]
}

/// The `N` values from `N * index` on.
#[inline(always)]
pub(crate) fn nth_chunk<T, const N: usize>(values: &[T], index: usize) -> &[T; N] {
    &values.as_chunks().0[index]
}

/// Four bytes from `4 * index` on as a little-endian number.
#[inline(always)]
pub(crate) fn word(bytes: &[u8], index: usize) -> u32 {
    u32::from_le_bytes(*nth_chunk(bytes, index))
}

/// Eight bytes from `8 * index` on as a little-endian number.
#[inline(always)]
pub(crate) fn double_word(bytes: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(*nth_chunk(bytes, index))
}

/// Spreads eight nibbles to the bytes of a number, the lowest first.
#[inline(always)]
pub(crate) fn spread_nibbles(nibbles: u32) -> u64 {
    let mut bytes = u64::from(nibbles);
    bytes = (bytes | bytes << 16) & 0x0000_ffff_0000_ffff;
    bytes = (bytes | bytes << 8) & 0x00ff_00ff_00ff_00ff;
    (bytes | bytes << 4) & 0x0f0f_0f0f_0f0f_0f0f
}

/// Spreads eight pairs of bits to the bytes of a number, the lowest first.
#[inline(always)]
pub(crate) fn spread_pairs(pairs: u16) -> u64 {
    let bytes = spread_nibbles_of_16(u64::from(pairs));
    (bytes | bytes << 6) & 0x0303_0303_0303_0303
}

/// Spreads four nibbles to every second byte of a number, the lowest first.
#[inline(always)]
fn spread_nibbles_of_16(nibbles: u64) -> u64 {
    let bytes = (nibbles | nibbles << 24) & 0x0000_00ff_0000_00ff;
    (bytes | bytes << 12) & 0x000f_000f_000f_000f
}

/// Subtracts 32 from each byte of a number; bytes are 0 to 63.
#[inline(always)]
pub(crate) fn lower_by_32(bytes: u64) -> u64 {
    // no byte borrows from the next while its top bit is set
    ((bytes | 0x8080_8080_8080_8080) - 0x2020_2020_2020_2020) ^ 0x8080_8080_8080_8080
}

/// The eight sub-scales and the eight sub-minimums of Q4_K and Q5_K, a byte each.
#[inline(always)]
pub(crate) fn scales_and_mins(bytes: &[u8; 12]) -> (u64, u64) {
    let (scales, mins, both) = (word(bytes, 0), word(bytes, 1), word(bytes, 2));
    let high_scales = both & 0x0f0f_0f0f | scales >> 2 & 0x3030_3030;
    let high_mins = both >> 4 & 0x0f0f_0f0f | mins >> 2 & 0x3030_3030;
    (
        u64::from(scales & 0x3f3f_3f3f) | u64::from(high_scales) << 32,
        u64::from(mins & 0x3f3f_3f3f) | u64::from(high_mins) << 32,
    )
}

/// Four entries of IQ1's codebook, times 8: so they stay integers when an eighth is added.
#[inline(always)]
pub(crate) fn eightfold<V: Simd>(v: V, indices: [usize; 4]) -> V::Bytes {
    v.bytes_from_u64(four(
        #[inline(always)]
        |i| EIGHTFOLD[indices[i] & 2047],
    ))
}

/// The codebook of IQ1_S and IQ1_M, times 8.
static EIGHTFOLD: [u64; 2048] = {
    let mut entries = [0; 2048];
    let mut index = 0;
    while index < 2048 {
        let mut bytes = [0; 8];
        let mut i = 0;
        while i < 8 {
            bytes[i] = (8 * iq1::GRID[index][i]).cast_unsigned();
            i += 1;
        }
        entries[index] = u64::from_le_bytes(bytes);
        index += 1;
    }
    entries
};
