//! The family of types of 32, 64 or 128 values with floating-point scales: a value is `code *
//! scale`, in some types plus a minimum.

use std::slice::ChunksExact;

use granule_format::num::F16;

use super::codes::{CodeRange, eight_of, four, sixteen};
use super::packed::{Packed, PackedPanel, Prepared};
use super::packing::Packing;
use super::panel::{Minimums, Panel, Sums, multiply};
use super::super_block::total;
use super::{Family, Kernel, by_tiles, row_by_row, small_packed, small_panel};
use crate::activations::{Activations, Form};
use crate::isa::{Lanes, Simd};
use crate::strip::Strip;
use crate::tile::{ActivationTile, TILE};
use crate::vector::Vector;

/// What distinguishes the types of small blocks.
pub(crate) trait SmallBlock: Kernel<Family = SmallBlocks> {
    /// Whether each 16 values have a scale, rather than each group.
    const FINE: bool = false;
    /// Whether there is a minimum.
    const MINIMUM: bool = false;
    /// Whether the scale is stored in half precision: whether there is [`half`](Self::half).
    const HALF: bool;
    /// The range of the [`codes`](Self::codes).
    const CODES: CodeRange;

    /// The scales of the two halves of a group; the same unless [`FINE`](Self::FINE).
    fn scales<V: Simd>(&self, v: V, group: usize) -> [f32; 2];

    /// The scales of the halves of four groups, which are those of two blocks. Only called for
    /// types with [`FINE`](Self::FINE), which may have a faster way.
    #[inline(always)]
    fn fine_scales<V: Simd>(v: V, blocks: &[Self; 2]) -> V::Sums {
        let [a, b] = [blocks[0].scales(v, 0), blocks[0].scales(v, 1)];
        let [c, d] = [blocks[1].scales(v, 0), blocks[1].scales(v, 1)];
        v.load_sums(&[a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]])
    }

    /// The scale of the whole block, if it is stored in half precision.
    fn half(&self) -> Option<F16>;

    /// The minimum, which is added to every value. Given by types with [`MINIMUM`](Self::MINIMUM).
    #[inline(always)]
    fn min(&self) -> F16 {
        unreachable!("only types with `MINIMUM` have a minimum")
    }

    /// The codes of values `32 * group` to `32 * group + 31`.
    fn codes<V: Simd>(&self, v: V, group: usize) -> V::Bytes;

    /// Whether two blocks are multiplied at a time, by [`pair_codes`](Self::pair_codes). They have
    /// 32 values.
    const PAIRED: bool = false;

    /// The codes of the first halves of two blocks, and of their second halves, for products with
    /// one vector. Given by types with [`PAIRED`](Self::PAIRED).
    #[inline(always)]
    fn pair_codes<V: Simd>(_: V, _: &[Self; 2]) -> [V::Bytes; 2] {
        unreachable!("only types with `PAIRED` have codes of pairs")
    }

    /// The amount by which [`raised_codes`](Self::raised_codes) are raised, so that none is
    /// negative.
    const RAISED_BY: u8 = 0;

    /// The codes for instruction sets that multiply [all unsigned bytes](Simd::ALL_UNSIGNED); of
    /// types with [`FINE`](Self::FINE) for all instruction sets, so they are below 128. Given by
    /// types with [`RAISED_BY`](Self::RAISED_BY).
    #[inline(always)]
    fn raised_codes<V: Simd>(&self, _: V, _: usize) -> V::Bytes {
        unreachable!("only types with `RAISED_BY` have raised codes")
    }
}

/// The types of 32, 64 or 128 values with floating-point scales.
pub(crate) struct SmallBlocks;

impl<B: SmallBlock> Family<B> for SmallBlocks {
    const FORM: Form = Form::Q8_0;

    #[inline(always)]
    fn decode<V: Simd>(v: V, blocks: &[B], out: &mut [f32]) {
        decode(v, blocks, out);
    }

    #[inline(always)]
    fn dot_each<V: Simd>(
        v: V,
        rows: ChunksExact<'_, B>,
        vector: &Vector<'_>,
        out: &mut [f32],
        step: usize,
    ) {
        row_by_row(
            rows,
            out,
            step,
            #[inline(always)]
            |row| dot(v, row, vector),
        );
    }

    #[inline(always)]
    fn batch<V: Simd>(v: V, rows: ChunksExact<'_, B>, activations: &Activations, out: &mut [f32]) {
        by_tiles(
            rows,
            activations,
            out,
            #[inline(always)]
            |row, tile| dot_tile(v, row, tile),
        );
    }

    #[inline(always)]
    fn fill_panel<V: Lanes>(
        v: V,
        rows: &[B],
        row_blocks: usize,
        segment: usize,
        panel: &mut Panel,
    ) {
        small_panel::fill_panel(v, rows, row_blocks, segment, panel);
    }

    #[inline(always)]
    fn multiply_panel<V: Lanes>(v: V, panel: &Panel, strip: Strip<'_>, sums: &mut Sums) {
        let minimums = if B::MINIMUM { Minimums::Groups } else { Minimums::None };
        multiply(v, B::FINE, minimums, panel, strip, sums);
    }

    #[inline(always)]
    fn pack_scales<V: Lanes>(
        v: V,
        rows: &[B],
        row_blocks: usize,
        segment: usize,
        packed: &mut Packed,
    ) {
        small_packed::pack_scales(v, rows, row_blocks, segment, packed);
    }

    #[inline(always)]
    fn dot_packed<V: Lanes>(
        v: V,
        packing: &Packing,
        panel: &PackedPanel<'_>,
        prepared: Prepared<'_>,
    ) -> V::Floats {
        small_packed::dot::<B, V>(v, packing, panel, prepared)
    }

    #[inline(always)]
    fn unpack_panel<V: Lanes>(
        v: V,
        packing: &Packing,
        packed: &PackedPanel<'_>,
        segment: usize,
        panel: &mut Panel,
    ) {
        small_packed::unpack_panel::<B, V>(v, packing, packed, segment, panel);
    }
}

/// Groups of 32 values in a block.
pub(super) const fn groups_of<B: SmallBlock>() -> usize {
    const { assert!(B::LEN % 32 == 0 && 256 % B::LEN == 0, "whole groups, whole segments") };
    B::LEN / 32
}

/// Whether products with whole groups multiply raised codes.
const fn is_raised<B: SmallBlock, V: Simd>() -> bool {
    V::ALL_UNSIGNED && B::RAISED_BY > 0 && !B::FINE
}

/// The range of [`codes_for_dot`].
#[inline(always)]
fn form_for_dot<B: SmallBlock, V: Simd>() -> CodeRange {
    if is_raised::<B, V>() { CodeRange::Raised(B::RAISED_BY) } else { B::CODES }
}

/// The codes in the form that is multiplied fastest.
#[inline(always)]
fn codes_for_dot<B: SmallBlock, V: Simd>(v: V, block: &B, group: usize) -> V::Bytes {
    if is_raised::<B, V>() { block.raised_codes(v, group) } else { block.codes(v, group) }
}

#[inline(always)]
fn decode<B: SmallBlock, V: Simd>(v: V, blocks: &[B], out: &mut [f32]) {
    let groups = out.as_chunks_mut::<32>().0;
    for (block, groups) in blocks.iter().zip(groups.chunks_exact_mut(groups_of::<B>())) {
        let min = v.splat(if B::MINIMUM { v.half(block.min()) } else { 0.0 });
        for (group, out) in groups.iter_mut().enumerate() {
            let values = v.floats(B::CODES.values(v, block.codes(v, group)));
            let [low, high] = block.scales(v, group);
            let low_scale = v.splat(low);
            let high_scale = if B::FINE { v.splat(high) } else { low_scale };
            let mut low = v.mul(values[0], low_scale);
            let mut high = v.mul(values[1], high_scale);
            if B::MINIMUM {
                (low, high) = (v.add(low, min), v.add(high, min));
            }
            let out = out.as_chunks_mut::<16>().0;
            v.store(low, &mut out[0]);
            v.store(high, &mut out[1]);
        }
    }
}

/// The correction for each unit of a block's scaled sum of activations: the minimum, or minus what
/// codes are raised by.
#[inline(always)]
fn offset<B: SmallBlock, V: Simd>(v: V, block: &B, scale: f32) -> Option<f32> {
    match form_for_dot::<B, V>() {
        CodeRange::Raised(by) => Some(scale * -f32::from(by)),
        _ if B::MINIMUM => Some(v.half(block.min())),
        _ => None,
    }
}

#[inline(always)]
fn integers<B: SmallBlock, V: Simd>(v: V, codes: V::Bytes, activations: &[i8; 32]) -> V::Ints {
    let activations = v.load_signed(activations);
    match form_for_dot::<B, V>() {
        CodeRange::Signed => v.dot_signed(codes, activations),
        _ => v.dot_unsigned(codes, activations),
    }
}

/// Adds the products of a group to `total`, and its correction to `offsets`.
#[inline(always)]
fn step<B: SmallBlock, V: Simd>(
    v: V,
    block: &B,
    group: usize,
    activations: (&[i8; 32], &f32, &f32),
    (total, offsets): (V::Sums, f32),
) -> (V::Sums, f32) {
    let (activations, scale, scaled_sum) = activations;
    let ints = integers::<B, V>(v, codes_for_dot(v, block, group), activations);
    let scales = block.scales(v, group);
    let total = if B::FINE {
        v.accumulate_halves(total, ints, [scales[0] * scale, scales[1] * scale])
    } else {
        v.accumulate(total, ints, scales[0] * scale)
    };
    match offset(v, block, scales[0]) {
        Some(offset) => (total, offsets + offset * scaled_sum),
        None => (total, offsets),
    }
}

/// Blocks of a row, and the activations that they are multiplied with.
struct Groups<'a, B> {
    row: &'a [B],
    codes: &'a [[i8; 32]],
    scales: &'a [f32],
    sums: &'a [i16],
    scaled_sums: &'a [f32],
    paired_codes: &'a [[i8; 32]],
}

#[inline(always)]
fn dot<B: SmallBlock, V: Simd>(v: V, row: &[B], vector: &Vector<'_>) -> f32 {
    let groups = groups_of::<B>();
    let codes = vector.codes.as_chunks::<32>().0;
    let row = &row[..row.len().min(codes.len() / groups)];
    let count = row.len() * groups;
    let all = Groups {
        row,
        codes: &codes[..count],
        scales: &vector.scales[..count],
        sums: &vector.sums[..2 * count],
        scaled_sums: &vector.scaled_sums[..count],
        paired_codes: vector.paired_codes.as_chunks().0,
    };
    match (V::WIDE, B::FINE) {
        (false, _) => dot_in_fours(v, &all),
        (_, true) => dot_of_halves(v, &all),
        _ => dot_in_eights(v, &all),
    }
}

/// Multiplies four groups at a time: the integers of their halves are added up first.
#[inline(always)]
fn dot_of_halves<B: SmallBlock, V: Simd>(v: V, all: &Groups<'_, B>) -> f32 {
    let mut total = v.zero_sums();
    let (pairs, rest) = all.row.as_chunks::<2>();
    let vectors = all.codes.as_chunks::<4>().0.iter().zip(all.scales.as_chunks::<4>().0);
    let vectors = vectors.zip(all.sums.as_chunks::<8>().0);
    for (blocks, ((codes, scales), sums)) in pairs.iter().zip(vectors) {
        let ints = four(
            #[inline(always)]
            |i| {
                let raised = blocks[i / 2].raised_codes(v, i % 2);
                v.dot_unsigned(raised, v.load_signed(&codes[i]))
            },
        );
        let ints = v.add_words_times(v.total_halves(ints), sums, -i32::from(B::RAISED_BY));
        let scales = v.multiply_sums(B::fine_scales(v, blocks), v.load_sums_twice(scales));
        total = v.multiply_add_sums(total, v.sums_from_ints(ints), scales);
    }
    let done = 4 * pairs.len();
    let rest = Groups {
        row: rest,
        codes: &all.codes[done..],
        scales: &all.scales[done..],
        sums: &all.sums[2 * done..],
        scaled_sums: &all.scaled_sums[done..],
        paired_codes: &[],
    };
    v.total(total) + dot_in_fours(v, &rest)
}

/// Multiplies eight groups at a time: their integers are added up first, so that one instruction
/// scales all of them.
#[inline(always)]
fn dot_in_eights<B: SmallBlock, V: Simd>(v: V, all: &Groups<'_, B>) -> f32 {
    let groups = groups_of::<B>();
    let (mut total, mut offsets) = (v.zero_sums(), v.zero_sums());
    let mut parts = all.row.chunks_exact(8);
    let vectors = all.codes.chunks_exact(8 * groups).zip(all.scales.chunks_exact(8 * groups));
    let vectors = vectors.zip(all.scaled_sums.chunks_exact(8 * groups));
    let mut paired = all.paired_codes.chunks_exact(8);
    for (blocks, ((codes, scales), scaled_sums)) in parts.by_ref().zip(vectors) {
        for part in 0..groups {
            let block = |i: usize| &blocks[(8 * part + i) / groups];
            let ints = if B::PAIRED {
                let Some(paired) = paired.next() else { continue };
                integers_of_pairs(v, blocks, paired)
            } else {
                v.total_each(eight_of(
                    #[inline(always)]
                    |i| {
                        let unpacked = codes_for_dot(v, block(i), (8 * part + i) % groups);
                        integers::<B, V>(v, unpacked, &codes[8 * part + i])
                    },
                ))
            };
            let own = eight_scales(v, block);
            let products = v.multiply_sums(own, v.load_sums(&scales.as_chunks().0[part]));
            total = v.multiply_add_sums(total, v.sums_from_ints(ints), products);
            let by = match form_for_dot::<B, V>() {
                CodeRange::Raised(by) => v.multiply_sums(own, v.load_sums(&[-f32::from(by); 8])),
                _ if B::MINIMUM => v.sums_from_halves(eight_of(
                    #[inline(always)]
                    |i| block(i).min(),
                )),
                _ => continue,
            };
            let scaled_sums = v.load_sums(&scaled_sums.as_chunks().0[part]);
            offsets = v.multiply_add_sums(offsets, by, scaled_sums);
        }
    }
    let done = all.codes.len() - parts.remainder().len() * groups;
    let rest = Groups {
        row: parts.remainder(),
        codes: &all.codes[done..],
        scales: &all.scales[done..],
        sums: &all.sums[2 * done..],
        scaled_sums: &all.scaled_sums[done..],
        paired_codes: &[],
    };
    (v.total(total) + v.total(offsets)) + dot_in_fours(v, &rest)
}

/// The integers of eight blocks, two at a time: each half of a register belongs to one block, which
/// saves a step of adding up.
#[inline(always)]
fn integers_of_pairs<B: SmallBlock, V: Simd>(
    v: V,
    blocks: &[B],
    paired_codes: &[[i8; 32]],
) -> V::Ints {
    let pairs = blocks.as_chunks::<2>().0;
    v.total_halves(four(
        #[inline(always)]
        |i| {
            let [first, second] = B::pair_codes(v, &pairs[i]);
            let ints = integers::<B, V>(v, first, &paired_codes[2 * i]);
            let activations = v.load_signed(&paired_codes[2 * i + 1]);
            match form_for_dot::<B, V>() {
                CodeRange::Signed => v.add_ints(ints, v.dot_signed(second, activations)),
                _ => v.add_dot_unsigned(ints, second, activations),
            }
        },
    ))
}

#[inline(always)]
pub(super) fn eight_scales<'a, B: SmallBlock + 'a, V: Simd>(
    v: V,
    block: impl Fn(usize) -> &'a B,
) -> V::Sums {
    if block(0).half().is_some() {
        return v.sums_from_halves(eight_of(
            #[inline(always)]
            |i| block(i).half().expect("as the first block has one"),
        ));
    }
    v.load_sums(&eight_of(
        #[inline(always)]
        |i| block(i).scales(v, 0)[0],
    ))
}

/// Multiplies group by group with four sums, so that additions need not wait for each other.
#[inline(always)]
fn dot_in_fours<B: SmallBlock, V: Simd>(v: V, all: &Groups<'_, B>) -> f32 {
    let groups = groups_of::<B>();
    let Groups { row, codes, scales, scaled_sums, .. } = *all;
    let count = codes.len();
    let (mut a, mut b) = ((v.zero_sums(), 0.0), (v.zero_sums(), 0.0));
    let (mut c, mut d) = (a, b);
    let mut index = 0;
    while index + 4 <= count {
        let at = |i: usize| (&codes[index + i], &scales[index + i], &scaled_sums[index + i]);
        let block = |i: usize| (&row[(index + i) / groups], (index + i) % groups);
        a = step(v, block(0).0, block(0).1, at(0), a);
        b = step(v, block(1).0, block(1).1, at(1), b);
        c = step(v, block(2).0, block(2).1, at(2), c);
        d = step(v, block(3).0, block(3).1, at(3), d);
        index += 4;
    }
    while index < count {
        let at = (&codes[index], &scales[index], &scaled_sums[index]);
        a = step(v, &row[index / groups], index % groups, at, a);
        index += 1;
    }
    (v.total(a.0) + v.total(b.0)) + (v.total(c.0) + v.total(d.0)) + ((a.1 + b.1) + (c.1 + d.1))
}

#[inline(always)]
fn dot_tile<B: SmallBlock, V: Simd>(v: V, row: &[B], tile: &ActivationTile) -> [f32; TILE] {
    let groups = groups_of::<B>();
    let mut totals = [v.zero_sums(); TILE];
    let mut offsets = v.splat(0.0);
    let vectors = tile.groups.chunks_exact(groups).zip(tile.scales.chunks_exact(groups));
    let vectors = vectors.zip(tile.scaled_sums.chunks_exact(groups));
    for (block, ((codes, scales), scaled_sums)) in row.iter().zip(vectors) {
        for group in 0..groups {
            let own = block.scales(v, group);
            let (mut low, mut high) = ([0.0; TILE], [0.0; TILE]);
            let scales = v.load_floats(&scales[group]);
            v.store(v.mul(v.splat(own[0]), scales), &mut low);
            if B::FINE {
                v.store(v.mul(v.splat(own[1]), scales), &mut high);
            }
            if let Some(offset) = offset(v, block, own[0]) {
                let sums = v.load_floats(&scaled_sums[group]);
                offsets = v.multiply_add_floats(offsets, v.splat(offset), sums);
            }
            let unpacked = codes_for_dot(v, block, group);
            let codes = &codes[group];
            sixteen(
                #[inline(always)]
                |i| {
                    let ints = integers::<B, V>(v, unpacked, &codes[i]);
                    totals[i] = if B::FINE {
                        v.accumulate_halves(totals[i], ints, [low[i], high[i]])
                    } else {
                        v.accumulate(totals[i], ints, low[i])
                    };
                },
            );
        }
    }
    let mut out = [0.0; TILE];
    v.store(v.add(v.load_floats(&total(v, totals)), offsets), &mut out);
    out
}
