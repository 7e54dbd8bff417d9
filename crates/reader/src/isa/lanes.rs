//! Vector operations on sixteen rows of weights side by side.

use super::simd::Simd;

/// Operations on sixteen lanes of 32 bits. Each lane belongs to one row of weights; the activations
/// are the same for all.
///
/// *Values* are signed bytes, raised by 128 where
/// [all bytes are multiplied unsigned](Simd::ALL_UNSIGNED).
pub(crate) trait Lanes: Simd {
    /// 16 times 32 bits: numbers, two words or four bytes each.
    type Wide: Copy;

    /// Transposes part `part` of sixteen rows: lane `row` of vector `i` is number `i` of the row.
    fn turn<const PARTS: usize>(
        self,
        rows: &[[[u8; 64]; PARTS]; 16],
        part: usize,
        out: &mut [[u8; 64]; 16],
    );
    /// Sixteen little-endian lanes from memory.
    fn load_lanes(self, bytes: &[u8; 64]) -> Self::Wide;
    /// Sixteen signed bytes as lanes.
    fn lanes_from_bytes(self, bytes: &[i8; 16]) -> Self::Wide;
    /// Writes sixteen lanes to memory in little-endian order.
    fn store_lanes(self, lanes: Self::Wide, out: &mut [u8; 64]);
    /// Rotates each lane right by `bits`, less than 32. Bits that move to another byte are
    /// undefined.
    fn rotate_lanes(self, lanes: Self::Wide, bits: u32) -> Self::Wide;
    /// Keeps the bits of each byte that are set in `mask`.
    fn mask_lanes(self, lanes: Self::Wide, mask: u8) -> Self::Wide;
    /// Adds the first entry of a table to each byte.
    fn add_base(self, lanes: Self::Wide, table: Self::Wide) -> Self::Wide;
    /// Shifts signed numbers right.
    fn shift_lanes(self, lanes: Self::Wide, bits: u32) -> Self::Wide;
    /// Sums of lanes.
    fn add_lanes(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// Looks up the lowest four bits of each byte in a table, which repeats sixteen entries four
    /// times.
    fn look_up_lanes(self, table: Self::Wide, indices: Self::Wide) -> Self::Wide;
    /// Looks up the lowest four bits of `low` with bits 4 and 5 of `high` in a table of consecutive
    /// numbers.
    fn look_up_sixes(self, table: Self::Wide, low: Self::Wide, high: Self::Wide) -> Self::Wide;
    /// Looks up the lowest four bits of each byte with a fifth bit from `bits` in a table of
    /// consecutive numbers, whose first is a multiple of 16.
    fn look_up_fives(self, table: Self::Wide, low: Self::Wide, bits: u64) -> Self::Wide;
    /// Broadcasts a number.
    fn splat_lanes(self, number: i32) -> Self::Wide;
    /// `sum` plus the products of each lane's four values with the four signed bytes of `signed`,
    /// which are above -128.
    fn dot_values(self, sum: Self::Wide, values: Self::Wide, signed: u32) -> Self::Wide;
    /// `sum` plus the products of each lane's four unsigned bytes with the four signed bytes of
    /// `signed`: any bytes with [`ALL_UNSIGNED`](Simd::ALL_UNSIGNED), otherwise bytes below 64.
    fn dot_codes(self, sum: Self::Wide, codes: Self::Wide, signed: u32) -> Self::Wide;
    /// `sum` plus the products of lanes.
    fn multiply_add_lanes(self, sum: Self::Wide, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// As [`multiply_add_lanes`](Self::multiply_add_lanes), for lanes that fit into words; those of
    /// `b` are not negative.
    fn multiply_add_words(self, sum: Self::Wide, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// Writes 32 bytes to memory.
    fn store_bytes(self, bytes: Self::Bytes, out: &mut [u8; 32]);
    /// Writes eight floats to memory.
    fn store_sums(self, values: Self::Sums, out: &mut [f32; 8]);
    /// Writes sixteen floats to memory in little-endian order.
    fn store_as_bytes(self, values: Self::Floats, out: &mut [u8; 64]);
    /// Integers as floats, rounded.
    fn floats_from_lanes(self, lanes: Self::Wide) -> Self::Floats;
    /// Floats with the bits of lanes.
    fn floats_of_bits(self, lanes: Self::Wide) -> Self::Floats;
}

/// Work that needs lanes, for [`Isa::with_lanes`](super::Isa::with_lanes).
pub(crate) trait WithLanes {
    /// Does the work. Mark it `#[inline(always)]`, otherwise it is compiled for the plain target.
    fn run<V: Lanes>(self, v: V);
}
