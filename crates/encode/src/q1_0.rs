//! Q1_0: the mean magnitude and the signs. See `spec/blocks/q1_0.md`.

use granule_format::block::{q1_0, types};
use granule_format::{Block, BlockType, num::F16};
use granule_reader::isa::Isa;

use super::block_wise::each_block;
use super::rows::blocks_for;
use super::{Encoder, Weighting, round};

/// Values in a block.
const N: usize = types::Q1_0::LEN;
/// Blocks that are summed in parallel: a single sum would wait for each addition to finish.
const LANES: usize = 8;

/// Encoder of [`types::Q1_0`].
#[derive(Debug)]
pub(super) struct Q1_0;

impl Encoder for Q1_0 {
    fn block_type(&self) -> BlockType {
        BlockType::Q1_0
    }

    fn weighting(&self) -> Weighting {
        Weighting::Ignored
    }

    fn encode(&self, isa: Isa, rows: &[f32], columns: usize, _: Option<&[f32]>, out: &mut [u8]) {
        let blocks = blocks_for::<types::Q1_0>(rows, columns, None, out);
        isa.run(
            #[inline(always)]
            || {
                let (values, _) = rows.as_chunks::<N>();
                for (blocks, values) in blocks.chunks_mut(LANES).zip(values.chunks(LANES)) {
                    for ((block, values), sum) in blocks.iter_mut().zip(values).zip(sums(values)) {
                        *block = with_scale(round::f16(sum / N as f32), values);
                    }
                }
            },
        );
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        _: Option<&[f32]>,
        out: &mut [u8],
    ) {
        each_block(rows, columns, out, |values| {
            let sum = values.iter().fold(0.0, |sum, value| sum + value.abs());
            let values = values.try_into().expect("a block");
            with_scale(F16::from_f32(sum / N as f32), values)
        });
    }
}

/// Returns the sum of the magnitudes of each block.
#[inline(always)]
fn sums(blocks: &[[f32; N]]) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    if let Some(blocks) = blocks.first_chunk::<LANES>() {
        for i in 0..N {
            for (sum, values) in sums.iter_mut().zip(blocks) {
                *sum += values[i].abs();
            }
        }
    } else {
        for (sum, values) in sums.iter_mut().zip(blocks) {
            *sum = values.iter().fold(0.0, |sum, value| sum + value.abs());
        }
    }
    sums
}

#[inline(always)]
fn with_scale(scale: F16, values: &[f32; N]) -> types::Q1_0 {
    let mut codes = [0; N];
    for (code, value) in codes.iter_mut().zip(values) {
        *code = u8::from(*value >= 0.0);
    }
    types::Q1_0::pack(&q1_0::Codes { scale, codes })
}
