use granule_encode::encode_rows;
use granule_format::BlockType;
use granule_reader::isa::Isa;

/// Encodes rows without importance weights, for
/// [`CheckpointOptions::encoder`](granule_checkpoint::CheckpointOptions::encoder).
///
/// # Errors
/// Same as [`encode_rows`].
///
/// # Panics
/// Same as [`encode_rows`].
pub fn encode_blocks(
    ty: BlockType,
    values: &[f32],
    columns: usize,
    out: &mut [u8],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Ok(encode_rows(Isa::detect(), ty, values, columns, None, out)?)
}
