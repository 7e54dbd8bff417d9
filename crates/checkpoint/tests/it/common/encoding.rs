//! The encoders of `granule-encode`, for checkpoints that are read as quantized types.

use std::error::Error;

use granule_encode::encode_rows;
use granule_format::BlockType;
use granule_reader::isa::Isa;

pub(crate) fn encode(
    ty: BlockType,
    values: &[f32],
    columns: usize,
    out: &mut [u8],
) -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(encode_rows(Isa::detect(), ty, values, columns, None, out)?)
}
