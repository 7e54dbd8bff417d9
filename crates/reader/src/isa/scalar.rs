//! The operations on plain arrays, for every target. They are the definitions that other
//! instruction sets are tested against.

use granule_format::num::F16;

use super::simd::Simd;

/// Proof of nothing: plain code for the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar;

#[inline(always)]
fn zip<T: Copy, R, const N: usize>(a: [T; N], b: [T; N], f: impl Fn(T, T) -> R) -> [R; N] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
fn sixteen(bytes: [u64; 2]) -> [i16; 16] {
    std::array::from_fn(|i| i16::from((bytes[i / 8] >> (8 * (i % 8))) as u8 as i8))
}

#[inline(always)]
fn pairs(a: [u8; 32], f: impl Fn(u16) -> u16) -> [u8; 32] {
    let pairs: [u16; 16] = std::array::from_fn(|i| f(u16::from_le_bytes([a[2 * i], a[2 * i + 1]])));
    std::array::from_fn(|i| pairs[i / 2].to_le_bytes()[i % 2])
}

#[inline(always)]
fn sum<const N: usize>(values: [f32; N]) -> f32 {
    values.into_iter().sum()
}

impl Simd for Scalar {
    const WIDE: bool = false;
    type Bytes = [u8; 32];
    type Words = [i16; 16];
    type Ints = [i32; 8];
    type Sums = [f32; 8];
    type Floats = [f32; 16];

    #[inline(always)]
    fn load(self, bytes: &[u8; 32]) -> [u8; 32] {
        *bytes
    }

    #[inline(always)]
    fn load_signed(self, bytes: &[i8; 32]) -> [u8; 32] {
        bytes.map(i8::cast_unsigned)
    }

    #[inline(always)]
    fn load_two(self, first: &[u8; 16], second: &[u8; 16]) -> [u8; 32] {
        std::array::from_fn(|i| if i < 16 { first[i] } else { second[i - 16] })
    }

    #[inline(always)]
    fn nibbles(self, bytes: &[u8; 16]) -> [u8; 32] {
        std::array::from_fn(|i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 })
    }

    #[inline(always)]
    fn bytes_from_u64(self, parts: [u64; 4]) -> [u8; 32] {
        std::array::from_fn(|i| parts[i / 8].to_le_bytes()[i % 8])
    }

    #[inline(always)]
    fn bytes_from_u32(self, parts: [u32; 8]) -> [u8; 32] {
        std::array::from_fn(|i| parts[i / 4].to_le_bytes()[i % 4])
    }

    #[inline(always)]
    fn splat_byte(self, byte: u8) -> [u8; 32] {
        [byte; 32]
    }

    #[inline(always)]
    fn spread_bits(self, bits: u32) -> [u8; 32] {
        std::array::from_fn(|i| 0_u8.wrapping_sub((bits >> i & 1) as u8))
    }

    #[inline(always)]
    fn negate(self, a: Self::Bytes, signs: u32) -> Self::Bytes {
        let mask = self.spread_bits(signs);
        self.sub_bytes(self.xor(a, mask), mask)
    }

    #[inline(always)]
    fn and(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, |a, b| a & b)
    }

    #[inline(always)]
    fn or(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, |a, b| a | b)
    }

    #[inline(always)]
    fn xor(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, |a, b| a ^ b)
    }

    #[inline(always)]
    fn add_bytes(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, u8::wrapping_add)
    }

    #[inline(always)]
    fn sub_bytes(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, u8::wrapping_sub)
    }

    #[inline(always)]
    fn shift_right(self, a: [u8; 32], bits: u32) -> [u8; 32] {
        pairs(a, |pair| pair >> bits)
    }

    #[inline(always)]
    fn shift_left(self, a: [u8; 32], bits: u32) -> [u8; 32] {
        pairs(a, |pair| pair << bits)
    }

    #[inline(always)]
    fn sub_to_zero(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, u8::saturating_sub)
    }

    #[inline(always)]
    fn average(self, a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
        zip(a, b, |a, b| (u16::from(a) + u16::from(b)).div_ceil(2) as u8)
    }

    #[inline(always)]
    fn lookup(self, table: &[i8; 16], indices: [u8; 32]) -> [u8; 32] {
        indices.map(|index| table[usize::from(index & 15)].cast_unsigned())
    }

    #[inline(always)]
    fn words(self, bytes: [u64; 2]) -> [i16; 16] {
        sixteen(bytes)
    }

    #[inline(always)]
    fn words_doubled(self, bytes: u64) -> [i16; 16] {
        let words = sixteen([bytes, 0]);
        std::array::from_fn(|i| words[i / 2])
    }

    #[inline(always)]
    fn words_split(self, bytes: [u64; 2]) -> [i16; 16] {
        let words = sixteen(bytes);
        std::array::from_fn(|i| words[2 * (i % 8) + i / 8])
    }

    #[inline(always)]
    fn load_words(self, words: &[i16; 16]) -> [i16; 16] {
        *words
    }

    #[inline(always)]
    fn pick(self, words: [i16; 16], index: usize) -> [i16; 16] {
        std::array::from_fn(|i| words[i / 8 * 8 + index])
    }

    #[inline(always)]
    fn pick_pair(self, words: [i16; 16], index: usize) -> [i16; 16] {
        std::array::from_fn(|i| words[2 * index + i % 2])
    }

    #[inline(always)]
    fn multiply_words(self, words: [i16; 16], factor: i16) -> [i16; 16] {
        words.map(|word| word.wrapping_mul(factor))
    }

    #[inline(always)]
    fn multiply_unsigned(self, unsigned: [u8; 32], signed: [u8; 32]) -> [i16; 16] {
        let product = |i: usize| i16::from(unsigned[i]) * i16::from(signed[i].cast_signed());
        std::array::from_fn(|i| product(2 * i) + product(2 * i + 1))
    }

    #[inline(always)]
    fn multiply_signed(self, a: [u8; 32], b: [u8; 32]) -> [i16; 16] {
        let product = |i: usize| i16::from(a[i].cast_signed()) * i16::from(b[i].cast_signed());
        std::array::from_fn(|i| product(2 * i) + product(2 * i + 1))
    }

    #[inline(always)]
    fn zero_ints(self) -> [i32; 8] {
        [0; 8]
    }

    #[inline(always)]
    fn add_ints(self, a: [i32; 8], b: [i32; 8]) -> [i32; 8] {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn ints(self, bytes: u64) -> [i32; 8] {
        bytes.to_le_bytes().map(|byte| i32::from(byte.cast_signed()))
    }

    #[inline(always)]
    fn add_multiplied(
        self,
        sum: [i32; 8],
        ints: [i32; 8],
        factors: [i32; 8],
        index: usize,
    ) -> [i32; 8] {
        zip(sum, ints, |sum, int| sum + int * factors[index])
    }

    #[inline(always)]
    fn multiply_add(self, sum: [i32; 8], a: [i16; 16], b: [i16; 16]) -> [i32; 8] {
        let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
        std::array::from_fn(|i| sum[i] + product(2 * i) + product(2 * i + 1))
    }

    #[inline(always)]
    fn dot_unsigned(self, unsigned: [u8; 32], signed: [u8; 32]) -> [i32; 8] {
        self.multiply_add([0; 8], self.multiply_unsigned(unsigned, signed), [1; 16])
    }

    #[inline(always)]
    fn dot_signed(self, a: [u8; 32], b: [u8; 32]) -> [i32; 8] {
        self.multiply_add([0; 8], self.multiply_signed(a, b), [1; 16])
    }

    #[inline(always)]
    fn zero_sums(self) -> [f32; 8] {
        [0.0; 8]
    }

    #[inline(always)]
    fn accumulate(self, sums: [f32; 8], ints: [i32; 8], scale: f32) -> [f32; 8] {
        std::array::from_fn(|i| sums[i] + ints[i] as f32 * scale)
    }

    #[inline(always)]
    fn accumulate_halves(self, sums: [f32; 8], ints: [i32; 8], scales: [f32; 2]) -> [f32; 8] {
        std::array::from_fn(|i| sums[i] + ints[i] as f32 * scales[i / 4])
    }

    #[inline(always)]
    fn total(self, sums: [f32; 8]) -> f32 {
        sum(sums)
    }

    #[inline(always)]
    fn total_each(self, ints: [[i32; 8]; 8]) -> [i32; 8] {
        std::array::from_fn(|i| ints[i].iter().sum())
    }

    #[inline(always)]
    fn total_halves(self, ints: [[i32; 8]; 4]) -> [i32; 8] {
        std::array::from_fn(|i| ints[i / 2][4 * (i % 2)..][..4].iter().sum())
    }

    #[inline(always)]
    fn add_words_times(self, sum: [i32; 8], words: &[i16; 8], factor: i32) -> [i32; 8] {
        zip(sum, words.map(i32::from), |sum, word| sum + word * factor)
    }

    #[inline(always)]
    fn sums_from_upper_bits(self, bytes: u64) -> [f32; 8] {
        bytes.to_le_bytes().map(|byte| F16::from_bits(u16::from(byte) << 7).to_f32())
    }

    #[inline(always)]
    fn load_sums_twice(self, values: &[f32; 4]) -> [f32; 8] {
        std::array::from_fn(|i| values[i / 2])
    }

    #[inline(always)]
    fn sums_from_ints(self, ints: [i32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| ints[i] as f32)
    }

    #[inline(always)]
    fn sums_from_halves(self, numbers: [F16; 8]) -> [f32; 8] {
        std::array::from_fn(|i| numbers[i].to_f32())
    }

    #[inline(always)]
    fn load_sums(self, values: &[f32; 8]) -> [f32; 8] {
        *values
    }

    #[inline(always)]
    fn multiply_sums(self, a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn multiply_add_sums(self, sum: [f32; 8], a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| sum[i] + a[i] * b[i])
    }

    #[inline(always)]
    fn half(self, number: F16) -> f32 {
        number.to_f32()
    }

    #[inline(always)]
    fn halves(self, bytes: &[u8; 32]) -> [f32; 16] {
        std::array::from_fn(|i| {
            F16::from_bits(u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]])).to_f32()
        })
    }

    #[inline(always)]
    fn floats_from_bytes(self, bytes: &[u8; 64]) -> [f32; 16] {
        let bytes = bytes.as_chunks::<4>().0;
        std::array::from_fn(|i| f32::from_le_bytes(bytes[i]))
    }

    #[inline(always)]
    fn brain_floats(self, bytes: &[u8; 32]) -> [f32; 16] {
        std::array::from_fn(|i| f32::from_le_bytes([0, 0, bytes[2 * i], bytes[2 * i + 1]]))
    }

    #[inline(always)]
    fn floats(self, bytes: [u8; 32]) -> [[f32; 16]; 2] {
        let half =
            |half: usize| std::array::from_fn(|i| f32::from(bytes[16 * half + i].cast_signed()));
        [half(0), half(1)]
    }

    #[inline(always)]
    fn floats_from_u64(self, bytes: [u64; 2]) -> [f32; 16] {
        sixteen(bytes).map(f32::from)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 16] {
        [value; 16]
    }

    #[inline(always)]
    fn load_floats(self, values: &[f32; 16]) -> [f32; 16] {
        *values
    }

    #[inline(always)]
    fn store(self, values: [f32; 16], out: &mut [f32; 16]) {
        *out = values;
    }

    #[inline(always)]
    fn add(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn multiply_add_floats(self, sum: [f32; 16], a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|i| sum[i] + a[i] * b[i])
    }

    #[inline(always)]
    fn fused_multiply_add(self, sum: [f32; 16], a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        std::array::from_fn(|i| a[i].mul_add(b[i], sum[i]))
    }

    #[inline(always)]
    fn total_floats(self, values: [f32; 16]) -> f32 {
        sum(values)
    }
}
