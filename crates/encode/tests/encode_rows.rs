//! Tests of `encode_rows`: bad input gives typed errors, and no result holds an invalid block.

use granule_encode::{EncodeError, Weighting, encode_rows, encoder};
use granule_format::{BlockType, Defect};
use granule_reader::isa::Isa;
use proptest::prelude::*;

fn encode(
    ty: BlockType,
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
) -> Result<Vec<u8>, EncodeError> {
    let mut out = vec![0xa5; rows.len() / ty.block_values() * ty.block_bytes()];
    encode_rows(Isa::detect(), ty, rows, columns, weights, &mut out)?;
    Ok(out)
}

#[test]
fn bad_rows_and_weights_are_typed_errors() {
    let ty = BlockType::Q4_0;
    let rows = [0.5; 64];
    let with = |weights: &[f32]| encode(ty, &rows, 32, Some(weights)).unwrap_err();
    assert_eq!(encode(ty, &rows, 48, None), Err(EncodeError::RowLength { ty, columns: 48 }));
    assert_eq!(encode(ty, &[], 0, None), Err(EncodeError::RowLength { ty, columns: 0 }));
    assert_eq!(encode(BlockType::I32, &rows, 1, None), Err(EncodeError::NoEncoder(BlockType::I32)));
    assert_eq!(with(&[1.0; 31]), EncodeError::WeightsLength { columns: 32, found: 31 });
    assert_eq!(with(&[0.0; 32]), EncodeError::WeightsZero);
    for bad in [-1.0, -f32::MIN_POSITIVE, f32::INFINITY] {
        let mut weights = [1.0; 32];
        weights[7] = bad;
        assert_eq!(with(&weights), EncodeError::Weight { column: 7, value: bad });
        // Types without a weighted form ignore them.
        assert!(encode(BlockType::Q8_0, &rows, 32, Some(&weights)).is_ok());
    }
    let mut weights = [1.0; 32];
    weights[3] = f32::NAN;
    assert!(matches!(with(&weights), EncodeError::Weight { column: 3, .. }));
}

#[test]
fn values_that_are_not_finite_are_found() {
    for encoder in BlockType::ALL.iter().filter_map(|ty| encoder(*ty)) {
        let weights = vec![1.0; 256];
        let mut rows = vec![0.5; 1024];
        (rows[700], rows[900]) = (f32::NEG_INFINITY, f32::INFINITY);
        let result = encode(encoder.block_type(), &rows, 256, Some(&weights));
        let expected = EncodeError::NotFinite { index: 700, value: f32::NEG_INFINITY };
        assert_eq!(result, Err(expected), "{encoder:?}");
    }
}

#[test]
fn values_beyond_the_range_are_reported() {
    let mut rows = vec![1.0; 64];
    rows[40] = 65_520.0;
    let ty = BlockType::F16;
    let expected = EncodeError::OutOfRange { ty, index: 40, defect: Defect::Infinite };
    assert_eq!(encode(ty, &rows, 64, None), Err(expected));
    rows[40] = 65_519.0;
    assert!(encode(ty, &rows, 64, None).is_ok());
    rows[40] = f32::MAX;
    let expected =
        EncodeError::OutOfRange { ty: BlockType::BF16, index: 40, defect: Defect::Infinite };
    assert_eq!(encode(BlockType::BF16, &rows, 64, None), Err(expected));
    let weights = [1.0; 64];
    for ty in [BlockType::Q4_0, BlockType::Q4_1, BlockType::Q5_0, BlockType::Q5_1] {
        for weights in [None, Some(&weights[..])] {
            let result = encode(ty, &rows, 64, weights);
            assert!(matches!(result, Err(EncodeError::OutOfRange { index: 32, .. })), "{result:?}");
        }
    }
}

#[test]
fn f32_is_a_copy() {
    let rows = [0.0, -0.0, 1e-45, f32::MAX, -1.5];
    let bytes: Vec<u8> = rows.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(encode(BlockType::F32, &rows, 5, None), Ok(bytes));
}

/// Returns values from every range that some encoder treats specially.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -1.0..1.0_f32,
        1 => Just(0.0),
        1 => Just(-0.0),
        1 => prop::sample::select(vec![
            1e-45, -1e-40, 3e-38, 1e-20, 1e-6, 100.0, -1e4, 6e4, 1e9, 3e38,
        ]),
    ]
}

fn weight() -> impl Strategy<Value = f32> {
    prop_oneof![
        2 => 0.0..2.0_f32,
        2 => Just(0.0),
        1 => prop::sample::select(vec![1e-45, 1e-30, 1e30, 3e38]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 64,
        ..ProptestConfig::default()
    })]

    #[test]
    fn results_are_valid_and_the_same_everywhere(
        rows in prop::collection::vec(value(), 512),
        weights in prop::collection::vec(weight(), 256),
    ) {
        for encoder in BlockType::ALL.iter().filter_map(|ty| encoder(*ty)) {
            let ty = encoder.block_type();
            let forms: &[Option<&[f32]>] = match encoder.weighting() {
                Weighting::Required => &[Some(&weights)],
                _ => &[None, Some(&weights)],
            };
            for &weights in forms {
                let first = encode(ty, &rows, 256, weights);
                if let Ok(bytes) = &first {
                    prop_assert_eq!(ty.first_defect(bytes), None, "{}", ty);
                }
                let bytes = rows.len() / ty.block_values() * ty.block_bytes();
                let (mut definition, mut lanes) = (vec![0; bytes], vec![0; bytes]);
                encoder.encode_by_definition(&rows, 256, weights, &mut definition);
                for isa in Isa::available() {
                    encoder.encode(isa, &rows, 256, weights, &mut lanes);
                    for (ours, other) in
                        definition.chunks(ty.block_bytes()).zip(lanes.chunks(ty.block_bytes()))
                    {
                        // The other content of an invalid block is unspecified.
                        let invalid = ty.first_defect(ours).is_some();
                        prop_assert_eq!(
                            ty.first_defect(other).is_some(),
                            invalid,
                            "{} {}",
                            ty,
                            isa
                        );
                        prop_assert!(
                            invalid || ours == other,
                            "{ty} {isa}\n{ours:02x?}\n{other:02x?}"
                        );
                    }
                }
            }
        }
    }

    /// The page on block types lists the types that guarantee this. Scales must be normal
    /// half-precision numbers: smaller ones lose bits.
    #[test]
    fn decoded_blocks_encode_to_the_same_values(
        rows in prop::collection::vec(prop_oneof![9 => -1.0..1.0_f32, 1 => Just(0.0)], 512),
        exponent in -6..6,
    ) {
        let rows: Vec<f32> = rows.iter().map(|value| value * 2.0_f32.powi(exponent)).collect();
        for ty in LOSSLESS_AGAIN {
            let first = encode(*ty, &rows, 256, None).unwrap();
            let mut decoded = vec![0.0; rows.len()];
            ty.decode_row(&first, &mut decoded);
            let second = encode(*ty, &decoded, 256, None).unwrap();
            let mut again = vec![0.0; rows.len()];
            ty.decode_row(&second, &mut again);
            prop_assert_eq!(&decoded, &again, "{}", ty);
        }
    }
}

/// Types for which decoded values, encoded again, decode to the same values.
const LOSSLESS_AGAIN: &[BlockType] = &[
    BlockType::F32,
    BlockType::F16,
    BlockType::BF16,
    BlockType::Q4_0,
    BlockType::Q5_0,
    BlockType::Q8_0,
    BlockType::TQ1_0,
    BlockType::TQ2_0,
    BlockType::Q1_0,
    BlockType::MXFP4,
    BlockType::Q2_0,
];
