//! Packed small blocks: products with one vector, and panels for batches.

use granule_format::num::F16;

use super::packed::{Packed, PackedPanel, Prepared, Singles};
use super::packing::{PackedCodes, Packing};
use super::panel::{Panel, ROWS, row_of};
use super::small_block::{SmallBlock, groups_of};
use crate::isa::Lanes;

/// Appends the scales of up to eight groups of sixteen rows.
#[inline(always)]
pub(super) fn pack_scales<B: SmallBlock, V: Lanes>(
    v: V,
    rows: &[B],
    row_blocks: usize,
    segment: usize,
    packed: &mut Packed,
) {
    let groups = groups_of::<B>();
    for group in 8 * segment..(8 * segment + 8).min(row_blocks * groups) {
        let block = |row: usize| &row_of(rows, row_blocks, row)[group / groups];
        let halves = |number: &dyn Fn(&B) -> F16| {
            let mut all = [[0; 2]; ROWS];
            for (row, out) in all.iter_mut().enumerate() {
                *out = number(block(row)).to_bits().to_le_bytes();
            }
            all
        };
        if B::HALF {
            let half = |block: &B| block.half().expect("`HALF` says so");
            packed.half_scales.push(halves(&half));
        } else {
            let mut scales = [[0.0; ROWS]; 2];
            for row in 0..ROWS {
                let [low, high] = block(row).scales(v, group % groups);
                (scales[0][row], scales[1][row]) = (low, high);
            }
            packed.scales.extend(scales[..if B::FINE { 2 } else { 1 }].iter().map(|s| Singles(*s)));
        }
        if B::MINIMUM {
            packed.half_mins.push(halves(&|block: &B| block.min()));
        }
    }
}

/// The scales of a group: of its lower and its upper half.
#[inline(always)]
fn scales<B: SmallBlock, V: Lanes>(v: V, panel: &PackedPanel<'_>, group: usize) -> [V::Floats; 2] {
    if B::FINE {
        let scales = &panel.scales[2 * group..][..2];
        return [v.load_floats(&scales[0].0), v.load_floats(&scales[1].0)];
    }
    if B::HALF {
        return [v.halves(bytes(&panel.half_scales[group])); 2];
    }
    [v.load_floats(&panel.scales[group].0); 2]
}

#[inline(always)]
fn bytes(halves: &[[u8; 2]; ROWS]) -> &[u8; 32] {
    &halves.as_flattened().as_chunks().0[0]
}

/// The dot products of sixteen packed rows with a vector.
#[inline(always)]
pub(super) fn dot<B: SmallBlock, V: Lanes>(
    v: V,
    packing: &Packing,
    panel: &PackedPanel<'_>,
    prepared: Prepared<'_>,
) -> V::Floats {
    let mut total = v.splat(0.0);
    let Prepared { vector, offsets, .. } = prepared;
    let codes = panel.codes.chunks_exact(packing.lines());
    let vectors = vector.codes.as_chunks::<4>().0.as_chunks::<8>().0.iter().zip(vector.scales);
    let vectors = vectors.zip(vector.scaled_sums).zip(offsets);
    for (group, (lines, (((x, x_scale), x_sum), offsets))) in codes.zip(vectors).enumerate() {
        let fifths = if packing.fifths() { &panel.fifths[group] } else { &[0; 8] };
        let [low, high] = packing.dot(v, PackedCodes { lines, fifths }, x, *offsets);
        let [first, second] = scales::<B, V>(v, panel, group);
        let product = if B::FINE {
            let high = v.mul(v.floats_from_lanes(high), second);
            v.multiply_add_floats(high, v.floats_from_lanes(low), first)
        } else {
            v.mul(v.floats_from_lanes(v.add_lanes(low, high)), first)
        };
        total = v.multiply_add_floats(total, product, v.splat(*x_scale));
        if B::MINIMUM {
            let mins = v.halves(bytes(&panel.half_mins[group]));
            total = v.multiply_add_floats(total, mins, v.splat(*x_sum));
        }
    }
    total
}

/// Unpacks one segment of a packed panel for a batch; missing columns have scales of zero.
#[inline(always)]
pub(super) fn unpack_panel<B: SmallBlock, V: Lanes>(
    v: V,
    packing: &Packing,
    packed: &PackedPanel<'_>,
    segment: usize,
    panel: &mut Panel,
) {
    super::packed::unpack_codes(v, packing, packed, segment, panel);
    let groups = packed.codes.len() / packing.lines() - 8 * segment;
    let zero = v.splat(0.0);
    for part in 0..8 {
        let group = 8 * segment + part;
        let found = part < groups;
        let [low, high] = if found { scales::<B, V>(v, packed, group) } else { [zero; 2] };
        if B::FINE {
            v.store_as_bytes(low, &mut panel.scales[2 * part]);
            v.store_as_bytes(high, &mut panel.scales[2 * part + 1]);
        } else {
            v.store_as_bytes(low, &mut panel.scales[part]);
        }
        if B::MINIMUM {
            let mins = if found { v.halves(bytes(&packed.half_mins[group])) } else { zero };
            v.store_as_bytes(mins, &mut panel.mins[part]);
        }
    }
}
