//! Encoding that checks every input and every block of the result.

use granule_format::{Block, BlockType, Defect, with_block};
use granule_reader::isa::Isa;

use super::{EncodeOptions, Encoder, Weighting, encoder_at, first_not_finite};

/// The reason why rows cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The type can be decoded but not encoded.
    #[error("there is no encoder for {0}")]
    NoEncoder(BlockType),
    /// A row is not a whole number of blocks.
    #[error("rows of {columns} values are not whole blocks of {ty}, which hold {} values each",
            .ty.block_values())]
    RowLength {
        /// The type of the blocks.
        ty: BlockType,
        /// Values in a row.
        columns: usize,
    },
    /// A value is NaN or infinite.
    #[error("value {index} is {value}; only finite values can be encoded")]
    NotFinite {
        /// Its index in the given rows.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The type needs importance weights.
    #[error(
        "{0} is useless without importance weights: run the model over sample text to get an \
         importance matrix (llama-imatrix writes one), and give that file"
    )]
    WeightsRequired(BlockType),
    /// The number of importance weights is not the number of columns.
    #[error("{found} importance weights given for {columns} columns: give one for each column")]
    WeightsLength {
        /// Values in a row.
        columns: usize,
        /// Number of weights given.
        found: usize,
    },
    /// An importance weight is negative, NaN or infinite.
    #[error("the importance weight of column {column} is {value}, expected 0 or a positive number")]
    Weight {
        /// The column.
        column: usize,
        /// Its weight.
        value: f32,
    },
    /// Every importance weight is zero.
    #[error("all importance weights are zero: the sample text never reached this tensor")]
    WeightsZero,
    /// The values are beyond the range of the type: no valid block can hold them.
    #[error("the values from {index} on do not fit {ty}: {defect}")]
    OutOfRange {
        /// The type of the blocks.
        ty: BlockType,
        /// Index of the block's first value in the given rows.
        index: usize,
        /// The defect that the block would have.
        defect: Defect,
    },
}

/// Encodes whole rows of `columns` values each to blocks of type `ty`, after checking everything
/// that the encoders assume. `weights` holds an importance for each column; types without a
/// weighted form ignore it.
///
/// Every block of the result is valid ([`Block::defect`] finds nothing):
///
/// - Importance weights of zero are used as they are. They can make a block invalid (the reference
///   then computes 0/0 and rejects its own result), and so can weights near the limits of `f32`.
///   Such a block is encoded once more, on its own and with equal weights.
/// - A block that is still invalid, or that was encoded without weights, has values beyond the
///   range of the type: [`EncodeError::OutOfRange`].
///
/// # Errors
/// See [`EncodeError`]. The content of `out` is then unspecified.
///
/// # Panics
/// If `rows` is not whole rows, or `out` does not have exactly the bytes of the blocks.
pub fn encode_rows(
    options: impl Into<EncodeOptions>,
    ty: BlockType,
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    out: &mut [u8],
) -> Result<(), EncodeError> {
    let options = options.into();
    let isa = options.isa.unwrap_or_else(Isa::detect);
    let encoder = encoder_at(ty, options.effort).ok_or(EncodeError::NoEncoder(ty))?;
    if columns == 0 || !columns.is_multiple_of(ty.block_values()) {
        return Err(EncodeError::RowLength { ty, columns });
    }
    assert!(rows.len().is_multiple_of(columns), "{} values in rows of {columns}", rows.len());
    let bytes = rows.len() / ty.block_values() * ty.block_bytes();
    assert_eq!(out.len(), bytes, "room for all blocks");
    let weights = match (encoder.weighting(), weights) {
        (Weighting::Ignored, _) | (Weighting::Optional, None) => None,
        (Weighting::Required, None) => return Err(EncodeError::WeightsRequired(ty)),
        (_, Some(weights)) => Some(check_weights(weights, columns)?),
    };
    if weights.is_some() {
        return encode_tile(isa, encoder, rows, columns, weights, out);
    }
    // Without weights all blocks are treated alike, so row boundaries do not matter.
    let tile_values = encoder.tile();
    let out = out.chunks_mut(tile_values / ty.block_values() * ty.block_bytes());
    for (tile, (values, out)) in rows.chunks(tile_values).zip(out).enumerate() {
        encode_tile(isa, encoder, values, values.len(), None, out)
            .map_err(|error| error.further_on(tile * tile_values))?;
    }
    Ok(())
}

fn encode_tile(
    isa: Isa,
    encoder: &dyn Encoder,
    values: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    out: &mut [u8],
) -> Result<(), EncodeError> {
    if let Some(index) = first_not_finite(isa, values) {
        return Err(EncodeError::NotFinite { index, value: values[index] });
    }
    encoder.encode(isa, values, columns, weights, out);
    let any_defect = with_block!(encoder.block_type(), B => any_defect::<B>(isa, out));
    if any_defect { repair(isa, encoder, values, weights.is_some(), out) } else { Ok(()) }
}

impl EncodeError {
    /// Shifts the index in the error by `by` values.
    fn further_on(mut self, by: usize) -> Self {
        if let Self::NotFinite { index, .. } | Self::OutOfRange { index, .. } = &mut self {
            *index += by;
        }
        self
    }
}

fn check_weights(weights: &[f32], columns: usize) -> Result<&[f32], EncodeError> {
    if weights.len() != columns {
        return Err(EncodeError::WeightsLength { columns, found: weights.len() });
    }
    let wrong = |weight: &f32| !(weight.is_finite() && *weight >= 0.0);
    if let Some(column) = weights.iter().position(wrong) {
        return Err(EncodeError::Weight { column, value: weights[column] });
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(EncodeError::WeightsZero);
    }
    Ok(weights)
}

/// Returns whether any block is invalid. It has no early exit, so that it vectorizes for small
/// blocks.
fn any_defect<B: Block>(isa: Isa, blocks: &[u8]) -> bool {
    isa.run_up_to_32_bytes(
        #[inline(always)]
        || {
            let blocks = granule_format::block::blocks_of::<B>(blocks);
            blocks.iter().fold(false, |any, block| any | block.defect().is_some())
        },
    )
}

/// Encodes each invalid block again, alone and with equal weights.
#[cold]
fn repair(
    isa: Isa,
    encoder: &dyn Encoder,
    rows: &[f32],
    weighted: bool,
    out: &mut [u8],
) -> Result<(), EncodeError> {
    let ty = encoder.block_type();
    let equal = vec![1.0; ty.block_values()];
    let blocks = rows.chunks(ty.block_values()).zip(out.chunks_mut(ty.block_bytes()));
    for (block, (values, out)) in blocks.enumerate() {
        if weighted && ty.first_defect(out).is_some() {
            encoder.encode(isa, values, values.len(), Some(&equal), out);
        }
        if let Some((_, defect)) = ty.first_defect(out) {
            return Err(EncodeError::OutOfRange { ty, index: block * ty.block_values(), defect });
        }
    }
    Ok(())
}
