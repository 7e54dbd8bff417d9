//! Panels of super-blocks, for batches.

use super::codes::eight;
use super::panel::{Panel, ROWS, Sums, each_integers, row_of, stage};
use super::super_block::{Scales, SuperBlock};
use crate::isa::Lanes;
use crate::strip::{StripSegment, WIDTH};

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
            panel.min[row] = min;
            v.store_words(v.words(sub_mins), &mut panel.staged_mins[row][0]);
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

/// Adds the products of a panel of super-blocks with eight vectors to `sums`.
#[inline(always)]
pub(super) fn multiply_panel<B: SuperBlock, V: Lanes>(
    v: V,
    panel: &Panel,
    strip: &StripSegment,
    sums: &mut Sums,
) {
    let zero = v.splat(0.0);
    let mut totals = [zero; WIDTH];
    each_integers(
        v,
        B::FINE,
        panel,
        strip,
        #[inline(always)]
        |index, ints: [V::Wide; WIDTH]| {
            let scales = v.floats_from_bytes(&panel.scales[index]);
            eight(
                #[inline(always)]
                |i| {
                    let ints = v.floats_from_lanes(ints[i]);
                    totals[i] = v.multiply_add_floats(totals[i], ints, scales);
                },
            );
        },
    );
    let mut mins = [v.splat_lanes(0); WIDTH];
    if B::MINIMUMS {
        let pairs = if B::FINE { &strip.sums[..] } else { &strip.wide_sums[..] };
        for (mins_of_rows, pairs) in panel.mins.iter().zip(pairs) {
            let words = v.load_lanes(mins_of_rows);
            eight(
                #[inline(always)]
                |i| mins[i] = v.dot_words(mins[i], words, pairs[i]),
            );
        }
    }
    let min = v.load_floats(&panel.min);
    eight(
        #[inline(always)]
        |i| {
            if B::MINIMUMS {
                let mins = v.mul(v.floats_from_lanes(mins[i]), min);
                totals[i] = v.sub(totals[i], mins);
            }
            let sum = v.load_floats(&sums.0[i]);
            // one scale for all groups
            let sum = v.multiply_add_floats(sum, totals[i], v.splat(strip.scales[0][i]));
            v.store(sum, &mut sums.0[i]);
        },
    );
}
