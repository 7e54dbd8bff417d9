//! Panels of small blocks, for batches.

use super::codes::eight_of;
use super::panel::{Panel, ROWS, row_of, stage};
use super::small_block::{SmallBlock, eight_scales, groups_of};
use crate::isa::Lanes;

/// Unpacks one segment of up to sixteen rows.
#[inline(always)]
pub(super) fn fill_panel<B: SmallBlock, V: Lanes>(
    v: V,
    rows: &[B],
    row_blocks: usize,
    segment: usize,
    panel: &mut Panel,
) {
    let groups = groups_of::<B>();
    for row in 0..ROWS {
        let blocks = &row_of(rows, row_blocks, row)[segment * 8 / groups..];
        let last = blocks.len() - 1;
        let block = |group: usize| &blocks[(group / groups).min(last)];
        let (mut scales, mut mins) = ([0.0; 16], [0.0; 16]);
        if B::FINE {
            for group in 0..8 {
                let [low, high] = block(group).scales(v, group % groups);
                (scales[2 * group], scales[2 * group + 1]) = (low, high);
            }
        } else {
            v.store_sums(eight_scales(v, block), &mut scales.as_chunks_mut().0[0]);
        }
        if B::MINIMUM {
            let halves = eight_of(
                #[inline(always)]
                |group| block(group).min(),
            );
            v.store_sums(v.sums_from_halves(halves), &mut mins.as_chunks_mut().0[0]);
        }
        let groups_left = blocks.len() * groups;
        if groups_left < 8 {
            scales[groups_left * if B::FINE { 2 } else { 1 }..].fill(0.0);
            mins[groups_left..].fill(0.0);
        }
        v.store_as_bytes(v.load_floats(&scales), &mut panel.staged_scales[row][0]);
        if B::MINIMUM {
            v.store_as_bytes(v.load_floats(&mins), &mut panel.staged_mins[row][0]);
        }
        stage(
            v,
            &mut panel.staged[row],
            B::CODES,
            #[inline(always)]
            |group| block(group).codes(v, group % groups),
        );
    }
    panel.turn(v, B::MINIMUM);
}
