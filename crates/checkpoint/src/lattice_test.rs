use proptest::prelude::*;

use super::*;

/// Writes the values as the first candidate that holds them, and checks that they come back.
fn smallest(values: &[f32]) -> Option<BlockType> {
    let ty = candidates(values.len() as u64).find(|ty| first_beyond(*ty, values).is_none())?;
    let mut bytes = vec![0; ty.row_bytes(values.len() as u64)? as usize];
    assert_eq!(write(ty, values, &mut bytes), Ok(()), "{ty}");
    let mut decoded = vec![0.0; values.len()];
    ty.decode_row(&bytes, &mut decoded);
    assert_eq!(decoded, values);
    Some(ty)
}

fn row(length: usize, value: impl Fn(usize) -> f32) -> Vec<f32> {
    (0..length).map(value).collect()
}

#[test]
fn types_are_found_by_values() {
    let scale = half::f16::from_bits(0x2255).to_f32();
    let level = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let cases: &[(Vec<f32>, Option<BlockType>)] = &[
        (row(128, |i| if i % 3 == 0 { scale } else { -scale }), Some(BlockType::Q1_0)),
        (row(256, |i| (i % 3) as f32 * scale - scale), Some(BlockType::TQ1_0)),
        (row(192, |i| (i % 4) as f32 * scale - scale), Some(BlockType::Q2_0)),
        (row(96, |i| (i % 16) as f32 * scale - 8.0 * scale), Some(BlockType::Q4_0)),
        (row(96, |i| 8.0 * scale - (i % 16) as f32 * scale), Some(BlockType::Q4_0)),
        (row(32, |i| (i % 16) as f32 * scale), Some(BlockType::Q4_1)),
        (row(32, |i| (i % 16) as f32 * 0.25 + 3.0), Some(BlockType::Q4_1)),
        (row(32, |i| (i % 16) as f32 * scale - 10.0 * scale), Some(BlockType::Q5_0)),
        (row(32, |i| (i % 32) as f32 * 0.25 + 3.0), Some(BlockType::Q5_1)),
        (row(32, |i| (i * 8) as f32 * scale - 128.0 * scale), Some(BlockType::Q5_0)),
        (row(32, |i| (i * 7) as f32 * scale - 128.0 * scale), Some(BlockType::Q8_0)),
        (row(32, |i| level[i % 8] * 2_f32.powi(-90)), Some(BlockType::MXFP4)),
        (row(32, |i| (i % 16) as f32 * 0.012_345_67 - 8.0 * 0.012_345_67), None),
        (row(32, |i| (i as f32).sqrt()), None),
        (row(32, |i| if i == 7 { f32::NAN } else { 0.0 }), None),
        (row(33, |_| 0.0), None),
    ];
    for (index, (values, expected)) in cases.iter().enumerate() {
        assert_eq!(smallest(values), *expected, "case {index}");
    }
}

#[test]
fn zeros_of_both_signs_are_on_every_grid() {
    let values = row(256, |i| if i % 2 == 0 { 0.0 } else { -0.0 });
    for (ty, _) in GRIDS {
        assert_eq!(first_beyond(*ty, &values), None, "{ty}");
    }
}

proptest! {
    /// Whatever codes and scales a block of the type has, its values are found on the grid.
    #[test]
    fn every_block_is_on_its_own_grid(
        bytes in prop::collection::vec(any::<u8>(), 96),
        index in 0..GRIDS.len(),
    ) {
        let ty = GRIDS[index].0;
        let mut block = bytes[..ty.block_bytes()].to_vec();
        if ty.first_defect(&block).is_some() || ty == BlockType::TQ1_0 {
            return Ok(());
        }
        if ty == BlockType::TQ2_0 {
            // Three stands for two, which the encoder never writes.
            block[..64].iter_mut().for_each(|byte| *byte &= !(*byte << 1 & 0xaa) );
        }
        let mut values = vec![0.0; ty.block_values()];
        ty.decode_row(&block, &mut values);
        if values.iter().all(|value| value.is_finite()) && !rounded(ty, &block, &values) {
            prop_assert_eq!(first_beyond(ty, &values), None);
            let mut out = vec![0; block.len()];
            prop_assert_eq!(write(ty, &values, &mut out), Ok(()));
        }
    }
}

/// Returns whether a value of a block with an offset was rounded, so that it is not on the grid.
fn rounded(ty: BlockType, block: &[u8], values: &[f32]) -> bool {
    if !matches!(ty, BlockType::Q4_1 | BlockType::Q5_1) {
        return false;
    }
    let half = |at: usize| half::f16::from_le_bytes([block[at], block[at + 1]]).to_f64();
    let (scale, min) = (half(0), half(2));
    values.iter().any(|value| {
        let steps = if scale == 0.0 { 0.0 } else { (f64::from(*value) - min) / scale };
        (steps.round() * scale + min) as f32 != *value
            || steps.round() * scale + min != f64::from(*value)
    })
}
