use std::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BlockType, Defect};

/// A block as it lies in a (little-endian) file.
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
    /// The row of the table of types that this block belongs to.
    const TYPE: BlockType;
    /// Values in a block.
    const LEN: usize;
    /// The same block as plain numbers.
    type Codes: Clone + fmt::Debug + PartialEq;

    /// The numbers that the block's bits stand for.
    fn unpack(&self) -> Self::Codes;

    /// The block for these numbers: `pack(unpack(b)) == b` for every block `b`.
    ///
    /// # Panics
    /// If a number does not fit its field.
    fn pack(codes: &Self::Codes) -> Self;

    /// Write the `LEN` values of the block to `out`. This scalar form is the definition: every
    /// faster one gives exactly these bits.
    ///
    /// # Panics
    /// If `out` does not hold exactly `LEN` values.
    fn decode(&self, out: &mut [f32]);

    /// What makes the block invalid, if anything: a scale that is not finite, an index outside its
    /// codebook.
    fn defect(&self) -> Option<Defect> {
        None
    }

    /// The same block for a file of the other byte order: every multi-byte field is reversed.
    fn swap_bytes(self) -> Self;
}

/// The blocks that these bytes are; no copy is made.
///
/// # Panics
/// If the bytes are not whole blocks.
pub fn blocks_of<B: Block>(row: &[u8]) -> &[B] {
    <[B]>::ref_from_bytes(row).expect("whole blocks")
}
