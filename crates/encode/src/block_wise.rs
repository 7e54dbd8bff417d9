//! Encoders that look at one block at a time and have no weighted form.

use std::fmt::Debug;

use granule_format::{Block, BlockType};
use granule_reader::isa::Isa;

use super::rows::blocks_for;
use super::{Encoder, Weighting};

/// Blocks that are encoded together: what there is once for a block, such as its scale, is then vector code as well.
pub(super) const GROUP: usize = 16;

/// Chooses a block from the values of that block alone.
pub(super) trait BlockWise: Debug + Sync {
    /// The structure of the blocks.
    type Block: Block;

    /// The definition.
    fn define(values: &[f32]) -> Self::Block;

    /// The same blocks for [`GROUP`] times as many values, written so that it becomes vector code. Mark it
    /// `#[inline(always)]`.
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
            // not the function itself: that would be called, compiled for the plain target
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

/// [`Encoder::tile`] of encoders that are about as fast as memory: a group or two. Checking values reads them in order, and
/// the processor fetches some more that follow while they are encoded; in a long tile it would have nothing to fetch then.
pub(super) fn short_tile<B: Block>() -> usize {
    (GROUP * B::LEN).max(1024)
}

/// Make every block from its values by `encode`.
///
/// # Panics
/// As [`Encoder::encode`].
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

/// Make the blocks from their values by `encode`, compiled for `isa`, [`GROUP`] of them at a time. A last group that is
/// not whole is filled up with zeros.
///
/// # Panics
/// As [`Encoder::encode`].
#[inline(always)]
pub(super) fn each_group<B: Block>(
    isa: Isa,
    rows: &[f32],
    columns: usize,
    out: &mut [u8],
    encode: impl Fn(&[f32], &mut [B; GROUP]),
) {
    let blocks = blocks_for::<B>(rows, columns, None, out);
    isa.up_to_32_bytes().run(
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

/// The values of a group, block by block.
#[inline(always)]
pub(super) fn group<const N: usize>(values: &[f32]) -> &[[f32; N]; GROUP] {
    values.as_chunks().0.try_into().expect("a group of blocks")
}
