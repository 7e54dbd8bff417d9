//! Packed super-blocks: products with one vector, and panels for batches.

use super::codes::nth_chunk;
use super::packed::{Packed, PackedPanel, Prepared, Singles, pair};
use super::packing::{PackedCodes, Packing};
use super::panel::{Panel, ROWS, row_of};
use super::super_block::SuperBlock;
use crate::isa::Lanes;

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
    let (mut sub_scales, mut sub_mins) = ([[0; ROWS]; 16], [[[0; 2]; ROWS]; 8]);
    for row in 0..ROWS {
        let all = row_of(rows, row_blocks, row)[segment].scales(v);
        (scales[row], mins[row]) = (all.scale, all.min);
        for sub_block in 0..sub_blocks::<B>() {
            let byte = |numbers: [u64; 2]| {
                (numbers[sub_block / 8] >> (8 * (sub_block % 8))).to_le_bytes()[0].cast_signed()
            };
            sub_scales[sub_block][row] = byte(all.sub_scales);
            sub_mins[sub_block / 2][row][sub_block % 2] = byte(all.sub_mins);
        }
    }
    packed.scales.push(Singles(scales));
    packed.sub_scales.extend(&sub_scales[..sub_blocks::<B>()]);
    if B::MINIMUMS {
        packed.mins.push(Singles(mins));
        packed.sub_mins.extend(&sub_mins[..sub_blocks::<B>() / 2]);
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
    let Prepared { vector, offsets, wide_sums } = prepared;
    let codes = panel.codes.chunks_exact(8 * packing.lines());
    let sub_scales = panel.sub_scales.chunks_exact(sub_blocks::<B>());
    let vectors = vector.codes.as_chunks::<4>().0.as_chunks::<64>().0.iter().zip(vector.scales);
    let vectors = vectors.zip(offsets.as_chunks::<8>().0);
    let blocks = codes.zip(sub_scales).zip(panel.scales).zip(vectors).enumerate();
    for (index, (((codes, sub_scales), scales), ((x, x_scale), offsets))) in blocks {
        let mut ints = v.splat_lanes(0);
        for group in 0..8 {
            let lines = &codes[group * packing.lines()..][..packing.lines()];
            let fifths = if packing.fifths() { &panel.fifths[8 * index + group] } else { &[0; 8] };
            let codes = PackedCodes { lines, fifths };
            let x = nth_chunk(x, group);
            let [first, second] = packing.dot(v, codes, x, offsets[group]);
            if B::FINE {
                let low = v.lanes_from_bytes(&sub_scales[2 * group]);
                let high = v.lanes_from_bytes(&sub_scales[2 * group + 1]);
                if packing.fits_words() && B::MINIMUMS {
                    // types with minimums have sub-scales without signs
                    ints = v.multiply_add_words(ints, first, low);
                    ints = v.multiply_add_words(ints, second, high);
                } else {
                    ints = v.multiply_add_lanes(ints, first, low);
                    ints = v.multiply_add_lanes(ints, second, high);
                }
            } else {
                let sums = v.add_lanes(first, second);
                let scales = v.lanes_from_bytes(&sub_scales[group]);
                ints = v.multiply_add_lanes(ints, sums, scales);
            }
        }
        let mut product = v.mul(v.floats_from_lanes(ints), v.load_floats(&scales.0));
        if B::MINIMUMS {
            let pairs = sub_blocks::<B>() / 2;
            let sub_mins = &panel.sub_mins[index * pairs..][..pairs];
            let mut mins = v.splat_lanes(0);
            if B::FINE {
                let sums = nth_chunk::<_, 16>(vector.sums, index).as_chunks::<2>().0;
                for ([low, high], sub_mins) in sums.iter().zip(sub_mins) {
                    mins = v.dot_words(mins, v.words_from_bytes(sub_mins), pair(*low, *high));
                }
            } else {
                for (sums, sub_mins) in wide_sums[index].iter().zip(sub_mins) {
                    mins = v.dot_words(mins, v.words_from_bytes(sub_mins), *sums);
                }
            }
            let mins = v.mul(v.floats_from_lanes(mins), v.load_floats(&panel.mins[index].0));
            product = v.sub(product, mins);
        }
        total = v.multiply_add_floats(total, product, v.splat(*x_scale));
    }
    total
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
        panel.min = packed.mins[segment].0;
        let pairs = &packed.sub_mins[segment * (count / 2)..][..count / 2];
        for (pair, out) in pairs.iter().zip(&mut panel.mins) {
            v.store_lanes(v.words_from_bytes(pair), out);
        }
    }
}
