use granule_format::BlockType;
use granule_reader::isa::Isa;

use crate::{Effort, EncodeError, encode_rows};

/// Options for [`encode`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EncodeOptions {
    /// The instruction set; `None` is the best that this processor has. The bytes do not depend on
    /// it.
    pub isa: Option<Isa>,
    /// How much work to spend on the search.
    pub effort: Effort,
}

impl From<Isa> for EncodeOptions {
    fn from(isa: Isa) -> Self {
        Self::default().with_isa(isa)
    }
}

impl EncodeOptions {
    /// Sets the instruction set.
    #[must_use]
    pub const fn with_isa(self, isa: Isa) -> Self {
        Self { isa: Some(isa), effort: self.effort }
    }

    /// Sets the effort.
    #[must_use]
    pub const fn with_effort(self, effort: Effort) -> Self {
        Self { isa: self.isa, effort }
    }
}

/// Quantizes rows of `columns` values each, one after another, to blocks of type `ty`.
///
/// `weights` holds an importance for each column. Types without a weighted form ignore it; a few
/// types require it. The blocks are stored row after row, as in a GGUF file. They match the
/// reference byte for byte, unless the options ask for more effort.
///
/// To encode into a buffer of your own, or from several threads, call [`encode_rows`] for runs of
/// rows.
///
/// # Errors
/// If rows are not whole blocks, a value is not finite or is beyond the range of the type, weights
/// are required but missing, weights are invalid, or the type has no encoder.
///
/// # Panics
/// If the number of values is not a multiple of `columns`.
///
/// ```
/// use granule_encode::{EncodeOptions, encode};
/// use granule_format::BlockType;
/// use granule_reader::isa::Isa;
///
/// let rows: Vec<f32> = (0..2 * 256).map(|i| (i as f32 * 0.1).sin()).collect();
/// let blocks = encode(BlockType::Q4_K, &rows, 256, None, &EncodeOptions::default())?;
/// assert_eq!(blocks.len(), 2 * 144); // 144 bytes for 256 values: 4.5 bits each
///
/// let mut decoded = vec![0.0; 256];
/// granule_reader::decode_blocks(Isa::detect(), BlockType::Q4_K, &blocks[144..], &mut decoded);
/// assert!((decoded[7] - rows[256 + 7]).abs() < 0.1);
/// # Ok::<(), granule_encode::EncodeError>(())
/// ```
pub fn encode(
    ty: BlockType,
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    options: &EncodeOptions,
) -> Result<Vec<u8>, EncodeError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let whole = columns > 0 && columns.is_multiple_of(ty.block_values());
    let blocks = if whole { rows.len() / ty.block_values() } else { 0 };
    let mut out = vec![0; blocks * ty.block_bytes()];
    encode_rows(*options, ty, rows, columns, weights, &mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_those_of_encode_rows() {
        let matrix: Vec<f32> = (0..6 * 64).map(|i| (i as f32 * 0.37).cos()).collect();
        let weights: Vec<f32> = (0..64).map(|i| i as f32).collect();
        let options = EncodeOptions::default();
        let found = encode(BlockType::Q5_0, &matrix, 64, Some(&weights), &options).unwrap();
        let mut expected = vec![0; 6 * 2 * 22];
        let isa = Isa::detect();
        encode_rows(isa, BlockType::Q5_0, &matrix, 64, Some(&weights), &mut expected).unwrap();
        assert_eq!(found, expected);
        let scalar = options.with_isa(Isa::SCALAR);
        let found = encode(BlockType::Q5_0, &matrix, 64, Some(&weights), &scalar).unwrap();
        assert_eq!(found, expected);
        let unweighted = encode(BlockType::Q5_0, &matrix, 64, None, &options).unwrap();
        assert_ne!(found, unweighted);
        assert_eq!(encode(BlockType::Q5_0, &[], 64, None, &options), Ok(Vec::new()));
    }

    #[test]
    fn faults_are_errors() {
        let options = EncodeOptions::default();
        let encode = |ty, matrix: &[f32], columns| encode(ty, matrix, columns, None, &options);
        assert_eq!(
            encode(BlockType::Q4_K, &[0.0; 32], 32),
            Err(EncodeError::RowLength { ty: BlockType::Q4_K, columns: 32 })
        );
        assert!(matches!(
            encode(BlockType::Q8_0, &[f32::NAN; 32], 32),
            Err(EncodeError::NotFinite { index: 0, .. })
        ));
        assert_eq!(
            encode(BlockType::IQ1_S, &[0.0; 256], 256),
            Err(EncodeError::WeightsRequired(BlockType::IQ1_S))
        );
    }

    #[test]
    #[should_panic(expected = "values in rows")]
    fn rows_are_whole() {
        let _ = encode(BlockType::F32, &[0.0; 5], 3, None, &EncodeOptions::default());
    }
}
