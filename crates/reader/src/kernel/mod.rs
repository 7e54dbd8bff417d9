//! The kernels: fast decoding and dot products, one file a type, each written once for all instruction sets.
//!
//! Most types are one of two kinds, and their files say only how the codes and scales of a block come into
//! vectors: [`super_block`] (256 values, integer sub-scales, activations as Q8_K) and [`small_block`] (32 to 128
//! values, activations as Q8_0). [`plain`] holds the types of single numbers. Where the instruction set has the
//! operations for it, batches are multiplied by [`panel`]s of rows instead of row by row.
//!
//! [`Kernel`] is required of every row of the table of block types: a type without one does not compile.

mod codes;
mod packed;
mod packing;
mod panel;
mod plain;
mod small_block;
mod small_packed;
mod super_block;
mod super_packed;

mod iq1_m;
mod iq1_s;
mod iq2_s;
mod iq2_xs;
mod iq2_xxs;
mod iq3_s;
mod iq3_xxs;
mod iq4_nl;
mod iq4_xs;
mod mxfp4;
mod nvfp4;
mod q1_0;
mod q2_0;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod q8_1;
mod q8_k;
mod tq1_0;
mod tq2_0;

#[cfg(test)]
mod tests;

use std::slice::ChunksExact;

use granule_format::block::blocks_of;
use granule_format::{Block, BlockType, with_block};

pub(crate) use packed::{Packed, dot_packed, pack, packs};
use packed::{PackedPanel, Prepared};
use packing::Packing;
use panel::{Panel, Panels, Sums};
pub(crate) use panel::{ROWS as PANEL_ROWS, copy_rows};

use crate::activations::{Activations, Form, Vector};
use crate::isa::{Isa, Lanes, Vectors, Work};
use crate::strip::StripPart;
use crate::tile::{TILE, Tile};

/// What a type of block needs in order to be computed with.
pub(crate) trait Kernel: Block {
    /// Decode whole blocks, to the bits of [`Block::decode`].
    fn decode_blocks<V: Vectors>(v: V, blocks: &[Self], out: &mut [f32]);

    /// The dot product of a row with a vector.
    fn dot<V: Vectors>(v: V, row: &[Self], vector: &Vector<'_>) -> f32;

    /// The dot products of rows with a vector, to the bits of [`dot`](Self::dot): a row's to the first of each `step`
    /// numbers of `out`.
    #[inline(always)]
    fn dot_each<V: Vectors>(
        v: V,
        rows: ChunksExact<'_, Self>,
        vector: &Vector<'_>,
        out: &mut [f32],
        step: usize,
    ) {
        for (row, out) in rows.zip(out.chunks_mut(step)) {
            out[0] = Self::dot(v, row, vector);
        }
    }

    /// The dot products of rows with the vectors of a batch, a row's together.
    fn batch<V: Vectors>(
        v: V,
        rows: ChunksExact<'_, Self>,
        activations: &Activations,
        out: &mut [f32],
    );

    /// Unpack 256 columns of up to sixteen rows, from column `256 * index`. Only for weights that are multiplied with
    /// codes.
    #[inline(always)]
    fn fill_panel<V: Lanes>(_: V, _: &[Self], _: usize, _: usize, _: &mut Panel) {}

    /// Add the dot products of a panel with eight vectors to their sums.
    #[inline(always)]
    fn multiply_panel<V: Lanes>(_: V, _: &Panel, _: &StripPart, _: &mut Sums) {}

    /// How codes are packed, if products gain by that.
    const PACKING: Option<Packing> = None;

    /// Append the scales of 256 columns of up to sixteen rows, from column `256 * index`. This and what follows only
    /// for types that have a [`PACKING`](Self::PACKING).
    #[inline(always)]
    fn pack_scales<V: Lanes>(_: V, _: &[Self], _: usize, _: usize, _: &mut Packed) {}

    /// The dot products of sixteen packed rows with a vector.
    #[inline(always)]
    fn dot_packed<V: Lanes>(v: V, _: &PackedPanel<'_>, _: Prepared<'_>) -> V::Floats {
        v.splat(0.0)
    }

    /// Unpack 256 columns of sixteen packed rows, from column `256 * index`.
    #[inline(always)]
    fn unpack_panel<V: Lanes>(_: V, _: &PackedPanel<'_>, _: usize, _: &mut Panel) {}
}

/// Decode whole blocks: the values of [`Block::decode`], to the bit, by the kernel of `isa`.
///
/// # Panics
/// If `row` is not whole blocks, or `out` does not have exactly their number of values.
pub fn decode(isa: Isa, ty: BlockType, row: &[u8], out: &mut [f32]) {
    with_block!(ty, B => {
        let blocks = blocks_of::<B>(row);
        assert_eq!(out.len(), blocks.len() * B::LEN, "values for {} {ty} blocks", blocks.len());
        isa.vectors(Decode { blocks, out });
    });
}

struct Decode<'a, B> {
    blocks: &'a [B],
    out: &'a mut [f32],
}

impl<B: Kernel> Work for Decode<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, v: V) {
        if V::WIDE || B::LEN == 1 {
            return B::decode_blocks(v, self.blocks, self.out);
        }
        for (block, out) in self.blocks.iter().zip(self.out.chunks_exact_mut(B::LEN)) {
            block.decode(out);
        }
    }
}

/// The dot products of some rows with every vector: `out[row * count + vector]`, by the kernels of `isa`.
///
/// The integer parts of a product are exact; the sums over blocks are in single precision and in the kernel's own
/// order, which depends on the instruction set and on whether there are enough vectors for a batch.
///
/// ```
/// use granule_reader::{Activations, dot::dot_rows, format::BlockType, isa::Isa};
/// let rows = [1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes);
/// let x = Activations::quantize(BlockType::F32, &[10.0, 1.0]);
/// let mut y = [0.0; 2];
/// dot_rows(Isa::detect(), BlockType::F32, rows.as_flattened(), &x, &mut y);
/// assert_eq!(y, [12.0, 34.0]);
/// ```
///
/// # Panics
/// If `blocks` is not whole rows of the activations' number of columns, `out` is not as long as their number times that
/// of the vectors, or the activations are in another form than `ty` needs.
pub fn dot_rows(
    isa: Isa,
    ty: BlockType,
    blocks: &[u8],
    activations: &Activations,
    out: &mut [f32],
) {
    dot_blocks(isa, ty, blocks, activations, out);
    if by_panels(isa, activations, false) {
        let count = activations.count();
        for out in out.chunks_mut(PANEL_ROWS * count) {
            let (panel, rows) = (out.to_vec(), out.len() / count);
            for (row, out) in out.chunks_exact_mut(count).enumerate() {
                for (vector, out) in out.iter_mut().enumerate() {
                    *out = panel[vector * rows + row];
                }
            }
        }
    }
}

/// Whether products with these activations are written a panel of [`PANEL_ROWS`] rows after another, and in it those of a
/// vector together. Otherwise those of a row are together.
pub(crate) fn by_panels(isa: Isa, activations: &Activations, packed: bool) -> bool {
    // what is packed is in panels; otherwise they have to be made
    let lanes = if packed { isa.has_lanes() } else { isa.has_many_lanes() };
    lanes && activations.is_batch() && activations.form() != Form::Float
}

/// As [`dot_rows`], in the order that [`by_panels`] tells.
pub(crate) fn dot_blocks(
    isa: Isa,
    ty: BlockType,
    blocks: &[u8],
    activations: &Activations,
    out: &mut [f32],
) {
    assert_eq!(activations.form(), Form::of(ty));
    with_block!(ty, B => {
        assert!(activations.columns().is_multiple_of(B::LEN), "whole blocks");
        let row_blocks = activations.columns() / B::LEN;
        if row_blocks == 0 || activations.count() == 0 {
            return out.fill(0.0);
        }
        let blocks = blocks_of::<B>(blocks);
        assert!(blocks.len().is_multiple_of(row_blocks), "whole rows");
        assert_eq!(blocks.len() / row_blocks * activations.count(), out.len());
        if by_panels(isa, activations, false) {
            return isa.lanes(Panels { blocks, row_blocks, activations, out });
        }
        isa.vectors(Dots { blocks, row_blocks, activations, out });
    });
}

struct Dots<'a, B> {
    blocks: &'a [B],
    row_blocks: usize,
    activations: &'a Activations,
    out: &'a mut [f32],
}

impl<B: Kernel> Work for Dots<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, v: V) {
        let count = self.activations.count();
        let rows = self.blocks.chunks_exact(self.row_blocks);
        if !V::WIDE || !self.activations.is_batch() {
            for vector in 0..count {
                let values = self.activations.vector(vector);
                B::dot_each(v, rows.clone(), &values, &mut self.out[vector..], count);
            }
            return;
        }
        B::batch(v, rows, self.activations, self.out);
    }
}

/// [`Kernel::batch`] for kernels that multiply a row with sixteen vectors at a time.
#[inline(always)]
fn by_tiles<B>(
    rows: ChunksExact<'_, B>,
    activations: &Activations,
    out: &mut [f32],
    dots: impl Fn(&[B], &Tile) -> [f32; TILE],
) {
    for (index, tile) in activations.tiles().iter().enumerate() {
        for (row, out) in rows.clone().zip(out.chunks_exact_mut(activations.count())) {
            let dots = dots(row, tile);
            out[TILE * index..][..tile.count].copy_from_slice(&dots[..tile.count]);
        }
    }
}
