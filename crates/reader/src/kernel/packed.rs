//! Products with packed weights: sixteen rows side by side. [`packing`](super::packing) has the
//! order of the codes.

use granule_format::block::blocks_of;
use granule_format::{Block, BlockType, with_block};

use super::codes::eight;
use super::packing::{CodeLine, PackedCodes, Packing};
use super::panel::{Panel, ROWS, multiply_panels};
use super::{Family, Kernel};
use crate::activations::Activations;
use crate::isa::{Isa, Lanes, WithLanes};
use crate::strip::COLUMNS;
use crate::vector::Vector;

/// Packed weights. Each field holds one kind of data of all panels, panel after panel.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    /// Number of items that one panel has in each field.
    lengths: [usize; 8],
    /// Codes of groups, and the fifth bits of them.
    pub(super) codes: Vec<CodeLine>,
    pub(super) fifths: Vec<[u64; 8]>,
    /// Super-blocks: the sub-scales and sub-minimums of each sub-block.
    pub(super) sub_scales: Vec<[i8; ROWS]>,
    pub(super) sub_mins: Vec<[i8; ROWS]>,
    /// Scales and minimums, in single precision or in half precision (little-endian).
    pub(super) scales: Vec<Singles>,
    pub(super) mins: Vec<Singles>,
    pub(super) half_scales: Vec<[[u8; 2]; ROWS]>,
    pub(super) half_mins: Vec<[[u8; 2]; ROWS]>,
}

/// One number for each of sixteen rows.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Singles(pub(super) [f32; ROWS]);

/// One panel of [`Packed`].
pub(crate) struct PackedPanel<'a> {
    pub(super) codes: &'a [CodeLine],
    pub(super) fifths: &'a [[u64; 8]],
    pub(super) sub_scales: &'a [[i8; ROWS]],
    pub(super) sub_mins: &'a [[i8; ROWS]],
    pub(super) scales: &'a [Singles],
    pub(super) mins: &'a [Singles],
    pub(super) half_scales: &'a [[[u8; 2]; ROWS]],
    pub(super) half_mins: &'a [[[u8; 2]; ROWS]],
}

impl Packed {
    /// Bytes of memory that the data occupies.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.codes[..])
            + size_of_val(&self.fifths[..])
            + size_of_val(&self.sub_scales[..])
            + size_of_val(&self.sub_mins[..])
            + size_of_val(&self.scales[..])
            + size_of_val(&self.mins[..])
            + size_of_val(&self.half_scales[..])
            + size_of_val(&self.half_mins[..])
    }

    /// Appends the panels of `other`, which follow.
    pub(crate) fn append(&mut self, mut other: Self) {
        if self.lengths == [0; 8] {
            self.lengths = other.lengths;
        }
        self.codes.append(&mut other.codes);
        self.fifths.append(&mut other.fifths);
        self.sub_scales.append(&mut other.sub_scales);
        self.sub_mins.append(&mut other.sub_mins);
        self.scales.append(&mut other.scales);
        self.mins.append(&mut other.mins);
        self.half_scales.append(&mut other.half_scales);
        self.half_mins.append(&mut other.half_mins);
    }

    fn all_lengths(&self) -> [usize; 8] {
        [
            self.codes.len(),
            self.fifths.len(),
            self.sub_scales.len(),
            self.sub_mins.len(),
            self.scales.len(),
            self.mins.len(),
            self.half_scales.len(),
            self.half_mins.len(),
        ]
    }

    #[inline(always)]
    fn panel(&self, index: usize) -> PackedPanel<'_> {
        let [codes, fifths, sub_scales, sub_mins, scales, mins, half_scales, half_mins] =
            self.lengths;
        PackedPanel {
            codes: &self.codes[index * codes..][..codes],
            fifths: &self.fifths[index * fifths..][..fifths],
            sub_scales: &self.sub_scales[index * sub_scales..][..sub_scales],
            sub_mins: &self.sub_mins[index * sub_mins..][..sub_mins],
            scales: &self.scales[index * scales..][..scales],
            mins: &self.mins[index * mins..][..mins],
            half_scales: &self.half_scales[index * half_scales..][..half_scales],
            half_mins: &self.half_mins[index * half_mins..][..half_mins],
        }
    }
}

/// Whether products with this type gain by packing on this instruction set.
pub(crate) fn packs(isa: Isa, ty: BlockType) -> bool {
    isa.has_lanes() && with_block!(ty, B => <B as Kernel>::PACKING.is_some())
}

/// Packs whole rows of a type that [`packs`].
pub(crate) fn pack(isa: Isa, ty: BlockType, blocks: &[u8], columns: usize) -> Packed {
    let mut packed = Packed::default();
    with_block!(ty, B => {
        let row_blocks = columns / B::LEN;
        isa.with_lanes(Pack { blocks: blocks_of::<B>(blocks), row_blocks, packed: &mut packed });
    });
    packed
}

/// Computes the dot products of packed rows with every vector, in the order that
/// [`by_panels`](super::by_panels) tells: of as many rows as `out` has products of, from panel
/// `first` on.
pub(crate) fn dot_packed(
    isa: Isa,
    ty: BlockType,
    (packed, first): (&Packed, usize),
    activations: &Activations,
    out: &mut [f32],
) {
    with_block!(ty, B => {
        let ty = std::marker::PhantomData;
        isa.with_lanes(Products::<B> { packed, first, activations, out, ty });
    });
}

struct Pack<'a, B> {
    blocks: &'a [B],
    row_blocks: usize,
    packed: &'a mut Packed,
}

impl<B: Kernel> WithLanes for Pack<'_, B> {
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let Some(packing) = B::PACKING else { unreachable!("only types that pack are packed") };
        let Self { blocks, row_blocks, packed } = self;
        const { assert!(B::PACKING.is_none() || B::LEN % 32 == 0, "whole groups") };
        let groups = row_blocks * B::LEN / 32;
        let mut panel = Panel::EMPTY;
        for rows in blocks.chunks(ROWS * row_blocks) {
            for segment in 0..groups.div_ceil(COLUMNS / 32) {
                B::Family::fill_panel(v, rows, row_blocks, segment, &mut panel);
                let codes = panel.codes.as_flattened().as_chunks::<8>().0;
                for group in &codes[..8.min(groups - 8 * segment)] {
                    packing.pack(group, &mut packed.codes, &mut packed.fifths);
                }
                B::Family::pack_scales(v, rows, row_blocks, segment, packed);
            }
            if packed.lengths == [0; 8] {
                packed.lengths = packed.all_lengths();
            }
        }
    }
}

/// One vector, with what all rows need of it computed once.
#[derive(Clone, Copy)]
pub(crate) struct Prepared<'a> {
    pub(super) vector: Vector<'a>,
    /// The correction for raised weights, for each half of a group.
    pub(super) offsets: &'a [[i32; 2]],
    /// The same for the remainders of activations.
    pub(super) remainder_offsets: &'a [[i32; 2]],
}

struct Products<'a, B> {
    packed: &'a Packed,
    first: usize,
    activations: &'a Activations,
    out: &'a mut [f32],
    ty: std::marker::PhantomData<B>,
}

impl<B: Kernel> WithLanes for Products<'_, B> {
    #[inline(always)]
    fn run<V: Lanes>(self, v: V) {
        let Self { packed, first, activations, out, .. } = self;
        let count = activations.count();
        let Some(packing) = B::PACKING else { unreachable!("only types that pack are packed") };
        if activations.is_batch() {
            multiply_panels::<B, V>(
                v,
                activations,
                out,
                #[inline(always)]
                |index, segment, panel| {
                    B::Family::unpack_panel(
                        v,
                        &packing,
                        &packed.panel(first + index),
                        segment,
                        panel,
                    );
                },
            );
            return;
        }
        for number in 0..count {
            let vector = activations.vector(number);
            let raised_by = packing.raised_by::<V>();
            let offsets = |sums: &[i16]| -> Vec<i32> {
                sums.iter().map(|sum| raised_by * i32::from(*sum)).collect()
            };
            let remainder_offsets = offsets(vector.remainder_sums);
            let offsets = offsets(vector.sums);
            let prepared = Prepared {
                vector,
                offsets: offsets.as_chunks().0,
                remainder_offsets: remainder_offsets.as_chunks().0,
            };
            for (index, out) in out.chunks_mut(ROWS * count).enumerate() {
                let mut sums = [0.0; ROWS];
                let dots =
                    B::Family::dot_packed(v, &packing, &packed.panel(first + index), prepared);
                v.store(dots, &mut sums);
                for (out, sum) in out.chunks_exact_mut(count).zip(sums) {
                    out[number] = sum;
                }
            }
        }
    }
}

/// Unpacks the codes of one segment for a batch.
#[inline(always)]
pub(super) fn unpack_codes<V: Lanes>(
    v: V,
    packing: &Packing,
    packed: &PackedPanel<'_>,
    segment: usize,
    panel: &mut Panel,
) {
    let lines = packed.codes.chunks_exact(packing.lines()).skip(8 * segment);
    let groups = panel.codes.as_flattened_mut().as_chunks_mut::<8>().0.iter_mut();
    for (group, (lines, out)) in lines.zip(groups).enumerate() {
        let fifths = if packing.fifths() { &packed.fifths[8 * segment + group] } else { &[0; 8] };
        let weights = packing.unpack(v, PackedCodes { lines, fifths }, false);
        eight(
            #[inline(always)]
            |i| v.store_lanes(weights[i], &mut out[i]),
        );
    }
}
