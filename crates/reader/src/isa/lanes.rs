//! The operations on sixteen rows of weights side by side.

use super::simd::Simd;

/// Operations on sixteen lanes of 32 bits, each of which belongs to another row of weights. The activations are the same
/// for all of them.
///
/// Weights that are multiplied as bytes are *values*: signed bytes, raised by 128 where
/// [all bytes are multiplied unsigned](Simd::ALL_UNSIGNED).
pub(crate) trait Lanes: Simd {
    /// 16 times 32 bits: numbers, two words or four bytes each.
    type Wide: Copy;

    /// Part `part` of sixteen rows turned around: lane `row` of vector `i` is number `i` of the row.
    fn turn<const PARTS: usize>(
        self,
        rows: &[[[u8; 64]; PARTS]; 16],
        part: usize,
        out: &mut [[u8; 64]; 16],
    );
    /// Sixteen lanes from memory, each lowest byte first.
    fn load_lanes(self, bytes: &[u8; 64]) -> Self::Wide;
    /// Sixteen signed bytes as lanes.
    fn lanes_from_bytes(self, bytes: &[i8; 16]) -> Self::Wide;
    /// Sixteen pairs of signed bytes as lanes of two words.
    fn words_from_bytes(self, bytes: &[[i8; 2]; 16]) -> Self::Wide;
    /// Write sixteen lanes to memory, each lowest byte first.
    fn store_lanes(self, lanes: Self::Wide, out: &mut [u8; 64]);
    /// The bits of each lane moved down by so many places, less than 32; the lowest come in at the top. Bits that move
    /// to another byte are not to be used.
    fn rotate_lanes(self, lanes: Self::Wide, bits: u32) -> Self::Wide;
    /// The bits of each byte that are set in `mask`.
    fn mask_lanes(self, lanes: Self::Wide, mask: u8) -> Self::Wide;
    /// The first entry of a table of numbers added to each byte.
    fn add_base(self, lanes: Self::Wide, table: Self::Wide) -> Self::Wide;
    /// Signed numbers divided by a power of two.
    fn shift_lanes(self, lanes: Self::Wide, bits: u32) -> Self::Wide;
    /// Sums of lanes.
    fn add_lanes(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// The entry of a table for the lowest four bits of each byte; the table has the same sixteen entries four times.
    fn look_up_lanes(self, table: Self::Wide, indices: Self::Wide) -> Self::Wide;
    /// The entry of a table of consecutive numbers for the lowest four bits of `low` with bits 4 and 5 of `high`.
    fn look_up_sixes(self, table: Self::Wide, low: Self::Wide, high: Self::Wide) -> Self::Wide;
    /// The entry of a table of consecutive numbers, the first of which is a multiple of 16, for the lowest four bits
    /// of each byte with a fifth bit of `bits`.
    fn look_up_fives(self, table: Self::Wide, low: Self::Wide, bits: u64) -> Self::Wide;
    /// The same number in all lanes.
    fn splat_lanes(self, number: i32) -> Self::Wide;
    /// `sum` plus the products of each lane's four values, as they are, with the four signed bytes of `signed`, which
    /// are above -128.
    fn dot_values(self, sum: Self::Wide, values: Self::Wide, signed: u32) -> Self::Wide;
    /// `sum` plus the products of each lane's four unsigned bytes with the four signed bytes of `signed`: all bytes where
    /// [they are multiplied](Simd::ALL_UNSIGNED), otherwise only those below 64.
    fn dot_codes(self, sum: Self::Wide, codes: Self::Wide, signed: u32) -> Self::Wide;
    /// `sum` plus the products of each lane's two words with the two words of `pair`.
    fn dot_words(self, sum: Self::Wide, words: Self::Wide, pair: u32) -> Self::Wide;
    /// `sum` plus the products of lanes.
    fn multiply_add_lanes(self, sum: Self::Wide, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// As [`multiply_add_lanes`](Self::multiply_add_lanes), for lanes that fit into words and of which those of `b` have no
    /// signs.
    fn multiply_add_words(self, sum: Self::Wide, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// Write 32 bytes to memory.
    fn store_bytes(self, bytes: Self::Bytes, out: &mut [u8; 32]);
    /// Write sixteen words to the first half of `out`.
    fn store_words(self, words: Self::Words, out: &mut [u8; 64]);
    /// Write eight floats to memory.
    fn store_sums(self, values: Self::Sums, out: &mut [f32; 8]);
    /// Write sixteen floats to memory, each lowest byte first.
    fn store_as_bytes(self, values: Self::Floats, out: &mut [u8; 64]);
    /// Integers as floats, rounded.
    fn floats_from_lanes(self, lanes: Self::Wide) -> Self::Floats;
}

/// Something to do with lanes, for [`Isa::with_lanes`](super::Isa::with_lanes).
pub(crate) trait WithLanes {
    /// Do it. Mark it `#[inline(always)]`, otherwise it is compiled for the plain target.
    fn run<V: Lanes>(self, v: V);
}
