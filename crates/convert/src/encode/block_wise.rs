//! Encoders that look at one block at a time and have no weighted form.

use std::fmt::Debug;

use granule_format::{Block, BlockType};
use granule_reader::isa::Isa;

use super::rows::blocks_for;
use super::{Encoder, Weighting};

/// Chooses a block from the values of that block alone.
pub(super) trait BlockWise: Debug + Sync {
    /// The structure of the blocks.
    type Block: Block;

    /// The definition.
    fn define(values: &[f32]) -> Self::Block;

    /// The same block, written so that it becomes vector code. Mark it `#[inline(always)]`.
    fn encode(values: &[f32]) -> Self::Block;
}

impl<E: BlockWise> Encoder for E {
    fn block_type(&self) -> BlockType {
        E::Block::TYPE
    }

    fn weighting(&self) -> Weighting {
        Weighting::Ignored
    }

    fn encode(&self, isa: Isa, rows: &[f32], columns: usize, _: Option<&[f32]>, out: &mut [u8]) {
        each_block(isa, rows, columns, out, E::encode);
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        _: Option<&[f32]>,
        out: &mut [u8],
    ) {
        each_block(Isa::SCALAR, rows, columns, out, E::define);
    }
}

/// Make every block from its values by `encode`, compiled for `isa`.
///
/// # Panics
/// As [`Encoder::encode`].
#[inline(always)]
pub(super) fn each_block<B: Block>(
    isa: Isa,
    rows: &[f32],
    columns: usize,
    out: &mut [u8],
    encode: impl Fn(&[f32]) -> B,
) {
    let blocks = blocks_for::<B>(rows, columns, None, out);
    isa.run(
        #[inline(always)]
        || {
            for (block, values) in blocks.iter_mut().zip(rows.chunks_exact(B::LEN)) {
                *block = encode(values);
            }
        },
    );
}
