//! Panels of super-blocks, for batches.

use super::panel::{Panel, ROWS, row_of, stage};
use super::super_block::{Scales, SuperBlock};
use crate::isa::Lanes;

/// Unpacks one segment of up to sixteen rows.
#[inline(always)]
pub(super) fn fill_panel<B: SuperBlock, V: Lanes>(
    v: V,
    rows: &[B],
    row_blocks: usize,
    segment: usize,
    panel: &mut Panel,
) {
    for row in 0..ROWS {
        let block = &row_of(rows, row_blocks, row)[segment];
        let Scales { scale, sub_scales, min, sub_mins } = block.scales(v);
        let scales = v.mul(v.splat(scale), v.floats_from_u64(sub_scales));
        v.store_as_bytes(scales, &mut panel.staged_scales[row][0]);
        if B::MINIMUMS {
            let mins = v.mul(v.splat(-min), v.floats_from_u64(sub_mins));
            v.store_as_bytes(mins, &mut panel.staged_mins[row][0]);
        }
        let codes = block.codes(v);
        stage(
            v,
            &mut panel.staged[row],
            B::CODES,
            #[inline(always)]
            |group| codes[group],
        );
    }
    panel.turn(v, B::MINIMUMS);
}
