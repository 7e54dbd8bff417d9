//! Decoding rows for one instruction set.

pub use crate::kernel::decode;

#[cfg(test)]
mod tests {
    use granule_format::BlockType;

    use super::*;
    use crate::isa::Isa;

    /// Random bits, so that every code and every kind of scale is met; NaN may have any payload.
    #[test]
    fn every_instruction_set_gives_the_bits_of_the_definition() {
        for ty in BlockType::ALL.iter().copied() {
            for blocks in [67, 1024 / ty.block_values().min(64)] {
                check(ty, blocks);
            }
        }
    }

    fn check(ty: BlockType, blocks: usize) {
        let hash = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        let row: Vec<u8> = (0..blocks * ty.block_bytes()).map(|i| hash(i + 1) as u8).collect();
        let mut expected = vec![0.0; blocks * ty.block_values()];
        ty.decode_row(&row, &mut expected);
        for isa in Isa::available() {
            let mut found = vec![0.0; expected.len()];
            decode(isa, ty, &row, &mut found);
            for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
                let same = expected.to_bits() == found.to_bits();
                assert!(
                    same || expected.is_nan() && found.is_nan(),
                    "{ty} {isa} value {i}: {expected} {found}"
                );
            }
        }
    }
}
