//! The types whose sub-blocks have a scale and codes around zero: Q3_K, Q6_K.
//!
//! The common part is here, once by definition and once in lanes (a lane is a super-block).

use granule_format::Block;
use granule_format::num::F16;
use granule_reader::isa::Isa;

use super::VALUES;
use super::tile::{Matrix, Tile};
use crate::round::to_even;
use crate::rows::blocks_for;

/// Values in a sub-block, and sub-blocks in a super-block.
pub(crate) const N: usize = 16;

/// The differences between the types.
pub(crate) trait Family {
    type Block: Block;
    /// Half the number of codes, which range from `-HALF` to `HALF - 1`.
    const HALF: i32;

    /// Fits the scales of the sub-blocks by definition. Returns them as the block stores them, and
    /// the codes of the searches.
    fn fit(
        x: &[f32; VALUES],
        importance: Option<&[f32; VALUES]>,
        codes: &mut [i8; VALUES],
    ) -> SuperScales;

    /// Does the same for the super-blocks in the lanes of a tile, without the codes.
    fn fit_in_lanes<const L: usize>(tile: &Tile<L>, weighted: bool) -> [SuperScales; L];

    /// Packs a block. `HALF` has been added to the `codes`.
    fn pack(scales: SuperScales, codes: [u8; VALUES]) -> Self::Block;
}

/// Everything in a super-block except the codes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SuperScales {
    pub(crate) scale: F16,
    pub(crate) sub_scales: [i8; N],
}

/// Encodes rows by the plain scalar form.
pub(crate) fn encode_by_definition<F: Family>(
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    out: &mut [u8],
) {
    let blocks = blocks_for::<F::Block>(rows, columns, weights, out);
    let matrix = Matrix::new(rows, columns, weights);
    for (i, block) in blocks.iter_mut().enumerate() {
        let x = &matrix.super_blocks[i];
        let mut codes = [0; VALUES];
        let scales = F::fit(x, matrix.importance(i), &mut codes);
        let mut raised = [0; VALUES];
        recode(F::HALF, x, &scales, &mut raised);
        keep_idle(F::HALF, &scales, &codes, &mut raised);
        *block = F::pack(scales, raised);
    }
}

/// Encodes rows, many super-blocks at once, to the same bytes as [`encode_by_definition`].
pub(crate) fn encode<F: Family>(
    isa: Isa,
    rows: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    out: &mut [u8],
) {
    let blocks = blocks_for::<F::Block>(rows, columns, weights, out);
    let matrix = Matrix::new(rows, columns, weights);
    isa.run_for_registers(
        blocks,
        #[inline(always)]
        |blocks| in_lanes::<F, 32>(&matrix, blocks),
        #[inline(always)]
        |blocks| in_lanes::<F, 16>(&matrix, blocks),
        #[inline(always)]
        |blocks| in_lanes::<F, 8>(&matrix, blocks),
    )
}

#[inline(always)]
fn in_lanes<F: Family, const L: usize>(matrix: &Matrix, blocks: &mut [F::Block]) {
    let mut tile = Tile::<L>::new();
    for (t, blocks) in blocks.chunks_mut(L).enumerate() {
        tile.load(matrix, t * L, blocks.len());
        let scales = F::fit_in_lanes(&tile, matrix.is_weighted());
        for (k, block) in blocks.iter_mut().enumerate() {
            let x = &matrix.super_blocks[t * L + k];
            let mut raised = [0; VALUES];
            let any_idle = recode(F::HALF, x, &scales[k], &mut raised);
            if any_idle {
                let mut codes = [0; VALUES];
                F::fit(x, matrix.importance(t * L + k), &mut codes);
                keep_idle(F::HALF, &scales[k], &codes, &mut raised);
            }
            *block = F::pack(scales[k], raised);
        }
    }
}

/// Rounds the values again, with the scales as the block stores them. Returns whether the scale of
/// any sub-block came out as zero. Such sub-blocks are not changed, see [`keep_idle`].
#[inline(always)]
fn recode(half: i32, x: &[f32; VALUES], scales: &SuperScales, raised: &mut [u8; VALUES]) -> bool {
    let all = scales.scale.to_f32();
    let mut any_idle = false;
    let (x, raised) = (x.as_chunks::<N>().0, raised.as_chunks_mut::<N>().0);
    for i in 0..VALUES / N {
        let scale = all * f32::from(scales.sub_scales[i]);
        if scale == 0.0 {
            any_idle = true;
            continue;
        }
        for k in 0..N {
            raised[i][k] = (to_even(x[i][k] / scale).clamp(-half, half - 1) + half) as u8;
        }
    }
    any_idle
}

/// Gives the sub-blocks whose scale came out as zero the codes of their search.
fn keep_idle(half: i32, scales: &SuperScales, codes: &[i8; VALUES], raised: &mut [u8; VALUES]) {
    let all = scales.scale.to_f32();
    let sub_blocks = raised.as_chunks_mut::<N>().0.iter_mut().zip(codes.as_chunks::<N>().0);
    for ((raised, codes), scale) in sub_blocks.zip(scales.sub_scales) {
        if all * f32::from(scale) == 0.0 {
            *raised = codes.map(|code| (i32::from(code) + half) as u8);
        }
    }
}

/// Returns the scale of largest magnitude, the first if there are several. NaN is skipped.
#[inline(always)]
pub(crate) fn largest(scales: &[f32; N]) -> f32 {
    scales.iter().fold(0.0_f32, |largest, s| if s.abs() > largest.abs() { *s } else { largest })
}
