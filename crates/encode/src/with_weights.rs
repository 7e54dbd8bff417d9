//! Encoders of blocks of 32 values that have forms with and without importance weights.

use std::fmt::Debug;

use granule_format::{Block, BlockType};
use granule_reader::isa::Isa;

use super::block_weights::{Lanes, N, Weighted};
use super::block_wise::{GROUP, each_group, group, short_tile};
use super::rows::blocks_for;
use super::{Encoder, Weighting};

/// Chooses a block from its values and, in the weighted form, their weights.
pub(super) trait WithWeights: Debug + Sync {
    /// The structure of the blocks.
    type Block: Block;

    /// Encodes one block in either form: the definition.
    fn define(values: &[f32; N], weights: Option<&[f32; N]>) -> Self::Block;

    /// Encodes a group of blocks without weights, vectorized. Implementations must be
    /// `#[inline(always)]`.
    fn encode(values: &[[f32; N]; GROUP], blocks: &mut [Self::Block; GROUP]);

    /// Encodes `blocks` with weights, one in each lane; `values` are those of the blocks, not
    /// transposed. Implementations must be `#[inline(always)]`.
    fn encode_lanes<const L: usize>(
        lanes: &Lanes<L>,
        values: &[[f32; N]],
        blocks: &mut [Self::Block],
    );
}

/// The encoder of a type that has both forms.
#[derive(Debug)]
pub(super) struct Both<T>(pub(super) T);

impl<T: WithWeights> Encoder for Both<T> {
    fn block_type(&self) -> BlockType {
        T::Block::TYPE
    }

    fn weighting(&self) -> Weighting {
        Weighting::Optional
    }

    fn tile(&self) -> usize {
        short_tile::<T::Block>()
    }

    fn encode(
        &self,
        isa: Isa,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        let Some(weights) = weights else {
            return each_group(
                isa,
                rows,
                columns,
                out,
                #[inline(always)]
                |values, blocks| T::encode(group(values), blocks),
            );
        };
        let blocks = blocks_for::<T::Block>(rows, columns, Some(weights), out);
        isa.run_for_registers(
            blocks,
            #[inline(always)]
            |blocks| in_lanes::<T, 32>(&Weighted::new(rows, columns, weights), blocks),
            #[inline(always)]
            |blocks| in_lanes::<T, 16>(&Weighted::new(rows, columns, weights), blocks),
            #[inline(always)]
            |blocks| in_lanes::<T, 8>(&Weighted::new(rows, columns, weights), blocks),
        )
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        let blocks = blocks_for::<T::Block>(rows, columns, weights, out);
        let weighted = weights.map(|weights| Weighted::new(rows, columns, weights));
        for (i, (block, values)) in blocks.iter_mut().zip(rows.as_chunks().0).enumerate() {
            let weights = weighted.as_ref().map(|weighted| weighted.weights(i));
            *block = T::define(values, weights.as_ref());
        }
    }
}

#[inline(always)]
fn in_lanes<T: WithWeights, const L: usize>(weighted: &Weighted, blocks: &mut [T::Block]) {
    let importance = weighted.importance_in_lanes::<L>();
    let mut lanes = Lanes::ZERO;
    for (i, blocks) in blocks.chunks_mut(L).enumerate() {
        weighted.load(i * L, blocks.len(), &importance[i % importance.len()], &mut lanes);
        T::encode_lanes(&lanes, weighted.blocks(i * L, blocks.len()), blocks);
    }
}
