//! IQ3_S: see `spec/blocks/iq3_s.md`.

use std::sync::LazyLock;

use granule_format::Block;
use granule_format::BlockType;
use granule_format::block::codebook::iq3_s as codebook;
use granule_format::block::iq3_s::Codes;
use granule_format::block::types;
use granule_format::num::F16;
use granule_reader::isa::Isa;

use super::grid_search::Grid;
use super::iq3_search::{
    self as search, Choice, GROUPS, Rules, SUB_BLOCK, SUB_BLOCKS, SUPER_BLOCK, Target,
};
use super::rows::blocks_for;
use super::{Encoder, Weighting, round};

/// Encoder of [`types::IQ3_S`]: groups of 4 from a codebook of 512, and a sign for each value.
#[derive(Debug)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
pub(super) struct IQ3_S;

static GRID: LazyLock<Grid<4>> = LazyLock::new(|| Grid::new(&codebook::GRID, &codebook::LEVELS, 3));

impl Encoder for IQ3_S {
    fn block_type(&self) -> BlockType {
        BlockType::IQ3_S
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
            |blocks| in_lanes::<32, 16>(rows, columns, weights, blocks),
            #[inline(always)]
            |blocks| in_lanes::<24, 8>(rows, columns, weights, blocks),
            #[inline(always)]
            |blocks| in_lanes::<24, 8>(rows, columns, weights, blocks),
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
        let rules = rules();
        encode(rows, columns, weights, blocks, |target| search::best(target, rules));
    }
}

fn rules() -> Rules<'static> {
    Rules { grid: &GRID, reach: 9, keeps_exact: false }
}

#[inline(always)]
fn in_lanes<const LANES: usize, const STEP: usize>(
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    blocks: &mut [types::IQ3_S],
) {
    let rules = rules();
    encode(
        rows,
        columns,
        weights,
        blocks,
        #[inline(always)]
        |target| search::best_in_lanes::<LANES, STEP>(target, rules),
    );
}

#[inline(always)]
fn encode(
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    blocks: &mut [types::IQ3_S],
    best: impl Fn(&Target) -> Choice + Copy,
) {
    for (i, (values, block)) in rows.chunks_exact(SUPER_BLOCK).zip(blocks).enumerate() {
        let weights = weights.map(|weights| &weights[i * SUPER_BLOCK % columns..][..SUPER_BLOCK]);
        *block = encode_block(values, weights, best);
    }
}

#[inline(always)]
fn encode_block(
    values: &[f32],
    weights: Option<&[f32]>,
    best: impl Fn(&Target) -> Choice + Copy,
) -> types::IQ3_S {
    let spread = search::spread(values);
    let mut codes = Codes {
        scale: F16::default(),
        sub_scales: [0; SUB_BLOCKS],
        indices: [0; SUB_BLOCKS * GROUPS],
        signs: [0; SUPER_BLOCK / 8],
    };
    let mut scales = [0.0_f32; SUB_BLOCKS];
    // The reference does not advance past a sub-block of zeros when it stores signs and the low 8
    // bits of indices, so those of the following sub-blocks move up. The upper bits and the
    // sub-scales stay in place.
    let mut stored = 0;
    for (i, values) in values.chunks_exact(SUB_BLOCK).enumerate() {
        let weights = weights.map(|weights| &weights[i * SUB_BLOCK..]);
        let target = Target::new(values, weights, spread);
        if target.largest() == 0.0 {
            continue;
        }
        let Choice { scale, entries } = best(&target);
        scales[i] = scale.abs();
        for (k, values) in values.chunks_exact(8).enumerate() {
            let mut signs = 0;
            for (i, value) in values.iter().enumerate() {
                signs |= u8::from(*value < 0.0) << i;
            }
            codes.signs[stored * 4 + k] = if scale < 0.0 { !signs } else { signs };
        }
        for (k, entry) in entries.into_iter().enumerate() {
            codes.indices[stored * GROUPS + k] |= entry & 255;
            codes.indices[i * GROUPS + k] |= entry & 256;
        }
        stored += 1;
    }

    let largest = search::largest_scale(&scales);
    if largest != 0.0 {
        let step = largest / 31.0;
        let inverse = 1.0 / step;
        codes.scale = round::f16(step * 1.033);
        codes.sub_scales =
            scales.map(|scale| round::to_even(0.5 * (inverse * scale - 1.0)).clamp(0, 15) as u8);
    }
    types::IQ3_S::pack(&codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_overflows_gives_an_invalid_block() {
        let mut values: Vec<f32> = (0..512).map(|i| (i as f32 * 0.7).sin()).collect();
        values[40..50].iter_mut().for_each(|value| *value *= 1e25);
        let mut out = vec![0; 2 * size_of::<types::IQ3_S>()];
        for isa in Isa::available() {
            IQ3_S.encode(isa, &values, 512, None, &mut out);
            let defect = IQ3_S.block_type().first_defect(&out);
            assert!(matches!(defect, Some((0, _))), "{isa}: {defect:?}");
            assert!(IQ3_S.block_type().first_defect(&out[out.len() / 2..]).is_none(), "{isa}");
        }
    }
}
