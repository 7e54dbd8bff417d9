//! IQ2_S: the encoder. See `spec/blocks/iq2_s.md`.

use std::sync::LazyLock;

use granule_format::Block;
use granule_format::BlockType;
use granule_format::block::codebook::iq2_s::GRID;
use granule_format::block::{iq2_s, types};
use granule_format::num::F16;
use granule_reader::isa::Isa;

use super::iq_blocks::{LEN, largest, sum_of_squares, super_blocks};
use super::iq2_search::{self, Found, SubBlocks, search, search_by_definition};
use super::neighbours::Neighbours;
use super::round::to_even;
use super::{Encoder, Weighting, iq2_signs};

/// Chooses [`types::IQ2_S`] blocks.
#[derive(Debug)]
pub(super) struct IQ2_S;

/// Sub-blocks whose magnitudes are all smaller are encoded as zero.
const SMALLEST: f32 = 1e-8;

/// Factor applied to the stored scale; found by trial.
const SHRINK: f32 = 0.9875;

static CODEBOOK: LazyLock<Neighbours<8>> = LazyLock::new(|| iq2_search::neighbours(&GRID, 1));

impl Encoder for IQ2_S {
    fn block_type(&self) -> BlockType {
        BlockType::IQ2_S
    }

    fn weighting(&self) -> Weighting {
        Weighting::Optional
    }

    fn encode(
        &self,
        isa: Isa,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        let codebook = &*CODEBOOK;
        // the most expensive part, the choice among neighbours, does not benefit from wider
        // registers
        isa.run_up_to_32_bytes(
            #[inline(always)]
            || {
                for ((values, weights), block) in super_blocks(rows, columns, weights, out) {
                    let (signs, sub_blocks) = prepare(values, weights);
                    *block = finish(signs, search(codebook, &sub_blocks, SMALLEST));
                }
            },
        );
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        for ((values, weights), block) in super_blocks(rows, columns, weights, out) {
            let (signs, sub_blocks) = prepare(values, weights);
            *block = finish(signs, search_by_definition(&CODEBOOK, &sub_blocks, SMALLEST));
        }
    }
}

/// Returns the signs of the groups, and the magnitudes and weights of the sub-blocks. The weight of
/// a value is its importance times the square root of (twice the mean square of the super-block +
/// its own square). Without importances it is half the mean square + the value's square.
#[inline(always)]
fn prepare(values: &[f32; LEN], importances: Option<&[f32; LEN]>) -> ([u8; 32], SubBlocks) {
    let twice_mean_square = 2.0 * sum_of_squares(values) / LEN as f32;
    let weights: [f32; LEN] = match importances {
        Some(importances) => std::array::from_fn(|i| {
            importances[i] * (twice_mean_square + values[i] * values[i]).sqrt()
        }),
        None => values.map(|value| 0.25 * twice_mean_square + value * value),
    };
    iq2_search::sub_blocks(values, &weights, |values, _| iq2_signs::split(values))
}

/// Makes the block from the codes. Sub-scales are rounded to `(2 * code + 1) / 31` of the largest
/// scale.
#[inline(always)]
fn finish(signs: [u8; 32], found: [Option<Found>; 16]) -> types::IQ2_S {
    let scales = found.map(|found| found.map_or(0.0, |found| found.scale));
    let (indices, signs) = iq2_search::groups(&CODEBOOK, signs, &found);
    let mut codes = iq2_s::Codes { scale: F16::default(), sub_scales: [0; 16], indices, signs };
    let max = largest(&scales);
    if max != 0.0 {
        let scale = max / 31.0;
        codes.scale = F16::from_f32(scale * SHRINK);
        codes.sub_scales =
            scales.map(|sub| to_even(0.5 * (1.0 / scale * sub - 1.0)).clamp(0, 15) as u8);
    }
    types::IQ2_S::pack(&codes)
}
