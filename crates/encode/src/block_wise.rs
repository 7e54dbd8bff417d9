//! Encoders that treat each block on its own and have no weighted form.

use std::fmt::Debug;

use granule_format::{Block, BlockType};
use granule_reader::isa::Isa;

use super::rows::blocks_for;
use super::{Encoder, Weighting};

/// Blocks that are encoded together, so that work done once per block, such as computing its scale,
/// vectorizes too.
pub(super) const GROUP: usize = 16;

/// Chooses a block from the values of that block alone.
pub(super) trait BlockWise: Debug + Sync {
    /// The structure of the blocks.
    type Block: Block;

    /// Encodes one block in plain scalar code: the definition.
    fn define(values: &[f32]) -> Self::Block;

    /// Encodes the same blocks for [`GROUP`] times as many values, in a form that vectorizes.
    /// Implementations must be `#[inline(always)]`.
    fn encode(values: &[f32], blocks: &mut [Self::Block; GROUP]);
}

impl<E: BlockWise> Encoder for E {
    fn block_type(&self) -> BlockType {
        E::Block::TYPE
    }

    fn weighting(&self) -> Weighting {
        Weighting::Ignored
    }

    fn tile(&self) -> usize {
        short_tile::<E::Block>()
    }

    fn encode(&self, isa: Isa, rows: &[f32], columns: usize, _: Option<&[f32]>, out: &mut [u8]) {
        each_group(
            isa,
            rows,
            columns,
            out,
            // a closure, not the function itself: the function would be compiled for the baseline
            // target and called
            #[inline(always)]
            |values, blocks| E::encode(values, blocks),
        );
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        _: Option<&[f32]>,
        out: &mut [u8],
    ) {
        each_block(rows, columns, out, E::define);
    }
}

/// Returns the [`Encoder::tile`] of encoders that are about as fast as memory: a group or two. The
/// check reads the values in order, and the processor prefetches the next ones while these are
/// encoded; with a long tile there would be nothing left to prefetch.
pub(super) fn short_tile<B: Block>() -> usize {
    (GROUP * B::LEN).max(1024)
}

/// Makes every block from its values with `encode`.
///
/// # Panics
/// Same as [`Encoder::encode`].
pub(super) fn each_block<B: Block>(
    rows: &[f32],
    columns: usize,
    out: &mut [u8],
    encode: impl Fn(&[f32]) -> B,
) {
    let blocks = blocks_for::<B>(rows, columns, None, out);
    for (block, values) in blocks.iter_mut().zip(rows.chunks_exact(B::LEN)) {
        *block = encode(values);
    }
}

/// Makes the blocks from their values with `encode`, compiled for `isa`, [`GROUP`] blocks at a
/// time. An incomplete last group is padded with zeros.
///
/// # Panics
/// Same as [`Encoder::encode`].
#[inline(always)]
pub(super) fn each_group<B: Block>(
    isa: Isa,
    rows: &[f32],
    columns: usize,
    out: &mut [u8],
    encode: impl Fn(&[f32], &mut [B; GROUP]),
) {
    let blocks = blocks_for::<B>(rows, columns, None, out);
    isa.run_up_to_32_bytes(
        #[inline(always)]
        || {
            let (whole, rest) = blocks.as_chunks_mut::<GROUP>();
            let mut groups = rows.chunks(GROUP * B::LEN);
            for (blocks, values) in whole.iter_mut().zip(&mut groups) {
                encode(values, blocks);
            }
            if let Some(values) = groups.next() {
                let mut padded = vec![0.0; GROUP * B::LEN];
                padded[..values.len()].copy_from_slice(values);
                let mut blocks = [B::new_zeroed(); GROUP];
                encode(&padded, &mut blocks);
                rest.copy_from_slice(&blocks[..rest.len()]);
            }
        },
    );
}

/// Returns the values of a group, block by block.
#[inline(always)]
pub(super) fn group<const N: usize>(values: &[f32]) -> &[[f32; N]; GROUP] {
    values.as_chunks().0.try_into().expect("a group of blocks")
}
