//! Blocks of every type: every instruction set decodes to the same bits, and a block without a
//! defect to numbers.

use granule_format::BlockType;
use granule_reader::decode_blocks;
use granule_reader::isa::Isa;

use crate::parts::number;

pub(super) fn run(input: &[u8]) {
    let ([choice], input) = number(input);
    let ty = BlockType::ALL[usize::from(choice) % BlockType::ALL.len()];
    // exactly as many bytes, so that a sanitizer sees a read beyond them
    let whole = input[..input.len() / ty.block_bytes() * ty.block_bytes()].to_vec();
    let whole = &whole[..];
    let mut expected = vec![0.0_f32; whole.len() / ty.block_bytes() * ty.block_values()];
    ty.decode_row(whole, &mut expected);
    match ty.first_defect(whole) {
        // scales of finite blocks may still multiply to infinity
        None => assert!(!expected.iter().any(|value| value.is_nan()), "{ty}: NaN without a defect"),
        Some((block, _)) => assert!(block < whole.len() / ty.block_bytes()),
    }
    for isa in Isa::available() {
        let mut found = vec![0.0; expected.len()];
        decode_blocks(isa, ty, whole, &mut found);
        for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
            let same = expected.to_bits() == found.to_bits();
            assert!(
                same || expected.is_nan() && found.is_nan(),
                "{ty} {isa} value {i}: {expected} {found}"
            );
        }
    }
    // the other byte order and back
    let mut swapped = whole.to_vec();
    ty.swap_bytes(&mut swapped);
    ty.swap_bytes(&mut swapped);
    assert_eq!(swapped, whole);
}
