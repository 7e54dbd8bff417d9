//! IQ4_NL: see `spec/blocks/iq4_nl.md`.

use granule_format::Block;
use granule_format::BlockType;
use granule_format::block::iq4_nl::Codes;
use granule_format::block::types;
use granule_reader::isa::Isa;

use super::iq4_search::{self as search, SUB_BLOCK};
use super::rows::{blocks_for, transpose};
use super::{Encoder, Weighting, round};

/// Encoder of [`types::IQ4_NL`]: for each block the best scale, then the nearest levels.
#[derive(Debug)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
pub(super) struct IQ4_NL;

impl Encoder for IQ4_NL {
    fn block_type(&self) -> BlockType {
        BlockType::IQ4_NL
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
        for (i, (values, block)) in rows.chunks_exact(SUB_BLOCK).zip(blocks).enumerate() {
            let weights = weights.map(|weights| &weights[i * SUB_BLOCK % columns..][..SUB_BLOCK]);
            let importance = search::importance(values, weights, search::spread(values));
            *block = pack(values, search::best_scale(values, &importance));
        }
    }
}

/// Makes the block for a scale. The codes are for the scale before it is rounded to half precision.
#[inline(always)]
fn pack(values: &[f32], scale: f32) -> types::IQ4_NL {
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut codes = [0; SUB_BLOCK];
    for (code, value) in codes.iter_mut().zip(values) {
        *code = search::nearest(inverse * value);
    }
    types::IQ4_NL::pack(&Codes { scale: round::f16(scale), codes })
}

/// Encodes `L` blocks at a time, one in each lane.
#[inline(always)]
fn in_lanes<const L: usize>(
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    blocks: &mut [types::IQ4_NL],
) {
    let mut first = 0;
    for (rows, blocks) in rows.chunks(L * SUB_BLOCK).zip(blocks.chunks_mut(L)) {
        let values = transpose::<L, SUB_BLOCK>(|lane| rows.get(lane * SUB_BLOCK..));
        let mut importance = values;
        if let Some(weights) = weights {
            importance = transpose(|lane| {
                (lane < blocks.len()).then(|| &weights[(first + lane) * SUB_BLOCK % columns..])
            });
            search::weigh(&values, &search::spreads(&values), &mut importance);
        } else {
            search::square(&mut importance);
        }
        let scales = search::best_scales(&values, &importance);
        for ((values, block), scale) in rows.chunks_exact(SUB_BLOCK).zip(&mut *blocks).zip(scales) {
            *block = pack(values, scale);
        }
        first += L;
    }
}
