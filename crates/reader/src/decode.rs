//! Decoding rows for one instruction set.

use granule_format::block::blocks_of;
use granule_format::{Block, BlockType, with_block};

use crate::isa::Isa;

/// Decode whole blocks: the values of [`Block::decode`], to the bit, compiled for `isa`.
///
/// # Panics
/// If `row` is not whole blocks, or `out` does not have exactly their number of values.
pub fn decode(isa: Isa, ty: BlockType, row: &[u8], out: &mut [f32]) {
    with_block!(ty, B => {
        let blocks = blocks_of::<B>(row);
        assert_eq!(out.len(), blocks.len() * B::LEN, "values for {} {ty} blocks", blocks.len());
        isa.run(
            #[inline(always)]
            || {
                for (block, out) in blocks.iter().zip(out.chunks_exact_mut(B::LEN)) {
                    block.decode(out);
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random bits, so that every code and every kind of scale is met; NaN may have any payload.
    #[test]
    fn every_instruction_set_gives_the_bits_of_the_definition() {
        for ty in BlockType::ALL.iter().copied() {
            let hash = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
            let row: Vec<u8> = (0..67 * ty.block_bytes()).map(|i| hash(i + 1) as u8).collect();
            let mut expected = vec![0.0; 67 * ty.block_values()];
            ty.decode_row(&row, &mut expected);
            for isa in Isa::available() {
                let mut found = vec![0.0; expected.len()];
                decode(isa, ty, &row, &mut found);
                for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
                    let same = expected.to_bits() == found.to_bits();
                    assert!(same || expected.is_nan() && found.is_nan(), "{ty} {isa} value {i}");
                }
            }
        }
    }
}
