//! Packed super-blocks: products with one vector, and panels for batches.

use super::codes::nth_chunk;
use super::packed::{Packed, PackedPanel, Prepared, Singles};
use super::packing::{PackedCodes, Packing};
use super::panel::{Panel, ROWS, row_of};
use super::super_block::SuperBlock;
use crate::isa::Lanes;
use crate::vector::Codes;

const fn sub_blocks<B: SuperBlock>() -> usize {
    if B::FINE { 16 } else { 8 }
}

/// Appends the scales of one super-block of sixteen rows.
#[inline(always)]
pub(super) fn pack_scales<B: SuperBlock, V: Lanes>(
    v: V,
    rows: &[B],
    row_blocks: usize,
    segment: usize,
    packed: &mut Packed,
) {
    let (mut scales, mut mins) = ([0.0; ROWS], [0.0; ROWS]);
    let (mut sub_scales, mut sub_mins) = ([[0; ROWS]; 16], [[0; ROWS]; 16]);
    for row in 0..ROWS {
        let all = row_of(rows, row_blocks, row)[segment].scales(v);
        (scales[row], mins[row]) = (all.scale, all.min);
        for sub_block in 0..sub_blocks::<B>() {
            let byte = |numbers: [u64; 2]| {
                (numbers[sub_block / 8] >> (8 * (sub_block % 8))).to_le_bytes()[0].cast_signed()
            };
            sub_scales[sub_block][row] = byte(all.sub_scales);
            sub_mins[sub_block][row] = byte(all.sub_mins);
        }
    }
    packed.scales.push(Singles(scales));
    packed.sub_scales.extend(&sub_scales[..sub_blocks::<B>()]);
    if B::MINIMUMS {
        packed.mins.push(Singles(mins));
        packed.sub_mins.extend(&sub_mins[..sub_blocks::<B>()]);
    }
}

/// The dot products of sixteen packed rows with a vector.
#[inline(always)]
pub(super) fn dot<B: SuperBlock, V: Lanes>(
    v: V,
    packing: &Packing,
    panel: &PackedPanel<'_>,
    prepared: Prepared<'_>,
) -> V::Floats {
    let mut total = v.splat(0.0);
    let Prepared { vector, offsets, remainder_offsets } = prepared;
    let count = sub_blocks::<B>();
    let mut slot = 0;
    let parts = vector.parts().zip(offsets.as_chunks::<8>().0).zip(panel.scales);
    for (index, ((part, offsets), scales)) in parts.enumerate() {
        let sub_scales = &panel.sub_scales[index * count..][..count];
        let group_of = |group: usize| {
            let at = 8 * index + group;
            let lines = &panel.codes[at * packing.lines()..][..packing.lines()];
            let fifths = if packing.fifths() { &panel.fifths[at] } else { &[0; 8] };
            PackedCodes { lines, fifths }
        };
        let mut products = v.splat(0.0);
        for (group, offsets) in offsets.iter().enumerate() {
            let codes = group_of(group);
            products = add_group::<B, V>(
                v,
                packing,
                codes,
                sub_scales,
                part.codes,
                (group, *offsets),
                products,
            );
        }
        if part.wide != 0 {
            let (rest, mut wide) = (vector.remainders(slot), part.wide);
            while wide != 0 {
                let group = wide.trailing_zeros() as usize;
                wide &= wide - 1;
                let place = (group, remainder_offsets[8 * slot + group]);
                let codes = group_of(group);
                products = add_group::<B, V>(v, packing, codes, sub_scales, rest, place, products);
            }
            slot += 1;
        }
        total = v.multiply_add_floats(total, products, v.load_floats(&scales.0));
        if B::MINIMUMS {
            let sums = if B::FINE { &part.fine_sums[..] } else { &part.scaled_sums[..] };
            let sub_mins = &panel.sub_mins[index * count..][..count];
            let mut mins = v.splat(0.0);
            for (sum, sub_mins) in sums.iter().zip(sub_mins) {
                let sub_mins = v.floats_from_lanes(v.lanes_from_bytes(sub_mins));
                mins = v.multiply_add_floats(mins, sub_mins, v.splat(*sum));
            }
            total = v.sub(total, v.mul(mins, v.load_floats(&panel.mins[index].0)));
        }
    }
    total
}

/// Adds the products of group `group` with 32 activations to `sum`, without scales of rows.
#[inline(always)]
fn add_group<B: SuperBlock, V: Lanes>(
    v: V,
    packing: &Packing,
    codes: PackedCodes<'_>,
    sub_scales: &[[i8; ROWS]],
    x: Codes<'_>,
    (group, offsets): (usize, [i32; 2]),
    sum: V::Floats,
) -> V::Floats {
    let activations = nth_chunk(x.codes.as_chunks::<4>().0, group);
    let [first, second] = packing.dot(v, codes, activations, offsets);
    let scale = v.splat(x.scales[group]);
    if !B::FINE {
        let products = v.mul(v.floats_from_lanes(v.add_lanes(first, second)), scale);
        let sub_scales = v.floats_from_lanes(v.lanes_from_bytes(&sub_scales[group]));
        return v.multiply_add_floats(sum, products, sub_scales);
    }
    let low = v.lanes_from_bytes(&sub_scales[2 * group]);
    let high = v.lanes_from_bytes(&sub_scales[2 * group + 1]);
    let mut ints = v.splat_lanes(0);
    if packing.fits_words() && B::MINIMUMS {
        // types with minimums have sub-scales without signs
        ints = v.multiply_add_words(ints, first, low);
        ints = v.multiply_add_words(ints, second, high);
    } else {
        ints = v.multiply_add_lanes(ints, first, low);
        ints = v.multiply_add_lanes(ints, second, high);
    }
    v.multiply_add_floats(sum, v.floats_from_lanes(ints), scale)
}

/// Unpacks one segment of a packed panel for a batch.
#[inline(always)]
pub(super) fn unpack_panel<B: SuperBlock, V: Lanes>(
    v: V,
    packing: &Packing,
    packed: &PackedPanel<'_>,
    segment: usize,
    panel: &mut Panel,
) {
    super::packed::unpack_codes(v, packing, packed, segment, panel);
    let count = sub_blocks::<B>();
    let scales = v.load_floats(&packed.scales[segment].0);
    for (sub_scales, out) in
        packed.sub_scales[segment * count..][..count].iter().zip(&mut panel.scales)
    {
        let sub_scales = v.floats_from_lanes(v.lanes_from_bytes(sub_scales));
        v.store_as_bytes(v.mul(sub_scales, scales), out);
    }
    if B::MINIMUMS {
        let min = v.sub(v.splat(0.0), v.load_floats(&packed.mins[segment].0));
        let sub_mins = &packed.sub_mins[segment * count..][..count];
        for (sub_mins, out) in sub_mins.iter().zip(&mut panel.mins) {
            let sub_mins = v.floats_from_lanes(v.lanes_from_bytes(sub_mins));
            v.store_as_bytes(v.mul(sub_mins, min), out);
        }
    }
}
