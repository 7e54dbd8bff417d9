//! IQ4_XS: see `spec/blocks/iq4_xs.md`.

use granule_format::Block;
use granule_format::BlockType;
use granule_format::block::iq4_xs::Codes;
use granule_format::block::types;
use granule_reader::isa::Isa;

use super::iq4_search::{self as search, SUB_BLOCK};
use super::rows::{blocks_for, transpose};
use super::{Encoder, Weighting, round};

/// Encoder of [`types::IQ4_XS`]: a scale of 6 bits for each sub-block, then the nearest levels.
#[derive(Debug)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
pub(super) struct IQ4_XS;

const SUPER_BLOCK: usize = 256;
const SUB_BLOCKS: usize = SUPER_BLOCK / SUB_BLOCK;

impl Encoder for IQ4_XS {
    fn block_type(&self) -> BlockType {
        BlockType::IQ4_XS
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
        let blocks = blocks_for(rows, columns, weights, out);
        isa.run_for_registers(
            blocks,
            #[inline(always)]
            |blocks| in_lanes::<16>(rows, columns, weights, blocks),
            #[inline(always)]
            |blocks| in_lanes::<16>(rows, columns, weights, blocks),
            #[inline(always)]
            |blocks| in_lanes::<8>(rows, columns, weights, blocks),
        )
    }

    fn encode_by_definition(
        &self,
        rows: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        out: &mut [u8],
    ) {
        let blocks = blocks_for(rows, columns, weights, out);
        for (i, (values, block)) in rows.chunks_exact(SUPER_BLOCK).zip(blocks).enumerate() {
            let weights = weights.map(|weights| &weights[i * SUPER_BLOCK % columns..]);
            let spread = search::spread(values);
            let scales = std::array::from_fn(|i| {
                let values = &values[i * SUB_BLOCK..][..SUB_BLOCK];
                let weights = weights.map(|weights| &weights[i * SUB_BLOCK..][..SUB_BLOCK]);
                search::best_scale(values, &search::importance(values, weights, spread))
            });
            *block = pack(values, &scales);
        }
    }
}

/// Makes the super-block for the best scales of its sub-blocks. The scale of largest magnitude
/// becomes -32 steps. The codes are for the scales in whole steps, before the step is rounded to
/// half precision.
#[inline(always)]
fn pack(values: &[f32], scales: &[f32; SUB_BLOCKS]) -> types::IQ4_XS {
    let mut largest = 0.0_f32;
    for &scale in scales {
        largest = if scale.abs() > largest.abs() { scale } else { largest };
    }
    let step = -largest / 32.0;
    let inverse = if step == 0.0 { 0.0 } else { 1.0 / step };
    let mut codes =
        Codes { scale: round::f16(step), sub_scales: [0; SUB_BLOCKS], codes: [0; SUPER_BLOCK] };
    for (i, &scale) in scales.iter().enumerate() {
        let sub_scale = round::to_even(inverse * scale).clamp(-32, 31) as i8;
        codes.sub_scales[i] = sub_scale;
        let scale = step * f32::from(sub_scale);
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        let range = i * SUB_BLOCK..(i + 1) * SUB_BLOCK;
        for (code, value) in codes.codes[range.clone()].iter_mut().zip(&values[range]) {
            *code = search::nearest(inverse * value);
        }
    }
    types::IQ4_XS::pack(&codes)
}

/// Encodes `L` sub-blocks at a time, one in each lane.
#[inline(always)]
fn in_lanes<const L: usize>(
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    blocks: &mut [types::IQ4_XS],
) {
    let mut first = 0;
    for (rows, blocks) in rows.chunks(L * SUB_BLOCK).zip(blocks.chunks_mut(L / SUB_BLOCKS)) {
        let values = transpose::<L, SUB_BLOCK>(|lane| rows.get(lane * SUB_BLOCK..));
        let mut importance = values;
        if let Some(weights) = weights {
            importance = transpose(|lane| {
                let exists = lane < blocks.len() * SUB_BLOCKS;
                exists.then(|| &weights[(first + lane) * SUB_BLOCK % columns..])
            });
            search::weigh(&values, &spreads(rows), &mut importance);
        } else {
            search::square(&mut importance);
        }
        let scales = search::best_scales(&values, &importance);
        let (scales, _) = scales.as_chunks();
        for ((values, block), scales) in rows.chunks_exact(SUPER_BLOCK).zip(blocks).zip(scales) {
            *block = pack(values, scales);
        }
        first += L;
    }
}

/// Returns for each lane the spread of its super-block. The sums of all super-blocks run in
/// parallel.
#[inline(always)]
fn spreads<const L: usize>(rows: &[f32]) -> [f32; L] {
    let mut sums = [0.0_f32; L];
    let count = rows.len() / SUPER_BLOCK;
    for i in 0..SUPER_BLOCK {
        for (sum, values) in sums[..count].iter_mut().zip(rows.chunks_exact(SUPER_BLOCK)) {
            *sum += values[i] * values[i];
        }
    }
    std::array::from_fn(|lane| sums[lane / SUB_BLOCKS] * (2.0 / SUPER_BLOCK as f32))
}
