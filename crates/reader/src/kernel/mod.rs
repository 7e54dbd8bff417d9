//! The kernels: fast decoding and dot products, one file a type, each written once for all instruction sets.
//!
//! Most types are one of two kinds, and their files say only how the codes and scales of a block come into
//! vectors: [`super_block`] (256 values, integer sub-scales, activations as Q8_K) and [`small_block`] (32 to 128
//! values, activations as Q8_0). [`plain`] holds the types of single numbers.
//!
//! [`Kernel`] is required of every row of the table of block types: a type without one does not compile.

mod codes;
mod plain;
mod small_block;
mod super_block;

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

use granule_format::block::blocks_of;
use granule_format::{Block, BlockType, with_block};

use crate::activations::{Activations, Form, Vector};
use crate::isa::{Isa, Vectors, Work};

/// What a type of block needs in order to be computed with.
pub(crate) trait Kernel: Block {
    /// Decode whole blocks, to the bits of [`Block::decode`].
    fn decode_blocks<V: Vectors>(v: V, blocks: &[Self], out: &mut [f32]);

    /// The dot products of a row with some vectors.
    fn dots<V: Vectors, const N: usize>(v: V, row: &[Self], vectors: &[Vector<'_>; N]) -> [f32; N];
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
        if V::WIDE {
            return B::decode_blocks(v, self.blocks, self.out);
        }
        for (block, out) in self.blocks.iter().zip(self.out.chunks_exact_mut(B::LEN)) {
            block.decode(out);
        }
    }
}

/// Vectors that a kernel multiplies with at a time: the codes of a block are put into registers once for all.
const TILE: usize = 16;

/// The dot products of some rows with every vector: `out[row * count + vector]`.
///
/// # Panics
/// If `blocks` and `out` do not fit together, or the activations are for another form.
pub(crate) fn dot_rows(
    isa: Isa,
    ty: BlockType,
    blocks: &[u8],
    activations: &Activations,
    out: &mut [f32],
) {
    assert_eq!(activations.form(), Form::of(ty));
    with_block!(ty, B => {
        let row_blocks = activations.columns() / B::LEN;
        if row_blocks == 0 || activations.count() == 0 {
            return out.fill(0.0);
        }
        let blocks = blocks_of::<B>(blocks);
        assert_eq!(blocks.len() / row_blocks * activations.count(), out.len());
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
    fn run<V: Vectors>(mut self, v: V) {
        let count = self.activations.count();
        let mut first = 0;
        while count - first >= TILE {
            self.each_row::<V, TILE>(v, first);
            first += TILE;
        }
        while count - first >= 4 {
            self.each_row::<V, 4>(v, first);
            first += 4;
        }
        for vector in first..count {
            self.each_row::<V, 1>(v, vector);
        }
    }
}

impl<B: Kernel> Dots<'_, B> {
    /// All rows with `N` vectors from `first` on.
    #[inline(always)]
    fn each_row<V: Vectors, const N: usize>(&mut self, v: V, first: usize) {
        let vectors: [Vector<'_>; N] = std::array::from_fn(|i| self.activations.vector(first + i));
        let rows = self.blocks.chunks_exact(self.row_blocks);
        for (row, out) in rows.zip(self.out.chunks_exact_mut(self.activations.count())) {
            out[first..first + N].copy_from_slice(&B::dots(v, row, &vectors));
        }
    }
}
