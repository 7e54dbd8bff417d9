//! IQ3_XXS: see `spec/blocks/iq3_xxs.md`.

use std::sync::LazyLock;

use granule_format::Block;
use granule_format::BlockType;
use granule_format::block::codebook::iq3_xxs as codebook;
use granule_format::block::iq3_xxs::Codes;
use granule_format::block::types;
use granule_format::num::F16;
use granule_reader::isa::Isa;

use super::grid_search::Grid;
use super::iq3_search::{
    self as search, Choice, GROUPS, Rules, SUB_BLOCK, SUB_BLOCKS, SUPER_BLOCK, Target,
};
use super::rows::blocks_for;
use super::{Encoder, Weighting, round};

/// Encoder of [`types::IQ3_XXS`]: groups of 4 from a codebook of 256. Signs have even parity, so a
/// small value sometimes changes its sign.
#[derive(Debug)]
#[allow(non_camel_case_types, reason = "the names are the field's spelling")]
pub(super) struct IQ3_XXS;

/// A sub-block whose largest magnitude is below this is encoded as zero.
const NEGLIGIBLE: f32 = 1e-8;

static GRID: LazyLock<Grid<4>> = LazyLock::new(|| Grid::new(&codebook::GRID, &codebook::LEVELS, 2));

impl Encoder for IQ3_XXS {
    fn block_type(&self) -> BlockType {
        BlockType::IQ3_XXS
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
            |blocks| in_lanes::<32, 8>(rows, columns, weights, blocks),
            #[inline(always)]
            |blocks| in_lanes::<32, 8>(rows, columns, weights, blocks),
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
    Rules { grid: &GRID, reach: 15, keeps_exact: true }
}

#[inline(always)]
fn in_lanes<const LANES: usize, const STEP: usize>(
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    blocks: &mut [types::IQ3_XXS],
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
    blocks: &mut [types::IQ3_XXS],
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
) -> types::IQ3_XXS {
    let spread = search::spread(values);
    let zero = Codes {
        scale: F16::default(),
        sub_scales: [0; SUB_BLOCKS],
        indices: [0; SUB_BLOCKS * GROUPS],
        signs: [0; SUPER_BLOCK / 8],
    };
    let mut codes = zero.clone();
    let mut scales = [0.0_f32; SUB_BLOCKS];
    for (i, values) in values.chunks_exact(SUB_BLOCK).enumerate() {
        let weights = weights.map(|weights| &weights[i * SUB_BLOCK..]);
        let mut target = Target::new(values, weights, spread);
        let signs = take_signs(values, &mut target);
        if target.largest() < NEGLIGIBLE {
            continue;
        }
        let Choice { scale, entries } = best(&target);
        // A negative scale is made positive by inverting all signs. A pattern has 8 signs, so the
        // number of negative ones stays even.
        scales[i] = scale.abs();
        let signs = if scale < 0.0 { signs.map(|signs| !signs) } else { signs };
        codes.signs[i * 4..][..4].copy_from_slice(&signs);
        codes.indices[i * GROUPS..][..GROUPS].copy_from_slice(&entries.map(|entry| entry as u8));
    }

    let largest = search::largest_scale(&scales);
    if largest == 0.0 {
        return types::IQ3_XXS::pack(&zero);
    }
    let step = largest / 31.0;
    let inverse = 1.0 / step;
    codes.scale = round::f16(step * 1.0125);
    codes.sub_scales =
        scales.map(|scale| round::to_even(0.5 * (inverse * scale - 1.0)).clamp(0, 15) as u8);
    types::IQ3_XXS::pack(&codes)
}

/// Returns the signs of a sub-block, 8 per byte. If an odd number of 8 values is negative, the
/// value whose error counts least gets the opposite sign, and its magnitude becomes negative.
#[inline(always)]
fn take_signs(values: &[f32], target: &mut Target) -> [u8; 4] {
    std::array::from_fn(|k| {
        let mut signs = 0;
        for i in 0..8 {
            signs |= u8::from(values[8 * k + i] < 0.0) << i;
        }
        if signs.count_ones() % 2 == 1 {
            let cost =
                |i: usize| target.importance[8 * k + i] * values[8 * k + i] * values[8 * k + i];
            let (mut least, mut at) = (cost(0), 0);
            for i in 1..8 {
                if cost(i) < least {
                    (least, at) = (cost(i), i);
                }
            }
            target.magnitudes[8 * k + at] = -target.magnitudes[8 * k + at];
            signs ^= 1 << at;
        }
        signs
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_overflows_gives_an_invalid_block() {
        let mut values: Vec<f32> = (0..512).map(|i| (i as f32 * 0.7).sin()).collect();
        values[40..50].iter_mut().for_each(|value| *value *= 1e25);
        let mut out = vec![0; 2 * size_of::<types::IQ3_XXS>()];
        for isa in Isa::available() {
            IQ3_XXS.encode(isa, &values, 512, None, &mut out);
            let defect = IQ3_XXS.block_type().first_defect(&out);
            assert!(matches!(defect, Some((0, _))), "{isa}: {defect:?}");
            assert!(IQ3_XXS.block_type().first_defect(&out[out.len() / 2..]).is_none(), "{isa}");
        }
    }
}
