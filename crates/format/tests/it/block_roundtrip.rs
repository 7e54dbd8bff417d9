//! What holds for every block type on any bytes.

use granule_format::block::blocks_of;
use granule_format::{Block, BlockType, with_block};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Bytes of several blocks, taken from one random pool by each type.
const POOL: usize = 1 << 10;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packing_what_was_unpacked_gives_the_same_block(pool in random_bytes()) {
        for &ty in BlockType::ALL {
            with_block!(ty, B => for block in blocks_of::<B>(whole_blocks(ty, &pool)) {
                let again = B::pack(&block.unpack());
                prop_assert_eq!(again.as_bytes(), block.as_bytes(), "{}", ty);
            });
        }
    }

    #[test]
    fn decoding_and_judging_never_panic(pool in random_bytes()) {
        for &ty in BlockType::ALL {
            let row = whole_blocks(ty, &pool);
            let mut values = vec![0.0; row.len() / ty.block_bytes() * ty.block_values()];
            ty.decode_row(row, &mut values);
            if let Some((block, _)) = ty.first_defect(row) {
                prop_assert!(block < row.len() / ty.block_bytes(), "{}", ty);
            }
        }
    }

    #[test]
    fn swapping_bytes_twice_changes_nothing(pool in random_bytes()) {
        for &ty in BlockType::ALL {
            let row = whole_blocks(ty, &pool);
            let mut swapped = row.to_vec();
            ty.swap_bytes(&mut swapped);
            ty.swap_bytes(&mut swapped);
            prop_assert_eq!(&swapped[..], row, "{}", ty);
        }
    }
}

#[test]
fn names_ids_and_sizes_agree() {
    for &ty in BlockType::ALL {
        assert_eq!(BlockType::from_id(ty as u32), Some(ty));
        assert_eq!(ty.row_bytes(3 * ty.block_values() as u64), Some(3 * ty.block_bytes() as u64));
        if ty.block_values() > 1 {
            assert_eq!(ty.row_bytes(ty.block_values() as u64 + 1), None);
        }
    }
    assert!(BlockType::ALL.windows(2).all(|pair| (pair[0] as u32) < pair[1] as u32));
}

/// Uniform bytes, and bytes from few values: zeros, ones, the ends of every field.
fn random_bytes() -> impl Strategy<Value = Vec<u8>> {
    let extremes = prop::sample::select(vec![0x00, 0x01, 0x3c, 0x7c, 0x7f, 0x80, 0xfc, 0xff]);
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), POOL),
        1 => prop::collection::vec(extremes, POOL),
    ]
}

fn whole_blocks(ty: BlockType, pool: &[u8]) -> &[u8] {
    &pool[..POOL - POOL % ty.block_bytes()]
}
