use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BlockType, Defect};

/// A block as it is stored in a (little-endian) file.
pub trait Block:
    FromBytes
    + IntoBytes
    + Immutable
    + KnownLayout
    + Unaligned
    + Copy
    + fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// The type of the block.
    const TYPE: BlockType;
    /// Values in a block.
    const LEN: usize;
    /// The same block as plain numbers.
    type Codes: Clone + fmt::Debug + PartialEq;

    /// Returns the numbers that the bits of the block stand for.
    fn unpack(&self) -> Self::Codes;

    /// Returns the block for these numbers: `pack(unpack(b)) == b` for every block `b`.
    ///
    /// # Panics
    /// If a number does not fit its field.
    fn pack(codes: &Self::Codes) -> Self;

    /// Writes the `LEN` values of the block to `out`. This scalar form is the definition: every
    /// faster one produces exactly these bits.
    ///
    /// # Panics
    /// If `out` does not hold exactly `LEN` values.
    fn decode(&self, out: &mut [f32]);

    /// Returns what makes the block invalid, if anything: a scale that is not finite, an exponent
    /// that stands for NaN.
    fn defect(&self) -> Option<Defect> {
        None
    }

    /// Returns the same block in the other byte order: every multi-byte field is reversed.
    fn swap_bytes(self) -> Self;
}

/// Interprets bytes as blocks, without a copy.
///
/// # Panics
/// If the bytes are not whole blocks.
pub fn blocks_of<B: Block>(row: &[u8]) -> &[B] {
    <[B]>::ref_from_bytes(row).expect("whole blocks")
}
