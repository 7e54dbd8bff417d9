//! The vector operations that kernels are written in.

use granule_format::block::codebook::signs::SIGNS;
use granule_format::num::F16;

use super::codebook::{Eights, Fours};

/// Vector operations of one instruction set. A value is proof that the CPU has it, so they are
/// safe.
///
/// The number of lanes is the same everywhere, whatever the size of registers: so a kernel is
/// written once, and its integer parts give the same numbers everywhere. Where a result depends on
/// the instruction set, the operation says so. Callers make sure that sums of integers fit their
/// lanes and that shifts are shorter than the lane.
pub(crate) trait Simd: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// Whether the operations are instructions of the CPU. If not, blocks are decoded by their
    /// definitions, which compile to better code than arrays in place of registers, and vectors are
    /// multiplied one at a time.
    const WIDE: bool;
    /// Whether 16 sums in [`Floats`](Self::Floats) fit into registers at a time, rather than 4.
    const MANY: bool = false;
    /// Whether [`dot_unsigned`](Self::dot_unsigned) accepts all bytes, not only those below 128,
    /// and is faster than [`dot_signed`](Self::dot_signed).
    const ALL_UNSIGNED: bool = false;
    /// 32 bytes.
    type Bytes: Copy;
    /// 16 numbers of 16 bits.
    type Words: Copy;
    /// 8 numbers of 32 bits.
    type Ints: Copy;
    /// 8 numbers in single precision: sums.
    type Sums: Copy;
    /// 16 numbers in single precision.
    type Floats: Copy;

    /// Prefetches the cache line `bytes` past `from`. A hint: it never faults and changes no
    /// result.
    #[inline(always)]
    fn prefetch<T>(self, _from: &[T], _bytes: usize) {}
    /// 32 bytes from memory.
    fn load(self, bytes: &[u8; 32]) -> Self::Bytes;
    /// 32 signed bytes from memory.
    fn load_signed(self, bytes: &[i8; 32]) -> Self::Bytes;
    /// Two times 16 bytes from memory.
    fn load_two(self, first: &[u8; 16], second: &[u8; 16]) -> Self::Bytes;
    /// The low nibbles of 16 bytes, then their high nibbles.
    fn nibbles(self, bytes: &[u8; 16]) -> Self::Bytes;
    /// Four times eight bytes, each in little-endian order.
    fn bytes_from_u64(self, parts: [u64; 4]) -> Self::Bytes;
    /// Eight times four bytes, each in little-endian order.
    fn bytes_from_u32(self, parts: [u32; 8]) -> Self::Bytes;
    /// Broadcasts a byte.
    fn splat_byte(self, byte: u8) -> Self::Bytes;
    /// Byte `i` is 255 if bit `i` is set, else 0.
    fn spread_bits(self, bits: u32) -> Self::Bytes;
    /// Bitwise and.
    fn and(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Bitwise or.
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Bitwise exclusive or.
    fn xor(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Sum of bytes, wrapping.
    fn add_bytes(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// The bytes times 2, wrapping.
    #[inline(always)]
    fn twice(self, a: Self::Bytes) -> Self::Bytes {
        self.add_bytes(a, a)
    }
    /// Difference of bytes, wrapping.
    fn sub_bytes(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Negates byte `i` if bit `i` is set.
    fn negate(self, a: Self::Bytes, signs: u32) -> Self::Bytes;
    /// Shifts pairs of bytes, as little-endian numbers of 16 bits, right.
    fn shift_right(self, a: Self::Bytes, bits: u32) -> Self::Bytes;
    /// Shifts pairs of bytes, as little-endian numbers of 16 bits, left.
    fn shift_left(self, a: Self::Bytes, bits: u32) -> Self::Bytes;
    /// Difference of unsigned bytes; 0 where it would be negative.
    fn sub_to_zero(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Averages of unsigned bytes, halves rounded up.
    fn average(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Entry `indices[i]` of a table, for indices below 16.
    fn lookup(self, table: &[i8; 16], indices: Self::Bytes) -> Self::Bytes;
    /// The entries of a table for the low nibbles of 16 bytes, then for their high nibbles.
    #[inline(always)]
    fn lookup_nibbles(self, table: &[i8; 16], bytes: &[u8; 16]) -> Self::Bytes {
        self.lookup(table, self.nibbles(bytes))
    }
    /// The entries of a table for the low nibbles of bytes.
    #[inline(always)]
    fn lookup_low(self, table: &[i8; 16], bytes: Self::Bytes) -> Self::Bytes {
        self.lookup(table, self.and(bytes, self.splat_byte(15)))
    }
    /// As [`lookup_nibbles`](Self::lookup_nibbles) for eight bytes, then for the other eight.
    #[inline(always)]
    fn lookup_nibbles_of_eights(self, table: &[i8; 16], bytes: &[u8; 16]) -> Self::Bytes {
        let [a, b] = [0, 1].map(|half| u64::from_le_bytes(bytes.as_chunks().0[half]));
        self.lookup(
            table,
            self.and(self.bytes_from_u64([a, a >> 4, b, b >> 4]), self.splat_byte(15)),
        )
    }

    /// Entries of a codebook for 32 groups of eight values. Each number in `indices` holds four.
    #[inline(always)]
    fn eights(self, book: &Eights<256>, indices: [u32; 8]) -> [Self::Bytes; 8] {
        four_each(self, |i| book.entry((indices[i / 4] >> (8 * (i % 4)) & 255) as usize))
    }
    /// As [`eights`](Self::eights), with the signs: each two bytes of `groups` are an index of 9
    /// bits and one of 7 bits for [`even_signs`](Self::even_signs).
    #[inline(always)]
    fn eights_with_signs(
        self,
        book: &Eights<512>,
        groups: &[u8; 64],
    ) -> ([Self::Bytes; 8], [u32; 8]) {
        let groups = groups.as_chunks::<2>().0;
        let entry = |i: usize| book.entry(usize::from(u16::from_le_bytes(groups[i])));
        let values = four_each(self, entry);
        let mut signs = [0; 8];
        for (signs, groups) in signs.iter_mut().zip(groups.as_chunks::<4>().0) {
            for (i, group) in groups.iter().enumerate() {
                *signs |= u32::from(SIGNS[usize::from(group[1] >> 1)]) << (8 * i);
            }
        }
        (values, signs)
    }
    /// Entries of a codebook for 64 groups of four values; `high` holds the ninth bit of each
    /// index.
    #[inline(always)]
    fn fours<const ENTRIES: usize>(
        self,
        book: &Fours<ENTRIES>,
        low: &[u8; 64],
        high: u64,
    ) -> [Self::Bytes; 8] {
        let entry = |i: usize| book.entry(usize::from(low[i]) | ((high >> i & 1) as usize) << 8);
        let eight = |i: usize| {
            self.bytes_from_u32([
                entry(8 * i),
                entry(8 * i + 1),
                entry(8 * i + 2),
                entry(8 * i + 3),
                entry(8 * i + 4),
                entry(8 * i + 5),
                entry(8 * i + 6),
                entry(8 * i + 7),
            ])
        };
        [eight(0), eight(1), eight(2), eight(3), eight(4), eight(5), eight(6), eight(7)]
    }
    /// The signs of 32 values from four indices of 7 bits: each is seven signs, and the eighth
    /// makes the number of negative values even.
    #[inline(always)]
    fn even_signs(self, indices: [u32; 8]) -> [u32; 8] {
        let mut out = [0; 8];
        for (out, indices) in out.iter_mut().zip(indices) {
            for i in 0..4 {
                *out |= u32::from(SIGNS[(indices >> (7 * i) & 127) as usize]) << (8 * i);
            }
        }
        out
    }

    /// Sixteen signed bytes, widened.
    fn words(self, bytes: [u64; 2]) -> Self::Words;
    /// Eight signed bytes, widened, each twice: lanes 0 and 1, 2 and 3, ...
    fn words_doubled(self, bytes: u64) -> Self::Words;
    /// Sixteen signed bytes, widened: even indices in the lower eight lanes, odd ones in the upper.
    fn words_split(self, bytes: [u64; 2]) -> Self::Words;
    /// Sixteen words from memory.
    fn load_words(self, words: &[i16; 16]) -> Self::Words;
    /// Broadcasts word `index` (below 8) of each half within that half.
    fn pick(self, words: Self::Words, index: usize) -> Self::Words;
    /// Broadcasts the words `2 * index` and `2 * index + 1` (`index` below 8).
    fn pick_pair(self, words: Self::Words, index: usize) -> Self::Words;
    /// The words times a factor, wrapping.
    fn multiply_words(self, words: Self::Words, factor: i16) -> Self::Words;
    /// Products of bytes below 128 with signed bytes above -128, neighbours added.
    fn multiply_unsigned(self, unsigned: Self::Bytes, signed: Self::Bytes) -> Self::Words;
    /// Products of signed bytes, those of `b` above -128, neighbours added.
    fn multiply_signed(self, a: Self::Bytes, b: Self::Bytes) -> Self::Words;

    /// All zero.
    fn zero_ints(self) -> Self::Ints;
    /// Sum of integers.
    fn add_ints(self, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    /// `sum` plus the products of words, neighbours added.
    fn multiply_add(self, sum: Self::Ints, a: Self::Words, b: Self::Words) -> Self::Ints;
    /// The products of bytes below 128 with signed bytes above -128, each four neighbours added.
    fn dot_unsigned(self, unsigned: Self::Bytes, signed: Self::Bytes) -> Self::Ints;
    /// `sum` plus the products of bytes below 128 with signed bytes above -128, each four
    /// neighbours added.
    #[inline(always)]
    fn add_dot_unsigned(
        self,
        sum: Self::Ints,
        unsigned: Self::Bytes,
        signed: Self::Bytes,
    ) -> Self::Ints {
        self.add_ints(sum, self.dot_unsigned(unsigned, signed))
    }
    /// Eight signed bytes, widened.
    fn ints(self, bytes: u64) -> Self::Ints;
    /// `sum` plus the integers times number `index` (below 8) of `factors`.
    fn add_multiplied(
        self,
        sum: Self::Ints,
        ints: Self::Ints,
        factors: Self::Ints,
        index: usize,
    ) -> Self::Ints;
    /// The products of signed bytes, those of `b` above -128, each four neighbours added.
    fn dot_signed(self, a: Self::Bytes, b: Self::Bytes) -> Self::Ints;

    /// All zero.
    fn zero_sums(self) -> Self::Sums;
    /// `sums + ints * scale`, rounded once or twice.
    fn accumulate(self, sums: Self::Sums, ints: Self::Ints, scale: f32) -> Self::Sums;
    /// As [`accumulate`](Self::accumulate), with a scale for each half of the lanes.
    fn accumulate_halves(self, sums: Self::Sums, ints: Self::Ints, scales: [f32; 2]) -> Self::Sums;
    /// The sum of all lanes, in any order.
    fn total(self, sums: Self::Sums) -> f32;
    /// Lane `i` is the sum of all lanes of vector `i`.
    fn total_each(self, ints: [Self::Ints; 8]) -> Self::Ints;
    /// Lanes `2 * i` and `2 * i + 1` are the sums of the lower and the upper half of vector `i`.
    fn total_halves(self, ints: [Self::Ints; 4]) -> Self::Ints;
    /// `sum` plus the numbers times a factor.
    fn add_words_times(self, sum: Self::Ints, words: &[i16; 8], factor: i32) -> Self::Ints;
    /// Integers as floats, rounded.
    fn sums_from_ints(self, ints: Self::Ints) -> Self::Sums;
    /// Eight half-precision numbers, widened.
    fn sums_from_halves(self, numbers: [F16; 8]) -> Self::Sums;
    /// Eight half-precision numbers, widened. Their bits are those of the bytes shifted left by 7.
    fn sums_from_upper_bits(self, bytes: u64) -> Self::Sums;
    /// Four floats from memory, each twice.
    fn load_sums_twice(self, values: &[f32; 4]) -> Self::Sums;
    /// Eight floats from memory.
    fn load_sums(self, values: &[f32; 8]) -> Self::Sums;
    /// Product, rounded.
    fn multiply_sums(self, a: Self::Sums, b: Self::Sums) -> Self::Sums;
    /// `sum + a * b`, rounded once or twice.
    fn multiply_add_sums(self, sum: Self::Sums, a: Self::Sums, b: Self::Sums) -> Self::Sums;

    /// A half-precision number, widened.
    fn half(self, number: F16) -> f32;
    /// Sixteen half-precision numbers, widened.
    fn halves(self, bytes: &[u8; 32]) -> Self::Floats;
    /// Sixteen little-endian floats.
    fn floats_from_bytes(self, bytes: &[u8; 64]) -> Self::Floats;
    /// Sixteen numbers in BF16, widened.
    fn brain_floats(self, bytes: &[u8; 32]) -> Self::Floats;
    /// 32 signed bytes as floats.
    fn floats(self, bytes: Self::Bytes) -> [Self::Floats; 2];
    /// Sixteen signed bytes as floats.
    fn floats_from_u64(self, bytes: [u64; 2]) -> Self::Floats;
    /// Broadcasts a number.
    fn splat(self, value: f32) -> Self::Floats;
    /// Sixteen floats from memory.
    fn load_floats(self, values: &[f32; 16]) -> Self::Floats;
    /// Writes sixteen floats to memory.
    fn store(self, values: Self::Floats, out: &mut [f32; 16]);
    /// Sum, rounded.
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// Difference, rounded.
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// Product, rounded.
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `sum + a * b`, rounded once or twice.
    fn multiply_add_floats(
        self,
        sum: Self::Floats,
        a: Self::Floats,
        b: Self::Floats,
    ) -> Self::Floats;
    /// `sum + a * b`, rounded once. The default is for instruction sets whose
    /// [`multiply_add_floats`](Self::multiply_add_floats) rounds once.
    #[inline(always)]
    fn fused_multiply_add(
        self,
        sum: Self::Floats,
        a: Self::Floats,
        b: Self::Floats,
    ) -> Self::Floats {
        self.multiply_add_floats(sum, a, b)
    }
    /// The sum of all lanes, in any order.
    fn total_floats(self, values: Self::Floats) -> f32;
}

/// Work that needs vector operations, for [`Isa::with_simd`](super::Isa::with_simd).
pub(crate) trait WithSimd {
    /// The result.
    type Output;

    /// Does the work. Mark it `#[inline(always)]`, otherwise it is compiled for the plain target.
    fn run<V: Simd>(self, v: V) -> Self::Output;
}

/// The 32 entries that `entry` returns, four in each vector.
#[inline(always)]
fn four_each<V: Simd>(v: V, entry: impl Fn(usize) -> u64) -> [V::Bytes; 8] {
    let four = |i: usize| v.bytes_from_u64([entry(i), entry(i + 1), entry(i + 2), entry(i + 3)]);
    [four(0), four(4), four(8), four(12), four(16), four(20), four(24), four(28)]
}
