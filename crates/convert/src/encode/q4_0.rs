//! Placeholder for the helper
use super::{Encoder, Weighting};
use granule_format::BlockType;
use granule_reader::isa::Isa;
#[derive(Debug)]
pub(super) struct Q4_0;
impl Encoder for Q4_0 {
    fn block_type(&self) -> BlockType {
        BlockType::Q4_0
    }
    fn weighting(&self) -> Weighting {
        Weighting::Optional
    }
    fn encode(
        &self,
        _isa: Isa,
        _rows: &[f32],
        _columns: usize,
        _weights: Option<&[f32]>,
        _out: &mut [u8],
    ) {
    }
    fn encode_by_definition(
        &self,
        _rows: &[f32],
        _columns: usize,
        _weights: Option<&[f32]>,
        _out: &mut [u8],
    ) {
    }
}
